//! `talos-gen` writes the secrets of a cluster, the machine config of each node, and a talosconfig.
//!
//! It works offline: the same cluster file and secrets always give the same bytes, and those are the bytes that talosctl
//! writes for the same options.
//!
//! Files in the cluster's folder: `secrets.yaml` (written once, never replaced), `nodes/<node>.yaml`, `talosconfig`, and
//! in `ichor.lock` the contract and the digest of the Talos CA.
//!
//! Exit status: as for every step; 7 if the secrets of an existing cluster are missing or belong to another cluster, 8
//! for a spec or patch that can't be used.
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
