//! `talos-image` puts the Talos image of a schematic and a version onto Proxmox VE storage.
//!
//! It computes the schematic's ID and registers the schematic at the Image Factory; if the IDs differ, the factory's is
//! used. It checks that each extension exists for the version before anything is built. With Proxmox VE in the spec,
//! every host that has the image storage gets the image, checked against the digest in `ichor.lock`: it downloads the
//! image itself, gets it uploaded (`via: upload`), or downloads an ISO to install from (`via: iso`).
//!
//! Exit status: as for every step; 1 if the factory doesn't have an extension or the version, 5 if the factory or
//! Proxmox VE doesn't respond, 6 if the token may not download.

mod alone;
mod args;
mod delivery;
mod digest;
mod error;
mod plan;
mod run;
mod storage;
mod upload;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::TalosImage>(argv)
}
