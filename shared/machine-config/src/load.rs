//! Loads a config as strictly as Talos does.

use std::collections::HashMap;

use go_yaml::{Node, Place};
use talos_releases::Gate;

use crate::config::{Config, Document, Identity};
use crate::conflict;
use crate::kinds::{self, Kind, LEGACY};
use crate::suggest;
use crate::version_gates::needs;

/// Why a text is no machine config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No document.
    #[error("config not found")]
    Empty,
    /// Not YAML.
    #[error("not usable as YAML")]
    Yaml(#[from] go_yaml::Error),
    /// A document that isn't a mapping.
    #[error("expected a YAML document at line {}", place.line)]
    NotAMapping {
        /// Where.
        place: Place,
    },
    /// Neither a legacy document nor one with `apiVersion` and `kind`.
    #[error("missing {key} (line {})", place.line)]
    Missing {
        /// What is missing.
        key: &'static str,
        /// The key of a machine config that is most similar to the document's own keys, or the section they belong to.
        nearest: Option<&'static str>,
        /// Where the document begins.
        place: Place,
    },
    /// A kind that isn't in the table.
    #[error("document kind {kind:?} {version:?} is not registered (line {})", place.line)]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Its apiVersion.
        version: String,
        /// The most similar kind.
        nearest: Option<&'static str>,
        /// Where the document begins.
        place: Place,
    },
    /// A document that doesn't fit its kind.
    #[error("error decoding document {identity} (line {})", place.line)]
    Document {
        /// Which.
        identity: Identity,
        /// Where it begins.
        place: Place,
        /// Why.
        source: Box<crate::decode::Error>,
    },
    /// A date without quotes in place of a text, or null in place of an item.
    #[error("error decoding document {identity}, as Talos would from v1.14 on")]
    Later {
        /// In which document.
        identity: Identity,
        /// Where in it.
        source: Box<crate::decode::Error>,
    },
    /// The same document twice.
    #[error("duplicate document {identity} is not allowed (line {})", place.line)]
    Duplicate {
        /// Which.
        identity: Identity,
        /// Where the second one begins.
        place: Place,
    },
    /// Documents that exclude each other.
    #[error(transparent)]
    Conflict(#[from] Box<conflict::Conflict>),
}

impl Error {
    /// What the writer most likely meant, for a hint.
    pub fn nearest(&self) -> Option<&'static str> {
        match self {
            Self::UnknownKind { nearest, .. } | Self::Missing { nearest, .. } => *nearest,
            Self::Document { source, .. } => match **source {
                crate::decode::Error::UnknownKey { nearest, .. } => nearest,
                crate::decode::Error::Type { .. } | crate::decode::Error::Null { .. } => None,
            },
            _ => None,
        }
    }
}

/// Keys that make a document the legacy one.
const LEGACY_KEYS: [&str; 4] = ["machine", "cluster", "debug", "persist"];

/// Loads a config.
pub fn load(text: &str) -> Result<Config, Error> {
    let mut documents = Vec::new();
    let mut seen = HashMap::new();
    for node in go_yaml::read(text)?.iter().filter(|node| !node.is_null()) {
        let document = document(node)?;
        let identity = document.identity();
        if seen.insert(identity.clone(), ()).is_some() {
            return Err(Error::Duplicate { identity, place: node.place });
        }
        documents.push(document);
    }
    conflict::find(&documents)?;
    if documents.is_empty() {
        return Err(Error::Empty);
    }
    let config = Config::new(documents);
    refused_later(&config)?;
    Ok(config)
}

/// Refuses what Talos refuses to read from 1.14 on, in a config that is made for such a release.
pub(crate) fn refused_later(config: &Config) -> Result<(), Error> {
    if !needs(config, Gate::NewerYaml) {
        return Ok(());
    }
    let found = config.documents().iter().find_map(|document| Some((document, document.later.as_ref()?)));
    found.map_or(Ok(()), |(document, why)| Err(Error::Later { identity: document.identity(), source: why.clone() }))
}

fn document(node: &Node) -> Result<Document, Error> {
    decode(node, kind_of(node)?)
}

/// Decodes one document of a kind.
pub(crate) fn decode(node: &Node, kind: &'static Kind) -> Result<Document, Error> {
    let skip: &[&str] = if kind.is_legacy() { &[] } else { &["apiVersion", "kind"] };
    let decoded = crate::decode::document(node, kind.schema, skip).map_err(|source| Error::Document {
        identity: identity_of(node, kind),
        place: node.place,
        source: Box::new(source),
    })?;
    Ok(Document { kind, fields: decoded.fields, later: decoded.later.map(Box::new) })
}

