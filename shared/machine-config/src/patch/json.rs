//! RFC 6902, which Talos accepts for configs of one document.

use std::str::FromStr;

use go_yaml::any::anything;
use go_yaml::{Node, Resolved, Value, float_text, resolve};
use serde_json::Value as Json;

use super::Error;
use super::operations::{Operation, Pointer, Verb};
use crate::config::Config;
use crate::kinds::LEGACY;
use crate::version_gates::contract_of;

/// A list of operations.
#[derive(Clone, Debug, Default)]
pub struct JsonPatch(Vec<Operation>);

impl JsonPatch {
    /// Reads operations, JSON or YAML. In JSON, a null is no value; in YAML it is one, which nothing equals.
    pub(super) fn read(node: &Node, text: &str) -> Result<Self, Error> {
        let mut all: Vec<Operation> =
            node.items().unwrap_or_default().iter().map(operation).collect::<Result<_, _>>()?;
        if serde_json::from_str::<Json>(text).is_ok() {
            all.iter_mut()
                .for_each(|operation| operation.value = operation.value.take().filter(|value| !value.is_null()));
        }
        Ok(Self(all))
    }

    /// Applies the operations to a config of one document.
    pub(super) fn apply(&self, config: &Config) -> Result<Config, Error> {
        let [document] = config.documents() else { return Err(Error::ManyDocuments) };
        let dialect = contract_of(config).dialect();
        let mut json = to_json(&document.written_in(dialect));
        for (number, operation) in self.0.iter().enumerate() {
            let why = operation.carry_out(&mut json);
            why.map_err(|why| Error::Operation(explain(&json, number, operation, &why)))?;
        }
        Ok(crate::load(&json.to_string())?)
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the operations of the next patch; the intermediate result need not be a config.
    pub fn join(&mut self, next: &Self) {
        self.0.extend(next.0.iter().cloned());
    }
}

impl JsonPatch {
    /// The same as a strategic patch of the legacy document, in JSON, which is also YAML; `None` if that can't express
    /// it (items by number, moves, tests) or would show a secret.
    pub fn as_strategic(&self) -> Option<String> {
        let by_number = |operation: &Operation| operation.path.keys().iter().any(|key| is_index(key));
        // A strategic patch appends to lists, and ignores a null.
        let replaces = |operation: &Operation| {
            operation.verb == Verb::Replace
                && operation.value.as_ref().is_none_or(|value| value.is_array() || value.is_null())
        };
        if self.0.iter().any(|operation| by_number(operation) || replaces(operation)) {
            return None;
        }
        let tree = self.tree(true)?;
        self.is_shown().then(|| tree.to_string())
    }

    /// Whether everything that it sets can be decoded, and none of it is hidden where configs are shown.
    fn is_shown(&self) -> bool {
        let Some(tree) = self.tree(false) else { return false };
        tree.as_object().is_some_and(serde_json::Map::is_empty)
            || crate::load(&tree.to_string()).is_ok_and(|config| crate::is_same(&crate::redact(&config), &config))
    }

    /// Where in the legacy document the patch puts a secret, if it does.
    pub fn secret(&self) -> Option<String> {
        let Json::Object(mut tree) = self.tree(false)? else { return None };
        tree.retain(|key, _| LEGACY.schema.field(key).is_some());
        let config = crate::load(&Json::Object(tree).to_string()).ok()?;
        let document = config.documents().first()?;
        crate::redact::secrets(document).into_iter().next().map(|found| found.path)
    }

    /// What the operations set, as a tree; items of lists by any number become the only item. `exact` gives up on
    /// operations that set or remove nothing by themselves.
    fn tree(&self, exact: bool) -> Option<Json> {
        let mut root = Json::Object(serde_json::Map::new());
        for operation in self.0.iter() {
            let value = match operation.verb {
                Verb::Add | Verb::Replace => operation.value.clone().unwrap_or_default(),
                Verb::Remove if exact => serde_json::json!({"$patch": "delete"}),
                _ if exact => return None,
                _ => continue,
            };
            put(&mut root, &operation.path, value);
        }
        Some(root)
    }
}

fn is_index(token: &str) -> bool {
    !token.is_empty() && token.chars().all(|c| c.is_ascii_digit())
}

/// Puts a value at a path, creating mappings (and for numbers and `-` lists) on the way.
fn put(root: &mut Json, path: &Pointer, value: Json) {
    let mut place = root;
    for key in path.keys() {
        if is_index(key) || key == "-" {
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
            place = map.entry(key.as_str()).or_insert(Json::Null);
        }
    }
    *place = value;
}

fn operation(node: &Node) -> Result<Operation, Error> {
    let text = |key: &str| {
        let missing = || Error::Json(format!("{}: an operation without {key:?}", node.place));
        node.get(key).and_then(Node::text).ok_or_else(missing)
    };
    let path = Pointer::parse(text("path")?);
    let unknown = |word: &str| Error::Json(format!("{}: unknown operation {word:?}", node.place));
    let verb = text("op").and_then(|word| Verb::parse(word).ok_or_else(|| unknown(word)))?;
    let from = if verb.has_source() { Some(Pointer::parse(text("from")?)) } else { None };
    let value = node.get("value").map(|value| to_json(&anything(value)));
    Ok(Operation { verb, path, from, value })
}

/// The failure with the part of the path that does exist.
fn explain(json: &Json, number: usize, operation: &Operation, why: &str) -> String {
    let path = operation.path.to_string();
    let mut existing = path.as_str();
    while json.pointer(existing).is_none() {
        existing = existing.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let found = if existing.is_empty() { "/" } else { existing };
    format!("operation {number} at {path:?}: {why}; what exists is {found:?}")
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

/// File modes become decimal, fractions what Go writes; what JSON has no number for becomes text.
fn number(text: &str) -> Json {
    let text = match resolve(text) {
        Resolved::Int(number) => number.to_string(),
        Resolved::Float(number) => float_text(number),
        _ => text.to_owned(),
    };
    serde_json::Number::from_str(&text).map_or(Json::String(text), Json::Number)
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
        let message = |text| json(text).as_strategic();
        let two = "[{op: add, path: /machine/sysctls, value: {a: '1'}}, {op: remove, path: /machine/env}]";
        assert_eq!(message(two).unwrap(), r#"{"machine":{"sysctls":{"a":"1"},"env":{"$patch":"delete"}}}"#);
        let more = "[{op: add, path: /machine/certSANs/-, value: a}]";
        assert_eq!(message(more).unwrap(), r#"{"machine":{"certSANs":["a"]}}"#);
        assert_eq!(message("[{op: replace, path: /machine/certSANs/0, value: a}]"), None);
        assert_eq!(message("[{op: test, path: /machine/type, value: a}]"), None);
        for hidden in [
            "[{op: add, path: /machine/token, value: a}]",
            "[{op: add, path: /machine/tokn, value: a}]",
            "[{op: add, path: /machine/ca, value: a}]",
            "[{op: add, path: /machine/files, value: [{content: a, path: /var/a, permissions: 384, op: create}]}]",
            "[{op: add, path: /cluster/extraManifests, value: ['https://a/b?token=hush']}]",
        ] {
            assert_eq!(message(hidden), None, "a secret is not repeated: {hidden}");
        }
        assert_eq!(message("[{op: replace, path: /machine/certSANs, value: [a]}]"), None, "a patch would add it");
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
