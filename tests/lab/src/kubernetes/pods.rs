//! What pods and their owners have in common.

use serde_json::{Value, json};

/// Whether an object is to go.
pub(super) fn leaves(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// A reference to the object that controls another.
pub(super) fn controller(kind: &str, version: &str, object: &Value) -> Value {
    json!([{
        "apiVersion": version, "kind": kind, "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }])
}
