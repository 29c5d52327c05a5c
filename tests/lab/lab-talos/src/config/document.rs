//! The documents of a machine config, as the node's loader distinguishes them.

use serde::Deserialize;
use serde_yaml::Value;

use super::Refusal;
use super::kinds::{self, CLUSTER, MACHINE, ROOT};

/// One YAML document of a machine config.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// `v1alpha1.Config`'s kind is empty.
    pub(crate) kind: String,
    /// Name of a named document, else empty.
    pub(crate) name: String,
    /// The document itself.
    pub(crate) value: Value,
}

impl Document {
    /// Whether this is the v1alpha1 config, without which no machine can boot.
    pub(crate) fn is_v1alpha1(&self) -> bool {
        self.kind.is_empty()
    }

    /// How error texts name the document.
    pub(crate) fn title(&self) -> String {
        match (self.is_v1alpha1(), self.name.is_empty()) {
            (true, _) => "v1alpha1.Config".to_owned(),
            (false, true) => self.kind.clone(),
            (false, false) => format!("{}/{}", self.kind, self.name),
        }
    }
}

/// Splits the text into documents that a node of release 1.`minor` understands.
pub(super) fn load(text: &str, minor: u32) -> Result<Vec<Document>, Refusal> {
    let mut documents: Vec<Document> = Vec::new();
    for part in serde_yaml::Deserializer::from_str(text) {
        let mut value = Value::deserialize(part).map_err(|e| Refusal::parse(e.to_string()))?;
        value.apply_merge().map_err(|e| Refusal::parse(e.to_string()))?;
        if value.is_null() {
            continue;
        }
        let document = identify(value, minor)?;
        if documents.iter().any(|d| d.kind == document.kind && d.name == document.name) {
            return Err(duplicate(&document));
        }
        documents.push(document);
    }
    match documents.is_empty() {
        true => Err(Refusal::parse("config not found")),
        false => typed(text).map(|()| documents),
    }
}

/// Refuses fields that a document doesn't have, and values that don't fit their field, at every level.
fn typed(text: &str) -> Result<(), Refusal> {
    match machine_config::load(text) {
        Err(error @ (machine_config::LoadError::Document { .. } | machine_config::LoadError::Yaml(_))) => {
            Err(Refusal::parse(chain(&error)))
        }
        _ => Ok(()),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn duplicate(document: &Document) -> Refusal {
    Refusal::parse(match document.is_v1alpha1() {
        true => "duplicate v1alpha1.Config".to_owned(),
        false => {
            format!("duplicate document v1alpha1/{}/{} is not allowed", document.kind, document.name)
        }
    })
}

fn identify(value: Value, minor: u32) -> Result<Document, Refusal> {
    let Some(map) = value.as_mapping() else {
        return Err(Refusal::parse("expected a YAML document"));
    };
    if ["machine", "cluster", "debug", "persist"].iter().any(|key| map.contains_key(*key)) {
        strict(&value)?;
        return Ok(Document { kind: String::new(), name: String::new(), value });
    }
    let field = |key| value.get(key).and_then(Value::as_str);
    let kind = field("kind").ok_or_else(|| Refusal::parse("missing kind"))?.to_owned();
    let version = field("apiVersion").ok_or_else(|| Refusal::parse("missing apiVersion"))?;
    let name = field("name").unwrap_or_default().to_owned();
    if version != "v1alpha1" || kinds::known(&kind, minor).is_none() {
        let text = format!("error decoding document {version}/{kind}/{name}: \"{kind}\" \"{version}\": not registered");
        return Err(Refusal::parse(text));
    }
    Ok(Document { kind, name, value })
}

/// Refuses keys that the v1alpha1 config doesn't have, in its first two levels.
fn strict(value: &Value) -> Result<(), Refusal> {
    unknown(Some(value), ROOT, "")?;
    unknown(value.get("machine"), MACHINE, "machine:\n    ")?;
    unknown(value.get("cluster"), CLUSTER, "cluster:\n    ")
}

fn unknown(value: Option<&Value>, known: &[&str], parent: &str) -> Result<(), Refusal> {
    let Some(map) = value.and_then(Value::as_mapping) else { return Ok(()) };
    let stray = map.keys().filter_map(Value::as_str).find(|key| !known.contains(key));
    let Some(key) = stray else { return Ok(()) };
    let text = format!("error decoding document /v1alpha1/: unknown keys found during decoding:\n{parent}{key}\n");
    Err(Refusal::parse(text))
}
