//! Measures what users feel, and prints a table: start-up, throughput and memory of a step, a large lab, the whole pipe
//! on a lab.
//!
//! `just bench` runs it. Machines are noisy: compare numbers of one run.
#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

#[path = "table/lab.rs"]
mod lab_start;
#[path = "table/pipe.rs"]
mod pipe;
#[path = "table/startup.rs"]
mod startup;
#[path = "table/throughput.rs"]
mod throughput;

use std::path::PathBuf;

/// The programs of the pipe, in its order.
const STEPS: [&str; 7] =
    ["talos-image", "pve-vm", "talos-gen", "talos-apply", "talos-bootstrap", "kubeconfig-export", "talos-wait"];

/// Where the release builds of the programs are.
fn programs() -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    let release = here.parent().and_then(std::path::Path::parent).expect("target/release/deps/bench");
    release.to_owned()
}

fn main() {
    // `cargo test --benches` and `cargo bench -- NAME` pass arguments; the only choice is which table.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if wants("startup") {
        startup::print();
    }
    if wants("throughput") {
        throughput::print();
    }
    if wants("lab") {
        lab_start::print();
    }
    if wants("pipe") {
        pipe::print();
    }
}

/// The middle one of some numbers.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
