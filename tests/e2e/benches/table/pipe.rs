//! The whole pipe on the lab, with zero delays and a secrets bundle that exists.
//!
//! The lab runs in this process and the programs are its children, so the operating system counts them separately.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use lab::{Lab, Options};
use tokio::process::Command;

const PIPE: &str = "talos-image | pve-vm | talos-gen | talos-apply | talos-bootstrap \
                    | kubeconfig-export --to kubeconfig | talos-wait --for ready";

/// The times of one run, in seconds.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    /// CPU time of the lab.
    lab: f64,
    /// CPU time of the seven programs.
    steps: f64,
}

pub(crate) fn print() {
    println!("the whole pipe on the lab, zero delays, existing secrets                   goals: 0.5 s for 3; linear");
    println!(
        "{:>6} {:>10} {:>12} {:>12} {:>12} {:>14}",
        "nodes", "first s", "ms a node", "again s", "steps CPU s", "lab's share"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let secrets = runtime.block_on(secrets());
    for (nodes, runs) in [(1, 5), (3, 5), (30, 3), (300, 1)] {
        let pairs: Vec<(Took, Took)> = (0..runs).map(|_| runtime.block_on(twice(nodes, &secrets))).collect();
        let middle = |of: fn(&(Took, Took)) -> f64| crate::median(pairs.iter().map(of).collect());
        let first = middle(|pair| pair.0.wall);
        let share = middle(|pair| pair.0.lab / (pair.0.lab + pair.0.steps));
        println!(
            "{nodes:>6} {first:>10.2} {:>12.1} {:>12.2} {:>12.2} {:>12.0} %",
            first * 1e3 / f64::from(nodes),
            middle(|pair| pair.1.wall),
            middle(|pair| pair.0.steps),
            share * 100.0
        );
    }
    println!();
}

/// The first run on a new lab, and a second one that has nothing to do.
async fn twice(nodes: u32, secrets: &str) -> (Took, Took) {
    let control_planes = if nodes < 30 { 1 } else { 3 };
    let workers = nodes as usize - control_planes;
    let options = Options { control_planes, workers, vip: control_planes > 1, ..Options::default() };
    let lab = Lab::start(options).await.expect("a lab");
    let folder = lab.dir().join(lab.name());
    std::fs::create_dir_all(&folder).expect("a folder in the lab's");
    std::fs::write(folder.join("secrets.yaml"), secrets).expect("a file in the lab's folder");
    (run(&lab).await, run(&lab).await)
}

async fn run(lab: &Lab) -> Took {
    let (own, children) = cpu_times();
    let begin = Instant::now();
    let status = shell(PIPE, lab.dir()).envs(lab.env()).status().await.expect("a shell");
    let wall = begin.elapsed().as_secs_f64();
    assert!(status.success(), "the pipe failed: {status}");
    let (own_after, children_after) = cpu_times();
    Took { wall, lab: own_after - own, steps: children_after - children }
}

/// A command that finds the release builds, and prints nothing.
fn shell(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    let path = format!("{}:{}", crate::programs().display(), std::env::var("PATH").unwrap_or_default());
    command.args(["-c", script]).current_dir(folder).env("PATH", path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

async fn secrets() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let made = shell("talos-gen secrets -o secrets.yaml", folder.path()).status().await.expect("a shell");
    assert!(made.success(), "talos-gen secrets: {made} (`just bench` builds it)");
    std::fs::read_to_string(folder.path().join("secrets.yaml")).expect("the bundle that was made")
}

/// CPU seconds of this process, and of its children that have ended (`/proc/self/stat`, fields 14 to 17).
fn cpu_times() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has this file");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(4).filter_map(|text| text.parse().ok()).collect();
    const TICKS: f64 = 100.0;
    ((ticks[0] + ticks[1]) / TICKS, (ticks[2] + ticks[3]) / TICKS)
}
