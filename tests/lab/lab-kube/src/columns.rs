//! The columns of the tables that kubectl prints, kind by kind.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::node;
use super::resources::Resource;
use super::table::{age, since};

mod network;
mod workloads;

/// A column: name, priority (0 is always shown), and the cell of an object.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) priority: u32,
    pub(super) cell: fn(&Value, OffsetDateTime) -> Value,
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

const NAMESPACE: &[Column] =
    &[column("Name", name), column("Status", |object, _| object["status"]["phase"].clone()), column("Age", age)];

fn joined(texts: impl Iterator<Item = String>) -> Value {
    match texts.collect::<Vec<_>>().join(",") {
        none if none.is_empty() => json!("<none>"),
        all => json!(all),
    }
}

fn labels(map: &Value) -> Value {
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    joined(map.as_object().into_iter().flatten().map(pair))
}

fn count(value: &Value) -> Value {
    json!(value.as_u64().unwrap_or(0))
}

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

const DEFINITION: &[Column] =
    &[column("Name", name), column("Created At", |object, _| object["metadata"]["creationTimestamp"].clone())];

const API_SERVICE: &[Column] = &[
    column("Name", name),
    column("Service", |object, _| {
        let of = &object["spec"]["service"];
        let part = |key: &str| of[key].as_str().unwrap_or_default();
        if of.is_null() { json!("Local") } else { json!(format!("{}/{}", part("namespace"), part("name"))) }
    }),
    column("Available", |object, _| {
        let first = &object["status"]["conditions"][0];
        match first["status"] == "True" {
            true => json!("True"),
            false => json!(format!("False ({})", first["reason"].as_str().unwrap_or_default())),
        }
    }),
    column("Age", age),
];

const PRIORITY: &[Column] = &[
    column("Name", name),
    column("Value", |object, _| object["value"].clone()),
    column("Global-Default", |object, _| json!(object["globalDefault"] == json!(true))),
    column("Age", age),
];

const WEBHOOKS: &[Column] = &[
    column("Name", name),
    column("Webhooks", |object, _| json!(object["webhooks"].as_array().map_or(0, Vec::len))),
    column("Age", age),
];

const PLAIN: &[Column] = &[column("Name", name), column("Age", age)];

/// The columns of a kind that is built in.
pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match resource.plural.as_str() {
        "nodes" => NODE,
        "pods" => workloads::POD,
        "namespaces" => NAMESPACE,
        "services" => network::SERVICE,
        "daemonsets" => workloads::DAEMON_SET,
        "deployments" => workloads::DEPLOYMENT,
        "replicasets" | "replicationcontrollers" => workloads::REPLICA_SET,
        "statefulsets" => workloads::STATEFUL_SET,
        "events" => EVENT,
        "leases" => LEASE,
        "configmaps" => CONFIG_MAP,
        "secrets" => SECRET,
        "roles" | "clusterroles" => ROLE,
        "rolebindings" | "clusterrolebindings" => BINDING,
        "jobs" => workloads::JOB,
        "cronjobs" => workloads::CRON_JOB,
        "persistentvolumeclaims" => network::CLAIM,
        "persistentvolumes" => network::VOLUME,
        "storageclasses" => network::STORAGE_CLASS,
        "ingresses" => network::INGRESS,
        "ingressclasses" => network::INGRESS_CLASS,
        "networkpolicies" => network::NETWORK_POLICY,
        "poddisruptionbudgets" => workloads::BUDGET,
        "horizontalpodautoscalers" => workloads::AUTOSCALER,
        super::custom::DEFINITIONS => DEFINITION,
        "apiservices" => API_SERVICE,
        "controllerrevisions" => workloads::REVISION,
        "endpoints" => network::ENDPOINTS,
        "endpointslices" => network::SLICE,
        "priorityclasses" => PRIORITY,
        "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => WEBHOOKS,
        _ => PLAIN,
    }
}
