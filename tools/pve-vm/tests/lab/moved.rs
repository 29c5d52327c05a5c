//! Disks that somebody moved, and VMs that don't start with their changes.

use lab::{
    Options,
    pve::{Fault, Storage, StorageKind},
};

use crate::{
    by_hand::{PLAIN, change, remove, stop, volume, volumes},
    world::{World, options},
};

/// A world whose worker has these parameters besides its own.
async fn with(vm: &str) -> World {
    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, {vm}"));
    world.run(&[]).await.exits(0);
    world
}

/// Runs it with these flags, and holds that it is refused and sends nothing that changes anything.
async fn refuses(world: &World, flags: &[&str], says: &str) {
    let (writes, before) = (world.lab.pve().writes(), world.vm("w-1"));
    let outcome = world.run(&[flags, &["--only", "w-1"]].concat()).await.exits(7).says(says);
    assert_eq!(world.lab.pve().writes(), writes, "{}", outcome.stderr);
    assert_eq!(world.vm("w-1").running, before.running);
}

async fn changes_nothing(world: &World) {
    let writes = world.lab.pve().writes();
    let outcome = world.run(&["--reboot"]).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes, "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_empty_disk_stands_in_for_one_that_was_moved_to_another_slot() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    let (disk, made) = (volume(&world, "scsi1"), volumes(&world));
    change(&world, &[("delete", "scsi1")]);
    change(&world, &[("virtio2", &format!("{disk},iothread=1"))]);

    for flags in [&[][..], &["--reboot", "--recreate"]] {
        refuses(&world, flags, "which is virtio2 now").await;
    }
    stop(&world);
    refuses(&world, &["--reboot"], "--replace-disk w-1:scsi1").await;
    assert_eq!(volumes(&world), made);

    // What the file says now is what is there.
    world.edit("scsi1: ", "virtio2: ");
    world.edit("local-lvm:100", "local-lvm:100,iothread=1");
    world.run(&["--reboot"]).await.exits(0);
    assert_eq!((volume(&world, "virtio2"), volumes(&world)), (disk, made));
    changes_nothing(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_renamed_in_the_file_gets_no_empty_disk_unasked() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    let (disk, made) = (volume(&world, "scsi1"), volumes(&world));
    world.edit("scsi1: ", "scsi2: ");

    refuses(&world, &["--reboot"], "scsi1 is").await;
    let planned = world.run(&["plan"]).await.exits(3);
    assert_eq!(planned.status("w-1")["vm"]["changes"][0]["needs"], "--replace-disk w-1:scsi2");
    assert_eq!((volume(&world, "scsi1"), volumes(&world)), (disk.clone(), made));

    world.run(&["--replace-disk", "w-1:scsi2"]).await.exits(0);
    assert_eq!(volume(&world, "scsi1"), disk, "it is kept");
    assert!(world.vm("w-1").config["scsi2"].contains("size=100G"));
    changes_nothing(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_given_up_once_is_never_taken_for_a_missing_one_again() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.edit("local-lvm:100", "local-lvm:50");
    world.run(&["--reboot", "--replace-disk", "w-1:scsi1"]).await.exits(0);
    assert!(world.vm("w-1").config.contains_key("unused0"));

    world.edit("local-lvm:50\"", "local-lvm:50\", scsi2: \"local-lvm:10\"");
    world.run(&[]).await.exits(0);
    assert!(world.vm("w-1").config["scsi2"].contains("size=10G"));
    changes_nothing(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_disk_in_the_place_of_the_system_disk_is_neither_grown_nor_booted_from() {
    let world = with(r#"scsi1: "local-lvm:10""#).await;
    let (system, data) = (volume(&world, "scsi0"), volume(&world, "scsi1"));
    stop(&world);
    change(&world, &[("delete", "scsi0,scsi1")]);
    change(&world, &[("scsi0", &data), ("scsi1", &system)]);

    for flags in [&[][..], &["--reboot", "--recreate"], &["--replace-disk", "w-1:scsi0,w-1:scsi1"]] {
        refuses(&world, flags, "is left alone").await;
    }
    assert!(!world.vm("w-1").running);

    change(&world, &[("delete", "scsi0,scsi1")]);
    change(&world, &[("scsi0", &system), ("scsi1", &data)]);
    world.run(&["--reboot"]).await.exits(0);
    assert_eq!((volume(&world, "scsi0"), volume(&world, "scsi1")), (system, data));
    assert!(world.vm("w-1").running);
}

/// What only the start refuses is asked before, where anybody can be asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_can_not_run_is_refused_while_the_vm_runs() {
    let world = with("onboot: true").await;
    let mut last = PLAIN.to_owned();
    for (vm, says) in [
        (format!("{PLAIN}, machine: pc-q35-99.0"), "it has no machine type pc-q35-99.0"),
        (format!("{PLAIN}, cpu: nonsense"), "it has no CPU type nonsense"),
        ("memory: 999999999, disk: 20".to_owned(), "MiB of memory, and 999999999 MiB are wanted"),
        (format!("{PLAIN}, sockets: 4096"), "8192 cores are wanted"),
    ] {
        world.edit(&last, &vm);
        last = vm;
        let writes = world.lab.pve().writes();
        for arguments in [&["--reboot"][..], &["plan"]] {
            world.run(arguments).await.exits(1).says(says);
        }
        assert_eq!(world.lab.pve().writes(), writes);
        assert!(world.vm("w-1").running);
    }
}

/// What nobody can be asked is refused by the start itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_does_not_start_with_its_changes_runs_again_without_them() {
    let world = with("onboot: true").await;
    world.edit(PLAIN, &format!("{PLAIN}, numa: true, numa0: \"cpus=0,memory=1\", sockets: 2"));

    world
        .run(&["--reboot"])
        .await
        .exits(1)
        .says("total memory for NUMA nodes must be equal")
        .says("doesn't start with its changes, and runs as before");

    let vm = world.vm("w-1");
    assert!(vm.running && vm.config["sockets"] == "1" && !vm.config.contains_key("numa0"), "{:?}", vm.config);
    world.edit("numa0: \"cpus=0,memory=1\", sockets: 2", "sockets: 2");
    world.run(&["--reboot"]).await.exits(0);
    assert_eq!(world.vm("w-1").config["sockets"], "2");
}

/// A reply that is lost at each call between giving a disk up and having another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_disk_beside_one_that_was_moved_is_made_once_in_spite_of_lost_replies() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    let (disk, before) = (volume(&world, "scsi1"), volumes(&world).len());
    change(&world, &[("delete", "scsi1")]);
    change(&world, &[("virtio2", &disk)]);
    for _ in 0..2 {
        world.lab.pve().fault("POST", "/config", Fault::LoseReply);
    }

    world.run(&["--replace-disk", "w-1:scsi1"]).await.exits(0);

    assert_eq!((volume(&world, "virtio2"), volumes(&world).len()), (disk, before + 1));
    changes_nothing(&world).await;
}

/// A volume that is freed gives its name to the next one that is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_on_another_storage_is_not_confused_with_a_new_one_that_gets_its_old_name() {
    let storages =
        vec![Storage::local(), Storage::local_lvm(), Storage::new("fast", StorageKind::LvmThin, &["images"])];
    let world = World::start(Options { storages, ..options() }).await;
    world.run(&[]).await.exits(0);
    let old = volume(&world, "scsi0");
    move_by_hand(&world, "scsi0", &[("delete", "1")]).await;
    world.edit(PLAIN, &format!("{PLAIN}, disks: [{{size: 4}}]"));

    world.run(&[]).await.exits(0);

    assert_eq!(volume(&world, "scsi1"), old, "the name was free");
    assert!(volume(&world, "scsi0").starts_with("fast:"));
    changes_nothing(&world).await;
}

/// The web interface leaves the old volume unless told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_copied_to_another_storage_and_left_its_old_volume_is_the_disk() {
    let storages =
        vec![Storage::local(), Storage::local_lvm(), Storage::new("fast", StorageKind::LvmThin, &["images"])];
    let world = World::start(Options { storages, ..options() }).await;
    world.run(&[]).await.exits(0);
    move_by_hand(&world, "scsi0", &[]).await;
    assert!(world.vm("w-1").config.contains_key("unused0"));

    world.run(&[]).await.exits(0).says("--migrate moves the disk");
    assert!(world.vm("w-1").config["description"].contains("scsi0=fast:"));
    changes_nothing(&world).await;
}

