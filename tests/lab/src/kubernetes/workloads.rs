//! Deployments and pods of users: replica sets, pods, and the nodes that these run on.
//!
//! A pod that finds a node runs at once; what would run inside it is not played.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::controllers::{self, suffix};
use super::store::{Key, Store};
use super::{node, pods};

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Brings pods in line with what users want.
pub(super) fn reconcile(store: &mut Store, at: &str) {
    let of_users = |object: &&Value| !controllers::is_own(store, &key("deployments", object));
    let deployments: Vec<Value> = store.list("deployments", None).filter(of_users).cloned().collect();
    for deployment in deployments.iter().filter(|deployment| !pods::leaves(deployment)) {
        deploy(store, deployment, at);
    }
    collect(store, &deployments);
    for pod in store.waiting() {
        place(store, pod, at);
    }
    for deployment in &deployments {
        count(store, deployment, at);
    }
}

fn key(plural: &str, object: &Value) -> Key {
    (plural.to_owned(), text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// The name of the replica set of a deployment's template.
fn set_name(deployment: &Value) -> String {
    let template = deployment["spec"]["template"].to_string();
    let hash = template
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{}-{}{}", text(deployment, "/metadata/name"), suffix(hash), suffix(hash >> 7))
}

fn wanted(deployment: &Value) -> usize {
    let replicas = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    usize::try_from(replicas).unwrap_or_default()
}

fn owner(kind: &str, object: &Value) -> Value {
    json!([{
        "apiVersion": "apps/v1", "kind": kind, "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }])
}

fn of_set(store: &Store, namespace: &str, set: &str) -> Vec<Value> {
    let owned = |pod: &&Value| {
        text(pod, "/metadata/ownerReferences/0/kind") == "ReplicaSet"
            && text(pod, "/metadata/ownerReferences/0/name") == set
    };
    store.list("pods", Some(namespace)).filter(owned).cloned().collect()
}

fn deploy(store: &mut Store, deployment: &Value, at: &str) {
    let (namespace, name) = (text(deployment, "/metadata/namespace").to_owned(), set_name(deployment));
    if store.get("replicasets", &namespace, &name).is_none() {
        let template = &deployment["spec"]["template"];
        let set = json!({
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {
                "name": name, "namespace": namespace, "labels": template["metadata"]["labels"],
                "ownerReferences": owner("Deployment", deployment),
            },
            "spec": {
                "replicas": wanted(deployment), "selector": deployment["spec"]["selector"], "template": template,
            },
            "status": {},
        });
        store.put("replicasets", set, at);
    }
    let Some(set) = store.get("replicasets", &namespace, &name).cloned() else { return };
    let pods = of_set(store, &namespace, &name);
    for pod in pods.iter().skip(wanted(deployment)) {
        store.remove("pods", &namespace, text(pod, "/metadata/name"));
    }
    for _ in pods.len()..wanted(deployment) {
        let pod = json!({
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "name": format!("{name}-{}", store.suffix()), "namespace": namespace,
                "labels": set["spec"]["template"]["metadata"]["labels"], "ownerReferences": owner("ReplicaSet", &set),
            },
            "spec": set["spec"]["template"]["spec"],
            "status": {"phase": "Pending"},
        });
        store.put("pods", pod, at);
    }
}

/// Replica sets of earlier templates, and of deployments that are gone, go with their pods.
fn collect(store: &mut Store, deployments: &[Value]) {
    let present: Vec<(String, String)> = deployments
        .iter()
        .map(|deployment| (text(deployment, "/metadata/namespace").to_owned(), set_name(deployment)))
        .collect();
    let owned = |set: &&Value| text(set, "/metadata/ownerReferences/0/kind") == "Deployment";
    let sets = store.list("replicasets", None).filter(owned).map(|set| key("replicasets", set));
    let sets = sets.filter(|set| !controllers::is_own(store, set)).map(|(_, namespace, name)| (namespace, name));
    let sets: Vec<(String, String)> = sets.collect();
    for (namespace, name) in sets.into_iter().filter(|set| !present.contains(set)) {
        for pod in of_set(store, &namespace, &name) {
            store.remove("pods", &namespace, text(&pod, "/metadata/name"));
        }
        store.remove("replicasets", &namespace, &name);
    }
}

/// Whether a pod bears a taint.
fn bears(pod: &Value, taint: &Value) -> bool {
    let tolerations = pod["spec"]["tolerations"].as_array();
    tolerations.into_iter().flatten().any(|toleration| {
        let same = |field: &str| toleration[field].is_null() || toleration[field] == taint[field];
        let value = toleration["operator"] == "Exists" || toleration["value"] == taint["value"];
        same("key") && same("effect") && value
    })
}

/// Whether a node takes a pod.
fn takes(node: &Value, pod: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    let hard = taints.into_iter().flatten().filter(|taint| taint["effect"] != "PreferNoSchedule");
    let labels = pod["spec"]["nodeSelector"].as_object();
    let named = labels.into_iter().flatten().all(|(key, value)| &node["metadata"]["labels"][key] == value);
    let free = node::is_ready(node) && node["spec"]["unschedulable"] != json!(true);
    free && named && hard.into_iter().all(|taint| bears(pod, taint))
}

/// Finds a node for a pod and lets it run there, or says why there is none.
fn place(store: &mut Store, mut pod: Value, at: &str) {
    let named = text(&pod, "/spec/nodeName").to_owned();
    let mut load: HashMap<&str, usize> = HashMap::new();
    for other in store.list("pods", None) {
        *load.entry(text(other, "/spec/nodeName")).or_default() += 1;
    }
    let fit = store.list("nodes", None).filter(|node| match named.is_empty() {
        true => takes(node, &pod),
        false => text(node, "/metadata/name") == named,
    });
    let Some(node) = fit.min_by_key(|node| load.get(text(node, "/metadata/name")).copied()).cloned() else {
        pod["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": format!("0/{} nodes are available.", store.list("nodes", None).count()),
        }]);
        return store.put("pods", pod, at);
    };
    let number = store.version;
    let ready = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": at});
    let statuses = pod["spec"]["containers"].as_array().into_iter().flatten().map(|container| {
        json!({
            "name": container["name"], "image": container["image"], "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": at}},
        })
    });
    let statuses: Value = statuses.collect();
    pod["spec"]["nodeName"] = node["metadata"]["name"].clone();
    pod["status"] = json!({
        "phase": "Running",
        "hostIP": text(&node, "/status/addresses/0/address"),
        "podIP": format!("10.244.{}.{}", number % 200, 2 + number % 250),
        "startTime": at,
        "conditions": [ready("PodScheduled"), ready("Initialized"), ready("ContainersReady"), ready("Ready")],
        "containerStatuses": statuses,
    });
    store.put("pods", pod, at);
}

