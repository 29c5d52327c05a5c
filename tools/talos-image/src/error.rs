//! Errors of `talos-image`.

use record::{Classify, Code, Exit, Facts};
use schematic::Part;

/// The privileges of the role that the hint makes.
const LEAST: [&str; 13] = pve_client::rights::NEEDED;

/// One variant for each problem that users solve differently.
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
    #[error("no Proxmox VE host has storage {0}")]
    NoStorage(String),
    #[error("the token {token} has no rights at all")]
    NoRights { token: String },
    #[error("storage {storage} on {host} does not allow content `import`")]
    NoImport { storage: String, host: String, advice: String },
    #[error("storage {storage} on {host} is not active")]
    Inactive { storage: String, host: String },
    #[error("{host} runs Proxmox VE {version}, which can't import disk images")]
    TooOld { host: String, version: String },
    #[error("Proxmox VE imports qcow2 and raw images, not {0}")]
    NotImportable(String),
    #[error("{url} no longer matches the digest in ichor.lock")]
    Rebuilt { url: String },
    #[error("{volume} on {host} is not the image: its SHA-256 differs from the digest in ichor.lock")]
    WrongFile { volume: String, host: String },
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        let failed = |code| Facts::new(Exit::Failed, code);
        match self {
            Self::Spec(error) => match error.part() {
                Part::Version => Facts::new(Exit::Unusable, Code::Version),
                Part::Factory => Facts::new(Exit::Usage, Code::Usage),
                Part::Schematic => Facts::new(Exit::Unusable, Code::Schematic),
            },
            Self::Format(_) | Self::SchematicFile { .. } => Facts::new(Exit::Usage, Code::Usage),
            Self::UnknownSchematic { .. } => {
                failed(Code::Schematic).hint("give the schematic instead of its ID: then talos-image registers it")
            }
            Self::Extension { like: Some(like), .. } => failed(Code::Extension).hint(format!("did you mean {like}?")),
            Self::Extension { version, like: None, .. } => failed(Code::Extension)
                .hint(format!("the factory lists them at /version/{version}/extensions/official")),
            Self::NoStorage(_) => failed(Code::Storage).hint(
                "check `spec.proxmox.images`; a token without Datastore.AllocateSpace or Datastore.Audit on it doesn't see a storage",
            ),
            Self::NoRights { token } => Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(format!(
                "a token with privilege separation has only the rights that are given to itself, within its user's; {}",
                pve_client::rights::commands(token, "/", &LEAST)
            )),
            Self::NoImport { advice, .. } => failed(Code::Storage).hint(advice.clone()),
            Self::Inactive { .. } => Facts::new(Exit::Unreachable, Code::Storage),
            Self::TooOld { .. } => failed(Code::Import).hint("importing disk images needs Proxmox VE 8.4 or later"),
            Self::NotImportable(_) => failed(Code::Import).hint("remove --image-format"),
            Self::WrongFile { volume, host } => Facts::new(Exit::Guard, Code::DigestMismatch).hint(format!(
                "it was cut, replaced, or downloaded with another digest; if nothing needs it: `pvesm free {volume}` on {host}, then run again"
            )),
            Self::Rebuilt { url } => Facts::new(Exit::Guard, Code::DigestMismatch).hint(format!(
                "the factory may have rebuilt it; if you trust that, remove {url} from `images` in ichor.lock"
            )),
        }
    }
}
