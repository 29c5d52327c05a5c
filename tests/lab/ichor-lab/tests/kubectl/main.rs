//! The Kubernetes API as `kubectl` sees it.
//!
//! Runs with the `kubectl` on PATH; where there is none, the tests are skipped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use lab::machine::Machines;
use lab::{Lab, Options};

/// How long kubectl may take: the first run of a large program from a cold, busy disk takes long.
const BOUND: Duration = Duration::from_secs(90);

/// A cluster with a control plane and a worker, ready, and a folder for files.
struct Cluster {
    lab: Lab,
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

async fn cluster() -> Cluster {
    let lab = Lab::start(Options { workers: 1, ..Options::default() }).await.unwrap();
    lab.bring_up().await.unwrap();
    let kubeconfig = lab.dir().join("kubeconfig");
    Cluster { lab, folder: tempfile::tempdir().unwrap(), kubeconfig }
}

/// Runs kubectl on a cluster; gives `(standard output, whether it succeeded)`, or nothing where there is no kubectl.
async fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Option<(String, bool)> {
    let program = judges::require("kubectl")?;
    let home = cluster.folder.path();
    let command = Command::new(program)
        .args(["--kubeconfig", &cluster.kubeconfig.to_string_lossy()])
        .args(arguments)
        .env("HOME", home)
        .env("KUBECACHEDIR", home)
        .env("NO_PROXY", "127.0.0.0/8")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BOUND, command).await.expect("kubectl ends in time").expect("kubectl starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((text, output.status.success()))
}

macro_rules! kubectl {
    ($cluster:expr, $($argument:expr),+) => {
        match kubectl(&$cluster, &[$($argument),+]).await {
            Some(result) => result,
            None => return,
        }
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_nodes_as_those_of_talos() {
    let cluster = cluster().await;
    let worker = cluster.lab.talos().node("w-1").unwrap();
    let labels = "machine:\n    nodeLabels: {topology.kubernetes.io/zone: pve1, node-role.kubernetes.io/worker: ''}";
    worker.apply(&worker.config().unwrap().replacen("machine:", labels, 1)).unwrap();

    let (wide, _) = kubectl!(cluster, "get", "nodes", "-o", "wide");
    let lines: Vec<Vec<&str>> = wide.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..5], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"], "{wide}");
    assert_eq!(lines[1][..3], ["cp-1", "Ready", "control-plane"], "{wide}");
    assert_eq!(lines[2][..3], ["w-1", "Ready", "<none>"], "{wide}");
    assert_eq!(lines[2][4..6], ["v1.36.3", &worker.address().unwrap().to_string()], "{wide}");
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
    let cluster = cluster().await;

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
    let cluster = cluster().await;

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
    let cluster = cluster().await;
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
    let cluster = cluster().await;
    let Some(kubectl) = judges::require("kubectl") else { return };
    let spawned = Command::new(kubectl)
        .args(["--kubeconfig", &cluster.kubeconfig.to_string_lossy(), "get", "nodes", "-w"])
        .env("HOME", cluster.folder.path())
        .env("NO_PROXY", "127.0.0.0/8")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
    for _ in 0..3 {
        next().await;
    }

    let vms = cluster.lab.pve().vms();
    cluster.lab.talos().power_off(&vms.iter().find(|vm| vm.name == "w-1").unwrap().uuid);

    let line = next().await;
    assert!(line.starts_with("w-1") && line.contains("NotReady"), "{line}");
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_status_objects() {
    let cluster = cluster().await;
    let text = std::fs::read_to_string(&cluster.kubeconfig).unwrap();
    let anonymous: String =
        text.lines().filter(|line| !line.contains("client-")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&cluster.kubeconfig, anonymous.replace("  user:\n", "  user: {token: nobody}\n")).unwrap();

    let (refused, good) = kubectl!(cluster, "get", "nodes");

    assert!(!good);
    assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");
    assert!(Path::new(&cluster.kubeconfig).exists());
}

const MANIFEST: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: demo}
data: {a: "1", b: "2"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1", ports: [{containerPort: 80}]}
"#;

/// Runs kubectl again and again; each run must succeed and print the text.
macro_rules! prints {
    ($cluster:expr, $(($($argument:expr),+) => $text:expr),+ $(,)?) => {
        $(
            let (said, good) = kubectl!($cluster, $($argument),+);
            assert!(good && said.contains($text), "{:?} prints {said}", [$($argument),+]);
        )+
    };
}

/// Runs kubectl again and again; each run must fail and print the text.
macro_rules! fails {
    ($cluster:expr, $(($($argument:expr),+) => $text:expr),+ $(,)?) => {
        $(
            let (said, good) = kubectl!($cluster, $($argument),+);
            assert!(!good && said.contains($text), "{:?} prints {said}", [$($argument),+]);
        )+
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_what_a_file_says_and_what_it_no_longer_says_goes() {
    let cluster = cluster().await;
    let (first, second) = (cluster.folder.path().join("1.yaml"), cluster.folder.path().join("2.yaml"));
    std::fs::write(&first, MANIFEST).unwrap();
    std::fs::write(&second, MANIFEST.replace("b: \"2\"", "c: \"3\"").replace("web:1", "web:2")).unwrap();
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    let data = "jsonpath={.data}";
    prints!(cluster,
        ("apply", "-f", first) => "deployment.apps/web created",
        ("rollout", "status", "-n", "demo", "deploy/web", "--timeout=10s") => "successfully rolled out",
        ("apply", "-f", second) => "configmap/settings configured",
        ("get", "configmap", "-n", "demo", "settings", "-o", data) => r#"{"a":"1","c":"3"}"#,
        ("get", "pods", "-n", "demo", "-o", "custom-columns=I:.spec.containers[*].image") => "web:2\nweb:2\n",
        ("scale", "-n", "demo", "deploy/web", "--replicas=1") => "deployment.apps/web scaled",
        ("get", "deploy", "-n", "demo") => "1/1",
        ("delete", "ns", "demo", "--wait=false") => "namespace \"demo\" deleted",
    );
    fails!(cluster, ("get", "deploy", "-n", "demo", "web") => "Error from server (NotFound)");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_on_the_server_and_others_keep_what_is_theirs() {
    let cluster = cluster().await;
    let file = cluster.folder.path().join("1.yaml");
    std::fs::write(&file, MANIFEST).unwrap();
    let file = file.to_str().unwrap();
    let set = r#"{"data":{"a":"9"}}"#;
    prints!(cluster,
        ("apply", "--server-side", "-f", file) => "configmap/settings serverside-applied",
        ("patch", "configmap", "-n", "demo", "settings", "--type=merge", "-p", set) => "configmap/settings patched",
    );
    let conflict = "conflict with \"kubectl-patch\" using v1: .data.a";
    fails!(cluster, ("apply", "--server-side", "-f", file) => conflict);
    prints!(cluster,
        ("apply", "--server-side", "--force-conflicts", "-f", file) => "configmap/settings serverside-applied",
        ("get", "configmap", "-n", "demo", "settings", "-o", "jsonpath={.data.a}") => "1",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_what_it_sends_in_protobuf_and_is_told_what_is_wrong() {
    let cluster = cluster().await;
    prints!(cluster,
        ("create", "ns", "other") => "namespace/other created",
        ("create", "configmap", "c", "-n", "other", "--from-literal=a=b") => "configmap/c created",
        ("create", "secret", "generic", "s", "-n", "other", "--from-literal=a=b") => "secret/s created",
        ("get", "secret", "-n", "other", "s", "-o", "jsonpath={.data.a}") => "Yg==",
        ("create", "deployment", "d", "-n", "other", "--image=x", "--replicas=2") => "deployment.apps/d created",
        ("wait", "-n", "other", "--for=condition=Available", "deploy/d", "--timeout=10s") => "condition met",
        ("create", "clusterrolebinding", "b", "--clusterrole=view", "--user=x") => "clusterrolebinding.rbac.authorization.k8s.io/b created",
        ("create", "deployment", "e", "--image=x", "--dry-run=server", "-o", "name") => "deployment.apps/e",
        ("get", "serviceaccounts", "-n", "other") => "default",
    );
    fails!(cluster,
        ("create", "ns", "other") => "Error from server (AlreadyExists): namespaces \"other\" already exists",
        ("create", "configmap", "c", "-n", "none") => "namespaces \"none\" not found",
        ("create", "configmap", "C") => "ConfigMap \"C\" is invalid: metadata.name: Invalid value: \"C\"",
        ("delete", "ns", "default") => "namespaces \"default\" is forbidden: this namespace may not be deleted",
        ("get", "deploy", "e") => "deployments.apps \"e\" not found",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_describes_explains_and_shows_leases_events_and_logs() {
    let cluster = cluster().await;
    prints!(cluster,
        ("describe", "node", "w-1") => "RenewTime:",
        ("describe", "node", "w-1") => "RegisteredNode",
        ("describe", "pod", "-n", "kube-system", "kube-apiserver-cp-1") => "Controlled By:  Node/cp-1",
        ("get", "leases", "-n", "kube-node-lease", "-o", "name") => "lease.coordination.k8s.io/w-1",
        ("cordon", "w-1") => "node/w-1 cordoned",
        ("get", "events") => "NodeNotSchedulable",
        ("logs", "-n", "kube-system", "kube-apiserver-cp-1", "--tail=1") => "Serving securely on [::]:6443",
        ("explain", "node") => "KIND:       Node",
        ("explain", "node.spec.taints") => "effect\t<string>",
        ("api-resources") => "coordination.k8s.io/v1",
        ("cluster-info") => "CoreDNS is running at",
        ("label", "node", "w-1", "a=b") => "node/w-1 labeled",
        ("annotate", "node", "w-1", "a=b") => "node/w-1 annotated",
        ("taint", "node", "w-1", "x=y:NoExecute") => "node/w-1 tainted",
        ("get", "node", "w-1", "-o", "jsonpath={.spec.taints[*].key} {.metadata.labels.a}") => "x b",
        ("taint", "node", "w-1", "x:NoExecute-") => "node/w-1 untainted",
        ("patch", "node", "w-1", "--type=json", "-p", r#"[{"op":"remove","path":"/metadata/labels/a"}]"#) => "node/w-1 patched",
    );
    fails!(cluster,
        ("top", "nodes") => "error: Metrics API not available",
        ("logs", "-n", "kube-system", "kube-apiserver-cp-1", "-c", "x") => "container x is not valid for pod kube-apiserver-cp-1",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_followed_goes_on_until_its_pod_is_gone() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let cluster = cluster().await;
    prints!(cluster, ("run", "followed", "--image=nginx:1") => "pod/followed created");
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(&cluster.kubeconfig).args(["logs", "-f", "followed"]);
    command.env("HOME", cluster.folder.path()).env("NO_PROXY", "127.0.0.0/8");
    let mut follows = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(BOUND, lines.next_line()).await.unwrap().unwrap();
    assert!(first.is_some_and(|line| line.ends_with("Version: 1")));
    assert!(follows.try_wait().unwrap().is_none(), "it ended before its pod did");
    prints!(cluster, ("delete", "pod", "followed") => "deleted");
    assert!(tokio::time::timeout(BOUND, follows.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_asks_what_it_may() {
    let cluster = cluster().await;
    prints!(cluster,
        ("auth", "can-i", "create", "pods") => "yes",
        ("auth", "can-i", "--list") => "*.*",
        ("auth", "whoami") => "system:masters",
        ("get", "clusterroles", "-o", "name") => "clusterrole.rbac.authorization.k8s.io/view",
        ("describe", "clusterrolebinding", "cluster-admin") => "system:masters",
        ("describe", "clusterrole", "view") => "pods",
        ("get", "priorityclasses") => "2000001000",
    );
}

/// Puts a text into a file of a cluster's folder.
fn file(cluster: &Cluster, name: &str, text: &str) -> String {
    let path = cluster.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

mod custom;
mod deleting;
mod installing;
mod workloads;
