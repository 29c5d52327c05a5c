//! RFC 6902, which Talos takes for configs of one document.

use std::str::FromStr;

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation,
};
use serde_json::Value as Json;

use super::Error;
use super::operations::carry_out;
use crate::config::Config;
use crate::decode::anything;
use crate::kinds::LEGACY;
use crate::value::Value;
use crate::yaml::Node;

/// A list of operations.
#[derive(Clone, Debug, Default)]
pub struct JsonPatch(json_patch::Patch);

impl JsonPatch {
    /// Reads operations, JSON or YAML.
    pub(super) fn from_node(node: &Node) -> Result<Self, Error> {
        let items = node.items().unwrap_or_default();
        let operations = items.iter().map(operation).collect::<Result<_, _>>()?;
        Ok(Self(json_patch::Patch(operations)))
    }

    /// Applies the operations to a config of one document.
    pub(super) fn apply(&self, config: &Config) -> Result<Config, Error> {
        let [document] = config.documents() else { return Err(Error::ManyDocuments) };
        let mut json = to_json(&document.written());
        for (number, operation) in self.0.iter().enumerate() {
            carry_out(&mut json, operation).map_err(|error| Error::Operation(explain(&json, number, &error)))?;
        }
        Ok(crate::load(&json.to_string())?)
    }

    /// Adds the operations of the patch that comes next; what is between them need not be a config.
    pub fn join(&mut self, next: &Self) {
        self.0.0.extend(next.0.0.iter().cloned());
    }
}

impl JsonPatch {
    /// The same as a patch of the legacy document's parts, in JSON, which is YAML too; `None` where it can't be said so
    /// (items by number, moves, tests) or where it would show a secret.
    pub fn as_strategic(&self) -> Option<String> {
        if self.0.iter().any(|operation| path_of(operation).tokens().any(|token| is_index(&token.decoded()))) {
            return None;
        }
        let tree = self.tree(true)?;
        let hidden = self.secret().is_some();
        (!hidden).then(|| tree.to_string())
    }

    /// Where in the legacy document the patch puts a secret, if it does.
    pub fn secret(&self) -> Option<String> {
        let Json::Object(mut tree) = self.tree(false)? else { return None };
        tree.retain(|key, _| LEGACY.shape.field(key).is_some());
        let config = crate::load(&Json::Object(tree).to_string()).ok()?;
        let document = config.documents().first()?;
        crate::redact::secrets(document).into_iter().next().map(|found| found.path)
    }

    /// What the operations set, as a tree; items of lists by any number become the only item. `exact` gives up on
    /// operations that set or remove nothing by themselves.
    fn tree(&self, exact: bool) -> Option<Json> {
        let mut root = Json::Object(serde_json::Map::new());
        for operation in self.0.iter() {
            let value = match operation {
                PatchOperation::Add(add) => add.value.clone(),
                PatchOperation::Replace(replace) => replace.value.clone(),
                PatchOperation::Remove(_) if exact => serde_json::json!({"$patch": "delete"}),
                _ if exact => return None,
                _ => continue,
            };
            put(&mut root, path_of(operation), value);
        }
        Some(root)
    }
}

fn path_of(operation: &PatchOperation) -> &PointerBuf {
    match operation {
        PatchOperation::Add(AddOperation { path, .. })
        | PatchOperation::Remove(RemoveOperation { path })
        | PatchOperation::Replace(ReplaceOperation { path, .. })
        | PatchOperation::Move(MoveOperation { path, .. })
        | PatchOperation::Copy(CopyOperation { path, .. })
        | PatchOperation::Test(TestOperation { path, .. }) => path,
    }
}

fn is_index(token: &str) -> bool {
    !token.is_empty() && token.chars().all(|c| c.is_ascii_digit())
}

/// Puts a value at a path, with mappings (and for numbers and `-` lists) on the way.
fn put(root: &mut Json, path: &PointerBuf, value: Json) {
    let mut place = root;
    for token in path.tokens() {
        let key = token.decoded();
        if is_index(&key) || key == "-" {
            if !place.is_array() {
                *place = Json::Array(Vec::new());
            }
            let Json::Array(items) = place else { return };
            items.push(Json::Null);
            let Some(last) = items.last_mut() else { return };
            place = last;
        } else {
            if !place.is_object() {
                *place = Json::Object(serde_json::Map::new());
            }
            let Json::Object(map) = place else { return };
            place = map.entry(key.into_owned()).or_insert(Json::Null);
        }
    }
    *place = value;
}

