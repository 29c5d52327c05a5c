//! `talos-gen` writes what a cluster is made of: its secrets, the machine config of each node, and a talosconfig.
//!
//! It asks nobody: the same cluster file and secrets always give the same bytes, and those are the bytes that talosctl
//! writes for the same options.
//!
//! *Needs*: `Cluster.spec`, `Node.spec`; uses `Node.status.vm.macs` and `Cluster.status.image.installer` if there.
//! *Writes*: `Cluster.status.access`, `Node.status.config`; in the cluster's folder `secrets.yaml` (once, never
//! again), `nodes/<node>.yaml`, `talosconfig`, and in `ichor.lock` the contract and the Talos CA's digest.
//! *Exit status*: 0 done; 3 a dry run would write something; 7 the secrets of an existing cluster are gone or another
//! cluster's; 8 a spec or patch that can't be used; 1, 2, 6 as everywhere.
//!
//! Alone: `talos-gen secrets`, `config`, `patch` and `validate` with talosctl's flags; `talosconfig --role --ttl`,
//! `diff A B` (3 when they differ), `explain KIND[.FIELD]`.

use std::ffi::OsString;
use std::process::ExitCode;

mod access;
mod alone;
mod args;
mod error;
mod files;
mod flag_values;
mod machine;
mod patches;
mod plan;
mod run;

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Gen>(argv)
}
