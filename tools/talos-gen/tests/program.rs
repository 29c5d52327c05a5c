//! The program as a process, between files and pipes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const CLUSTER: &str = r#"apiVersion: ichor/v1
kind: Cluster
name: lab
spec:
  talos: {version: v1.13.9}
  kubernetes: {version: v1.36.3}
  network: {gateway: 10.0.0.1, nameservers: [10.0.0.1], vip: 10.0.0.10}
  patches: ["machine: {sysctls: {net.core.somaxconn: '1024'}}"]
nodes:
  - {name: cp-1, role: controlplane, address: 10.0.0.11/24, hostname: cp-1.lab.lan}
  - {name: w-1, role: worker, labels: {rack: r1}}
"#;

/// An old cluster's secrets: its service account's key is a P-256 one, so that no test searches for primes.
fn secrets(folder: &Path) {
    std::fs::create_dir_all(folder.join("lab")).expect("the folder is ours");
    let output = gen_in(folder).args(["secrets", "--talos-version", "v1.6", "-o", "lab/secrets.yaml"]).output();
    assert!(output.expect("the program runs").status.success());
}

fn gen_in(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talos-gen"));
    command.current_dir(folder).env_clear();
    command
}

struct Outcome {
    code: i32,
    lines: Vec<Value>,
    stderr: String,
}

impl Outcome {
    fn node(&self, name: &str) -> &Value {
        let found = self.lines.iter().find(|line| line["kind"] == "Node" && line["name"] == name);
        found.expect("every node comes")
    }

    fn end(&self) -> &Value {
        self.lines.last().expect("the stream has an end")
    }
}

