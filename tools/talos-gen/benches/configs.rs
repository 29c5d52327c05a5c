//! Measures what talos-gen's users wait for, and prints a table. `just bench` runs it; machines are noisy, so compare
//! numbers of one run.
#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster_pki::{Bundle, service_account};
use config_rules::{Mode, validate};
use machine_config::generate::{Input, Options};
use machine_config::node::{Node, tailor};
use machine_config::{Contract, MachineType, generate};
use time::OffsetDateTime;

fn main() {
    let contract = Contract::STABLE;
    let bundle = bundle(contract);
    let one = config(&bundle, contract, "w-1");
    println!("{:<52} {:>12} {:>12}", "talos-gen", "median", "memory");
    row("one config, made and validated (library)", median(200, || drop(config(&bundle, contract, "w-1"))), None);
    row("1,000 configs, made and validated, one core", median(5, || thousand(&bundle, contract)), None);
    let large = thirty_kilobytes(&one);
    let what = format!("a config of {} KB, loaded and validated", large.len() / 1000);
    row(&what, median(100, || check(&large, contract)), None);
    row("new secrets (one RSA key, by chance 0.1 to 2 s)", median(5, || drop(fresh(contract))), None);
    row("the RSA key alone", median(5, || drop(service_account(contract, &mut entropy))), None);
    programs(&bundle);
}

fn row(what: &str, time: Duration, memory: Option<u64>) {
    let time = format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let memory = memory.map_or_else(String::new, |kilobytes| format!("{:.1} MB", kilobytes as f64 / 1e3));
    println!("{what:<52} {time:>12} {memory:>12}");
}

fn median(runs: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn entropy(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random numbers");
}

fn fresh(contract: Contract) -> Bundle {
    Bundle::generate(contract, OffsetDateTime::now_utc(), &mut entropy).expect("the bundle is made")
}

/// A bundle that takes no time to make.
fn bundle(contract: Contract) -> Bundle {
    let old = Contract::parse("v1.6").expect("the version is known");
    let key = service_account(old, &mut entropy).expect("the key is made");
    let now = OffsetDateTime::now_utc();
    Bundle::generate_around(contract, key, now, &mut entropy).expect("the bundle is made")
}

fn config(bundle: &Bundle, contract: Contract, hostname: &str) -> String {
    let options =
        Options { install_disk: "/dev/sda".to_owned(), install_image: "a:v1".to_owned(), ..Options::default() };
    let input = Input {
        cluster: "lab",
        endpoint: "https://10.0.0.10:6443",
        contract,
        kubernetes: contract.kubernetes(),
        secrets: bundle.secrets(),
        options,
    };
    let node = Node { hostname, labels: vec![("rack", "7")], ..Node::default() };
    let machine = MachineType::ControlPlane;
    let config = tailor(&generate(&input, machine), contract, machine, &node).expect("the node fits");
    assert!(validate(&config, Mode::Cloud, contract).errors.is_empty(), "the config is valid");
    config.text(contract.dialect())
}

fn thousand(bundle: &Bundle, contract: Contract) {
    let total: usize = (0..1000).map(|index| config(bundle, contract, &format!("n-{index}")).len()).sum();
    assert!(total > 1_000_000, "the configs are whole");
}

/// A config as large as that of a well-used cluster.
fn thirty_kilobytes(config: &str) -> String {
    let mut text = config.to_owned();
    for index in 0.. {
        if text.len() > 30_000 {
            return text;
        }
        let _ = write!(
            text,
            "---\napiVersion: v1alpha1\nkind: StaticHostConfig\nname: 10.1.{}.{}\nhostnames:\n    - a{index}\n",
            index / 250,
            index % 250
        );
    }
    text
}

fn check(text: &str, contract: Contract) {
    let config = machine_config::load(text).expect("the config loads");
    assert!(validate(&config, Mode::Cloud, contract).errors.is_empty(), "the config is valid");
}

/// The program itself, with its peak memory.
fn programs(bundle: &Bundle) {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    std::fs::create_dir(folder.path().join("lab")).expect("the folder is ours");
    let secrets = folder.path().join("lab/secrets.yaml");
    std::fs::write(secrets, bundle.to_yaml().expose()).expect("the folder is ours");
    let alone =
        ["config", "lab", "https://10.0.0.10:6443", "--with-secrets", "lab/secrets.yaml", "-t", "worker", "-o", "-"];
    let (time, memory) = measured(21, folder.path(), &alone);
    row("talos-gen config -t worker, as a process", time, Some(memory));
    std::fs::write(folder.path().join("cluster.yaml"), cluster(1000)).expect("the folder is ours");
    let inline = ["-f", "cluster.yaml", "--format", "jsonl", "--inline"];
    let (time, memory) = measured(3, folder.path(), &inline);
    row("1,000 nodes in the pipe, configs in the records", time, Some(memory));
    let (time, memory) = measured(1, folder.path(), &inline[..4]);
    row("1,000 nodes in the pipe, configs synced to new files", time, Some(memory));
    let (time, memory) = measured(3, folder.path(), &inline[..4]);
    row("the same again: nothing to write", time, Some(memory));
}

fn cluster(nodes: usize) -> String {
    let mut text = String::from(
        "apiVersion: ichor/v1\nkind: Cluster\nname: lab\nspec:\n  endpoint: https://10.0.0.10:6443\n  talos: {version: v1.13.9}\n  kubernetes: {version: v1.36.3}\nnodes:\n",
    );
    for index in 0..nodes {
        let role = if index < 3 { "controlplane" } else { "worker" };
        let _ = writeln!(text, "  - {{name: n-{index}, role: {role}}}");
    }
    text
}

/// Median time and peak memory of some runs.
fn measured(runs: usize, folder: &Path, args: &[&str]) -> (Duration, u64) {
    let mut most = 0;
    let time = median(runs, || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_talos-gen"));
        command.current_dir(folder).env_clear().args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the program runs");
        most = most.max(watch(child));
    });
    (time, most)
}

/// Waits for a program; returns the most memory that it was seen to have, in KiB.
fn watch(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        match child.try_wait().expect("the program can be waited for") {
            Some(status) => {
                assert!(status.success(), "the program is content: {status}");
                return most;
            }
            None => std::thread::park_timeout(Duration::from_millis(1)),
        }
    }
}
