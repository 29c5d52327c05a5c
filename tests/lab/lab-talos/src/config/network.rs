//! The network part of a machine config, legacy fields and documents alike.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_yaml::Value;

use super::fields::{Parts, at, list, text};

/// Where a node's name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hostname {
    /// The config names it; it may be fully qualified.
    Static(String),
    /// The platform's name, else one derived from the machine's identity.
    Stable,
    /// The platform's name, else `talos-` and the address.
    Unset,
}

/// The network settings of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) hostname: Hostname,
    /// Static addresses with their prefixes, of all links.
    pub(crate) addresses: Vec<IpNet>,
    /// Addresses shared by the control planes.
    pub(crate) shared: Vec<IpAddr>,
    /// Whether links without configuration still ask DHCP.
    pub(crate) default_dhcp: bool,
    pub(crate) nameservers: Vec<String>,
    pub(crate) time_servers: Vec<String>,
}

/// Documents whose presence ends DHCP on links that nothing else configures.
const LINKS: [&str; 10] = [
    "LinkConfig",
    "BondConfig",
    "BridgeConfig",
    "VLANConfig",
    "VRFConfig",
    "VethConfig",
    "DummyLinkConfig",
    "WireguardConfig",
    "DHCPv4Config",
    "DHCPv6Config",
];

pub(super) fn read(parts: &Parts<'_>) -> Network {
    let documents = LINKS.iter().any(|kind| parts.kind(kind).next().is_some());
    let legacy = interfaces(parts).next().is_some();
    let dhcp = parts.kind("DHCPv4Config").next().is_some()
        || interfaces(parts).any(|i| i.get("dhcp").is_some_and(|v| text(v) == "true"));
    Network {
        hostname: hostname(parts),
        addresses: addresses(parts),
        shared: shared(parts),
        default_dhcp: dhcp || !(documents || legacy),
        nameservers: nameservers(parts),
        time_servers: time_servers(parts),
    }
}

fn hostname(parts: &Parts<'_>) -> Hostname {
    let document = parts.kind("HostnameConfig").next().map(|d| &d.value);
    let named = document.and_then(|d| d.get("hostname")).map(text).unwrap_or_default();
    let named = if named.is_empty() { parts.text("machine.network.hostname") } else { named };
    let stable = document.and_then(|d| d.get("auto")).is_some_and(|auto| text(auto) == "stable")
        || parts.text("machine.features.stableHostname") == "true";
    match (named.is_empty(), stable) {
        (false, _) => Hostname::Static(named),
        (true, true) => Hostname::Stable,
        (true, false) => Hostname::Unset,
    }
}

/// `machine.network.interfaces`.
pub(super) fn interfaces<'a>(parts: &Parts<'a>) -> impl Iterator<Item = &'a Value> {
    let list = parts.at("machine.network.interfaces").and_then(Value::as_sequence);
    list.into_iter().flatten()
}

fn prefix(text: &str) -> Option<IpNet> {
    let bare = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(bare)
}

fn addresses(parts: &Parts<'_>) -> Vec<IpNet> {
    let legacy = interfaces(parts).flat_map(|i| list(i.get("addresses")));
    let links = parts.documents.iter().filter(|d| LINKS.contains(&d.kind.as_str()));
    let links = links.filter_map(|d| d.value.get("addresses").and_then(Value::as_sequence)).flatten();
    let links = links.filter_map(|entry| entry.get("address")).map(text);
    let mut found: Vec<IpNet> = Vec::new();
    for address in legacy.chain(links).filter_map(|text| prefix(&text)) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// `vip.ip` of an interface and of its VLANs.
pub(super) fn legacy_shared(interface: &Value) -> Vec<String> {
    let vlans = interface.get("vlans").and_then(Value::as_sequence).into_iter().flatten();
    let places = std::iter::once(interface).chain(vlans);
    places.filter_map(|place| at(place, "vip.ip")).map(text).collect()
}

fn shared(parts: &Parts<'_>) -> Vec<IpAddr> {
    let legacy = interfaces(parts).flat_map(legacy_shared);
    let documents = parts.kind("Layer2VIPConfig").map(|d| d.name.clone());
    legacy.chain(documents).filter_map(|text| text.parse().ok()).collect()
}

fn nameservers(parts: &Parts<'_>) -> Vec<String> {
    let document = parts.kind("ResolverConfig").next();
    let entries = document.and_then(|d| d.value.get("nameservers")).and_then(Value::as_sequence);
    match entries {
        Some(entries) => entries.iter().filter_map(|e| e.get("address")).map(text).collect(),
        None => list(parts.at("machine.network.nameservers")),
    }
}

fn time_servers(parts: &Parts<'_>) -> Vec<String> {
    let document = parts.kind("TimeSyncConfig").next();
    let servers = document.and_then(|d| at(&d.value, "ntp.servers"));
    list(servers.or_else(|| parts.at("machine.time.servers")))
}
