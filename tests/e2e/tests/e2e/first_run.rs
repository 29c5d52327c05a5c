use std::time::Instant;

use crate::support::{Shape, World, changes};

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_and_two_workers_come_up_and_the_second_run_changes_nothing_in_a_quarter_of_the_time() {
    let world = World::start(Shape { realistic: true, ..Shape::SMALL }).await;
    let begin = Instant::now();
    let first = world.up().await.exits(0);
    let first_took = begin.elapsed();
    world.assert_up(&world.names());
    assert!(world.scratch.read("kubeconfig").contains("client-certificate-data"));
    assert!(!changes(&first).is_empty());

    let before = world.touches();
    let begin = Instant::now();
    let second = world.up().await.exits(0);
    let second_took = begin.elapsed();
    assert_eq!(changes(&second), []);
    assert_eq!(world.touches(), before, "the second run touched something");
    assert!(second_took < first_took / 4, "second run {second_took:?}, first run {first_took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_stream_is_valid_input_for_every_step() {
    let world = World::start(Shape::SMALL).await;
    world.sh(&format!("{} > lab.jsonl", World::pipe())).await.exits(0);
    let before = world.touches();
    for step in PIPE_AFTER_THE_IMAGE {
        let outcome = world.sh(&format!("{step} -f lab.jsonl")).await.exits(0);
        let own = record_row(step);
        let changed: Vec<_> = changes(&outcome)
            .into_iter()
            .filter(|change| own.stale(change.scope).any(|field| field == change.field))
            .collect();
        assert!(changed.is_empty(), "{step}: {changed:?}");
    }
    let again = World::pipe().replacen("talos-image | pve-vm", "pve-vm -f lab.jsonl", 1);
    world.sh(&again).await.exits(0);
    assert_eq!(world.touches(), before);
    world.assert_up(&world.names());
}

const PIPE_AFTER_THE_IMAGE: [&str; 6] = [
    "pve-vm --parallel 1",
    "talos-gen",
    "talos-apply --parallel 1",
    "talos-bootstrap",
    "kubeconfig-export --to kubeconfig",
    "talos-wait --for ready",
];

fn record_row(command: &str) -> &'static record::table::Row {
    record::table::PIPE.into_iter().find(|row| command.split(' ').next() == Some(row.name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_behind_a_vip_come_up_with_everything_against_them() {
    if judges::require("jq").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 12, ..Shape::HA }).await;
    workers_first(&world);
    world.edit("spec:\n", "spec:\n  discovery: false\n");
    let steps = World::pipe_with(" | jq -c . | ")
        .replace("pve-vm", "pve-vm --parallel 1")
        .replace("talos-apply", "talos-apply --parallel 1");
    let outcome = world.sh(&steps).await.exits(0);
    world.assert_up(&world.names());
    assert_eq!(outcome.nodes().len(), 15);
    let vip = world.vip();
    assert!(world.lab.talos().holder(vip).is_some(), "nobody holds the VIP");
}

/// Moves the control planes to the end of the file.
fn workers_first(world: &World) {
    let text = world.file();
    let (head, nodes) = text.split_once("nodes:\n").unwrap();
    let (control_planes, workers): (Vec<_>, Vec<_>) = nodes.lines().partition(|line| line.contains("controlplane"));
    let text = format!("{head}nodes:\n{}\n{}\n", workers.join("\n"), control_planes.join("\n"));
    std::fs::write(world.lab.cluster_file(), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipe_works_one_whole_file_at_a_time() {
    if judges::require("jq").is_none() {
        return;
    }
    let world = World::start(Shape { workers: 12, ..Shape::HA }).await;
    workers_first(&world);
    world.edit("spec:\n", "spec:\n  discovery: false\n");
    world.sh("talos-image > 1.jsonl").await.exits(0);
    for (at, step) in PIPE_AFTER_THE_IMAGE.iter().enumerate() {
        world.sh(&format!("jq . {}.jsonl | {step} > {}.jsonl", at + 1, at + 2)).await.exits(0);
    }
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_addresses_are_found_through_the_guest_agent() {
    let world = World::start(Shape { dhcp: true, ..Shape::SMALL }).await;
    let outcome = world.up().await.exits(0);
    world.assert_up(&world.names());
    let address = outcome.node("w-1")["status"]["addresses"][0].as_str().unwrap().to_owned();
    assert_eq!(Some(address.parse().unwrap()), world.node("w-1").address());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_made_once_and_said_aloud() {
    let world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
    let secrets = world.scratch.path(world.lab.name()).join("secrets.yaml");
    std::fs::remove_file(&secrets).unwrap();
    world.up().await.exits(0).says("secrets");
    let made = std::fs::read(&secrets).unwrap();
    world.up().await.exits(0);
    assert_eq!(std::fs::read(&secrets).unwrap(), made);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secrets).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_labs_side_by_side_do_not_meet() {
    let (one, two) = tokio::join!(World::start(Shape::SMALL), World::start(Shape::SMALL));
    let (first, second) = tokio::join!(one.up(), two.up());
    first.exits(0);
    second.exits(0);
    one.assert_up(&one.names());
    two.assert_up(&two.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_the_same_time_make_one_cluster() {
    let world = World::start(Shape::HA).await;
    std::fs::remove_file(world.scratch.path(world.lab.name()).join("secrets.yaml")).unwrap();
    let (first, second) = tokio::join!(world.up(), world.up());
    first.exits(0);
    second.exits(0);
    world.assert_up(&world.names());
    assert_eq!(changes(&world.up().await.exits(0)), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_sees_the_nodes_with_the_exported_credentials() {
    let world = World::start(Shape::SMALL).await;
    world.edit("name: w-1, role: worker", "name: w-1, role: worker, labels: {topology.kubernetes.io/zone: rack-1}");
    world.up().await.exits(0);
    if !has_kubectl() {
        eprintln!("skipped: no kubectl");
        return;
    }
    let nodes = world.sh("kubectl --kubeconfig kubeconfig get nodes -o wide").await.exits(0).stdout;
    assert_eq!(nodes.matches(" Ready ").count(), 3, "{nodes}");
    let label =
        "kubectl --kubeconfig kubeconfig get node w-1 -o jsonpath='{.metadata.labels.topology\\.kubernetes\\.io/zone}'";
    assert_eq!(world.sh(label).await.exits(0).stdout, "rack-1");
    world.sh("kubectl --kubeconfig kubeconfig wait --for=condition=Ready node --all --timeout=20s").await.exits(0);
    world.sh("kubectl --kubeconfig kubeconfig version").await.exits(0);
    assert_eq!(world.sh("kubectl --kubeconfig kubeconfig get --raw /readyz").await.exits(0).stdout.trim(), "ok");
}

pub(crate) fn has_kubectl() -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("kubectl").exists()));
    assert!(found || std::env::var_os("CI").is_none(), "CI needs kubectl");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_before_comes_up_with_its_own_contract_and_kubernetes() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.edit("version: v1.13.9", "version: v1.12.4");
    let outcome = world.up().await.exits(0).says("v1.35");
    world.assert_up(&world.names());
    assert_eq!(outcome.end()["status"]["access"]["contract"], "v1.12");
    assert_eq!(outcome.end()["status"]["image"]["version"], "v1.12.4");
    world.sh(&World::pipe()).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_says_of_a_node_is_in_its_config() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.scratch.write("patches/all.yaml", "machine:\n    sysctls:\n        vm.max_map_count: \"262144\"\n");
    world.edit("spec:\n", "spec:\n  patches: [\"@patches/all.yaml\"]\n");
    let worker = "worker: {patches: [\"machine: {kubelet: {extraArgs: {v: '4'}}}\"], ";
    world.edit("worker: {", worker);
    let node =
        "{name: w-1, hostname: store.lab.lan, labels: {example.com/disk: nvme}, annotations: {example.com/rack: b7}, ";
    world.edit("{name: w-1, ", node);
    world.edit("{name: cp-1, ", "{name: cp-1, taints: {example.com/only: \"yes:NoSchedule\"}, ");
    world.up().await.exits(0);
    world.assert_up(&world.names());
    let (worker, other) = (world.node("w-1").config().unwrap(), world.node("cp-1").config().unwrap());
    for text in
        ["vm.max_map_count", "v: \"4\"", "hostname: store.lab.lan", "example.com/disk: nvme", "example.com/rack: b7"]
    {
        assert!(worker.contains(text), "{text:?} is not in:\n{worker}");
    }
    assert!(other.contains("vm.max_map_count") && !other.contains("v: \"4\""), "{other}");
    assert!(other.contains("example.com/only: yes:NoSchedule") && !worker.contains("example.com/only"), "{other}");
    assert_eq!(world.node("w-1").label("example.com/disk").as_deref(), Some("nvme"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipe_works_with_everything_inline_and_no_file_of_it_on_disk() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    let pipe = World::pipe().replacen("talos-gen", "talos-gen --inline", 1);
    let pipe = pipe.replacen("kubeconfig-export --to kubeconfig", "kubeconfig-export --inline", 1);
    let outcome = world.sh(&pipe).await.exits(0);
    world.assert_up(&world.names());
    let kubeconfig = &outcome.end()["status"]["kubeconfig"];
    assert!(kubeconfig["inline"].as_str().unwrap().contains("client-key-data"), "{kubeconfig}");
    assert!(kubeconfig.get("file").is_none());
    let files = world.scratch.files("lab");
    assert!(!files.iter().any(|file| file.starts_with("nodes") || file == "kubeconfig"), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_after_its_record_was_written_is_refused() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm | talos-gen > gen.jsonl").await.exits(0);
    let config = world.scratch.read("lab/nodes/w-1.yaml");
    world.scratch.write("lab/nodes/w-1.yaml", format!("# by hand\n{config}"));
    let outcome = world.sh("talos-apply -f gen.jsonl").await.exits(8).says("the file was changed after the record");
    assert_eq!(outcome.node("w-1")["status"]["error"]["code"], "digest-mismatch");
    assert!(world.node("w-1").config().is_none());
}
