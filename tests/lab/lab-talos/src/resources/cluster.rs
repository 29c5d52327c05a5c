//! Resources about the cluster that a node belongs to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use talos_proto::definitions as proto;

use super::Source;
use super::spec::{Item, ip, prefix, structure};
use crate::config::Role;
use crate::node::{Node, Progress};
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] = &[
    ("Affiliates.cluster.talos.dev", affiliates),
    ("Identities.cluster.talos.dev", identity),
    ("EtcdMembers.etcd.talos.dev", etcd_member),
    ("Members.cluster.talos.dev", members),
    ("Infos.cluster.talos.dev", info),
    ("Nodenames.kubernetes.talos.dev", nodename),
    ("NodeStatuses.kubernetes.talos.dev", node_status),
    ("StaticPodStatuses.kubernetes.talos.dev", static_pods),
];

fn etcd_member(world: &World, id: Id) -> Vec<Item> {
    let member = world.disk(id).and_then(|disk| disk.etcd).filter(|_| world.etcd_healthy(id));
    let item = |(_, member): (u64, u64)| {
        let member_id = format!("{member:016x}");
        let yaml = json!({"memberID": member_id});
        Item::new("local", &proto::EtcdMemberSpec { member_id }, &yaml)
    };
    member.map(item).into_iter().collect()
}

/// The nodes of a cluster that are on, this one included.
fn peers(world: &World, id: Id) -> Vec<Id> {
    let key = |id: Id| world.nodes[id].config.as_ref().map(|config| config.trust_key());
    let Some(own) = key(id) else { return Vec::new() };
    (0..world.nodes.len()).filter(|other| world.nodes[*other].on && key(*other) == Some(own)).collect()
}

/// The addresses of its control planes, as the nodes tell each other.
pub(super) fn control_planes(world: &World, id: Id) -> Vec<IpAddr> {
    let others = peers(world, id).into_iter().map(|other| &world.nodes[other]);
    others.filter(|node| node.is_control_plane()).filter_map(Node::address).collect()
}

fn members(world: &World, id: Id) -> Vec<Item> {
    peers(world, id).into_iter().map(|other| member(world, other)).collect()
}

/// 32 bytes in the digits of base 62, as a node makes them of chance (seen on 1.13.9).
fn node_id(world: &World, id: Id) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = Sha256::digest(world.nodes[id].machine.uuid.to_lowercase()).to_vec();
    let mut digits = String::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0;
        for byte in &mut number {
            let all = rest * 256 + usize::from(*byte);
            *byte = u8::try_from(all / 62).unwrap_or_default();
            rest = all % 62;
        }
        digits.insert(0, char::from(DIGITS[rest]));
    }
    digits
}

fn identity(world: &World, id: Id) -> Vec<Item> {
    let node_id = node_id(world, id);
    let yaml = json!({"nodeId": node_id});
    vec![Item::new("local", &proto::IdentitySpec { node_id }, &yaml)]
}

/// The type of a machine, as a number and as a word.
fn machine_type(node: &Node) -> (i32, &'static str) {
    match node.is_control_plane() {
        true => (proto::MachineType::ControlPlane as i32, "controlplane"),
        false => (proto::MachineType::Worker as i32, "worker"),
    }
}

/// The members as they reported themselves, by the identities of their machines.
fn affiliates(world: &World, id: Id) -> Vec<Item> {
    let item = |other: Id| {
        let node = &world.nodes[other];
        let addresses: Vec<String> = node.addresses.iter().map(|address| address.addr().to_string()).collect();
        let (number, name) = machine_type(node);
        let port = node.config.as_ref().filter(|_| node.is_control_plane()).map(|config| config.server_port);
        let spec = proto::AffiliateSpec {
            node_id: node_id(world, other),
            addresses: node.addresses.iter().map(|address| ip(address.addr())).collect(),
            hostname: node.full_name(),
            nodename: world.nodename(other),
            operating_system: format!("Talos ({})", node.tag()),
            machine_type: number,
            control_plane: port.map(|port| proto::ControlPlane { api_server_port: port.into() }),
        };
        let mut yaml = json!({
            "nodeId": spec.node_id, "addresses": addresses, "hostname": spec.hostname, "nodename": spec.nodename,
            "operatingSystem": spec.operating_system, "machineType": name,
        });
        if let Some(port) = port {
            yaml["controlPlane"] = json!({"port": port});
        }
        Item::new(&spec.node_id, &spec, &yaml)
    };
    peers(world, id).into_iter().map(item).collect()
}

