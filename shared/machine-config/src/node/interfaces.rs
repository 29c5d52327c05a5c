//! The network in the legacy document, up to contract 1.11.

use std::net::IpAddr;

use go_yaml::{Map, Value, map};

use super::{Bond, Node, Route, Vlan, texts};
use crate::config::MachineType;

/// The machine sections for its network and time.
pub(super) fn sections(node: &Node<'_>, machine: MachineType) -> Map {
    let mut network = Map::new();
    network.set("hostname", node.hostname);
    let configured = node.mtu.is_some() || node.bond.is_some() || !node.vlans.is_empty() || !node.routes.is_empty();
    if configured || node.address.is_some() || node.own_vip(machine).is_some() {
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

/// The first link. Other NICs use DHCP by default.
fn interface(node: &Node<'_>, machine: MachineType) -> Map {
    let mut out = Map::new();
    match (&node.bond, node.mac(0)) {
        (Some(bond), _) => {
            out.set("interface", "bond0");
            out.set("bond", bond_section(node, bond));
        }
        (None, Some(mac)) => out.set("deviceSelector", map! { "permanentAddr" => mac }),
        (None, None) => out.set("interface", "eth0"),
    }
    if let Some(address) = node.address {
        out.set("addresses", vec![address.to_string()]);
    }
    let gateway = node.gateway.filter(|_| node.address.is_some());
    set_routes(&mut out, gateway, &node.routes);
    node.mtu.into_iter().for_each(|mtu| out.set("mtu", mtu));
    out.set("dhcp", node.address.is_none());
    if !node.vlans.is_empty() {
        out.set("vlans", node.vlans.iter().map(vlan).collect::<Vec<_>>());
    }
    if let Some(vip) = node.own_vip(machine) {
        out.set("vip", map! { "ip" => vip.to_string() });
    }
    out
}

fn bond_section(node: &Node<'_>, bond: &Bond<'_>) -> Map {
    let mut out = Map::new();
    let macs: Option<Vec<String>> = bond.nics.iter().map(|nic| node.mac(*nic)).collect();
    match macs {
        Some(macs) => {
            let selectors = macs.into_iter().map(|mac| map! { "permanentAddr" => mac });
            out.set("deviceSelectors", selectors.collect::<Vec<Value>>());
        }
        None => out.set("interfaces", bond.nics.iter().map(|nic| format!("eth{nic}")).collect::<Vec<_>>()),
    }
    out.set("mode", bond.mode);
    for (key, milliseconds) in [("miimon", 100), ("updelay", 200), ("downdelay", 200)] {
        out.set(key, milliseconds);
    }
    out
}

fn vlan(vlan: &Vlan) -> Map {
    let mut out = Map::new();
    if let Some(address) = vlan.address {
        out.set("addresses", vec![address.to_string()]);
    }
    set_routes(&mut out, None, &vlan.routes);
    out.set("dhcp", vlan.address.is_none());
    out.set("vlanId", u32::from(vlan.id));
    vlan.mtu.into_iter().for_each(|mtu| out.set("mtu", mtu));
    out
}

fn set_routes(out: &mut Map, gateway: Option<IpAddr>, routes: &[Route]) {
    let default = gateway.map(|gateway| {
        let everything = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        route(everything.to_owned(), gateway, None)
    });
    let more = routes.iter().map(|one| route(one.to.trunc().to_string(), one.via, one.metric));
    let all: Vec<Map> = default.into_iter().chain(more).collect();
    if !all.is_empty() {
        out.set("routes", all);
    }
}

fn route(network: String, gateway: IpAddr, metric: Option<u32>) -> Map {
    let mut out = Map::new();
    out.set("network", network);
    out.set("gateway", gateway.to_string());
    metric.into_iter().for_each(|metric| out.set("metric", metric));
    out
}
