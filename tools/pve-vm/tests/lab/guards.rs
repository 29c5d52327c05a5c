//! Nobody gets a second VM, and no VM is switched off for a change that is refused.

use std::time::Duration;

use serde_json::json;

use crate::{
    by_hand::PLAIN,
    world::{World, options},
};

fn two_hosts() -> lab::Options {
    let hosts = ["pve1", "pve2"].map(str::to_owned).to_vec();
    lab::Options { hosts, control_planes: 2, workers: 0, ..options() }
}

fn count(world: &World) -> usize {
    world.lab.pve().vms().len()
}

/// Puts a VM under high availability.
fn manage(world: &World, id: u32) {
    let sid = format!("vm:{id}");
    world.lab.pve().call_as("root@pam", "POST", "/cluster/ha/resources", &[("sid", &sid)]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_of_a_host_that_is_offline_are_not_made_again_when_nobody_knows_their_names() {
    let world = World::start(two_hosts()).await;
    world.run(&[]).await.exits(0);
    let lost = world.lab.pve().vms().into_iter().find(|vm| vm.node == "pve2").unwrap();
    world.lab.pve().take_offline("pve2");
    world.lab.pve().forget_broadcasts();

    let outcome = world.run(&[]).await.exits(4);

    assert_eq!(count(&world), 2);
    let error = &outcome.status(&lost.name)["error"];
    assert_eq!(error["code"], "host-offline");
    let expected = format!("VM {}, which may be node {}, is on pve2, which is offline", lost.id, lost.name);
    assert_eq!(error["message"], expected);
    world.run(&["list"]).await.exits(4).says("which is offline");
    world.run(&["destroy", "--yes", "--only", &lost.name]).await.exits(4).says("which is offline");
    assert_eq!(count(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_answer_has_not_no_vms() {
    let world = World::start(two_hosts()).await;
    world.run(&[]).await.exits(0);
    for _ in 0..8 {
        let fault = lab::pve::Fault::Fail { status: 596, message: "Broken pipe".into() };
        world.lab.pve().fault("GET", "/nodes/pve2/qemu", fault);
    }

    world.run(&[]).await.exits(4).says("pve2, which doesn't answer");

    assert_eq!(count(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_the_server_was_too_busy_for_is_no_failure() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    for path in ["/cluster/resources", "/pending", "/status/current"] {
        let fault = lab::pve::Fault::Fail { status: 596, message: "Broken pipe".into() };
        world.lab.pve().fault("GET", path, fault);
    }

    let outcome = world.run(&[]).await.exits(0);

    assert_eq!(outcome.status("w-1")["vm"]["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_vm_is_not_even_switched_off() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let id = world.vm("w-1").id;
    world.lab.pve().set_option(id, "protection", Some("1"));

    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(7).says("is protected");
    world.edit("memory: 2048, disk: 20", "memory: 2048, disk: 10");
    world.run(&["--recreate", "--only", "w-1"]).await.exits(7).says("is protected");

    assert!(world.vm("w-1").running);
    assert!(world.lab.pve().tasks().iter().all(|task| task.kind != "qmstop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_cores_than_the_host_has_do_not_switch_a_vm_off() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {cores: 600");

    world.run(&["plan"]).await.exits(1).says("it has 128 CPUs, and 600 cores are wanted");
    world.run(&["--reboot"]).await.exits(1).says("it has 128 CPUs, and 600 cores are wanted");

    let vm = world.vm("w-1");
    assert_eq!((vm.running, vm.config["cores"].as_str()), (true, "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_no_host_could_start_is_not_made() {
    let world = World::start(options()).await;
    world.edit("bridge: vmbr0", "bridge: vmbr9");

    world.run(&["plan"]).await.exits(1).says("it has no bridge vmbr9 (bridges: vmbr0)");
    world.run(&[]).await.exits(1).says("it has no bridge vmbr9 (bridges: vmbr0)");

    assert_eq!(count(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_high_availability_manages_is_on_again_after_a_change_and_gone_after_destroy() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    manage(&world, world.vm("w-1").id);
    world.edit("worker: {vm: {cores: 2, memory: 2048", "worker: {vm: {cores: 2, memory: 3072");

    world.run(&["--reboot"]).await.exits(0);
    let vm = world.vm("w-1");
    assert_eq!((vm.running, vm.config["memory"].as_str()), (true, "3072"));

    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0);
    assert!(world.lab.pve().vm_by_name("w-1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_up_nothing_that_is_as_it_should_be_and_costs_one_wait_else() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let id = world.vm("w-1").id;
    world.lab.pve().set_option(id, "lock", Some("backup"));

    let outcome = world.run(&[]).await.exits(0);
    assert_eq!(outcome.status("w-1")["vm"]["changed"], false);

    let destroy = ["destroy", "--yes", "--only", "w-1", "--wait-timeout", "1s"];
    let outcome = world.run(&destroy).await.exits(4).says("is locked (backup)");
    assert_eq!(outcome.status("w-1")["error"]["code"], "locked");
    assert!(world.vm("w-1").running);
    assert!(world.lab.pve().tasks().iter().all(|task| task.kind != "qmstop"), "nothing was tried");
    world.lab.pve().set_option(id, "lock", None);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_quorum_nothing_is_begun_and_running_again_may_help() {
    let world = World::start(two_hosts()).await;
    world.run(&[]).await.exits(0);
    world.lab.pve().cut_off("pve1", true);
    world.edit("controlplane: {vm: {cores: 2, memory: 4096", "controlplane: {vm: {cores: 2, memory: 5120");
    let writes = world.lab.pve().writes();

    let outcome = world.run(&["--reboot", "--only", "cp-1"]).await.exits(4).says("has no quorum");

    assert_eq!(outcome.status("cp-1")["error"]["code"], "no-quorum");
    assert_eq!(world.lab.pve().writes(), writes);
    world.run(&["doctor"]).await.exits(1).says("has no quorum");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_somebody_elses_vm_is_refused_with_its_name() {
    let world = World::start(options()).await;
    let text = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    let address = text.split("address: ").nth(2).unwrap().split(['}', ',']).next().unwrap().to_owned();
    world.lab.pve().add_vm(900, "pve1", &[("name", "db"), ("ipconfig0", &format!("ip={address},gw=10.0.0.1"))]);

    let said = "is the address of VM 900 (db) on pve1, which isn't this cluster's";
    world.run(&["plan", "--only", "w-1"]).await.exits(7).says(said);
    world.run(&["--only", "w-1"]).await.exits(7).says(said);

    assert!(world.lab.pve().vm_by_name("w-1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_at_which_something_responds_is_refused_and_a_vm_that_runs_is_not_asked() {
    let world = World::start(options()).await;
    let outcome = world.run(&[]).await.exits(0);
    let address = outcome.status("w-1")["addresses"][0].as_str().unwrap().to_owned();
    let node = world.lab.talos().node("w-1").unwrap();
    drop(node);
    world.run(&[]).await.exits(0);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0);
    let squatter = listen(&address).await;

    world.run(&[]).await.exits(7).says(&format!("something responds at {address}:50000"));

    assert!(world.lab.pve().vm_by_name("w-1").is_none());
    drop(squatter);
    world.run(&[]).await.exits(0);
}

/// Listens where a node listened a moment ago.
async fn listen(address: &str) -> tokio::net::TcpListener {
    let bound = async {
        loop {
            match tokio::net::TcpListener::bind((address, 50000)).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), bound).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_can_not_be_looked_at_after_a_lost_reply_is_not_made_a_second_time() {
    let world = World::start(options()).await;
    world.run(&["--only", "cp-1"]).await.exits(0);
    world.lab.pve().fault("POST", "/qemu", lab::pve::Fault::LoseReply);
    let denied = "Permission check failed (/vms/101, VM.Audit)".to_owned();
    world.lab.pve().fault("GET", "/qemu/101/pending", lab::pve::Fault::Fail { status: 403, message: denied });

    world.run(&[]).await.exits(6).says("Permission check failed (/vms/101, VM.Audit)");
    let made = || world.lab.pve().vms().into_iter().filter(|vm| vm.name == "w-1").count();
    assert_eq!(made(), 1);
    world.run(&[]).await.exits(0);
    assert_eq!((made(), count(&world)), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_vm_id_that_is_taken_is_told_in_the_servers_words() {
    let hosts = ["pve1", "pve2"].map(str::to_owned).to_vec();
    let world = World::start(lab::Options { hosts, ..options() }).await;
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {vmid: 500, node: pve2, cores: 2");
    world.lab.pve().add_vm(500, "pve1", &[("name", "other")]);

    let outcome = world.run(&[]).await.exits(7).says("VM ID 500, which node w-1 wants, is taken: VM 500 on pve1");

    assert_eq!(outcome.status("w-1")["error"]["code"], "vmid");
}

#[tokio::test(flavor = "multi_thread")]
async fn vm_ids_are_in_the_files_order() {
    let world = World::start(lab::Options { control_planes: 3, workers: 5, ..options() }).await;

    world.run(&[]).await.exits(0);

    let names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    assert_eq!(names, ["cp-1", "cp-2", "cp-3", "w-1", "w-2", "w-3", "w-4", "w-5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_was_moved_meanwhile_is_destroyed_where_it_is() {
    let world = World::start(two_hosts()).await;
    world.run(&[]).await.exits(0);
    let vm = world.vm("cp-2");
    let other = if vm.node == "pve1" { "pve2" } else { "pve1" };
    let listed = world.run(&["list"]).await.exits(0);
    assert_eq!(listed.status("cp-2")["vm"]["node"], json!(vm.node));
    world.lab.pve().migrate(vm.id, other);

    world
        .run(&["destroy", "--yes", "--only", "cp-2"])
        .await
        .exits(0)
        .says(&format!("destroyed VM {} on {other}", vm.id));

    assert_eq!(count(&world), 1);
}

/// Some of it is refused by the call, some only while the disks are made.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_destroyed_for_one_that_proxmox_does_not_make() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    world.edit(PLAIN, "memory: 2048, disk: 10, sshkeys: \"no key\"");
    let kept = format!("so VM {} on pve1 is kept", before.id);
    let refused = world.run(&["--recreate", "--reboot"]).await.exits(1).says("sshkeys: invalid format").says(&kept);
    let trial = refused.stderr.split("makes the new VM, as ").nth(1).unwrap().lines().next().unwrap().to_owned();

    world.edit(", sshkeys: \"no key\"", "");
    let text = "unable to create VM 102 - unable to create image: The image size is too large for file format 'raw'";
    world.lab.pve().fail_create(&trial, text, 1);
    world.run(&["--recreate"]).await.exits(1).says("too large for file format").says(&kept);

    let vm = world.vm("w-1");
    assert_eq!((vm.id, &vm.uuid, vm.running), (before.id, &before.uuid, true));
    assert_eq!(world.lab.pve().vms().len(), 2, "nothing of the trials is left");
    let own = "disk: 10, name: w-1, vmid: 777, smbios1: \"family=lab\"";
    world.edit("disk: 10", own);
    world.run(&["--recreate"]).await.exits(0).says("trying whether Proxmox VE makes the new VM");
    assert_eq!((world.vm("w-1").uuid, world.lab.pve().vms().len()), (before.uuid, 2));
}

/// So 9.2.11 answers a list of VMs while one of them goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_for_a_vm_that_is_just_being_destroyed_is_asked_for_again() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let message = "Configuration file 'nodes/pve1/qemu-server/777.conf' does not exist".to_owned();
    world.lab.pve().fault("GET", "/nodes/pve1/qemu", lab::pve::Fault::Fail { status: 500, message });

    world.run(&[]).await.exits(0).says("2 unchanged");

    assert!(world.lab.pve().has_met_fault());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_switched_off_for_a_value_that_proxmox_does_not_take() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, &format!("{PLAIN}, sshkeys: \"no key\", onboot: false"));

    world.run(&["--reboot"]).await.exits(1).says("sshkeys").never_says("shutting down");

    let vm = world.vm("w-1");
    let has = |key: &str| vm.config.get(key).map(String::as_str);
    assert!(vm.running && has("sshkeys").is_none() && has("onboot") != Some("0"), "{:?}", vm.config);
    let calls = world.lab.pve().requests();
    assert!(!calls.iter().any(|(_, path)| path.ends_with("/status/shutdown")), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_was_killed_is_removed_by_the_next() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    world.edit(PLAIN, "memory: 2048, disk: 10");
    world.killed_at(("POST", "/nodes/pve1/qemu"), &["--recreate"]).await;
    let left = |pve: &lab::pve::Pve| pve.vms().into_iter().find(|vm| vm.name.starts_with("w-1-trial-"));
    world.lab.pve().until(|pve| left(pve).is_some_and(|vm| !vm.config.contains_key("lock"))).await;
    let trial = left(world.lab.pve()).unwrap();
    assert_eq!((world.vm("w-1").id, trial.config["onboot"].as_str()), (before.id, "0"));

    // One that runs is somebody's.
    let power = |to: &str| format!("/nodes/pve1/qemu/{}/status/{to}", trial.id);
    world.lab.pve().call("POST", &power("start"), &[]).unwrap();
    world.lab.pve().until(|pve| pve.vm(trial.id).unwrap().running).await;
    world.run(&["--recreate"]).await.exits(7).says("isn't one, or runs").says("--orphan w-1-trial-");
    world.lab.pve().call("POST", &power("stop"), &[]).unwrap();
    world.lab.pve().until(|pve| !pve.vm(trial.id).unwrap().running).await;
    assert_eq!(world.vm("w-1").id, before.id);

    world.run(&["--recreate"]).await.exits(0);

    let names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    assert!(names.len() == 2 && names.contains(&"w-1".to_owned()), "{names:?}");
    assert_eq!(world.vm("w-1").uuid, before.uuid);
    assert!(world.vm("w-1").config["scsi0"].contains("size=10G"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_recreated_from_a_volume_that_goes_with_it() {
    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, scsi1: \"local-lvm:5\""));
    world.run(&[]).await.exits(0);
    let vm = world.vm("w-1");
    let volume = vm.config["scsi1"].split(',').next().unwrap().to_owned();
    world.edit("disk: 20, scsi1: \"local-lvm:5\"", &format!("disk: 10, scsi1: \"{volume}\""));

    for arguments in
        [&["plan", "--recreate", "--replace-disk", "w-1:scsi1"][..], &["--recreate", "--replace-disk", "w-1:scsi1"]]
    {
        world.run(arguments).await.exits(7).says(&format!("scsi1 is a volume of VM {}", vm.id));
    }

    assert!(world.vm("w-1").running && world.vm("w-1").config["scsi1"].starts_with(&volume));
}

/// A node may be called as a trial would be.
#[tokio::test(flavor = "multi_thread")]
async fn a_recreation_touches_no_other_node_whatever_that_is_called() {
    let world = World::start(lab::Options { dhcp: true, ..options() }).await;
    world.edit("  - {name: w-1, role: worker}", "  - {name: w-1, role: worker}\n  - {name: w-1-trial, role: worker}");
    world.run(&[]).await.exits(0);
    let other = world.vm("w-1-trial");
    world.edit(PLAIN, "memory: 2048, disk: 10");

    world.run(&["--recreate", "--only", "w-1"]).await.exits(0);

    assert_eq!((world.vm("w-1-trial").id, world.vm("w-1-trial").running), (other.id, true));
    assert_eq!(world.lab.pve().vms().len(), 3);
}
