//! The objects of one cluster, with the changes that watchers want to see.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lab_core::kubernetes::{Component, Report};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::controllers;
use super::events::Event;
use super::index::Index;
use super::queue::Queue;
use super::{jobs, network, node, node_lifecycle, objects};

/// Where an object lies: kind (plural), namespace (empty for the whole cluster), name.
pub(super) type Key = (String, String, String);

/// A change of an object.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) event: &'static str,
    pub(super) plural: String,
    pub(super) object: Value,
    /// What it was as selectors see it, if that is something else.
    pub(super) before: Option<Value>,
}

/// What selectors may ask of an object.
fn selectable(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "labels": metadata["labels"]},
        "spec": {"nodeName": object["spec"]["nodeName"], "unschedulable": object["spec"]["unschedulable"]},
        "status": {"phase": object["status"]["phase"]},
        "type": object["type"],
    })
}

/// The most that controllers do at once: a bound for those that would contradict each other.
const STEPS: usize = 1_000_000;

/// The changes that are kept for watchers.
const CHANGES: usize = 10_000;

/// The objects of a cluster.
pub(crate) struct Store {
    seed: u64,
    pub(super) version: u64,
    objects: BTreeMap<Key, Value>,
    index: Index,
    queue: Queue,
    changes: VecDeque<Change>,
    /// Events in their order: namespace and name.
    events: VecDeque<(String, String)>,
    /// Nodes that take no pods, as far as an event has reported it.
    cordoned: BTreeSet<String>,
}

