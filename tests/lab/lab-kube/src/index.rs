//! What is asked of the objects so often that it is kept beside them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::node;
use super::pods;
use super::store::Key;

/// Follows every object that comes, changes or goes.
#[derive(Default)]
pub(super) struct Index {
    /// How many pods carry each value of the label `k8s-app`.
    apps: BTreeMap<String, usize>,
    /// Pods that run nowhere yet.
    waiting: BTreeSet<Key>,
    /// Names of the nodes that take new pods: ready, and not cordoned.
    schedulable: BTreeSet<String>,
    /// Names of the nodes that are reported as not healthy.
    silent: BTreeSet<String>,
    /// Pods by the node that they run on.
    placed: HashMap<String, BTreeSet<Key>>,
    /// Those of them that are done.
    done: HashMap<String, BTreeSet<Key>>,
    /// Objects by the identity of each of their owners.
    owned: HashMap<String, BTreeSet<Key>>,
    /// Objects that are to go, by their identity.
    leaving: HashMap<String, Key>,
}

/// The identities of an object's owners.
pub(super) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let listed = object["metadata"]["ownerReferences"].as_array();
    listed.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn take(map: &mut HashMap<String, BTreeSet<Key>>, name: &str, key: &Key) {
    if let Some(keys) = map.get_mut(name) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(name);
        }
    }
}

impl Index {
    /// Notes an object as it is from now on; one that was there before is to be forgotten first.
    pub(super) fn add(&mut self, key: &Key, object: &Value) {
        for owner in owners(object) {
            self.owned.entry(owner.to_owned()).or_default().insert(key.clone());
        }
        if object["metadata"]["deletionTimestamp"].is_string() {
            self.leaving.insert(uid(object).to_owned(), key.clone());
        }
        match key.0.as_str() {
            "pods" => {
                if let Some(node) = object["spec"]["nodeName"].as_str() {
                    self.placed.entry(node.to_owned()).or_default().insert(key.clone());
                    if pods::is_done(object) {
                        self.done.entry(node.to_owned()).or_default().insert(key.clone());
                    }
                }
                *self.apps.entry(app(object).to_owned()).or_default() += 1;
                if object["status"]["phase"] == "Pending" {
                    self.waiting.insert(key.clone());
                }
            }
            "nodes" if !node::is_ready(object) => {
                self.silent.insert(key.2.clone());
            }
            "nodes" if object["spec"]["unschedulable"] != json!(true) => {
                self.schedulable.insert(key.2.clone());
            }
            _ => {}
        }
    }

    /// Forgets an object as it was.
    pub(super) fn forget(&mut self, key: &Key, object: &Value) {
        for owner in owners(object) {
            take(&mut self.owned, owner, key);
        }
        if !self.leaving.is_empty() {
            self.leaving.remove(uid(object));
        }
        match key.0.as_str() {
            "pods" => {
                let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
                take(&mut self.placed, node, key);
                take(&mut self.done, node, key);
                let count = self.apps.entry(app(object).to_owned()).or_default();
                *count = count.saturating_sub(1);
                self.waiting.remove(key);
            }
            "nodes" => {
                self.silent.remove(&key.2);
                self.schedulable.remove(&key.2);
            }
            _ => {}
        }
    }

    /// How many pods carry a value of the label `k8s-app`.
    pub(super) fn pods_of(&self, app: &str) -> usize {
        self.apps.get(app).copied().unwrap_or_default()
    }

    /// Pods that run nowhere yet.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Key> {
        self.waiting.iter()
    }

    /// Names of the nodes that are not ready.
    pub(super) fn silent(&self) -> impl Iterator<Item = &str> {
        self.silent.iter().map(String::as_str)
    }

    /// How many pods run on a node.
    pub(super) fn load(&self, node: &str) -> usize {
        let count = |pods: &HashMap<String, BTreeSet<Key>>| pods.get(node).map_or(0, BTreeSet::len);
        count(&self.placed) - count(&self.done)
    }

    /// The pods of a node.
    pub(super) fn pods_on(&self, node: &str) -> impl Iterator<Item = &Key> {
        self.placed.get(node).into_iter().flatten()
    }

    /// The objects that the object with an identity owns.
    pub(super) fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.owned.get(uid).into_iter().flatten()
    }

    /// Those of a kind that the object with an identity owns.
    pub(super) fn owned_of<'a>(&'a self, kind: &'a str, uid: &str) -> impl Iterator<Item = &'a Key> {
        let first = (kind.to_owned(), String::new(), String::new());
        let all = self.owned.get(uid).map(|keys| keys.range(first..));
        all.into_iter().flatten().take_while(move |key| key.0 == kind)
    }

    /// Where the object with an identity is, if it is to go.
    pub(super) fn leaving(&self, uid: &str) -> Option<&Key> {
        self.leaving.get(uid)
    }

    /// Names of the nodes that take new pods.
    pub(super) fn schedulable(&self) -> impl Iterator<Item = &str> {
        self.schedulable.iter().map(String::as_str)
    }
}

/// The value of the label `k8s-app`.
fn app(pod: &Value) -> &str {
    pod["metadata"]["labels"]["k8s-app"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::store::Store;
    use super::*;

    const AT: &str = "2026-01-01T00:00:00Z";

    fn node(name: &str, ready: &str) -> Value {
        json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    }

    fn pod(app: &str, phase: &str) -> Value {
        let metadata = json!({"name": "p", "namespace": "default", "labels": {"k8s-app": app}});
        json!({"metadata": metadata, "status": {"phase": phase}})
    }

    fn schedulable(store: &Store) -> Vec<&str> {
        store.index().schedulable().collect()
    }

    #[test]
    fn nodes_take_pods_while_they_are_ready_and_not_cordoned() {
        let mut store = Store::new(1);
        store.put("nodes", node("a", "True"), AT);
        store.put("nodes", node("b", "False"), AT);
        assert_eq!(schedulable(&store), ["a"]);
        store.put("nodes", node("b", "True"), AT);
        let mut cordoned = node("a", "True");
        cordoned["spec"] = json!({"unschedulable": true});
        store.put("nodes", cordoned, AT);
        assert_eq!(schedulable(&store), ["b"]);
        store.remove("nodes", "", "b");
        assert!(schedulable(&store).is_empty());
    }

    #[test]
    fn a_pod_is_counted_by_its_label_of_now_and_waits_while_it_runs_nowhere() {
        let mut store = Store::new(1);
        store.put("pods", pod("one", "Pending"), AT);
        store.put("pods", pod("two", "Pending"), AT);
        assert_eq!((store.index().pods_of("one"), store.index().pods_of("two")), (0, 1));
        let mut restored = Store::new(2);
        restored.restore(&store.dump());
        assert_eq!((restored.index().pods_of("two"), restored.waiting().len()), (1, 1));
        store.put("pods", pod("two", "Running"), AT);
        assert!(store.waiting().is_empty());
    }
}
