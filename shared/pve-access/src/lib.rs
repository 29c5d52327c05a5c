//! From the spec and the environment to a connected Proxmox VE, and from its errors to failures of the contract: what
//! the tools that talk to it share.

use std::path::PathBuf;

use pve_client::{Client, Error, Kind, Settings, Unset};
use record::{Exit, Failure, spec::ProxmoxSpec};

/// Connects as the spec and the environment say. The token is in `token_file`, else in `PROXMOX_VE_API_TOKEN`.
///
/// # Errors
/// Settings that are missing, or that can't be used (exit 8).
pub fn connect(spec: &ProxmoxSpec, token_file: Option<PathBuf>) -> Result<Client, Failure> {
    let settings = Settings {
        endpoint: spec.endpoint.clone(),
        ca: spec.ca.as_ref().map(PathBuf::from),
        fingerprint: spec.fingerprint.clone(),
        token_file,
    };
    settings.connect(step::variable).map_err(|error| unset(&error))
}

/// The failure that an error of a call amounts to: its exit status, a stable code, and a hint where one is known.
#[must_use]
pub fn failure(error: &Error) -> Failure {
    let (exit, code) = match (error, error.kind()) {
        (Error::Untrusted { .. }, _) => (Exit::NotAllowed, "untrusted"),
        (_, Some(Kind::Unauthorized | Kind::Forbidden)) => (Exit::NotAllowed, "not-allowed"),
        (_, Some(Kind::Protected)) => (Exit::Guard, "protected"),
        _ if error.is_transient() => (Exit::Unreachable, "unreachable"),
        _ => (Exit::Failed, "proxmox-refused"),
    };
    Failure::of(exit, code, error).maybe_hint(error.hint())
}

fn unset(error: &Unset) -> Failure {
    Failure::of(Exit::Unusable, "proxmox-settings", error).maybe_hint(error.hint())
}
