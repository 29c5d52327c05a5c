//! `pve-vm` makes the VMs on Proxmox VE be as the spec says.
//!
//! A VM is ours if its SMBIOS UUID is the one derived from the cluster's identity in `ichor.lock` and the node's name,
//! and it bears our mark. Nothing else is ever touched. What differs is changed at once where that disturbs nobody; what
//! needs a reboot or a new VM waits for its flag. VMs of the cluster that the file doesn't list are told of, and left.
//!
//! *Needs*: `Cluster.status.image`, `Node.spec`.
//! *Writes*: `Node.status.vm{id,node,uuid,macs,fingerprints,zone,region}`, `Node.status.addresses`.
//! *Exit status*: as every step; 7 for a VM that isn't ours, and for a reboot or a new VM that nobody asked for.

mod addresses;
mod args;
mod changes;
mod creation;
mod destruction;
mod difference;
mod doctor;
mod error;
mod fleet;
mod identity;
mod inventory;
mod machine;
mod placement;
mod reconcile;
mod run;

use std::{ffi::OsString, process::ExitCode};

pub use doctor::privileges;

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::PveVm>(argv)
}
