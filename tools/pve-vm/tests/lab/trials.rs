//! No VM is destroyed for one that can't be made, and nothing of a trial stays.

use crate::{
    by_hand::{PLAIN, grant},
    world::{World, options},
};

/// What only a creation of w-1 sees, and the trial of it can't, is looked at before the VM goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_kept_where_its_id_or_its_volumes_can_not_be_had() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    world.lab.pve().add_vm(555, "pve1", &[("name", "other"), ("memory", "512")]);
    let mut now = PLAIN.to_owned();
    for (vm, exit, told) in [
        ("disk: 10, vmid: 555", 7, "VM ID 555, which node w-1 wants, is taken"),
        ("disk: 10, vmid: 99", 8, "vm.vmid must be a VM ID from 100 to 999999999, got 99"),
        ("disk: 10, scsi2: \"local-lvm:foo\"", 1, "scsi2 names local-lvm:foo, which isn't on pve1"),
    ] {
        let next = format!("memory: 2048, {vm}");
        world.edit(&now, &next);
        now = next;
        for verb in [&["plan", "--recreate"][..], &["--recreate"]] {
            world.run(verb).await.exits(exit).says(told).never_says("destroyed VM");
        }
        let vm = world.vm("w-1");
        assert_eq!((vm.id, vm.running, world.lab.pve().vms().len()), (before.id, true, 3), "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_kept_where_a_volume_of_an_earlier_vm_of_the_wanted_id_is_in_the_way() {
    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, vmid: 777"));
    world.run(&[]).await.exits(0);
    let lock = lab::pve::Lock::Local { node: "pve1".into(), storage: "local-lvm".into() };
    world.lab.pve().take_lock(&lock);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(4);
    world.lab.pve().give_lock(&lock);
    // The right to remove it is no part of the usual role.
    grant(&world, &[]);
    world.edit(", vmid: 777", "");
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1").id;
    assert_ne!(before, 777);
    world.edit(PLAIN, "memory: 2048, disk: 10, vmid: 777");

    world.run(&["--recreate"]).await.exits(7).says("a volume of an earlier VM 777 is in the way on pve1");

    assert_eq!((world.vm("w-1").id, world.vm("w-1").running), (before, true));
}

/// The trial has the ID that the file asks for; without one, it takes one more of the range.
#[tokio::test(flavor = "multi_thread")]
async fn where_no_id_is_left_a_vm_is_recreated_only_with_one_of_its_own() {
    let world = World::start(options()).await;
    world.edit("storage: local-lvm", "storage: local-lvm\n    vmids: 900-901");
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, "memory: 2048, disk: 10");
    for verb in [&["plan", "--recreate"][..], &["--recreate"]] {
        world.run(verb).await.exits(1).says("no VM ID between 900 and 901 is free");
    }
    assert!(world.vm("w-1").running && [900, 901].contains(&world.vm("w-1").id));

    world.edit("disk: 10", "disk: 10, vmid: 950");
    world.run(&["--recreate"]).await.exits(0);

    assert_eq!((world.vm("w-1").id, world.vm("w-1").running, world.lab.pve().vms().len()), (950, true, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_is_to_be_protected_is_recreated_and_no_trial_stays() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, "memory: 2048, disk: 10, protection: true, smbios1: \"family=lab\"");

    world.run(&["--recreate", "--reboot"]).await.exits(0);

    let vm = world.vm("w-1");
    assert_eq!((vm.config["protection"].as_str(), world.lab.pve().vms().len()), ("1", 2));
    assert!(vm.config["smbios1"].contains("family=lab"), "{}", vm.config["smbios1"]);
}

/// The trial has the address of its node, and no tags yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_was_killed_keeps_its_node_from_nothing_and_goes_with_the_next_run() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let left = |pve: &lab::pve::Pve| pve.vms().into_iter().find(|vm| vm.name.starts_with("w-1-trial-"));
    world.edit(PLAIN, "memory: 2048, disk: 10");
    world.killed_at(("POST", "/nodes/pve1/qemu"), &["--recreate"]).await;
    world.lab.pve().until(|pve| left(pve).is_some_and(|vm| !vm.config.contains_key("lock"))).await;
    world.edit("memory: 2048, disk: 10", PLAIN);
    let stop = format!("/nodes/pve1/qemu/{}/status/stop", world.vm("w-1").id);
    world.lab.pve().call("POST", &stop, &[]).unwrap();
    world.lab.pve().until(|pve| pve.vm_by_name("w-1").is_some_and(|vm| !vm.running)).await;

    for verb in ["plan", "list", "doctor"] {
        world.run(&[verb]).await.says("is a trial that was cut off").never_says("isn't in the file");
    }
    world.run(&[]).await.exits(0).says("a trial that was cut off");

    assert!(left(world.lab.pve()).is_none() && world.vm("w-1").running);
    let lock = std::fs::read_to_string(world.lab.dir().join("lab/ichor.lock")).unwrap();
    assert!(!lock.contains("trials"), "{lock}");
}

