//! JSON Schema of the contract, from the types.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::spec::{ClusterSpec, NodeSpec, Role};
use crate::table::{ENGINE, FieldRow, Scope, rows};
use crate::{API_VERSION, Change, Failure};

/// The schema of a record: one line of a stream.
#[must_use]
pub fn record() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let cluster = json!({
        "type": "object",
        "required": ["apiVersion", "kind", "name"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Cluster"},
            "name": {"type": "string"},
            "spec": generator.subschema_for::<ClusterSpec>(),
            "status": status(&mut generator, Scope::Cluster),
            "end": {"type": "boolean", "description": "True in the last line of a stream."},
        },
    });
    let node = json!({
        "type": "object",
        "required": ["apiVersion", "kind", "name", "cluster"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Node"},
            "name": {"type": "string"},
            "cluster": {"type": "string"},
            "spec": generator.subschema_for::<NodeSpec>(),
            "status": status(&mut generator, Scope::Node),
        },
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of Ichor",
        "oneOf": [cluster, node],
        "$defs": generator.take_definitions(true),
    })
}

/// The schema of a cluster file.
#[must_use]
pub fn document() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut node = Value::from(NodeSpec::json_schema(&mut generator));
    let defaults = layer(&node, &NODE_ONLY);
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_insert(0, "name".into(), json!({"type": "string", "description": "RFC 1123 label."}));
    }
    node["required"] = json!(["name", "role"]);
    let mut spec = Value::from(ClusterSpec::json_schema(&mut generator));
    if let Some(properties) = spec.get_mut("properties").and_then(Value::as_object_mut) {
        for (key, schema) in &defaults {
            properties.entry(key.clone()).or_insert_with(|| schema.clone());
        }
        for role in [Role::ControlPlane, Role::Worker] {
            let text = format!("Defaults for nodes with the role {role}.");
            let layer = json!({"type": "object", "description": text, "properties": &defaults});
            properties.insert(role.as_str().into(), layer);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A cluster file of Ichor",
        "type": "object",
        "required": ["apiVersion", "kind", "name", "spec", "nodes"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Cluster"},
            "name": {"type": "string", "description": "RFC 1123 label."},
            "spec": spec,
            "nodes": {"type": "array", "minItems": 1, "items": node},
        },
        "$defs": generator.take_definitions(true),
    })
}

/// Keys of a node that no layer above it can give.
const NODE_ONLY: [&str; 4] = ["role", "address", "hostname", "fingerprint"];

/// The keys that the cluster and its roles can set for all of their nodes: a node's keys, except its own.
fn layer(node: &Value, own: &[&str]) -> serde_json::Map<String, Value> {
    let properties = node.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .filter(|(key, _)| !own.contains(&key.as_str()))
        .map(|(key, schema)| (key.clone(), schema.clone()))
        .collect()
}

fn status(generator: &mut SchemaGenerator, scope: Scope) -> Value {
    let mut properties = serde_json::Map::new();
    match scope {
        Scope::Cluster => {
            let orphan =
                json!({"type": "boolean", "description": "True for a node that the cluster file doesn't list."});
            let role = generator.subschema_for::<Role>();
            let entry = json!({
                "type": "object",
                "required": ["name", "role"],
                "properties": {"name": {"type": "string"}, "role": role, "orphan": orphan},
            });
            let nodes = json!({"type": "array", "items": entry, "description": "Which nodes come, in file order."});
            properties.insert("nodes".into(), nodes);
        }
        Scope::Node => {}
    }
    let fields = rows().flat_map(|row| row.writes).chain(&ENGINE);
    for field in fields.filter(|field| field.scope == scope) {
        properties.insert(field.name.into(), with_marks(generator, field));
    }
    properties.insert("error".into(), generator.subschema_for::<Failure>().into());
    json!({"type": "object", "properties": properties})
}

/// Adds what the engine adds to every field that is an object.
fn with_marks(generator: &mut SchemaGenerator, field: &FieldRow) -> Value {
    let mut schema = Value::from((field.schema)(generator));
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let text = "Whether this run changed it.";
        properties.insert("changed".into(), json!({"type": "boolean", "description": text}));
        let text = "True in a dry run that found something to do.";
        properties.insert("pending".into(), json!({"type": "boolean", "description": text}));
        let text = "What was changed, or would be.";
        let changes = json!({"type": "array", "items": generator.subschema_for::<Change>(), "description": text});
        properties.insert("changes".into(), changes);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed schema matches the types. `ICHOR_REGENERATE=1` rewrites it.
    fn assert_committed(name: &str, schema: &Value) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
        let fresh = serde_json::to_string_pretty(schema).unwrap() + "\n";
        if std::env::var_os("ICHOR_REGENERATE").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == fresh, "{name} differs from the types: run this test with ICHOR_REGENERATE=1");
    }

    #[test]
    fn the_committed_schemas_are_fresh() {
        assert_committed("record.json", &record());
        assert_committed("cluster-file.json", &document());
    }
}
