//! `$patch: delete`: extracted from a patch, and applied to a document.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use go_yaml::{Data, Key, Map, Node, Value};

use super::Error;
use super::merge::is_of_pair;
use crate::config::Document;
use crate::schema::{Schema, Type};

const DIRECTIVE: &str = "$patch";

/// One step of the path to what is deleted.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    /// The first item whose field has this value.
    Item {
        index: usize,
        key: String,
        value: String,
    },
}

/// What is deleted in a document.
#[derive(Clone, Debug)]
pub(super) struct Selector(Vec<Step>);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Item { index, .. } => write!(f, "[{index}]"),
        }
    }
}

/// What a patch's document asks to delete.
pub(super) struct Extracted {
    pub(super) selectors: Vec<Selector>,
    /// Whether the whole document is deleted.
    pub(super) whole: bool,
    /// The document with its directives, which shows its kind.
    pub(super) original: Node,
}

/// Removes the directives, and what is empty without them, from a document.
pub(super) fn extract(node: &mut Node) -> Result<Extracted, Error> {
    let original = node.clone();
    let whole = directive(node)?;
    let mut selectors = Vec::new();
    if !whole {
        walk(node, &mut Vec::new(), &mut selectors)?;
    }
    Ok(Extracted { selectors, whole, original })
}

/// Whether a mapping has `$patch: delete`.
fn directive(node: &Node) -> Result<bool, Error> {
    match node.get(DIRECTIVE) {
        None => Ok(false),
        Some(value) if value.text() == Some("delete") => Ok(true),
        Some(value) => Err(Error::Directive { place: value.place }),
    }
}

/// Collects below a node; returns whether the node is empty now and wasn't before.
fn walk(node: &mut Node, path: &mut Vec<Step>, found: &mut Vec<Selector>) -> Result<bool, Error> {
    match &mut node.data {
        Data::Scalar(_) => Ok(false),
        Data::Map(pairs) => walk_map(pairs, path, found),
        Data::List(items) => walk_list(items, path, found),
    }
}

fn walk_map(pairs: &mut Vec<(Key, Node)>, path: &mut Vec<Step>, found: &mut Vec<Selector>) -> Result<bool, Error> {
    let before = pairs.len();
    let mut kept = Vec::with_capacity(before);
    for (key, mut value) in pairs.drain(..) {
        path.push(Step::Key(key.text.clone()));
        let gone = if directive(&value)? {
            if let Some(item) = path.iter().position(|step| matches!(step, Step::Item { .. })) {
                let path = Selector(path[..=item].to_vec()).to_string();
                return Err(Error::Inner { path });
            }
            found.push(Selector(path.clone()));
            true
        } else {
            walk(&mut value, path, found)?
        };
        path.pop();
        if !gone {
            kept.push((key, value));
        }
    }
    *pairs = kept;
    Ok(pairs.is_empty() && before > 0)
}

fn walk_list(items: &mut Vec<Node>, path: &mut Vec<Step>, found: &mut Vec<Selector>) -> Result<bool, Error> {
    let before = items.len();
    let mut kept = Vec::with_capacity(before);
    for (index, mut item) in items.drain(..).enumerate() {
        path.push(item_step(&item, index));
        let gone = if directive(&item)? {
            let selector = Selector(path.clone());
            if item.pairs().is_some_and(|pairs| pairs.len() == 1) {
                return Err(Error::Nameless { path: selector.to_string() });
            }
            found.push(selector);
            true
        } else {
            walk(&mut item, path, found)?
        };
        path.pop();
        if !gone {
            kept.push(item);
        }
    }
    *items = kept;
    Ok(items.is_empty() && before > 0)
}

/// How an item is found again: by its first field.
fn item_step(item: &Node, index: usize) -> Step {
    let first = item.pairs().and_then(|pairs| pairs.iter().find(|(key, _)| key.text != DIRECTIVE));
    let (key, value) =
        first.map(|(key, value)| (key.text.clone(), value.text().unwrap_or_default().to_owned())).unwrap_or_default();
    Step::Item { index, key, value }
}

impl Selector {
    /// Whether both are items of one list, found by the same field.
    fn is_beside(&self, other: &Self) -> bool {
        match (self.0.split_last(), other.0.split_last()) {
            (Some((Step::Item { key: a, .. }, way)), Some((Step::Item { key: b, .. }, other))) => {
                a == b && way == other
            }
            _ => false,
        }
    }
}

