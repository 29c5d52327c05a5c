use crate::support::{Shape, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_the_first_step_touches_nothing_anywhere() {
    let world = World::start(Shape::SMALL).await;
    let files = world.scratch.files("");
    let pipe = World::pipe().replacen("talos-image", "talos-image --dry-run", 1);
    let outcome = world.sh(&pipe).await.exits(3);
    assert_eq!(outcome.nodes().len(), 3);
    assert_eq!(outcome.node("w-1")["status"]["vm"]["pending"], true);
    assert_eq!(world.touches(), 0);
    assert_eq!(world.lab.factory().writes(), 0);
    assert_eq!(world.scratch.files(""), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_cluster_that_is_up_finds_nothing_to_do() {
    let world = World::start(Shape::SMALL).await;
    world.up().await.exits(0);
    let (before, files) = (world.touches(), world.scratch.files(""));
    world.sh(&World::pipe().replacen("talos-image", "talos-image --dry-run", 1)).await.exits(0);
    assert_eq!(world.touches(), before);
    assert_eq!(world.scratch.files(""), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_not_taken_for_a_fact() {
    if judges::require("jq").is_none() {
        return;
    }
    let world = World::start(Shape::SMALL).await;
    world.sh("talos-image --dry-run | pve-vm > plan.jsonl").await.exits(3);
    world.sh("jq -c 'if .status.dryRun then .status.dryRun=false else . end' plan.jsonl > bent.jsonl").await.exits(0);
    world.sh("pve-vm < bent.jsonl").await.exits(8).says("is only planned");
    assert_eq!(world.touches(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_flag_would_allow_is_planned_with_that_flag_and_refused_without_it() {
    let world = World::start(Shape::SMALL).await;
    world.up().await.exits(0);
    world.edit("name: w-1, role: worker", "name: w-1, role: worker, labels: {topology.kubernetes.io/zone: rack-7}");
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    let plan = world.sh("talos-apply --mode reboot --dry-run < lab.jsonl").await.exits(3).says("needs --reboot");
    let applied = &plan.node("w-1")["status"]["applied"];
    assert_eq!((&applied["pending"], &applied["changes"][0]["needs"]), (&true.into(), &"--reboot".into()), "{applied}");
    assert_eq!(plan.node("w-2")["status"]["applied"]["pending"], serde_json::Value::Null);
    let boot = world.node("w-1").boot_id();
    world.sh("talos-apply --mode reboot < lab.jsonl").await.exits(7).says("--reboot allows it");
    assert_eq!(world.node("w-1").boot_id(), boot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_patch_on_running_control_planes_reports_what_stands_and_claims_no_first_config() {
    let world = World::start(Shape { workers: 1, ..Shape::HA }).await;
    world.up().await.exits(0);
    world.edit("  controlplane: {", "  controlplane: {labels: {example.com/tier: gold}, ");
    let before = world.touches();
    let plan = world.sh(&World::pipe().replacen("talos-image", "talos-image --dry-run", 1)).await.exits(3);
    for name in ["cp-1", "cp-2", "cp-3"] {
        let status = &plan.node(name)["status"];
        let change = &status["applied"]["changes"][0];
        assert_eq!((&change["what"], &change["to"]), (&"machine config".into(), &serde_json::Value::Null), "{plan}");
        assert_eq!((&status["etcd"]["member"], &status["etcd"]["changed"]), (&true.into(), &false.into()), "{plan}");
    }
    assert_eq!(plan.end()["status"]["bootstrap"]["changed"], false, "{plan}");
    let plan = plan.says("talos-apply cp-1 changes not known: its config is only planned, so it was not asked");
    plan.never_says("error:");
    assert_eq!(world.touches(), before);
}
