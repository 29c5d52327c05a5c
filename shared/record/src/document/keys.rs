//! Finds keys that are nearly right.
//!
//! Unknown keys are kept: users may put their own there. But a key that differs by a letter from a known one that is
//! absent is a mistake that would otherwise be silent.

use serde_json::Value;
use strsim::osa_distance;

use crate::{Map, Unusable};

const DOCUMENT: &[&str] = &["apiVersion", "kind", "name", "spec", "nodes"];
const SPEC: &[&str] = &[
    "endpoint",
    "talos",
    "kubernetes",
    "proxmox",
    "network",
    "discovery",
    "allowSchedulingOnControlPlanes",
    "certSANs",
    "registryMirrors",
    "volumes",
    "patches",
    "controlplane",
    "worker",
    "vm",
    "labels",
    "annotations",
    "taints",
];
const TALOS: &[&str] = &["version", "schematic", "factory"];
const KUBERNETES: &[&str] = &["version"];
const PROXMOX: &[&str] = &["endpoint", "ca", "fingerprint", "storage", "images", "bridge", "pool", "vmids"];
const NETWORK: &[&str] = &["gateway", "nameservers", "ntp", "vip", "mtu", "routes", "bond", "vlans"];
const ROUTE: &[&str] = &["to", "via", "metric"];
const BOND: &[&str] = &["mode", "nics"];
const VLAN: &[&str] = &["id", "address", "mtu", "routes"];
const VOLUME: &[&str] = &["name", "match", "minSize", "maxSize", "filesystem"];
const ROLE: &[&str] = &["vm", "labels", "annotations", "taints", "patches", "network", "volumes"];
const NODE: &[&str] =
    &["name", "role", "address", "hostname", "vm", "labels", "annotations", "taints", "patches", "network", "volumes"];

/// Checks all maps of a cluster file but its nodes.
pub(super) fn check(document: &Map) -> Result<(), Unusable> {
    near_misses(document, DOCUMENT, "")?;
    let Some(Value::Object(spec)) = document.get("spec") else {
        return Ok(());
    };
    near_misses(spec, SPEC, "spec.")?;
    let parts = [
        ("talos", TALOS),
        ("kubernetes", KUBERNETES),
        ("proxmox", PROXMOX),
        ("network", NETWORK),
        ("controlplane", ROLE),
        ("worker", ROLE),
    ];
    for (part, known) in parts {
        if let Some(Value::Object(map)) = spec.get(part) {
            near_misses(map, known, &format!("spec.{part}."))?;
        }
    }
    for role in ["controlplane", "worker"] {
        if let Some(Value::Object(layer)) = spec.get(role) {
            inner(layer, &format!("spec.{role}"))?;
        }
    }
    inner(spec, "spec")
}

/// Checks the maps within a layer's network and volumes.
fn inner(layer: &Map, place: &str) -> Result<(), Unusable> {
    let network = |key: &str| layer.get("network").and_then(|network| network.get(key));
    items(network("routes"), ROUTE, &format!("{place}.network.routes"))?;
    items(network("vlans"), VLAN, &format!("{place}.network.vlans"))?;
    items(layer.get("volumes"), VOLUME, &format!("{place}.volumes"))?;
    match network("bond") {
        Some(Value::Object(bond)) => near_misses(bond, BOND, &format!("{place}.network.bond.")),
        _ => Ok(()),
    }
}

fn items(list: Option<&Value>, known: &[&str], place: &str) -> Result<(), Unusable> {
    let items = list.and_then(Value::as_array).into_iter().flatten().enumerate();
    items
        .filter_map(|(index, item)| Some((index, item.as_object()?)))
        .try_for_each(|(index, item)| near_misses(item, known, &format!("{place}[{index}].")))
}

/// Checks one of the nodes.
pub(super) fn check_node(node: &Map, place: &str) -> Result<(), Unusable> {
    near_misses(node, NODE, &format!("{place}."))?;
    if let Some(Value::Object(network)) = node.get("network") {
        near_misses(network, NETWORK, &format!("{place}.network."))?;
    }
    inner(node, place)
}

fn near_misses(map: &Map, known: &[&str], place: &str) -> Result<(), Unusable> {
    for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
        let absent = known.iter().filter(|name| !map.contains_key(**name));
        let meant = absent.filter(|name| is_near(key, name)).min_by_key(|name| osa_distance(&plain(key), &plain(name)));
        if let Some(meant) = meant {
            return Err(Unusable::new(format!("{place}{key}: unknown key; did you mean `{meant}`?")));
        }
    }
    Ok(())
}

/// Whether `key` is `name` but for case, separators or a typing error.
fn is_near(key: &str, name: &str) -> bool {
    let (key, name) = (plain(key), plain(name));
    let allowed = if name.len() > 5 { 2 } else { 1 };
    key == name || (name.len() > 2 && osa_distance(&key, &name) <= allowed)
}

fn plain(text: &str) -> String {
    text.to_lowercase().replace(['-', '_'], "")
}
