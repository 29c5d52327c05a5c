//! Columns of pods, and of what keeps them.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Column, age, column, count, joined, labels, name, since, text, wide};

pub(super) const POD: &[Column] = &[
    column("Name", name),
    column("Ready", |object, _| {
        let all = object["spec"]["containers"].as_array().map_or(0, Vec::len);
        let statuses = object["status"]["containerStatuses"].as_array();
        let ready = statuses.into_iter().flatten().filter(|status| status["ready"] == json!(true)).count();
        json!(format!("{ready}/{all}"))
    }),
    column("Status", |object, _| pod_status(object)),
    column("Restarts", |_, _| json!("0")),
    column("Age", age),
    wide("IP", |object, _| text(&object["status"]["podIP"])),
    wide("Node", |object, _| text(&object["spec"]["nodeName"])),
    wide("Nominated Node", |_, _| json!("<none>")),
    wide("Readiness Gates", |_, _| json!("<none>")),
];

/// kubectl's status of a pod, in one word.
fn pod_status(pod: &Value) -> Value {
    let phase = &pod["status"]["phase"];
    match (pod["metadata"]["deletionTimestamp"].is_null(), phase.as_str()) {
        (false, _) => json!("Terminating"),
        (true, Some("Succeeded")) => json!("Completed"),
        _ => phase.clone(),
    }
}

pub(super) const DAEMON_SET: &[Column] = &[
    column("Name", name),
    column("Desired", |object, _| count(&object["status"]["desiredNumberScheduled"])),
    column("Current", |object, _| count(&object["status"]["currentNumberScheduled"])),
    column("Ready", |object, _| count(&object["status"]["numberReady"])),
    column("Up-to-date", |object, _| count(&object["status"]["updatedNumberScheduled"])),
    column("Available", |object, _| count(&object["status"]["numberAvailable"])),
    column("Node Selector", |object, _| labels(&object["spec"]["template"]["spec"]["nodeSelector"])),
    column("Age", age),
];

pub(super) const DEPLOYMENT: &[Column] = &[
    column("Name", name),
    column("Ready", |object, _| {
        json!(format!("{}/{}", count(&object["status"]["readyReplicas"]), count(&object["spec"]["replicas"])))
    }),
    column("Up-to-date", |object, _| count(&object["status"]["updatedReplicas"])),
    column("Available", |object, _| count(&object["status"]["availableReplicas"])),
    column("Age", age),
];

pub(super) const REPLICA_SET: &[Column] = &[
    column("Name", name),
    column("Desired", |object, _| count(&object["spec"]["replicas"])),
    column("Current", |object, _| count(&object["status"]["replicas"])),
    column("Ready", |object, _| count(&object["status"]["readyReplicas"])),
    column("Age", age),
];

pub(super) const STATEFUL_SET: &[Column] = &[
    column("Name", name),
    column("Ready", |object, _| {
        json!(format!("{}/{}", count(&object["status"]["readyReplicas"]), count(&object["spec"]["replicas"])))
    }),
    column("Age", age),
];

fn duration(from: &Value, to: &Value, now: OffsetDateTime) -> Value {
    match (from.is_null(), to.as_str()) {
        (true, _) => json!(""),
        (false, Some(to)) => since(from, super::super::table::time(to).unwrap_or(now)),
        (false, None) => since(from, now),
    }
}

pub(super) const JOB: &[Column] = &[
    column("Name", name),
    column("Status", |object, _| {
        let conditions = object["status"]["conditions"].as_array();
        let holds = |kind: &str| conditions.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True");
        json!(["Complete", "Failed", "Suspended"].into_iter().find(|kind| holds(kind)).unwrap_or("Running"))
    }),
    column("Completions", |object, _| {
        json!(format!(
            "{}/{}",
            count(&object["status"]["succeeded"]),
            object["spec"]["completions"].as_u64().unwrap_or(1)
        ))
    }),
    column("Duration", |object, now| {
        duration(&object["status"]["startTime"], &object["status"]["completionTime"], now)
    }),
    column("Age", age),
];

pub(super) const CRON_JOB: &[Column] = &[
    column("Name", name),
    column("Schedule", |object, _| object["spec"]["schedule"].clone()),
    column("Timezone", |object, _| text(&object["spec"]["timeZone"])),
    column("Suspend", |object, _| json!(if object["spec"]["suspend"] == json!(true) { "True" } else { "False" })),
    column("Active", |object, _| json!(object["status"]["active"].as_array().map_or(0, Vec::len))),
    column("Last Schedule", |object, now| match &object["status"]["lastScheduleTime"] {
        Value::Null => json!("<none>"),
        time => since(time, now),
    }),
    column("Age", age),
];

fn or_not_available(value: &Value) -> Value {
    match value {
        Value::Null => json!("N/A"),
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    }
}

pub(super) const BUDGET: &[Column] = &[
    column("Name", name),
    column("Min Available", |object, _| or_not_available(&object["spec"]["minAvailable"])),
    column("Max Unavailable", |object, _| or_not_available(&object["spec"]["maxUnavailable"])),
    column("Allowed Disruptions", |object, _| count(&object["status"]["disruptionsAllowed"])),
    column("Age", age),
];

pub(super) const AUTOSCALER: &[Column] = &[
    column("Name", name),
    column("Reference", |object, _| {
        let of = &object["spec"]["scaleTargetRef"];
        json!(format!("{}/{}", of["kind"].as_str().unwrap_or_default(), of["name"].as_str().unwrap_or_default()))
    }),
    column("Targets", |object, _| {
        let metric = |metric: &Value| {
            let of = &metric["resource"];
            let share = of["target"]["averageUtilization"].as_u64().map(|share| format!("{share}%"));
            format!("{}: <unknown>/{}", of["name"].as_str().unwrap_or_default(), share.unwrap_or_default())
        };
        joined(object["spec"]["metrics"].as_array().into_iter().flatten().map(metric))
    }),
    column("MinPods", |object, _| json!(object["spec"]["minReplicas"].as_u64().unwrap_or(1))),
    column("MaxPods", |object, _| object["spec"]["maxReplicas"].clone()),
    column("Replicas", |object, _| count(&object["status"]["currentReplicas"])),
    column("Age", age),
];

pub(super) const REVISION: &[Column] = &[
    column("Name", name),
    column("Controller", |object, _| {
        let of = &object["metadata"]["ownerReferences"][0];
        let part = |key: &str| of[key].as_str().unwrap_or_default();
        json!(format!("{}.apps/{}", part("kind").to_lowercase(), part("name")))
    }),
    column("Revision", |object, _| object["revision"].clone()),
    column("Age", age),
];
