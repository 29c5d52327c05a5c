//! Nothing is left on storages unseen.

use std::time::Duration;

use lab::{
    Options,
    pve::{Lock, Storage, StorageKind},
};

use crate::{
    by_hand::{PLAIN, grant},
    world::{World, options},
};

fn disks(world: &World) -> Vec<String> {
    world.lab.pve().volumes("pve1", "local-lvm")
}

fn lock() -> Lock {
    Lock::Local { node: "pve1".into(), storage: "local-lvm".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_vms_are_made_and_destroyed_without_leaving_a_volume() {
    let slow = lab::delays::Delays {
        allocate: Duration::from_millis(60),
        lock: Duration::from_millis(250),
        ..lab::delays::Delays::ZERO
    };
    let world = World::start(Options { control_planes: 1, workers: 9, delays: slow, ..options() }).await;
    world.run(&[]).await.exits(0);
    assert!(disks(&world).len() >= 20);

    world.run(&["destroy", "--yes", "--all", "--parallel", "20"]).await.exits(0);

    assert_eq!(disks(&world), [""; 0]);
    let warned = world.lab.pve().tasks().into_iter().filter(|task| task.exit.as_ref().is_some_and(|exit| exit != "OK"));
    assert_eq!(warned.count(), 0, "no task had to wait too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_the_destruction_left_is_removed_or_named() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let id = world.vm("w-1").id;
    world.lab.pve().take_lock(&lock());

    let outcome =
        world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(4).says(&format!("local-lvm:vm-{id}-disk-0"));

    assert_eq!(outcome.status("w-1")["error"]["code"], "leftover");
    assert!(outcome.stderr.contains("pvesm free local-lvm:vm-"), "{}", outcome.stderr);
    assert!(world.lab.pve().vm_by_name("w-1").is_none());
    let lock_file = std::fs::read_to_string(world.lab.dir().join("lab/ichor.lock")).unwrap();
    assert!(record::Lock::parse(&lock_file, "lab").unwrap().was_destroyed("w-1"), "{lock_file}");
    let again = world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(5);
    let again = again.says("VMs that were destroyed before left");
    assert!(again.stderr.contains(&format!("local-lvm:vm-{id}-disk-0 on pve1")), "{}", again.stderr);
    world.lab.pve().give_lock(&lock());
    let doctor = world.run(&["doctor"]).await.exits(0);
    assert_eq!(doctor.stderr.matches(&format!("local-lvm:vm-{id}-disk-0 was left by a VM")).count(), 1, "{doctor:?}");
    assert!(!doctor.stderr.contains("which doesn't exist"), "told twice: {doctor:?}");
    let told = format!("local-lvm:vm-{id}-disk-0 on pve1 was left by a VM that was destroyed: a run would remove it");
    world.run(&["list"]).await.exits(0).says(&told);
    world.run(&["destroy", "--dry-run", "--only", "w-1"]).await.exits(0).says(&told);

    // The right to remove volumes is no part of the usual role.
    grant(&world, &[]);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(6).says("Datastore.Allocate on /storage/local-lvm");
    grant(&world, &["Datastore.Allocate"]);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0).says("had left");
    assert!(!disks(&world).iter().any(|disk| disk.contains(&format!("vm-{id}-"))), "{:?}", disks(&world));
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0);
}

/// A new VM of the same ID may have a volume of the same name.
#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_whose_id_is_in_use_again_is_left_alone() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let id = world.vm("w-1").id;
    world.lab.pve().take_lock(&lock());
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(4);
    world.lab.pve().give_lock(&lock());
    grant(&world, &["Datastore.Allocate"]);
    world.lab.pve().add_vm(id, "pve1", &[("name", "somebody-elses"), ("memory", "512")]);

    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0).says("in use again");

    assert!(disks(&world).iter().any(|disk| disk.contains(&format!("vm-{id}-disk-0"))), "{:?}", disks(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_of_an_earlier_vm_is_no_vm_id_that_is_taken() {
    let world = World::start(Options { storages: vec![Storage::local(), Storage::local_lvm()], ..options() }).await;
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {vmid: 158, cores: 2");
    let text = "unable to create VM 158 - disk image '/var/lib/vz/images/158/vm-158-cloudinit.qcow2' already exists";
    world.lab.pve().fail_create("w-1", text, 1);

    let outcome = world.run(&[]).await.exits(7).says("a volume of an earlier VM 158 is in the way on pve1");

    assert_eq!(outcome.status("w-1")["error"]["code"], "leftover");
    assert!(outcome.stderr.contains("vm-158-cloudinit.qcow2"), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fixed_id_a_leftover_is_told_and_another_id_taken() {
    let world = World::start(options()).await;
    let text = "unable to create VM 100 - disk image '/var/lib/vz/images/100/vm-100-cloudinit.qcow2' already exists";
    world.lab.pve().fail_create("cp-1", text, 1);

    world.run(&[]).await.exits(0).says("is left out: a volume of an earlier VM");

    assert_eq!(world.lab.pve().vms().len(), 2);
}

/// What the old VM leaves on a storage keeps the node from nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_recreated_although_the_old_one_left_a_volume() {
    let fast = Storage::new("fast", StorageKind::LvmThin, &["images"]);
    let storages = vec![Storage::local(), Storage::local_lvm(), fast];
    let world = World::start(Options { storages, ..options() }).await;
    let (old, new) = (format!("{PLAIN}, scsi1: \"fast:10\""), "memory: 2048, disk: 10");
    world.edit(PLAIN, &old);
    world.run(&[]).await.exits(0);
    let (id, uuid) = (world.vm("w-1").id, world.vm("w-1").uuid);
    world.edit(&old, new);
    world.lab.pve().take_lock(&Lock::Local { node: "pve1".into(), storage: "fast".into() });

    let told = world.run(&["--recreate", "--replace-disk", "w-1:scsi1"]).await.exits(0);

    assert!(told.stderr.contains(&format!("but left fast:vm-{id}-disk-0 on pve1")), "{}", told.stderr);
    assert_eq!((world.vm("w-1").uuid, world.vm("w-1").running), (uuid, true));
    world.lab.pve().give_lock(&Lock::Local { node: "pve1".into(), storage: "fast".into() });
    world.run(&[]).await.exits(0).says(&format!("removed fast:vm-{id}-disk-0 on pve1"));
}
