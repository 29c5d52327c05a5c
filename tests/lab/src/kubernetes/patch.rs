//! Patches of objects: JSON merge patches, and the strategic ones as far as they only set fields.

use serde_json::{Map, Value};

/// Merges a patch into a value: maps merge, `null` removes, everything else replaces (RFC 7396).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (key, value) in patch {
        match value {
            Value::Null => {
                map.remove(key);
            }
            _ if key.starts_with('$') => {}
            value => merge(map.entry(key.as_str()).or_insert(Value::Null), value),
        }
    }
}
