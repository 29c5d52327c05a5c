//! `talos-apply` delivers machine configs to their nodes.
//!
//! One probe decides what a node is (absent, booting, in maintenance, ours, somebody else's) and so how to talk to it.
//! A node that runs its config already is left alone. First configs go in parallel; control planes that run etcd are
//! changed one at a time, and nothing that reboots a running node happens without being asked for.
//!
//! *Needs*: `Node.status.config`, an address, `Cluster.status.access`; uses `Node.status.vm`.
//! *Writes*: `Node.status.applied{address,fingerprint,outcome,verified}`.
//! *Exit status*: as every step; 7 for the wrong machine, role, cluster or version, and for a reboot nobody asked for.

mod alone;
mod args;
mod change;
mod delivery;
mod error;
mod first;
mod machine;
mod plan;
mod queue;
mod run;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Apply>(argv)
}
