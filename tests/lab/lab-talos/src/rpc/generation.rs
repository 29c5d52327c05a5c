//! Machine configs that a node generates: an API of releases up to 1.12.

use cluster_pki::Bundle;
use machine_config::generate::{Input, Options, endpoint_host, generate};
use machine_config::{Contract, MachineType, patch};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tonic::Status;

use super::Call;
use crate::node::Node;
use lab_core::random;
use messages::{Cluster, Device, Generated, Machine, Reply, Request};

/// Its messages, which are gone from the API of later releases.
pub(super) mod messages {
    use prost_types::Timestamp;
    use talos_proto::common;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Request {
        #[prost(string, tag = "1")]
        pub(crate) config_version: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) cluster: Option<Cluster>,
        #[prost(message, optional, tag = "3")]
        pub(crate) machine: Option<Machine>,
        #[prost(message, optional, tag = "4")]
        pub(crate) override_time: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Cluster {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) control_plane: Option<ControlPlane>,
        #[prost(message, optional, tag = "3")]
        pub(crate) network: Option<ClusterNetwork>,
        #[prost(bool, tag = "4")]
        pub(crate) allow_scheduling_on_control_planes: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ControlPlane {
        #[prost(string, tag = "1")]
        pub(crate) endpoint: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ClusterNetwork {
        #[prost(string, tag = "1")]
        pub(crate) dns_domain: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) cni: Option<Cni>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Cni {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, repeated, tag = "2")]
        pub(crate) urls: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Machine {
        /// 1 for `init`, 2 for control planes, 3 for workers.
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(message, optional, tag = "2")]
        pub(crate) install: Option<Install>,
        #[prost(message, optional, tag = "3")]
        pub(crate) network: Option<Network>,
        #[prost(string, tag = "4")]
        pub(crate) kubernetes_version: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Install {
        #[prost(string, tag = "1")]
        pub(crate) disk: String,
        #[prost(string, tag = "2")]
        pub(crate) image: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Network {
        #[prost(string, tag = "1")]
        pub(crate) hostname: String,
        #[prost(message, repeated, tag = "2")]
        pub(crate) interfaces: Vec<Device>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Device {
        #[prost(string, tag = "1")]
        pub(crate) interface: String,
        #[prost(string, tag = "2")]
        pub(crate) cidr: String,
        #[prost(int32, tag = "3")]
        pub(crate) mtu: i32,
        #[prost(bool, tag = "4")]
        pub(crate) dhcp: bool,
        #[prost(bool, tag = "5")]
        pub(crate) ignore: bool,
        #[prost(message, optional, tag = "6")]
        pub(crate) dhcp_options: Option<DhcpOptions>,
        #[prost(message, repeated, tag = "7")]
        pub(crate) routes: Vec<Route>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct DhcpOptions {
        #[prost(uint32, tag = "1")]
        pub(crate) route_metric: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Route {
        #[prost(string, tag = "1")]
        pub(crate) network: String,
        #[prost(string, tag = "2")]
        pub(crate) gateway: String,
        #[prost(uint32, tag = "3")]
        pub(crate) metric: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Reply {
        #[prost(message, repeated, tag = "1")]
        pub(crate) messages: Vec<Generated>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Generated {
        #[prost(message, optional, tag = "1")]
        pub(crate) metadata: Option<common::Metadata>,
        #[prost(bytes = "vec", repeated, tag = "2")]
        pub(crate) data: Vec<Vec<u8>>,
        #[prost(bytes = "vec", tag = "3")]
        pub(crate) talosconfig: Vec<u8>,
    }
}

const YEAR: Duration = Duration::hours(8760);

const INIT: i32 = 1;
const CONTROL_PLANE: i32 = 2;
const WORKER: i32 = 3;

/// A config of the cluster that the node is in, or of a new one in maintenance mode.
pub(super) fn generate_configuration(call: &Call<'_>, request: &Request) -> Result<Reply, Status> {
    let current = call.see(|node| node.config.clone());
    let invalid = || Status::unknown("invalid generate request");
    if current.is_some() && !call.see(Node::is_control_plane) {
        return Err(Status::unknown("config can't be generated on worker nodes"));
    }
    let machine = request.machine.as_ref().ok_or_else(invalid)?;
    if call.caller.maintenance && machine.kind == WORKER {
        return Err(Status::unknown("join config can't be generated in the maintenance mode"));
    }
    let cluster = request.cluster.as_ref().ok_or_else(invalid)?;
    let endpoint = &cluster.control_plane.as_ref().ok_or_else(invalid)?.endpoint;
    if request.config_version != "v1alpha1" {
        return Err(Status::unknown(format!("unsupported config version {}", request.config_version)));
    }
    // Talos 1.12 still generates what 1.11 did.
    let contract = format!("v1.{}", call.see(Node::version).minor.min(11));
    let contract = Contract::parse(&contract).map_err(unknown)?;
    let now = request.override_time.as_ref().map_or_else(OffsetDateTime::now_utc, |time| {
        OffsetDateTime::from_unix_timestamp(time.seconds).unwrap_or_else(|_| OffsetDateTime::now_utc())
    });
    let bundle = match current {
        Some(config) => Bundle::from_config(&machine_config::load(&config.text).map_err(unknown)?).map_err(unknown)?,
        None => Bundle::generate(contract, now, &mut random).map_err(unknown)?,
    };
    let text = config(contract, &bundle, machine, cluster, endpoint)?;
    let endpoints = vec![endpoint_host(endpoint).to_owned()];
    let context = bundle.client(&[super::roles::ADMIN], endpoints, now, YEAR, &mut random);
    let talosconfig = talosconfig::Talosconfig::of(&cluster.name, context.map_err(unknown)?).emit(contract.dialect());
    let talosconfig = talosconfig.expose().as_bytes().to_vec();
    Ok(Reply { messages: vec![Generated { metadata: None, data: vec![text.into_bytes()], talosconfig }] })
}

fn unknown(error: impl std::fmt::Display) -> Status {
    Status::unknown(error.to_string())
}

fn config(
    contract: Contract,
    bundle: &Bundle,
    machine: &Machine,
    cluster: &Cluster,
    endpoint: &str,
) -> Result<String, Status> {
    let kind = match machine.kind {
        INIT | CONTROL_PLANE => MachineType::ControlPlane,
        WORKER => MachineType::Worker,
        _ => return Err(Status::unknown("failed to determine config type to generate")),
    };
    let mut options =
        Options { schedule_on_control_planes: cluster.allow_scheduling_on_control_planes, ..Options::default() };
    if let Some(install) = &machine.install {
        (options.install_disk, options.install_image) = (install.disk.clone(), install.image.clone());
    }
    if let Some(network) = cluster.network.as_ref().filter(|network| !network.dns_domain.is_empty()) {
        options.dns_domain.clone_from(&network.dns_domain);
    }
    let (kubernetes, secrets) = (machine.kubernetes_version.as_str(), bundle.secrets());
    let input = Input { cluster: &cluster.name, endpoint, contract, kubernetes, secrets, options };
    let changes = changes(machine, cluster).to_string();
    let patch = patch::parse(&changes).map_err(unknown)?;
    let config = patch::apply(&generate(&input, kind), &[patch]).map_err(unknown)?;
    Ok(config.text(contract.dialect()))
}

/// What the generator has no option for, as a patch.
fn changes(machine: &Machine, cluster: &Cluster) -> Value {
    let mut changes = json!({});
    if machine.kind == INIT {
        changes["machine"]["type"] = "init".into();
    }
    if let Some(network) = &machine.network {
        let mut made = json!({});
        if !network.hostname.is_empty() {
            made["hostname"] = network.hostname.as_str().into();
        }
        if !network.interfaces.is_empty() {
            made["interfaces"] = network.interfaces.iter().map(interface).collect();
        }
        changes["machine"]["network"] = made;
    }
    if let Some(cni) = cluster.network.as_ref().and_then(|network| network.cni.as_ref()) {
        changes["cluster"]["network"]["cni"] = json!({"name": cni.name, "urls": cni.urls});
    }
    changes
}

fn interface(device: &Device) -> Value {
    let mut made = json!({"interface": device.interface, "dhcp": device.dhcp, "ignore": device.ignore});
    if !device.cidr.is_empty() {
        made["cidr"] = device.cidr.as_str().into();
    }
    if device.mtu != 0 {
        made["mtu"] = device.mtu.into();
    }
    if let Some(options) = &device.dhcp_options {
        made["dhcpOptions"] = json!({"routeMetric": options.route_metric});
    }
    let route =
        |route: &messages::Route| json!({"network": route.network, "gateway": route.gateway, "metric": route.metric});
    if !device.routes.is_empty() {
        made["routes"] = device.routes.iter().map(route).collect();
    }
    made
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::HeaderMap;
    use prost::Message;

    use super::messages::*;
    use super::{CONTROL_PLANE, INIT, WORKER};
    use crate::config::{Hostname, Role, load};
    use crate::rpc::{Caller, Reply as Answer, call};
    use crate::tests::{BOUND, boot, lab};
    use crate::world::{Apply, Mode};
    use crate::{Stage, Talos};

    fn request(kind: i32) -> Request {
        let install = Install { disk: "/dev/sdb".to_owned(), image: "ghcr.io/siderolabs/installer:v1.12.4".to_owned() };
        let route = Route { network: "0.0.0.0/0".to_owned(), gateway: "127.0.0.1".to_owned(), metric: 1024 };
        let interface = Device {
            interface: "eth1".to_owned(),
            mtu: 1400,
            dhcp: true,
            dhcp_options: Some(DhcpOptions { route_metric: 512 }),
            routes: vec![route],
            ..Default::default()
        };
        let network = Network { hostname: "testhost".to_owned(), interfaces: vec![interface] };
        let cni = Cni { name: "custom".to_owned(), urls: vec!["https://example.org/canal.yaml".to_owned()] };
        Request {
            config_version: "v1alpha1".to_owned(),
            cluster: Some(Cluster {
                name: "made".to_owned(),
                control_plane: Some(ControlPlane { endpoint: "https://127.75.7.11:6443".to_owned() }),
                network: Some(ClusterNetwork { dns_domain: "cluster.test".to_owned(), cni: Some(cni) }),
                allow_scheduling_on_control_planes: true,
            }),
            machine: Some(Machine {
                kind,
                install: Some(install),
                network: Some(network),
                kubernetes_version: "1.35.0".to_owned(),
            }),
            override_time: None,
        }
    }

    /// What a node makes of a request: config and talosconfig.
    fn made(talos: &Arc<Talos>, node: usize, request: &Request) -> Result<(String, String), tonic::Status> {
        let maintenance = talos.nodes()[node].stage() == Stage::Maintenance;
        let roles = if maintenance { Vec::new() } else { vec!["os:admin".to_owned()] };
        let caller = Caller { node, roles, maintenance };
        let messages = [Bytes::from(request.encode_to_vec())];
        let path = "/machine.MachineService/GenerateConfiguration";
        let Answer::One(bytes) = call(talos, &caller, path, &HeaderMap::new(), &messages)? else { panic!("a stream") };
        let mut message = Reply::decode(&bytes[..]).unwrap().messages.remove(0);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ok((text(message.data.remove(0)), text(message.talosconfig)))
    }

    fn apply(talos: &Arc<Talos>, node: usize, text: &str) {
        let data = text.as_bytes().to_vec();
        let apply = Apply { data, mode: Mode::Auto, dry_run: false, try_timeout: None, admin: true };
        talos.update(|world| world.apply(node, &apply)).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_takes_the_config_that_it_made_and_makes_more_of_its_cluster() {
        let talos = lab("127.75.7.0/24");
        for (name, address) in [("cp-1", "127.75.7.11"), ("w-1", "127.75.7.12")] {
            boot(&talos, name, address, "v1.12.4").await;
        }
        let (first, talosconfig) = made(&talos, 0, &request(CONTROL_PLANE)).unwrap();
        let version = "v1.12.4".parse().unwrap();
        let config = load(&first, version).unwrap().config.unwrap();
        assert_eq!((config.role, config.cluster_name.as_str()), (Role::ControlPlane, "made"));
        assert_eq!(config.network.hostname, Hostname::Static("testhost".to_owned()));
        assert_eq!(
            (config.install_disk.as_str(), config.kubelet_image.as_str()),
            ("/dev/sdb", "ghcr.io/siderolabs/kubelet:v1.35.0")
        );
        for text in ["dnsDomain: cluster.test", "https://example.org/canal.yaml", "routeMetric: 512", "mtu: 1400"] {
            assert!(first.contains(text), "{text}");
        }
        assert!(talosconfig.contains("- 127.75.7.11\n"), "the endpoint is the cluster's");

        apply(&talos, 0, &first);
        talos.update(|world| world.bootstrap(0)).unwrap();
        assert!(talos.until(BOUND, |talos| talos.nodes()[0].stage() == Stage::Running).await);
        assert_eq!(made(&talos, 0, &request(CONTROL_PLANE)).unwrap().0, first);
        let (init, _) = made(&talos, 0, &request(INIT)).unwrap();
        assert_eq!(init.replacen("type: init", "type: controlplane", 1), first);

        let (worker, _) = made(&talos, 0, &request(WORKER)).unwrap();
        apply(&talos, 1, &worker);
        assert!(talos.until(BOUND, |talos| talos.nodes()[1].stage() == Stage::Running).await);
        let refused = made(&talos, 1, &request(WORKER)).unwrap_err();
        assert_eq!(refused.message(), "config can't be generated on worker nodes");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_no_config_can_be_made_of_is_refused() {
        let talos = lab("127.75.8.0/24");
        boot(&talos, "old", "127.75.8.11", "v1.12.4").await;
        boot(&talos, "new", "127.75.8.12", "v1.13.9").await;
        let said = |node, request: Request| made(&talos, node, &request).unwrap_err();
        let whole = request(CONTROL_PLANE);
        for (wrong, text) in [
            (Request::default(), "invalid generate request"),
            (Request { cluster: None, ..whole.clone() }, "invalid generate request"),
            (request(WORKER), "join config can't be generated in the maintenance mode"),
            (request(0), "failed to determine config type to generate"),
            (Request { config_version: "v2".to_owned(), ..whole.clone() }, "unsupported config version v2"),
        ] {
            assert_eq!(said(0, wrong).message(), text);
        }
        assert_eq!(said(1, whole).code(), tonic::Code::Unimplemented, "gone since 1.13");
    }
}
