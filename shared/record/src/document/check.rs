//! Checks that need nothing but the file.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::{Map, Node, Role, Unusable};

/// The cluster's name: it becomes a folder, a context and part of VM names.
pub(super) fn cluster_name(document: &Map) -> Result<String, Unusable> {
    label(document.get("name"), "name", "the cluster's name")
}

/// A node's name: it becomes a file, a VM and a host name.
pub(super) fn node_name(node: &Map, place: &str) -> Result<String, Unusable> {
    label(node.get("name"), &format!("{place}.name"), "a node's name")
}

fn label(value: Option<&Value>, place: &str, what: &str) -> Result<String, Unusable> {
    let rule =
        format!("{what} is an RFC 1123 label: 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit");
    match value {
        None | Some(Value::Null) => Err(Unusable::new(format!("{place} is missing")).hint(rule)),
        Some(Value::String(text)) if is_label(text) => Ok(text.clone()),
        Some(Value::String(text)) => {
            let long = if text.len() > 63 { format!(" ({} characters)", text.len()) } else { String::new() };
            let shown: String = text.chars().take(80).collect();
            Err(Unusable::new(format!("{place}: {shown:?}{long} is not a valid name")).hint(rule))
        }
        Some(other) => Err(Unusable::new(format!("{place}: {other} is not text")).hint("write it in quotes")),
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A node's role.
pub(super) fn role(node: &Map, name: &str, place: &str) -> Result<Role, Unusable> {
    match node.get("role").and_then(Value::as_str) {
        Some("controlplane") => Ok(Role::ControlPlane),
        Some("worker") => Ok(Role::Worker),
        _ => {
            let found = node.get("role").map_or("missing".to_owned(), ToString::to_string);
            Err(Unusable::new(format!("{place}.role of {name} is {found}")).hint("a role is controlplane or worker"))
        }
    }
}

/// Checks parts that are maps, and in some of them values that Kubernetes wants as text but YAML may read otherwise.
pub(super) fn maps(spec: &Map, place: &str) -> Result<(), Unusable> {
    for part in ["vm", "labels", "annotations", "taints", "network"] {
        if let Some(other) = spec.get(part).filter(|value| !value.is_object()) {
            return Err(Unusable::new(format!("{place}: {part} is {other}, not a map")));
        }
    }
    for part in ["labels", "annotations", "taints"] {
        let Some(Value::Object(map)) = spec.get(part) else {
            continue;
        };
        if let Some((key, value)) = map.iter().find(|(_, value)| !value.is_string()) {
            return Err(Unusable::new(format!("{place}: {part}.{key} is {value}, not text"))
                .hint(format!("write it in quotes: {key}: \"{value}\"")));
        }
    }
    Ok(())
}

/// At least one control plane; an odd number of them.
pub(super) fn control_planes(nodes: &[Node], warnings: &mut Vec<String>) -> Result<(), Unusable> {
    let count = nodes.iter().filter(|node| node.is_control_plane()).count();
    if count == 0 {
        return Err(Unusable::new("no node has role: controlplane").hint("a cluster needs at least one control plane"));
    }
    if count % 2 == 0 {
        let lower = count - 1;
        warnings.push(format!("{count} control planes survive no more failures than {lower}: use an odd number"));
    }
    Ok(())
}

/// The addresses of the nodes and the VIP: well-formed, distinct, and on the gateway's network.
pub(super) fn addresses(spec: &Map, nodes: &[Node]) -> Result<(), Unusable> {
    let vip = vip(spec)?;
    let mut owners: HashMap<IpAddr, &str> = HashMap::new();
    for node in nodes {
        let Some(net) = static_address(node)? else {
            continue;
        };
        let (name, address) = (node.name(), net.addr());
        if let Some(other) = owners.insert(address, name) {
            return Err(Unusable::new(format!("nodes {other} and {name} have the same address {address}")));
        }
        if Some(address) == vip {
            return Err(Unusable::new(format!("node {name}: address {address} is the VIP (spec.network.vip)"))
                .hint("the VIP is an address of its own, which the control planes share"));
        }
        let gateway = gateway(node, net)?;
        if let Some(vip) = vip.filter(|vip| node.is_control_plane() && gateway == Some(*vip)) {
            return Err(Unusable::new(format!("spec.network.vip: {vip} is the gateway of {name}"))
                .hint("the VIP is an address of its own, which the control planes share"));
        }
        if let Some(vip) = vip.filter(|vip| node.is_control_plane() && !net.contains(vip)) {
            return Err(Unusable::new(format!(
                "spec.network.vip: {vip} is outside the network of {name} ({})",
                net.trunc()
            ))
            .hint("the VIP is on the control planes' own network"));
        }
    }
    Ok(())
}

fn vip(spec: &Map) -> Result<Option<IpAddr>, Unusable> {
    match spec.get("network").and_then(|network| network.get("vip")) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => address(value, "spec.network.vip").map(Some),
    }
}

fn address(value: &Value, place: &str) -> Result<IpAddr, Unusable> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Unusable::new(format!("{place}: {value} is not an IP address")))
}

