//! Strategic merge: each field by its type, as Go's reflection sees it.

use go_yaml::{Map, Url, Value};

use super::{Error, by_key};
use crate::config::Document;
use crate::encode::is_zero;
use crate::schema::{Field, Merge, Print, Schema, Type};

/// Merges a patch's document into one of the same identity.
pub(super) fn document(left: &mut Document, right: &Document) -> Result<(), Error> {
    structure(&mut left.fields, &right.fields, left.kind.schema, "")
}

/// Drops what a patch replaces from a minor of Talos on, so that the patch's own value takes its place.
pub(super) fn replaced(left: &mut Map, right: &Map, schema: &'static Schema, newest: u32) {
    for field in schema.fields().filter(|field| right.get(field.key).is_some()) {
        let there = left.get_mut(field.key);
        match (&field.ty, there, right.get(field.key)) {
            _ if field.replaced_since.is_some_and(|since| since <= newest) => drop(left.remove(field.key)),
            (Type::Struct(schema), Some(Value::Map(left)), Some(Value::Map(right))) => {
                replaced(left, right, schema, newest);
            }
            _ => {}
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn structure(left: &mut Map, right: &Map, schema: &'static Schema, path: &str) -> Result<(), Error> {
    for field in schema.fields() {
        match right.get(field.key) {
            Some(value) => merge_field(left, value, field, &join(path, field.key))?,
            None => clear(left, field),
        }
    }
    Ok(())
}

/// Clears a field that a patch doesn't name, if "not set" can't be distinguished from zero.
fn clear(left: &mut Map, field: &'static Field) {
    match &field.ty {
        _ if field.optional => {}
        ty if assigns(ty) || is_of_pair(field) => drop(left.remove(field.key)),
        Type::Struct(schema) if field.merge == Merge::Typed => {
            if let Some(there) = left.get_mut(field.key).and_then(Value::as_map_mut) {
                schema.fields().for_each(|field| clear(there, field));
            }
        }
        _ => {}
    }
}

/// Whether it is a part of a certificate with its key, which Talos reads as a whole: a part that isn't named is empty.
pub(super) fn is_of_pair(field: &Field) -> bool {
    matches!(field.ty, Type::Bytes) && field.print == Print::Always
}

/// Whether Talos takes a patch's value of the type even if it is zero.
fn assigns(ty: &Type) -> bool {
    matches!(ty, Type::Bool | Type::ByteSize | Type::Expression)
}

fn merge_field(left: &mut Map, right: &Value, field: &'static Field, path: &str) -> Result<(), Error> {
    if left.get(field.key).is_none() {
        match nothing(field) {
            Some(nothing) => left.set(field.key, nothing),
            None => {
                left.set(field.key, right.clone());
                return Ok(());
            }
        }
    }
    let Some(there) = left.get_mut(field.key) else { return Ok(()) };
    match field.merge {
        // An empty free value counts as none.
        Merge::Replace if matches!(field.ty, Type::Free) && is_zero(right, &field.ty) => Ok(()),
        Merge::Replace => {
            *there = right.clone();
            Ok(())
        }
        Merge::By(keys) => by_key::merge(there, right, &field.ty, keys, path, structure),
        Merge::ReplaceBy(key) => {
            by_key::replace(there, right, key);
            Ok(())
        }
        Merge::Typed if !field.optional && keeps(right, &field.ty) => Ok(()),
        Merge::Typed => value(there, right, &field.ty, path),
    }
}

/// The value of an unset field, if a patch is merged even into that: its own items may have one key twice.
fn nothing(field: &Field) -> Option<Value> {
    match (field.merge, &field.ty) {
        (Merge::By(_) | Merge::ReplaceBy(_), Type::List(_)) => Some(Value::List(Vec::new())),
        (Merge::Typed, Type::Struct(_)) if !field.optional => Some(Value::Map(Map::new())),
        _ => None,
    }
}

/// Whether a zero scalar keeps the existing value.
fn keeps(right: &Value, ty: &Type) -> bool {
    let scalar = !matches!(ty, Type::Bytes | Type::Mac | Type::List(_) | Type::Map(_) | Type::Struct(_));
    scalar && !assigns(ty) && is_zero(right, ty)
}

fn value(left: &mut Value, right: &Value, ty: &Type, path: &str) -> Result<(), Error> {
    match (ty, &mut *left, right) {
        (Type::Struct(schema), Value::Map(left), Value::Map(right)) => structure(left, right, schema, path),
        (Type::List(_), Value::List(left), Value::List(right)) => {
            left.extend(right.iter().cloned());
            Ok(())
        }
        (Type::Map(item), Value::Map(left), Value::Map(right)) => map(left, right, item, path),
        (Type::Free, _, _) => free(left, right, path),
        (Type::Url, Value::Text(old), Value::Text(new)) => {
            *old = url(old, new).ok_or_else(|| Error::Impossible { path: path.to_owned() })?;
            Ok(())
        }
        (Type::DiskCondition, _, _) => Err(Error::Impossible { path: path.to_owned() }),
        // Talos holds both then, and writes the bytes.
        (Type::Size, Value::Text(old), Value::Text(new))
            if new.ends_with('%') && !old.is_empty() && !old.ends_with('%') =>
        {
            Ok(())
        }
        _ => {
            *left = right.clone();
            Ok(())
        }
    }
}

fn map(left: &mut Map, right: &Map, item: &Type, path: &str) -> Result<(), Error> {
    for (key, new) in right.iter() {
        match left.get_mut(key) {
            Some(old) if matches!(item, Type::Argument) || *old == Value::Null => *old = new.clone(),
            Some(_) if *new == Value::Null || keeps(new, item) => {}
            Some(old) => value(old, new, item, &join(path, key))?,
            None => left.set(key, new.clone()),
        }
    }
    Ok(())
}

/// Free-form values: mappings merge, lists grow, the rest is replaced but not by zero; a change of type is refused.
fn free(left: &mut Value, right: &Value, path: &str) -> Result<(), Error> {
    match (&mut *left, right) {
        (Value::Map(left), Value::Map(right)) => {
            for (key, new) in right.iter() {
                match left.get_mut(key) {
                    Some(old) => free(old, new, &join(path, key))?,
                    None => left.set(key, new.clone()),
                }
            }
        }
        (Value::List(left), Value::List(right)) => left.extend(right.iter().cloned()),
        (Value::Null, _) | (_, Value::Null) => *left = right.clone(),
        (old, new) if type_name(old) != type_name(new) => {
            let (left, right) = (type_name(old), type_name(new));
            return Err(Error::Mismatch { path: path.to_owned(), left, right });
        }
        _ if *right != Value::Bool(false) && is_zero(right, &Type::Free) => {}
        _ => *left = right.clone(),
    }
    Ok(())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(text) if is_whole(text) && is_beyond_i64(text) => "a whole number above 9223372036854775807",
        Value::Number(text) if is_whole(text) => "a whole number",
        Value::Number(_) => "a number with a fraction",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

fn is_whole(number: &str) -> bool {
    number.strip_prefix('-').unwrap_or(number).bytes().all(|byte| byte.is_ascii_digit())
}

/// Go holds these in another type than smaller ones.
fn is_beyond_i64(number: &str) -> bool {
    number.parse::<i64>().is_err()
}

/// The URL merged from two; `None` if both name a user.
fn url(old: &str, new: &str) -> Option<String> {
    match (Url::parse(old), Url::parse(new)) {
        (Some(mut url), Some(new)) => {
            url.merge(new)?;
            Some(url.to_string())
        }
        _ => Some(new.to_owned()),
    }
}
