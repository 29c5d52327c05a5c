//! Patches of objects: JSON patches (RFC 6902), merge patches (RFC 7396), strategic ones, and the merge of an apply.

use serde_json::{Map, Value};

/// Merges a patch into a value: maps merge, `null` removes, everything else replaces (RFC 7396).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    let map = as_map(target);
    for (key, value) in patch {
        match value {
            Value::Null => {
                map.remove(key);
            }
            value => merge(map.entry(key.as_str()).or_insert(Value::Null), value),
        }
    }
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made a map")
}

/// The field by which the elements of a list are told apart, if they are; `above` is the field that holds the list's
/// owner.
pub(super) fn key_of(list: &str, above: &str) -> Option<&'static str> {
    match (list, above) {
        ("containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" | "imagePullSecrets", _) => {
            Some("name")
        }
        ("secrets", "") => Some("name"),
        ("ports", "containers" | "initContainers") => Some("containerPort"),
        ("ports", _) => Some("port"),
        ("volumeMounts", _) => Some("mountPath"),
        ("conditions" | "addresses", _) => Some("type"),
        ("ownerReferences", _) => Some("uid"),
        ("hostAliases", _) => Some("ip"),
        _ => None,
    }
}

/// Merges a strategic patch: as a merge patch, but lists whose elements have keys merge element by element.
pub(super) fn strategic(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    fields(target, patch, "");
}

fn fields(target: &mut Value, patch: &Map<String, Value>, above: &str) {
    let map = as_map(target);
    if patch.get("$patch").is_some_and(|order| order == "replace") {
        map.clear();
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| kept.iter().any(|name| name == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(kept) = map.get_mut(list).and_then(Value::as_array_mut) {
                kept.retain(|element| !gone.contains(element));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        match (value, key_of(key, above)) {
            (Value::Null, _) => {
                map.remove(key);
            }
            (Value::Object(inner), _) => fields(map.entry(key.as_str()).or_insert(Value::Null), inner, key),
            (Value::Array(elements), Some(by)) => {
                list(map.entry(key.as_str()).or_insert(Value::Null), elements, by, key);
            }
            (Value::Array(elements), None) if key == "finalizers" => {
                let all = map.entry(key.as_str()).or_insert_with(|| Value::Array(Vec::new()));
                let all = all.as_array_mut();
                all.into_iter().for_each(|all| {
                    all.extend(elements.iter().filter(|element| !all.contains(element)).cloned().collect::<Vec<_>>());
                });
            }
            (value, _) => drop(map.insert(key.clone(), value.clone())),
        }
    }
}

fn list(target: &mut Value, elements: &[Value], by: &str, name: &str) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(known) = target.as_array_mut() else { return };
    for element in elements {
        let place = known.iter().position(|other| other[by] == element[by]);
        match (element["$patch"].as_str(), place, element.as_object()) {
            (Some("replace"), ..) if element[by].is_null() => known.clear(),
            (Some("delete"), Some(place), _) => drop(known.remove(place)),
            (Some("delete"), None, _) => {}
            (_, Some(place), Some(inner)) => fields(&mut known[place], inner, name),
            (_, None, Some(inner)) => {
                let mut made = Value::Object(Map::new());
                fields(&mut made, inner, name);
                known.push(made);
            }
            _ => {}
        }
    }
}

/// Carries out a JSON patch.
pub(super) fn json(target: &mut Value, patch: &Value) -> Result<(), String> {
    for step in patch.as_array().ok_or("a JSON patch is a list")? {
        let path = step["path"].as_str().unwrap_or_default();
        let missing = || {
            format!(
                "{} operation does not apply: doc is missing path: {path:?}",
                step["op"].as_str().unwrap_or_default()
            )
        };
        let value = step["value"].clone();
        match step["op"].as_str() {
            Some("test") if target.pointer(path) == Some(&value) => {}
            Some("test") => return Err(format!("testing path {path} failed")),
            Some("replace") => *target.pointer_mut(path).ok_or_else(missing)? = value,
            Some("add") => add(target, path, value).ok_or_else(missing)?,
            Some("remove") => drop(remove(target, path).ok_or_else(missing)?),
            Some("move" | "copy") => {
                let from = step["from"].as_str().unwrap_or_default();
                let taken = match step["op"] == "move" {
                    true => remove(target, from),
                    false => target.pointer(from).cloned(),
                };
                add(target, path, taken.ok_or_else(missing)?).ok_or_else(missing)?;
            }
            other => return Err(format!("Unexpected kind: {}", other.unwrap_or_default())),
        }
    }
    Ok(())
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => drop(map.insert(last, value)),
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => {
            let place = last.parse().ok().filter(|place| *place <= list.len())?;
            list.insert(place, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => map.remove(&last),
        Value::Array(list) => {
            let place = last.parse().ok().filter(|place| *place < list.len())?;
            Some(list.remove(place))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strategic_patch_finds_the_elements_of_lists_by_their_keys() {
        let mut object = json!({"spec": {
            "containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80}]}, {"name": "b", "image": "1"}],
            "args": ["x", "y"],
        }});
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [
                {"name": "a", "image": "2", "ports": [{"containerPort": 443}]},
                {"name": "b", "$patch": "delete"},
                {"name": "c", "image": "1"},
            ],
            "args": ["z"],
        }});
        strategic(&mut object, &patch);
        let wanted = json!({"spec": {
            "containers": [
                {"name": "a", "image": "2", "ports": [{"containerPort": 80}, {"containerPort": 443}]},
                {"name": "c", "image": "1"},
            ],
            "args": ["z"],
        }});
        assert_eq!(object, wanted);
    }

    #[test]
    fn a_json_patch_tests_adds_moves_and_removes_or_says_what_is_missing() {
        let mut object = json!({"a": {"b/c": 1}, "list": [1, 3]});
        let patch = json!([
            {"op": "test", "path": "/a/b~1c", "value": 1},
            {"op": "add", "path": "/list/1", "value": 2},
            {"op": "add", "path": "/list/-", "value": 4},
            {"op": "move", "from": "/a/b~1c", "path": "/d"},
            {"op": "remove", "path": "/a"},
        ]);
        assert_eq!(json(&mut object, &patch), Ok(()));
        assert_eq!(object, json!({"d": 1, "list": [1, 2, 3, 4]}));
        let refused = json(&mut object, &json!([{"op": "remove", "path": "/x"}]));
        assert_eq!(refused, Err("remove operation does not apply: doc is missing path: \"/x\"".to_owned()));
    }
}
