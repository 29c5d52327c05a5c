//! Resources about what a node runs for Kubernetes.

use serde_json::json;
use talos_proto::definitions as proto;

use super::Definition;
use super::spec::Item;
use crate::talos::config::Config;
use crate::talos::world::{Id, World};

const fn component(kind: &'static str, display: &'static str, items: fn(&World, Id) -> Vec<Item>) -> Definition {
    let namespace = "controlplane";
    Definition { kind, display, namespace, aliases: &[], columns: &[], sensitive: false, since: 0, items }
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition { sensitive: true, ..component("APIServerConfigs.kubernetes.talos.dev", "APIServerConfig", api_server) },
    component("ControllerManagerConfigs.kubernetes.talos.dev", "ControllerManagerConfig", |world, id| {
        part(world, id, "kube-controller-manager")
    }),
    component("SchedulerConfigs.kubernetes.talos.dev", "SchedulerConfig", |world, id| {
        part(world, id, "kube-scheduler")
    }),
    component("BootstrapManifestsConfigs.kubernetes.talos.dev", "BootstrapManifestsConfig", manifests),
    Definition {
        sensitive: true,
        namespace: "k8s",
        ..component("KubeletSpecs.kubernetes.talos.dev", "KubeletSpec", kubelet)
    },
];

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
        local_port: config.server_port.into(),
        service_cid_rs: vec!["10.96.0.0/12".to_owned()],
        advertised_address: "$(POD_IP)".to_owned(),
    };
    let yaml = json!({
        "image": spec.image, "cloudProvider": "", "controlPlaneEndpoint": spec.control_plane_endpoint,
        "etcdServers": ["https://localhost:2379"], "localPort": spec.local_port, "serviceCIDR": spec.service_cid_rs,
        "extraArgs": {}, "extraVolumes": [], "environmentVariables": {}, "advertisedAddress": spec.advertised_address,
    });
    vec![Item::new("kube-apiserver", &spec, &yaml)]
}

fn part(world: &World, id: Id, name: &str) -> Vec<Item> {
    if control_plane(world, id).is_none() {
        return Vec::new();
    }
    let image = format!("registry.k8s.io/{name}:{}", world.server_version(id));
    let yaml =
        json!({"enabled": true, "image": image, "extraArgs": {}, "extraVolumes": [], "environmentVariables": {}});
    vec![Item::new(name, &proto::ComponentConfigSpec { enabled: true, image }, &yaml)]
}

fn manifests(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = control_plane(world, id) else { return Vec::new() };
    let spec = proto::BootstrapManifestsConfigSpec {
        server: config.endpoint.clone(),
        cluster_domain: "cluster.local".to_owned(),
        proxy_enabled: true,
        proxy_image: format!("registry.k8s.io/kube-proxy:{}", world.server_version(id)),
        core_dns_enabled: true,
        dns_service_ip: "10.96.0.10".to_owned(),
        flannel_enabled: true,
    };
    let yaml = json!({
        "string": spec.server, "clusterDomain": spec.cluster_domain, "podCIDRs": ["10.244.0.0/16"], "proxyEnabled": true,
        "proxyImage": spec.proxy_image, "coreDNSEnabled": true, "dnsServiceIP": spec.dns_service_ip,
        "flannelEnabled": true,
    });
    vec![Item::new("manifests", &spec, &yaml)]
}

fn kubelet(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = &world.nodes[id].config else { return Vec::new() };
    let spec = proto::KubeletSpecSpec {
        image: config.kubelet_image.clone(),
        args: vec![format!("--hostname-override={}", world.nodename(id))],
        expected_nodename: world.nodename(id),
        config: None,
    };
    let yaml = json!({
        "image": spec.image, "args": spec.args, "expectedNodename": spec.expected_nodename,
        "config": {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"},
    });
    vec![Item::new("kubelet", &spec, &yaml)]
}
