//! Where programs, labs and scratch folders come from.

mod outcome;
mod scratch;
mod world;

/// Whether this machine lacks a program that a test pipes through; says so. Under `CI` it has to be there.
#[expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]
pub(crate) fn lacks(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found || std::env::var_os("CI").is_none(), "CI needs {program}");
    if !found {
        eprintln!("skipped: no {program} on PATH");
    }
    !found
}

pub(crate) use outcome::Outcome;
pub(crate) use scratch::{STEPS, Scratch, finish};
pub(crate) use world::{SOON, Shape, World, changes};
