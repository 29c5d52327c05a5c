//! `talos-wait` waits until a condition holds, and reports what it is waiting for.
//!
//! It replaces the sleep loop of scripts: it waits for each node until it is reachable, in maintenance mode,
//! configured, a member of etcd, registered with Kubernetes, or Ready. A wait has a timeout, which starts when the
//! node's record arrives.
//!
//! Exit status: as for every step; 5 if the condition doesn't hold in time.

mod args;
mod condition;
mod look;
mod plan;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Wait>(argv)
}
