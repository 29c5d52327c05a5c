//! What the controllers of Kubernetes would do next: keep pods where they belong, and count them.

use serde_json::{Value, json};

use super::store::Store;
use super::workloads;

/// How many name servers a cluster has.
const NAME_SERVERS: usize = 2;
const NAME_SERVER_IMAGE: &str = "registry.k8s.io/coredns/coredns:v1.14.2";
const REPLICA_SET: &str = "coredns-7859998f6";

/// Brings pods and counts in line with the nodes that there are.
pub(super) fn reconcile(store: &mut Store, at: &str) {
    place_name_servers(store, at);
    count_daemons(store, at);
    count_name_servers(store, at);
    workloads::reconcile(store, at);
}

/// Whether an object is one that the cluster keeps by itself.
pub(super) fn is_own(object: &Value) -> bool {
    [REPLICA_SET, "coredns"].contains(&text(object, "/metadata/name"))
}

/// The text at a place in an object; empty if there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn pods_with<'a>(store: &'a Store, label: &'a str) -> impl Iterator<Item = &'a Value> {
    store.list("pods", Some("kube-system")).filter(move |pod| pod["metadata"]["labels"]["k8s-app"] == label)
}

/// Pods of nodes that are gone go as well.
pub(super) fn collect_orphans(store: &mut Store) {
    let nodes: Vec<String> = store.list("nodes", None).map(|node| text(node, "/metadata/name").to_owned()).collect();
    let orphan = |pod: &&Value| !nodes.iter().any(|node| node == text(pod, "/spec/nodeName"));
    // A static pod is there before its kubelet has registered.
    let bound = |pod: &&Value| text(pod, "/metadata/ownerReferences/0/kind") != "Node";
    let placed = |pod: &&Value| !text(pod, "/spec/nodeName").is_empty();
    let key = |pod: &Value| (text(pod, "/metadata/namespace").to_owned(), text(pod, "/metadata/name").to_owned());
    let gone: Vec<(String, String)> =
        store.list("pods", None).filter(bound).filter(placed).filter(orphan).map(key).collect();
    for (namespace, name) in gone {
        store.remove("pods", &namespace, &name);
    }
}

/// Name servers run on nodes that take new pods; they tolerate control planes.
fn place_name_servers(store: &mut Store, at: &str) {
    let enough = store.index().pods_of("kube-dns") >= NAME_SERVERS;
    let nowhere = store.index().schedulable().next().is_none();
    if enough || nowhere || store.get("deployments", "kube-system", "coredns").is_none() {
        return;
    }
    let placed: Vec<String> = pods_with(store, "kube-dns").map(|pod| text(pod, "/spec/nodeName").to_owned()).collect();
    let count = |node: &str| placed.iter().filter(|on| *on == node).count();
    let mut load: Vec<(usize, String)> =
        store.index().schedulable().map(|node| (count(node), node.to_owned())).collect();
    for _ in placed.len()..NAME_SERVERS {
        let Some(least) = load.iter_mut().min_by_key(|(count, _)| *count) else { return };
        least.0 += 1;
        let number = store.version;
        let Some(node) = store.node(&least.1) else { return };
        let pod = name_server(node, number, at);
        store.put("pods", pod, at);
    }
}

/// Five characters that a number gives.
pub(super) fn suffix(number: u64) -> String {
    let letter = |place: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (place * 8 + 3);
        char::from(b"bcdfghjklmnpqrstvwxz2456789"[(mixed % 27) as usize])
    };
    (0..5).map(letter).collect()
}

fn name_server(node: &Value, number: u64, at: &str) -> Value {
    let address = node["status"]["addresses"][0]["address"].as_str().unwrap_or_default();
    let suffix = suffix(number);
    let ready = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": at});
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": format!("{REPLICA_SET}-{suffix}"),
            "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "pod-template-hash": "7859998f6"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": REPLICA_SET, "uid": "7859998f6",
                "controller": true,
            }],
        },
        "spec": {
            "nodeName": node["metadata"]["name"],
            "containers": [{"name": "coredns", "image": NAME_SERVER_IMAGE}],
            "priorityClassName": "system-cluster-critical",
            "restartPolicy": "Always",
        },
        "status": {
            "phase": "Running",
            "hostIP": address,
            "podIP": format!("10.244.{}.{}", number % 200, 2 + number % 250),
            "startTime": at,
            "conditions": [ready("PodScheduled"), ready("Initialized"), ready("ContainersReady"), ready("Ready")],
            "containerStatuses": [{
                "name": "coredns", "image": NAME_SERVER_IMAGE, "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": at}},
            }],
        },
    })
}

fn set_status(store: &mut Store, plural: &str, name: &str, status: Value, at: &str) {
    let current = store.get(plural, "kube-system", name).filter(|object| object["status"] != status);
    if let Some(mut object) = current.cloned() {
        object["status"] = status;
        store.put(plural, object, at);
    }
}

fn count_daemons(store: &mut Store, at: &str) {
    let names: Vec<String> =
        store.list("daemonsets", Some("kube-system")).map(|set| text(set, "/metadata/name").to_owned()).collect();
    for name in names {
        let count = store.index().pods_of(&name);
        let status = json!({
            "currentNumberScheduled": count, "desiredNumberScheduled": count, "numberReady": count,
            "numberAvailable": count, "updatedNumberScheduled": count, "numberMisscheduled": 0, "observedGeneration": 1,
        });
        set_status(store, "daemonsets", &name, status, at);
    }
}

fn count_name_servers(store: &mut Store, at: &str) {
    let count = store.index().pods_of("kube-dns");
    let status = json!({
        "replicas": count, "readyReplicas": count, "availableReplicas": count, "updatedReplicas": count,
        "observedGeneration": 1,
        "conditions": [{"type": "Available", "status": if count > 0 { "True" } else { "False" }}],
    });
    set_status(store, "deployments", "coredns", status, at);
    let status = json!({
        "replicas": count, "readyReplicas": count, "availableReplicas": count, "fullyLabeledReplicas": count,
        "observedGeneration": 1,
    });
    set_status(store, "replicasets", REPLICA_SET, status, at);
}

/// The replica set of the name servers.
pub(super) fn replica_set() -> Value {
    let labels = json!({"k8s-app": "kube-dns", "pod-template-hash": "7859998f6"});
    json!({
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": REPLICA_SET,
            "namespace": "kube-system",
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "coredns", "uid": "coredns", "controller": true,
            }],
        },
        "spec": {"replicas": NAME_SERVERS, "selector": {"matchLabels": labels}},
        "status": {"replicas": 0, "observedGeneration": 1},
    })
}

/// Whether a pod that was removed comes back by itself: those of daemons and of a node's own manifests do.
pub(super) fn comes_back(pod: &Value) -> bool {
    matches!(text(pod, "/metadata/ownerReferences/0/kind"), "DaemonSet" | "Node")
}
