//! The cluster file that a person writes, and how it becomes records.
//!
//! A document with `nodes` at top level is exploded once, by the step that reads it: defaults are merged in (node over
//! role over cluster: maps merge, scalars replace, patches add up in that order), files that it refers to get absolute
//! paths, and everything that can be found wrong from the file alone is refused here, before anything is changed.

mod check;
mod keys;
mod merge;
mod versions;
mod yaml;

use std::path::Path;

use serde_json::Value;

pub use keys::nearest;
pub use versions::{default_kubernetes, kubernetes_window};
pub use yaml::read as read_yaml;

use crate::{API_VERSION, Cluster, Entry, Map, Node, Role, Roster, Unusable};

/// The largest cluster file that is read, in bytes.
pub const MAX_DOCUMENT: usize = 64 << 20;

/// A cluster file as records.
#[derive(Debug)]
pub struct Exploded {
    /// The Cluster record, without `status.dir`.
    pub cluster: Cluster,
    /// The nodes in file order.
    pub nodes: Vec<Node>,
    /// Warnings: defaults that were chosen, and doubtful choices.
    pub warnings: Vec<String>,
}

/// Whether a JSON value is a cluster file (and not a record): it has `nodes` at top level.
#[must_use]
pub fn is_document(value: &Map) -> bool {
    value.contains_key("nodes") && value.get("kind").is_none_or(|kind| kind == "Cluster")
}

/// Turns a cluster file into records; files that it refers to are relative to `base` (absolute).
///
/// # Errors
/// Anything that can be found wrong from the file alone; the error names the thing, its value and its place.
pub fn explode(document: &Map, base: &Path) -> Result<Exploded, Unusable> {
    head(document)?;
    keys::check(document)?;
    let name = check::cluster_name(document)?;
    let mut warnings = Vec::new();
    let mut spec = object(document, "spec", "spec")?;
    versions::settle(&mut spec, &mut warnings)?;
    merge::absolute_files(&mut spec, base);
    let nodes = nodes(document, &name, &spec, base)?;
    check::control_planes(&nodes, &mut warnings)?;
    check::addresses(&spec, &nodes)?;
    check::endpoint(&mut spec, &nodes)?;
    let entries = nodes.iter().map(|node| Entry::new(node.name(), role(node))).collect();
    let cluster = Cluster::new(&name, spec, Roster::new(entries)?);
    cluster.typed_spec()?;
    Ok(Exploded { cluster, nodes, warnings })
}

fn role(node: &Node) -> Role {
    if node.is_control_plane() { Role::ControlPlane } else { Role::Worker }
}

fn head(document: &Map) -> Result<(), Unusable> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let looks_like_machine_config = document.contains_key("machine") && document.contains_key("version");
    match (text("apiVersion"), text("kind")) {
        (Some(API_VERSION), Some("Cluster")) => Ok(()),
        (None, _) if looks_like_machine_config => {
            Err(Unusable::new("this is a Talos machine config, not a cluster file").hint(EXPECTED))
        }
        (Some(API_VERSION), _) if document.contains_key("nodes") => {
            let kind = document.get("kind").unwrap_or(&Value::Null);
            Err(Unusable::new(format!("kind is {kind}; a cluster file needs kind: Cluster")))
        }
        (None, _) if document.contains_key("nodes") || document.contains_key("spec") => {
            let found = document.get("apiVersion").unwrap_or(&Value::Null);
            Err(Unusable::new(format!("apiVersion is {found}; a cluster file needs apiVersion: {API_VERSION}")))
        }
        (version, kind) => Err(crate::stream::foreign(version, kind)),
    }
}

const EXPECTED: &str = "a cluster file has apiVersion: ichor/v1, kind: Cluster and a list of nodes";

/// An object in the document; an empty one if it is absent.
fn object(map: &Map, key: &str, place: &str) -> Result<Map, Unusable> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(other) => Err(Unusable::new(format!("{place} is {other}, not a map"))),
    }
}

fn nodes(document: &Map, cluster: &str, spec: &Map, base: &Path) -> Result<Vec<Node>, Unusable> {
    let Some(Value::Array(list)) = document.get("nodes") else {
        return Err(Unusable::new("the file lists no `nodes`").hint(EXPECTED));
    };
    if list.is_empty() {
        return Err(Unusable::new("`nodes` is empty: a cluster needs at least one control plane"));
    }
    let mut seen = std::collections::HashMap::with_capacity(list.len());
    let mut nodes = Vec::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        let place = format!("nodes[{at}]");
        let Value::Object(item) = item else {
            return Err(Unusable::new(format!("{place} is {item}, not a map with name and role")));
        };
        let name = check::node_name(item, &place)?;
        let role = check::role(item, &name, &place)?;
        if let Some(before) = seen.insert(name.clone(), at) {
            return Err(Unusable::new(format!("node {name} is listed twice: nodes[{before}] and {place}")));
        }
        let mut merged = merge::node(spec, role, item, &place)?;
        merge::absolute_files(&mut merged, base);
        check::maps(&merged, &format!("{place} ({name})"))?;
        let node = Node::new(&name, cluster, merged);
        node.typed_spec()?;
        nodes.push(node);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
