//! The contract, rule by rule, on a toy step. Each test fails without the rule in its name.

mod additions;
mod asks;
mod failing;
mod flow;
mod inputs;
mod mistakes;
mod people;
mod signals;
mod toy;
mod travel;

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inputs::{Endless, Fed};
use record::status::Vm;
use record::table;
use record::{Cluster, Code, Exit, Failure};
use serde_json::{Value, json};
use toy::{END, Outcome, Setting, Toy, addresses, failed_stream, found, head, node, node_with, run, stream, until};

use crate::output::Layout;
use crate::pipes::Place;
use crate::signals::Stopping;
use crate::{Format, Step};

/// Runs the test of this name in a process of its own: a process that has handled signals is never ended by them again,
/// and a run of tests that hangs must be stoppable.
pub(crate) fn alone(name: &str, work: impl Future<Output = ()>) {
    const ALONE: &str = "ICHOR_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
