use std::time::{Duration, Instant};

use tonic::Code;

use crate::support::{Outcome, SOON, Shape, World};

const SMALL: Shape = Shape { workers: 1, ..Shape::SMALL };

/// A lab whose nodes run their configs, with nothing bootstrapped; the records are in `applied.jsonl`.
async fn applied(shape: Shape) -> World {
    let world = World::start(shape).await;
    world.sh("talos-image | pve-vm | talos-gen | talos-apply > applied.jsonl").await.exits(0);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_got_no_config_is_not_waited_for_once_the_stream_has_failed() {
    let world = World::start(SMALL).await;
    world.sh("talos-image | pve-vm | talos-gen > generated.jsonl").await.exits(0);
    // As a step leaves it that noticed only behind the nodes that its input was cut.
    let error = r#"{step: "talos-gen", code: "cut", message: "the input was cut", exit: 5}"#;
    let fail = format!("if .end then .status.error = {error} else . end");
    for condition in ["configured", "service=kubelet"] {
        let outcome = world.sh(&format!("jq -c '{fail}' generated.jsonl | talos-wait --for {condition}")).await;
        outcome.exits(5).says("2 skipped").never_says("timed out");
    }
    // What needs no config still comes true.
    let outcome = world.sh(&format!("jq -c '{fail}' generated.jsonl | talos-wait --for maintenance")).await;
    outcome.exits(5).says("2 unchanged");
}

/// Waits alone, for a node.
async fn wait(world: &World, node: &str, condition: &str) -> Outcome {
    let address = world.node(node).address().unwrap();
    world.sh(&format!("talos-wait -n {address} --talosconfig lab/talosconfig --for {condition}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_node_from_being_ready_is_told_from_its_own_resources() {
    let world = applied(SMALL).await;
    let node = world.node("w-1");
    node.hold_kubelet_pull(Some("dial tcp 10.5.0.1:5000: connect: connection refused"));
    node.fail_volume(Some(("u-data", "no disks matched selector for volume")));
    world.sh("talos-bootstrap -f applied.jsonl > up.jsonl").await.exits(0);
    node.set_time_synced(false);
    let told = wait(&world, "w-1", "ready --wait-timeout 3s").await.exits(5);
    let told = told.says("its time is not synced").says("volume u-data failed: no disks matched selector for volume");
    told.says("failed to pull image \"ghcr.io/siderolabs/kubelet:v").says("connection refused");

    node.set_time_synced(true);
    node.fail_volume(None);
    node.hold_kubelet_pull(None);
    wait(&world, "w-1", "ready").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_network_that_is_missing_is_told_from_the_condition_of_the_kubernetes_node() {
    let world = applied(SMALL).await;
    world.node("w-1").hold_cni(true);
    let pipe = "talos-bootstrap -f applied.jsonl | kubeconfig-export --to kubeconfig > up.jsonl";
    world.sh(pipe).await.exits(0);
    let told = world.sh("talos-wait -f up.jsonl --for ready --wait-timeout 5s").await;
    told.exits(4).says("node \"w-1\" is not ready").says("cni plugin not initialized");
    world.node("w-1").hold_cni(false);
    world.sh("talos-wait -f up.jsonl --for ready").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn static_pods_that_do_not_run_are_told_with_what_they_wait_for() {
    let world = applied(Shape { workers: 0, ..SMALL }).await;
    world
        .node("cp-1")
        .hold_static_pods(Some(("ImagePullBackOff", "Back-off pulling image \"registry.k8s.io/kube-apiserver\"")));
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    let told = wait(&world, "cp-1", "kubernetes-api --wait-timeout 3s").await.exits(5);
    told.says("is not ready: ImagePullBackOff: Back-off pulling image \"registry.k8s.io/kube-apiserver\"");
    world.node("cp-1").hold_static_pods(None);
    wait(&world, "cp-1", "kubernetes-api").await.exits(0);
}

/// Seen on Talos 1.13.9: a node whose etcd doesn't run never answers a question about members.
#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_does_not_run_costs_no_look_its_time_limit() {
    let world = applied(SMALL).await;
    for condition in ["etcd", "etcd-healthy", "ready"] {
        let begun = Instant::now();
        let told = wait(&world, "cp-1", &format!("{condition} --wait-timeout 2s")).await.exits(5);
        told.says("etcd").never_says("does not answer");
        assert!(begun.elapsed() < Duration::from_secs(15), "{condition}: {:?}", begun.elapsed());
    }
    wait(&world, "cp-1", "etcd-healthy --wait-timeout 1s").await.exits(5).says("neither bootstrapped here nor");
    for condition in ["etcd", "etcd-healthy", "ready"] {
        let told = wait(&world, "cp-1", &format!("{condition} --wait-timeout 2s")).await.exits(5);
        told.says("members to join; unless another control plane was bootstrapped, run `talos-bootstrap`");
    }
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    wait(&world, "cp-1", "etcd-healthy").await.exits(0);
    wait(&world, "w-1", "etcd-healthy").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_stages_and_services_can_be_waited_for_and_are_parsed_strictly() {
    let world = World::start(SMALL).await;
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    let version = world.node("w-1").version();
    let address = world.node("w-1").address().unwrap();
    // What needs no credentials isn't refused for some that can't be used.
    let kept = world.scratch.read("lab/talosconfig");
    world.scratch.write("lab/talosconfig", "garbage");
    for condition in ["maintenance", "reachable", "stage=maintenance"] {
        world.sh(&format!("talos-wait -f $ICHOR_CLUSTER --for {condition}")).await.exits(0);
    }
    world.scratch.write("lab/talosconfig", kept);
    for condition in ["stage=maintenance".to_owned(), format!("version={version}")] {
        world.sh(&format!("talos-wait -n {address} --for {condition}")).await.exits(0);
    }
    world.sh("talos-apply -f lab.jsonl | talos-bootstrap > up.jsonl").await.exits(0);
    for condition in [format!("version={version}"), "stage=running".to_owned(), "service=kubelet".to_owned()] {
        let met = wait(&world, "w-1", &condition).await.exits(0);
        assert_eq!(met.nodes()[0]["status"]["waited"]["for"], condition.as_str());
    }
    world.sh("talos-wait -f up.jsonl --for service=etcd --wait-timeout 30s").await.exits(0);
    // Also with the file alone, whose folder has the credentials.
    world.sh(&format!("talos-wait -f $ICHOR_CLUSTER --for version={version}")).await.exits(0);
    wait(&world, "w-1", "version=v1.9.0 --wait-timeout 1s").await.exits(5).says(&format!("it runs Talos {version}"));
    wait(&world, "w-1", "service=ext-none --wait-timeout 1s").await.exits(5).says("no service ext-none");
    for (wrong, meant) in [
        ("etcd-helthy", "did you mean `etcd-healthy`?"),
        ("stage=runing", "did you mean `running`?"),
        ("service=kublet", "did you mean `kubelet`?"),
        ("version=1.13", "is not a release of Talos"),
        ("stage", "needs a value"),
    ] {
        wait(&world, "w-1", wrong).await.exits(2).says(meant);
    }
}

/// Seen on Talos 1.13.9: nothing but a reboot starts it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_was_stopped_for_good_ends_the_wait_at_once_with_the_way_out() {
    let world = applied(Shape { workers: 0, ..SMALL }).await;
    let node = world.node("cp-1");
    node.hold_etcd_start(true);
    world.sh("talos-bootstrap -f applied.jsonl --wait-timeout 2s").await.exits(5);
    assert!(node.bootstrap().is_err(), "somebody else's request stops it");
    node.hold_etcd_start(false);

    for condition in ["etcd", "etcd-healthy", "kubernetes-api", "ready", "service=etcd"] {
        let told = wait(&world, "cp-1", condition).await.exits(7).says("talos-bootstrap --reboot-stuck");
        assert!(told.stderr.contains("was stopped for good"), "{condition}: {told}");
    }
    world.sh("talos-bootstrap -f applied.jsonl --reboot-stuck").await.exits(0);
    wait(&world, "cp-1", "etcd").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_that_is_not_there_yet_is_waited_for_with_the_nodes_reasons() {
    let world = applied(Shape { workers: 0, ..SMALL }).await;
    world.sh("talos-bootstrap -f applied.jsonl > up.jsonl").await.exits(0);
    let node = world.node("cp-1");
    for _ in 0..50 {
        node.fail_next(Some("Kubeconfig"), Code::FailedPrecondition, "the secrets are not ready");
    }
    node.set_time_synced(false);
    let told = world.sh("kubeconfig-export -f up.jsonl --to kubeconfig --wait-timeout 3s").await.exits(5);
    told.says("the secrets are not ready; its time is not synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_must_stay_says_what_is_wrong_with_the_other_one() {
    let world = World::start(Shape { control_planes: 3, workers: 0, ..SMALL }).await;
    world.up().await.exits(0);
    world.node("cp-3").refuse(true);
    let address = world.node("cp-3").address().unwrap();
    world.scratch.write("tier.yaml", "machine: {sysctls: {example.tier: gold}}");
    world.edit("  controlplane: {", "  controlplane: {patches: [\"@tier.yaml\"], ");

    let told = world.sh("talos-image | pve-vm | talos-gen | talos-apply --wait-timeout 3s").await.exits(5);

    let why =
        format!("etcd would lose quorum without this node (unhealthy: cp-3); cp-3: {address} refuses connections");
    told.says(&why).says("talos-wait --for etcd-healthy");
}

/// Seen on Talos 1.13.9: a VIP endpoint, no discovery, no Kubernetes API.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_whose_way_to_the_others_leads_nowhere_can_still_be_changed() {
    let world = World::start(Shape { workers: 0, ..SMALL }).await;
    world.up().await.exits(0);
    world.node("cp-1").cut_off_from_peers(true);
    world.scratch.write("tier.yaml", "machine: {sysctls: {example.tier: gold}}");
    world.edit("  controlplane: {", "  controlplane: {patches: [\"@tier.yaml\"], ");
    world.sh("talos-image | pve-vm | talos-gen | talos-apply --wait-timeout 60s").await.exits(0);
    assert!(world.node("cp-1").config().unwrap().contains("example.tier"));
}

/// Seen on Talos 1.13.9: a learner that joins has no name yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_has_not_started_is_no_member_without_a_name() {
    let world = applied(Shape { control_planes: 2, workers: 0, ..SMALL }).await;
    world.node("cp-2").hold_etcd_start(true);
    world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    let etcd = || world.lab.talos().etcd_clusters(world.lab.name());
    assert!(world.node("cp-1").until(SOON, |_| etcd() == 1).await);
    let again = world.sh("talos-bootstrap -f applied.jsonl").await.exits(0);
    assert_eq!(again.end()["status"]["bootstrap"]["members"], serde_json::json!(["cp-1"]), "{again}");
    wait(&world, "cp-2", "etcd-healthy --wait-timeout 2s").await.exits(5).says("etcd on it is not healthy: ");
    world.node("cp-2").hold_etcd_start(false);
    wait(&world, "cp-2", "etcd-healthy").await.exits(0);
}

/// A plan looks once, and says what a run would wait for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_kubernetes_is_waited_for_at_the_end_and_a_plan_waits_for_nothing() {
    let world = applied(Shape { workers: 0, ..SMALL }).await;
    let plan = world.sh("talos-wait -f applied.jsonl --for etcd --dry-run").await.exits(3);
    assert_eq!(plan.node("cp-1")["status"]["waited"]["pending"], true, "{plan}");
    world.sh("talos-bootstrap -f applied.jsonl | kubeconfig-export --to kubeconfig > /dev/null").await.exits(0);
    world.sh("talos-wait -f applied.jsonl --for etcd").await.exits(0);
    world.sh("talos-wait -f applied.jsonl --for etcd --dry-run").await.exits(0);

    let wait = "talos-wait -f applied.jsonl --for kubernetes --kubeconfig";
    let answered = world.sh(&format!("{wait} kubeconfig")).await.exits(0);
    assert_eq!(answered.end()["status"]["waited"]["for"], "kubernetes", "{answered}");
    // The node stays good, and the API alone isn't answered.
    world.scratch.write("closed", world.scratch.read("kubeconfig").replace(":6443", ":1"));
    let unanswered = world.sh(&format!("{wait} closed --wait-timeout 3s")).await.exits(5);
    let unanswered = unanswered.says("no answer from the Kubernetes API").says("1 unchanged");
    assert!(unanswered.end()["status"]["waited"].is_null(), "{unanswered}");
}