/// Deletes from a document; fails if something doesn't exist.
pub(super) fn apply_all(document: &mut Document, selectors: &[Selector]) -> Result<(), Error> {
    selectors.chunk_by(Selector::is_beside).try_for_each(|run| match run {
        [_, _, ..] if many(document, run).is_some() => Ok(()),
        run => run.iter().try_for_each(|selector| apply(document, selector)),
    })
}

/// Deletes items of one list in one pass; `None`, without a change, if one of them doesn't exist.
fn many(document: &mut Document, run: &[Selector]) -> Option<()> {
    let (Step::Item { key, .. }, way) = run.first()?.0.split_last()? else { return None };
    let items = list(&mut document.fields, document.kind.schema, key, way)?;
    let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (at, text) in items.iter().map(|item| item.text_at(&[key])).enumerate() {
        places.entry(text.unwrap_or_default()).or_default().push_back(at);
    }
    let mut doomed = HashSet::new();
    for selector in run {
        let Some(Step::Item { value, .. }) = selector.0.last() else { return None };
        let at = places.get_mut(value.as_str())?.pop_front()?;
        items[at].text_at(&[key])?;
        doomed.insert(at);
    }
    let mut at = 0..;
    items.retain(|_| at.next().is_some_and(|at| !doomed.contains(&at)));
    Some(())
}

/// The list at the end of a path, if its items have such a field.
fn list<'a>(map: &'a mut Map, schema: &'static Schema, key: &str, way: &[Step]) -> Option<&'a mut Vec<Value>> {
    let (Step::Key(step), rest) = way.split_first()? else { return None };
    match (&schema.field(step)?.ty, map.get_mut(step)?) {
        (Type::Struct(inner), Value::Map(there)) => list(there, inner, key, rest),
        (Type::List(item), Value::List(items)) if rest.is_empty() => {
            let Type::Struct(item) = item.behind() else { return None };
            item.field(key).filter(|field| !is_of_pair(field)).map(|_| items)
        }
        _ => None,
    }
}

/// Deletes from a document; fails if it doesn't exist.
fn apply(document: &mut Document, selector: &Selector) -> Result<(), Error> {
    let identity = document.identity();
    let schema = document.kind.schema;
    in_struct(&mut document.fields, schema, &selector.0)
        .ok_or_else(|| Error::Lookup { document: identity, path: selector.to_string() })
}

fn in_struct(map: &mut Map, schema: &'static Schema, path: &[Step]) -> Option<()> {
    let (Step::Key(key), rest) = path.split_first()? else { return None };
    let field = schema.field(key).filter(|field| !is_of_pair(field))?;
    if rest.is_empty() {
        // A field exists even when it isn't set.
        map.remove(key);
        return Some(());
    }
    match map.get_mut(key) {
        Some(value) => in_value(value, &field.ty, rest),
        None if !field.optional => in_unset(&field.ty, rest),
        None => None,
    }
}

/// A structure that isn't behind a pointer exists, with all its fields, even when none is set.
fn in_unset(ty: &Type, path: &[Step]) -> Option<()> {
    match ty {
        Type::Struct(schema) => in_struct(&mut Map::new(), schema, path),
        _ => None,
    }
}

fn in_value(value: &mut Value, ty: &Type, path: &[Step]) -> Option<()> {
    let (step, rest) = path.split_first()?;
    match (ty, value, step) {
        (Type::Struct(schema), Value::Map(map), _) => in_struct(map, schema, path),
        (Type::Map(_) | Type::Free, Value::Map(map), Step::Key(key)) if rest.is_empty() => map.remove(key).map(|_| ()),
        (Type::Map(item), Value::Map(map), Step::Key(key)) => in_value(map.get_mut(key)?, item, rest),
        (Type::Free, Value::Map(map), Step::Key(key)) => in_value(map.get_mut(key)?, &Type::Free, rest),
        (Type::List(item), Value::List(items), Step::Item { key, value, .. }) if rest.is_empty() => {
            // Free items have no fields that could be compared.
            let Type::Struct(schema) = item.behind() else { return None };
            schema.field(key).filter(|field| !is_of_pair(field))?;
            remove_item(items, key, value)
        }
        _ => None,
    }
}

/// Only text fields find an item: numbers never match, as in Talos.
fn remove_item(items: &mut Vec<Value>, key: &str, wanted: &str) -> Option<()> {
    let index = items.iter().position(|item| item.text_at(&[key]) == Some(wanted))?;
    items.remove(index);
    Some(())
}