impl Store {
    /// A cluster of which nothing runs yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            version: 1,
            objects: BTreeMap::new(),
            index: Index::default(),
            queue: Queue::default(),
            changes: VecDeque::new(),
            events: VecDeque::new(),
            cordoned: BTreeSet::new(),
        }
    }

    /// The first API server came up: what it creates by itself is there.
    pub(crate) fn begin(&mut self, report: &Report) {
        if self.objects.is_empty() {
            for (plural, object) in objects::initial(report) {
                self.put(plural, object, &report.at);
            }
            controllers::own(self, &report.at);
        }
    }

    /// A control plane's static pods run.
    pub(crate) fn control_plane_up(&mut self, report: &Report, components: &[Component]) {
        for pod in objects::static_pods(report, components) {
            self.put("pods", pod, &report.at);
        }
        self.reconcile(&report.at);
    }

    /// Lets the controllers do what is to be done, until nothing is left.
    pub(super) fn reconcile(&mut self, at: &str) {
        for _ in 0..STEPS {
            let Some(task) = self.queue.pop() else { return };
            controllers::step(self, &task, at);
        }
    }

    /// Does what time brings; costs nothing where nothing waits for it.
    pub(crate) fn pass(&mut self, now: OffsetDateTime) {
        jobs::pass(self, now);
        node_lifecycle::pass(self, now);
    }

    /// Number of the latest change.
    pub(crate) fn revision(&self) -> u64 {
        self.version
    }

    /// Everything, as a snapshot keeps it.
    pub(crate) fn dump(&self) -> Value {
        let object = |((plural, ..), object): (&Key, &Value)| json!({"plural": plural, "object": object});
        json!({"version": self.version, "objects": self.objects.iter().map(object).collect::<Vec<_>>()})
    }

    /// Becomes what a snapshot holds; watchers have to start over.
    pub(crate) fn restore(&mut self, dump: &Value) {
        self.objects.clear();
        self.index = Index::default();
        self.queue = Queue::default();
        self.changes.clear();
        self.events.clear();
        self.cordoned.clear();
        self.version = dump["version"].as_u64().unwrap_or(1);
        for entry in dump["objects"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = &entry["object"]["metadata"];
            let key = (text(&entry["plural"]), text(&metadata["namespace"]), text(&metadata["name"]));
            self.index.add(&key, &entry["object"]);
            self.queue.note(&key, &entry["object"]);
            self.objects.insert(key, entry["object"].clone());
        }
    }

    /// Pods on a node: name, name of the container, and its image.
    pub(crate) fn pods_on(&self, node: &str) -> Vec<(String, String, String)> {
        let here = self.index.pods_on(node).filter_map(|key| self.at(key));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let container = |pod: &Value| {
            let first = &pod["spec"]["containers"][0];
            (text(&pod["metadata"]["name"]), text(&first["name"]), text(&first["image"]))
        };
        here.map(container).collect()
    }

    /// A kubelet came: its node is known from now on, not ready at first.
    pub(crate) fn register(&mut self, report: &Report) {
        let fresh = self.node(&report.name).is_none();
        let object = node::object(report, self.get("nodes", "", &report.name), false);
        self.put("nodes", object, &report.at);
        self.put("leases", objects::lease("kube-node-lease", &report.name), &report.at);
        self.tell(&report.name, "kubelet", "Starting", "Starting kubelet.", &report.at);
        if fresh {
            let name = &report.name;
            let text = format!("Node {name} event: Registered Node {name} in Controller");
            self.tell(name, "node-controller", "RegisteredNode", &text, &report.at);
        }
        for pod in controllers::daemon_pods(self, report) {
            self.put("pods", pod, &report.at);
        }
        self.reconcile(&report.at);
    }

    /// A kubelet's facts have changed.
    pub(crate) fn refresh(&mut self, report: &Report) {
        let Some(current) = self.get("nodes", "", &report.name) else { return };
        let ready = node::is_ready(current);
        let object = node::object(report, Some(current), ready);
        self.put("nodes", object, &report.at);
    }

    /// A kubelet reports that its node is ready, or no longer reports anything.
    pub(crate) fn set_ready(&mut self, name: &str, ready: bool, at: &str) {
        if let Some(current) = self.get("nodes", "", name) {
            let differs = node::is_ready(current) != ready;
            let object = node::with_ready(current, ready, at);
            self.put("nodes", object, at);
            if differs {
                let word = if ready { "NodeReady" } else { "NodeNotReady" };
                let source = if ready { "kubelet" } else { "node-controller" };
                self.tell(name, source, word, &format!("Node {name} status is now: {word}"), at);
            }
            self.reconcile(at);
        }
    }

    /// Tells of something that happened to a node.
    fn tell(&mut self, node: &str, source: &str, reason: &str, message: &str, at: &str) {
        let (of, kind, message) = (("Node", "", node), "Normal", message.to_owned());
        self.record(&Event { of, kind, reason, message, source }, at);
    }

    /// What follows a write: an account for a namespace, an event for a node that takes no pods, or takes them again.
    pub(super) fn follow(&mut self, plural: &str, name: &str, at: &str) {
        match plural {
            "namespaces" if self.get("serviceaccounts", name, "default").is_none() => {
                self.put("serviceaccounts", objects::service_account(name), at);
            }
            "nodes" => {
                let cordoned = self.node(name).is_some_and(|node| node["spec"]["unschedulable"] == json!(true));
                let known = if cordoned { self.cordoned.insert(name.to_owned()) } else { self.cordoned.remove(name) };
                if known {
                    let word = if cordoned { "NodeNotSchedulable" } else { "NodeSchedulable" };
                    self.tell(name, "kubelet", word, &format!("Node {name} status is now: {word}"), at);
                }
            }
            _ => {}
        }
    }

    /// An object as it is now: a lease of somebody who is alive was renewed a moment ago.
    pub(super) fn alive(&self, mut object: Value, now: OffsetDateTime) -> Value {
        if object["kind"] == "Lease" && object["spec"]["leaseDurationSeconds"] == json!(40) {
            let holder = object["spec"]["holderIdentity"].as_str().unwrap_or_default();
            if self.node(holder).is_none_or(node::is_ready) {
                let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000000Z");
                object["spec"]["renewTime"] = now.format(&format).unwrap_or_default().into();
            }
        }
        object
    }

    /// Five characters that no object of the cluster has had yet.
    pub(super) fn suffix(&self) -> String {
        controllers::suffix(self.version)
    }

    /// A number that no event has had yet.
    pub(super) fn next_event(&self) -> u64 {
        self.seed.wrapping_add(self.version).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Keeps an event; the oldest one goes when there are too many.
    pub(super) fn keep_event(&mut self, event: Value, kept: usize, at: &str) {
        let name = |event: &Value, key: &str| event["metadata"][key].as_str().unwrap_or_default().to_owned();
        self.events.push_back((name(&event, "namespace"), name(&event, "name")));
        self.put("events", event, at);
        if self.events.len() > kept
            && let Some((namespace, name)) = self.events.pop_front()
        {
            self.remove("events", &namespace, &name);
        }
    }

    /// Whether a node is there and ready.
    pub(crate) fn is_ready(&self, name: &str) -> bool {
        self.get("nodes", "", name).is_some_and(node::is_ready)
    }

    /// Labels, annotations and unschedulability of a node.
    pub(crate) fn node(&self, name: &str) -> Option<&Value> {
        self.get("nodes", "", name)
    }

    pub(super) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(plural.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// The object at a place.
    pub(super) fn at(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// Places of the objects of a namespace.
    pub(super) fn inside(&self, namespace: &str) -> Vec<Key> {
        self.objects.keys().filter(|(_, of, _)| of == namespace).cloned().collect()
    }

    /// Places of the objects of a kind.
    pub(super) fn keys_of(&self, kind: &str) -> Vec<Key> {
        let first = (kind.to_owned(), String::new(), String::new());
        self.objects.range(first..).map(|(key, _)| key).take_while(|key| key.0 == kind).cloned().collect()
    }

    /// What the controllers have not looked at yet.
    pub(super) fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// The objects of a kind, of one namespace or all.
    pub(crate) fn list<'a>(&'a self, plural: &'a str, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Value> {
        let first = (plural.to_owned(), namespace.unwrap_or_default().to_owned(), String::new());
        let of_kind = move |key: &Key| key.0 == plural && namespace.is_none_or(|namespace| key.1 == namespace);
        self.objects.range(first..).take_while(move |(key, _)| of_kind(key)).map(|(_, object)| object)
    }

    /// Writes an object; gives it identity, creation time and version.
    pub(super) fn put(&mut self, plural: &str, mut object: Value, at: &str) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (plural.to_owned(), text("namespace"), text("name"));
        let before = self.objects.get(&key).map(|current| current["metadata"].clone());
        let version = self.version + 1;
        let kept = |field: &str| before.as_ref().map(|metadata| metadata[field].clone());
        object["metadata"]["uid"] = kept("uid").unwrap_or_else(|| json!(self.uid(version)));
        object["metadata"]["creationTimestamp"] = kept("creationTimestamp").unwrap_or_else(|| json!(at));
        if let Some(version) = kept("resourceVersion") {
            object["metadata"]["resourceVersion"] = version;
            if self.objects.get(&key) == Some(&object) {
                return;
            }
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        self.version = version;
        let event = if before.is_some() { "MODIFIED" } else { "ADDED" };
        let same = |current: &Value| {
            let fields = ["/metadata/labels", "/spec/nodeName", "/spec/unschedulable", "/status/phase", "/type"];
            fields.into_iter().all(|field| current.pointer(field) == object.pointer(field))
        };
        let other = self.objects.get(&key).filter(|current| !same(current)).map(selectable);
        self.log(event, plural, object.clone(), other);
        self.queue.note(&key, &object);
        if let Some(current) = self.objects.get(&key) {
            self.index.forget(&key, current);
        }
        self.index.add(&key, &object);
        network::selected(self, &key, &object);
        let before = self.objects.insert(key.clone(), object);
        if let Some(before) = before {
            network::selected(self, &key, &before);
        }
    }

    /// Pods that run nowhere yet.
    pub(super) fn waiting(&self) -> Vec<Key> {
        self.index.waiting().cloned().collect()
    }

    /// What is known of the objects without looking at each.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Removes an object and gives what it was.
    pub(super) fn remove(&mut self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = self.objects.remove(&key)?;
        self.index.forget(&key, &object);
        self.queue.note(&key, &object);
        self.note_removal(&key, &object);
        network::selected(self, &key, &object);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.log("DELETED", plural, object.clone(), None);
        Some(object)
    }

    fn log(&mut self, event: &'static str, plural: &str, object: Value, before: Option<Value>) {
        self.changes.push_back(Change { version: self.version, event, plural: plural.to_owned(), object, before });
        if self.changes.len() > CHANGES {
            self.changes.pop_front();
        }
    }

    /// Changes of a kind after a version; `None` if they are no longer known.
    pub(super) fn changes<'a>(&'a self, plural: &'a str, after: u64) -> Option<impl Iterator<Item = &'a Change>> {
        let oldest = self.changes.front().map_or(self.version, |change| change.version - 1);
        if after < oldest && self.changes.len() == CHANGES {
            return None;
        }
        let first = self.changes.partition_point(|change| change.version <= after);
        Some(self.changes.range(first..).filter(move |change| change.plural == plural))
    }

    fn uid(&self, number: u64) -> String {
        let low = self.seed & 0xffff_ffff_ffff;
        format!(
            "{number:08x}-{:04x}-4{:03x}-8{:03x}-{low:012x}",
            self.seed >> 48,
            number & 0xfff,
            self.seed >> 12 & 0xfff
        )
    }
}
