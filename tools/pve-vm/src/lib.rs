//! `pve-vm` creates and updates the VMs on Proxmox VE.
//!
//! A VM is ours if its SMBIOS UUID is the one derived from the cluster's identity in `ichor.lock` and the node's name,
//! and it has our mark. Other VMs are never touched. A change that a running VM takes is made immediately; one that needs
//! a reboot or a new VM needs `--reboot` or `--recreate`. A disk is made once; what it is made from is a wish for its
//! creation, and nothing takes its place unless `--replace-disk` names it. VMs of the cluster that the file doesn't list
//! are reported with the command that removes them, and kept. A VM that another tool made is adopted with its UUID and MAC
//! addresses. A VM's addresses come from the file, its guest agent, Proxmox VE's own DHCP, or its serial console, which is
//! read and never written to, and also tells by what certificate a new node is known. A control plane is switched off or destroyed only while etcd keeps its quorum without it.
//!
//! Exit status: as for every step; 7 for a VM that isn't ours, for a reboot or a new VM without its flag, and
//! for a control plane that etcd can't do without.

mod adopt;
mod apply;
mod args;
mod changes;
mod checks;
mod creation;
mod destruction;
mod difference;
mod disks;
mod doctor;
mod error;
mod etcd;
mod fleet;
mod foresight;
mod ha;
mod identity;
mod inventory;
mod leftovers;
mod location;
mod machine;
mod medium;
mod meeting;
mod moving;
mod naming;
mod newcomers;
mod nic;
mod notes;
mod occupied;
mod orphans;
mod parameters;
mod placement;
mod preflight;
mod reconcile;
mod references;
mod remembered;
mod removal;
mod replacement;
mod report;
mod rollback;
mod run;
mod seeds;
mod sizes;
mod survey;
mod ties;
mod trial;
mod values;
mod watch;

use std::{ffi::OsString, process::ExitCode};

pub use doctor::privileges;

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::PveVm>(argv)
}
