//! Objects as the tables that kubectl prints.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::node;
use super::resources::Resource;

/// A column: name, priority (0 is always shown), and the cell of an object.
struct Column {
    name: &'static str,
    priority: u32,
    cell: fn(&Value, OffsetDateTime) -> Value,
}

const fn column(name: &'static str, cell: fn(&Value, OffsetDateTime) -> Value) -> Column {
    Column { name, priority: 0, cell }
}

const fn wide(name: &'static str, cell: fn(&Value, OffsetDateTime) -> Value) -> Column {
    Column { name, priority: 1, cell }
}

fn name(object: &Value, _: OffsetDateTime) -> Value {
    object["metadata"]["name"].clone()
}

fn age(object: &Value, now: OffsetDateTime) -> Value {
    since(&object["metadata"]["creationTimestamp"], now)
}

/// How long a time is ago.
fn since(time: &Value, now: OffsetDateTime) -> Value {
    match OffsetDateTime::parse(time.as_str().unwrap_or_default(), &Rfc3339) {
        Ok(created) => json!(human((now - created).whole_seconds().max(0))),
        Err(_) => json!("<unknown>"),
    }
}

/// A duration as kubectl writes ages: `45s`, `3m12s`, `5h`, `2d3h`.
fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        _ => format!("{days}d"),
    }
}

/// Two units, the smaller one only if it counts.
fn two(large: i64, unit: char, small: i64, smaller: char) -> String {
    match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{smaller}"),
    }
}

fn text(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if !text.is_empty() => json!(text),
        _ => json!("<none>"),
    }
}

const NODE: &[Column] = &[
    column("Name", name),
    column("Status", |object, _| {
        let ready = if node::is_ready(object) { "Ready" } else { "NotReady" };
        match object["spec"]["unschedulable"] == json!(true) {
            true => json!(format!("{ready},SchedulingDisabled")),
            false => json!(ready),
        }
    }),
    column("Roles", |object, _| {
        let labels = object["metadata"]["labels"].as_object();
        let roles = labels.into_iter().flatten().filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/"));
        let mut roles: Vec<&str> = roles.filter(|role| !role.is_empty()).collect();
        roles.sort_unstable();
        if roles.is_empty() { json!("<none>") } else { json!(roles.join(",")) }
    }),
    column("Age", age),
    column("Version", |object, _| object["status"]["nodeInfo"]["kubeletVersion"].clone()),
    wide("Internal-IP", |object, _| address(object, "InternalIP")),
    wide("External-IP", |object, _| address(object, "ExternalIP")),
    wide("OS-Image", |object, _| object["status"]["nodeInfo"]["osImage"].clone()),
    wide("Kernel-Version", |object, _| object["status"]["nodeInfo"]["kernelVersion"].clone()),
    wide("Container-Runtime", |object, _| object["status"]["nodeInfo"]["containerRuntimeVersion"].clone()),
];

fn address(object: &Value, kind: &str) -> Value {
    let addresses = object["status"]["addresses"].as_array();
    let found = addresses.into_iter().flatten().find(|a| a["type"] == json!(kind));
    found.map_or(json!("<none>"), |a| a["address"].clone())
}

const POD: &[Column] = &[
    column("Name", name),
    column("Ready", |object, _| {
        let all = object["spec"]["containers"].as_array().map_or(0, Vec::len);
        let statuses = object["status"]["containerStatuses"].as_array();
        let ready = statuses.into_iter().flatten().filter(|status| status["ready"] == json!(true)).count();
        json!(format!("{ready}/{all}"))
    }),
    column("Status", |object, _| object["status"]["phase"].clone()),
    column("Restarts", |_, _| json!("0")),
    column("Age", age),
    wide("IP", |object, _| text(&object["status"]["podIP"])),
    wide("Node", |object, _| text(&object["spec"]["nodeName"])),
    wide("Nominated Node", |_, _| json!("<none>")),
    wide("Readiness Gates", |_, _| json!("<none>")),
];

const NAMESPACE: &[Column] =
    &[column("Name", name), column("Status", |object, _| object["status"]["phase"].clone()), column("Age", age)];

