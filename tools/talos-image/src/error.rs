//! Errors of `talos-image`.

use record::{Classify, Code, Exit, Facts, spec::Via};
use schematic::Part;

/// The privileges of the role that the hint makes.
pub(crate) const LEAST: [&str; 13] = pve_client::rights::NEEDED;

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
    #[error("storage {storage} on {host} does not allow content `{content}`")]
    NoContent { storage: String, host: String, content: &'static str, advice: String },
    #[error("storage {storage} on {host} is not active")]
    Inactive { storage: String, host: String },
    #[error("{host} runs Proxmox VE {version}, which can't import disk images")]
    TooOld { host: String, version: String },
    #[error("Proxmox VE imports qcow2 and raw images, not {0}")]
    NotImportable(String),
    #[error("the cluster file says `via: iso`, and --image-format is {0}")]
    NotAnIso(String),
    #[error("{url} no longer matches the digest in ichor.lock")]
    Rebuilt { url: String },
    #[error("{host} got another file from {url} than this machine")]
    Differs { url: String, host: String },
    #[error("{volume} on {host} is not the image: its SHA-256 differs from {}", digest(*.is_locked))]
    WrongFile { volume: String, host: String, is_locked: bool },
    #[error("{volume} on {host} is not the image: it has {size} bytes, and the image {wanted}")]
    WrongSize { volume: String, host: String, size: u64, wanted: u64 },
    #[error("{host} can't download {url} ({why})")]
    NotFetched { host: String, url: String, why: String, storage: String, volume: String, via: Via },
    #[error("the token {token} may not {} to storage {storage}: it lacks {}", verb(*.how), .lacks.join(", "))]
    MayNot { token: String, storage: String, how: Via, lacks: Vec<String>, commands: String },
    #[error("whether {volume} on {host} is the image can't be found out: the token {token} lacks Sys.AccessNetwork")]
    NotCompared { volume: String, host: String, token: String },
    #[error("{volume} on {host} has {size} bytes, not {wanted}, right after its upload")]
    CutShort { volume: String, host: String, size: u64, wanted: u64 },
    #[error("an upload to Proxmox VE is still being put in its place after {waited} s")]
    StillCopying { waited: u64 },
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
            Self::NoContent { advice, .. } => failed(Code::Storage).hint(advice.clone()),
            Self::Inactive { .. } => Facts::new(Exit::Unreachable, Code::Storage),
            Self::TooOld { .. } => failed(Code::Import).hint(
                "importing disk images needs Proxmox VE 8.4 or later; on older ones Talos can be installed from an ISO: `images: {storage: NAME, via: iso}`",
            ),
            Self::NotImportable(_) | Self::NotAnIso(_) => failed(Code::Import).hint("remove --image-format"),
            Self::WrongFile { volume, host, .. } | Self::WrongSize { volume, host, .. } => Facts::new(Exit::Guard, Code::DigestMismatch).hint(format!(
                "it was cut, replaced, or downloaded with another digest; if nothing needs it: `pvesm free {volume}` on {host}, then run again"
            )),
            Self::Differs { host, .. } => failed(Code::DigestMismatch).hint(format!(
                "something between the factory and {host} or this machine, such as a proxy, answers with another file; nothing was locked"
            )),
            Self::NotFetched { host, why, storage, volume, via, .. } => {
                // A certificate stays wrong; a connection may come back.
                let exit = if why.contains("certificate") { Exit::Failed } else { Exit::Unreachable };
                Facts::new(exit, Code::Unreachable).hint(unfetched(host, storage, volume, *via))
            }
            Self::MayNot { commands, .. } => Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(commands.clone()),
            Self::NotCompared { volume, host, token } => Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(format!(
                "{}; or, if nothing needs that file: `pvesm free {volume}` on {host}, then run again to upload the image",
                pve_client::rights::commands(token, &format!("/nodes/{host}"), &LEAST)
            )),
            Self::CutShort { .. } => Facts::new(Exit::Unreachable, Code::Storage)
                .hint("somebody else may be writing it: run again when no upload is under way"),
            Self::StillCopying { .. } => Facts::new(Exit::Unreachable, Code::Timeout),
            Self::Rebuilt { url } => Facts::new(Exit::Guard, Code::DigestMismatch).hint(format!(
                "the factory may have rebuilt it; if you trust that, remove {url} from `images` in ichor.lock"
            )),
        }
    }
}

