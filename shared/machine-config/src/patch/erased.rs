//! Selectors and sizes that a patch erases by not repeating them: Talos merges them as a whole, nothing included.

use go_yaml::{Map, Value};

use super::{Part, Patch};
use crate::config::{Config, Identity};
use crate::schema::{Schema, Type};

/// A selector or size that a config had before a patch, and no longer has, though the patch doesn't speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The document.
    pub document: Identity,
    /// Its place in it.
    pub path: String,
}

impl std::fmt::Display for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { document, path } = self;
        write!(
            f,
            "erases {path} of {document}: Talos drops a selector or size that a patch to its document doesn't repeat; \
             repeat {path} in the patch"
        )
    }
}

/// What a patch erased unasked, by the config before and after it.
pub fn erased(before: &Config, patch: &Patch, after: &Config) -> Vec<Erased> {
    let Patch::Strategic(parts) = patch else { return Vec::new() };
    let mut found = Vec::new();
    // A document that is deleted and made again is meant as it stands.
    for part in parts.iter().filter(|part| !parts.iter().any(|other| other.whole && other.identity == part.identity)) {
        let fields = |config: &Config| {
            let same = config.documents.iter().find(|document| document.identity() == part.identity);
            same.map(|document| document.fields.clone())
        };
        if let (Some(before), Some(after)) = (fields(before), fields(after)) {
            let mut paths = Vec::new();
            lost(&before, &after, part.kind.schema, "", &mut paths);
            let unasked = paths.into_iter().filter(|path| !is_meant(part, path));
            found.extend(unasked.map(|path| Erased { document: part.identity.clone(), path }));
        }
    }
    found
}

/// Whether the patch deletes the place, or names it, be it with nothing.
fn is_meant(part: &Part, path: &str) -> bool {
    let within = |outer: &str| path == outer || path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    part.deletes.iter().any(|selector| within(&selector.to_string())) || names(part, path)
}

fn names(part: &Part, path: &str) -> bool {
    let Some((first, rest)) = path.split('.').collect::<Vec<_>>().split_first().map(|(f, r)| (*f, r.to_vec())) else {
        return false;
    };
    let there = part.merge.as_ref().and_then(|document| document.fields.get(first));
    there.is_some_and(|value| rest.is_empty() || value.at(&rest).is_some())
}

/// The places of selectors and sizes that one structure has and the other doesn't.
fn lost(before: &Map, after: &Map, schema: &'static Schema, place: &str, found: &mut Vec<String>) {
    let nothing = Map::new();
    for field in schema.fields() {
        let path = if place.is_empty() { field.key.to_owned() } else { format!("{place}.{}", field.key) };
        match (&field.ty, before.get(field.key), after.get(field.key)) {
            (Type::Struct(schema), Some(Value::Map(before)), after) => {
                let after = after.and_then(Value::as_map).unwrap_or(&nothing);
                lost(before, after, schema, &path, found);
            }
            (Type::Expression | Type::ByteSize | Type::Size, Some(before), after) => {
                let is_set = |value: &Value| value.as_text().is_some_and(|text| !text.is_empty());
                if is_set(before) && !after.is_some_and(is_set) {
                    found.push(path);
                }
            }
            _ => {}
        }
    }
}
