//! How long a lab of a thousand nodes takes to start, and its memory then.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 7;
const ARGUMENTS: &str = "serve --ready --delays zero --control-planes 3 --workers 997";

pub(crate) fn print() {
    println!("ichor-lab {ARGUMENTS} ({RUNS} runs)      goals: 2 s, 500 MB");
    let runs: Vec<(f64, f64)> = (0..RUNS).map(|_| once()).collect();
    let seconds = |choose: fn(f64, f64) -> f64| runs.iter().map(|run| run.0).reduce(choose).expect("a run");
    let (best, worst) = (seconds(f64::min), seconds(f64::max));
    let memory = runs.iter().map(|run| run.1).fold(0.0, f64::max);
    let middle = crate::median(runs.iter().map(|run| run.0).collect());
    println!("ready after {middle:.2} s (best {best:.2}, worst {worst:.2}), at most {memory:.0} MB");
    println!();
}

/// Seconds until the lab reports that it is ready, and its peak memory until then.
fn once() -> (f64, f64) {
    let start = Instant::now();
    let mut command = Command::new(crate::programs().join("ichor-lab"));
    command.args(ARGUMENTS.split(' ')).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut lab = command.spawn().expect("`just bench` builds ichor-lab");
    let mut first = String::new();
    let mut out = BufReader::new(lab.stdout.take().expect("a pipe"));
    out.read_line(&mut first).expect("a line of the lab");
    let seconds = start.elapsed().as_secs_f64();
    let memory = peak(lab.id());
    let stopped = Command::new("kill").arg(lab.id().to_string()).status().expect("kill");
    lab.wait().expect("the lab ends");
    drop(out);
    assert!(first.contains('=') && stopped.success(), "the lab did not come up");
    (seconds, memory)
}

/// The peak memory of a process, in MB (`VmHWM` of `/proc/PID/status`, in KiB).
fn peak(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux has this file");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(0.0, |kib| kib * 1024.0 / 1e6)
}
