//! From the nodes of a file to typed values, driven by the table.

use std::cell::RefCell;

use go_yaml::{Data, Key, Map, Node, Origin, Place, Resolved, Value};
use redaction::REDACTED;

use crate::scalar::typed;
use crate::schema::{Schema, Type};
use crate::secret_detection::Carrier;
use crate::suggest;

/// Why a document doesn't fit its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key that the table doesn't have.
    #[error("{place}: unknown key {key:?}{}", within(path))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The path of the structure that contains it; empty at the top.
        path: String,
        /// The most similar known key.
        nearest: Option<&'static str>,
    },
    /// A value of the wrong type.
    #[error("{place}: {path} must be {wanted}, not {found}")]
    Type {
        /// Where.
        place: Place,
        /// The path of the field.
        path: String,
        /// What is expected there.
        wanted: String,
        /// What was found, without secrets and long texts.
        found: String,
    },
    /// Nothing in place of an item that Talos holds behind a pointer.
    #[error("{place}: null value is not allowed at {path:?}")]
    Null {
        /// Where.
        place: Place,
        /// The path of the item.
        path: String,
    },
}

fn within(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in {path}") }
}

/// The path of a value, for messages.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    part: &'a str,
    secret: bool,
    later: &'a RefCell<Option<Error>>,
}

impl<'a> Path<'a> {
    fn root(later: &'a RefCell<Option<Error>>) -> Self {
        Path { parent: None, part: "", secret: false, later }
    }

    fn child(&'a self, part: &'a str) -> Path<'a> {
        Path { parent: Some(self), part, ..*self }
    }

    fn text(&self) -> String {
        match self.parent {
            None => String::new(),
            Some(parent) => {
                let before = parent.text();
                let dot = if before.is_empty() || self.part.starts_with('[') { "" } else { "." };
                format!("{before}{dot}{}", self.part)
            }
        }
    }

    /// A scalar of the wrong type; shown if it can't be a secret.
    fn mismatch(&self, node: &Node, ty: &Type, wanted: String) -> Error {
        let hidden = self.secret || matches!(ty.behind(), Type::Struct(_) | Type::List(_) | Type::Map(_) | Type::Bytes);
        let found = match node.text() {
            Some(text) if !hidden && text.len() <= 60 => format!("{:?}", Carrier::Url.shown(text)),
            _ => node.kind().to_owned(),
        };
        Error::Type { place: node.place, path: self.text(), wanted, found }
    }

    /// A node of the wrong form. Its content is not shown: a text in place of a structure may be its secret.
    fn misshapen(&self, node: &Node, wanted: &str) -> Error {
        let found = node.kind().to_owned();
        Error::Type { place: node.place, path: self.text(), wanted: wanted.to_owned(), found }
    }
}

/// A document's fields, and what keeps newer Talos releases from reading it.
pub(crate) struct Decoded {
    pub(crate) fields: Map,
    /// The first date that stands without quotes in place of a text, or null in place of an item: Talos refuses both
    /// from 1.14 on.
    pub(crate) later: Option<Error>,
}

/// Decodes the fields of a document; keys in `skip` are handled elsewhere.
pub(crate) fn document(node: &Node, schema: &'static Schema, skip: &[&str]) -> Result<Decoded, Error> {
    let later = RefCell::default();
    let fields = structure(node, schema, &Path::root(&later), skip)?;
    Ok(Decoded { fields, later: later.into_inner() })
}

fn structure(node: &Node, schema: &'static Schema, path: &Path<'_>, skip: &[&str]) -> Result<Map, Error> {
    let pairs = node.pairs().ok_or_else(|| path.misshapen(node, "a mapping"))?;
    let mut map = Map::new();
    for (key, value) in pairs.iter().filter(|(key, _)| !skip.contains(&key.text.as_str())) {
        let field = schema.field(&key.text).filter(|_| key.origin == Origin::Direct);
        let field = field.ok_or_else(|| unknown(key, schema, path))?;
        let mut inner = path.child(field.key);
        inner.secret |= field.secret;
        match decode(value, &field.ty, &inner)? {
            Value::Null => {}
            value => map.push(key.text.clone(), value),
        }
    }
    Ok(map)
}

