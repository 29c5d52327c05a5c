//! Pods of users: they run as soon as a node takes them; what would run inside is not played.
//!
//! A pod that is not to run for ever is done at once.

use serde_json::{Value, json};

use super::controllers::text;
use super::events::Event;
use super::store::{Key, Store};
use super::{scheduler, volumes};

/// Whether a pod is ready and stays.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True");
    ready && !leaves(pod)
}

/// Whether a pod has run to its end.
pub(super) fn is_done(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether an object is to go.
pub(super) fn leaves(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// A reference to the object that controls another.
pub(super) fn controller(kind: &str, version: &str, object: &Value) -> Value {
    json!([{
        "apiVersion": version, "kind": kind, "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// The objects of a kind that an object controls.
pub(super) fn controlled(store: &Store, plural: &str, object: &Value) -> Vec<Value> {
    let keys = store.index().owned_of(plural, text(object, "/metadata/uid"));
    keys.filter_map(|key| store.at(key)).cloned().collect()
}

/// A pod from a template.
pub(super) fn from_template(template: &Value, namespace: &str, name: &str, owner: &Value) -> Value {
    let mut metadata = json!({"name": name, "namespace": namespace, "ownerReferences": owner});
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"],
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    })
}

/// The most pods that a controller makes for one owner: nobody needs more in a lab, and a slip of the finger would fill
/// the memory.
const MOST: usize = 1_000;

/// How many pods an owner gets that wants so many.
pub(super) fn at_most(wanted: usize) -> usize {
    wanted.min(MOST)
}

/// Looks at a pod: one that waits runs where a node takes it.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let waits = |pod: &&Value| pod["status"]["phase"] == "Pending" && !leaves(pod);
    let Some(pod) = store.at(key).filter(waits).cloned() else { return };
    if let Err(reason) = volumes::bind(store, &pod, at) {
        return wait(store, pod, reason, at);
    }
    match scheduler::best(store, &pod).cloned() {
        Some(node) => run(store, pod, &node, at),
        None => {
            let reason = format!("0/{} nodes are available.", store.list("nodes", None).count());
            wait(store, pod, reason, at);
        }
    }
}

/// Looks at a node that may take what waits.
pub(super) fn look_from(store: &mut Store, name: &str, at: &str) {
    for key in store.waiting() {
        let (Some(pod), Some(node)) = (store.at(&key), store.node(name)) else { continue };
        let here = match text(pod, "/spec/nodeName") {
            "" => scheduler::takes(store, node, pod),
            named => named == name,
        };
        if here {
            look(store, &key, at);
        }
    }
}

fn wait(store: &mut Store, mut pod: Value, reason: String, at: &str) {
    if pod["status"]["conditions"][0]["message"] == *reason {
        return;
    }
    pod["status"]["conditions"] = json!([{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reason,
        "lastTransitionTime": at,
    }]);
    tell(store, &pod, "Warning", "FailedScheduling", reason, at);
    store.put("pods", pod, at);
}

fn tell(store: &mut Store, pod: &Value, kind: &str, reason: &str, message: String, at: &str) {
    let of = ("Pod", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    store.record(&Event { of, kind, reason, message, source: "default-scheduler" }, at);
}

fn statuses(containers: &Value, ready: bool, state: &Value) -> Value {
    let status = |container: &Value| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": container["image"], "ready": ready,
            "started": ready, "restartCount": 0, "state": state,
        })
    };
    containers.as_array().into_iter().flatten().map(status).collect()
}

fn run(store: &mut Store, mut pod: Value, node: &Value, at: &str) {
    let number = store.version;
    let address = text(node, "/status/addresses/0/address").to_owned();
    let ip = match pod["spec"]["hostNetwork"] == json!(true) {
        true => address.clone(),
        false => format!("10.244.{}.{}", number / 250 % 250, 2 + number % 250),
    };
    let name = text(node, "/metadata/name").to_owned();
    if text(&pod, "/spec/nodeName").is_empty() {
        let full = format!("{}/{}", text(&pod, "/metadata/namespace"), text(&pod, "/metadata/name"));
        tell(store, &pod, "Normal", "Scheduled", format!("Successfully assigned {full} to {name}"), at);
    }
    let ready = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": at});
    let running = statuses(&pod["spec"]["containers"], true, &json!({"running": {"startedAt": at}}));
    pod["spec"]["nodeName"] = name.into();
    pod["status"] = json!({
        "phase": "Running", "qosClass": "BestEffort", "hostIP": address, "hostIPs": [{"ip": address}],
        "podIP": ip, "podIPs": [{"ip": ip}], "startTime": at,
        "conditions": [ready("PodScheduled"), ready("Initialized"), ready("ContainersReady"), ready("Ready")],
        "containerStatuses": running,
    });
    if pod["spec"]["initContainers"].is_array() {
        pod["status"]["initContainerStatuses"] = statuses(&pod["spec"]["initContainers"], true, &ended(at));
    }
    store.put("pods", pod.clone(), at);
    if matches!(text(&pod, "/spec/restartPolicy"), "Never" | "OnFailure") {
        end(store, pod, at);
    }
}

/// The state of a container that did what it had to do.
fn ended(at: &str) -> Value {
    json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}})
}

fn end(store: &mut Store, mut pod: Value, at: &str) {
    pod["status"]["phase"] = json!("Succeeded");
    pod["status"]["containerStatuses"] = statuses(&pod["spec"]["containers"], false, &ended(at));
    for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady")) {
            condition["status"] = json!("False");
        }
        if condition["type"] != "PodScheduled" {
            condition["reason"] = json!("PodCompleted");
        }
    }
    store.put("pods", pod, at);
}
