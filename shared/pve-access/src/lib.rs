//! From the spec and the environment to a connected Proxmox VE: what the tools that talk to it share.

use std::path::PathBuf;

use pve_client::{Client, Settings};
use record::{Failure, spec::ProxmoxSpec};

/// Connects as the spec and the environment say. The token is in `token_file`, else in `PROXMOX_VE_API_TOKEN`.
///
/// # Errors
/// Settings that are missing, or that can't be used (exit 8).
pub fn connect(spec: &ProxmoxSpec, token_file: Option<PathBuf>) -> Result<Client, Failure> {
    if let Some(text) = token_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
        step::protect_token(&text);
    }
    let settings = Settings {
        endpoint: spec.endpoint.clone(),
        ca: spec.ca.as_ref().map(PathBuf::from),
        fingerprint: spec.fingerprint.clone(),
        token_file,
    };
    Ok(settings.connect(step::variable)?)
}