/// A key that the structure doesn't have; Talos has no merge keys in structures.
fn unknown(key: &Key, schema: &'static Schema, path: &Path<'_>) -> Error {
    let text = if matches!(key.origin, Origin::Merge | Origin::Alias) { "<<" } else { key.text.as_str() };
    Error::UnknownKey {
        place: key.place,
        key: text.to_owned(),
        path: path.text(),
        nearest: suggest::nearest(text, schema.fields().map(|field| field.key).collect::<Vec<_>>()),
    }
}

fn decode(node: &Node, ty: &Type, path: &Path<'_>) -> Result<Value, Error> {
    if node.is_null() {
        return Ok(Value::Null);
    }
    match (ty, &node.data) {
        (Type::Pointer(inner), _) => decode(node, inner, path),
        (Type::Free, _) => match node.data {
            Data::Map(_) => Ok(go_yaml::any::anything(node)),
            _ => Err(path.misshapen(node, "a mapping")),
        },
        (Type::Struct(schema), _) => structure(node, schema, path, &[]).map(Value::Map),
        (Type::List(item), Data::List(items)) => list(items, item, path),
        (Type::Map(item), Data::Map(_)) => map(node, item, path),
        (Type::Argument, Data::List(items)) => list(items, &Type::Text, path),
        (Type::Bytes, Data::Scalar(scalar)) if path.secret && scalar.text == REDACTED => Ok(REDACTED.into()),
        (_, Data::Scalar(scalar)) => {
            if scalar.resolve() == Resolved::Date && is_text(ty) {
                let wanted = "text, in quotes because it looks like a date".to_owned();
                path.later.borrow_mut().get_or_insert_with(|| path.mismatch(node, ty, wanted));
            }
            typed(scalar, ty).map_err(|wanted| path.mismatch(node, ty, wanted))
        }
        (Type::List(_), _) => Err(path.misshapen(node, "a sequence")),
        (Type::Map(_), _) => Err(path.misshapen(node, "a mapping")),
        _ => Err(path.misshapen(node, "a scalar")),
    }
}

/// Go drops null items, unless they are pointers.
fn list(items: &[Node], ty: &Type, path: &Path<'_>) -> Result<Value, Error> {
    let mut values = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let part = format!("[{index}]");
        let path = path.child(&part);
        match decode(item, ty, &path)? {
            Value::Null if !matches!(ty, Type::Pointer(_)) => {}
            Value::Null => {
                let null = || Error::Null { place: item.place, path: path.text() };
                path.later.borrow_mut().get_or_insert_with(null);
                values.push(Value::Null);
            }
            value => values.push(value),
        }
    }
    Ok(Value::List(values))
}

/// Whether Go reads the type into a string.
fn is_text(ty: &Type) -> bool {
    matches!(ty.behind(), Type::Text | Type::Trimmed | Type::Argument | Type::Url | Type::DiskCondition)
}

/// Go keeps a key without a value, with the zero value, but drops a key that is null.
fn map(node: &Node, ty: &Type, path: &Path<'_>) -> Result<Value, Error> {
    let mut map = Map::new();
    for (key, value) in node.pairs().unwrap_or_default().iter().filter(|(key, _)| key.origin != Origin::Null) {
        if key.origin == Origin::Merge {
            return Err(path.misshapen(value, "written out, or brought by an alias"));
        }
        let value = match decode(value, ty, &path.child(&key.text))? {
            Value::Null if matches!(ty, Type::Text | Type::Argument) => "".into(),
            Value::Null if matches!(ty, Type::Bool) => false.into(),
            value => value,
        };
        map.push(key.text.clone(), value);
    }
    Ok(Value::Map(map))
}
