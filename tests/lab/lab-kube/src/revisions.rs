//! The templates that daemon sets and stateful sets have had, for rollouts and the way back.

use serde_json::{Value, json};

use super::controllers::{hash, text};
use super::deletion::Propagation;
use super::pods;
use super::store::Store;

/// The label of pods that names the template that they were made from.
pub(super) const LABEL: &str = "controller-revision-hash";

const PLURAL: &str = "controllerrevisions";

fn number(revision: &Value) -> u64 {
    revision["revision"].as_u64().unwrap_or(0)
}

/// Notes the template of a set as the newest one, and gives its revision's name and hash.
pub(super) fn newest(store: &mut Store, set: &Value, at: &str) -> (String, String) {
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    let data = json!({"spec": {"template": template}});
    let mut all = pods::controlled(store, PLURAL, set);
    all.sort_by_key(number);
    let last = all.last().map_or(0, number);
    let known = all.iter().find(|revision| revision["data"] == data).cloned();
    let revision = match known {
        Some(revision) if number(&revision) == last => revision,
        Some(mut revision) => {
            revision["revision"] = (last + 1).into();
            store.put(PLURAL, revision.clone(), at);
            revision
        }
        None => {
            let revision = fresh(set, &data, last + 1);
            store.put(PLURAL, revision.clone(), at);
            revision
        }
    };
    let limit = set["spec"]["revisionHistoryLimit"].as_u64().map_or(10, |n| usize::try_from(n).unwrap_or(10));
    let surplus = all.len().saturating_sub(limit + 1);
    for old in all.iter().take(surplus) {
        let name = text(old, "/metadata/name").to_owned();
        let key = (PLURAL.to_owned(), text(old, "/metadata/namespace").to_owned(), name);
        store.delete(&key, Propagation::Background, None, at);
    }
    (text(&revision, "/metadata/name").to_owned(), text(&revision, &format!("/metadata/labels/{LABEL}")).to_owned())
}

fn fresh(set: &Value, data: &Value, number: u64) -> Value {
    let hash = hash(data);
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels[LABEL] = hash.clone().into();
    let mut revision = json!({
        "kind": "ControllerRevision",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": format!("{}-{hash}", text(set, "/metadata/name")),
            "namespace": set["metadata"]["namespace"], "labels": labels,
            "ownerReferences": pods::controller(text(set, "/kind"), "apps/v1", set),
        },
        "data": data,
        "revision": number,
    });
    let cause = &set["metadata"]["annotations"]["kubernetes.io/change-cause"];
    if !cause.is_null() {
        revision["metadata"]["annotations"] = json!({"kubernetes.io/change-cause": cause});
    }
    revision
}
