//! Strategic merge: each field by its type, as Go's reflection sees it.

use super::Error;
use crate::config::Document;
use crate::encode::is_zero;
use crate::shape::{Field, Merge, Shape, Type};
use crate::value::{Map, Value};

/// Merges a patch's document into one of the same identity.
pub(super) fn document(left: &mut Document, right: &Document) -> Result<(), Error> {
    structure(&mut left.fields, &right.fields, left.kind.shape, "")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn structure(left: &mut Map, right: &Map, shape: &'static Shape, path: &str) -> Result<(), Error> {
    for field in shape.fields() {
        match right.get(field.key) {
            Some(value) => merge_field(left, value, field, &join(path, field.key))?,
            None => clear(left, field),
        }
    }
    Ok(())
}

/// What a patch that doesn't name a field does to it: where "not set" can't be told from zero, it goes.
fn clear(left: &mut Map, field: &'static Field) {
    match &field.ty {
        _ if field.optional => {}
        ty if assigns(ty) => drop(left.remove(field.key)),
        Type::Struct(shape) if field.merge == Merge::Typed => {
            if let Some(there) = left.get_mut(field.key).and_then(Value::as_map_mut) {
                shape.fields().for_each(|field| clear(there, field));
            }
        }
        _ => {}
    }
}

/// Whether Talos takes a patch's value of the type even when it is zero.
fn assigns(ty: &Type) -> bool {
    matches!(ty, Type::Bool | Type::ByteSize | Type::Expression)
}

fn merge_field(left: &mut Map, right: &Value, field: &'static Field, path: &str) -> Result<(), Error> {
    let Some(there) = left.get_mut(field.key) else {
        left.set(field.key, right.clone());
        return Ok(());
    };
    match field.merge {
        Merge::Replace => {
            *there = right.clone();
            Ok(())
        }
        Merge::By(keys) => by_key(there, right, &field.ty, keys, path),
        Merge::ReplaceBy(key) => {
            replace_by(there, right, key);
            Ok(())
        }
        Merge::Typed if !field.optional && keeps(right, &field.ty) => Ok(()),
        Merge::Typed => value(there, right, &field.ty, path),
    }
}

/// Whether a scalar's zero leaves what is there.
fn keeps(right: &Value, ty: &Type) -> bool {
    let scalar = !matches!(ty, Type::Bytes | Type::List(_) | Type::Map(_) | Type::Struct(_));
    scalar && !assigns(ty) && is_zero(right, ty)
}

fn value(left: &mut Value, right: &Value, ty: &Type, path: &str) -> Result<(), Error> {
    match (ty, &mut *left, right) {
        (Type::Struct(shape), Value::Map(left), Value::Map(right)) => structure(left, right, shape, path),
        (Type::List(_), Value::List(left), Value::List(right)) => {
            left.extend(right.iter().cloned());
            Ok(())
        }
        (Type::Map(item), Value::Map(left), Value::Map(right)) => map(left, right, item, path),
        (Type::Free, _, _) => free(left, right, path),
        (Type::Url, Value::Text(old), Value::Text(new)) => {
            *old = url(old, new);
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
            Some(_) if keeps(new, item) => {}
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

/// Merges items of the same key, appends the others.
fn by_key(left: &mut Value, right: &Value, ty: &Type, keys: &[&str], path: &str) -> Result<(), Error> {
    let (Value::List(old), Value::List(new), Type::List(item_type)) = (left, right, ty) else { return Ok(()) };
    let Type::Struct(shape) = item_type.behind() else { return Ok(()) };
    for (index, item) in new.iter().enumerate() {
        match old.iter_mut().find(|there| same(there, item, keys)) {
            Some(Value::Map(there)) => {
                let Some(item) = item.as_map() else { continue };
                structure(there, item, shape, &format!("{path}[{index}]"))?;
            }
            _ => old.push(item.clone()),
        }
    }
    Ok(())
}

/// Whether two items share the first of the keys that the new one has.
fn same(old: &Value, new: &Value, keys: &[&str]) -> bool {
    let Some((key, wanted)) = keys.iter().find_map(|key| Some((*key, new.at(&[key])?))) else {
        return false;
    };
    match (old.at(&[key]), wanted) {
        (Some(Value::Map(old)), Value::Map(new)) => same_selector(old, new),
        (Some(old), wanted) => old == wanted,
        (None, _) => false,
    }
}

/// Go compares selectors as structures, in which a pointer (`physical`) never equals another.
fn same_selector(old: &Map, new: &Map) -> bool {
    let pointer = |map: &Map| map.get("physical").is_some();
    !pointer(old)
        && !pointer(new)
        && old.len() == new.len()
        && old.iter().all(|(key, value)| new.get(key) == Some(value))
}

fn replace_by(left: &mut Value, right: &Value, key: &str) {
    let (Value::List(old), Value::List(new)) = (left, right) else { return };
    for item in new {
        match old.iter_mut().find(|there| there.at(&[key]) == item.at(&[key])) {
            Some(there) => *there = item.clone(),
            None => old.push(item.clone()),
        }
    }
}

/// The parts of a URL, each empty when it isn't there.
struct Url<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Url<'a> {
    fn split(text: &'a str) -> Self {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let start = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(start);
        Self { scheme, authority, path, query, fragment }
    }
}

fn pick<'a>(old: &'a str, new: &'a str) -> &'a str {
    if new.is_empty() { old } else { new }
}

/// Go merges URLs component by component: what the patch leaves out stays.
fn url(old: &str, new: &str) -> String {
    let (old, new) = (Url::split(old), Url::split(new));
    let part = |sign: &str, old, new| match pick(old, new) {
        "" => String::new(),
        text => format!("{sign}{text}"),
    };
    let scheme = part("", old.scheme, new.scheme);
    format!(
        "{scheme}://{}{}{}{}",
        pick(old.authority, new.authority),
        pick(old.path, new.path),
        part("?", old.query, new.query),
        part("#", old.fragment, new.fragment),
    )
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn a_url_keeps_what_the_patch_leaves_out() {
        assert_eq!(url("https://127.0.0.1:6643/", "https://10.0.0.1"), "https://10.0.0.1/");
        assert_eq!(url("http://a/x?q=1", "https://b/y"), "https://b/y?q=1");
    }
}
