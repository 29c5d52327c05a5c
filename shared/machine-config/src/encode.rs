//! From typed values to what is written: fields in the table's order, maps sorted, empty fields left out as Go does.

use crate::shape::{Field, Print, Shape, Type};
use crate::value::{Map, Value};

/// The fields of a structure as they are written.
pub(crate) fn structure(map: &Map, shape: &Shape) -> Map {
    let mut out = Map::new();
    for field in shape.fields() {
        if let Some(value) = printed(field, map.get(field.key)) {
            out.push(field.key.to_owned(), value);
        }
    }
    out
}

fn printed(field: &Field, value: Option<&Value>) -> Option<Value> {
    let value = value.filter(|value| **value != Value::Null);
    let empty = match value {
        None => true,
        Some(_) if field.optional || field.print == Print::Set => false,
        Some(value) => is_zero(value, &field.ty),
    };
    match (field.print, value) {
        (Print::Always, None) if field.optional => Some(Value::Null),
        (Print::Always, None) => Some(zero(&field.ty)),
        (Print::NotZero | Print::Set, _) if empty => None,
        (_, value) => value.map(|value| encode(value, &field.ty)),
    }
}

fn encode(value: &Value, ty: &Type) -> Value {
    match (ty, value) {
        (Type::Pointer(inner), value) => encode(value, inner),
        (Type::Struct(shape), Value::Map(map)) => Value::Map(structure(map, shape)),
        (Type::List(item), Value::List(items)) => Value::List(items.iter().map(|value| encode(value, item)).collect()),
        (Type::Map(item), Value::Map(map)) => {
            let mut out: Map = map.iter().map(|(key, value)| (key, encode(value, item))).collect();
            out.sort();
            Value::Map(out)
        }
        (Type::Free, value) => sorted(value),
        (_, value) => value.clone(),
    }
}

/// Sorts the keys at every level.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut out: Map = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            out.sort();
            Value::Map(out)
        }
        Value::List(items) => Value::List(items.iter().map(sorted).collect()),
        leaf => unsorted(leaf),
    }
}

/// A free-form value as it is written, keys in their order: Go writes `1.0` as `1`.
pub(crate) fn unsorted(value: &Value) -> Value {
    match value {
        Value::Map(map) => map.iter().map(|(key, value)| (key, unsorted(value))).collect::<Map>().into(),
        Value::List(items) => Value::List(items.iter().map(unsorted).collect()),
        Value::Number(text) => Value::Number(text.strip_suffix(".0").unwrap_or(text).to_owned()),
        leaf => leaf.clone(),
    }
}

/// Whether Go sees nothing in it.
pub(crate) fn is_zero(value: &Value, ty: &Type) -> bool {
    match (ty, value) {
        (_, Value::Null) => true,
        (Type::Pointer(_), _) => false,
        (Type::Struct(shape), Value::Map(map)) => shape.fields().all(|field| match map.get(field.key) {
            None | Some(Value::Null) => true,
            Some(value) => !field.optional && is_zero(value, &field.ty),
        }),
        (Type::Enum(words), Value::Text(text)) => text.is_empty() || words.first() == Some(&text.as_str()),
        (Type::Duration, Value::Text(text)) => text.is_empty() || text == "0s",
        (_, Value::Text(text)) => text.is_empty(),
        (_, Value::Number(text)) => matches!(text.as_str(), "0" | "0.0" | "0o0"),
        (_, Value::Bool(flag)) => !flag,
        (_, Value::List(items)) => items.is_empty(),
        (_, Value::Map(map)) => map.is_empty(),
    }
}

/// What Go prints for a field that was never set.
fn zero(ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(false),
        Type::Int(..) => Value::Number("0".to_owned()),
        Type::Mode => Value::Number("0o0".to_owned()),
        Type::Duration => "0s".into(),
        Type::Enum(words) => words.first().copied().unwrap_or_default().into(),
        Type::List(_) => Value::List(Vec::new()),
        Type::Map(_) | Type::Free => Value::Map(Map::new()),
        Type::Struct(shape) => Value::Map(structure(&Map::new(), shape)),
        _ => "".into(),
    }
}
