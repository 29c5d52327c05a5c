//! The network as documents, from contract 1.12 on.
//!
//! A document about any link disables DHCP on all of them, so every link that still uses it gets a document, too.

use std::net::IpAddr;

use go_yaml::{Map, Value, map};

use super::{Node, Route, texts};
use crate::config::{Document, MachineType};
use crate::generate::document;

/// The link that the bonded NICs form.
const BOND: &str = "bond0";

pub(super) fn documents(node: &Node<'_>, machine: MachineType) -> Vec<Document> {
    let hostname = [("auto", "off".into()), ("hostname", node.hostname.into())];
    let mut out = vec![document("HostnameConfig", hostname)];
    let vip = node.own_vip(machine);
    if is_configured(node) {
        out.extend((0..node.nics.len()).filter_map(|nic| alias(node, nic)));
        out.extend(links(node));
    } else if vip.is_some() {
        out.extend(alias(node, 0));
    }
    if let Some(vip) = vip {
        let fields = [("name", vip.to_string().into()), ("link", first_link(node).into())];
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

/// Whether any link needs configuration.
fn is_configured(node: &Node<'_>) -> bool {
    let plain = node.address.is_none() && node.mtu.is_none() && node.bond.is_none();
    !(plain && node.vlans.is_empty() && node.routes.is_empty())
}

/// The name of a NIC: its alias if its hardware address is known, else its name in nocloud images.
fn nic_name(node: &Node<'_>, nic: usize) -> String {
    if node.mac(nic).is_some() { format!("net{nic}") } else { format!("eth{nic}") }
}

fn alias(node: &Node<'_>, nic: usize) -> Option<Document> {
    let selector = format!("mac(link.permanent_addr) == {:?}", node.mac(nic)?);
    let fields = [("name", nic_name(node, nic).into()), ("selector", map! { "match" => selector })];
    Some(document("LinkAliasConfig", fields))
}

fn first_link(node: &Node<'_>) -> String {
    if node.bond.is_some() { BOND.to_owned() } else { nic_name(node, 0) }
}

fn links(node: &Node<'_>) -> Vec<Document> {
    let first = first_link(node);
    let mut out = vec![bond_or_link(node, &first)];
    let dhcp = node.address.is_none().then(|| first.clone());
    let others = node.other_nics().map(|nic| nic_name(node, nic));
    out.extend(dhcp.into_iter().chain(others).map(dhcp_config));
    for vlan in &node.vlans {
        let name = format!("vlan{}", vlan.id);
        let mut fields = Map::new();
        fields.set("name", name.as_str());
        fields.set("vlanID", u32::from(vlan.id));
        fields.set("parent", first.as_str());
        common(&mut fields, vlan.mtu, vlan.address, &vlan.routes, None);
        out.push(filled("VLANConfig", fields));
        out.extend(vlan.address.is_none().then(|| dhcp_config(name)));
    }
    out
}

fn bond_or_link(node: &Node<'_>, name: &str) -> Document {
    let mut fields = Map::new();
    fields.set("name", name);
    let kind = match &node.bond {
        None => "LinkConfig",
        Some(bond) => {
            let nics: Vec<String> = bond.nics.iter().map(|nic| nic_name(node, *nic)).collect();
            fields.set("links", nics);
            fields.set("bondMode", bond.mode);
            // How often a NIC's carrier is checked, and how long it must be stable: Talos warns without these.
            for (key, milliseconds) in [("miimon", 100), ("updelay", 200), ("downdelay", 200)] {
                fields.set(key, milliseconds);
            }
            "BondConfig"
        }
    };
    let gateway = node.gateway.filter(|_| node.address.is_some());
    common(&mut fields, node.mtu, node.address, &node.routes, gateway);
    filled(kind, fields)
}

/// What all links share.
fn common(
    fields: &mut Map,
    mtu: Option<u32>,
    address: Option<ipnet::IpNet>,
    routes: &[Route],
    gateway: Option<IpAddr>,
) {
    fields.set("up", true);
    mtu.into_iter().for_each(|mtu| fields.set("mtu", mtu));
    if let Some(address) = address {
        fields.set("addresses", vec![map! { "address" => address.to_string() }]);
    }
    let default = gateway.map(|gateway| map! { "gateway" => gateway.to_string() });
    let all: Vec<Value> = default.into_iter().chain(routes.iter().map(|one| route(one).into())).collect();
    if !all.is_empty() {
        fields.set("routes", all);
    }
}

/// A route; one to everywhere has no destination.
fn route(route: &Route) -> Map {
    let mut out = Map::new();
    if route.to.prefix_len() > 0 {
        out.set("destination", route.to.trunc().to_string());
    }
    out.set("gateway", route.via.to_string());
    route.metric.into_iter().for_each(|metric| out.set("metric", metric));
    out
}

fn dhcp_config(link: String) -> Document {
    document("DHCPv4Config", [("name", link.into())])
}

fn filled(kind: &str, fields: Map) -> Document {
    let mut out = document(kind, []);
    out.fields = fields;
    out
}
