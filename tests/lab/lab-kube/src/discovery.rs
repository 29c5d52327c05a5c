//! What the API reports about itself: groups, versions, kinds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::resources::{self, Resource};
use super::store::Store;

/// The kinds that are served, by group and version, in their order.
type Group = (String, Vec<(String, Vec<Arc<Resource>>)>);

fn groups(store: &Store) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in resources::all(store) {
        let place = groups.iter().position(|(name, _)| *name == kind.group).unwrap_or(groups.len());
        if place == groups.len() {
            groups.push((kind.group.clone(), Vec::new()));
        }
        let versions = &mut groups[place].1;
        match versions.iter_mut().find(|(version, _)| *version == kind.version) {
            Some((_, kinds)) => kinds.push(kind),
            None => versions.push((kind.version.clone(), vec![kind])),
        }
    }
    groups
}

/// `/api`
pub(super) fn versions(server: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}],
    })
}

/// `/apis`
pub(super) fn group_list(store: &Store) -> Value {
    let groups: Vec<Value> = groups(store).iter().filter(|(name, _)| !name.is_empty()).map(group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group((name, versions): &Group) -> Value {
    let version = |version: &String| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(|(name, _)| version(name)).collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

/// `/apis/GROUP`
pub(super) fn one_group(store: &Store, name: &str) -> Option<Value> {
    let found = groups(store).into_iter().find(|(known, _)| known == name && !known.is_empty())?;
    let mut body = group(&found);
    body["kind"] = json!("APIGroup");
    body["apiVersion"] = json!("v1");
    Some(body)
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(super) fn resource_list(store: &Store, group: &str, version: &str) -> Option<Value> {
    let kinds = resources::all(store);
    let of = |r: &&Arc<Resource>| r.group == group && r.version == version;
    let below = kinds.iter().filter(of).flat_map(|kind| subresources(kind));
    let resources: Vec<Value> = kinds.iter().filter(of).map(|kind| resource(kind)).chain(below).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version,
            "resources": resources,
        })
    })
}

fn resource(resource: &Resource) -> Value {
    json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs(),
        "shortNames": resource.short,
        "categories": resource.categories,
    })
}

/// What is below a kind: its status, how many pods there are to be, and what is asked of pods.
fn subresources(resource: &Resource) -> Vec<Value> {
    let status = resource.status.then(|| {
        json!({
            "name": format!("{}/status", resource.plural), "singularName": "", "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": ["get", "patch", "update"],
        })
    });
    let scale = resource.scale.is_some().then(|| {
        json!({
            "name": format!("{}/scale", resource.plural), "singularName": "", "namespaced": true,
            "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
        })
    });
    let of_pods = [("pods/eviction", "policy", "Eviction", "create"), ("pods/log", "", "Pod", "get")];
    let of_pods = of_pods.into_iter().filter(|_| resource.plural == "pods" && resource.group.is_empty());
    let of_pods = of_pods.map(|(name, group, kind, verb)| {
        json!({
            "name": name, "singularName": "", "namespaced": true, "group": group, "version": "v1", "kind": kind,
            "verbs": [verb],
        })
    });
    status.into_iter().chain(scale).chain(of_pods).collect()
}

/// `/api` and `/apis` for clients that take everything at once.
pub(super) fn aggregated(store: &Store, core: bool, version: &str) -> Value {
    let groups = groups(store).into_iter().filter(|(name, _)| name.is_empty() == core);
    let items: Vec<Value> = groups.map(|group| aggregated_group(&group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_group((name, versions): &Group) -> Value {
    let version = |(version, kinds): &(String, Vec<Arc<Resource>>)| {
        let resources: Vec<Value> = kinds.iter().map(|kind| aggregated_resource(kind)).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<Value> = versions.iter().map(version).collect();
    let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let verbs = ["get", "patch", "update"];
    let status = resource.status.then(|| json!({"subresource": "status", "responseKind": kind, "verbs": verbs}));
    let scale = resource.scale.is_some().then(|| {
        let kind = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        json!({"subresource": "scale", "responseKind": kind, "verbs": verbs})
    });
    json!({
        "subresources": status.into_iter().chain(scale).collect::<Vec<_>>(),
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs(),
        "shortNames": resource.short,
        "categories": resource.categories,
    })
}