fn pipe(folder: &Path, cluster: &str, flags: &[&str]) -> Outcome {
    std::fs::write(folder.join("cluster.yaml"), cluster).expect("the folder is ours");
    let mut command = gen_in(folder);
    let output = command.args(["-f", "cluster.yaml", "--format", "jsonl"]).args(flags).output();
    let output = output.expect("the program runs");
    let parse = |line: &str| serde_json::from_str(line).expect("records are JSON");
    Outcome {
        code: output.status.code().expect("no signal"),
        lines: String::from_utf8_lossy(&output.stdout).lines().map(parse).collect(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    secrets(folder.path());
    folder
}

#[test]
fn files_are_private_match_their_digests_and_stay_in_a_second_run() {
    let folder = folder();
    let first = pipe(folder.path(), CLUSTER, &[]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    for name in ["cp-1", "w-1"] {
        let config = &first.node(name)["status"]["config"];
        assert_eq!(config["changed"], true);
        let path = folder.path().join("lab").join(config["file"].as_str().unwrap());
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(config["sha256"], step::sha256(&bytes));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let access = &first.end()["status"]["access"];
    assert_eq!((&access["contract"], &access["changed"]), (&"v1.13".into(), &true.into()));
    assert!(std::fs::read_to_string(folder.path().join("lab/ichor.lock")).unwrap().contains("\"contract\": \"v1.13\""));

    let second = pipe(folder.path(), CLUSTER, &[]);
    assert_eq!(second.code, 0);
    assert_eq!(second.end()["status"]["access"]["changed"], false);
    assert_eq!(second.node("cp-1")["status"]["config"]["changed"], false);
}

#[test]
fn configs_hold_what_the_spec_says_in_the_documents_of_the_contract() {
    let folder = folder();
    pipe(folder.path(), CLUSTER, &[]);
    let text = |name| std::fs::read_to_string(folder.path().join("lab/nodes").join(name)).unwrap();
    let control_plane = machine_config::load(&text("cp-1.yaml")).unwrap();
    assert_eq!(control_plane.hostname(), Some("cp-1.lab.lan"));
    assert_eq!(control_plane.endpoint(), Some("https://10.0.0.10:6443"));
    assert_eq!((control_plane.kubernetes_version(), control_plane.talos_version()), (Some("v1.36.3"), Some("v1.13.9")));
    assert!(text("cp-1.yaml").contains("kind: Layer2VIPConfig\nname: 10.0.0.10\nlink: eth0\n"));
    assert!(text("cp-1.yaml").contains("net.core.somaxconn: \"1024\""));
    let worker = machine_config::load(&text("w-1.yaml")).unwrap();
    assert_eq!(worker.hostname(), Some("w-1"));
    assert!(!text("w-1.yaml").contains("Layer2VIPConfig") && !text("w-1.yaml").contains("LinkConfig"));
    assert!(text("w-1.yaml").contains("nodeLabels:\n        rack: r1\n"));
}

#[test]
fn an_input_that_was_cut_takes_no_endpoint_away() {
    let folder = folder();
    let three = CLUSTER.replace(
        "  - {name: w-1",
        "  - {name: cp-2, role: controlplane, address: 10.0.0.12/24}\n  - {name: cp-3, role: controlplane, address: 10.0.0.13/24}\n  - {name: w-1",
    );
    let whole = pipe(folder.path(), &three, &[]);
    let before = std::fs::read_to_string(folder.path().join("lab/talosconfig")).unwrap();
    assert!(before.contains("10.0.0.13"), "{before}");
    let part: String = whole.lines.iter().take(2).map(|line| format!("{line}\n")).collect();
    let cut = gen_in(folder.path()).write_stdin(part).output().unwrap();
    assert_eq!(cut.status.code(), Some(5), "a pipe may bring it whole the next time");
    assert_eq!(std::fs::read_to_string(folder.path().join("lab/talosconfig")).unwrap(), before);
}

#[test]
fn the_talosconfig_reaches_the_control_planes_and_keeps_its_certificate_when_they_change() {
    let folder = folder();
    pipe(folder.path(), CLUSTER, &[]);
    let read = || {
        let text = std::fs::read_to_string(folder.path().join("lab/talosconfig")).unwrap();
        talosconfig::Talosconfig::parse(&text).unwrap().context("lab").unwrap().clone()
    };
    let before = read();
    assert_eq!((before.endpoints.as_slice(), before.nodes.len()), (["10.0.0.11".to_owned()].as_slice(), 0));
    let moved = pipe(folder.path(), &CLUSTER.replace("10.0.0.11", "10.0.0.12"), &[]);
    assert_eq!(moved.end()["status"]["access"]["changed"], true);
    let after = read();
    assert_eq!((after.endpoints.as_slice(), after.crt), (["10.0.0.12".to_owned()].as_slice(), before.crt));
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_is_pending() {
    let folder = folder();
    let fresh = pipe(folder.path(), CLUSTER, &["--dry-run"]);
    assert_eq!(fresh.code, 3);
    assert_eq!(fresh.node("w-1")["status"]["config"]["pending"], true);
    assert!(!folder.path().join("lab/nodes").exists() && !folder.path().join("lab/talosconfig").exists());
    std::fs::remove_file(folder.path().join("lab/secrets.yaml")).unwrap();
    assert_eq!(pipe(folder.path(), CLUSTER, &["--dry-run"]).code, 3);
    assert!(!folder.path().join("lab/secrets.yaml").exists());
}

#[test]
fn the_secrets_of_a_made_cluster_are_never_made_anew() {
    let folder = folder();
    pipe(folder.path(), CLUSTER, &[]);
    std::fs::remove_file(folder.path().join("lab/secrets.yaml")).unwrap();
    let outcome = pipe(folder.path(), CLUSTER, &[]);
    assert_eq!(outcome.code, 7);
    assert!(!folder.path().join("lab/secrets.yaml").exists());
    assert_eq!(outcome.end()["status"]["error"]["code"], "secrets-gone");
}

#[test]
fn two_first_runs_at_once_make_one_cluster() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    std::fs::write(folder.path().join("cluster.yaml"), CLUSTER).expect("the folder is ours");
    let run = || {
        let mut command = gen_in(folder.path());
        command.args(["-f", "cluster.yaml", "--format", "jsonl"]).output().expect("the program runs")
    };
    let outputs = std::thread::scope(|scope| {
        let threads = [scope.spawn(run), scope.spawn(run)];
        threads.map(|thread| thread.join().expect("the run ends"))
    });
    let said = outputs.each_ref().map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(outputs.iter().all(|output| output.status.success()), "{said:#?}");
    assert_eq!(said.iter().filter(|text| text.contains("created new secrets")).count(), 1, "{said:#?}");
    let authority = |output: &std::process::Output| {
        let last = String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned);
        let record: Value = serde_json::from_str(&last.unwrap_or_default()).expect("records are JSON");
        record["status"]["access"]["ca256"].as_str().map(str::to_owned)
    };
    assert!(authority(&outputs[0]).is_some_and(|ca256| authority(&outputs[1]) == Some(ca256)));
}

#[test]
fn the_secrets_of_another_cluster_are_noticed() {
    let folder = folder();
    let first = pipe(folder.path(), CLUSTER, &[]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let before = std::fs::read(folder.path().join("lab/talosconfig")).unwrap();
    std::fs::remove_file(folder.path().join("lab/secrets.yaml")).unwrap();
    secrets(folder.path());
    let outcome = pipe(folder.path(), CLUSTER, &[]);
    assert_eq!(outcome.code, 7);
    let error = &outcome.end()["status"]["error"];
    assert_eq!(error["code"], "other-cluster");
    assert!(error["message"].as_str().unwrap().contains("secrets.yaml belongs to another cluster"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("lab/talosconfig")).unwrap(), before);
}

#[test]
fn a_patch_that_changes_nothing_says_so() {
    let folder = folder();
    let idle = CLUSTER.replace("{sysctls: {net.core.somaxconn: '1024'}}", "{certSANs: []}");
    let outcome = pipe(folder.path(), &idle, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("node w-1: patch 1 changes nothing"), "{}", outcome.stderr);
}

#[test]
fn a_size_that_a_patch_erases_and_authorities_that_are_ignored_are_told_once_for_all_nodes() {
    let folder = folder();
    let cluster = CLUSTER.replace("v1.13.9", "v1.14.6").replace("v1.36.3", "v1.37.2").replace(
        "  patches: [\"machine: {sysctls: {net.core.somaxconn: '1024'}}\"]\n",
        "  patches:\n    - {apiVersion: v1alpha1, kind: VolumeConfig, name: EPHEMERAL, provisioning: {minSize: 4GiB, maxSize: 8GiB}}\n    - {apiVersion: v1alpha1, kind: VolumeConfig, name: EPHEMERAL, provisioning: {maxSize: 9GiB}}\n    - {cluster: {acceptedCAs: [{crt: QUJD}]}}\n",
    );
    let outcome = pipe(folder.path(), &cluster, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for said in ["patch 2 erases provisioning.minSize of VolumeConfig/EPHEMERAL", "cluster.acceptedCAs is ignored"] {
        assert_eq!(outcome.stderr.matches(said).count(), 1, "{said}: {}", outcome.stderr);
    }
    // These are disk images: nothing has to be installed.
    assert!(!outcome.stderr.contains("runs from memory"), "{}", outcome.stderr);
}

#[test]
fn a_kubernetes_that_the_talos_does_not_run_is_refused_before_any_step_acts() {
    let folder = folder();
    let outcome = pipe(folder.path(), &CLUSTER.replace("v1.36.3", "v1.20.0"), &[]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.stderr.contains("Talos v1.13.9 does not run Kubernetes v1.20.0"), "{}", outcome.stderr);
    assert!(!folder.path().join("lab/nodes").exists());
}

#[test]
fn a_patch_that_does_not_fit_stops_its_nodes_with_one_clear_message() {
    let folder = folder();
    let with = |patch: &str| {
        pipe(folder.path(), &CLUSTER.replace("machine: {sysctls: {net.core.somaxconn: '1024'}}", patch), &[])
    };
    for (patch, message, hint) in [
        ("machine: {sysctl: {a: '1'}}", "unknown key \"sysctl\" in machine", "did you mean \"sysctls\"?"),
        ("machine: {token: abc}", "patch 1 contains a secret at v1alpha1 machine.token", "@file"),
        (
            "[{op: add, path: /machine/token, value: abc}]",
            "patch 1 contains a secret at v1alpha1 machine.token",
            "@file",
        ),
        ("machine: {network: {hostname: a}}", "static hostname is already set in v1alpha1 config", ""),
        ("[{op: remove, path: /machine}]", "not supported for multi-document", "write the patch as YAML"),
    ] {
        let outcome = with(patch);
        assert_eq!(outcome.code, 8, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(message) && outcome.stderr.contains(hint), "{}", outcome.stderr);
    }
}

#[test]
fn a_role_label_on_a_worker_is_refused_before_a_node_refuses_it() {
    let folder = folder();
    let outcome = pipe(folder.path(), &CLUSTER.replace("rack: r1", "node-role.kubernetes.io/worker: ''"), &[]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.stderr.contains("NodeRestriction"), "{}", outcome.stderr);
    assert!(outcome.node("cp-1")["status"].get("error").is_none());
    let outcome = pipe(folder.path(), &CLUSTER.replace("labels: {rack: r1}", "taints: {gpu: NoSchedule}"), &[]);
    assert_eq!(outcome.code, 8);
    assert!(outcome.stderr.contains("registerWithTaints"), "{}", outcome.stderr);
}

#[test]
fn inline_configs_go_into_the_records_and_not_into_files() {
    let folder = folder();
    let outcome = pipe(folder.path(), CLUSTER, &["--inline"]);
    let config = &outcome.node("w-1")["status"]["config"];
    assert!(config["inline"].as_str().unwrap().starts_with("version: v1alpha1\n"));
    assert!(config.get("file").is_none() && !folder.path().join("lab/nodes").exists());
}

#[test]
fn existing_files_are_kept_unless_forced() {
    let folder = folder();
    let again = |flags: &[&str]| {
        let mut command = gen_in(folder.path());
        command.args(["secrets", "--talos-version", "v1.6", "-o", "lab/secrets.yaml"]).args(flags);
        command.output().unwrap().status.code()
    };
    let before = std::fs::read(folder.path().join("lab/secrets.yaml")).unwrap();
    assert_eq!(again(&[]), Some(7));
    assert_eq!(std::fs::read(folder.path().join("lab/secrets.yaml")).unwrap(), before);
    assert_eq!(again(&["--force"]), Some(0));
}

#[test]
fn patch_validate_and_diff_work_alone() {
    let folder = folder();
    let config = ["config", "lab", "https://10.0.0.10:6443", "--with-secrets", "lab/secrets.yaml"];
    assert!(gen_in(folder.path()).args(config).output().unwrap().status.success());
    let patch = "machine: {sysctls: {a: '1'}}";
    let mut command = gen_in(folder.path());
    let output = command.args(["patch", "worker.yaml", "-p", patch, "-o", "patched.yaml"]).output().unwrap();
    assert!(output.status.success());
    let output = gen_in(folder.path()).args(["diff", "worker.yaml", "patched.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("+        a: \"1\"\n"));
    let validate = |mode: &str| {
        let mut command = gen_in(folder.path());
        command.args(["validate", "-c", "patched.yaml", "-m", mode]).output().unwrap().status.code()
    };
    assert_eq!((validate("cloud"), validate("metal"), validate("moon")), (Some(0), Some(0), Some(2)));
    let same = gen_in(folder.path()).args(["diff", "worker.yaml", "worker.yaml"]).output().unwrap();
    assert_eq!((same.status.code(), same.stdout.len()), (Some(0), 0));
}

#[test]
fn an_endpoint_that_is_no_https_url_is_wrong_usage() {
    let folder = folder();
    for endpoint in ["10.0.0.10", "10.0.0.10:6443", "http://10.0.0.10:6443", "https://"] {
        let output = gen_in(folder.path()).args(["config", "lab", endpoint, "-o", "-"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{endpoint}");
    }
}
