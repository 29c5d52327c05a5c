//! How objects go: what must be done before, who goes with them, and when they are gone.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::answer::timestamp;
use super::controllers::text;
use super::index;
use super::store::{Key, Store};
use super::{controllers, custom, node_lifecycle, pods, volumes};

/// What becomes of those that belong to an object that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What keeps a claim or a volume while it is used.
pub(super) const PROTECTION: [&str; 2] = ["kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"];

/// What must still be done before an object may go.
fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn set_finalizers(object: &mut Value, left: &[String]) {
    match left {
        [] => drop(object["metadata"].as_object_mut().map(|metadata| metadata.remove("finalizers"))),
        left => object["metadata"]["finalizers"] = json!(left),
    }
}

fn without(object: &mut Value, finalizer: &str) {
    let left: Vec<String> = finalizers(object).into_iter().filter(|f| *f != finalizer).map(str::to_owned).collect();
    set_finalizers(object, &left);
}

/// How long a pod has to end: it needs no time where nothing of it runs.
fn grace(key: &Key, object: &Value, wanted: Option<u64>) -> u64 {
    let runs = key.0 == "pods" && !text(object, "/spec/nodeName").is_empty() && !pods::is_done(object);
    let own = object["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    if runs { wanted.unwrap_or(own) } else { 0 }
}

fn later(at: &str, seconds: u64) -> String {
    let after = Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 2));
    OffsetDateTime::parse(at, &Rfc3339).map_or_else(|_| at.to_owned(), |time| timestamp(time.saturating_add(after)))
}