async fn move_by_hand(world: &World, disk: &str, more: &[(&str, &str)]) {
    let id = world.vm("w-1").id;
    let params = [&[("disk", disk), ("storage", "fast")], more].concat();
    world.lab.pve().call_as("root@pam", "POST", &format!("/nodes/pve1/qemu/{id}/move_disk"), &params).unwrap();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
    while !volume(world, disk).starts_with("fast:") {
        ticks.tick().await;
    }
}

/// The disk was taken out of the file, detached as the tool says, and put back into the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_left_the_file_and_comes_again_is_no_empty_one() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    let disk = volume(&world, "scsi1");
    world.edit(r#", scsi1: "local-lvm:100""#, "");
    world.run(&[]).await.exits(0).says("which isn't in the file: kept");
    change(&world, &[("delete", "scsi1")]);
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, &format!("{PLAIN}, scsi1: \"local-lvm:100\""));

    refuses(&world, &["--reboot"], "--replace-disk w-1:scsi1").await;
    change(&world, &[("scsi1", &disk)]);
    world.run(&[]).await.exits(0);
    assert_eq!(volume(&world, "scsi1"), disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_one_vm_is_never_attached_to_another() {
    let world = with("onboot: true").await;
    world.edit(PLAIN, &format!("{PLAIN}, scsi1: \"local-lvm:vm-900-disk-0\""));
    refuses(&world, &["--reboot"], "belongs to VM 900").await;

    remove(&world, world.vm("w-1").id);
    world.run(&["--only", "w-1"]).await.exits(8).says("its volume belongs to another VM");
}

/// The old VM is destroyed only if a new one can be made.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_recreated_from_an_image_that_is_gone() {
    let world = with("onboot: true").await;
    let id = world.vm("w-1").id;
    world
        .lab
        .pve()
        .call_as("root@pam", "DELETE", "/nodes/pve1/storage/local/content/local:import%2Ftalos.qcow2", &[])
        .unwrap();
    world.edit(PLAIN, "memory: 2048, disk: 10");
    world.run(&["--recreate", "--only", "w-1"]).await.exits(8).says("the image is not on pve1");
    assert_eq!((world.vm("w-1").id, world.vm("w-1").running), (id, true));
}

/// A disk that was never in the file, and is attached, may come into it in another slot.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_never_in_the_file_is_no_reason_for_an_empty_one() {
    let world = with("onboot: true").await;
    change(&world, &[("scsi3", "local-lvm:7")]);
    world.run(&[]).await.exits(0).says("which isn't in the file: kept");
    world.edit(PLAIN, &format!("{PLAIN}, virtio1: \"local-lvm:7\""));
    refuses(&world, &["--reboot"], "--replace-disk w-1:virtio1").await;
}
