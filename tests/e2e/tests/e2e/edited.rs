use crate::support::{Shape, World, changes};

#[tokio::test(flavor = "multi_thread")]
async fn a_label_added_to_the_file_reaches_the_node_and_nothing_else_changes() {
    let world = World::start(Shape::SMALL).await;
    world.up().await.exits(0);
    world.edit("name: w-1, role: worker", "name: w-1, role: worker, labels: {topology.kubernetes.io/zone: rack-7}");
    let boots: Vec<_> = world.names().iter().map(|name| world.node(name).boot_id()).collect();
    let outcome = world.up().await.exits(0);
    assert_eq!(world.node("w-1").label("topology.kubernetes.io/zone").as_deref(), Some("rack-7"));
    let others: Vec<_> = changes(&outcome).into_iter().filter(|change| change.name != "w-1").collect();
    assert_eq!(others, []);
    let after: Vec<_> = world.names().iter().map(|name| world.node(name).boot_id()).collect();
    assert_eq!(after, boots, "nobody rebooted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_added_to_the_file_joins_and_one_removed_from_it_is_left_alone() {
    let world = World::start(Shape::SMALL).await;
    let whole = world.file();
    let without: String =
        whole.lines().filter(|line| !line.contains("name: w-2")).map(|line| format!("{line}\n")).collect();
    std::fs::write(world.lab.cluster_file(), &without).unwrap();
    world.up().await.exits(0);
    world.assert_up(&["cp-1".into(), "w-1".into()]);

    std::fs::write(world.lab.cluster_file(), &whole).unwrap();
    world.up().await.exits(0);
    world.assert_up(&world.names());

    std::fs::write(world.lab.cluster_file(), &without).unwrap();
    let outcome = world.up().await.exits(0).says("w-2");
    assert_eq!(outcome.names().len(), 2);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_is_changed_only_while_the_others_are_healthy_members() {
    let world = World::start(Shape { workers: 0, ..Shape::HA }).await;
    world.up().await.exits(0);
    world.edit("  controlplane: {", "  controlplane: {labels: {example.com/tier: gold}, ");
    world.up().await.exits(0);
    for name in world.names() {
        assert_eq!(world.node(&name).label("example.com/tier").as_deref(), Some("gold"), "{name}");
    }
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_control_plane_is_changed_while_another_one_is_down() {
    let world = World::start(Shape { workers: 0, ..Shape::HA }).await;
    world.up().await.exits(0);
    world.scratch.write("tier.yaml", "machine: {sysctls: {example.tier: gold}}");
    world.edit("  controlplane: {", "  controlplane: {patches: [\"@tier.yaml\"], ");
    world.node("cp-3").refuse(true);
    let part = "talos-image | pve-vm | talos-gen | talos-apply --wait-timeout 3s";
    let loss = "etcd would lose quorum without this node (unhealthy: cp-3";
    world.sh(&format!("{part} --dry-run")).await.exits(3).says(&format!("would wait: {loss}"));
    world.sh(part).await.exits(5).says(loss);
    let is_changed = |name: &str| world.node(name).config().unwrap().contains("example.tier");
    for name in ["cp-1", "cp-2"] {
        assert!(!is_changed(name), "{name} was changed");
    }
    world.node("cp-3").refuse(false);
    world.up().await.exits(0);
    assert!(world.names().iter().all(|name| is_changed(name)));
}

/// Nothing but the node's object in Kubernetes knows of a label.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_gets_a_label_whatever_state_the_others_are_in() {
    let world = World::start(Shape { workers: 0, ..Shape::HA }).await;
    world.up().await.exits(0);
    world.edit("  controlplane: {", "  controlplane: {labels: {example.com/tier: gold}, ");
    world.node("cp-3").refuse(true);
    let outcome = world.sh("talos-image | pve-vm | talos-gen | talos-apply --wait-timeout 3s").await.exits(4);
    for name in ["cp-1", "cp-2"] {
        assert_eq!(outcome.node(name)["status"]["applied"]["outcome"], "applied", "{outcome}");
        assert_eq!(world.node(name).label("example.com/tier").as_deref(), Some("gold"), "{name}");
    }
    outcome.says("cp-3 error: ").never_says("quorum");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_does_not_get_well_after_its_change_is_the_last_one_changed() {
    let world = World::start(Shape { workers: 0, ..Shape::HA }).await;
    world.up().await.exits(0);
    world.edit("  controlplane: {", "  controlplane: {labels: {example.com/tier: gold}, ");
    let applied = || world.names().iter().map(|name| world.node(name).counts().applied).sum::<u32>();
    let before = applied();
    world.names().iter().for_each(|name| world.node(name).hold_boot());
    let part = "talos-image | pve-vm | talos-gen | talos-apply --mode reboot --reboot --wait-timeout 3s";
    let outcome = world.sh(part).await.exits(5).says("is not healthy after its change");
    assert_eq!(applied(), before + 1, "{outcome}");
    world.names().iter().for_each(|name| world.node(name).release_boot());
    world.up().await.exits(0);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_with_another_authority_is_refused_by_every_running_node() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.up().await.exits(0);
    world.sh("talos-gen config other https://127.0.0.9:6443 -o other").await.exits(0);
    let other = world.scratch.read("other/controlplane.yaml");
    let at = |key: &str| other.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap().trim().to_owned();
    world.scratch.write("ca.yaml", format!("machine: {{ca: {{crt: {}, key: {}}}}}\n", at("crt:"), at("key:")));
    world.edit("  controlplane: {", "  controlplane: {patches: [\"@ca.yaml\"], ");
    let before = world.node("cp-1").config();
    world.up().await.exits(7).says("config and node belong to different clusters (machine.ca.crt differs)");
    assert_eq!(world.node("cp-1").config(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_removes_exactly_what_is_ours() {
    let world = World::start(Shape::SMALL).await;
    world.up().await.exits(0);
    world.lab.pve().add_foreign_vm("somebody-elses");
    world.sh("pve-vm destroy < /dev/null").await.exits(2).says("--yes");
    world.sh("pve-vm destroy --yes").await.exits(0);
    let left: Vec<_> = world.lab.pve().vms().iter().map(|vm| vm.name.clone()).collect();
    assert_eq!(left, ["somebody-elses"]);
    world.sh("pve-vm destroy --yes").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_limits_what_is_changed_and_not_what_is_looked_at() {
    let world = World::start(Shape::HA).await;
    world.up().await.exits(0);
    let only = world.sh(&World::pipe().replacen("talos-image", "talos-image --only w-1", 1)).await.exits(0);
    assert_eq!(only.node("w-1")["status"]["waited"]["for"], "ready");
    assert_eq!(only.end()["status"]["bootstrap"]["changed"], false, "{only}");
}