/// While it is being made, it shows nothing by which it could be known.
#[tokio::test(flavor = "multi_thread")]
async fn a_destruction_takes_the_trial_along_that_was_killed_a_moment_ago() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, "memory: 2048, disk: 10");
    world.killed_at(("POST", "/nodes/pve1/qemu"), &["--recreate"]).await;

    world.run(&["destroy", "--yes", "--all"]).await.exits(0);

    let names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    assert_eq!(names, [""; 0]);
}

/// Somebody removed what was left, and the node's new VM has the ID of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn the_disks_of_a_new_vm_are_not_taken_for_leftovers_of_the_old_one() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let (id, lock) = (world.vm("w-1").id, lab::pve::Lock::Local { node: "pve1".into(), storage: "local-lvm".into() });
    world.lab.pve().take_lock(&lock);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(4);
    world.lab.pve().give_lock(&lock);
    for volume in world.lab.pve().volumes("pve1", "local-lvm") {
        if volume.contains(&format!("vm-{id}-")) {
            let path = format!("/nodes/pve1/storage/local-lvm/content/{volume}");
            world.lab.pve().call_as("root@pam", "DELETE", &path, &[]).unwrap();
        }
    }
    let is_left = |volume: &String| volume.contains(&format!("vm-{id}-"));
    world.lab.pve().until(|pve| !pve.volumes("pve1", "local-lvm").iter().any(is_left)).await;

    for _ in 0..2 {
        world.run(&[]).await.exits(0).never_says("was left").never_says("were destroyed before");
        for verb in ["list", "plan", "doctor"] {
            world.run(&[verb]).await.exits(0).never_says("was left");
        }
    }
    assert_eq!((world.vm("w-1").id, world.vm("w-1").running), (id, true));
    grant(&world, &["Datastore.Allocate"]);
    world.run(&[]).await.exits(0).never_says("was left");
}

/// It has the same ID and UUID.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_another_run_has_made_anew_meanwhile_is_not_destroyed() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    world.edit(PLAIN, "memory: 2048, disk: 10");
    let trial = format!("w-1-trial-{}", before.uuid[..8].to_lowercase());
    world.lab.pve().hold(&trial);
    let running = world.run(&["--recreate"]);
    let other = async {
        world.lab.pve().until(|pve| pve.vms().len() == 3).await;
        world.lab.pve().set_option(before.id, "vmgenid", Some("00000000-0000-4000-8000-000000000001"));
        world.lab.pve().release(&trial);
    };
    let (outcome, ()) = tokio::join!(running, other);

    outcome.exits(4).says("made anew by another run meanwhile").never_says("recreating");
    assert_eq!((world.vm("w-1").id, world.vm("w-1").running, world.lab.pve().vms().len()), (before.id, true, 2));
    world.run(&["--recreate"]).await.exits(0);
}
