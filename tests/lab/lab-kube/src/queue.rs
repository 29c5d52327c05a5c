//! What the controllers have not looked at yet.
//!
//! Every change notes whom it concerns, so that a cluster at rest costs nothing, however large it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::custom;
use super::store::Key;

/// Something to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// Those that belong to somebody who is gone: the identity of the owner.
    Orphans(String),
    /// A pod: before who counts it.
    Pod(Key),
    /// An object that came, changed or went.
    Look(Key),
    /// An object that holds others: looked at after these.
    Holder(Key),
}

/// What is to be looked at, each once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tasks: BTreeSet<Task>,
}

/// Kinds that a controller cares for.
const LOOKED_AFTER: &[&str] = &[
    custom::DEFINITIONS,
    "apiservices",
    "cronjobs",
    "daemonsets",
    "deployments",
    "jobs",
    "namespaces",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "poddisruptionbudgets",
    "pods",
    "replicasets",
    "replicationcontrollers",
    "services",
    "statefulsets",
];

/// The controllers of pods, by the kind that their references name.
const OWNERS: &[(&str, &str)] = &[
    ("ReplicaSet", "replicasets"),
    ("ReplicationController", "replicationcontrollers"),
    ("DaemonSet", "daemonsets"),
    ("StatefulSet", "statefulsets"),
    ("Deployment", "deployments"),
    ("Job", "jobs"),
    ("CronJob", "cronjobs"),
];

impl Queue {
    /// Notes that those that an owner leaves behind should be looked at.
    pub(super) fn orphans(&mut self, owner: &str) {
        self.tasks.insert(Task::Orphans(owner.to_owned()));
    }

    /// Notes that an object should be looked at.
    pub(super) fn look(&mut self, key: Key) {
        self.tasks.insert(match key.0.as_str() {
            "pods" => Task::Pod(key),
            "cronjobs" | "deployments" | "namespaces" | custom::DEFINITIONS => Task::Holder(key),
            _ => Task::Look(key),
        });
    }

    /// What comes next.
    pub(super) fn pop(&mut self) -> Option<Task> {
        self.tasks.pop_first()
    }

    /// Notes that an object came, changed or went: it is looked at, and so is who controls it.
    pub(super) fn note(&mut self, key: &Key, object: &Value) {
        let leaving = !object["metadata"]["deletionTimestamp"].is_null();
        if leaving || LOOKED_AFTER.contains(&key.0.as_str()) {
            self.look(key.clone());
        }
        if matches!(key.0.as_str(), "pods" | "replicasets" | "jobs") {
            let owners = object["metadata"]["ownerReferences"].as_array();
            for owner in owners.into_iter().flatten() {
                let known = OWNERS.iter().find(|(kind, _)| owner["kind"] == *kind);
                if let (Some((_, plural)), Some(name)) = (known, owner["name"].as_str()) {
                    self.look(((*plural).to_owned(), key.1.clone(), name.to_owned()));
                }
            }
        }
    }
}
