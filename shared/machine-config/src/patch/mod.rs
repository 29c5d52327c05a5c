//! Patches: their forms, and how they change a config.

mod by_key;
mod delete;
mod erased;
mod json;
mod merge;
mod operations;

use std::collections::HashMap;

use go_yaml::Node;
use talos_releases::Gate;

use crate::config::{Config, Document, Identity};
use crate::conflict::{self, Conflict};
use crate::kinds::Kind;
use crate::load;
use crate::version_gates::needs;

pub use erased::{Erased, erased};
pub use json::JsonPatch;

/// Why a patch can't be read or doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file of patches that can't be read.
    #[error("failed to read patch file {path:?}: {reason}")]
    File {
        /// Its name.
        path: String,
        /// Why.
        reason: String,
    },
    /// Neither documents nor RFC 6902.
    #[error("the patch can't be read as Talos documents")]
    Load(#[from] load::Error),
    /// A list that isn't RFC 6902.
    #[error("the patch isn't a JSON patch: {0}")]
    Json(String),
    /// RFC 6902 on a config of several documents.
    #[error("JSON6902 patches are not supported for multi-document machine configuration")]
    ManyDocuments,
    /// RFC 6902 whose operations don't fit.
    #[error("failed to apply the JSON patch: {0}")]
    Operation(String),
    /// `$patch` with another value than `delete`.
    #[error("{place}: the value of $patch must be the word \"delete\"")]
    Directive {
        /// Where.
        place: go_yaml::Place,
    },
    /// `$patch: delete` of a document that isn't named fully.
    #[error("missing {0} in document for which $patch: delete is used")]
    Incomplete(&'static str),
    /// `$patch: delete` inside an item of a list.
    #[error("cannot delete an inner key in '{path}'")]
    Inner {
        /// The path.
        path: String,
    },
    /// `$patch: delete` of an item without any field.
    #[error("no key:val found in sequence node for path {path}")]
    Nameless {
        /// The path.
        path: String,
    },
    /// `$patch: delete` of something that doesn't exist.
    #[error(
        "patch delete: path '{path}' in document '{}': failed to delete path '{path}': lookup failed",
        upstream(document)
    )]
    Lookup {
        /// The document.
        document: Identity,
        /// The path.
        path: String,
    },
    /// A free-form value whose type differs from the existing one's.
    #[error("merge type mismatch at {path}: left {left}, right {right}")]
    Mismatch {
        /// The path.
        path: String,
        /// The existing type.
        left: &'static str,
        /// The patch's type.
        right: &'static str,
    },
    /// Two values that Talos can't merge, such as URLs that both name a user.
    #[error("merge not possible at {path}: delete what is there first")]
    Impossible {
        /// The path.
        path: String,
    },
    /// Documents that exclude each other.
    #[error(transparent)]
    Conflict(#[from] Box<Conflict>),
}

impl Error {
    /// What the writer most likely meant, for a hint.
    pub fn nearest(&self) -> Option<&'static str> {
        match self {
            Self::Load(error) => error.nearest(),
            _ => None,
        }
    }
}

/// A document's identity in Talos's spelling.
fn upstream(identity: &Identity) -> String {
    let version = if identity.kind == crate::kinds::LEGACY.name { "" } else { "v1alpha1" };
    format!("{version}/{identity}")
}

/// A patch.
#[derive(Clone, Debug)]
pub enum Patch {
    /// Parts of documents, merged by the table's rules.
    Strategic(Vec<Part>),
    /// Operations of RFC 6902.
    Json(JsonPatch),
}

impl Patch {
    /// The operations, if it is RFC 6902.
    pub fn json(&self) -> Option<&JsonPatch> {
        match self {
            Self::Json(operations) => Some(operations),
            Self::Strategic(_) => None,
        }
    }
}

/// One document of a strategic patch.
#[derive(Clone, Debug)]
pub struct Part {
    identity: Identity,
    kind: &'static Kind,
    deletes: Vec<delete::Selector>,
    whole: bool,
    merge: Option<Document>,
}

impl Part {
    /// Which document it changes.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The kind of that document.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The document that it merges in.
    pub fn document(&self) -> Option<&Document> {
        self.merge.as_ref()
    }
}

/// A value of `--config-patch`: `@file`, a file's name, or the patch itself. `read` reads a file.
pub fn argument(text: &str, read: impl FnOnce(&str) -> Result<String, String>) -> Result<Patch, Error> {
    let path = match text.strip_prefix('@') {
        Some(path) => Some(path),
        None if !text.contains(['\n', ' ']) && !text.starts_with(['[', '{']) => Some(text),
        None => None,
    };
    match path {
        None => parse(text),
        Some(path) => {
            let file = |reason| Error::File { path: path.to_owned(), reason };
            parse(&read(path).map_err(file)?)
        }
    }
}