const SERVICE: &[Column] = &[
    column("Name", name),
    column("Type", |object, _| object["spec"]["type"].clone()),
    column("Cluster-IP", |object, _| text(&object["spec"]["clusterIP"])),
    column("External-IP", |_, _| json!("<none>")),
    column("Port(s)", |object, _| {
        let port = &object["spec"]["ports"][0];
        json!(format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP")))
    }),
    column("Age", age),
];

fn count(value: &Value) -> Value {
    json!(value.as_u64().unwrap_or(0))
}

const DAEMON_SET: &[Column] = &[
    column("Name", name),
    column("Desired", |object, _| count(&object["status"]["desiredNumberScheduled"])),
    column("Current", |object, _| count(&object["status"]["currentNumberScheduled"])),
    column("Ready", |object, _| count(&object["status"]["numberReady"])),
    column("Up-to-date", |object, _| count(&object["status"]["updatedNumberScheduled"])),
    column("Available", |object, _| count(&object["status"]["numberAvailable"])),
    column("Node Selector", |_, _| json!("<none>")),
    column("Age", age),
];

const DEPLOYMENT: &[Column] = &[
    column("Name", name),
    column("Ready", |object, _| {
        json!(format!("{}/{}", count(&object["status"]["readyReplicas"]), count(&object["spec"]["replicas"])))
    }),
    column("Up-to-date", |object, _| count(&object["status"]["updatedReplicas"])),
    column("Available", |object, _| count(&object["status"]["availableReplicas"])),
    column("Age", age),
];

const REPLICA_SET: &[Column] = &[
    column("Name", name),
    column("Desired", |object, _| count(&object["spec"]["replicas"])),
    column("Current", |object, _| count(&object["status"]["replicas"])),
    column("Ready", |object, _| count(&object["status"]["readyReplicas"])),
    column("Age", age),
];

const EVENT: &[Column] = &[
    column("Last Seen", |object, now| since(&object["lastTimestamp"], now)),
    column("Type", |object, _| object["type"].clone()),
    column("Reason", |object, _| object["reason"].clone()),
    column("Object", |object, _| {
        let involved = &object["involvedObject"];
        let kind = involved["kind"].as_str().unwrap_or_default().to_lowercase();
        json!(format!("{kind}/{}", involved["name"].as_str().unwrap_or_default()))
    }),
    wide("Subobject", |_, _| json!("")),
    wide("Source", |object, _| object["source"]["component"].clone()),
    column("Message", |object, _| object["message"].clone()),
    wide("First Seen", |object, now| since(&object["firstTimestamp"], now)),
    wide("Count", |object, _| count(&object["count"])),
    wide("Name", name),
];

const LEASE: &[Column] =
    &[column("Name", name), column("Holder", |object, _| text(&object["spec"]["holderIdentity"])), column("Age", age)];

const CONFIG_MAP: &[Column] = &[column("Name", name), column("Data", data), column("Age", age)];

const SECRET: &[Column] = &[
    column("Name", name),
    column("Type", |object, _| text(&object["type"])),
    column("Data", data),
    column("Age", age),
];

const STATEFUL_SET: &[Column] = &[
    column("Name", name),
    column("Ready", |object, _| {
        json!(format!("{}/{}", count(&object["status"]["readyReplicas"]), count(&object["spec"]["replicas"])))
    }),
    column("Age", age),
];

const ROLE: &[Column] =
    &[column("Name", name), column("Created At", |object, _| object["metadata"]["creationTimestamp"].clone())];

const BINDING: &[Column] = &[
    column("Name", name),
    column("Role", |object, _| {
        let role = &object["roleRef"];
        let part = |key: &str| role[key].as_str().unwrap_or_default();
        json!(format!("{}/{}", part("kind"), part("name")))
    }),
    column("Age", age),
];

fn data(object: &Value, _: OffsetDateTime) -> Value {
    let pairs = ["data", "binaryData"].iter().filter_map(|key| object[key].as_object());
    json!(pairs.map(serde_json::Map::len).sum::<usize>().to_string())
}

const PLAIN: &[Column] = &[column("Name", name), column("Age", age)];

fn columns(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "nodes" => NODE,
        "pods" => POD,
        "namespaces" => NAMESPACE,
        "services" => SERVICE,
        "daemonsets" => DAEMON_SET,
        "deployments" => DEPLOYMENT,
        "replicasets" => REPLICA_SET,
        "statefulsets" => STATEFUL_SET,
        "events" => EVENT,
        "leases" => LEASE,
        "configmaps" => CONFIG_MAP,
        "secrets" => SECRET,
        "roles" | "clusterroles" => ROLE,
        "rolebindings" | "clusterrolebindings" => BINDING,
        _ => PLAIN,
    }
}

/// The table of some objects.
pub(super) fn table(resource: &Resource, objects: &[Value], version: &str, now: OffsetDateTime) -> Value {
    let columns = columns(resource);
    let definitions: Vec<Value> = columns.iter().map(definition).collect();
    let rows: Vec<Value> = objects.iter().map(|object| row(columns, object, now)).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn definition(column: &Column) -> Value {
    let format = if column.name == "Name" { "name" } else { "" };
    json!({
        "name": column.name,
        "type": "string",
        "format": format,
        "description": format!("{} of the object.", column.name),
        "priority": column.priority,
    })
}

fn row(columns: &[Column], object: &Value, now: OffsetDateTime) -> Value {
    let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
    let partial = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    });
    json!({"cells": cells, "object": partial})
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let written: Vec<String> = [45, 119, 120, 192, 700, 18_000, 90_000, 200_000].map(human).into();

        assert_eq!(written, ["45s", "119s", "2m", "3m12s", "11m", "5h", "25h", "2d7h"]);
    }
}
