//! `talos-apply` applies each machine config to its node.
//!
//! One probe shows the state of a node (absent, booting, in maintenance mode, ours, another cluster's) and so how to
//! connect to it. A node that already runs its config is not changed. First configs are sent in parallel; control
//! planes that run etcd are changed one at a time, and a running node is only rebooted with `--reboot`.
//!
//! Exit status: as for every step; 7 for the wrong machine, role, cluster or version, and for a reboot without
//! `--reboot`.

mod alone;
mod args;
mod change;
mod delivery;
mod error;
mod first;
mod live;
mod machine;
mod next;
mod plan;
mod run;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Apply>(argv)
}
