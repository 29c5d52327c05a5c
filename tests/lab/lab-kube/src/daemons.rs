//! Daemon sets: a pod on each node that suits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::controllers::{is_own, patched_status, text};
use super::deletion::Propagation;
use super::deployments::share;
use super::pods;
use super::revisions::{self, LABEL};
use super::scheduler;
use super::store::{Key, Store};

/// Taints of nodes in trouble, which daemons bear.
const TROUBLE: &[(&str, &str)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// A daemon as it would be made, before it is known where.
fn daemon(set: &Value, hash: &str) -> Value {
    let owner = pods::controller("DaemonSet", "apps/v1", set);
    let mut pod = pods::from_template(&set["spec"]["template"], text(set, "/metadata/namespace"), "", &owner);
    pod["metadata"]["labels"][LABEL] = hash.into();
    if !pod["spec"]["tolerations"].is_array() {
        pod["spec"]["tolerations"] = json!([]);
    }
    if let Some(tolerations) = pod["spec"]["tolerations"].as_array_mut() {
        let borne = TROUBLE.iter();
        tolerations.extend(borne.map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect})));
    }
    pod
}

/// Looks at a daemon set: its pods are where they should be, and from its present template.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(set) = store.at(key).cloned() else { return };
    let (_, hash) = revisions::newest(store, &set, at);
    if !pods::leaves(&set) {
        spread(store, &set, &hash, at);
        renew(store, &set, &hash, at);
    }
    report(store, key, &set, &hash, at);
}

/// The pods of a set by their nodes.
fn placed<'a>(store: &'a Store, set: &Value) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut all: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let keys = store.index().owned_of("pods", text(set, "/metadata/uid"));
    for pod in keys.filter_map(|key| store.at(key)) {
        all.entry(text(pod, "/spec/nodeName")).or_default().push(pod);
    }
    all
}

fn place(pod: &Value) -> Key {
    ("pods".to_owned(), text(pod, "/metadata/namespace").to_owned(), text(pod, "/metadata/name").to_owned())
}

fn spread(store: &mut Store, set: &Value, hash: &str, at: &str) {
    let pod = daemon(set, hash);
    let there = placed(store, set);
    let suitable = |node: &&Value| scheduler::suits(node, &pod);
    let nodes = store.list("nodes", None).filter(suitable).map(|node| text(node, "/metadata/name"));
    let nodes: Vec<&str> = nodes.collect();
    let missing: Vec<String> =
        nodes.iter().filter(|node| !there.contains_key(*node)).map(|node| (*node).to_owned()).collect();
    let wrong = there.iter().filter(|(node, _)| nodes.binary_search(node).is_err()).flat_map(|(_, pods)| pods);
    let wrong: Vec<Key> = wrong.filter(|pod| !pods::leaves(pod)).map(|pod| place(pod)).collect();
    for key in wrong {
        store.delete(&key, Propagation::Background, None, at);
    }
    for node in missing {
        create(store, pod.clone(), set, &node, at);
    }
}

/// Makes a daemon on a node; returns whether it runs at once.
fn create(store: &mut Store, mut pod: Value, set: &Value, node: &str, at: &str) -> bool {
    let (namespace, name) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    let key = ("pods".to_owned(), namespace.to_owned(), format!("{name}-{}", store.suffix()));
    pod["metadata"]["name"] = key.2.clone().into();
    pod["spec"]["nodeName"] = node.into();
    store.put("pods", pod, at);
    pods::look(store, &key, at);
    store.at(&key).is_some_and(pods::is_ready)
}

/// Replaces those that are from an earlier template, one after the other, as long as enough of them run.
fn renew(store: &mut Store, set: &Value, hash: &str, at: &str) {
    let rules = &set["spec"]["updateStrategy"];
    if rules["type"] == "OnDelete" {
        return;
    }
    let there = placed(store, set);
    let all = there.values().flatten();
    let limit = match &rules["rollingUpdate"]["maxUnavailable"] {
        Value::Null => 1,
        value => share(value, there.len(), true).max(1),
    };
    let mut down = all.clone().filter(|pod| !pods::is_ready(pod)).count();
    let old = all.filter(|pod| pod["metadata"]["labels"][LABEL] != hash && !pods::leaves(pod));
    let old = old.map(|pod| (pods::is_ready(pod), place(pod), text(pod, "/spec/nodeName").to_owned()));
    let mut old: Vec<(bool, Key, String)> = old.collect();
    // Those that do not run are no loss.
    old.sort();
    for (ready, key, node) in old {
        if ready && down >= limit {
            return;
        }
        store.delete(&key, Propagation::Background, None, at);
        store.finish(&key, at);
        let runs = store.at(&key).is_none() && create(store, daemon(set, hash), set, &node, at);
        down += usize::from(ready && !runs);
    }
}

fn report(store: &mut Store, key: &Key, set: &Value, hash: &str, at: &str) {
    let pod = daemon(set, hash);
    let desired = store.list("nodes", None).filter(|node| scheduler::suits(node, &pod)).count();
    let there = placed(store, set);
    let all = || there.values().flatten();
    let ready = all().filter(|pod| pods::is_ready(pod)).count();
    let updated = all().filter(|pod| pod["metadata"]["labels"][LABEL] == hash).count();
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "desiredNumberScheduled": desired,
        "currentNumberScheduled": there.len(), "numberReady": ready, "numberAvailable": ready,
        "numberUnavailable": desired.saturating_sub(ready), "updatedNumberScheduled": updated, "numberMisscheduled": 0,
    });
    patched_status(store, key, status, at);
}

/// Looks at a node that came, changed or went: daemons of users belong on it, or no longer do.
pub(super) fn look_from(store: &mut Store, name: &str, at: &str) {
    for key in store.keys_of("daemonsets") {
        if is_own(store, &key) {
            continue;
        }
        let Some(set) = store.at(&key).filter(|set| !pods::leaves(set)).cloned() else { continue };
        let (_, hash) = revisions::newest(store, &set, at);
        let pod = daemon(&set, &hash);
        let wanted = store.node(name).is_some_and(|node| scheduler::suits(node, &pod));
        let uid = &set["metadata"]["uid"];
        let own = |key: &Key| store.at(key).is_some_and(|pod| &pod["metadata"]["ownerReferences"][0]["uid"] == uid);
        let there = store.index().pods_on(name).any(own);
        if wanted != there {
            store.queue().look(key);
        }
    }
}
