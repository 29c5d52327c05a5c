//! Resources about what a node runs for Kubernetes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::json;
use talos_proto::definitions as proto;

use super::Source;
use super::spec::{Item, ip, structure};
use crate::config::Config;
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] = &[
    ("APIServerConfigs.kubernetes.talos.dev", api_server),
    ("ControllerManagerConfigs.kubernetes.talos.dev", controller_manager),
    ("SchedulerConfigs.kubernetes.talos.dev", scheduler),
    ("BootstrapManifestsConfigs.kubernetes.talos.dev", manifests),
    ("KubeletSpecs.kubernetes.talos.dev", kubelet),
    ("NodeIPs.kubernetes.talos.dev", node_ips),
    ("StaticPods.kubernetes.talos.dev", static_pods),
    ("SecretStatuses.kubernetes.talos.dev", |world, id| ready(world, id, "static-pods")),
    ("ConfigStatuses.kubernetes.talos.dev", |world, id| ready(world, id, "static-pods")),
    ("ManifestStatuses.kubernetes.talos.dev", manifest_status),
    ("Endpoints.kubernetes.talos.dev", endpoints),
    ("KubePrismEndpoints.kubernetes.talos.dev", prism_endpoints),
    ("KubePrismStatuses.kubernetes.talos.dev", prism_status),
    ("EtcdSpecs.etcd.talos.dev", etcd_spec),
    ("PKIStatuses.etcd.talos.dev", |world, id| ready(world, id, "etcd")),
];

/// The default ranges of a config.
const PODS: &str = "10.244.0.0/16";
const SERVICES: &str = "10.96.0.0/12";

/// The config of a control plane.
fn control_plane(world: &World, id: Id) -> Option<&Config> {
    let node = &world.nodes[id];
    node.config.as_deref().filter(|_| node.is_control_plane())
}

fn api_server(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = control_plane(world, id) else { return Vec::new() };
    let spec = proto::ApiServerConfigSpec {
        image: config.server_image.clone(),
        control_plane_endpoint: config.endpoint.clone(),
        etcd_servers: vec!["https://127.0.0.1:2379".to_owned()],
        local_port: config.server_port.into(),
        service_cid_rs: vec![SERVICES.to_owned()],
        advertised_address: "$(POD_IP)".to_owned(),
    };
    let yaml = json!({
        "image": spec.image, "cloudProvider": "", "controlPlaneEndpoint": spec.control_plane_endpoint,
        "etcdServers": spec.etcd_servers, "localPort": spec.local_port, "serviceCIDR": spec.service_cid_rs,
        "extraArgs": {}, "extraVolumes": [], "environmentVariables": {}, "advertisedAddress": spec.advertised_address,
        "resources": {"requests": {}, "limits": {}},
    });
    vec![Item::new("kube-apiserver", &spec, &yaml)]
}

fn controller_manager(world: &World, id: Id) -> Vec<Item> {
    let spec = proto::ControllerManagerConfigSpec {
        enabled: true,
        image: world.component_image(id, "kube-controller-manager"),
        pod_cid_rs: vec![PODS.to_owned()],
        service_cid_rs: vec![SERVICES.to_owned()],
    };
    let yaml = json!({
        "enabled": true, "image": spec.image, "cloudProvider": "", "podCIDRs": spec.pod_cid_rs,
        "serviceCIDRs": spec.service_cid_rs, "extraArgs": {}, "extraVolumes": [], "environmentVariables": {},
        "resources": {"requests": {}, "limits": {}},
    });
    control_plane(world, id).map(|_| Item::new("kube-controller-manager", &spec, &yaml)).into_iter().collect()
}

fn scheduler(world: &World, id: Id) -> Vec<Item> {
    let image = world.component_image(id, "kube-scheduler");
    let yaml = json!({
        "enabled": true, "image": image, "extraArgs": {}, "extraVolumes": [], "environmentVariables": {},
        "resources": {"requests": {}, "limits": {}}, "config": {},
    });
    let spec = proto::SchedulerConfigSpec { enabled: true, image };
    control_plane(world, id).map(|_| Item::new("kube-scheduler", &spec, &yaml)).into_iter().collect()
}

