//! The fields of a schematic, read and written as the factory's Go code does.

use go_yaml::{Data, Dialect, Map, Node, Origin, Place, Value, any, scalar};

/// Why a document is not a schematic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A key that schematics don't have.
    #[error("{place}: unknown key {key:?}{}", within(path))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The path of its parent; empty at the top.
        path: String,
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
        /// What was found, without long texts.
        found: String,
    },
}

fn within(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in {path}") }
}

/// What a field holds.
pub(crate) enum Type {
    Text,
    Bool,
    /// A whole number up to this one.
    Number(u64),
    /// One of these, in any case; an empty text means the first.
    Word(&'static [&'static str]),
    List(&'static Type),
    Struct(&'static [Field]),
    /// A mapping of anything.
    Free,
}

/// A field.
pub(crate) struct Field {
    key: &'static str,
    ty: Type,
    /// Whether it is written even when it is empty.
    always: bool,
}

/// A field that is always written.
pub(crate) const fn must(key: &'static str, ty: Type) -> Field {
    Field { key, ty, always: true }
}

/// A field that is omitted when it is empty.
pub(crate) const fn opt(key: &'static str, ty: Type) -> Field {
    Field { key, ty, always: false }
}

/// Reads a structure; nulls count as not set.
pub(crate) fn read(node: &Node, fields: &'static [Field], path: &str) -> Result<Map, Unfit> {
    let mut map = Map::new();
    for (key, value) in node.pairs().ok_or_else(|| unfit(node, path, "a mapping".to_owned()))? {
        let field = fields.iter().find(|field| field.key == key.text && key.origin == Origin::Direct);
        let field = field.ok_or_else(|| Unfit::UnknownKey {
            place: key.place,
            key: if matches!(key.origin, Origin::Merge | Origin::Alias) { "<<".to_owned() } else { key.text.clone() },
            path: path.to_owned(),
        })?;
        let inner = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
        if let Some(value) = value_of(value, &field.ty, &inner)? {
            map.set(key.text.clone(), value);
        }
    }
    Ok(map)
}

fn value_of(node: &Node, ty: &'static Type, path: &str) -> Result<Option<Value>, Unfit> {
    if node.is_null() {
        return Ok(None);
    }
    let typed = match (ty, &node.data) {
        (Type::Struct(fields), _) => return read(node, fields, path).map(|map| Some(map.into())),
        (Type::Free, Data::Map(_)) => Ok(any::anything(node)),
        (Type::List(item), Data::List(items)) => {
            let items = items.iter().enumerate();
            let values = items.map(|(index, node)| value_of(node, item, &format!("{path}[{index}]")));
            let values: Vec<Option<Value>> = values.collect::<Result<_, _>>()?;
            Ok(Value::List(values.into_iter().flatten().collect()))
        }
        (Type::Text, Data::Scalar(scalar)) => Ok(scalar.text.as_str().into()),
        (Type::Bool, Data::Scalar(scalar)) => {
            scalar::boolean(scalar).map(Value::Bool).ok_or_else(|| "true or false".to_owned())
        }
        (Type::Number(high), Data::Scalar(scalar)) => scalar::whole(scalar, 0, *high),
        (Type::Word(words), Data::Scalar(scalar)) => {
            match words.iter().position(|word| word.eq_ignore_ascii_case(&scalar.text)) {
                Some(0) => return Ok(None),
                Some(index) => Ok(words[index].into()),
                None => Err(format!("one of {}", words.join(", "))),
            }
        }
        (Type::Free, _) => Err("a mapping".to_owned()),
        (Type::List(_), _) => Err("a sequence".to_owned()),
        _ => Err("a scalar".to_owned()),
    };
    typed.map(Some).map_err(|wanted| unfit(node, path, wanted))
}

fn unfit(node: &Node, path: &str, wanted: String) -> Unfit {
    let found = match node.text() {
        Some(text) if text.len() <= 60 => format!("{text:?}"),
        _ => node.kind().to_owned(),
    };
    Unfit::Type { place: node.place, path: path.to_owned(), wanted, found }
}

/// The text of a structure, fields in their order, for its digest.
pub(crate) fn written(map: &Map, fields: &'static [Field]) -> String {
    go_yaml::write_for_digest(&structure(Some(map), fields).into(), Dialect::V4)
}

fn structure(map: Option<&Map>, fields: &'static [Field]) -> Map {
    let mut out = Map::new();
    for field in fields {
        let value = map.and_then(|map| map.get(field.key));
        if field.always || value.is_some_and(|value| !is_nothing(value, &field.ty)) {
            out.set(field.key, encoded(value, &field.ty));
        }
    }
    out
}

/// Whether it is empty for Go.
fn is_nothing(value: &Value, ty: &Type) -> bool {
    match (ty, value) {
        (Type::Struct(fields), Value::Map(map)) => {
            fields.iter().all(|field| map.get(field.key).is_none_or(|value| is_nothing(value, &field.ty)))
        }
        (_, Value::Null) => true,
        (_, Value::Bool(flag)) => !flag,
        (_, Value::Number(text)) => text == "0",
        (_, Value::Text(text)) => text.is_empty(),
        (_, Value::List(items)) => items.is_empty(),
        (_, Value::Map(map)) => map.is_empty(),
    }
}

/// A value as it is written; a missing one is Go's zero value.
fn encoded(value: Option<&Value>, ty: &'static Type) -> Value {
    match (ty, value) {
        (Type::Struct(fields), value) => structure(value.and_then(Value::as_map), fields).into(),
        (Type::List(item), Some(Value::List(items))) => {
            Value::List(items.iter().map(|value| encoded(Some(value), item)).collect())
        }
        (Type::Free, Some(value)) => any::sorted(value),
        (_, Some(value)) => value.clone(),
        (Type::Text | Type::Word(_), None) => "".into(),
        (Type::Bool, None) => false.into(),
        (Type::Number(_), None) => 0.into(),
        (Type::List(_), None) => Value::List(Vec::new()),
        (Type::Free, None) => Map::new().into(),
    }
}
