//! What the controllers of Kubernetes would do next: keep pods where they belong, and count them.

use serde_json::{Value, json};

use super::queue::Task;
use super::store::{Key, Store};
use super::{budgets, custom, daemons, deployments, jobs, network, node_lifecycle, objects, pods, stateful, volumes};
use lab_core::kubernetes::Report;

/// How many name servers a cluster has.
pub(super) const NAME_SERVERS: usize = 2;
pub(super) const NAME_SERVER_IMAGE: &str = "registry.k8s.io/coredns/coredns:v1.14.2";
const REPLICA_SET: &str = "coredns-7859998f6";

/// What every cluster has on each of its nodes.
const DAEMONS: [&str; 2] = ["kube-flannel", "kube-proxy"];

/// Looks at what has changed.
pub(super) fn step(store: &mut Store, task: &Task, at: &str) {
    match task {
        Task::Orphans(owner) => store.collect(owner, at),
        Task::Pod(key) | Task::Look(key) | Task::Holder(key) => {
            look(store, key, at);
            store.finish(key, at);
        }
    }
}

fn look(store: &mut Store, key: &Key, at: &str) {
    match key.0.as_str() {
        "nodes" => look_at_node(store, &key.2, at),
        "pods" => pods::look(store, key, at),
        "daemonsets" if is_own(store, key) => count_daemons(store, &key.2, at),
        "deployments" | "replicasets" if is_own(store, key) => {
            place_name_servers(store, at);
            count_name_servers(store, at);
        }
        "daemonsets" => daemons::look(store, key, at),
        "deployments" => deployments::look(store, key, at),
        "replicasets" | "replicationcontrollers" => deployments::look_at_set(store, key, at),
        "statefulsets" => stateful::look(store, key, at),
        "jobs" => jobs::look(store, key, at),
        "cronjobs" => jobs::look_at_cron(store, key, at),
        "services" => network::look(store, key, at),
        "poddisruptionbudgets" => budgets::look(store, key, at),
        "persistentvolumeclaims" => volumes::look(store, key, at),
        "persistentvolumes" => volumes::look_at_volume(store, key, at),
        custom::DEFINITIONS => custom::look(store, key, at),
        "apiservices" => custom::look_at_service(store, key, at),
        _ => {}
    }
}

fn look_at_node(store: &mut Store, name: &str, at: &str) {
    if store.node(name).is_none() {
        store.remove("leases", "kube-node-lease", name);
        collect_orphans(store, name);
    }
    node_lifecycle::look(store, name, at);
    daemons::look_from(store, name, at);
    pods::look_from(store, name, at);
    place_name_servers(store, at);
}

/// Whether an object is one that the cluster keeps by itself, and nobody has changed.
pub(super) fn is_own(store: &Store, key: &Key) -> bool {
    let pristine = |key: &Key| {
        let metadata = store.at(key).map(|object| &object["metadata"]);
        metadata.is_some_and(|metadata| metadata["generation"] == json!(1) && metadata["managedFields"].is_null())
    };
    let named = match key.0.as_str() {
        "daemonsets" => DAEMONS.contains(&key.2.as_str()),
        "replicasets" => key.2 == REPLICA_SET && pristine(&own_key("deployments", "coredns")),
        _ => key.2 == "coredns",
    };
    key.1 == "kube-system" && named && pristine(key)
}

/// The text at a place in an object; empty if there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Ten characters that stand for a value.
pub(super) fn hash(value: &Value) -> String {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let number = value.to_string().bytes().fold(start, mix);
    format!("{}{}", suffix(number), suffix(number >> 7))
}

/// Writes a status that differs from the one that there is; conditions that stay keep their time, zeros are left out.
pub(super) fn patched_status(store: &mut Store, key: &Key, mut status: Value, at: &str) {
    let Some(object) = store.at(key) else { return };
    let old = object["status"]["conditions"].as_array();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        let same = |old: &&Value| old["type"] == condition["type"] && old["status"] == condition["status"];
        let since = old.into_iter().flatten().find(same).map(|old| old["lastTransitionTime"].clone());
        condition["lastTransitionTime"] = since.unwrap_or_else(|| at.into());
    }
    let required = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "numberMisscheduled",
        "replicas",
        "currentHealthy",
        "desiredHealthy",
        "expectedPods",
        "disruptionsAllowed",
        "availableReplicas",
        "collisionCount",
    ];
    if let Some(status) = status.as_object_mut() {
        status.retain(|name, value| required.contains(&name.as_str()) || value != &json!(0) && !value.is_null());
    }
    if object["status"] != status {
        let mut object = object.clone();
        object["status"] = status;
        store.put(&key.0, object, at);
    }
}

fn pods_with<'a>(store: &'a Store, label: &'a str) -> impl Iterator<Item = &'a Value> {
    store.list("pods", Some("kube-system")).filter(move |pod| pod["metadata"]["labels"]["k8s-app"] == label)
}

