//! Deployments and their replica sets: one set for each template, and rollouts from one to the next.

use serde_json::{Value, json};

use super::controllers::{hash, patched_status, text};
use super::pods;
use super::store::{Key, Store};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// How many pods an object wants.
pub(super) fn wanted(object: &Value) -> usize {
    object["spec"]["replicas"].as_u64().map_or(1, |count| usize::try_from(count).unwrap_or_default())
}

fn count(object: &Value, field: &str) -> usize {
    object["status"][field].as_u64().map_or(0, |count| usize::try_from(count).unwrap_or_default())
}

/// A number, or a share of another one in percent.
pub(super) fn share(value: &Value, of: usize, round_up: bool) -> usize {
    let number = |value: u64| usize::try_from(value).unwrap_or_default();
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<usize>().ok());
    match percent {
        Some(percent) if round_up => (of * percent).div_ceil(100),
        Some(percent) => of * percent / 100,
        None => value.as_u64().map_or(0, number),
    }
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether a set has been made from the template of a deployment.
fn is_of(set: &Value, template: &Value) -> bool {
    let mut own = set["spec"]["template"].clone();
    own["metadata"]["labels"].as_object_mut().map(|labels| labels.remove(HASH));
    let plain = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    let labels = (&own["metadata"]["labels"], &template["metadata"]["labels"]);
    let same = labels.0 == labels.1 || (plain(labels.0) && plain(labels.1));
    same && own["spec"] == template["spec"] && own["metadata"]["annotations"] == template["metadata"]["annotations"]
}

/// Looks at a deployment, and takes its rollout one step further.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(deployment) = store.at(key).cloned() else { return };
    let sets = pods::controlled(store, "replicasets", &deployment);
    if !pods::leaves(&deployment) && deployment["spec"]["template"].is_object() {
        step(store, &deployment, &sets, at);
    }
    // Those that the step has made are counted too.
    let sets = pods::controlled(store, "replicasets", &deployment);
    report(store, key, &sets, at);
}

fn step(store: &mut Store, deployment: &Value, sets: &[Value], at: &str) {
    let template = &deployment["spec"]["template"];
    let newest = sets.iter().map(revision).max().unwrap_or(0);
    let paused = deployment["spec"]["paused"] == json!(true);
    let Some(new) = sets.iter().find(|set| is_of(set, template)) else {
        if !paused {
            create(store, deployment, newest + 1, at);
        }
        return;
    };
    let own = revision(new);
    if !paused && (own < newest || revision(deployment) != own) {
        let number = if own < newest { newest + 1 } else { own };
        number_both(store, deployment, new, number, at);
    }
    if paused {
        let biggest = sets.iter().filter(|set| wanted(set) > 0).max_by_key(|set| revision(set)).unwrap_or(new);
        return scale(store, biggest, wanted(deployment), at);
    }
    roll(store, deployment, new, sets, at);
    tidy(store, deployment, new, sets, at);
}

/// How many pods there may be too many, and how many too few.
fn limits(deployment: &Value) -> (usize, usize) {
    let goal = wanted(deployment);
    let rules = &deployment["spec"]["strategy"];
    if rules["type"] == "Recreate" {
        return (0, goal);
    }
    let quarter = json!("25%");
    let or = |field: &str| Some(&rules["rollingUpdate"][field]).filter(|value| !value.is_null()).unwrap_or(&quarter);
    match (share(or("maxSurge"), goal, true), share(or("maxUnavailable"), goal, false)) {
        (0, 0) => (0, 1),
        both => both,
    }
}

/// Makes the new set larger and the old ones smaller, as far as the strategy allows.
fn roll(store: &mut Store, deployment: &Value, new: &Value, sets: &[Value], at: &str) {
    let goal = wanted(deployment);
    let old: Vec<&Value> = sets.iter().filter(|set| set["metadata"]["uid"] != new["metadata"]["uid"]).collect();
    let total: usize = sets.iter().map(wanted).sum();
    let before: usize = old.iter().map(|set| wanted(set)).sum();
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        old.iter().for_each(|set| scale(store, set, 0, at));
        if old.iter().all(|set| count(set, "replicas") == 0) {
            scale(store, new, goal, at);
        }
        return;
    }
    let (surge, gap) = limits(deployment);
    let room = (goal + surge).saturating_sub(total);
    let next = if wanted(new) > goal { goal } else { goal.min(wanted(new) + room) };
    scale(store, new, next, at);
    let available: usize = sets.iter().map(|set| count(set, "availableReplicas")).sum();
    // Pods of old sets that are not available are of no use to anybody.
    let idle: usize = old.iter().map(|set| wanted(set).saturating_sub(count(set, "availableReplicas"))).sum();
    let mut spare = (available + idle).saturating_sub(goal.saturating_sub(gap)).min(before);
    for set in old {
        let less = wanted(set).min(spare);
        spare -= less;
        scale(store, set, wanted(set) - less, at);
    }
}

fn scale(store: &mut Store, set: &Value, to: usize, at: &str) {
    if wanted(set) == to {
        return;
    }
    let (namespace, name) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    let Some(mut now) = store.get("replicasets", namespace, name).cloned() else { return };
    now["spec"]["replicas"] = to.into();
    now["metadata"]["generation"] = (now["metadata"]["generation"].as_u64().unwrap_or(1) + 1).into();
    store.put("replicasets", now, at);
}

