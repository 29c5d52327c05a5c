//! Stateful sets: pods with numbers and claims of their own, one after the other.

use serde_json::{Value, json};

use super::controllers::{patched_status, text};
use super::deletion::Propagation;
use super::deployments::wanted;
use super::pods;
use super::revisions::{self, LABEL};
use super::store::{Key, Store};

fn number(pod: &Value) -> Option<usize> {
    text(pod, "/metadata/name").rsplit_once('-')?.1.parse().ok()
}

/// Looks at a stateful set, and takes it one step further.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(set) = store.at(key).cloned() else { return };
    let (revision, hash) = revisions::newest(store, &set, at);
    if !pods::leaves(&set) {
        step(store, &set, &hash, at);
    }
    report(store, key, &set, &revision, at);
}

/// The pods of a set in their order.
fn ordered(store: &Store, set: &Value) -> Vec<(usize, Value)> {
    let own = pods::controlled(store, "pods", set).into_iter();
    let mut own: Vec<(usize, Value)> = own.filter_map(|pod| Some((number(&pod)?, pod))).collect();
    own.sort_by_key(|(number, _)| *number);
    own
}

fn start(set: &Value) -> usize {
    set["spec"]["ordinals"]["start"].as_u64().map_or(0, |start| usize::try_from(start).unwrap_or_default())
}

fn step(store: &mut Store, set: &Value, hash: &str, at: &str) {
    let namespace = text(set, "/metadata/namespace").to_owned();
    let place =
        |number: usize| ("pods".to_owned(), namespace.clone(), format!("{}-{number}", text(set, "/metadata/name")));
    let numbers = start(set)..start(set).saturating_add(pods::at_most(wanted(set)));
    let one_by_one = set["spec"]["podManagementPolicy"] != "Parallel";
    for number in numbers.clone() {
        let Some(pod) = store.at(&place(number)) else {
            create(store, set, hash, number, at);
            if one_by_one {
                return;
            }
            continue;
        };
        // The next one waits until this one is ready.
        if one_by_one && !pods::is_ready(pod) && pod["metadata"]["labels"][LABEL] == hash {
            return;
        }
    }
    let own = ordered(store, set);
    let surplus = own.iter().rev().find(|(number, pod)| !numbers.contains(number) && !pods::leaves(pod));
    if let Some((number, _)) = surplus {
        store.delete(&place(*number), Propagation::Background, None, at);
        return;
    }
    let rules = &set["spec"]["updateStrategy"];
    let from = rules["rollingUpdate"]["partition"].as_u64().map_or(0, |from| usize::try_from(from).unwrap_or(0));
    let old = own.iter().rev().find(|(number, pod)| *number >= from && pod["metadata"]["labels"][LABEL] != hash);
    if let Some((number, pod)) = old
        && rules["type"] != "OnDelete"
        && !pods::leaves(pod)
    {
        store.delete(&place(*number), Propagation::Background, None, at);
    }
}

fn create(store: &mut Store, set: &Value, hash: &str, number: usize, at: &str) {
    let (namespace, name) = (text(set, "/metadata/namespace"), format!("{}-{number}", text(set, "/metadata/name")));
    let owner = pods::controller("StatefulSet", "apps/v1", set);
    let mut pod = pods::from_template(&set["spec"]["template"], namespace, &name, &owner);
    for (label, value) in [
        (LABEL, hash),
        ("statefulset.kubernetes.io/pod-name", &name),
        ("apps.kubernetes.io/pod-index", &number.to_string()),
    ] {
        pod["metadata"]["labels"][label] = value.into();
    }
    pod["spec"]["hostname"] = name.clone().into();
    pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    for template in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        claim(store, set, template, &mut pod, at);
    }
    store.put("pods", pod, at);
}

/// Makes the claim of a pod, unless an earlier pod of the same name has left it.
fn claim(store: &mut Store, set: &Value, template: &Value, pod: &mut Value, at: &str) {
    let volume = text(template, "/metadata/name");
    let name = format!("{volume}-{}", text(pod, "/metadata/name"));
    let namespace = text(set, "/metadata/namespace");
    if !pod["spec"]["volumes"].is_array() {
        pod["spec"]["volumes"] = json!([]);
    }
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.retain(|known| known["name"] != volume);
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": name}}));
    }
    if store.get("persistentvolumeclaims", namespace, &name).is_none() {
        let mut claim = json!({
            "kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": template["metadata"],
            "spec": template["spec"],
        });
        claim["metadata"]["name"] = name.into();
        claim["metadata"]["namespace"] = namespace.into();
        for (label, value) in set["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten() {
            claim["metadata"]["labels"][label] = value.clone();
        }
        store.put("persistentvolumeclaims", claim, at);
    }
}

fn report(store: &mut Store, key: &Key, set: &Value, revision: &str, at: &str) {
    let own = ordered(store, set);
    let hash = revision.rsplit_once('-').map_or("", |(_, hash)| hash);
    let ready = own.iter().filter(|(_, pod)| pods::is_ready(pod)).count();
    let updated = own.iter().filter(|(_, pod)| pod["metadata"]["labels"][LABEL] == hash).count();
    let done = updated == own.len() && ready >= wanted(set);
    let before = text(set, "/status/currentRevision");
    let current = if done || before.is_empty() { revision } else { before };
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": own.len(), "readyReplicas": ready,
        "availableReplicas": ready, "updatedReplicas": updated, "currentRevision": current,
        "currentReplicas": if current == revision { updated } else { own.len() - updated },
        "updateRevision": revision, "collisionCount": 0,
    });
    patched_status(store, key, status, at);
}
