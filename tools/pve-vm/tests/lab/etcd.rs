//! The guard of etcd, as far as it shows without an etcd: what the lock says, and what happens when nobody can be asked.
//! With one, it is in the whole pipes.

use record::{Lock, LockedEtcd};
use serde_json::json;

use crate::{
    by_hand::remove,
    world::{Outcome, World, options},
};

/// Three control planes and a worker, which run and have no config.
async fn three() -> World {
    let world = World::start(lab::Options { control_planes: 3, ..options() }).await;
    world.run(&[]).await.exits(0);
    world
}

fn lock(world: &World) -> Lock {
    let file = world.lab.dir().join(world.lab.name()).join("ichor.lock");
    Lock::parse(&std::fs::read_to_string(file).unwrap(), world.lab.name()).unwrap()
}

fn write(world: &World, lock: &Lock) {
    std::fs::write(world.lab.dir().join(world.lab.name()).join("ichor.lock"), lock.emit()).unwrap();
}

/// The cluster was bootstrapped, and no control plane answers any more.
fn bootstrapped_and_silent(world: &World) {
    let mut lock = lock(world);
    lock.set_etcd(&[7].into());
    write(world, &lock);
    silence(world);
}

fn silence(world: &World) {
    for name in ["cp-1", "cp-2", "cp-3"] {
        world.lab.talos().node(name).unwrap().refuse(true);
    }
}

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    names.sort();
    names
}

fn with_another_memory(world: &World) {
    world.edit("controlplane: {vm: {cores: 2, memory: 4096", "controlplane: {vm: {cores: 2, memory: 5120");
}

fn with_a_smaller_disk(world: &World) {
    world.edit("memory: 4096, disk: 20", "memory: 4096, disk: 10");
}

