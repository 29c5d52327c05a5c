//! Schemas of definitions: what they add to an object, take from it, and refuse.

use serde_json::{Map, Value, json};

/// Something that a schema refuses: the field, and why.
pub(super) type Fault = (String, String);

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether what a schema does not know is kept all the same.
fn keeps(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == json!(true)
}

/// Adds defaults to an object and takes away what its schema does not know; gives the names of what it took.
pub(super) fn complete(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let own = ["kind", "apiVersion", "metadata"].map(|name| (name, object[name].take()));
    inside(schema, object, "", &mut unknown);
    unknown.retain(|name| !own.iter().any(|(own, _)| own == name));
    for (name, value) in own {
        object[name] = value;
    }
    unknown
}

fn inside(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => fields(schema, map, path, unknown),
        Value::Array(list) => {
            for (place, element) in list.iter_mut().enumerate() {
                inside(&schema["items"], element, &format!("{path}[{place}]"), unknown);
            }
        }
        _ => {}
    }
}

fn fields(schema: &Value, map: &mut Map<String, Value>, path: &str, unknown: &mut Vec<String>) {
    let properties = schema["properties"].as_object();
    let others = &schema["additionalProperties"];
    let embedded = schema["x-kubernetes-embedded-resource"] == json!(true);
    let known = |name: &str| properties.is_some_and(|all| all.contains_key(name));
    if !keeps(schema) && (others.is_null() || others == &json!(false)) {
        let own = |name: &str| embedded && matches!(name, "kind" | "apiVersion" | "metadata");
        unknown.extend(map.keys().filter(|name| !known(name) && !own(name)).map(|name| below(path, name)));
        map.retain(|name, _| known(name) || own(name));
    }
    for (name, property) in properties.into_iter().flatten() {
        if !property["default"].is_null()
            && map.get(name).is_none_or(|v| v.is_null() && property["nullable"] != json!(true))
        {
            map.insert(name.clone(), property["default"].clone());
        }
    }
    for (name, value) in map.iter_mut() {
        match properties.and_then(|all| all.get(name)) {
            Some(property) => inside(property, value, &below(path, name), unknown),
            None if others.is_object() => inside(others, value, &below(path, name), unknown),
            None => {}
        }
    }
}

/// What a schema refuses of an object.
pub(super) fn faults(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut object = object.clone();
    // What every object has is checked elsewhere.
    if let Some(map) = object.as_object_mut() {
        map.retain(|name, _| !matches!(name.as_str(), "metadata" | "kind" | "apiVersion"));
    }
    let mut schema = schema.clone();
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| !matches!(name.as_str(), Some("metadata" | "kind" | "apiVersion")));
    }
    check(&schema, &object, "", &mut found);
    found
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<Fault>) {
    let wanted = schema["type"].as_str();
    let either = schema["x-kubernetes-int-or-string"] == json!(true);
    let own = kind(value);
    let fits = match wanted {
        None => !either || matches!(own, "integer" | "string"),
        Some("number") => matches!(own, "number" | "integer"),
        Some(wanted) => wanted == own,
    };
    let nothing = own == "null" && schema["nullable"] == json!(true);
    if !fits && !nothing {
        let wanted = wanted.unwrap_or("integer,string");
        let text = format!("Invalid value: {own:?}: {path} in body must be of type {wanted}: {own:?}");
        return found.push((path.to_owned(), text));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
        found.push((path.to_owned(), format!("Unsupported value: {value}: supported values: {}", list.join(", "))));
    }
    limits(schema, value, path, found);
    match value {
        Value::Object(map) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !map.contains_key(name) {
                    found.push((below(path, name), "Required value".to_owned()));
                }
            }
            for (name, value) in map {
                match (schema["properties"].get(name), schema["additionalProperties"].is_object()) {
                    (Some(property), _) => check(property, value, &below(path, name), found),
                    (None, true) => check(&schema["additionalProperties"], value, &below(path, name), found),
                    (None, false) => {}
                }
            }
        }
        Value::Array(list) if schema["items"].is_object() => {
            for (place, element) in list.iter().enumerate() {
                check(&schema["items"], element, &format!("{path}[{place}]"), found);
            }
        }
        _ => {}
    }
}

/// The limits of numbers, texts and lists.
fn limits(schema: &Value, value: &Value, path: &str, found: &mut Vec<Fault>) {
    let mut refuse =
        |value: String, text: String| found.push((path.to_owned(), format!("Invalid value: {value}: {text}")));
    let length = match value {
        Value::String(text) => Some((text.chars().count(), "Length", "chars long")),
        Value::Array(list) => Some((list.len(), "Items", "items")),
        _ => None,
    };
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|least| number < least) {
            let text = format!("{path} in body should be greater than or equal to {}", schema["minimum"]);
            refuse(value.to_string(), text);
        }
        if schema["maximum"].as_f64().is_some_and(|most| number > most) {
            let text = format!("{path} in body should be less than or equal to {}", schema["maximum"]);
            refuse(value.to_string(), text);
        }
    }
    if let Some((length, word, unit)) = length {
        let limit = |start: &str| schema[format!("{start}{word}")].as_u64();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let shown = if value.is_array() { length.to_string() } else { value.to_string() };
        if let Some(least) = limit("min").filter(|least| length < *least) {
            refuse(shown, format!("{path} in body should be at least {least} {unit}"));
        } else if let Some(most) = limit("max").filter(|most| length > *most) {
            refuse(shown, format!("{path} in body should be at most {most} {unit}"));
        }
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema["pattern"].as_str())
        && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        refuse(value.to_string(), format!("{path} in body should match '{pattern}'"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["host"], "properties": {
            "host": {"type": "string", "pattern": "^[a-z]+$"},
            "size": {"type": "integer", "minimum": 1, "default": 3},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "port": {"x-kubernetes-int-or-string": true},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }}}})
    }

    #[test]
    fn defaults_are_added_and_what_is_not_known_goes() {
        let mut object = json!({"kind": "X", "metadata": {"name": "x"}, "spec": {
            "host": "a", "strange": 1, "free": {"any": {"thing": 1}}, "labels": {"x": "y"},
        }});
        assert_eq!(complete(&schema(), &mut object), ["spec.strange"]);
        let wanted = json!({"host": "a", "size": 3, "free": {"any": {"thing": 1}}, "labels": {"x": "y"}});
        assert_eq!((&object["spec"], &object["metadata"]["name"]), (&wanted, &json!("x")));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_words_of_the_api() {
        let spec = json!({"size": 0, "mode": "c", "port": true, "labels": {"x": 1}});
        let said: Vec<String> = faults(&schema(), &json!({"spec": spec}))
            .into_iter()
            .map(|(field, text)| format!("{field}: {text}"))
            .collect();
        let mut wanted = vec![
            "spec.host: Required value",
            r#"spec.labels.x: Invalid value: "integer": spec.labels.x in body must be of type string: "integer""#,
            r#"spec.mode: Unsupported value: "c": supported values: "a", "b""#,
            r#"spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#,
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ];
        wanted.sort_unstable();
        let mut said: Vec<&str> = said.iter().map(String::as_str).collect();
        said.sort_unstable();
        assert_eq!(said, wanted);
        let odd = faults(&schema(), &json!({"spec": {"host": "A"}}));
        assert_eq!(odd[0].1, r#"Invalid value: "A": spec.host in body should match '^[a-z]+$'"#);
    }
}
