//! What makes one node's config differ from the next: its name, its addresses, what it tells Kubernetes of itself.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::{Config, Document, MachineType};
use crate::contract::{Contract, Gate};
use crate::generate::document;
use crate::kinds::LEGACY;
use crate::labels;
use crate::patch;
use crate::value::{Map, Value, map};

/// What is known of a node.
#[derive(Clone, Debug, Default)]
pub struct Node<'a> {
    /// Host name, which may be fully qualified.
    pub hostname: &'a str,
    /// Static address; none for DHCP.
    pub address: Option<IpNet>,
    /// Default gateway of a static address.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub nameservers: Vec<IpAddr>,
    /// Time servers.
    pub ntp: Vec<&'a str>,
    /// Address that the control planes share.
    pub vip: Option<IpAddr>,
    /// Hardware address of the first NIC.
    pub mac: Option<&'a str>,
    /// Kubernetes labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Kubernetes annotations.
    pub annotations: Vec<(&'a str, &'a str)>,
    /// Kubernetes taints: key to `Effect` or `value:Effect`.
    pub taints: Vec<(&'a str, &'a str)>,
}

/// The alias of the first NIC, where its hardware address is known.
const ALIAS: &str = "net0";
/// The first NIC on nocloud images, which keep the kernel's names.
const FIRST_NIC: &str = "eth0";

/// Why a node's config can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A label, annotation or taint.
    #[error(transparent)]
    Label(#[from] labels::Error),
    /// A document that doesn't merge.
    #[error(transparent)]
    Patch(#[from] patch::Error),
}

/// Writes what is known of a node into its config, as the documents of the contract.
pub fn tailor(config: &Config, contract: Contract, machine: MachineType, node: &Node<'_>) -> Result<Config, Error> {
    check(node, machine)?;
    let mut documents = if contract.has(Gate::NetworkDocuments) {
        network_documents(node, machine)
    } else {
        vec![legacy(map! { "machine" => legacy_network(node, machine) })]
    };
    documents.extend(kubernetes(contract, node));
    documents.extend(etcd(node, machine));
    Ok(patch::merge(config, &documents)?)
}

fn check(node: &Node<'_>, machine: MachineType) -> Result<(), labels::Error> {
    node.labels.iter().try_for_each(|(key, value)| labels::label(key, value, machine))?;
    node.annotations.iter().try_for_each(|(key, _)| labels::annotation(key))?;
    node.taints.iter().try_for_each(|(key, value)| labels::taint(key, value))
}

fn legacy(fields: Value) -> Document {
    Document::new(&LEGACY, fields)
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().copied().collect()
}

impl Node<'_> {
    /// The VIP, which only control planes carry.
    fn own_vip(&self, machine: MachineType) -> Option<IpAddr> {
        self.vip.filter(|_| machine == MachineType::ControlPlane)
    }

    /// The network that the node's address lies in.
    fn network(&self) -> Option<String> {
        self.address.map(|address| address.trunc().to_string())
    }
}

fn network_documents(node: &Node<'_>, machine: MachineType) -> Vec<Document> {
    let hostname = [("auto", "off".into()), ("hostname", node.hostname.into())];
    let mut out = vec![document("HostnameConfig", hostname)];
    let vip = node.own_vip(machine);
    let link = if node.mac.is_some() { ALIAS } else { FIRST_NIC };
    if let Some(mac) = node.mac.filter(|_| node.address.is_some() || vip.is_some()) {
        let selector = format!("mac(link.permanent_addr) == {:?}", mac.to_lowercase());
        out.push(document("LinkAliasConfig", [("name", link.into()), ("selector", map! { "match" => selector })]));
    }
    if let Some(address) = node.address {
        out.push(link_config(link, address, node.gateway));
    }
    if let Some(vip) = vip {
        let fields = [("name", vip.to_string().into()), ("link", link.into())];
        out.push(document("Layer2VIPConfig", fields));
    }
    if !node.nameservers.is_empty() {
        let servers: Vec<Value> =
            node.nameservers.iter().map(|address| map! { "address" => address.to_string() }).collect();
        out.push(document("ResolverConfig", [("nameservers", servers.into())]));
    }
    if !node.ntp.is_empty() {
        out.push(document("TimeSyncConfig", [("ntp", map! { "servers" => texts(&node.ntp) })]));
    }
    out
}

/// A link with an address of its own. Its being there switches DHCP off on every link.
fn link_config(link: &str, address: IpNet, gateway: Option<IpAddr>) -> Document {
    let mut out = document(
        "LinkConfig",
        [
            ("name", link.into()),
            ("up", true.into()),
            ("addresses", vec![map! { "address" => address.to_string() }].into()),
        ],
    );
    if let Some(gateway) = gateway {
        out.fields.set("routes", vec![map! { "gateway" => gateway.to_string() }]);
    }
    out
}

fn legacy_network(node: &Node<'_>, machine: MachineType) -> Map {
    let mut network = Map::new();
    network.set("hostname", node.hostname);
    if node.address.is_some() || node.own_vip(machine).is_some() {
        network.set("interfaces", vec![interface(node, machine)]);
    }
    if !node.nameservers.is_empty() {
        network.set("nameservers", texts(&node.nameservers));
    }
    let mut out = Map::new();
    out.set("network", network);
    if !node.ntp.is_empty() {
        out.set("time", map! { "servers" => texts(&node.ntp) });
    }
    out
}

