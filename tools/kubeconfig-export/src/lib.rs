//! `kubeconfig-export` fetches the admin kubeconfig of a cluster.
//!
//! It writes the kubeconfig to a file (0600, atomically), merges it into an existing one without duplicating or
//! overwriting anything, or prints it. A kubeconfig of this cluster that doesn't expire soon is not changed.
//!
//! What else is in the file stays. Where comments or layout are lost, or entries of another cluster go, a copy of the file
//! stays beside it.
//!
//! Exit status: as for every step; 7 if the file belongs to another cluster, 8 if it can't be kept.

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
