//! Moving VMs and disks to where the file has them.

use lab::{
    Options,
    pve::{Storage, StorageKind},
};

use crate::{
    by_hand::{PLAIN, allow},
    world::{World, options},
};

async fn two_hosts() -> World {
    let storages =
        vec![Storage::local(), Storage::local_lvm(), Storage::new("fast", StorageKind::LvmThin, &["images"])];
    let hosts = vec!["pve1".to_owned(), "pve2".to_owned()];
    let world = World::start(Options { storages, hosts, ..options() }).await;
    world.edit(PLAIN, &format!("{PLAIN}, node: pve1, scsi1: \"local-lvm:10\""));
    world.run(&[]).await.exits(0);
    world
}

async fn changes_nothing(world: &World, flags: &[&str]) {
    let writes = world.lab.pve().writes();
    let outcome = world.run(flags).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes, "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_goes_to_the_host_of_the_file_when_asked_and_runs_on() {
    let world = two_hosts().await;
    let id = world.vm("w-1").id;
    world.edit("node: pve1", "node: pve2");
    world.run(&[]).await.exits(0).says("the file says pve2: --migrate moves it");
    assert_eq!(world.vm("w-1").node, "pve1");

    for arguments in [&["plan", "--migrate"][..], &["--migrate"]] {
        world.run(arguments).await.exits(6).says("lacks VM.Migrate on /vms/");
    }
    assert_eq!(world.vm("w-1").node, "pve1");
    allow(&world, "VM.Migrate");
    let planned = world.run(&["plan", "--migrate"]).await.exits(3).says("would move VM");
    let change = &planned.status("w-1")["vm"]["changes"][0];
    assert_eq!((&change["what"], &change["from"], &change["to"]), (&"host".into(), &"pve1".into(), &"pve2".into()));
    let made = world.run(&["--migrate"]).await.exits(0).says("moved VM");

    let vm = world.vm("w-1");
    assert_eq!((vm.id, vm.node.as_str(), vm.running), (id, "pve2", true));
    assert_eq!(made.status("w-1")["vm"]["node"], "pve2");
    assert_eq!(made.status("w-1")["vm"]["zone"], "pve2");
    changes_nothing(&world, &["--migrate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_can_not_be_is_refused_before_anything_is_done() {
    let world = two_hosts().await;
    world.edit("node: pve1", "node: pve7");
    let writes = world.lab.pve().writes();
    for arguments in [&["--migrate"][..], &["plan", "--migrate"]] {
        world.run(arguments).await.exits(1).says("no such host; hosts: pve1, pve2");
    }
    assert_eq!(world.lab.pve().writes(), writes);
    assert!(world.vm("w-1").running);
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_go_to_the_storage_of_the_file_when_asked() {
    let world = two_hosts().await;
    world.edit("local-lvm:10", "fast:10");
    world.run(&[]).await.exits(0).says("the file says fast: --migrate moves the disk");
    assert!(world.vm("w-1").config["scsi1"].starts_with("local-lvm:"));

    world.run(&["--migrate"]).await.exits(0).says("moving scsi1 of VM");

    let vm = world.vm("w-1");
    assert!(vm.config["scsi1"].starts_with("fast:") && vm.config["scsi1"].contains("size=10G"), "{:?}", vm.config);
    assert!(vm.running && !vm.config.keys().any(|key| key.starts_with("unused")));
    let notes = &vm.config["description"];
    assert!(notes.contains("scsi1=fast:"), "{notes}");
    changes_nothing(&world, &["--migrate"]).await;
}

/// The state of a TPM is open while the VM runs, and Proxmox VE moves it only afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_tpm_is_moved_while_the_vm_is_off() {
    let world = two_hosts().await;
    world.edit("node: pve1, scsi1", "node: pve1, tpmstate0: \"local-lvm:1,version=v2.0\", scsi1");
    world.run(&["--reboot"]).await.exits(0);
    world.edit("tpmstate0: \"local-lvm:1", "tpmstate0: \"fast:1");
    world.edit("local-lvm:10", "fast:10");

    let planned = world.run(&["plan", "--migrate"]).await.exits(3);
    assert!(planned.status("w-1")["vm"]["changes"].to_string().contains("--reboot"), "{}", planned.stderr);
    world.run(&["--migrate"]).await.exits(7).says("--reboot");
    assert!(world.vm("w-1").config["scsi1"].starts_with("local-lvm:"), "nothing was done");
    world.run(&["--migrate", "--reboot"]).await.exits(0).says("moving tpmstate0 of VM");

    let vm = world.vm("w-1");
    assert!(vm.config["tpmstate0"].starts_with("fast:") && vm.config["scsi1"].starts_with("fast:"), "{:?}", vm.config);
    assert!(vm.running);
    changes_nothing(&world, &["--migrate"]).await;
}