fn manifests(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = control_plane(world, id) else { return Vec::new() };
    let spec = proto::BootstrapManifestsConfigSpec {
        server: config.endpoint.clone(),
        cluster_domain: "cluster.local".to_owned(),
        pod_cid_rs: vec![PODS.to_owned()],
        proxy_enabled: true,
        proxy_image: world.component_image(id, "kube-proxy"),
        core_dns_enabled: true,
        dns_service_ip: "10.96.0.10".to_owned(),
        flannel_enabled: true,
    };
    let yaml = json!({
        "string": spec.server, "clusterDomain": spec.cluster_domain, "podCIDRs": spec.pod_cid_rs, "proxyEnabled": true,
        "proxyImage": spec.proxy_image, "coreDNSEnabled": true, "dnsServiceIP": spec.dns_service_ip,
        "flannelEnabled": true, "proxyArgs": [], "coreDNSImage": "", "dnsServiceIPv6": "", "flannelImage": "",
        "flannelExtraArgs": [], "flannelKubeServiceHost": "", "flannelKubeServicePort": "",
        "flannelKubeNetworkPoliciesEnabled": false, "flannelKubeNetworkPoliciesImage": "",
        "podSecurityPolicyEnabled": false, "talosAPIServiceEnabled": false, "cniName": "",
    });
    vec![Item::new("manifests", &spec, &yaml)]
}

fn kubelet(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = &world.nodes[id].config else { return Vec::new() };
    let written = json!({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"});
    let spec = proto::KubeletSpecSpec {
        image: config.kubelet_image.clone(),
        args: vec![format!("--hostname-override={}", world.nodename(id))],
        expected_nodename: world.nodename(id),
        config: Some(structure(&written)),
    };
    let yaml = json!({
        "image": spec.image, "args": spec.args, "expectedNodename": spec.expected_nodename,
        "config": written,
    });
    vec![Item::new("kubelet", &spec, &yaml)]
}

fn node_ips(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let addresses: Vec<IpAddr> = node.addresses.iter().map(ipnet::IpNet::addr).collect();
    let yaml = json!({"addresses": addresses});
    let spec = proto::NodeIpSpec { addresses: addresses.into_iter().map(ip).collect() };
    match node.config {
        Some(_) => vec![Item::new("kubelet", &spec, &yaml)],
        None => Vec::new(),
    }
}

fn static_pods(world: &World, id: Id) -> Vec<Item> {
    if control_plane(world, id).is_none() {
        return Vec::new();
    }
    let item = |name: &str| {
        let image = world.component_image(id, name);
        let labels = json!({"component": name, "k8s-app": name, "tier": "control-plane"});
        let yaml = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
            "spec": {"containers": [{"name": name, "image": image}], "hostNetwork": true,
                "priorityClassName": "system-cluster-critical"},
        });
        Item::new(name, &proto::StaticPodSpec { pod: Some(structure(&yaml)) }, &yaml)
    };
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(item).into()
}

/// What is ready on a control plane as soon as it has its config.
fn ready(world: &World, id: Id, name: &str) -> Vec<Item> {
    let spec = proto::ReadyStatusSpec { ready: true, version: "1".to_owned() };
    let item = Item::new(name, &spec, &json!({"ready": true, "version": "1"}));
    control_plane(world, id).map(|_| item).into_iter().collect()
}

fn manifest_status(world: &World, id: Id) -> Vec<Item> {
    const APPLIED: [&str; 5] =
        ["00-kubelet-bootstrapping-token", "05-flannel", "10-kube-proxy", "11-core-dns", "11-core-dns-svc"];
    let spec = proto::ManifestStatusSpec { manifests_applied: APPLIED.map(str::to_owned).to_vec() };
    match control_plane(world, id).is_some() && world.serves_kubernetes(id) {
        true => vec![Item::new("manifests", &spec, &json!({"manifestsApplied": APPLIED}))],
        false => Vec::new(),
    }
}