impl Store {
    /// Deletes an object; gives it as it is while it goes, or, if it is gone at once, as it was.
    pub(super) fn delete(
        &mut self,
        key: &Key,
        propagation: Propagation,
        seconds: Option<u64>,
        at: &str,
    ) -> Option<Value> {
        let mut object = self.at(key)?.clone();
        let seconds = grace(key, &object, seconds);
        let mut left: Vec<String> = finalizers(&object).into_iter().map(str::to_owned).collect();
        left.retain(|finalizer| ![FOREGROUND, ORPHAN].contains(&finalizer.as_str()));
        match propagation {
            Propagation::Background => {}
            Propagation::Foreground => left.push(FOREGROUND.to_owned()),
            Propagation::Orphan => left.push(ORPHAN.to_owned()),
        }
        set_finalizers(&mut object, &left);
        if key.0 == "namespaces" {
            object["status"]["phase"] = json!("Terminating");
        } else if left.is_empty() && seconds == 0 {
            return self.gone(key, at);
        }
        if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = later(at, seconds).into();
            object["metadata"]["deletionGracePeriodSeconds"] = seconds.into();
            if let Some(generation) = object["metadata"]["generation"].as_u64() {
                object["metadata"]["generation"] = (generation + 1).into();
            }
        }
        self.put(&key.0, object, at);
        self.at(key).cloned()
    }

    /// Removes an object; a pod that its node runs by itself comes back.
    fn gone(&mut self, key: &Key, at: &str) -> Option<Value> {
        let removed = self.remove(&key.0, &key.1, &key.2)?;
        if key.0 == "pods" && controllers::comes_back(self, &removed) {
            let mut again = removed.clone();
            let fresh =
                ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
            for field in fresh {
                again["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
            }
            self.put(&key.0, again, at);
        }
        Some(removed)
    }

    /// Does for an object that is to go what must be done before, and lets it go when nothing is left.
    pub(super) fn finish(&mut self, key: &Key, at: &str) {
        let Some(object) = self.at(key).filter(|object| !object["metadata"]["deletionTimestamp"].is_null()) else {
            return;
        };
        let mut object = object.clone();
        match key.0.as_str() {
            "namespaces" => self.empty(&mut object, at),
            custom::DEFINITIONS if !self.empty_kind(&key.2, at) => without(&mut object, custom::CLEANUP),
            "persistentvolumeclaims" if !self.is_claimed(key) => without(&mut object, PROTECTION[0]),
            "persistentvolumes" if self.claim_of(&object).is_none() => without(&mut object, PROTECTION[1]),
            _ => {}
        }
        let uid = text(&object, "/metadata/uid").to_owned();
        if finalizers(&object).contains(&ORPHAN) {
            for dependent in self.owned_by(&uid) {
                self.disown(&dependent, &uid, at);
            }
            without(&mut object, ORPHAN);
        }
        if finalizers(&object).contains(&FOREGROUND) && !self.delete_before(&uid, at) {
            without(&mut object, FOREGROUND);
        }
        let held = key.0 == "pods" && node_lifecycle::holds(self, &object);
        let spec = object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if finalizers(&object).is_empty() && (key.0 != "namespaces" || spec) && !held {
            self.gone(key, at);
        } else {
            self.put(&key.0, object, at);
        }
    }

    /// Deletes those that block the deletion of their owner; returns whether some are left.
    fn delete_before(&mut self, uid: &str, at: &str) -> bool {
        for dependent in self.owned_by(uid) {
            let Some(object) = self.at(&dependent) else { continue };
            let has_own = self.index().owned_by(text(object, "/metadata/uid")).next().is_some();
            let how = if has_own { Propagation::Foreground } else { Propagation::Background };
            if object["metadata"]["deletionTimestamp"].is_null() {
                self.delete(&dependent, how, None, at);
            }
        }
        let blocks = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.into_iter().flatten().any(|o| o["uid"] == uid && o["blockOwnerDeletion"] == json!(true))
        };
        self.index().owned_by(uid).any(|key| self.at(key).is_some_and(blocks))
    }

    /// Objects whose owner is gone go as well, unless they have another one.
    pub(super) fn collect(&mut self, uid: &str, at: &str) {
        for dependent in self.owned_by(uid) {
            let Some(object) = self.at(&dependent) else { continue };
            let others = index::owners(object).any(|owner| owner != uid && self.knows(object, owner));
            match others {
                true => self.disown(&dependent, uid, at),
                false if object["metadata"]["deletionTimestamp"].is_null() => {
                    self.delete(&dependent, Propagation::Background, None, at);
                }
                false => {}
            }
        }
    }

    fn owned_by(&self, uid: &str) -> Vec<Key> {
        self.index().owned_by(uid).cloned().collect()
    }

    fn disown(&mut self, key: &Key, uid: &str, at: &str) {
        let Some(mut object) = self.at(key).cloned() else { return };
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|owner| owner["uid"] != uid);
            if owners.is_empty() {
                object["metadata"].as_object_mut().map(|metadata| metadata.remove("ownerReferences"));
            }
        }
        self.put(&key.0, object, at);
    }

    /// Whether the owner that an object names by an identity is there.
    pub(super) fn knows(&self, object: &Value, uid: &str) -> bool {
        let owners = object["metadata"]["ownerReferences"].as_array();
        let Some(owner) = owners.into_iter().flatten().find(|owner| owner["uid"] == uid) else { return false };
        let (group, version) = match text(owner, "/apiVersion").split_once('/') {
            Some(both) => both,
            None => ("", text(owner, "/apiVersion")),
        };
        let kinds = super::resources::all(self);
        let kind = kinds.iter().find(|r| r.group == group && r.version == version && owner["kind"] == r.kind.as_str());
        let Some(kind) = kind else { return false };
        let namespace = if kind.namespaced { text(object, "/metadata/namespace") } else { "" };
        self.get(kind.key(), namespace, text(owner, "/name")).is_some_and(|found| found["metadata"]["uid"] == uid)
    }

    /// Deletes what is in a terminating namespace, and reports in its conditions what is left.
    fn empty(&mut self, namespace: &mut Value, at: &str) {
        let name = text(namespace, "/metadata/name").to_owned();
        for key in self.inside(&name) {
            if self.at(&key).is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null()) {
                self.delete(&key, Propagation::Background, None, at);
            }
        }
        let left = self.inside(&name);
        // What runs ends in a moment; only finalizers keep objects.
        let kept: Vec<&Key> =
            left.iter().filter(|key| self.at(key).is_some_and(|o| !finalizers(o).is_empty())).collect();
        namespace["status"]["conditions"] = conditions(self, &kept, at);
        if left.is_empty()
            && let Some(finalizers) = namespace["spec"]["finalizers"].as_array_mut()
        {
            finalizers.retain(|finalizer| finalizer != "kubernetes");
        }
    }

    /// Deletes the objects of a terminating kind; returns whether some are left.
    fn empty_kind(&mut self, definition: &str, at: &str) -> bool {
        for key in self.keys_of(definition) {
            if self.at(&key).is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null()) {
                self.delete(&key, Propagation::Background, None, at);
            }
        }
        !self.keys_of(definition).is_empty()
    }

    /// An object is gone: whom does that concern?
    pub(super) fn note_removal(&mut self, key: &Key, object: &Value) {
        let uid = text(object, "/metadata/uid");
        if self.index().owned_by(uid).next().is_some() {
            self.queue().orphans(uid);
        }
        let leaves = |key: &Key| self.at(key).is_some_and(|object| !object["metadata"]["deletionTimestamp"].is_null());
        let mut waiting = vec![("namespaces".to_owned(), String::new(), key.1.clone())];
        waiting.push((custom::DEFINITIONS.to_owned(), String::new(), key.0.clone()));
        let waiting: Vec<Key> = waiting.into_iter().filter(leaves).collect();
        if key.0 == "pods" {
            for claim in volumes::claims(object).collect::<Vec<_>>() {
                self.queue().look(("persistentvolumeclaims".to_owned(), key.1.clone(), claim));
            }
        }
        let owners = index::owners(object).filter_map(|owner| self.index().leaving(owner));
        for key in waiting.into_iter().chain(owners.cloned().collect::<Vec<_>>()) {
            self.queue().look(key);
        }
    }
}

