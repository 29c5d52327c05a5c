//! `talos-bootstrap` ensures that etcd was started once.
//!
//! It acts when it has heard from every control plane: members that one of them knows are the answer; if there is no
//! etcd data anywhere, the first control plane in file order is bootstrapped; anything unknown means no, for a second
//! bootstrap would split the cluster. "Not yet" is waited out, and "already" is success.
//!
//! *Needs*: `Node.status.applied` of every control plane, `Cluster.status.access`.
//! *Writes*: `Node.status.etcd{member}`, `Cluster.status.bootstrap{node,members}`.
//! *Exit status*: as every step; 5 if a control plane was never heard from, 7 if etcd is split already.

mod args;
mod observe;
mod plan;
mod run;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Bootstrap>(argv)
}
