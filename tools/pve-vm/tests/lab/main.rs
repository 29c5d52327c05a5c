//! The program against a lab.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

mod adopt;
mod by_hand;
mod console;
mod disks;
mod etcd;
mod guards;
mod ha;
mod hidden;
mod iso;
mod leftovers;
mod moved;
mod moving;
mod naming;
mod orphans;
mod pairs;
mod references;
mod rights;
mod speed;
mod stopped;
mod ties;
mod trials;
mod world;

use serde_json::json;
use world::{World, options};

#[tokio::test(flavor = "multi_thread")]
async fn vms_are_made_as_the_spec_says_and_a_second_run_changes_nothing() {
    let world = World::start(options()).await;

    let first = world.run(&[]).await.exits(0);
    let writes = world.lab.pve().writes();
    let second = world.run(&[]).await.exits(0);

    let vm = world.vm("cp-1");
    assert_eq!((vm.running, vm.obstacle), (true, None));
    assert_eq!((vm.config["memory"].as_str(), vm.config["cpu"].as_str()), ("4096", "x86-64-v2-AES"));
    assert!(vm.config["scsi0"].contains("size=20G"), "{}", vm.config["scsi0"]);
    assert!(vm.config["tags"].split(';').any(|tag| tag == "ichor"));
    let status = first.status("cp-1");
    assert_eq!(status["vm"]["id"], vm.id);
    assert_eq!((&status["vm"]["uuid"], &status["vm"]["changed"]), (&json!(vm.uuid), &json!(true)));
    assert_eq!((&status["vm"]["zone"], &status["vm"]["region"]), (&json!("pve1"), &json!("pve1")));
    assert!(vm.config["net0"].contains(status["vm"]["macs"][0].as_str().unwrap()));
    assert_eq!(second.status("cp-1")["vm"]["changed"], false);
    assert_eq!(second.status("cp-1")["addresses"], status["addresses"]);
    assert_eq!(world.lab.pve().writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_done_and_touches_nothing() {
    let world = World::start(options()).await;

    let fresh = world.run(&["plan"]).await.exits(3).says("would create a VM on pve1");
    assert_eq!(fresh.status("w-1")["vm"]["pending"], true);
    assert_eq!(world.lab.pve().vms(), []);
    world.run(&[]).await.exits(0);
    let writes = world.lab.pve().writes();
    world.run(&["plan"]).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_from_dhcp_is_told_by_the_guest_agent() {
    let world = World::start(lab::Options { dhcp: true, ..options() }).await;

    let outcome = world.run(&[]).await.exits(0);

    let address = outcome.status("w-1")["addresses"][0].as_str().unwrap().to_owned();
    assert!(world.lab.talos().node("w-1").is_some(), "no node at {address}");
    assert!(address.starts_with("127."), "{address}");
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_lost_replies_and_busy_workers_are_waited_out() {
    let world = World::start(options()).await;
    world.lab.pve().lock_storage("local-lvm", 1);
    world.lab.pve().refuse_workers(1);
    world.lab.pve().fault("POST", "/status/start", lab::pve::Fault::LoseReply);
    world.lab.pve().fault("POST", "/qemu", lab::pve::Fault::LoseReply);

    world.run(&[]).await.exits(0);

    let mut names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    names.sort();
    assert_eq!(names, ["cp-1", "w-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_needs_a_reboot_waits_for_its_flag() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("worker: {vm: {cores: 2, memory: 2048", "worker: {vm: {cores: 2, memory: 3072");

    let refused = world.run(&[]).await.exits(7).says("memory 2048 -> 3072");
    assert_eq!(refused.status("cp-1")["vm"]["changed"], false, "the others are as they were");
    assert_eq!(world.vm("w-1").config["memory"], "2048");

    world.run(&["--reboot"]).await.exits(0);
    assert_eq!((world.vm("w-1").config["memory"].as_str(), world.vm("w-1").running), ("3072", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_node_does_not_get_a_second_machine_at_its_address() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("name: w-1", "name: w-9");

    world
        .run(&[])
        .await
        .exits(7)
        .says("(w-1) on pve1 belongs to this cluster but isn't in the file, and has the address");

    assert_eq!(world.lab.pve().vms().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_got_lost_is_not_replaced_while_the_clusters_vms_are_there() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let lock = world.lab.dir().join(world.lab.name()).join("ichor.lock");
    std::fs::remove_file(&lock).unwrap();

    world.run(&[]).await.exits(7).says("restore ichor.lock from version control");

    assert!(!lock.exists(), "a new identity was written");
    assert_eq!(world.lab.pve().vms().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_checkouts_of_one_cluster_at_the_same_time_make_its_vms_once() {
    let world = World::start(options()).await;
    let folders = ["one", "two"].map(|name| world.lab.dir().join(name));
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
        let mut lock = record::Lock::new(world.lab.name());
        lock.set_uid("00112233445566778899aabbccddeeff");
        std::fs::write(folder.join("ichor.lock"), lock.emit()).unwrap();
    }
    let [one, two] = folders.each_ref().map(|folder| ["--dir".to_owned(), folder.display().to_string()]);
    let (one, two) = (one.each_ref().map(String::as_str), two.each_ref().map(String::as_str));

    let (first, second) = tokio::join!(world.run(&one), world.run(&two));

    let mut names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    names.sort();
    assert_eq!(names, ["cp-1", "w-1"], "{}{}", first.stderr, second.stderr);
    world.run(&one).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_grows_while_the_vm_runs_and_a_smaller_one_means_another_vm() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    world.edit("memory: 2048, disk: 20", "memory: 2048, disk: 30");

    world.run(&[]).await.exits(0);
    assert!(world.vm("w-1").config["scsi0"].contains("size=30G"));
    assert_eq!(world.vm("w-1").id, before.id);

    world.edit("memory: 2048, disk: 30", "memory: 2048, disk: 25");
    world.run(&[]).await.exits(7).says("--recreate");
    world.run(&["--recreate"]).await.exits(0);
    assert!(world.vm("w-1").config["scsi0"].contains("size=25G"));
    assert_eq!(world.vm("w-1").uuid, before.uuid);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_vm_of_the_same_name_is_never_touched() {
    let world = World::start(options()).await;
    let id = world.lab.pve().add_foreign_vm("w-1");
    let before = world.lab.pve().vm(id);

    world.run(&[]).await.exits(7).says("doesn't belong to this cluster");
    world.run(&["destroy", "--yes", "--all"]).await.exits(0).says("w-1 no VM was found: there is nothing to destroy");
    world.run(&["list"]).await.exits(0).says("w-1 no VM was found");

    assert_eq!(world.lab.pve().vm(id), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_removes_ours_only_and_wants_to_be_sure() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.lab.pve().add_foreign_vm("somebody-elses");

    world.run(&["destroy", "--all"]).await.exits(2).says("--yes");
    assert_eq!(world.lab.pve().vms().len(), 3);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0).says("destroyed VM");
    let left: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    assert_eq!(left, ["somebody-elses"]);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_node_with_a_flag_missing_loses_nothing() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let names = || world.lab.pve().vms().into_iter().map(|vm| vm.name).collect::<Vec<_>>();
    let before = names();

    world.run(&["destroy", "--yes"]).await.exits(2).says("no nodes given");
    world.run(&["destroy", "--only", "w-1"]).await.exits(2).says("--yes");
    world.run(&["destroy", "--only", "w-7", "--yes"]).await.exits(8).says("no such node");
    assert_eq!(names(), before);

    let listed = world.run(&["list", "--only", "w-1"]).await.exits(0);
    let outcome = world.run_on(&listed.text(), &["destroy", "--yes"]).await.exits(0);
    assert_eq!(names(), ["cp-1"], "--only of the first step is enough, and limits the last one");
    let destroyed = &outcome.records.iter().find(|record| record["name"] == "w-1").unwrap()["status"]["destroyed"];
    assert_eq!((&destroyed["changed"], &destroyed["changes"][0]["impact"]), (&json!(true), &json!("data-loss")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_without_our_mark_is_not_destroyed() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let vm = world.vm("w-1");
    world.lab.pve().set_option(vm.id, "tags", None);
    world.lab.pve().set_option(vm.id, "description", Some("mine now"));

    world.run(&["destroy", "--yes", "--all"]).await.exits(7).says("not the mark");

    assert!(world.lab.pve().vm(vm.id).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn control_planes_spread_over_the_hosts() {
    let hosts = ["pve1", "pve2", "pve3"].map(str::to_owned).to_vec();
    let world = World::start(lab::Options { control_planes: 3, hosts, ..options() }).await;

    let outcome = world.run(&[]).await.exits(0);

    let mut hosts: Vec<String> = (1..=3).map(|n| world.vm(&format!("cp-{n}")).node).collect();
    hosts.sort();
    assert_eq!(hosts, ["pve1", "pve2", "pve3"]);
    assert_eq!(outcome.status("cp-1")["vm"]["region"], "lab");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_was_moved_by_hand_is_found_and_left_there() {
    let hosts = ["pve1", "pve2"].map(str::to_owned).to_vec();
    let world = World::start(lab::Options { hosts, ..options() }).await;
    world.run(&[]).await.exits(0);
    let vm = world.vm("w-1");
    let other = if vm.node == "pve1" { "pve2" } else { "pve1" };
    world.lab.pve().migrate(vm.id, other);

    let outcome = world.run(&[]).await.exits(0);

    assert_eq!(outcome.status("w-1")["vm"]["node"], other);
    assert_eq!(world.lab.pve().vms().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn vm_ids_come_from_the_range_that_the_file_gives() {
    let world = World::start(options()).await;
    world.edit("    bridge: vmbr0", "    bridge: vmbr0\n    vmids: 900-901");
    world.lab.pve().add_vm(900, "pve1", &[("name", "other")]);

    world.run(&[]).await.exits(1).says("no VM ID between 900 and 901 is free");

    assert_eq!(world.lab.pve().vms().iter().filter(|vm| vm.id == 901).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_what_is_missing_and_what_helps() {
    let world = World::start(options()).await;
    let fine = world.run(&["doctor"]).await.exits(0).says("has every privilege");
    let cluster = fine.records.last().unwrap();
    let found = cluster["status"]["doctor"]["findings"].as_array().unwrap();
    let state = |check: &str| found.iter().find(|it| it["check"] == check).map(|it| it["state"].clone());
    for check in ["tls", "version", "privileges", "quorum", "host", "storage", "bridge", "image", "room", "clock"] {
        assert!(matches!(state(check), Some(state) if state == "ok" || state == "warn"), "{check}: {found:?}");
    }
    assert!(!fine.stderr.contains("nothing to do"), "{}", fine.stderr);
    world.edit("storage: local-lvm", "storage: fast");

    let outcome = world.run(&["doctor"]).await.exits(1).says("there is no storage fast");
    assert_eq!(outcome.records.last().unwrap()["status"]["error"]["code"], "unfit");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_each_node_too() {
    let world = World::start(options()).await;
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {cores: 600");

    let outcome = world.run(&["doctor"]).await.exits(1).says("it has 128 CPUs, and 600 cores are wanted");

    assert!(outcome.status("cp-1")["error"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_not_allowed_and_shown_nowhere() {
    let world = World::start(options()).await;

    let outcome = world.run_with(&[], &[("PROXMOX_VE_API_TOKEN", "ichor@pve!lab=s3cret-s3cret")]).await;

    assert!(!outcome.exits(6).says("refused").stderr.contains("s3cret"));
}
