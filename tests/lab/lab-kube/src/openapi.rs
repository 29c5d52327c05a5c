//! The API's kinds in OpenAPI, for `kubectl explain` and for clients that check before they send.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::request::Request;
use super::resources::{self, BUILT_IN, Resource};
use super::schemas;
use super::store::Store;
use super::{custom, status};

fn groups(store: &Store) -> Vec<(String, String)> {
    let kinds = resources::all(store);
    let mut groups: Vec<(String, String)> =
        kinds.iter().map(|kind| (kind.group.clone(), kind.version.clone())).collect();
    groups.sort();
    groups.dedup();
    groups
}

fn place(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

/// `/openapi/v3`: where each group's document is.
///
/// Clients keep a document as long as its hash is the same.
pub(super) fn index(store: &Store) -> Value {
    let changed = |group: &str| {
        let own = store.list(custom::DEFINITIONS, None).filter(|definition| definition["spec"]["group"] == group);
        own.map(|definition| definition["metadata"]["resourceVersion"].to_string()).collect::<String>()
    };
    let paths = groups(store).into_iter().map(|(group, version)| {
        let place = place(&group, &version);
        let hash = super::controllers::hash(&json!([place, changed(&group)]));
        let url = format!("/openapi/v3/{place}?hash={}", hash.to_uppercase());
        (place, json!({"serverRelativeURL": url}))
    });
    json!({"paths": paths.collect::<Map<String, Value>>()})
}

fn name(schema: &str) -> String {
    format!("io.k8s.lab.{schema}")
}

/// The type of a field.
fn kind(text: &str, prefix: &str) -> Value {
    match text {
        "string" | "integer" | "boolean" => json!({"type": text}),
        "map" => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        "any" => json!({"type": "object"}),
        list if list.starts_with('[') => {
            json!({"type": "array", "items": kind(list.trim_matches(['[', ']']), prefix)})
        }
        schema => json!({"$ref": format!("{prefix}{}", name(schema))}),
    }
}

fn field(text: &str, description: &str, prefix: &str) -> Value {
    let mut field = kind(text, prefix);
    if let Some(reference) = field.as_object_mut().and_then(|field| field.remove("$ref")) {
        return json!({"description": description, "allOf": [{"$ref": reference}]});
    }
    field["description"] = description.into();
    field
}

fn built_in(prefix: &str, group: Option<(&str, &str)>) -> Map<String, Value> {
    let mut all = Map::new();
    for (schema, description, fields) in schemas::all() {
        let mut properties: Map<String, Value> = fields
            .iter()
            .map(|(name, kind, description)| ((*name).to_owned(), field(kind, description, prefix)))
            .collect();
        let own = BUILT_IN.iter().find(|kind| kind.kind == *schema);
        let mut body = json!({"type": "object", "description": description});
        if let Some(own) = own {
            let common = [
                ("kind", "string", "The kind of the object."),
                ("apiVersion", "string", "The group of the kind, and its version."),
                ("metadata", "ObjectMeta", "What every object has."),
            ];
            properties
                .extend(common.map(|(name, kind, description)| (name.to_owned(), field(kind, description, prefix))));
            if group.is_none_or(|group| group == (own.group.as_str(), own.version.as_str())) {
                body["x-kubernetes-group-version-kind"] = json!([of(own)]);
            }
        }
        body["properties"] = Value::Object(properties);
        all.insert(name(schema), body);
    }
    all
}

fn of(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

/// The schemas of the kinds that users have defined in a group, with what every object has.
fn defined(store: &Store, prefix: &str, group: &str, version: &str, all: &mut Map<String, Value>) {
    let own = custom::all(store).into_iter().filter(|kind| kind.group == group && kind.version == version);
    for kind in own {
        let Some(version) = custom::version(store, &kind) else { continue };
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        let common = [
            ("kind", "string", "The kind of the object."),
            ("apiVersion", "string", "The group of the kind, and its version."),
            ("metadata", "ObjectMeta", "What every object has."),
        ];
        for (name, kind, description) in common {
            schema["properties"][name] = field(kind, description, prefix);
        }
        schema["x-kubernetes-group-version-kind"] = json!([of(&kind)]);
        let reversed: Vec<&str> = kind.group.split('.').rev().collect();
        all.insert(format!("{}.{}.{}", reversed.join("."), kind.version, kind.kind), schema);
    }
}

fn paths(store: &Store, group: &str, version: &str) -> Map<String, Value> {
    let kinds = resources::all(store);
    let own = kinds.iter().filter(|kind| kind.group == group && kind.version == version && !kind.review);
    own.map(|resource| {
        let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{}/{namespace}{}/{{name}}", place(group, version), resource.plural);
        let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"].map(parameter).into();
        let operation = |action: &str| {
            json!({
                "operationId": format!("{action}{}", resource.kind),
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": of(resource),
            })
        };
        (path, json!({"get": operation("get"), "patch": operation("patch"), "put": operation("put")}))
    })
    .collect()
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "unversioned"})
}

/// `/openapi/v3/api/v1` and its like.
pub(super) fn document(store: &Store, group: &str, version: &str) -> Option<Value> {
    groups(store).contains(&(group.to_owned(), version.to_owned())).then(|| {
        let prefix = "#/components/schemas/";
        let mut schemas = built_in(prefix, Some((group, version)));
        defined(store, prefix, group, version, &mut schemas);
        json!({
            "openapi": "3.0.0", "info": info(), "paths": paths(store, group, version),
            "components": {"schemas": schemas},
        })
    })
}

/// `/openapi/v2`, in JSON only.
pub(super) fn version_2(store: &Store, request: &Request) -> Answer {
    if !request.accept.is_empty() && !["json", "*/*"].iter().any(|kind| request.accept.contains(kind)) {
        return status::not_acceptable();
    }
    let groups = groups(store);
    let all: Map<String, Value> = groups.iter().flat_map(|(group, version)| paths(store, group, version)).collect();
    let mut definitions = built_in("#/definitions/", None);
    for (group, version) in &groups {
        defined(store, "#/definitions/", group, version, &mut definitions);
    }
    let body = json!({"swagger": "2.0", "info": info(), "paths": all, "definitions": definitions});
    Answer::json(200, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_kept_has_a_schema_and_every_reference_leads_somewhere() {
        let known: Vec<&str> = schemas::all().map(|(name, ..)| *name).collect();
        for kind in BUILT_IN.iter().filter(|kind| !kind.review) {
            assert!(known.contains(&kind.kind.as_str()), "{}", kind.kind);
        }
        let plain = ["string", "integer", "boolean", "map", "any"];
        for (schema, _, fields) in schemas::all() {
            for (field, kind, _) in *fields {
                let kind = kind.trim_matches(['[', ']']);
                assert!(plain.contains(&kind) || known.contains(&kind), "{schema}.{field}: {kind}");
            }
        }
    }
}
