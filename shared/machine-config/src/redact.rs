//! Secrets in a config: found, and hidden before anything is shown.

use crate::config::{Config, Document, Identity};
use crate::scalar::REDACTED;
use crate::shape::{Shape, Type};
use crate::value::{Map, Value};

/// A secret that stands in a config.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// The document.
    pub document: Identity,
    /// The path in it.
    pub path: String,
    value: String,
}

/// The config with every secret replaced by asterisks.
pub fn redact(config: &Config) -> Config {
    let documents = config.documents().iter().map(|document| {
        let mut document = document.clone();
        hide_in_struct(&mut document.fields, document.kind.shape);
        document
    });
    Config { documents: documents.collect() }
}

/// Every secret of a document.
pub fn secrets(document: &Document) -> Vec<Found> {
    let mut out = Vec::new();
    let identity = document.identity();
    find_in_struct(&document.fields, document.kind.shape, "", &mut |path, value| {
        out.push(Found { document: identity.clone(), path, value: value.to_owned() });
    });
    out
}

/// The secrets that are not the same in two configs.
pub(crate) fn differing(left: &Config, right: &Config) -> Vec<String> {
    let all = |config: &Config| config.documents().iter().flat_map(secrets).collect::<Vec<_>>();
    let (left, right) = (all(left), all(right));
    let changed = right.iter().filter(|found| {
        let same_place = |other: &&Found| other.document == found.document && other.path == found.path;
        left.iter().find(same_place).is_some_and(|other| other.value != found.value)
    });
    changed.map(|found| format!("{} {}", found.document, found.path)).collect()
}

fn hide_in_struct(map: &mut Map, shape: &'static Shape) {
    for field in shape.fields() {
        let Some(value) = map.get_mut(field.key) else { continue };
        if field.secret { hide(value) } else { hide_in(value, &field.ty) }
    }
}

fn hide_in(value: &mut Value, ty: &Type) {
    match (ty, value) {
        (Type::Pointer(inner), value) => hide_in(value, inner),
        (Type::Struct(shape), Value::Map(map)) => hide_in_struct(map, shape),
        (Type::List(item), Value::List(items)) => items.iter_mut().for_each(|value| hide_in(value, item)),
        (Type::Map(item), Value::Map(map)) => map.iter_mut().for_each(|(_, value)| hide_in(value, item)),
        (Type::Free, Value::Map(map)) => map.iter_mut().for_each(|(key, value)| hide_in_free(key, value)),
        (Type::Free, Value::List(items)) => items.iter_mut().for_each(|value| hide_in(value, &Type::Free)),
        (Type::Url, Value::Text(text)) => hide_in_url(text),
        _ => {}
    }
}

fn hide_in_free(key: &str, value: &mut Value) {
    if is_telling(key) && value.as_text().is_some() {
        hide(value);
    } else {
        hide_in(value, &Type::Free);
    }
}

/// Whether a key of a free-form value names a secret.
fn is_telling(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "password", "passphrase", "token", "key"].iter().any(|word| key.ends_with(word))
}

/// Hides every text at and below a value.
fn hide(value: &mut Value) {
    match value {
        Value::Text(text) if !text.is_empty() => REDACTED.clone_into(text),
        Value::List(items) => items.iter_mut().for_each(hide),
        Value::Map(map) => map.iter_mut().for_each(|(_, value)| hide(value)),
        _ => {}
    }
}

/// Hides a password and the query of a URL, in which tokens travel.
fn hide_in_url(text: &mut String) {
    if let Some((before, _)) = text.split_once('?') {
        *text = format!("{before}?{REDACTED}");
    }
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let end = rest.find('/').unwrap_or(rest.len());
    if let Some(at) = rest[..end].rfind('@') {
        *text = format!("{scheme}://{REDACTED}{}", &rest[at..]);
    }
}

fn find_in_struct(map: &Map, shape: &'static Shape, path: &str, found: &mut dyn FnMut(String, &str)) {
    for field in shape.fields() {
        let Some(value) = map.get(field.key) else { continue };
        let path = if path.is_empty() { field.key.to_owned() } else { format!("{path}.{}", field.key) };
        if field.secret {
            find_texts(value, &path, found);
        } else {
            find_in(value, &field.ty, &path, found);
        }
    }
}

fn find_in(value: &Value, ty: &Type, path: &str, found: &mut dyn FnMut(String, &str)) {
    match (ty, value) {
        (Type::Pointer(inner), value) => find_in(value, inner, path, found),
        (Type::Struct(shape), Value::Map(map)) => find_in_struct(map, shape, path, found),
        (Type::List(item), Value::List(items)) => {
            items.iter().enumerate().for_each(|(i, value)| find_in(value, item, &format!("{path}[{i}]"), found));
        }
        (Type::Map(item), Value::Map(map)) => {
            map.iter().for_each(|(key, value)| find_in(value, item, &format!("{path}.{key}"), found));
        }
        _ => {}
    }
}

fn find_texts(value: &Value, path: &str, found: &mut dyn FnMut(String, &str)) {
    match value {
        Value::Text(text) if !text.is_empty() && text != REDACTED => found(path.to_owned(), text),
        Value::List(items) => {
            items.iter().enumerate().for_each(|(i, value)| find_texts(value, &format!("{path}[{i}]"), found));
        }
        Value::Map(map) => {
            map.iter().for_each(|(key, value)| find_texts(value, &format!("{path}.{key}"), found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        let text = "machine:\n  type: worker\n  token: abc.def\n  ca: {crt: QUJD, key: QUJD}\n---\napiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://a/?jointoken=x\n";
        let shown = redact(&crate::load(text).unwrap()).text(crate::yaml::Dialect::V4);
        assert!(shown.contains("token: '******'") && shown.contains("key: '******'"), "{shown}");
        assert!(shown.contains("crt: QUJD") && shown.contains("apiUrl: https://a/?******"), "{shown}");
    }

    #[test]
    fn secrets_are_found_by_path() {
        let config = crate::load("cluster:\n  ca: {crt: QUJD, key: QUJD}\n  token: a.b\n").unwrap();
        let paths: Vec<String> = secrets(&config.documents()[0]).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["token", "ca.key"].map(|key| format!("cluster.{key}")));
    }
}
