//! Real clients, where they are installed, judge the lab.
//!
//! Talos's own client and config validator (Go), `proxmoxer` (Python) and `talosctl`. `scripts/judges` builds them, and
//! a test without its judge is skipped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use lab::delays::Delays;
use lab::{Lab, Options};
use tokio::process::Command;

/// How long one run of a judge may take.
const BOUND: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs a program; a failure shows all of its output.
async fn run(command: &mut Command) -> String {
    let output = tokio::time::timeout(BOUND, command.kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} does not end")).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

async fn cluster(name: &str) -> Lab {
    let options =
        Options { name: name.to_owned(), control_planes: 3, workers: 1, delays: Delays::ZERO, ..Options::default() };
    let lab = Lab::start(options).await.unwrap();
    lab.bring_up().await.unwrap();
    lab
}

fn address(lab: &Lab, node: &str) -> String {
    lab.talos().node(node).unwrap().address().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_talos_finds_a_node_of_talos() {
    let Some(judge) = judges::require("talos-client") else { return };
    let lab = cluster("judged").await;
    let talosconfig = lab.dir().join("talosconfig");
    for node in ["cp-1", "cp-2"] {
        let said = run(Command::new(&judge).arg("node").arg(&talosconfig).arg(address(&lab, node))).await;
        assert!(said.contains("checks"), "{said}");
    }
    for node in ["cp-1", "w-1"] {
        let said = run(Command::new(&judge).arg("specs").arg(&talosconfig).arg(address(&lab, node))).await;
        assert!(said.contains("resources"), "{said}");
    }
    let said = run(Command::new(&judge).arg("reboot").arg(&talosconfig).arg(address(&lab, "cp-3"))).await;
    assert!(said.contains("runs and is ready"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validator_of_talos_1_13_accepts_every_config_that_talos_gen_makes() {
    let Some(judge) = judges::require("talos-client") else { return };
    configs_are_accepted(&judge, &["v1.9", "v1.10", "v1.11", "v1.12", "v1.13"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validator_of_talos_1_14_1_accepts_every_config_that_talos_gen_makes() {
    let Some(judge) = judges::require("talos-client-1.14") else { return };
    configs_are_accepted(&judge, &["v1.12", "v1.13", "v1.14"]).await;
}

async fn configs_are_accepted(judge: &Path, versions: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let ichor = ichor();
    run(Command::new(&ichor).args(["talos-gen", "secrets", "-o"]).arg(folder.path().join("secrets.yaml"))).await;
    let mut paths = Vec::new();
    for version in versions {
        let out = folder.path().join(version);
        let mut command = Command::new(&ichor);
        command.args(["talos-gen", "config", "judged", "https://10.0.0.10:6443", "--install-disk", "/dev/sda"]);
        command.args(["--talos-version", version, "--with-docs=false", "--with-examples=false"]);
        run(command.arg("--with-secrets").arg(folder.path().join("secrets.yaml")).arg("--output").arg(&out)).await;
        paths.extend(["controlplane.yaml", "worker.yaml"].map(|file| out.join(file)));
    }
    let said = run(Command::new(judge).arg("configs").args(&paths)).await;
    assert!(said.contains(&format!("configs: {}", paths.len())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compiler_of_talos_takes_and_refuses_what_the_table_of_expressions_says() {
    let Some(judge) = judges::require("talos-client") else { return };
    let table = std::fs::read_to_string(root().join("shared/config-rules/src/cel/tests/expressions.txt")).unwrap();
    let (mut wanted, mut environment) = (String::new(), None);
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '>'])) {
        match (line.split_at_checked(2), environment) {
            (Some((sign @ ("+ " | "- "), text)), Some(name)) => wanted.push_str(&format!("{sign}{name} {text}\n")),
            (Some(("+ " | "- ", _)), None) => {}
            // The judge has this release.
            _ => environment = line.strip_suffix(" 1.13"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows");
    std::fs::write(&rows, wanted.lines().map(|row| row[2..].to_owned() + "\n").collect::<String>()).unwrap();
    let said = run(Command::new(&judge).arg("expressions").arg(&rows)).await;
    let differs: Vec<_> = said.lines().zip(wanted.lines()).filter(|(said, wanted)| said != wanted).collect();
    assert!(differs.is_empty() && said.lines().count() == wanted.lines().count(), "{differs:#?}");
}

/// The multicall program, built by cargo for these tests.
fn ichor() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let mut command = std::process::Command::new(env!("CARGO"));
            command.args(["build", "-q", "--locked", "-p", "ichor", "--bin", "ichor", "--message-format", "json"]);
            // Build scripts that depend on cargo's variables for the package under test would rebuild everything.
            for (name, _) in std::env::vars_os() {
                let own = ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own));
                if own {
                    command.env_remove(name);
                }
            }
            let build = command.current_dir(root()).output().unwrap();
            assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
            let lines = String::from_utf8_lossy(&build.stdout).into_owned();
            let built = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut programs = built.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
            programs.find(|path| path.ends_with("ichor")).unwrap()
        })
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn proxmoxer_finds_a_proxmox_ve() {
    let Some(python) = judges::require("proxmoxer") else { return };
    let lab = Lab::start(Options::default()).await.unwrap();
    let image = lab::machine::Image {
        schematic: "0".repeat(64),
        version: "v1.13.9".to_owned(),
        platform: "nocloud".to_owned(),
        extensions: vec!["siderolabs/qemu-guest-agent".to_owned()],
    };
    lab.pve().add_talos_image("pve1", "local", "talos.qcow2", &image);
    lab.pve().add_token("poor@pve!token", "0", &[]);
    lab.pve().add_user("root@pam", "pw", &[]);
    lab.pve().add_user("factor@pve", "pw", &[]);
    lab.pve().add_totp("factor@pve", b"12345678901234567890");
    let spare = lab::pve::Storage::new("spare", lab::pve::StorageKind::Dir, &["images", "backup"]);
    lab.pve().add_storage(spare);
    let script = root().join("tests/conformance/python/proxmox.py");
    let mut command = Command::new(python);
    command.arg(script).arg(lab.pve().endpoint()).arg(lab.pve().token()).arg(lab.dir().join("pve-root-ca.pem"));
    // The secret in base32.
    command.arg("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let said = run(command.env("NO_PROXY", "127.0.0.0/8").env("no_proxy", "*")).await;
    assert!(said.contains("all as expected"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn talosctl_finds_a_cluster_of_talos() {
    let Some(talosctl) = judges::require("talosctl") else { return };
    let Some(python) = judges::require("python3") else { return };
    let lab = cluster("judged").await;
    let node = address(&lab, "cp-1");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&talosctl);
        command.arg("--talosconfig").arg(lab.dir().join("talosconfig")).args(["-n", &node]).args(arguments);
        command
    };
    let folder = lab.dir().to_owned();
    let config = folder.join("cp-1.yaml");
    std::fs::write(&config, lab.talos().node("cp-1").unwrap().config().unwrap()).unwrap();
    let (config, database) = (config.to_str().unwrap(), folder.join("db"));
    let (capture, bundle, copied) = (folder.join("capture"), folder.join("support.zip"), folder.join("etc"));
    let sysctl = r#"{"machine": {"sysctls": {"vm.swappiness": "1"}}}"#;
    let expected: &[(&[&str], &str)] = &[
        (&["version"], "Tag:         v1.13.9"),
        (&["get", "rd"], "zswapstatuses.block.talos.dev"),
        (&["get", "members"], "cp-3"),
        (&["get", "members", "cp-2", "-o", "jsonpath={.spec.machineType}"], "controlplane"),
        (&["get", "machinestatus", "-o", "yaml"], "stage: running"),
        (&["get", "machineconfig", "v1alpha1", "-o", "json"], "clusterName: judged"),
        (&["services"], "kubelet"),
        (&["service", "etcd"], "Started task etcd (PID "),
        (&["service", "kubelet", "restart"], "Service \"kubelet\" restarted"),
        (&["health", "--wait-timeout", "30s"], "waiting for all k8s nodes to report schedulable: OK"),
        (&["health", "--server=false", "--wait-timeout", "60s"], "waiting for coredns to report ready: OK"),
        (&["apply-config", "--dry-run", "-f", config], "No changes."),
        (&["patch", "mc", "--dry-run", "-p", sysctl], "+        vm.swappiness: \"1\""),
        (&["patch", "mc", "-p", sysctl], "Applied configuration without a reboot"),
        (&["get", "kernelparams", "proc.sys.vm.swappiness"], "1"),
        (&["logs", "machined"], "boot sequence: done"),
        (&["logs", "etcd", "--tail", "1"], "etcd is running"),
        (&["logs", "dns-resolve-cache"], "dns-resolve-cache is running"),
        (&["dmesg"], "booting Talos"),
        (&["etcd", "members"], "cp-2"),
        (&["etcd", "status"], "3.6.0"),
        (&["etcd", "snapshot", database.to_str().unwrap()], "total keys"),
        (&["etcd", "downgrade", "validate", "3.5"], "cluster version 3.6"),
        (&["kubeconfig", "--merge=false", "-"], "current-context: admin@judged"),
        (&["containers", "-k"], "SANDBOX_READY"),
        (&["stats", "-k"], ":kube-apiserver:"),
        (&["processes"], "/usr/local/bin/etcd"),
        (&["netstat", "-a", "-p"], "/kube-apiserver"),
        (&["cgroups", "--preset", "memory"], "──podruntime"),
        (&["cgroups", "--preset", "io"], "sda: "),
        (&["mounts"], "/dev/sda6"),
        (&["memory", "-v"], "AnonPages: "),
        (&["list", "-l", "/etc"], "mtab -> /proc/mounts"),
        (&["usage", "-a", "-d", "1", "/etc"], "os-release"),
        (&["read", "/proc/cpuinfo"], "model name"),
        (&["read", "/proc/bus/pci/devices"], "virtio-pci"),
        (&["copy", "/etc", copied.to_str().unwrap()], ""),
        (&["image", "ls", "--namespace", "system"], "/kubelet:v1.36.3"),
        (&["pcap", "--duration", "1s", "-o", capture.to_str().unwrap()], ""),
        (&["inspect", "dependencies"], "MachineStatuses.runtime.talos.dev"),
        (&["meta", "write", "0x0b", "kept"], ""),
        (&["get", "meta", "0x0b"], "kept"),
        (&["meta", "delete", "0x0b"], ""),
        (&["support", "-O", bundle.to_str().unwrap()], ""),
        (&["upgrade-k8s", "--dry-run", "--to", "1.36.3"], "updating manifests (dry run)"),
        (&["rotate-ca", "--dry-run", "--talos=false"], "Dry-run mode enabled, no changes were made"),
        (&["reboot", "--wait", "--timeout", "60s"], "post check passed"),
    ];
    std::fs::create_dir(&copied).unwrap();
    for (arguments, text) in expected {
        let said = run(&mut command(arguments)).await;
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
    let mut dashboard = Command::new(python);
    dashboard.arg(root().join("tests/conformance/python/dashboard.py")).arg("controlplane,cp-1,Running,v1.36.3,lo");
    dashboard.arg(&talosctl).arg("--talosconfig").arg(lab.dir().join("talosconfig")).args(["-n", &node, "dashboard"]);
    let said = run(&mut dashboard).await;
    assert!(said.contains("all shown"), "{said}");
    assert_eq!(std::fs::read(&capture).unwrap()[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
    assert!(std::fs::read_to_string(copied.join("hosts")).unwrap().contains(&node));
    let again = command(&["bootstrap"]).output().await.unwrap();
    let again = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.contains("code = AlreadyExists desc = etcd data directory is not empty"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn talosctl_upgrades_kubernetes() {
    let Some(talosctl) = judges::require("talosctl") else { return };
    let lab = cluster("judged").await;
    let mut command = Command::new(&talosctl);
    command.args(["upgrade-k8s", "--to", "1.36.4", "--talosconfig"]).arg(lab.dir().join("talosconfig"));
    let said = run(command.args(["-n", &address(&lab, "cp-1")])).await;
    assert!(said.contains("update kubelet: 1.36.3 -> 1.36.4") && said.contains("fully reconciled"), "{said}");
    for node in ["cp-1", "cp-2", "cp-3", "w-1"] {
        let config = lab.talos().node(node).unwrap().config().unwrap();
        assert!(config.contains("kubelet:v1.36.4"), "{node}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn talosctl_takes_nodes_down_and_up_again() {
    let Some(talosctl) = judges::require("talosctl") else { return };
    let lab = cluster("judged").await;
    let command = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(&talosctl);
        command.args(arguments).arg("--talosconfig").arg(lab.dir().join("talosconfig"));
        command.args(["-n", &address(&lab, name)]);
        command
    };
    let schematic = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
    let image = format!("factory.talos.dev/nocloud-installer/{schematic}:v1.13.10");
    let upgrade = ["upgrade", "--image", &image, "--timeout", "50s"];
    let said = run(&mut command("cp-2", &upgrade)).await;
    assert!(said.contains("post check passed"), "{said}");
    let said = run(&mut command("cp-2", &["version"])).await;
    assert!(said.contains("v1.13.10"), "{said}");
    let reset = ["reset", "--reboot", "--system-labels-to-wipe", "STATE", "--wait", "--timeout", "50s"];
    let place = address(&lab, "cp-3");
    let said = run(&mut command("cp-3", &reset)).await;
    assert!(said.contains("phase: leave action: START") && said.contains("post check passed"), "{said}");
    let mut insecure = Command::new(&talosctl);
    let said = run(insecure.args(["get", "machinestatus", "--insecure", "-n", &place])).await;
    assert!(said.contains("maintenance"), "{said}");
    let said = run(&mut command("w-1", &["shutdown", "--wait", "--timeout", "50s"])).await;
    assert!(said.contains("events check condition met"), "{said}");
}
