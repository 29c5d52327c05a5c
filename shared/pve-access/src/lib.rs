//! From the spec and the environment to a connected Proxmox VE, and to a VM that answers: what the tools that talk to
//! Proxmox VE share.

mod addresses;
mod answers;
pub mod console;
mod endpoint;
mod error;
pub mod files;
mod finder;
mod gates;
pub mod iso9660;
mod location;
mod mark;
pub mod seed;
mod silence;

use std::path::PathBuf;

use pve_client::{Client, Settings};
use record::{Failure, spec::ProxmoxSpec};

pub use self::{
    addresses::of as agent_addresses,
    answers::{TALOS, answers},
    console::{Sources, Watch},
    error::NotFound,
    finder::{Finder, Found},
    gates::Gates,
    location::Location,
    mark::{MARK, has_tag, is_marked, tag},
    silence::Silent,
};

/// Where the API token is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TokenFlag {
    /// File with the API token for Proxmox VE, instead of PROXMOX_VE_API_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Allow sending the token to another Proxmox VE than the one in ichor.lock, and lock the new one.
    #[arg(long)]
    pub new_endpoint: bool,
}

impl TokenFlag {
    /// Connects as the spec and the environment say. The token is in `token_file`, else in `PROXMOX_VE_API_TOKEN`. `acts`:
    /// whether the call may change anything, so that it may lock the endpoint.
    ///
    /// # Errors
    /// Settings that are missing, or that can't be used (exit 8), another endpoint than before (7).
    pub async fn connect(&self, run: &step::Run, spec: &ProxmoxSpec, acts: bool) -> Result<Client, Failure> {
        let is_to_be_locked = endpoint::check(run, spec, self.new_endpoint, acts)?;
        let pve = connect(spec, self.token_file.clone())?;
        if is_to_be_locked {
            pve.ask(&pve_client::request::version()).await?;
            endpoint::remember(run, spec)?;
        }
        Ok(pve)
    }
}

fn connect(spec: &ProxmoxSpec, token_file: Option<PathBuf>) -> Result<Client, Failure> {
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
