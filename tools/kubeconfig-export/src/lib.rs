//! `kubeconfig-export` fetches the admin kubeconfig of a cluster.
//!
//! It writes it to a file (0600, atomically), merges it into one that is there without duplicating or clobbering
//! anything, or prints it. A kubeconfig that is this cluster's and valid for a while is left alone.
//!
//! *Needs*: `Cluster.status.bootstrap` (in a pipe), `Cluster.status.access`, an address of one control plane.
//! *Writes*: `Cluster.status.kubeconfig{file,context,server,sha256}`.
//! *Exit status*: as every step; 7 where a file would be overwritten that isn't this cluster's.

mod args;
mod document;
mod error;
mod merge;
mod place;
mod plan;
mod run;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Export>(argv)
}