fn count(store: &mut Store, deployment: &Value, at: &str) {
    let (namespace, set) = (text(deployment, "/metadata/namespace").to_owned(), set_name(deployment));
    let pods = of_set(store, &namespace, &set);
    let ready = pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count();
    let numbers = |mut status: Value| {
        if let Some(status) = status.as_object_mut() {
            status.retain(|_, value| value != &json!(0));
        }
        status
    };
    let done = ready >= wanted(deployment);
    let (available, reason) =
        if done { ("True", "MinimumReplicasAvailable") } else { ("False", "MinimumReplicasUnavailable") };
    let mut status = numbers(json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": pods.len(), "updatedReplicas": pods.len(),
        "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": wanted(deployment).saturating_sub(ready),
    }));
    status["conditions"] = json!([
        {"type": "Available", "status": available, "reason": reason},
        {"type": "Progressing", "status": "True", "reason": if done { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" }},
    ]);
    let kept = [
        ("deployments", text(deployment, "/metadata/name").to_owned(), status),
        (
            "replicasets",
            set,
            numbers(json!({"replicas": pods.len(), "readyReplicas": ready, "availableReplicas": ready})),
        ),
    ];
    for (plural, name, status) in kept {
        let current = store.get(plural, &namespace, &name).filter(|object| object["status"] != status).cloned();
        if let Some(mut object) = current {
            object["status"] = status;
            if plural == "replicasets" {
                object["spec"]["replicas"] = wanted(deployment).into();
            }
            store.put(plural, object, at);
        }
    }
}
