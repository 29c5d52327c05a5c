//! RFC 6902, which Talos takes for configs of one document.

use std::str::FromStr;

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation,
};
use serde_json::Value as Json;

use super::Error;
use crate::config::Config;
use crate::decode::anything;
use crate::value::Value;
use crate::yaml::Node;

/// A list of operations.
#[derive(Clone, Debug)]
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
        json_patch::patch(&mut json, &self.0).map_err(|error| Error::Operation(explain(&json, &error)))?;
        Ok(crate::load(&json.to_string())?)
    }
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
fn explain(json: &Json, error: &json_patch::PatchError) -> String {
    let path = error.path.to_string();
    let mut existing = path.as_str();
    while json.pointer(existing).is_none() {
        existing = existing.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let found = if existing.is_empty() { "/" } else { existing };
    format!("operation {} at {path:?}: {}; what exists is {found:?}", error.operation, error.kind)
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
