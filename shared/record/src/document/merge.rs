//! Merges defaults into nodes: node over role over cluster.

use std::path::Path;

use serde_json::Value;

use super::object;
use crate::{Map, Role, Unusable};

/// Keys of the cluster's spec that are defaults of every node.
const DEFAULTS: &[&str] = &["network", "vm", "labels", "annotations", "taints", "volumes", "patches"];

/// The complete spec of a node.
pub(super) fn node(cluster: &Map, role: Role, node: &Map, place: &str) -> Result<Map, Unusable> {
    let mut merged = Map::new();
    merged.insert("role".into(), role.as_str().into());
    for key in ["address", "hostname", "fingerprint"] {
        if let Some(value) = node.get(key).filter(|value| !value.is_null()) {
            merged.insert(key.into(), value.clone());
        }
    }
    let mut defaults: Map = Map::new();
    for (key, value) in cluster.iter().filter(|(key, _)| DEFAULTS.contains(&key.as_str())) {
        defaults.insert(key.clone(), value.clone());
    }
    if let Some(Value::Object(network)) = defaults.get_mut("network") {
        network.shift_remove("vip");
    }
    let by_role = object(cluster, role.as_str(), &format!("spec.{role}"))?;
    for layer in [&defaults, &by_role, node] {
        overlay(&mut merged, layer, place)?;
    }
    Ok(merged)
}

fn overlay(merged: &mut Map, layer: &Map, place: &str) -> Result<(), Unusable> {
    for (key, value) in layer.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "role")) {
        match (key.as_str(), value) {
            ("patches", Value::Array(more)) => match merged.entry(key.clone()).or_insert(Value::Array(Vec::new())) {
                Value::Array(patches) => patches.extend(more.iter().cloned()),
                other => *other = value.clone(),
            },
            ("patches", other) => {
                return Err(Unusable::new(format!("{place}: patches is {other}, not a list")));
            }
            _ => merge(merged.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
    Ok(())
}

/// Maps merge, everything else replaces.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Makes the files that a spec refers to absolute: `@file` in patches, and `proxmox.ca`.
pub(super) fn absolute_files(spec: &mut Map, base: &Path) {
    let patches = spec.get_mut("patches").and_then(Value::as_array_mut).into_iter().flatten();
    for patch in patches {
        if let Some(file) = patch.as_str().and_then(|text| text.strip_prefix('@')) {
            *patch = format!("@{}", base.join(file).display()).into();
        }
    }
    let ca = spec.get_mut("proxmox").and_then(|proxmox| proxmox.get_mut("ca"));
    if let Some(ca) = ca
        && let Some(file) = ca.as_str()
    {
        *ca = base.join(file).display().to_string().into();
    }
    for role in ["controlplane", "worker"] {
        if let Some(Value::Object(defaults)) = spec.get_mut(role) {
            absolute_files(defaults, base);
        }
    }
}