fn interface(node: &Node<'_>, machine: MachineType) -> Map {
    let mut out = Map::new();
    match node.mac {
        Some(mac) => out.set("deviceSelector", map! { "permanentAddr" => mac.to_lowercase() }),
        None => out.set("interface", FIRST_NIC),
    }
    if let Some(address) = node.address {
        out.set("addresses", vec![address.to_string()]);
    }
    if let Some(gateway) = node.gateway.filter(|_| node.address.is_some()) {
        let everything = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        out.set("routes", vec![map! { "network" => everything, "gateway" => gateway.to_string() }]);
    }
    out.set("dhcp", node.address.is_none());
    if let Some(vip) = node.own_vip(machine) {
        out.set("vip", map! { "ip" => vip.to_string() });
    }
    out
}

/// What the node tells Kubernetes of itself; the kubelet's address is pinned to the node's own network.
fn kubernetes(contract: Contract, node: &Node<'_>) -> Option<Document> {
    let subnets = node.network().map(|network| map! { "validSubnets" => vec![network] });
    let sets = [("labels", &node.labels), ("annotations", &node.annotations), ("taints", &node.taints)];
    let sets = sets.into_iter().filter(|(_, set)| !set.is_empty());
    let mut fields = Map::new();
    if contract.has(Gate::Documents) {
        sets.for_each(|(name, set)| fields.set(name, pairs(set)));
        subnets.into_iter().for_each(|subnets| fields.set("nodeIP", subnets));
        return (!fields.is_empty()).then(|| {
            let mut out = document("KubeNodeConfig", []);
            out.fields = fields;
            out
        });
    }
    sets.for_each(|(name, set)| fields.set(legacy_name(name), pairs(set)));
    subnets.into_iter().for_each(|subnets| fields.set("kubelet", map! { "nodeIP" => subnets }));
    (!fields.is_empty()).then(|| legacy(map! { "machine" => fields }))
}

fn legacy_name(set: &str) -> &'static str {
    match set {
        "labels" => "nodeLabels",
        "annotations" => "nodeAnnotations",
        _ => "nodeTaints",
    }
}

/// etcd announces itself in the node's own network, not in one that a pod or a second NIC brings.
fn etcd(node: &Node<'_>, machine: MachineType) -> Option<Document> {
    let network = node.network().filter(|_| machine == MachineType::ControlPlane)?;
    Some(legacy(map! { "cluster" => map! { "etcd" => map! { "advertisedSubnets" => vec![network] } } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(contract: &str, machine: &str, node: &Node<'_>) -> String {
        let contract = Contract::parse(contract).unwrap();
        let hostname = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
        let mut text = format!("machine: {{type: {machine}}}\n");
        if contract.has(Gate::NetworkDocuments) {
            text.push_str(&format!("---\n{hostname}"));
        }
        let config = crate::load(&text).unwrap();
        let machine = MachineType::parse(machine).unwrap();
        tailor(&config, contract, machine, node).unwrap().text(contract.dialect())
    }

    fn node() -> Node<'static> {
        Node {
            hostname: "cp-1.lab.lan",
            address: Some("10.0.0.11/24".parse().unwrap()),
            gateway: Some("10.0.0.1".parse().unwrap()),
            nameservers: vec!["10.0.0.1".parse().unwrap()],
            ntp: vec!["time.cloudflare.com"],
            vip: Some("10.0.0.10".parse().unwrap()),
            mac: Some("BC:24:11:00:00:01"),
            labels: vec![("rack", "7")],
            ..Node::default()
        }
    }

    #[test]
    fn from_1_12_on_each_fact_is_a_document_and_the_link_is_found_by_mac() {
        insta::assert_snapshot!(config("v1.13", "controlplane", &node()));
    }

    #[test]
    fn up_to_1_11_the_facts_stand_in_the_legacy_document() {
        insta::assert_snapshot!(config("v1.11", "controlplane", &node()));
    }

    #[test]
    fn a_worker_with_dhcp_gets_a_name_and_nothing_that_switches_dhcp_off() {
        let node = Node { hostname: "w-1", vip: node().vip, mac: node().mac, ..Node::default() };
        let text = config("v1.12", "worker", &node);
        assert!(text.ends_with("kind: HostnameConfig\nauto: \"off\"\nhostname: w-1\n"), "{text}");
    }

    #[test]
    fn an_unknown_mac_means_the_first_nic_of_a_nocloud_image() {
        let text = config("v1.13", "worker", &Node { mac: None, ..node() });
        assert!(text.contains("kind: LinkConfig\nname: eth0\n") && !text.contains("LinkAliasConfig"));
        assert!(!text.contains("Layer2VIPConfig"));
    }

    #[test]
    fn from_1_14_on_labels_stand_in_the_node_document() {
        let text = config("v1.14", "controlplane", &node());
        assert!(
            text.contains(
                "kind: KubeNodeConfig\nnodeIP:\n    validSubnets:\n        - 10.0.0.0/24\nlabels:\n    rack: \"7\"\n"
            ),
            "{text}"
        );
    }
}
