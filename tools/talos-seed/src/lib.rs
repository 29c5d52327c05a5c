//! `talos-seed` starts new VMs with their machine configs on a disc, so that no config ever goes to a machine that hasn't
//! proved who it is. Behind `pve-vm --stopped | talos-gen`.
//!
//! The disc (NoCloud, label `cidata`) takes the place of Proxmox VE's cloud-init drive and says what that would have said,
//! for a node reads only one of them. A VM that runs, or that is known to have its config, gets none. What was handed out is removed
//! by the next run of this program or of `pve-vm`, once the node has its config on its own disk.
//!
//! Exit status: as for every step; 7 for a VM that isn't ours, that waits for its first config already, or whose address
//! somebody else has.

mod args;
mod checks;
mod cidata;
mod error;
mod plan;
mod run;
mod seeding;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::TalosSeed>(argv)
}
