//! JSON Schema of the contract, from the types.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::spec::{ClusterSpec, NodeSpec, Role};
use crate::status::{Access, Applied, Bootstrap, Config, Etcd, Image, Kubeconfig, Vm, Waited};
use crate::table::{Scope, TABLE};
use crate::{API_VERSION, Failure};

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
    let mut node = serde_json::to_value(NodeSpec::json_schema(&mut generator)).expect("a schema is JSON");
    let properties = node["properties"].as_object_mut().expect("a struct has properties");
    properties.shift_insert(0, "name".into(), json!({"type": "string", "description": "RFC 1123 label."}));
    node["required"] = json!(["name", "role"]);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A cluster file of Ichor",
        "type": "object",
        "required": ["apiVersion", "kind", "name", "spec", "nodes"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Cluster"},
            "name": {"type": "string", "description": "RFC 1123 label."},
            "spec": generator.subschema_for::<ClusterSpec>(),
            "nodes": {"type": "array", "minItems": 1, "items": node},
        },
        "$defs": generator.take_definitions(true),
    })
}

fn status(generator: &mut SchemaGenerator, scope: Scope) -> Value {
    let mut properties = serde_json::Map::new();
    match scope {
        Scope::Cluster => {
            let entry = json!({
                "type": "object",
                "required": ["name", "role"],
                "properties": {"name": {"type": "string"}, "role": generator.subschema_for::<Role>()},
            });
            let nodes = json!({"type": "array", "items": entry, "description": "Which nodes come, in file order."});
            properties.insert("nodes".into(), nodes);
            properties.insert("dir".into(), json!({"type": "string", "description": "Folder of the cluster's files."}));
            let dry_run = json!({"type": "boolean", "description": "Nothing is touched; what would be is `pending`."});
            properties.insert("dryRun".into(), dry_run);
        }
        Scope::Node => {}
    }
    for field in TABLE.iter().flat_map(|row| row.writes).filter(|field| field.scope == scope) {
        properties.insert(field.name.into(), with_marks(of_field(generator, scope, field.name)));
    }
    properties.insert("error".into(), generator.subschema_for::<Failure>().into());
    json!({"type": "object", "properties": properties})
}

/// The schema of one field of the table.
fn of_field(generator: &mut SchemaGenerator, scope: Scope, name: &str) -> Value {
    let schema = match (scope, name) {
        (Scope::Cluster, "image") => Image::json_schema(generator),
        (Scope::Cluster, "access") => Access::json_schema(generator),
        (Scope::Cluster, "bootstrap") => Bootstrap::json_schema(generator),
        (Scope::Cluster, "kubeconfig") => Kubeconfig::json_schema(generator),
        (_, "waited") => Waited::json_schema(generator),
        (Scope::Node, "vm") => Vm::json_schema(generator),
        (Scope::Node, "addresses") => Vec::<String>::json_schema(generator),
        (Scope::Node, "config") => Config::json_schema(generator),
        (Scope::Node, "applied") => Applied::json_schema(generator),
        (Scope::Node, "etcd") => Etcd::json_schema(generator),
        (scope, name) => unreachable!("the table has a field without a type: {scope:?} {name}"),
    };
    schema.into()
}

/// Adds what the engine puts into every field that is an object.
fn with_marks(mut schema: Value) -> Value {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let text = "Whether this run changed it.";
        properties.insert("changed".into(), json!({"type": "boolean", "description": text}));
        let text = "True in a dry run that found something to do.";
        properties.insert("pending".into(), json!({"type": "boolean", "description": text}));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed schema is what the types say. `ICHOR_REGENERATE=1` writes it anew.
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

    #[test]
    fn the_table_names_the_keys_that_the_types_have() {
        let mut generator = SchemaGenerator::default();
        for row in &TABLE {
            for field in row.writes {
                let schema = of_field(&mut generator, field.scope, field.name);
                let keys: Vec<_> =
                    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|p| p.keys()).collect();
                let mut expected: Vec<_> = field.keys.to_vec();
                if ["config", "kubeconfig"].contains(&field.name) {
                    expected.push("inline"); // only with --inline
                }
                assert_eq!(keys, expected, "{} writes {}", row.step, field.name);
            }
        }
    }
}
