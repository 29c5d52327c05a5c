//! Kinds that users define.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Answer;
use super::controllers::{patched_status, text};
use super::resources::Resource;
use super::status;
use super::store::{Key, Store};

/// The kind by which others are defined.
pub(super) const DEFINITIONS: &str = "customresourcedefinitions";

/// What keeps a definition until its objects are gone.
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn holds(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True")
}

fn resource(definition: &Value, version: &Value) -> Resource {
    let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
    let own = |pointer: &str| text(definition, pointer).to_owned();
    let replicas = &version["subresources"]["scale"];
    let pointer = |field: &str| replicas[field].as_str().map(|path| path.replace('.', "/"));
    Resource {
        group: own("/spec/group"),
        version: text(version, "/name").to_owned(),
        kind: own("/spec/names/kind"),
        plural: own("/spec/names/plural"),
        singular: names["singular"].as_str().map_or_else(|| own("/spec/names/kind").to_lowercase(), str::to_owned),
        short: texts(&names["shortNames"]),
        namespaced: spec["scope"] == "Namespaced",
        categories: texts(&names["categories"]),
        review: false,
        status: version["subresources"]["status"].is_object(),
        scale: pointer("specReplicasPath").zip(pointer("statusReplicasPath")),
        definition: Some(own("/metadata/name")),
    }
}

/// The version of a definition that a kind is served in.
pub(super) fn version<'a>(store: &'a Store, kind: &Resource) -> Option<&'a Value> {
    let definition = store.get(DEFINITIONS, "", kind.definition.as_deref()?)?;
    let mut versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    versions.find(|version| version["name"] == kind.version.as_str())
}

/// The kind with this group, version and plural.
pub(super) fn find(store: &Store, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
    let definition = store.get(DEFINITIONS, "", &format!("{plural}.{group}"))?;
    let mut versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    let served = versions.find(|known| known["name"] == version && known["served"] == json!(true))?;
    holds(definition, "Established").then(|| Arc::new(resource(definition, served)))
}

/// By what versions are ordered: stable ones first, then beta and alpha; of these the latest first.
fn rank(version: &str) -> Option<(u8, Reverse<u64>, Reverse<u64>)> {
    let rest = version.strip_prefix('v')?;
    let (major, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let (stage, number) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(number), _) => (1, number),
        (_, Some(number)) => (2, number),
        _ if rest.is_empty() => (0, "0"),
        _ => return None,
    };
    Some((stage, Reverse(major.parse().ok()?), Reverse(number.parse().ok()?)))
}

/// All kinds that are served, grouped by API group, preferred versions first.
pub(super) fn all(store: &Store) -> Vec<Arc<Resource>> {
    let established = store.list(DEFINITIONS, None).filter(|definition| holds(definition, "Established"));
    let mut kinds: Vec<Arc<Resource>> = established
        .flat_map(|definition| {
            let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
            let served = versions.filter(|version| version["served"] == json!(true));
            served.map(|version| Arc::new(resource(definition, version)))
        })
        .collect();
    let place = |kind: &Resource| {
        let rank = rank(&kind.version);
        (kind.group.clone(), rank.is_none(), rank, kind.version.clone(), kind.plural.clone())
    };
    kinds.sort_by_cached_key(|kind| place(kind));
    kinds
}

/// What is wrong with a definition, if anything.
pub(super) fn check(kind: &Resource, definition: &Value) -> Result<(), Answer> {
    let (name, spec) = (text(definition, "/metadata/name"), &definition["spec"]);
    let refuse = |field: &str, text: String| Err(status::invalid(kind, name, field, &text));
    if name != format!("{}.{}", text(spec, "/names/plural"), text(spec, "/group")) {
        let text = format!("Invalid value: {name:?}: must be spec.names.plural+\".\"+spec.group");
        return refuse("metadata.name", text);
    }
    if !matches!(text(spec, "/scope"), "Namespaced" | "Cluster") {
        let text = match text(spec, "/scope") {
            "" => "Required value".to_owned(),
            other => format!("Unsupported value: {other:?}: supported values: \"Cluster\", \"Namespaced\""),
        };
        return refuse("spec.scope", text);
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    for (place, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let field = format!("spec.versions[{place}].schema.openAPIV3Schema");
            return refuse(&field, "Required value: schemas are required".to_owned());
        }
    }
    if versions.iter().filter(|version| version["storage"] == json!(true)).count() != 1 {
        let text = "Invalid value: must have exactly one version marked as storage version".to_owned();
        return refuse("spec.versions", text);
    }
    Ok(())
}

