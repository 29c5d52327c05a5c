//! Which nodes take a pod.

use serde_json::{Value, json};

use super::controllers::text;
use super::node;
use super::selector;
use super::store::Store;

/// Whether a pod bears a taint.
fn bears(pod: &Value, taint: &Value) -> bool {
    let tolerations = pod["spec"]["tolerations"].as_array();
    tolerations.into_iter().flatten().any(|toleration| {
        let same = |field: &str| toleration[field].is_null() || toleration[field] == taint[field];
        let value = toleration["operator"] == "Exists" || toleration["value"] == taint["value"];
        same("key") && same("effect") && value
    })
}

/// Whether a pod may run on a node by its node selector, affinity and tolerations, whether the node is ready or not.
pub(super) fn suits(node: &Value, pod: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    let hard = taints.into_iter().flatten().filter(|taint| taint["effect"] != "PreferNoSchedule");
    let wanted = pod["spec"]["nodeSelector"].as_object();
    let labelled = wanted.into_iter().flatten().all(|(key, value)| &node["metadata"]["labels"][key] == value);
    labelled && drawn(node, pod) && hard.into_iter().all(|taint| bears(pod, taint))
}

/// Whether a node takes a new pod.
pub(super) fn takes(store: &Store, node: &Value, pod: &Value) -> bool {
    let free = node::is_ready(node) && node["spec"]["unschedulable"] != json!(true) && has_room(store, node);
    free && suits(node, pod) && !shunned(store, node, pod)
}

/// Whether a node has room for one more pod.
fn has_room(store: &Store, node: &Value) -> bool {
    let places = text(node, "/status/allocatable/pods").parse().unwrap_or(usize::MAX);
    store.index().load(text(node, "/metadata/name")) < places
}

/// Whether a pod's node affinity allows a node.
fn drawn(node: &Value, pod: &Value) -> bool {
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let Some(terms) = required["nodeSelectorTerms"].as_array() else { return true };
    let all = |rules: &Value, of: &Value| rules.as_array().into_iter().flatten().all(|rule| selector::rule(rule, of));
    let named = json!({"metadata.name": node["metadata"]["name"]});
    let term =
        |term: &Value| all(&term["matchExpressions"], &node["metadata"]["labels"]) && all(&term["matchFields"], &named);
    terms.iter().any(term)
}

/// Whether a node has a pod that this pod must not share it with.
fn shunned(store: &Store, node: &Value, pod: &Value) -> bool {
    let required = &pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let namespace = text(pod, "/metadata/namespace");
    let apart = required.as_array().into_iter().flatten();
    apart.filter(|term| term["topologyKey"] == "kubernetes.io/hostname").any(|term| {
        let mut here = store.index().pods_on(text(node, "/metadata/name")).filter(|key| key.1 == namespace);
        here.any(|key| store.at(key).is_some_and(|other| selector::selects(&term["labelSelector"], other)))
    })
}

/// The node with the fewest pods of those that take a pod.
pub(super) fn best<'a>(store: &'a Store, pod: &Value) -> Option<&'a Value> {
    let named = text(pod, "/spec/nodeName");
    if !named.is_empty() {
        return store.node(named).filter(|node| node::is_ready(node));
    }
    let nodes = store.index().schedulable().filter_map(|name| store.node(name));
    nodes.filter(|node| takes(store, node, pod)).min_by_key(|node| store.index().load(text(node, "/metadata/name")))
}
