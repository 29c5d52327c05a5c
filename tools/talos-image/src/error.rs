//! Why there is no image.

use record::{Exit, Failure};
use schematic::Part;

/// What the reader would handle differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Spec(#[from] schematic::SpecError),
    #[error(transparent)]
    Format(#[from] schematic::BadFormat),
    #[error("the schematic file {file} can't be read")]
    SchematicFile { file: String, source: std::io::Error },
    #[error("the Image Factory at {base} does not know schematic {id}")]
    UnknownSchematic { base: String, id: String },
    #[error("extension {name} does not exist for Talos {version}")]
    Extension { name: String, version: String, like: Option<String> },
    #[error("no host of Proxmox VE has storage {0}")]
    NoStorage(String),
    #[error("storage {storage} on {host} does not allow content `import`")]
    NoImport { storage: String, host: String, content: String },
    #[error("storage {storage} on {host} is not active")]
    Inactive { storage: String, host: String },
    #[error("{host} runs Proxmox VE {version}, which can't import disk images")]
    TooOld { host: String, version: String },
    #[error("Proxmox VE imports qcow2 and raw images, not {0}")]
    NotImportable(String),
    #[error("{url} is not what it was when it was first read")]
    Rebuilt { url: String },
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Spec(error) => match error.part() {
                Part::Version | Part::Schematic => Exit::Unusable,
                Part::Factory => Exit::Usage,
            },
            Self::Format(_) | Self::SchematicFile { .. } => Exit::Usage,
            Self::Inactive { .. } => Exit::Unreachable,
            Self::Rebuilt { .. } => Exit::Guard,
            _ => Exit::Failed,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Spec(error) => match error.part() {
                Part::Version => "version",
                Part::Factory => "usage",
                Part::Schematic => "schematic",
            },
            Self::Format(_) | Self::SchematicFile { .. } => "usage",
            Self::UnknownSchematic { .. } => "schematic",
            Self::Extension { .. } => "extension",
            Self::NoStorage(_) | Self::NoImport { .. } | Self::Inactive { .. } => "storage",
            Self::TooOld { .. } | Self::NotImportable(_) => "import",
            Self::Rebuilt { .. } => "digest-mismatch",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Extension { like: Some(like), .. } => Some(format!("did you mean {like}?")),
            Self::Extension { version, .. } => {
                Some(format!("the factory lists them at /version/{version}/extensions/official"))
            }
            Self::UnknownSchematic { .. } => {
                Some("give the schematic itself in place of its ID: then it is registered".into())
            }
            Self::NoStorage(_) => {
                Some("`spec.proxmox.images` names it; without Datastore.Audit the token doesn't see storages".into())
            }
            Self::NoImport { storage, content, .. } => {
                Some(format!("on a host: `pvesm set {storage} --content {content},import`"))
            }
            Self::TooOld { .. } => Some("8.4 is the first that can".into()),
            Self::NotImportable(_) => Some("leave out --image-format".into()),
            Self::Rebuilt { url } => Some(format!(
                "the factory may have built it anew; if you trust that, remove {url} from `images` in ichor.lock"
            )),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(error.exit(), error.code(), &error).maybe_hint(error.hint())
    }
}

/// The failure of a call to the Image Factory.
pub(crate) fn factory(error: &factory_client::Error) -> Failure {
    let status = error.refusal().map_or(0, |refusal| refusal.status);
    let (exit, code) = match status {
        401..=403 => (Exit::NotAllowed, "factory-refused"),
        _ if matches!(error, factory_client::Error::Untrusted { .. }) => (Exit::NotAllowed, "untrusted"),
        _ if error.is_transient() => (Exit::Unreachable, "factory-unreachable"),
        _ => (Exit::Failed, "factory-refused"),
    };
    Failure::of(exit, code, error).maybe_hint(error.hint())
}