/// The code of the error of a node.
fn code(outcome: &Outcome, node: &str) -> String {
    outcome.status(node)["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_never_bootstrapped_has_no_etcd_to_ask() {
    let world = three().await;
    assert_eq!(lock(&world).etcd(), LockedEtcd::Never);
    silence(&world);
    with_another_memory(&world);

    world.run(&["--reboot"]).await.exits(0).says("was never bootstrapped");
    let larger = |n: &u32| world.vm(&format!("cp-{n}")).config["memory"] == "5120";
    assert_eq!((1..=3).filter(larger).count(), 3);
    world.run(&["destroy", "--only", "cp-1", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-2", "cp-3", "w-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_no_control_plane_is_switched_off_recreated_or_destroyed() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    let (before, writes) = (world.lab.pve().vms(), world.lab.pve().writes());

    with_another_memory(&world);
    let rebooted = world.run(&["--reboot"]).await.exits(7).says("there is no talosconfig to ask with");
    assert_eq!(code(&rebooted, "cp-2"), "no-answer");
    world.edit("memory: 5120, disk: 20", "memory: 4096, disk: 10");
    world.run(&["--recreate"]).await.exits(7).says("nobody reports whether etcd can do without this node");
    let destroyed = world.run(&["destroy", "--only", "cp-3", "--yes"]).await.exits(7).says("--ignore-etcd");
    assert_eq!(code(&destroyed, "cp-3"), "no-answer");

    assert_eq!((world.lab.pve().vms(), world.lab.pve().writes()), (before, writes), "something was touched");
    world.run(&["destroy", "--only", "w-1", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "cp-2", "cp-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_that_nobody_can_be_asked() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    with_a_smaller_disk(&world);

    let plan = world.run(&["plan", "--recreate"]).await.exits(3).says("needs --ignore-etcd");
    let needs = |node: &str| plan.status(node)["vm"]["changes"].to_string().contains("--ignore-etcd");
    assert_eq!(["cp-1", "cp-2", "cp-3"].map(needs), [true; 3]);
    let plan = world.run(&["destroy", "--only", "cp-2", "--dry-run"]).await.exits(3);
    let change = &plan.status("cp-2")["destroyed"]["changes"][1];
    assert_eq!(
        (&change["what"], &change["impact"], &change["needs"]),
        (&json!("etcd"), &json!("data-loss"), &json!("--ignore-etcd"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ignores_etcd_says_so_and_is_told_what_is_not_known() {
    let world = three().await;
    bootstrapped_and_silent(&world);

    let outcome = world.run(&["destroy", "--only", "cp-3", "--yes", "--ignore-etcd"]).await.exits(0);
    let outcome = outcome.says("continuing because of --ignore-etcd").says("its member (if it has one) stays in etcd");
    let change = outcome.status("cp-3")["destroyed"]["changes"][1]["to"].as_str().unwrap().to_owned();
    assert!(change.contains("`talosctl etcd remove-member ID -n 127."), "{change}");
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-1"]);
    assert!(lock(&world).etcd().is_bootstrapped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_an_older_program_knows_nothing_so_the_node_itself_must_say_that_it_has_no_etcd() {
    let world = three().await;
    let text = lock(&world).emit().replace("\"etcd\"", "\"x-etcd\"");
    let old = Lock::parse(&text, world.lab.name()).unwrap();
    assert_eq!(old.etcd(), LockedEtcd::Unknown);
    write(&world, &old);

    world.run(&["destroy", "--only", "cp-1", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-2", "cp-3", "w-1"], "it is in maintenance");
    silence(&world);
    world.run(&["destroy", "--only", "cp-2", "--yes"]).await.exits(7);
    assert_eq!(names(&world), ["cp-2", "cp-3", "w-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_complete_destruction_of_the_whole_cluster_takes_its_etcd_out_of_the_lock() {
    let world = three().await;
    bootstrapped_and_silent(&world);

    let only = "cp-1,cp-2,cp-3";
    world.run(&["destroy", "--only", only, "--yes", "--ignore-etcd"]).await.exits(0);
    assert!(lock(&world).etcd().is_bootstrapped(), "--only is never the whole cluster");
    world.run(&["destroy", "--all", "--dry-run"]).await.exits(3);
    assert!(lock(&world).etcd().is_bootstrapped(), "a dry run changes nothing");
    let worker = world.vm("w-1");
    world.lab.pve().set_option(worker.id, "tags", None);
    world.lab.pve().set_option(worker.id, "description", Some("mine now"));
    world.run(&["destroy", "--all", "--yes"]).await.exits(7);
    assert!(lock(&world).etcd().is_bootstrapped(), "a node failed");
    world.lab.pve().set_option(worker.id, "tags", Some(&worker.config["tags"]));
    world.lab.pve().set_option(worker.id, "description", Some(&worker.config["description"]));

    world.run(&["destroy", "--all", "--yes"]).await.exits(0).says("its etcd is taken out of ichor.lock");
    assert_eq!((lock(&world).etcd(), names(&world).len()), (LockedEtcd::Never, 0));
    let again = world.run(&["destroy", "--all", "--yes"]).await.exits(0);
    assert!(!again.stderr.contains("taken out"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cluster_is_destroyed_without_asking_its_etcd() {
    let world = three().await;
    bootstrapped_and_silent(&world);

    world.run(&["destroy", "--all", "--yes"]).await.exits(0).says("its etcd is taken out of ichor.lock");
    assert_eq!(names(&world).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_which_the_file_lists_only_a_part_is_not_destroyed_as_a_whole() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    let text = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    let without: String =
        text.lines().filter(|line| !line.contains("name: cp-3")).map(|line| format!("{line}\n")).collect();
    std::fs::write(world.lab.cluster_file(), without).unwrap();

    world.run(&["destroy", "--all", "--yes"]).await.exits(7).says("(cp-3) on pve1 belongs to this cluster");
    assert_eq!(names(&world), ["cp-1", "cp-2", "cp-3"], "only the worker may go");
    world.run(&["destroy", "--all", "--yes", "--ignore-etcd"]).await.exits(0).says("ichor.lock still remembers");
    assert!(lock(&world).etcd().is_bootstrapped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_stream_is_not_the_whole_cluster() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    let listed = world.run(&["list"]).await.exits(0).text();
    let part: String = listed
        .lines()
        .filter(|line| !line.contains("\"name\":\"cp-1\",\"cluster\""))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(part, listed);

    world.run_on(&part, &["destroy", "--all", "--yes", "--allow-missing"]).await.exits(7);
    assert_eq!(names(&world), ["cp-1", "cp-2", "cp-3"]);
    assert!(lock(&world).etcd().is_bootstrapped());
}

/// Not found isn't destroyed: the lock may be used with another Proxmox VE, or the disks may be elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_destruction_that_finds_no_control_plane_leaves_the_memory_of_etcd() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    for vm in world.lab.pve().vms() {
        remove(&world, vm.id);
    }

    for _ in 0..2 {
        world
            .run(&["destroy", "--yes", "--all"])
            .await
            .exits(0)
            .says("of cp-1 wasn't found, and pve-vm didn't destroy it");
    }
    assert!(lock(&world).etcd().is_bootstrapped());
}

/// A slip in the file must not switch the guard off, nor make the notes untrue.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_the_file_calls_a_worker_is_guarded_and_not_changed() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    let before = names(&world);
    world.edit("{name: cp-2, role: controlplane", "{name: cp-2, role: worker");

    for arguments in [&["plan"][..], &["--only", "cp-2", "--reboot", "--recreate"]] {
        world.run(arguments).await.exits(7).says("was made for a controlplane, the file says worker");
    }
    world.run(&["destroy", "--yes", "--only", "cp-2"]).await.exits(7).says("etcd");
    assert_eq!(names(&world), before);
    assert!(world.vm("cp-2").config["description"].contains("ichor-role: controlplane"));
}

/// Of a control plane that left the file and is hidden, only the lock knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_control_plane_that_left_the_file_keeps_the_memory_of_etcd() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    let pve = world.lab.pve();
    let (id, token) = (world.vm("cp-2").id, pve.token().split('=').next().unwrap().to_owned());
    let acl = [("path", &*format!("/vms/{id}")), ("tokens", token.as_str()), ("roles", "NoAccess")];
    pve.call_as("root@pam", "PUT", "/access/acl", &acl).unwrap();
    let file = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    let line = file.lines().find(|line| line.contains("name: cp-2")).unwrap();
    world.edit(&format!("{line}\n"), "");

    let outcome = world.run(&["destroy", "--yes", "--all"]).await.exits(7);

    assert_eq!(names(&world).iter().filter(|name| name.starts_with("cp-")).count(), 3, "{}", outcome.stderr);
    assert!(lock(&world).etcd().is_bootstrapped());
}

/// VMs of earlier releases don't say what they were made for.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_whose_notes_say_no_role_is_guarded_whatever_the_file_says() {
    let world = three().await;
    bootstrapped_and_silent(&world);
    let before = names(&world);
    for name in ["cp-2", "cp-3"] {
        let vm = world.vm(name);
        let notes = vm.config["description"].replace("ichor-role: controlplane\n", "");
        world.lab.pve().set_option(vm.id, "description", Some(&notes));
        world.edit(&format!("{{name: {name}, role: controlplane"), &format!("{{name: {name}, role: worker"));
    }
    world.run(&["destroy", "--yes", "--only", "cp-2,cp-3"]).await.exits(7).says("etcd");
    assert_eq!(names(&world), before);
}

/// Workers that somebody removed by hand, in the file or not, are no members.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_gone_do_not_keep_etcd_in_the_lock() {
    for leaves_the_file in [false, true] {
        let world = three().await;
        bootstrapped_and_silent(&world);
        remove(&world, world.vm("w-1").id);
        if leaves_the_file {
            let file = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
            let line = file.lines().find(|line| line.contains("name: w-1")).unwrap();
            world.edit(&format!("{line}\n"), "");
        }
        world.run(&["destroy", "--yes", "--all"]).await.exits(0);
        assert_eq!((names(&world), lock(&world).etcd()), (Vec::new(), LockedEtcd::Never), "{leaves_the_file}");
    }
}

/// Of each call of a destruction that is killed, the next run knows that it was wanted.
#[tokio::test(flavor = "multi_thread")]
async fn a_destruction_that_is_killed_is_finished_by_the_next_and_etcd_is_forgotten() {
    for call in [("POST", "/status/stop"), ("DELETE", "/qemu/100")] {
        let world = three().await;
        bootstrapped_and_silent(&world);
        let id = world.vm("cp-1").id;
        let path = if call.0 == "DELETE" { format!("/qemu/{id}") } else { call.1.to_owned() };
        let long = lab::pve::Fault::Slow { by: Some(std::time::Duration::from_secs(600)) };
        world.lab.pve().fault(call.0, &path, long);
        world.killed_at((call.0, &path), &["destroy", "--yes", "--all"]).await;
        world.lab.pve().heal();

        world.run(&["destroy", "--yes", "--all"]).await.exits(0);
        assert_eq!((names(&world), lock(&world).etcd()), (Vec::new(), LockedEtcd::Never), "{call:?}");
    }
}