/// What a file was compared with.
fn digest(is_locked: bool) -> &'static str {
    if is_locked { "the digest in ichor.lock" } else { "that of the image that this machine read" }
}

/// What brings the image, in a word.
fn verb(how: Via) -> &'static str {
    match how {
        Via::Upload => "upload",
        Via::Download | Via::Iso => "have the image downloaded",
    }
}

/// What to do where the hosts can't fetch the image themselves.
fn unfetched(host: &str, storage: &str, volume: &str, via: Via) -> String {
    let other = match via {
        Via::Iso => format!("put the file there yourself as {volume}: it is compared with its digest, and used"),
        Via::Download | Via::Upload => format!(
            "set `images: {{storage: {storage}, via: upload}}` in the cluster file: then this machine uploads the image"
        ),
    };
    format!(
        "the hosts of Proxmox VE fetch the image themselves: let {host} reach the factory (a proxy is `http_proxy` in the datacenter's options), or {other}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_can_not_fetch_is_told_with_the_way_around_and_each_refusal_with_what_helps() {
        let not_fetched = |why: &str, via| Error::NotFetched {
            host: "pve1".into(),
            url: "https://f/x".into(),
            why: why.into(),
            storage: "local".into(),
            volume: "local:iso/x.iso".into(),
            via,
        };
        let (volume, host) = ("local:import/x.qcow2".to_owned(), "pve1".to_owned());
        let token = "talos@pve!cli".to_owned();
        for (error, exit, message, hint) in [
            (
                not_fetched("Connection refused", Via::Download),
                Exit::Unreachable,
                "pve1 can't download https://f/x (Connection refused)",
                "or set `images: {storage: local, via: upload}` in the cluster file",
            ),
            (
                not_fetched("Connection refused", Via::Iso),
                Exit::Unreachable,
                "pve1 can't download https://f/x (Connection refused)",
                "or put the file there yourself as local:iso/x.iso",
            ),
            (
                not_fetched("ERROR: cannot verify f's certificate", Via::Download),
                Exit::Failed,
                "pve1 can't download https://f/x (ERROR: cannot verify f's certificate)",
                "via: upload",
            ),
            (
                Error::MayNot {
                    token: token.clone(),
                    storage: "local".into(),
                    how: Via::Upload,
                    lacks: vec!["Datastore.AllocateTemplate on /storage/local".into()],
                    commands: "as commands say".into(),
                },
                Exit::NotAllowed,
                "the token talos@pve!cli may not upload to storage local: it lacks Datastore.AllocateTemplate on /storage/local",
                "as commands say",
            ),
            (
                Error::NotCompared { volume: volume.clone(), host: host.clone(), token },
                Exit::NotAllowed,
                "whether local:import/x.qcow2 on pve1 is the image can't be found out: the token talos@pve!cli lacks Sys.AccessNetwork",
                "`pvesm free local:import/x.qcow2` on pve1",
            ),
            (
                Error::TooOld { host: host.clone(), version: "8.1.4".into() },
                Exit::Failed,
                "pve1 runs Proxmox VE 8.1.4, which can't import disk images",
                "`images: {storage: NAME, via: iso}`",
            ),
            (
                Error::CutShort { volume, host, size: 1, wanted: 2 },
                Exit::Unreachable,
                "local:import/x.qcow2 on pve1 has 1 bytes, not 2, right after its upload",
                "run again",
            ),
        ] {
            let facts = error.facts();
            assert_eq!((facts.exit, error.to_string().as_str()), (exit, message));
            assert!(facts.hint.as_deref().is_some_and(|told| told.contains(hint)), "{message}: {:?}", facts.hint);
        }
    }
}