/// Reads a patch: Talos documents if it can be, else RFC 6902 as JSON or YAML.
pub fn parse(text: &str) -> Result<Patch, Error> {
    let strategic = match strategic(text) {
        Ok(parts) => return Ok(Patch::Strategic(parts)),
        Err(error) => error,
    };
    if strategic == Error::Load(load::Error::Empty) {
        // An empty text is a list of no operations.
        return Ok(Patch::Json(JsonPatch::default()));
    }
    let operations = go_yaml::read(text).ok().and_then(|nodes| nodes.into_iter().next());
    match operations {
        Some(node) if node.items().is_some() => JsonPatch::read(&node, text).map(Patch::Json),
        _ if text.trim_start().starts_with('[') => Err(Error::Json("a list of operations is expected".to_owned())),
        _ => Err(strategic),
    }
}

fn strategic(text: &str) -> Result<Vec<Part>, Error> {
    let nodes = go_yaml::read(text).map_err(load::Error::from)?;
    let parts: Vec<Part> = nodes.into_iter().filter(|node| !node.is_null()).map(part).collect::<Result<_, _>>()?;
    if parts.is_empty() { Err(load::Error::Empty.into()) } else { Ok(parts) }
}

fn part(mut node: Node) -> Result<Part, Error> {
    let found = delete::extract(&mut node)?;
    let kind = match load::kind_of(&found.original) {
        Err(load::Error::Missing { key, .. }) if found.whole => return Err(Error::Incomplete(key)),
        kind => kind?,
    };
    if found.whole && kind.is_legacy() {
        return Err(Error::Incomplete("apiVersion"));
    }
    let identity = load::identity_of(&found.original, kind);
    let nothing = found.whole || (kind.is_legacy() && is_bare(&node));
    let merge = (!nothing).then(|| load::decode(&node, kind)).transpose()?;
    Ok(Part { identity, kind, deletes: found.selectors, whole: found.whole, merge })
}

/// Whether only the version is left of a legacy document.
fn is_bare(node: &Node) -> bool {
    node.pairs().is_none_or(|pairs| pairs.iter().all(|(key, _)| key.text == "version"))
}

/// Applies patches in order; adjacent JSON patches count as one.
pub fn apply(config: &Config, patches: &[Patch]) -> Result<Config, Error> {
    let both_json = |a: &Patch, b: &Patch| a.json().is_some() && b.json().is_some();
    patches.chunk_by(both_json).try_fold(config.clone(), |config, run| match run {
        [Patch::Strategic(parts)] => apply_parts(config, parts),
        run => {
            let mut all = JsonPatch::default();
            run.iter().filter_map(Patch::json).for_each(|next| all.join(next));
            all.apply(&config)
        }
    })
}

/// Merges documents into a config by the rules of strategic patches.
pub(crate) fn merge(config: &Config, documents: &[Document]) -> Result<Config, Error> {
    let part = |document: &Document| Part {
        identity: document.identity(),
        kind: document.kind,
        deletes: Vec::new(),
        whole: false,
        merge: Some(document.clone()),
    };
    apply_parts(config.clone(), &documents.iter().map(part).collect::<Vec<_>>())
}

/// The legacy document is patched first, all deletes before the rest; then the others in the patch's order.
fn apply_parts(config: Config, parts: &[Part]) -> Result<Config, Error> {
    let (legacy, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.kind.is_legacy());
    let newest = if needs(&config, Gate::Documents) { Gate::Documents.since() } else { 0 };
    let mut all = Documents::of(config.documents, newest);
    legacy.iter().try_for_each(|part| all.delete(part))?;
    legacy.iter().try_for_each(|part| all.merge(part))?;
    for part in others {
        all.delete(part)?;
        all.merge(part)?;
    }
    let documents: Vec<Document> = all.places.into_iter().flatten().collect();
    conflict::find(&documents)?;
    let config = Config::new(documents);
    load::refused_later(&config)?;
    Ok(config)
}

/// The documents of a config while it is patched, with holes where documents were deleted.
struct Documents {
    places: Vec<Option<Document>>,
    index: HashMap<Identity, usize>,
    /// The minor of Talos 1.x whose rules of merging apply, as far as the config shows it.
    newest: u32,
}

impl Documents {
    fn of(documents: Vec<Document>, newest: u32) -> Self {
        let index = documents.iter().map(Document::identity).zip(0..).collect();
        Self { places: documents.into_iter().map(Some).collect(), index, newest }
    }

    /// Applies a part's deletes; in a document that doesn't exist they do nothing.
    fn delete(&mut self, part: &Part) -> Result<(), Error> {
        let Some(at) = self.index.get(&part.identity).copied() else { return Ok(()) };
        if part.whole {
            self.places[at] = None;
            self.index.remove(&part.identity);
            return Ok(());
        }
        let Some(document) = &mut self.places[at] else { return Ok(()) };
        delete::apply_all(document, &part.deletes)
    }

    /// Merges a part into its document, or adds it as one.
    fn merge(&mut self, part: &Part) -> Result<(), Error> {
        let Some(patch) = &part.merge else { return Ok(()) };
        match self.index.get(&part.identity).and_then(|at| self.places[*at].as_mut()) {
            Some(document) => {
                document.later = document.later.take().or_else(|| patch.later.clone());
                merge::replaced(&mut document.fields, &patch.fields, document.kind.schema, self.newest);
                merge::document(document, patch)
            }
            None => {
                self.index.insert(part.identity.clone(), self.places.len());
                self.places.push(Some(patch.clone()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
