//! From typed values to their written form: fields in the table's order, maps sorted, empty fields omitted as Go does.

use go_yaml::any::sorted;
use go_yaml::{Dialect, Map, Value, is_plain_in_old_yaml};

use crate::schema::{Field, Print, Schema, Type};

/// The fields of a structure as Talos of a dialect writes them.
pub(crate) fn structure(map: &Map, schema: &Schema, dialect: Dialect) -> Map {
    let mut out = Map::new();
    for field in schema.fields() {
        if let Some(value) = printed(field, map.get(field.key), dialect) {
            out.push(field.key.to_owned(), value);
        }
    }
    out
}

fn printed(field: &Field, value: Option<&Value>, dialect: Dialect) -> Option<Value> {
    let value = value.filter(|value| **value != Value::Null);
    let always = field.print == Print::Always || (field.once_always && dialect != Dialect::V4);
    match value {
        None if always && field.optional => Some(Value::Null),
        None if always => Some(zero(&field.ty, dialect)),
        Some(value) if always || field.optional || !is_zero(value, &field.ty) => {
            Some(encode(value, &field.ty, dialect))
        }
        _ => None,
    }
}

fn encode(value: &Value, ty: &Type, dialect: Dialect) -> Value {
    match (ty, value) {
        (Type::Pointer(inner), value) => encode(value, inner, dialect),
        (Type::Struct(schema), Value::Map(map)) => Value::Map(structure(map, schema, dialect)),
        (Type::List(item), Value::List(items)) => {
            Value::List(items.iter().map(|value| encode(value, item, dialect)).collect())
        }
        (Type::Map(item), Value::Map(map)) => {
            let mut out: Map = map.iter().map(|(key, value)| (key, encode(value, item, dialect))).collect();
            out.sort();
            Value::Map(out)
        }
        (Type::Argument, Value::Text(text)) if text.is_empty() => Value::Null,
        (Type::Argument, Value::Text(text)) => argument(text),
        (Type::Argument, Value::List(items)) => {
            Value::List(items.iter().map(|item| item.as_text().map_or(Value::Null, argument)).collect())
        }
        (Type::Enum(words), Value::Text(text)) if text.is_empty() => words.first().copied().unwrap_or_default().into(),
        (Type::Free, value) => sorted(value),
        (_, value) => value.clone(),
    }
}

/// A part of an argument: Talos doesn't quote what only older YAML reads as something else than text, and has its own
/// quotes for a merge key.
fn argument(text: &str) -> Value {
    match text {
        "<<" => Value::Number("\"<<\"".to_owned()),
        text if is_plain_in_old_yaml(text) => Value::Number(text.to_owned()),
        text => text.into(),
    }
}

/// Whether it is empty for Go.
pub(crate) fn is_zero(value: &Value, ty: &Type) -> bool {
    match (ty, value) {
        (_, Value::Null) => true,
        (Type::Pointer(_), _) => false,
        (Type::Struct(schema), Value::Map(map)) => schema.essential().all(|field| match map.get(field.key) {
            None | Some(Value::Null) => true,
            Some(value) => !field.optional && is_zero(value, &field.ty),
        }),
        (Type::Enum(words), Value::Text(text)) => text.is_empty() || words.first() == Some(&text.as_str()),
        (Type::RoutingTable, Value::Text(text)) => text.is_empty() || text == UNSPEC,
        (Type::Duration, Value::Text(text)) => text.is_empty() || text == "0s",
        (_, Value::Text(text)) => text.is_empty(),
        (_, Value::Number(text)) => matches!(text.as_str(), "0" | "0.0" | "0o0"),
        (_, Value::Bool(flag)) => !flag,
        (_, Value::List(items)) => items.is_empty(),
        (_, Value::Map(map)) => map.is_empty(),
    }
}

/// The routing table that stands for none.
const UNSPEC: &str = "unspec";

/// What Go prints for a field that was never set.
fn zero(ty: &Type, dialect: Dialect) -> Value {
    match ty {
        Type::Bool => Value::Bool(false),
        Type::Int(..) => Value::Number("0".to_owned()),
        Type::Mode => Value::Number("0o0".to_owned()),
        Type::Duration => "0s".into(),
        Type::Enum(words) => words.first().copied().unwrap_or_default().into(),
        Type::List(_) => Value::List(Vec::new()),
        Type::Map(_) | Type::Free => Value::Map(Map::new()),
        Type::Struct(schema) => Value::Map(structure(&Map::new(), schema, dialect)),
        Type::RoutingTable => UNSPEC.into(),
        _ => "".into(),
    }
}
