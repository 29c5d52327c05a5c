//! Records a second, and peak memory, of a step with nothing to do.
//!
//! Each node carries an error of an earlier step, so it is read, checked, counted and passed on, and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Instant;

pub(crate) fn print() {
    println!("a step with nothing to do                          goals: 50,000/s; 200 bytes a node; 40 MB at 100,000");
    println!("{:>8} {:>12} {:>12} {:>16}", "nodes", "records/s", "peak MB", "bytes a node");
    let base = median_of_runs(10).1;
    for nodes in [10, 100, 1_000, 10_000, 100_000] {
        let (rate, peak) = median_of_runs(nodes);
        let each = (peak - base) * 1e6 / nodes as f64;
        let each = if nodes < 10_000 { "-".to_owned() } else { format!("{each:.0}") };
        println!("{nodes:>8} {rate:>12.0} {peak:>12.1} {each:>16}");
    }
    println!();
}

fn median_of_runs(nodes: usize) -> (f64, f64) {
    let runs: Vec<_> = (0..5).map(|_| once(nodes)).collect();
    (crate::median(runs.iter().map(|run| run.0).collect()), crate::median(runs.iter().map(|run| run.1).collect()))
}

/// Records a second, and peak memory in MB.
fn once(nodes: usize) -> (f64, f64) {
    let mut child = Command::new(crate::programs().join("talos-apply"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("`just bench` builds the programs");
    let mut stdin = child.stdin.take().expect("piped");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let lines = lines(nodes);
    let start = Instant::now();
    let reader = std::thread::spawn(move || drain(stdout, nodes));
    let writer = std::thread::spawn(move || {
        stdin.write_all(&lines).expect("the step reads");
        stdin
    });
    let rest = reader.join().expect("the step writes what it read");
    let seconds = start.elapsed().as_secs_f64();
    let peak = peak_memory(child.id());
    let mut stdin = writer.join().expect("the step reads");
    stdin.write_all(END.as_bytes()).expect("the step reads");
    drop(stdin);
    rest.lines().for_each(drop);
    child.wait().expect("it was started");
    (nodes as f64 / seconds, peak)
}

const END: &str = "{\"apiVersion\":\"ichor/v1\",\"kind\":\"Cluster\",\"name\":\"big\",\"end\":true}\n";

/// All lines but the last.
fn lines(nodes: usize) -> Vec<u8> {
    let list: Vec<_> = (0..nodes).map(|n| format!(r#"{{"name":"w-{n}","role":"worker"}}"#)).collect();
    let mut text = format!(
        r#"{{"apiVersion":"ichor/v1","kind":"Cluster","name":"big","spec":{{}},"status":{{"nodes":[{}],"dir":"/nowhere"}}}}"#,
        list.join(",")
    );
    text.push('\n');
    for n in 0..nodes {
        text.push_str(&format!(
            r#"{{"apiVersion":"ichor/v1","kind":"Node","name":"w-{n}","cluster":"big","spec":{{"role":"worker","vm":{{"cores":2,"memory":4096,"disk":20}},"labels":{{"a":"b"}}}},"status":{{"vm":{{"id":{n},"node":"pve1","uuid":"00000000-0000-0000-0000-000000000000","macs":["BC:24:11:00:00:00"]}},"error":{{"step":"script","code":"x","message":"for the benchmark","exit":5}}}}}}"#
        ));
        text.push('\n');
    }
    text.into_bytes()
}

/// Reads until all nodes have come out.
fn drain(mut stdout: BufReader<ChildStdout>, nodes: usize) -> BufReader<ChildStdout> {
    let mut line = Vec::new();
    let mut left = nodes;
    while left > 0 {
        line.clear();
        assert!(stdout.read_until(b'\n', &mut line).expect("a pipe") > 0, "the step ended early");
        left -= usize::from(line.starts_with(br#"{"apiVersion":"ichor/v1","kind":"Node""#));
    }
    stdout
}

/// The peak memory of a process, in MB (`VmHWM`).
fn peak_memory(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