fn create(store: &mut Store, deployment: &Value, number: u64, at: &str) {
    let hash = hash(&deployment["spec"]["template"]);
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = hash.clone().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.clone().into();
    let mut annotations = deployment["metadata"]["annotations"].clone();
    annotations.as_object_mut().map(|all| all.remove("kubectl.kubernetes.io/last-applied-configuration"));
    annotations[REVISION] = number.to_string().into();
    annotations["deployment.kubernetes.io/desired-replicas"] = wanted(deployment).to_string().into();
    let set = json!({
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": format!("{}-{hash}", text(deployment, "/metadata/name")),
            "namespace": deployment["metadata"]["namespace"], "labels": template["metadata"]["labels"],
            "annotations": annotations, "generation": 1,
            "ownerReferences": pods::controller("Deployment", "apps/v1", deployment),
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    store.put("replicasets", set.clone(), at);
    number_both(store, deployment, &set, number, at);
}

/// Gives a set, and the deployment with it, the number of a rollout.
fn number_both(store: &mut Store, deployment: &Value, set: &Value, number: u64, at: &str) {
    for (plural, object) in [("replicasets", set), ("deployments", deployment)] {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        let Some(mut now) = store.get(plural, namespace, name).cloned() else { continue };
        if plural == "replicasets" {
            for field in ["kubernetes.io/change-cause"] {
                if !deployment["metadata"]["annotations"][field].is_null() {
                    now["metadata"]["annotations"][field] = deployment["metadata"]["annotations"][field].clone();
                }
            }
        }
        now["metadata"]["annotations"][REVISION] = number.to_string().into();
        store.put(plural, now, at);
    }
}

/// Old sets that nobody needs any more go.
fn tidy(store: &mut Store, deployment: &Value, new: &Value, sets: &[Value], at: &str) {
    let kept = deployment["spec"]["revisionHistoryLimit"].as_u64().map_or(10, |n| usize::try_from(n).unwrap_or(10));
    let empty = |set: &&Value| wanted(set) == 0 && count(set, "replicas") == 0;
    let mut old: Vec<&Value> = sets.iter().filter(|set| set["metadata"]["uid"] != new["metadata"]["uid"]).collect();
    old.sort_by_key(|set| revision(set));
    let spare = old.len().saturating_sub(kept);
    for set in old.into_iter().take(spare).filter(empty) {
        let key = (
            "replicasets".to_owned(),
            text(set, "/metadata/namespace").to_owned(),
            text(set, "/metadata/name").to_owned(),
        );
        store.delete(&key, super::deletion::Propagation::Background, None, at);
    }
}

fn report(store: &mut Store, key: &Key, sets: &[Value], at: &str) {
    let Some(deployment) = store.at(key) else { return };
    let goal = wanted(deployment);
    let sum = |field: &str| sets.iter().map(|set| count(set, field)).sum::<usize>();
    let (total, ready, available) = (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let new = sets.iter().find(|set| is_of(set, &deployment["spec"]["template"]));
    let updated = new.map_or(0, |set| count(set, "replicas"));
    let enough = available >= goal.saturating_sub(limits(deployment).1);
    let done = updated == goal && total == goal && available == goal;
    let set = new.map_or("", |set| text(set, "/metadata/name"));
    let (reason, message) = match (deployment["spec"]["paused"] == json!(true), done) {
        (true, false) => ("DeploymentPaused", "Deployment is paused".to_owned()),
        (_, true) => ("NewReplicaSetAvailable", format!("ReplicaSet {set:?} has successfully progressed.")),
        (_, false) => ("ReplicaSetUpdated", format!("ReplicaSet {set:?} is progressing.")),
    };
    let going = if reason == "DeploymentPaused" { "Unknown" } else { "True" };
    let (word, why, said) = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let status = json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": total, "updatedReplicas": updated,
        "readyReplicas": ready, "availableReplicas": available,
        "unavailableReplicas": total.max(goal).saturating_sub(available),
        "conditions": [
            {"type": "Available", "status": word, "reason": why, "message": said},
            {"type": "Progressing", "status": going, "reason": reason, "message": message},
        ],
    });
    patched_status(store, key, status, at);
}

/// Looks at a replica set, or a replication controller: it has as many pods as it wants.
pub(super) fn look_at_set(store: &mut Store, key: &Key, at: &str) {
    let Some(set) = store.at(key).cloned() else { return };
    let own = pods::controlled(store, "pods", &set);
    let mut alive: Vec<&Value> = own.iter().filter(|pod| !pods::leaves(pod) && !pods::is_done(pod)).collect();
    if !pods::leaves(&set) {
        // Pods that do not run go first, then the youngest.
        alive.sort_by_key(|pod| (!pods::is_ready(pod), std::cmp::Reverse(version(pod))));
        let surplus = alive.len().saturating_sub(wanted(&set));
        for pod in alive.iter().take(surplus) {
            let place = ("pods".to_owned(), key.1.clone(), text(pod, "/metadata/name").to_owned());
            store.delete(&place, super::deletion::Propagation::Background, None, at);
        }
        // Pods that would be done at once would be made without end.
        let lasting = matches!(text(&set, "/spec/template/spec/restartPolicy"), "" | "Always");
        for _ in alive.len()..if lasting { pods::at_most(wanted(&set)) } else { 0 } {
            let name = format!("{}-{}", key.2, store.suffix());
            let owner = pods::controller(text(&set, "/kind"), text(&set, "/apiVersion"), &set);
            store.put("pods", pods::from_template(&set["spec"]["template"], &key.1, &name, &owner), at);
        }
    }
    let own = pods::controlled(store, "pods", &set);
    let alive: Vec<&Value> = own.iter().filter(|pod| !pods::leaves(pod) && !pods::is_done(pod)).collect();
    let ready = alive.iter().filter(|pod| pods::is_ready(pod)).count();
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": alive.len(),
        "fullyLabeledReplicas": alive.len(), "readyReplicas": ready, "availableReplicas": ready,
    });
    patched_status(store, key, status, at);
}

fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}