/// What the server adds to a definition of its own accord.
pub(super) fn complete(definition: &mut Value) {
    let kind = text(definition, "/spec/names/kind").to_owned();
    let names = &mut definition["spec"]["names"];
    for (field, value) in [("singular", kind.to_lowercase()), ("listKind", format!("{kind}List"))] {
        if names[field].is_null() {
            names[field] = value.into();
        }
    }
    if definition["spec"]["conversion"].is_null() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
}

/// Whether another definition of the group has one of the names.
fn taken(store: &Store, definition: &Value) -> Option<String> {
    let names = |definition: &Value| {
        let names = &definition["spec"]["names"];
        let own = [&names["singular"], &names["kind"], &names["listKind"]].map(|name| name.as_str().map(str::to_owned));
        own.into_iter().flatten().chain(texts(&names["shortNames"])).collect::<Vec<String>>()
    };
    let own = names(definition);
    let others = store.list(DEFINITIONS, None).filter(|other| {
        other["spec"]["group"] == definition["spec"]["group"]
            && other["metadata"]["uid"] != definition["metadata"]["uid"]
            && holds(other, "NamesAccepted")
    });
    let others: Vec<String> = others.flat_map(names).collect();
    own.into_iter().find(|name| others.contains(name))
}

/// Looks at a definition: it is served when its names are free.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(definition) = store.at(key).cloned() else { return };
    if !definition["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    let mut known = definition.clone();
    if !texts(&known["metadata"]["finalizers"]).iter().any(|finalizer| finalizer == CLEANUP) {
        let mut all = texts(&known["metadata"]["finalizers"]);
        all.push(CLEANUP.to_owned());
        known["metadata"]["finalizers"] = json!(all);
        store.put(DEFINITIONS, known, at);
    }
    let condition = |kind: &str, good: bool, reason: &str, message: &str| {
        let word = if good { "True" } else { "False" };
        json!({"type": kind, "status": word, "reason": reason, "message": message})
    };
    let conditions = match taken(store, &definition) {
        None => json!([
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted"),
        ]),
        Some(name) => json!([
            condition("NamesAccepted", false, "NamesConflict", &format!("{name:?} is already in use")),
            condition("Established", false, "NotAccepted", "not all names are accepted"),
        ]),
    };
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    let storage = versions.filter(|version| version["storage"] == json!(true)).map(|version| version["name"].clone());
    let mut stored = definition["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
    for version in storage {
        if !stored.contains(&version) {
            stored.push(version);
        }
    }
    let accepted = definition["spec"]["names"].clone();
    patched_status(
        store,
        key,
        json!({"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}),
        at,
    );
}

/// Looks at who answers for a group: a service that is there is taken to work, though what is in its pods is not played.
pub(super) fn look_at_service(store: &mut Store, key: &Key, at: &str) {
    let Some(service) = store.at(key) else { return };
    let of = &service["spec"]["service"];
    let (namespace, name) = (text(of, "/namespace"), text(of, "/name"));
    let (word, reason, message) = match of.is_null() {
        true => ("True", "Local", "Local APIServices are always available".to_owned()),
        false if store.get("services", namespace, name).is_none() => {
            ("False", "ServiceNotFound", format!("service/{name} in {namespace:?} is not present"))
        }
        false => ("True", "Passed", "all checks passed".to_owned()),
    };
    let condition = json!({"type": "Available", "status": word, "reason": reason, "message": message});
    patched_status(store, key, json!({"conditions": [condition]}), at);
}
