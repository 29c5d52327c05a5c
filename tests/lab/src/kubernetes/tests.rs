//! The Kubernetes API as `kubectl` sees it.
//!
//! Runs with the `kubectl` on PATH; where there is none, the tests say so and check nothing.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use crate::machine::Machines;
use crate::talos::testing::{Cluster, cluster};

/// How long kubectl may take: the first run of a large program from a cold, busy disk takes long.
const BOUND: Duration = Duration::from_secs(90);

/// Runs kubectl on a cluster; gives `(standard output, whether it succeeded)`, or nothing where there is no kubectl.
async fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Option<(String, bool)> {
    let home = cluster.folder.path();
    let command = Command::new("kubectl")
        .args(["--kubeconfig", &cluster.kubeconfig.to_string_lossy()])
        .args(arguments)
        .env("HOME", home)
        .env("KUBECACHEDIR", home)
        .env("NO_PROXY", "127.0.0.0/8")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(output) = tokio::time::timeout(BOUND, command).await.expect("kubectl ends in time") else { return None };
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((text, output.status.success()))
}

/// Says that nothing was checked.
fn skipped() {
    let _ = writeln!(std::io::stderr(), "no kubectl on PATH: skipped");
}

macro_rules! kubectl {
    ($cluster:expr, $($argument:expr),+) => {
        match kubectl(&$cluster, &[$($argument),+]).await {
            Some(result) => result,
            None => return skipped(),
        }
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_nodes_as_those_of_talos() {
    let cluster = cluster("127.82.1.0/24").await;

    let (wide, _) = kubectl!(cluster, "get", "nodes", "-o", "wide");
    let lines: Vec<Vec<&str>> = wide.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..5], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"], "{wide}");
    assert_eq!(lines[1][..3], ["cp-1", "Ready", "control-plane"], "{wide}");
    assert_eq!(lines[2][..3], ["w-1", "Ready", "<none>"], "{wide}");
    assert_eq!(lines[2][4..6], ["v1.36.3", "127.82.1.12"], "{wide}");
    assert!(wide.contains("Talos (v1.13.9)") && wide.contains("containerd://"), "{wide}");

    let (names, _) = kubectl!(cluster, "get", "nodes", "-o", "name");
    assert_eq!(names, "node/cp-1\nnode/w-1\n");
    let (zone, _) = kubectl!(
        cluster,
        "get",
        "node",
        "-l",
        "topology.kubernetes.io/zone=pve1",
        "-o",
        "jsonpath={.items[*].metadata.name}"
    );
    assert_eq!(zone, "w-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_for_nodes_and_asks_for_health_and_version() {
    let cluster = cluster("127.82.2.0/24").await;

    let (waited, good) = kubectl!(cluster, "wait", "--for=condition=Ready", "node", "--all", "--timeout=10s");
    assert!(good, "{waited}");
    assert_eq!(waited, "node/cp-1 condition met\nnode/w-1 condition met\n");
    let (ready, _) = kubectl!(cluster, "get", "--raw", "/readyz");
    assert_eq!(ready, "ok");
    let (version, _) = kubectl!(cluster, "version");
    assert!(version.contains("Server Version: v1.36.3"), "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_cordons_deletes_and_is_told_what_is_missing() {
    let cluster = cluster("127.82.3.0/24").await;

    let (cordoned, good) = kubectl!(cluster, "cordon", "w-1");
    assert!(good, "{cordoned}");
    let (nodes, _) = kubectl!(cluster, "get", "nodes");
    assert!(nodes.contains("Ready,SchedulingDisabled"), "{nodes}");
    let (missing, good) = kubectl!(cluster, "get", "node", "nobody");
    assert!(!good);
    assert!(missing.contains("Error from server (NotFound): nodes \"nobody\" not found"), "{missing}");
    let (pods, _) = kubectl!(cluster, "get", "pods", "-A", "-o", "wide");
    assert!(pods.contains("kube-apiserver-cp-1"), "{pods}");
    let (deleted, good) = kubectl!(cluster, "delete", "node", "w-1");
    assert!(good, "{deleted}");
    let (names, _) = kubectl!(cluster, "get", "nodes", "-o", "name");
    assert_eq!(names, "node/cp-1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_drains_a_node_and_its_pods_come_up_elsewhere() {
    let cluster = cluster("127.82.6.0/24").await;
    let (drained, good) = kubectl!(cluster, "drain", "w-1", "--ignore-daemonsets", "--timeout=60s");
    assert!(good && drained.contains("node/w-1 drained"), "{drained}");
    let (pods, _) = kubectl!(cluster, "get", "pods", "-A", "-o", "wide");
    let names: Vec<&str> = pods.lines().filter(|line| line.contains("coredns")).collect();
    assert_eq!(names.len(), 2, "{pods}");
    assert!(names.iter().all(|line| line.contains("cp-1")), "{pods}");
    assert!(pods.lines().any(|line| line.contains("kube-proxy") && line.contains("w-1")), "daemons stay: {pods}");
    let (sets, _) = kubectl!(cluster, "get", "daemonsets,deployments", "-A");
    assert!(sets.contains("DESIRED") && sets.contains("2/2"), "{sets}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_a_node_that_goes_down() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let cluster = cluster("127.82.4.0/24").await;
    let spawned = Command::new("kubectl")
        .args(["--kubeconfig", &cluster.kubeconfig.to_string_lossy(), "get", "nodes", "-w"])
        .env("HOME", cluster.folder.path())
        .env("NO_PROXY", "127.0.0.0/8")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = spawned else { return skipped() };
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
    for _ in 0..3 {
        next().await;
    }

    let talos = Arc::clone(&cluster.talos);
    talos.power_off(&talos.read(|world| world.nodes[1].machine.uuid.clone()));

    let line = next().await;
    assert!(line.starts_with("w-1") && line.contains("NotReady"), "{line}");
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_status_objects() {
    let cluster = cluster("127.82.5.0/24").await;
    let text = std::fs::read_to_string(&cluster.kubeconfig).unwrap();
    let anonymous: String =
        text.lines().filter(|line| !line.contains("client-")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&cluster.kubeconfig, anonymous.replace("  user:\n", "  user: {token: nobody}\n")).unwrap();

    let (refused, good) = kubectl!(cluster, "get", "nodes");

    assert!(!good);
    assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");
    assert!(Path::new(&cluster.kubeconfig).exists());
}
