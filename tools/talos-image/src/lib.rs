//! `talos-image` turns a schematic and a version into an image where the VMs can use it.
//!
//! The schematic's ID is computed here and registered at the Image Factory, whose word counts. Each extension is
//! checked to exist for the version before anything is built. With Proxmox VE in the spec, every host that the image
//! storage is on fetches the image itself, with a checksum that was locked when the image was first read.
//!
//! *Needs*: `Cluster.spec.talos`; uses `Cluster.spec.proxmox`.
//! *Writes*: `Cluster.status.image{schematic,version,url,installer,sha256,volumes}`.
//! *Exit status*: as every step; 1 for an extension or version that the factory doesn't have, 5 for a factory or
//! hypervisor that doesn't answer, 6 for a token that may not download.

mod alone;
mod args;
mod error;
mod plan;
mod run;
mod storage;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::TalosImage>(argv)
}
