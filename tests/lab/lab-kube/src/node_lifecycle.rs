//! The pods of users on a node that no longer reports.
//!
//! They are no longer ready, those that are deleted stay until their node comes back, and after a while all are
//! deleted, so that others run elsewhere. What every cluster has in kube-system is left as it is.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::answer::timestamp;
use super::controllers::text;
use super::deletion::Propagation;
use super::store::{Key, Store};
use super::{node, pods, table};

/// How long a pod tolerates a node that is not ready, by default.
const BORNE: i64 = 300;

const TAINT: &str = "node.kubernetes.io/not-ready";

/// The pods of users on a node.
fn pods_of(store: &Store, node: &str) -> Vec<Key> {
    store.index().pods_on(node).filter(|key| key.1 != "kube-system").cloned().collect()
}

/// Whether a pod that is to go has to wait for its node.
pub(super) fn holds(store: &Store, pod: &Value) -> bool {
    let ends = pod["metadata"]["deletionGracePeriodSeconds"].as_u64().is_some_and(|seconds| seconds > 0);
    ends && store.node(text(pod, "/spec/nodeName")).is_some_and(|node| !node::is_ready(node))
}

/// Looks at a node: its pods are ready when it is.
pub(super) fn look(store: &mut Store, name: &str, at: &str) {
    let Some(node) = store.node(name) else { return };
    let ready = node::is_ready(node);
    for key in pods_of(store, name) {
        let Some(pod) = store.at(&key) else { continue };
        if ready && pods::leaves(pod) {
            store.queue().look(key);
        } else if pod["status"]["phase"] == "Running" && pods::is_ready(pod) != ready && !pods::leaves(pod) {
            let mut pod = pod.clone();
            let conditions = pod["status"]["conditions"].as_array_mut();
            for condition in conditions.into_iter().flatten().filter(|condition| condition["type"] == "Ready") {
                condition["status"] = json!(if ready { "True" } else { "False" });
                condition["lastTransitionTime"] = at.into();
            }
            store.put("pods", pod, at);
        }
    }
}

/// How long a pod bears that its node is not ready; nothing if it always does.
fn borne(pod: &Value) -> Option<i64> {
    let tolerations = pod["spec"]["tolerations"].as_array();
    let own = tolerations.into_iter().flatten().find(|toleration| {
        let key = toleration["key"].is_null() || toleration["key"] == TAINT;
        key && (toleration["effect"].is_null() || toleration["effect"] == "NoExecute")
    });
    match own {
        Some(own) => own["tolerationSeconds"].as_i64(),
        None => Some(BORNE),
    }
}

/// Deletes the pods that have waited for long enough.
pub(super) fn pass(store: &mut Store, now: OffsetDateTime) {
    let since = |node: &Value| {
        let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        table::time(text(conditions.find(|condition| condition["type"] == "Ready")?, "/lastTransitionTime"))
    };
    let silent = store.index().silent().filter_map(|name| Some((name, since(store.node(name)?)?)));
    let pods = silent.flat_map(|(name, since)| pods_of(store, name).into_iter().map(move |key| (since, key)));
    let late = pods.filter(|(since, key)| {
        let limit = store.at(key).filter(|pod| !pods::leaves(pod)).and_then(borne);
        limit.is_some_and(|seconds| now - *since >= Duration::seconds(seconds))
    });
    let late: Vec<Key> = late.map(|(_, key)| key).collect();
    if late.is_empty() {
        return;
    }
    let at = timestamp(now);
    for key in late {
        store.delete(&key, Propagation::Background, None, &at);
    }
    store.reconcile(&at);
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const AT: &str = "2026-01-01T00:00:00Z";

    fn node(name: &str, ready: &str) -> Value {
        let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": AT});
        json!({"kind": "Node", "metadata": {"name": name}, "status": {"conditions": [condition]}})
    }

    fn set() -> Value {
        let template =
            json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}});
        json!({
            "kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": {"name": "x", "namespace": "default"},
            "spec": {"replicas": 1, "template": template},
        })
    }

    fn seen(store: &Store) -> Vec<(&str, bool, bool)> {
        let pods = store.list("pods", None);
        pods.map(|pod| (text(pod, "/spec/nodeName"), pods::is_ready(pod), pods::leaves(pod))).collect()
    }

    #[test]
    fn pods_of_a_silent_node_are_not_ready_then_replaced_and_gone_when_it_is_back() {
        let mut store = Store::new(1);
        store.put("nodes", node("a", "True"), AT);
        store.put("replicasets", set(), AT);
        store.reconcile(AT);
        assert_eq!(seen(&store), [("a", true, false)]);
        store.put("nodes", node("a", "False"), AT);
        store.put("nodes", node("b", "True"), AT);
        store.reconcile(AT);
        assert_eq!(seen(&store), [("a", false, false)]);
        store.pass(datetime!(2026-01-01 00:04:59 UTC));
        assert_eq!(seen(&store), [("a", false, false)]);
        store.pass(datetime!(2026-01-01 00:05:00 UTC));
        let mut after = seen(&store);
        after.sort_unstable();
        assert_eq!(after, [("a", false, true), ("b", true, false)]);
        store.put("nodes", node("a", "True"), AT);
        store.reconcile(AT);
        assert_eq!(seen(&store), [("b", true, false)]);
    }
}