/// The kind of a document.
pub(crate) fn kind_of(node: &Node) -> Result<&'static Kind, Error> {
    let place = node.place;
    if node.pairs().is_none() {
        return Err(Error::NotAMapping { place });
    }
    if LEGACY_KEYS.iter().any(|key| node.get(key).is_some()) {
        return Ok(&LEGACY);
    }
    let text = |key| node.get(key).and_then(Node::text);
    let kind = text("kind").ok_or_else(|| Error::Missing { key: "kind", nearest: meant(node), place })?;
    let version = text("apiVersion").ok_or(Error::Missing { key: "apiVersion", nearest: Some("v1alpha1"), place })?;
    kinds::kind(kind).filter(|_| version == "v1alpha1").ok_or_else(|| Error::UnknownKind {
        kind: kind.to_owned(),
        version: version.to_owned(),
        nearest: match kinds::kind(kind) {
            Some(_) => Some("v1alpha1"),
            None => suggest::nearest(kind, kinds::KINDS.iter().map(|kind| kind.name)),
        },
        place,
    })
}

/// The key that a document of no kind was meant to have: one that is spelled otherwise, or the section of its keys.
fn meant(node: &Node) -> Option<&'static str> {
    let keys = || node.pairs().unwrap_or_default().iter().map(|(key, _)| key.text.as_str());
    let slip = keys().find_map(|key| suggest::nearest(key.split('.').next().unwrap_or(key), LEGACY_KEYS));
    let sections = || LEGACY.schema.fields().filter_map(|field| Some((field.key, field.ty.schema()?)));
    slip.or_else(|| {
        keys().find_map(|key| sections().find(|(_, schema)| schema.field(key).is_some()).map(|(key, _)| key))
    })
}

/// The identity of a document that isn't decoded.
pub(crate) fn identity_of(node: &Node, kind: &'static Kind) -> Identity {
    let name = node.get("name").and_then(Node::text).filter(|_| kind.named);
    Identity { kind: kind.name, name: name.unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        load(text).unwrap_err()
    }

    #[test]
    fn a_typing_error_names_the_key_its_place_and_what_was_meant() {
        let error = error("machine:\n  network:\n    hostnam: x\n");
        assert_eq!(error.nearest(), Some("hostname"));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "line 3, column 5: unknown key \"hostnam\" in machine.network");
    }

    #[test]
    fn unknown_kinds_and_missing_parts_are_refused() {
        assert_eq!(error("apiVersion: v1alpha1\nkind: HostnameConf\n").nearest(), Some("HostnameConfig"));
        assert_eq!(error("version: v1alpha1\n").to_string(), "missing kind (line 1)");
        for (text, meant) in [
            ("machin: {}", Some("machine")),
            ("Machine: {}", Some("machine")),
            ("machine.network: {}", Some("machine")),
            ("kubelet: {extraArgs: {a: b}}", Some("machine")),
            ("apiServer: {}", Some("cluster")),
            ("kind: HostnameConfig", Some("v1alpha1")),
            ("apiVersion: v1apha1\nkind: HostnameConfig", Some("v1alpha1")),
            ("{}", None),
        ] {
            assert_eq!(error(text).nearest(), meant, "{text}");
        }
        assert_eq!(error("# nothing\n"), Error::Empty);
        assert_eq!(error("- a\n").to_string(), "expected a YAML document at line 1");
    }

    #[test]
    fn the_same_document_twice_is_refused() {
        let text = "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n";
        let error = error(&format!("{text}---\n{text}"));
        assert_eq!(error.to_string(), "duplicate document LinkConfig/eth0 is not allowed (line 5)");
    }

    #[test]
    fn secrets_are_not_repeated_in_errors() {
        let error = error("machine:\n  ca:\n    key: not-base64!\n");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "line 3, column 10: machine.ca.key must be base64, not a scalar");
    }

    #[test]
    fn a_text_where_a_structure_belongs_is_not_repeated() {
        for text in [
            "machine: {ca: HUSH}",
            "machine: {ca: {crt: HUSH!}}",
            "cluster: {serviceAccount: HUSH}",
            "machine: {systemDiskEncryption: {state: {keys: [{slot: 0, static: HUSH}]}}}",
            "machine: {registries: {config: {a: {auth: HUSH}}}}",
            "machine: {env: HUSH}",
            "apiVersion: v1alpha1\nkind: KubeServiceAccountConfig\nissuer: HUSH",
            "apiVersion: v1alpha1\nkind: KubeAdmissionControlConfig\nname: a\nconfiguration: HUSH",
        ] {
            let source = std::error::Error::source(&error(text)).unwrap().to_string();
            assert!(source.contains("must be") && !source.contains("HUSH"), "{source}");
        }
    }
}
