//! `talos-bootstrap` bootstraps etcd, exactly once.
//!
//! It acts once every control plane has responded. If one of them reports members, etcd runs and nothing is done. If no
//! control plane has etcd data, it bootstraps the first one by name, whatever the file's order, and is done when every control
//! plane is a member. If anything is unknown, it doesn't bootstrap:
//! a second bootstrap would split the cluster. It retries on "not yet"; "already" is success. A request is sent once: then
//! the node's etcd service decides, also in the next run. A node whose etcd was stopped for good by a second request is
//! recognised, and rebooted with `--reboot-stuck`. Once it has seen an etcd,
//! `ichor.lock` remembers it, and no empty one is started in its place without `--fresh`.
//!
//! Exit status: as for every step; 5 if a control plane was never reached, 7 if etcd is already split, was lost, or is
//! another one than `ichor.lock` remembers.

mod args;
mod dry_run;
mod error;
mod observe;
mod only;
mod plan;
mod progress;
mod request;
mod run;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program; `argv` begins with its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    step::main::<run::Bootstrap>(argv)
}