fn static_address(node: &Node) -> Result<Option<IpNet>, Unusable> {
    let name = node.name();
    let text = match node.spec().get("address") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(other) => {
            return Err(Unusable::new(format!("node {name}: address {other} is not text")));
        }
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        let prefix = if address.is_ipv4() { 24 } else { 64 };
        return Err(Unusable::new(format!("node {name}: address {text} has no prefix length"))
            .hint(format!("add the network's prefix length: {text}/{prefix}")));
    }
    let net = text.parse::<IpNet>();
    net.map(Some).map_err(|_| {
        Unusable::new(format!("node {name}: address {text:?} is not an address with a prefix length"))
            .hint("for example 10.0.0.11/24")
    })
}

/// The gateway of a node with a static address, which lies in its network and is another address.
fn gateway(node: &Node, net: IpNet) -> Result<Option<IpAddr>, Unusable> {
    let name = node.name();
    let gateway = match node.spec().get("network").and_then(|network| network.get("gateway")) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => address(value, &format!("node {name}: network.gateway"))?,
    };
    if gateway == net.addr() {
        return Err(Unusable::new(format!("node {name}: address {gateway} is the gateway's")));
    }
    if net.contains(&gateway) {
        return Ok(Some(gateway));
    }
    Err(Unusable::new(format!("node {name}: address {net} is outside the network of the gateway {gateway}")).hint(
        "a node reaches its gateway on its own network; nodes elsewhere get a `network: {gateway: …}` of their own",
    ))
}

/// The endpoint of the Kubernetes API, filled in if the file doesn't set it.
pub(super) fn endpoint(spec: &mut Map, nodes: &[Node]) -> Result<(), Unusable> {
    if let Some(given) = spec.get("endpoint").filter(|value| !value.is_null()) {
        return well_formed(given);
    }
    let first = || nodes.iter().filter(|node| node.is_control_plane()).find_map(|node| static_address(node).ok()?);
    let host = vip(spec)?.or_else(|| first().map(|net| net.addr())).ok_or_else(|| {
        Unusable::new("spec.endpoint is not set and can't be derived from the nodes")
            .hint("set spec.endpoint or spec.network.vip, or give the first control plane a static `address`")
    })?;
    let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
    spec.shift_insert(0, "endpoint".into(), format!("https://{host}:6443").into());
    Ok(())
}

fn well_formed(endpoint: &Value) -> Result<(), Unusable> {
    let wrong = |why: &str| {
        Err(Unusable::new(format!("spec.endpoint: {endpoint} {why}")).hint("for example https://10.0.0.10:6443"))
    };
    let Some(text) = endpoint.as_str() else {
        return wrong("is not text");
    };
    let Some(rest) = text.strip_prefix("https://") else {
        return wrong("does not begin with https://");
    };
    let authority = rest.trim_end_matches('/');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
        _ => (authority, Some(443)),
    };
    if port.is_none() {
        return wrong("has no valid port");
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name =
        !host.is_empty() && host.len() <= 253 && host.split('.').all(|part| is_label(&part.to_ascii_lowercase()));
    if is_name || bare.parse::<IpAddr>().is_ok() { Ok(()) } else { wrong("has no valid host") }
}