fn member(world: &World, id: Id) -> Item {
    let node = &world.nodes[id];
    let control_plane = node.is_control_plane();
    let (number, name) = machine_type(node);
    let port = i64::from(node.config.as_ref().map_or(6443, |config| config.server_port));
    let node_id = node_id(world, id);
    let spec = proto::ClusterMemberSpec {
        node_id: node_id.clone(),
        addresses: node.addresses.iter().map(|address| ip(address.addr())).collect(),
        hostname: node.full_name(),
        machine_type: number,
        operating_system: format!("Talos ({})", node.tag()),
        control_plane: control_plane.then_some(proto::ControlPlane { api_server_port: port }),
    };
    let addresses: Vec<String> = node.addresses.iter().map(|address| address.addr().to_string()).collect();
    let mut yaml = json!({
        "nodeId": node_id,
        "addresses": addresses,
        "hostname": spec.hostname,
        "machineType": name,
        "operatingSystem": spec.operating_system,
    });
    if control_plane {
        yaml["controlPlane"] = json!({"port": port});
    }
    Item::new(&node.hostname().0, &spec, &yaml)
}

fn info(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = &world.nodes[id].config else { return Vec::new() };
    let spec =
        proto::ClusterInfoSpec { cluster_id: config.cluster_id.clone(), cluster_name: config.cluster_name.clone() };
    let yaml = json!({"clusterId": spec.cluster_id, "clusterName": spec.cluster_name});
    vec![Item::new("current", &spec, &yaml)]
}

fn nodename(world: &World, id: Id) -> Vec<Item> {
    if world.nodes[id].config.is_none() {
        return Vec::new();
    }
    let nodename = world.nodename(id);
    let yaml = json!({"nodename": nodename, "hostnameVersion": "1", "skipNodeRegistration": false});
    let spec = proto::NodenameSpec { nodename, hostname_version: "1".to_owned(), skip_node_registration: false };
    vec![Item::new("nodename", &spec, &yaml)]
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn node_status(world: &World, id: Id) -> Vec<Item> {
    if world.nodes[id].kubelet == Progress::Off {
        return Vec::new();
    }
    let name = world.nodename(id);
    let Some(store) = world.kubernetes_of(id).map(|etcd| &world.etcds[etcd].store) else { return Vec::new() };
    let Some(object) = store.node(&name) else { return Vec::new() };
    let range = object["spec"]["podCIDR"].as_str().and_then(|text| text.parse::<ipnet::IpNet>().ok());
    let spec = proto::NodeStatusSpec {
        nodename: name.clone(),
        node_ready: store.is_ready(&name),
        unschedulable: object["spec"]["unschedulable"] == json!(true),
        labels: texts(&object["metadata"]["labels"]).into_iter().collect(),
        annotations: texts(&object["metadata"]["annotations"]).into_iter().collect(),
        pod_cid_rs: range.iter().map(|range| prefix(range.addr(), range.prefix_len())).collect(),
    };
    let yaml = json!({
        "nodename": name,
        "nodeReady": spec.node_ready,
        "unschedulable": spec.unschedulable,
        "labels": object["metadata"]["labels"],
        "annotations": object["metadata"]["annotations"],
        "podCIDRs": object["spec"]["podCIDRs"],
    });
    vec![Item::new(&name, &spec, &yaml)]
}

fn static_pods(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    if node.role() != Some(Role::ControlPlane) || node.apiserver == Progress::Off {
        return Vec::new();
    }
    let ready = node.apiserver == Progress::Up && node.faults.pods_wait.is_none();
    let status = if ready { "True" } else { "False" };
    let name = world.nodename(id);
    let item = |component: &str| {
        let mut yaml = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": status}]});
        if let Some((reason, message)) = &node.faults.pods_wait {
            let waiting = json!({"waiting": {"reason": reason, "message": message}});
            yaml["containerStatuses"] = json!([{"name": component, "ready": false, "state": waiting}]);
        }
        let pod_status = Some(structure(&yaml));
        Item::new(&format!("kube-system/{component}-{name}"), &proto::StaticPodStatusSpec { pod_status }, &yaml)
    };
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].into_iter().map(item).collect()
}
