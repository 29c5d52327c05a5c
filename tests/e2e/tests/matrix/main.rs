//! Every call to Proxmox VE goes wrong in every way, once: nothing is lost, doubled, orphaned or stopped for nothing. And
//! every call of the whole pipe, to anybody: running it again does what the exit status says.
//!
//! A cell is an operation, the number of one of its calls, and what happens to that call. Without `ICHOR_SOAK` a seeded
//! sample runs, bounded in time; `just soak [SEED]` runs all cells, in an order that the seed decides, and goes on where
//! it was stopped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a soak shows how far it is"
)]

/// What a cell is, and which of them run.
mod cells;
/// The operations, and what must be so after them.
mod operations;
/// The whole pipe, each of whose calls gets each fault.
mod pipe;
/// One cell: the operation with its fault, then the same again without.
mod play;
/// Where programs, labs and scratch folders come from.
#[path = "../e2e/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the other executable, which uses the rest")]
mod support;

use std::fmt::Display;
use std::future::Future;

use cells::{Cell, Chosen, Progress};

/// Runs the cells that the environment asks for, and fails with all that failed.
async fn each<C, F>(name: &str, cells: Vec<C>, run: impl Fn(C) -> F)
where
    C: Clone + Display,
    F: Future<Output = ()> + Send + 'static,
{
    let chosen = Chosen::from_environment(name, cells);
    let mut progress = Progress::begin(&chosen);
    let mut failed = Vec::new();
    while let Some(cell) = progress.next() {
        match tokio::spawn(run(cell.clone())).await {
            Ok(()) => progress.passed(&cell),
            Err(error) => {
                eprintln!("{cell}: {error}");
                failed.push(cell.to_string());
            }
        }
    }
    eprintln!("{name}: {}", progress.summary(failed.len()));
    assert!(failed.is_empty(), "seed {}: {failed:#?}", chosen.seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_proxmox_ve_that_goes_wrong_loses_doubles_orphans_and_stops_nothing() {
    each("pve", Cell::all(&play::calls_of_all().await), play::cell).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_pipe_that_goes_wrong_once_ends_as_the_exit_status_says_and_well_when_it_is_run_again() {
    each("pipe", pipe::cells().await, pipe::cell).await;
}
