use std::path::PathBuf;

use record::{Lock, LockedEtcd};

use crate::support::{Outcome, SOON, Shape, World};

const THREE: Shape = Shape { workers: 1, ..Shape::HA };
/// The kubelet of a worker would have to be restarted to register with another etcd.
const ALONE: Shape = Shape { workers: 0, ..Shape::HA };

fn lock_file(world: &World) -> PathBuf {
    world.scratch.path(world.lab.name()).join("ichor.lock")
}

fn lock(world: &World) -> Lock {
    Lock::parse(&std::fs::read_to_string(lock_file(world)).unwrap(), world.lab.name()).unwrap()
}

/// Which etcd it is: another one has other objects.
fn objects(world: &World) -> String {
    world.lab.talos().kubernetes_uid(world.lab.name()).expect("there is an etcd")
}

/// The nodes whose record carries no error.
fn good(outcome: &Outcome) -> Vec<String> {
    let nodes = outcome.nodes().into_iter().filter(|node| node["status"]["error"].is_null());
    let mut names: Vec<_> = nodes.map(|node| node["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The control planes whose VMs have a disk of this size.
fn disks(world: &World, size: &str) -> Vec<String> {
    let vms = world.lab.pve().vms().into_iter().filter(|vm| vm.config["scsi0"].contains(size));
    let mut names: Vec<_> = vms.map(|vm| vm.name).filter(|name| name.starts_with("cp-")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn three_runs_of_recreate_never_take_more_than_etcd_can_do_without() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);
    let (before, remembered) = (objects(&world), lock(&world).etcd());
    world.edit("memory: 4096, disk: 20", "memory: 4096, disk: 10");
    let recreate = "talos-image | pve-vm --recreate";

    let plan = world.sh("talos-image --dry-run | pve-vm").await.exits(3);
    assert!(plan.node("cp-2")["status"]["vm"]["changes"].to_string().contains("etcd member"), "{plan}");
    for recreated in 1..=3 {
        let outcome = world.sh(recreate).await;
        let smaller = disks(&world, "size=10G");
        assert_eq!(smaller.len(), recreated, "{outcome}");
        let (again, exit) = (world.sh(recreate).await, if recreated < 3 { 7 } else { 0 });
        assert_eq!(disks(&world, "size=10G"), smaller, "the next run took another one: {again}");
        again.exits(exit);
        // What can go on goes on; the others wait for their turn.
        world.up().await.exits(exit);
        for name in &smaller {
            assert!(world.node(name).until(SOON, lab::talos::NodeHandle::is_etcd_member).await, "{name}");
        }
    }
    world.assert_up(&world.names());
    assert_eq!(objects(&world), before, "etcd lost its objects");
    assert_ne!(lock(&world).etcd(), remembered, "the members are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_control_planes_that_one_run_would_recreate_one_is_left_and_the_others_member_is_told() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);
    world.edit("memory: 4096, disk: 20", "memory: 4096, disk: 10");

    let outcome = world.sh("talos-image | pve-vm --recreate").await.exits(7);
    let smaller = disks(&world, "size=10G");
    assert_eq!(good(&outcome), [smaller[0].clone(), "w-1".to_owned()]);
    let changes = outcome.node(&smaller[0])["status"]["vm"]["changes"].to_string();
    assert!(changes.contains("talosctl etcd remove-member ") && changes.contains(" -n 127."), "{changes}");
    outcome
        .says(&format!("etcd would lose quorum without this node (unhealthy: {}", smaller[0]))
        .says("stays in etcd until the new VM joins under the same name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_is_destroyed_while_etcd_can_do_without_it_and_what_stays_is_told() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);

    let outcome = world.sh("pve-vm destroy --only cp-3 --yes").await.exits(0);
    let change = &outcome.node("cp-3")["status"]["destroyed"]["changes"][1];
    let command = change["to"].as_str().unwrap().split('`').nth(1).unwrap().to_owned();
    assert!(command.starts_with("talosctl etcd remove-member ") && command.contains("lab/talosconfig"), "{command}");
    let outcome = outcome.says("stays in etcd: `talosctl etcd remove-member ");
    assert!(outcome.stderr.contains(&command), "{}", outcome.stderr);
    let refused = world.sh("pve-vm destroy --only cp-2 --yes").await.exits(7);
    assert_eq!(refused.node("cp-2")["status"]["error"]["code"], "one-at-a-time");
    world.assert_one_vm_each(&["cp-1".into(), "cp-2".into(), "w-1".into()]);
}

/// A colleague, and a pipeline, each with a copy of the folder.
#[tokio::test(flavor = "multi_thread")]
async fn three_folders_at_the_same_moment_never_destroy_more_than_etcd_can_do_without() {
    let world = World::start(ALONE).await;
    world.up().await.exits(0);
    let name = world.lab.name();
    let destroy = format!(
        "for n in 1 2 3; do cp -r {name} copy-$n; done; for n in 1 2 3; do \
         (pve-vm destroy --yes --dir copy-$n -f \"$ICHOR_CLUSTER\" --only cp-$n > out-$n 2> err-$n; echo $? > exit-$n) & done; wait"
    );
    let outcome = world.sh(&destroy).await.exits(0);

    let running: Vec<_> = world.lab.pve().vms().into_iter().filter(|vm| vm.running).map(|vm| vm.name).collect();
    let told = ["1", "2", "3"].map(|n| std::fs::read_to_string(world.scratch.path(&format!("err-{n}"))).unwrap());
    assert!(running.len() >= 2, "{running:?} {told:#?} {outcome}");
    assert!(told.iter().any(|told| told.contains("etcd")), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cycle_of_a_control_plane_waits_until_etcd_can_do_without_it() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);
    world.edit("memory: 4096, disk: 20", "memory: 5120, disk: 20");
    let reboot = "talos-image | pve-vm --reboot";
    let larger = || world.lab.pve().vms().into_iter().filter(|vm| vm.config["memory"] == "5120").count();

    world.node("cp-2").refuse(true);
    let refused = world.sh(&format!("{reboot} --only cp-1")).await.exits(7);
    assert_eq!(refused.node("cp-1")["status"]["error"]["code"], "one-at-a-time");
    assert_eq!(larger(), 0);
    world.sh(&format!("{reboot} --only cp-1 --ignore-etcd")).await.exits(0).says("continuing because of --ignore-etcd");
    assert_eq!(larger(), 1);
    world.node("cp-2").refuse(false);
    for done in 2..=3 {
        for name in ["cp-1", "cp-2", "cp-3"] {
            assert!(world.node(name).until(SOON, lab::talos::NodeHandle::is_etcd_member).await, "{name}");
        }
        world.sh(&format!("{reboot} --only cp-{done}")).await.exits(0);
        assert_eq!(larger(), done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_control_plane_is_switched_off_and_on_but_not_destroyed() {
    let world = World::start(Shape { workers: 0, ..Shape::SMALL }).await;
    world.up().await.exits(0);
    let before = objects(&world);

    world.edit("memory: 4096, disk: 20", "memory: 5120, disk: 20");
    world.sh("talos-image | pve-vm --reboot").await.exits(0);
    assert!(world.node("cp-1").until(SOON, lab::talos::NodeHandle::is_etcd_member).await);
    let refused = world.sh("pve-vm destroy --only cp-1 --yes").await.exits(7);
    refused.says("etcd would be lost: this node is its only member").says("talosctl etcd snapshot");
    world.edit("memory: 5120, disk: 20", "memory: 5120, disk: 10");
    world.sh("talos-image | pve-vm --recreate").await.exits(7);
    assert_eq!(objects(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_down_and_up_again_is_a_new_cluster_and_down_says_that_the_old_ones_etcd_is_gone() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);
    let first = objects(&world);
    assert!(lock(&world).etcd().is_bootstrapped());

    world.sh("pve-vm destroy --yes").await.exits(0).says("its etcd is taken out of ichor.lock");
    assert_eq!(lock(&world).etcd(), LockedEtcd::Never);
    world.up().await.exits(0);
    world.assert_up(&world.names());
    assert_ne!(objects(&world), first);
    assert!(lock(&world).etcd().is_bootstrapped());
}

/// Destroys all control planes, one by one, so that the lock still remembers their etcd.
async fn lose_all(world: &World) {
    world.sh("pve-vm destroy --only cp-1,cp-2,cp-3 --yes --ignore-etcd").await.exits(0);
    assert!(lock(world).etcd().is_bootstrapped());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_empty_etcd_is_started_in_the_place_of_a_lost_one_unless_it_is_asked_for() {
    let world = World::start(ALONE).await;
    world.up().await.exits(0);
    let (lost, remembered) = (objects(&world), lock(&world).etcd());
    lose_all(&world).await;

    let plan = world.sh(&World::pipe().replacen("talos-image", "talos-image --dry-run", 1)).await.exits(3);
    let change = &plan.end()["status"]["bootstrap"]["changes"][0];
    assert_eq!((change["impact"].as_str(), change["needs"].as_str()), (Some("data-loss"), Some("--fresh")), "{plan}");
    let refused = world.up().await.exits(7).says("talosctl bootstrap --recover-from=FILE -n 127.");
    assert_eq!(refused.end()["status"]["error"]["code"], "etcd-lost", "{refused}");
    assert_eq!(world.lab.talos().etcd_clusters(world.lab.name()), 0);
    assert_eq!(lock(&world).etcd(), remembered);

    let plan = world.sh("talos-image --dry-run | pve-vm | talos-gen | talos-apply | talos-bootstrap").await.exits(3);
    assert_eq!(plan.end()["status"]["bootstrap"]["changes"][0]["needs"], "--fresh", "{plan}");
    let fresh = World::pipe().replacen("talos-bootstrap", "talos-bootstrap --fresh", 1);
    world.sh(&fresh).await.exits(0).says("the objects of the old one are lost").says("in the place of the old one");
    world.assert_up(&world.names());
    assert!(objects(&world) != lost && lock(&world).etcd() != remembered);
    world.up().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_somebody_else_started_is_refused_and_can_be_accepted() {
    let world = World::start(ALONE).await;
    world.up().await.exits(0);
    lose_all(&world).await;
    world.sh("talos-image | pve-vm | talos-gen | talos-apply").await.exits(0);
    let restored = world.node("cp-2");
    restored.bootstrap().unwrap();
    assert!(restored.until(SOON, lab::talos::NodeHandle::is_etcd_member).await);

    let plan = world.sh(&World::pipe().replacen("talos-image", "talos-image --dry-run", 1)).await.exits(3);
    assert_eq!(plan.end()["status"]["bootstrap"]["changes"][0]["needs"], "--fresh", "{plan}");
    let refused = world.up().await.exits(7).says("it is another one");
    assert_eq!(refused.end()["status"]["error"]["code"], "other-etcd");
    let accept = World::pipe().replacen("talos-bootstrap", "talos-bootstrap --fresh", 1);
    world.sh(&accept).await.exits(0);
    world.assert_up(&world.names());
    world.up().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_a_cluster_of_an_older_program_remembers_its_etcd() {
    let world = World::start(THREE).await;
    world.up().await.exits(0);
    let whole = lock(&world);
    let mut text: serde_json::Value = serde_json::from_str(&whole.emit()).unwrap();
    text.as_object_mut().unwrap().remove("etcd");
    text["apiVersion"] = "ichor/v1".into();
    text["later"] = serde_json::json!({"kept": 1.5});
    std::fs::write(lock_file(&world), text.to_string()).unwrap();
    assert_eq!(lock(&world).etcd(), LockedEtcd::Unknown);

    // Until then, etcd itself is asked.
    world.node("cp-2").refuse(true);
    world.sh("pve-vm destroy --only cp-1 --yes").await.exits(7).says("(unhealthy: cp-2)");
    world.node("cp-2").refuse(false);
    world.up().await.exits(0);
    assert_eq!(lock(&world).etcd(), whole.etcd());
    assert!(lock(&world).emit().contains("\"kept\": 1.5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_others_bootstrapped_counts_although_the_lock_knows_nothing_of_it() {
    let world = World::start(THREE).await;
    world.sh("talos-image | pve-vm | talos-gen | talos-apply").await.exits(0);
    world.node("cp-1").bootstrap().unwrap();
    for name in ["cp-1", "cp-2", "cp-3"] {
        assert!(world.node(name).until(SOON, lab::talos::NodeHandle::is_etcd_member).await, "{name}");
    }
    assert_eq!(lock(&world).etcd(), LockedEtcd::Never);

    world.sh("pve-vm destroy --only cp-1,cp-2 --yes").await.exits(7).says("etcd would lose quorum");
    let left = world.lab.pve().vms().iter().filter(|vm| vm.name.starts_with("cp-")).count();
    assert_eq!(left, 2);
}
