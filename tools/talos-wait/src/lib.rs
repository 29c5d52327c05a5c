//! `talos-wait` waits until a condition holds, and says what it is waiting for.
//!
//! It is the sleep loop that every script has: for each node until it is reachable, in maintenance, configured, a
//! member of etcd, known to Kubernetes, or Ready. A wait has a bound, which begins when the node's record has come.
//!
//! *Needs*: an address of each node, `Cluster.status.access`.
//! *Writes*: `Node.status.waited{for}`, `Cluster.status.waited{for}`.
//! *Exit status*: as every step; 5 if the condition does not come to hold in time.

mod args;
mod plan;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Wait>(argv)
}