fn operation(node: &Node) -> Result<PatchOperation, Error> {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let missing = |key: &str| Error::Json(format!("{}: an operation without {key:?}", node.place));
    let pointer = |key: &str| {
        let text = text(key).ok_or_else(|| missing(key))?;
        let bad = |error| Error::Json(format!("{}: {key} {text:?}: {error}", node.place));
        PointerBuf::parse(text).map_err(|error| bad(error.to_string()))
    };
    let value = || {
        let value = node.get("value").ok_or_else(|| missing("value"))?;
        Ok::<_, Error>(to_json(&anything(value)))
    };
    let path = pointer("path")?;
    Ok(match text("op").ok_or_else(|| missing("op"))? {
        "add" => PatchOperation::Add(AddOperation { path, value: value()? }),
        "remove" => PatchOperation::Remove(RemoveOperation { path }),
        "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value()? }),
        "move" => PatchOperation::Move(MoveOperation { from: pointer("from")?, path }),
        "copy" => PatchOperation::Copy(CopyOperation { from: pointer("from")?, path }),
        "test" => PatchOperation::Test(TestOperation { path, value: value()? }),
        other => return Err(Error::Json(format!("{}: unknown operation {other:?}", node.place))),
    })
}

/// The failure with the part of the path that does exist.
fn explain(json: &Json, number: usize, error: &json_patch::PatchError) -> String {
    let path = error.path.to_string();
    let mut existing = path.as_str();
    while json.pointer(existing).is_none() {
        existing = existing.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let found = if existing.is_empty() { "/" } else { existing };
    format!("operation {number} at {path:?}: {}; what exists is {found:?}", error.kind)
}

/// A value as JSON; numbers stay exact.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(text) => number(text),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.to_owned(), to_json(value))).collect()),
    }
}

/// File modes become decimal; what JSON has no number for becomes text.
fn number(text: &str) -> Json {
    let octal = text.strip_prefix("0o").and_then(|digits| u32::from_str_radix(digits, 8).ok());
    match octal {
        Some(mode) => Json::Number(mode.into()),
        None => serde_json::Number::from_str(text).map_or_else(|_| Json::String(text.to_owned()), Json::Number),
    }
}

#[cfg(test)]
mod tests {
    use crate::patch::{Patch, parse};

    fn json(text: &str) -> super::JsonPatch {
        match parse(text).unwrap() {
            Patch::Json(patch) => patch,
            Patch::Strategic(_) => panic!("{text} is no JSON patch"),
        }
    }

    #[test]
    fn what_can_be_said_as_a_part_of_the_document_is() {
        let said = |text| json(text).as_strategic();
        let two = "[{op: add, path: /machine/sysctls, value: {a: '1'}}, {op: remove, path: /machine/env}]";
        assert_eq!(said(two).unwrap(), r#"{"machine":{"sysctls":{"a":"1"},"env":{"$patch":"delete"}}}"#);
        let more = "[{op: add, path: /machine/certSANs/-, value: a}]";
        assert_eq!(said(more).unwrap(), r#"{"machine":{"certSANs":["a"]}}"#);
        assert_eq!(said("[{op: replace, path: /machine/certSANs/0, value: a}]"), None);
        assert_eq!(said("[{op: test, path: /machine/type, value: a}]"), None);
        assert_eq!(said("[{op: add, path: /machine/token, value: a}]"), None, "a secret is not repeated");
    }

    #[test]
    fn secrets_are_found_by_their_paths() {
        let secret = |text| json(text).secret();
        assert_eq!(secret("[{op: replace, path: /cluster/secret, value: abc}]").as_deref(), Some("cluster.secret"));
        let key = "[{op: add, path: /machine/network/interfaces/0/wireguard, value: {privateKey: abc}}]";
        assert_eq!(secret(key).as_deref(), Some("machine.network.interfaces[0].wireguard.privateKey"));
        assert_eq!(secret("[{op: add, path: /machine/sysctls, value: {a: '1'}}]"), None);
        assert_eq!(secret("[{op: remove, path: /machine/token}]"), None);
    }
}
