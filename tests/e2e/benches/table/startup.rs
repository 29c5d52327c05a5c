//! How long a program takes to start and end: `--version`.

use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 41;

pub(crate) fn print() {
    println!("start-up (`--version`, median and best of {RUNS})        goal: 5 ms");
    println!("{:<20} {:>10} {:>10} {:>10}", "program", "median ms", "best ms", "size MB");
    for name in crate::STEPS.iter().chain(&["ichor"]) {
        let path = crate::programs().join(name);
        let times: Vec<f64> = (0..RUNS).map(|_| once(&path)).collect();
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        let size = std::fs::metadata(&path).map_or(0, |file| file.len()) as f64 / 1e6;
        println!("{name:<20} {:>10.2} {best:>10.2} {size:>10.1}", crate::median(times));
    }
    println!();
}

/// Milliseconds of one run.
fn once(path: &std::path::Path) -> f64 {
    let start = Instant::now();
    let status = Command::new(path).arg("--version").stdout(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| panic!("{}: {error} (`just bench` builds it)", path.display()));
    assert!(status.success());
    start.elapsed().as_secs_f64() * 1000.0
}