/// Pods of a node that is gone go as well; a static pod is there before its kubelet has registered.
fn collect_orphans(store: &mut Store, node: &str) {
    let bound = |key: &&Key| store.at(key).is_some_and(|pod| text(pod, "/metadata/ownerReferences/0/kind") != "Node");
    let gone: Vec<Key> = store.index().pods_on(node).filter(bound).cloned().collect();
    for (plural, namespace, name) in gone {
        store.remove(&plural, &namespace, &name);
    }
}

/// Name servers run on nodes that take new pods; they tolerate control planes.
fn place_name_servers(store: &mut Store, at: &str) {
    let enough = store.index().pods_of("kube-dns") >= NAME_SERVERS;
    let nowhere = store.index().schedulable().next().is_none();
    if enough || nowhere || !is_own(store, &own_key("replicasets", REPLICA_SET)) {
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
        let set = store.get("replicasets", "kube-system", REPLICA_SET).cloned().unwrap_or_default();
        let pod = name_server(node, &set, number, at);
        store.put("pods", pod, at);
    }
}

fn own_key(plural: &str, name: &str) -> Key {
    (plural.to_owned(), "kube-system".to_owned(), name.to_owned())
}

/// Five characters that a number gives.
pub(super) fn suffix(number: u64) -> String {
    let letter = |place: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (place * 8 + 3);
        char::from(b"bcdfghjklmnpqrstvwxz2456789"[(mixed % 27) as usize])
    };
    (0..5).map(letter).collect()
}

fn name_server(node: &Value, set: &Value, number: u64, at: &str) -> Value {
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
            "ownerReferences": pods::controller("ReplicaSet", "apps/v1", set),
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
            "podIP": format!("10.244.{}.{}", number / 250 % 250, 2 + number % 250),
            "startTime": at,
            "conditions": [ready("PodScheduled"), ready("Initialized"), ready("ContainersReady"), ready("Ready")],
            "containerStatuses": [{
                "name": "coredns", "image": NAME_SERVER_IMAGE, "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": at}},
            }],
        },
    })
}

fn count_daemons(store: &mut Store, name: &str, at: &str) {
    let count = store.index().pods_of(name);
    let status = json!({
        "currentNumberScheduled": count, "desiredNumberScheduled": count, "numberReady": count,
        "numberAvailable": count, "updatedNumberScheduled": count, "numberMisscheduled": 0, "observedGeneration": 1,
    });
    patched_status(store, &own_key("daemonsets", name), status, at);
}

fn count_name_servers(store: &mut Store, at: &str) {
    let count = store.index().pods_of("kube-dns");
    let status = json!({
        "replicas": count, "readyReplicas": count, "availableReplicas": count, "updatedReplicas": count,
        "observedGeneration": 1,
        "conditions": [{"type": "Available", "status": if count > 0 { "True" } else { "False" }}],
    });
    let (deployment, set) = (own_key("deployments", "coredns"), own_key("replicasets", REPLICA_SET));
    if is_own(store, &set) {
        patched_status(store, &deployment, status, at);
    }
    let status = json!({
        "replicas": count, "readyReplicas": count, "availableReplicas": count, "fullyLabeledReplicas": count,
        "observedGeneration": 1,
    });
    if is_own(store, &set) {
        patched_status(store, &set, status, at);
    }
}

/// Makes the sets that every cluster has, which need to know each other.
pub(super) fn own(store: &mut Store, at: &str) {
    let Some(deployment) = store.get("deployments", "kube-system", "coredns").cloned() else { return };
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = json!("7859998f6");
    let labels = template["metadata"]["labels"].clone();
    let set = json!({
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": REPLICA_SET, "namespace": "kube-system", "labels": labels, "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": pods::controller("Deployment", "apps/v1", &deployment),
        },
        "spec": {"replicas": NAME_SERVERS, "selector": {"matchLabels": labels}, "template": template},
        "status": {"replicas": 0, "observedGeneration": 1},
    });
    store.put("replicasets", set, at);
}

/// The daemons of a node that registers.
pub(super) fn daemon_pods(store: &Store, report: &Report) -> Vec<Value> {
    let set = |name: &str| store.get("daemonsets", "kube-system", name).filter(|set| !pods::leaves(set));
    let own = |name: &&&str| is_own(store, &own_key("daemonsets", name));
    DAEMONS.iter().filter(own).filter_map(|name| Some(objects::daemon_pod(report, set(name)?))).collect()
}

/// Whether a pod that was removed comes back by itself: those of daemons and of a node's own manifests do.
pub(super) fn comes_back(store: &Store, pod: &Value) -> bool {
    let owner = &pod["metadata"]["ownerReferences"][0];
    let kept = match owner["kind"].as_str() {
        Some("Node") => true,
        Some("DaemonSet") => {
            let key = own_key("daemonsets", text(owner, "/name"));
            is_own(store, &key)
                && store.at(&key).is_some_and(|set| !pods::leaves(set) && set["metadata"]["uid"] == owner["uid"])
        }
        _ => false,
    };
    kept && store.node(text(pod, "/spec/nodeName")).is_some()
}