/// The nodes of a cluster that serve its Kubernetes API.
fn servers(world: &World, id: Id) -> Vec<Id> {
    let key = world.nodes[id].config.as_ref().map(|config| config.kubernetes_key());
    let same = |other: &Id| world.nodes[*other].config.as_ref().map(|config| config.kubernetes_key()) == key;
    let serving = (0..world.nodes.len()).filter(|other| world.serves_kubernetes(*other)).filter(same);
    serving.filter(|_| key.is_some()).collect()
}

fn addresses(world: &World, id: Id) -> Vec<IpAddr> {
    servers(world, id).into_iter().filter_map(|server| world.nodes[server].address()).collect()
}

fn endpoints(world: &World, id: Id) -> Vec<Item> {
    let item = |id: &str, owner: &'static str, addresses: Vec<IpAddr>| {
        let yaml = json!({"addresses": addresses, "hosts": []});
        let spec = proto::EndpointSpec { addresses: addresses.into_iter().map(ip).collect() };
        Item::new(id, &spec, &yaml).owned(owner)
    };
    let found = super::cluster::control_planes(world, id);
    let mut items = vec![item("discovery", "cluster.EndpointController", found)];
    let Some(config) = &world.nodes[id].config else { return items };
    let host = config.endpoint.trim_start_matches("https://").rsplit_once(':').map(|(host, _)| host.parse());
    if let Some(Ok(address)) = host {
        items.push(item("controlplane", "k8s.StaticEndpointController", vec![address]));
    }
    let served = addresses(world, id);
    if !served.is_empty() {
        items.push(item("kube-apiserver", "k8s.EndpointController", served));
    }
    items
}

fn prism_endpoints(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = &world.nodes[id].config else { return Vec::new() };
    let address = config.endpoint.trim_start_matches("https://");
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "443"));
    let first = proto::KubePrismEndpoint { host: host.to_owned(), port: port.parse().unwrap_or(443) };
    let port = u32::from(config.server_port);
    let others = addresses(world, id).into_iter().map(|host| proto::KubePrismEndpoint { host: host.to_string(), port });
    let endpoints: Vec<_> = std::iter::once(first).chain(others).collect();
    let shown: Vec<_> = endpoints.iter().map(|one| json!({"host": one.host, "port": one.port})).collect();
    vec![Item::new("k8s-cluster", &proto::KubePrismEndpointsSpec { endpoints }, &json!({"endpoints": shown}))]
}

fn prism_status(world: &World, id: Id) -> Vec<Item> {
    let healthy = !servers(world, id).is_empty();
    let spec = proto::KubePrismStatusesSpec { host: "127.0.0.1:7445".to_owned(), healthy };
    let yaml = json!({"host": spec.host, "healthy": healthy});
    world.nodes[id].config.is_some().then(|| Item::new("k8s-loadbalancer", &spec, &yaml)).into_iter().collect()
}

fn etcd_spec(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let addresses: Vec<IpAddr> = node.address().into_iter().collect();
    let everywhere = vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let (peers, clients) = match node.config.as_ref().is_some_and(|config| config.etcd_subnets) {
        true => (addresses.clone(), [&[IpAddr::V4(Ipv4Addr::LOCALHOST)], &addresses[..]].concat()),
        false => (everywhere.clone(), everywhere),
    };
    let ips = |addresses: &[IpAddr]| addresses.iter().copied().map(ip).collect();
    let spec = proto::EtcdSpec {
        name: node.hostname().0,
        advertised_addresses: ips(&addresses),
        image: node.version().etcd_image(),
        listen_peer_addresses: ips(&peers),
        listen_client_addresses: ips(&clients),
    };
    let yaml = json!({
        "name": spec.name, "advertisedAddresses": addresses, "listenPeerAddresses": peers,
        "listenClientAddresses": clients, "image": spec.image, "extraArgs": {},
    });
    control_plane(world, id).map(|_| Item::new("etcd", &spec, &yaml)).into_iter().collect()
}
