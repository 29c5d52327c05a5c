//! VMs of the cluster that left the file: reported, destroyed, and never lost sight of.

use record::{Lock, LockedEtcd};
use serde_json::{Value, json};

use crate::world::{Outcome, World, options};

/// Two control planes and two workers, of which the file no longer lists the second ones.
async fn left() -> World {
    let world = World::start(lab::Options { control_planes: 2, workers: 2, ..options() }).await;
    world.run(&[]).await.exits(0);
    forget(&world, "cp-2");
    forget(&world, "w-2");
    world
}

/// Takes a node out of the file.
fn forget(world: &World, node: &str) {
    let text = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    let is_it = |line: &&str| !line.contains(&format!("name: {node},"));
    let without: String = text.lines().filter(is_it).map(|line| format!("{line}\n")).collect();
    assert_ne!(without, text, "{node} is not in the file");
    std::fs::write(world.lab.cluster_file(), without).unwrap();
}

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    names.sort();
    names
}

fn lock(world: &World) -> Lock {
    let file = world.lab.dir().join(world.lab.name()).join("ichor.lock");
    Lock::parse(&std::fs::read_to_string(file).unwrap(), world.lab.name()).unwrap()
}

/// The cluster was bootstrapped, and no control plane answers any more.
fn bootstrapped_and_silent(world: &World) {
    let mut lock = lock(world);
    lock.set_etcd(&[7].into());
    std::fs::write(world.lab.dir().join(world.lab.name()).join("ichor.lock"), lock.emit()).unwrap();
    for name in ["cp-1", "cp-2"] {
        world.lab.talos().node(name).unwrap().refuse(true);
    }
}

/// Makes a VM what an earlier release would have made it: its mark doesn't say its role.
fn of_an_earlier_release(world: &World, node: &str) {
    let vm = world.vm(node);
    let text = vm.config["description"].split("\nichor-role").next().unwrap().to_owned();
    assert_ne!(text, vm.config["description"]);
    world.lab.pve().set_option(vm.id, "description", Some(&text));
}