/// The conditions of a namespace that is to go.
fn conditions(store: &Store, kept: &[&Key], at: &str) -> Value {
    let all: Vec<(&str, &str)> = kept
        .iter()
        .filter_map(|key| store.at(key).map(|object| (key.0.as_str(), finalizers(object))))
        .flat_map(|(plural, finalizers)| finalizers.into_iter().map(move |finalizer| (plural, finalizer)))
        .collect();
    let counts = |names: Vec<String>| {
        let mut counted: Vec<(String, usize)> = Vec::new();
        for name in names {
            match counted.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counted.push((name, 1)),
            }
        }
        counted
    };
    let kinds: Vec<String> =
        kept.iter().map(|key| if key.0.contains('.') { key.0.clone() } else { format!("{}.", key.0) }).collect();
    let content: Vec<String> =
        counts(kinds).into_iter().map(|(kind, count)| format!("{kind} has {count} resource instances")).collect();
    let waits: Vec<String> = counts(all.iter().map(|(_, finalizer)| (*finalizer).to_owned()).collect())
        .into_iter()
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    let condition = |kind: &str, bad: bool, reason: &str, message: String| {
        json!({
            "type": kind, "status": if bad { "True" } else { "False" }, "lastTransitionTime": at,
            "reason": reason, "message": message,
        })
    };
    let or = |list: &[String], start: &str, none: &str| match list {
        [] => none.to_owned(),
        list => format!("{start}{}", list.join(", ")),
    };
    json!([
        condition(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned()
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned()
        ),
        condition(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned()
        ),
        condition(
            "NamespaceContentRemaining",
            !content.is_empty(),
            if content.is_empty() { "ContentRemoved" } else { "SomeResourcesRemain" },
            or(&content, "Some resources are remaining: ", "All content successfully removed")
        ),
        condition(
            "NamespaceFinalizersRemaining",
            !waits.is_empty(),
            if waits.is_empty() { "ContentHasNoFinalizers" } else { "SomeFinalizersRemain" },
            or(
                &waits,
                "Some content in the namespace has finalizers remaining: ",
                "All content-preserving finalizers finished"
            )
        ),
    ])
}
