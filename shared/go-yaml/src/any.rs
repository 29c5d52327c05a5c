//! Untyped values, as Go's `any` reads them.

use crate::node::{Data, Node, Origin, Scalar};
use crate::resolve::{Resolved, date_time, float_text};
use crate::value::{Map, Value};

/// An untyped node as a value, as Go's `any` reads it and writes it again.
pub fn free_value(node: &Node) -> Value {
    rewritten(&anything(node))
}

/// An untyped node, with whole numbers and floats kept distinct: `1.0` isn't `1`.
pub fn anything(node: &Node) -> Value {
    match &node.data {
        Data::Scalar(scalar) => free(scalar),
        Data::List(items) => Value::List(items.iter().map(anything).collect()),
        Data::Map(pairs) => {
            let known = pairs.iter().filter(|(key, _)| key.origin != Origin::Null);
            let pairs = known.map(|(key, value)| (key.text.clone(), anything(value)));
            Value::Map(pairs.collect())
        }
    }
}

/// An untyped scalar.
pub fn free(scalar: &Scalar) -> Value {
    match scalar.resolve() {
        Resolved::Null => Value::Null,
        Resolved::Bool(flag) => Value::Bool(flag),
        Resolved::Int(number) => Value::Number(number.to_string()),
        Resolved::Float(number) => Value::Number(float(number)),
        Resolved::Date => match date_time(&scalar.text) {
            Some(date) => Value::Number(date),
            None => scalar.text.as_str().into(),
        },
        Resolved::Merge | Resolved::Text => scalar.text.as_str().into(),
    }
}

/// A float; its `.0` distinguishes it from a whole number.
fn float(number: f64) -> String {
    let text = float_text(number);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') { text + ".0" } else { text }
}

/// An untyped value as it is written again, keys in their order: Go writes `1.0` as `1`.
pub fn rewritten(value: &Value) -> Value {
    match value {
        Value::Map(map) => map.iter().map(|(key, value)| (key, rewritten(value))).collect::<Map>().into(),
        Value::List(items) => Value::List(items.iter().map(rewritten).collect()),
        Value::Number(text) => Value::Number(text.strip_suffix(".0").unwrap_or(text).to_owned()),
        leaf => leaf.clone(),
    }
}

/// An untyped value as it is written again, keys sorted at every level as Go sorts a map's.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut out: Map = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            out.sort();
            Value::Map(out)
        }
        Value::List(items) => Value::List(items.iter().map(sorted).collect()),
        leaf => rewritten(leaf),
    }
}