fn nodes(outcome: &Outcome) -> Vec<(String, String, bool)> {
    let nodes = outcome.records[0]["status"]["nodes"].as_array().unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    nodes.iter().map(|node| (word(&node["name"]), word(&node["role"]), node["orphan"] == true)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_told_with_the_command_that_removes_them_and_listed_when_asked_for() {
    let world = left().await;
    let (gone, file) = (world.vm("w-2"), world.lab.cluster_file().display().to_string());
    let command = format!("`pve-vm destroy -f {file} --orphan w-2`");

    let plain = world.run_file(&["list"]).await.exits(0);
    let plain =
        plain.says(&format!("VM {} (w-2) on pve1 belongs to this cluster but isn't in the file: kept", gone.id));
    assert_eq!(nodes(&plain.says(&command)).len(), 2);

    let all = world.run_file(&["list", "--orphans"]).await.exits(0);
    let row = |name: &str, role: &str, orphan| (name.to_owned(), role.to_owned(), orphan);
    let expected = [
        row("cp-1", "controlplane", false),
        row("w-1", "worker", false),
        row("cp-2", "controlplane", true),
        row("w-2", "worker", true),
    ];
    assert_eq!(nodes(&all), expected);
    let status = all.status("w-2");
    assert_eq!((&status["vm"]["id"], &status["vm"]["orphan"]), (&json!(gone.id), &json!(true)));
    assert_eq!(status["vm"]["uuid"], json!(gone.uuid));
    assert!(gone.config["net0"].contains(status["vm"]["macs"][0].as_str().unwrap()));
    assert!(gone.config["ipconfig0"].contains(status["addresses"][0].as_str().unwrap()));
    assert!(all.status("w-1")["vm"]["orphan"].is_null());
    assert!(!all.stderr.contains("kept"), "{}", all.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_goes_through_a_pipe_and_a_flag_that_is_missing_loses_nothing() {
    let world = left().await;
    let before = names(&world);
    let all = world.run_file(&["list", "--orphans"]).await.exits(0).text();
    let only = world.run_file(&["list", "--orphans", "--only", "w-2"]).await.exits(0).text();

    world.run_on(&all, &["destroy", "--yes"]).await.exits(2).says("no nodes given");
    world.run_on(&only, &["destroy"]).await.exits(2).says("--yes");
    world.run_on(&all, &["destroy", "--yes", "--orphans"]).await.exits(2).says("needs the cluster file itself");
    world.run_file(&["list", "--orphans", "--only", "w-7"]).await.exits(8).says("--only w-7: no such node");
    // What the file doesn't describe can't be made so.
    world.run_on(&all, &[]).await.exits(8).says("node w-2 isn't in the cluster file");
    assert_eq!(names(&world), before);

    let outcome = world.run_on(&only, &["destroy", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-1"]);
    assert_eq!(outcome.status("w-2")["destroyed"]["changed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_takes_orphans_by_name_or_all_and_leaves_the_nodes_of_the_file() {
    let world = left().await;
    let before = names(&world);

    world.run_file(&["destroy", "--orphan", "w-2"]).await.exits(2).says("--yes");
    world.run_file(&["destroy", "--orphan", "w-1", "--yes"]).await.exits(2).says("node w-1 is in the cluster file");
    world.run_file(&["destroy", "--orphan", "w-7", "--yes"]).await.exits(0).says("no VM of node w-7 was found");
    let plan = world.run_file(&["destroy", "--orphans", "--dry-run"]).await.exits(3);
    assert_eq!(plan.status("w-2")["destroyed"]["pending"], true);
    assert!(plan.status("w-1")["destroyed"].is_null());
    assert_eq!(names(&world), before);

    world.run_file(&["destroy", "--orphan", "w-2", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-1"]);
    world.run_file(&["destroy", "--orphan", "w-2", "--yes"]).await.exits(0).says("nothing to destroy");
    world.run_file(&["destroy", "--orphans", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "w-1"]);
    world.run_file(&["destroy", "--orphans", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "w-1"], "none are left, and that never means all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_left_the_file_passes_the_gate_of_etcd() {
    let world = left().await;
    bootstrapped_and_silent(&world);
    let (before, writes) = (names(&world), world.lab.pve().writes());

    let refused = world.run_file(&["destroy", "--orphans", "--yes"]).await.exits(7).says("--ignore-etcd");
    assert_eq!(refused.status("cp-2")["error"]["code"], "no-answer");
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-1"], "the worker needs no gate");
    let plan = world.run_file(&["destroy", "--orphan", "cp-2", "--dry-run"]).await.exits(3);
    assert!(plan.status("cp-2")["destroyed"]["changes"].to_string().contains("--ignore-etcd"));
    assert_ne!((names(&world), world.lab.pve().writes()), (before, writes));

    world.run_file(&["destroy", "--orphan", "cp-2", "--yes", "--ignore-etcd"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "w-1"]);
    assert!(lock(&world).etcd().is_bootstrapped(), "orphans are never the whole cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_cluster_goes_with_its_orphans_which_is_said_before() {
    let world = left().await;
    bootstrapped_and_silent(&world);
    let gone =
        format!("VM {} (cp-2) on pve1: node cp-2 belongs to this cluster but isn't in the file", world.vm("cp-2").id);

    let plan = world.run_file(&["destroy", "--dry-run"]).await.exits(3).says(&format!("would also destroy {gone}"));
    assert_eq!(plan.status("cp-2")["destroyed"]["pending"], true);
    let part = world.run_file(&["destroy", "--only", "w-1", "--yes"]).await.exits(0).says("kept");
    assert!(!part.stderr.contains("also destroys"), "{}", part.stderr);
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-2"]);

    let whole = world.run_file(&["destroy", "--yes"]).await.exits(0).says(&format!("also destroys {gone}"));
    whole.says("its etcd is taken out of ichor.lock");
    assert_eq!((names(&world).len(), lock(&world).etcd()), (0, LockedEtcd::Never));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_nobody_knows_is_asked_from_a_person_and_never_guessed() {
    let world = left().await;
    for node in ["cp-2", "w-2"] {
        of_an_earlier_release(&world, node);
    }
    let before = names(&world);

    for arguments in [&["list", "--orphans"][..], &["destroy", "--orphans", "--yes"], &["destroy", "--yes"]] {
        let refused = world.run_file(arguments).await.exits(7).says("whether node cp-2 is a control plane or a worker");
        assert_eq!(refused.records.last().unwrap()["status"]["error"]["code"], "unknown-role");
    }
    assert_eq!(names(&world), before);

    // A person writes it.
    let vm = world.vm("w-2");
    let text = format!("{}\nichor-role: worker", vm.config["description"]);
    world.lab.pve().set_option(vm.id, "description", Some(&text));
    world.run_file(&["destroy", "--orphan", "w-2", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-1"]);
}

/// Seen on Proxmox VE 9.2: a call for one orphan failed because nothing said the role of another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_of_unknown_role_keeps_nobody_from_another_one() {
    let world = left().await;
    of_an_earlier_release(&world, "cp-2");
    world.lab.talos().node("cp-2").unwrap().refuse(true);

    world.run_file(&["list", "--orphans"]).await.exits(7).says("nothing says whether node cp-2");
    let listed = world.run_file(&["list", "--orphans", "--only", "w-2"]).await.exits(0);
    let listed = listed.says("(cp-2) on pve1 is not listed: nothing says its role, and --only names others");
    assert_eq!(listed.status("w-2")["vm"]["id"], world.vm("w-2").id);
    world.run_file(&["list", "--orphans", "--only", "cp-2"]).await.exits(7);
    world.run_file(&["destroy", "--orphan", "w-2", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "cp-2", "w-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_of_an_earlier_release_gets_the_role_with_the_next_run() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    of_an_earlier_release(&world, "w-1");

    let outcome = world.run(&[]).await.exits(0);
    assert_eq!(outcome.status("w-1")["vm"]["changes"][0]["what"], "description");
    assert!(world.vm("w-1").running && world.vm("w-1").config["description"].contains("\nichor-role: worker\n"));
    assert_eq!(world.run(&[]).await.exits(0).status("w-1")["vm"]["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_vm_is_no_orphan_and_holds_back_the_memory_of_etcd() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    bootstrapped(&world);
    let vm = world.vm("w-1");
    let copied: [(&str, &str); 3] =
        [("name", "w-1-copy"), ("description", &vm.config["description"]), ("tags", &vm.config["tags"])];
    world.lab.pve().add_vm(900, "pve1", &copied);

    let listed = world.run_file(&["list", "--orphans"]).await.exits(0).says("VM 900 (w-1-copy) on pve1 has the mark");
    assert_eq!(nodes(&listed).len(), 2);
    world.run_file(&["destroy", "--orphans", "--yes"]).await.exits(0);
    assert_eq!(names(&world), ["cp-1", "w-1", "w-1-copy"]);
    world.run_file(&["destroy", "--yes"]).await.exits(0).says("ichor.lock still remembers");
    assert_eq!(names(&world), ["w-1-copy"]);
    world.run(&[]).await.exits(7).says("is marked as node w-1 of this cluster, but has another UUID");
}

fn bootstrapped(world: &World) {
    let mut lock = lock(world);
    lock.set_etcd(&[7].into());
    std::fs::write(world.lab.dir().join(world.lab.name()).join("ichor.lock"), lock.emit()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_that_can_not_be_seen_is_never_taken_for_absent() {
    let hosts = ["pve1", "pve2"].map(str::to_owned).to_vec();
    let world = World::start(lab::Options { hosts, control_planes: 1, workers: 3, ..options() }).await;
    world.run(&[]).await.exits(0);
    let away: Vec<String> =
        world.lab.pve().vms().into_iter().filter(|vm| vm.node == "pve2").map(|vm| vm.name).collect();
    let lost = away.iter().find(|name| name.starts_with("w-")).unwrap();
    forget(&world, lost);
    let before = names(&world);
    world.lab.pve().take_offline("pve2");

    for arguments in [&["list", "--orphans"][..], &["destroy", "--orphans", "--yes"], &["destroy", "--yes"]] {
        let refused = world.run_file(arguments).await.exits(5).says("is on pve2, which is offline");
        assert_eq!(refused.records.last().unwrap()["status"]["error"]["code"], "host-offline");
    }
    world.run_file(&["destroy", "--orphan", lost, "--yes"]).await.exits(5);
    assert_eq!(names(&world), before, "nothing was destroyed");

    world.lab.pve().bring_online("pve2");
    deny(&world, world.vm(lost).id);
    world.run_file(&["list", "--orphans"]).await.exits(6).says("the token may not see VM");
    world.run_file(&["destroy", "--orphans", "--yes"]).await.exits(6);
    assert_eq!(names(&world), before);
}

/// Takes the token's right to see a VM.
fn deny(world: &World, id: u32) {
    let token = world.lab.pve().token().split('=').next().unwrap().to_owned();
    let role = [("roleid", "Watcher"), ("privs", "VM.Console")];
    world.lab.pve().call_as("root@pam", "POST", "/access/roles", &role).unwrap();
    let acl = [("path", format!("/vms/{id}")), ("tokens", token), ("roles", "Watcher".to_owned())];
    let acl = acl.each_ref().map(|(key, value)| (*key, value.as_str()));
    world.lab.pve().call_as("root@pam", "PUT", "/access/acl", &acl).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_elsewhere_name_the_command_that_removes_an_orphan() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("name: w-1", "name: w-9");

    world.run(&[]).await.exits(7).says("`pve-vm destroy -f FILE --orphan w-1`");
    let doctor = world.run_file(&["doctor"]).await;
    let found = doctor.records.last().unwrap()["status"]["doctor"]["findings"].to_string();
    assert!(found.contains("put w-1 into the file again, or destroy its VM: `pve-vm destroy -f "), "{found}");
}
