//! What a node reads from the machine config that was applied to it.
//!
//! This is the node's own view, on purpose apart from what writes configs: it knows the fields that change what the
//! simulator does, and refuses what Talos refuses.

mod document;
mod fields;
mod kinds;
mod network;
mod rules;

pub(crate) use document::Document;
pub(crate) use fields::{Authority, Config, Role};
pub(crate) use network::{Hostname, Network};

use super::version::Version;

/// Why a config was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It can't be read.
    #[error("{0}")]
    Parse(String),
    /// It can be read, but not be used.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    fn parse(text: impl Into<String>) -> Self {
        Self::Parse(text.into())
    }
}

/// A config that was read, with what is worth a remark.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The fields of the config; `None` without a v1alpha1 document, which a node needs to leave maintenance mode.
    pub(crate) config: Option<Config>,
    /// Texts of the warnings.
    pub(crate) warnings: Vec<String>,
}

/// Reads and checks a machine config as a node of that version does.
pub(crate) fn load(text: &str, version: Version) -> Result<Loaded, Refusal> {
    let documents = document::load(text, version.minor)?;
    let mut warnings = Vec::new();
    rules::check(&documents, version, &mut warnings)?;
    let config = match documents.iter().any(Document::is_v1alpha1) {
        true => Some(fields::read(text, documents)?),
        false => None,
    };
    Ok(Loaded { config, warnings })
}

#[cfg(test)]
mod tests;
