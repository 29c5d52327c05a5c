use std::time::{Duration, Instant};

use tonic::Code;

use crate::support::{SOON, Shape, World};

const ONE: Shape = Shape { workers: 0, ..Shape::SMALL };
const BRIEFLY: &str = "talos-bootstrap -f applied.jsonl --wait-timeout 2s";

/// A lab whose control planes run their configs, in `applied.jsonl`.
async fn applied(shape: Shape) -> World {
    let world = World::start(shape).await;
    world.sh("talos-image | pve-vm | talos-gen | talos-apply > applied.jsonl").await.exits(0);
    world
}

fn requests(world: &World) -> u32 {
    world.node("cp-1").counts().bootstrapped
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_image_takes_long_is_asked_once_by_all_runs_and_says_why_it_takes_long() {
    let world = applied(ONE).await;
    world.node("cp-1").hold_etcd_pull(Some("dial tcp 10.5.0.1:5000: connect: connection refused"));
    // A node in a container has no kernel log.
    for _ in 0..50 {
        let words = "error opening /dev/kmsg reader: open /dev/kmsg: no such file or directory";
        world.node("cp-1").fail_next(Some("Dmesg"), Code::Unknown, words);
    }
    let first = world.sh(BRIEFLY).await.exits(5).says("started etcd on cp-1");
    first.says("failed to pull image \"registry.k8s.io/etcd").says("connection refused");
    for _ in 0..2 {
        world.sh(BRIEFLY).await.exits(5).says("etcd is starting on cp-1").never_says("started etcd");
    }
    assert_eq!(requests(&world), 1, "each request cancels the pull");

    world.node("cp-1").hold_etcd_pull(None);
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    assert_eq!((requests(&world), world.lab.talos().etcd_clusters(world.lab.name())), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_starting_is_not_asked_again_by_a_run_after_one_that_was_killed() {
    let world = applied(ONE).await;
    world.node("cp-1").hold_etcd_start(true);
    let mut killed = world.scratch.command("exec talos-bootstrap -f applied.jsonl").spawn().unwrap();
    assert!(world.node("cp-1").until(SOON, |node| node.counts().bootstrapped == 1).await);
    killed.kill().await.unwrap();
    // A node whose etcd doesn't run never answers this: who asks loses 20 s.
    world.node("cp-1").hang_next("EtcdMemberList");
    let begun = Instant::now();
    world.sh(BRIEFLY).await.exits(5).says("etcd on cp-1 has data but doesn't respond: Preparing");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    world.node("cp-1").hold_etcd_start(false);
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    assert_eq!((requests(&world), world.lab.talos().etcd_clusters(world.lab.name())), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_rebooted_before_etcd_had_data_is_asked_again() {
    let world = applied(ONE).await;
    world.node("cp-1").hold_etcd_pull(Some(""));
    world.sh(BRIEFLY).await.exits(5);
    world.node("cp-1").reboot();
    world.node("cp-1").hold_etcd_pull(None);
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0).says("started etcd on cp-1");
    assert_eq!((requests(&world), world.lab.talos().etcd_clusters(world.lab.name())), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_once_one_asks() {
    let world = applied(ONE).await;
    world.node("cp-1").hold_etcd_pull(Some(""));
    world.sh(&format!("{BRIEFLY} & {BRIEFLY} & {BRIEFLY} & wait")).await;
    assert_eq!(requests(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_was_stopped_for_good_is_recognised_and_started_by_a_reboot_that_is_allowed() {
    let world = applied(ONE).await;
    world.node("cp-1").hold_etcd_start(true);
    world.sh(BRIEFLY).await.exits(5);
    assert!(world.node("cp-1").bootstrap().is_err(), "somebody else's request stops it");
    world.node("cp-1").hold_etcd_start(false);

    let refused = world.sh(BRIEFLY).await.exits(7).says("--reboot-stuck");
    assert_eq!(refused.end()["status"]["error"]["code"], "etcd-stuck");
    let plan = world.sh("talos-bootstrap -f applied.jsonl --dry-run").await.exits(3);
    assert_eq!(plan.end()["status"]["bootstrap"]["changes"][0]["needs"], "--reboot-stuck", "{plan}");
    let before = world.node("cp-1").boot_id();
    let revived = world.sh("talos-bootstrap -f applied.jsonl --reboot-stuck").await.exits(0).says("rebooting cp-1");
    assert_eq!(revived.end()["status"]["bootstrap"]["changed"], true, "{revived}");
    assert_ne!(world.node("cp-1").boot_id(), before);
    let again = world.sh("talos-bootstrap -f applied.jsonl --reboot-stuck").await.exits(0);
    assert_eq!(again.end()["status"]["bootstrap"]["changed"], false, "{again}");
    assert_eq!((requests(&world), world.lab.talos().etcd_clusters(world.lab.name())), (1, 1));
}

/// Without a folder they have the talosconfig in common.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_lone_runs_at_once_one_asks() {
    let world = applied(ONE).await;
    let (node, name) = (world.node("cp-1"), world.lab.name());
    node.hold_etcd_pull(Some(""));
    // So slow that each looks before the other one asks.
    node.delay(Duration::from_millis(200));
    let address = node.address().unwrap();
    let one = format!("talos-bootstrap -n {address} --talosconfig {name}/talosconfig --wait-timeout 6s");

    world.sh(&format!("{one} & {one} & {one} & wait")).await;

    assert_eq!(requests(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_run_starts_no_second_etcd_beside_one_that_is_on_its_way_or_that_the_lock_remembers() {
    let world = applied(Shape { control_planes: 3, ..ONE }).await;
    let name = world.lab.name();
    let lone = |node: &str| {
        let address = world.node(node).address().unwrap();
        format!("talos-bootstrap -n {address} --talosconfig {name}/talosconfig --wait-timeout 3s")
    };
    world.node("cp-1").hold_etcd_pull(Some(""));
    world.sh(&lone("cp-1")).await.exits(5).says("started etcd");

    world.sh(&lone("cp-2")).await.exits(5).says("etcd is on its way on ").never_says("started etcd");

    world.node("cp-1").hold_etcd_pull(None);
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    assert_eq!(world.lab.talos().etcd_clusters(name), 1);
    let all = ["cp-1", "cp-2", "cp-3"];
    for node in all {
        assert!(world.node(node).until(SOON, lab::talos::NodeHandle::is_etcd_member).await, "{node}");
    }
    for node in all {
        let id = world.lab.pve().vm_by_name(node).unwrap().id;
        for (method, path) in [("POST", "/status/stop"), ("DELETE", "")] {
            world.lab.pve().call(method, &format!("/nodes/pve1/qemu/{id}{path}"), &[]).unwrap();
        }
    }
    world.sh("talos-image | pve-vm | talos-gen | talos-apply > applied.jsonl").await.exits(0);
    world.sh(&lone("cp-1")).await.exits(7).says("--fresh").never_says("started etcd");
}

/// Two people's files list the control planes in another order: both ask the same one.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_of_the_file_the_same_control_plane_is_asked() {
    let world = applied(Shape { control_planes: 3, ..ONE }).await;
    let turned = "jq -sc '(.[] | select(.kind == \"Cluster\" and (.end | not))), ([.[] | select(.kind == \"Node\")] | \
         sort_by(.name) | reverse | .[]), (.[] | select(.end)) | \
         if .status.nodes then .status.nodes |= reverse else . end' applied.jsonl > turned.jsonl";
    world.sh(turned).await.exits(0);

    world.sh("talos-bootstrap -f turned.jsonl").await.exits(0).says("started etcd on cp-1");

    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 1);
}

/// Somebody else's request for another control plane comes while the first etcd is starting.
#[tokio::test(flavor = "multi_thread")]
async fn no_run_calls_it_done_while_a_second_etcd_may_be_on_its_way_and_every_tool_that_looks_tells_a_split() {
    let world = applied(Shape { control_planes: 3, ..ONE }).await;
    let name = world.lab.name();
    let (first, other) = (world.node("cp-1"), world.node("cp-3"));
    [&first, &other].iter().for_each(|node| node.hold_etcd_start(true));
    world.sh(BRIEFLY).await.exits(5).says("started etcd on cp-1");
    other.bootstrap().unwrap();
    first.hold_etcd_start(false);
    assert!(first.until(SOON, lab::talos::NodeHandle::is_etcd_member).await);

    let unsure = "etcd runs, and cp-3 isn't a member of it yet";
    world.sh(BRIEFLY).await.exits(5).says(unsure);
    let address = first.address().unwrap();
    let lone = format!("talos-bootstrap -n {address} --talosconfig {name}/talosconfig");

    other.hold_etcd_start(false);
    assert!(other.until(SOON, lab::talos::NodeHandle::is_etcd_member).await);
    assert_eq!(world.lab.talos().etcd_clusters(name), 2);
    world.scratch.write("tier.yaml", "machine: {sysctls: {example.tier: gold}}");
    world.edit("  controlplane: {", "  controlplane: {patches: [\"@tier.yaml\"], ");
    world.sh("talos-image | pve-vm | talos-gen > changed.jsonl").await.exits(0);
    let config = format!("-n {address} --talosconfig {name}/talosconfig -f {name}/nodes/cp-1.yaml");
    for program in [
        "talos-bootstrap -f applied.jsonl",
        "talos-bootstrap -f applied.jsonl --dry-run",
        &lone,
        &format!("{lone} --dry-run"),
        "talos-wait -f applied.jsonl --for etcd",
        "talos-wait -f applied.jsonl --for etcd-healthy",
        "talos-apply -f changed.jsonl",
        "talos-apply -f changed.jsonl --dry-run",
        &format!("talos-apply {config}"),
        &format!("talos-apply {config} --dry-run"),
    ] {
        world.sh(program).await.exits(7).says("two etcd clusters");
    }
    for node in ["cp-1", "cp-2", "cp-3"] {
        assert!(!world.node(node).config().unwrap().contains("example.tier"), "{node} was changed");
    }
}
