//! What the API says of itself: groups, versions, kinds.

use serde_json::{Value, json};

use super::resources::{RESOURCES, Resource};

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = RESOURCES.iter().map(|r| r.group).filter(|g| !g.is_empty()).collect();
    groups.dedup();
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
pub(super) fn group_list() -> Value {
    let groups: Vec<Value> = groups().into_iter().map(group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

/// `/apis/GROUP`
pub(super) fn one_group(name: &str) -> Option<Value> {
    let name = groups().into_iter().find(|known| *known == name)?;
    let mut body = group(name);
    body["kind"] = json!("APIGroup");
    body["apiVersion"] = json!("v1");
    Some(body)
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(super) fn resource_list(group: &str, version: &str) -> Option<Value> {
    let of = |r: &&Resource| r.group == group && r.version == version;
    let scales = RESOURCES.iter().filter(of).filter(|kind| kind.scales()).map(scale);
    let resources: Vec<Value> = RESOURCES.iter().filter(of).map(resource).chain(scales).collect();
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

/// How many pods there are to be, as a resource below another.
fn scale(resource: &Resource) -> Value {
    json!({
        "name": format!("{}/scale", resource.plural), "singularName": "", "namespaced": true,
        "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
    })
}

/// `/api` and `/apis` for clients that take everything at once.
pub(super) fn aggregated(core: bool, version: &str) -> Value {
    let names = if core { vec![""] } else { groups() };
    let items: Vec<Value> = names.into_iter().map(aggregated_group).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_group(group: &str) -> Value {
    let of = |r: &&Resource| r.group == group;
    let resources: Vec<Value> = RESOURCES.iter().filter(of).map(aggregated_resource).collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({
        "metadata": metadata,
        "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}],
    })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let scale = json!([{
        "subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "verbs": ["get", "patch", "update"],
    }]);
    json!({
        "subresources": if resource.scales() { scale } else { json!([]) },
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs(),
        "shortNames": resource.short,
        "categories": resource.categories,
    })
}
