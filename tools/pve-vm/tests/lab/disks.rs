//! Disks and values that wait: nothing is ever lost, made twice, or taken for done.

use lab::pve::Fault;
use serde_json::json;

use crate::{
    by_hand::{PLAIN, change, stop, volume, volumes},
    world::{Outcome, World, options},
};

/// A world whose worker has these parameters besides its own.
async fn with(vm: &str) -> World {
    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, {vm}"));
    world
}

/// Runs it, and holds that it sends nothing that changes anything.
async fn changes_nothing(world: &World, arguments: &[&str]) -> Outcome {
    let writes = world.lab.pve().writes();
    let outcome = world.run(arguments).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes, "{}", outcome.stderr);
    assert_eq!(outcome.status("w-1")["vm"]["changed"], false, "{}", outcome.stderr);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_disk_is_made_once_and_stays_whatever_comes() {
    let world = with(
        r#"scsi1: "local-lvm:100", virtio1: "local-lvm:1,iothread=1", sata0: "file=local-lvm:2,ssd=1", cdrom: none"#,
    )
    .await;

    world.run(&[]).await.exits(0);

    let made = volumes(&world);
    let slots = ["scsi0", "scsi1", "virtio1", "sata0", "efidisk0"];
    let before = slots.map(|slot| volume(&world, slot));
    let unused = |world: &World| world.vm("w-1").config.keys().any(|key| key.starts_with("unused"));
    assert!(!unused(&world), "{:?}", world.vm("w-1").config);
    changes_nothing(&world, &[]).await;
    changes_nothing(&world, &["--reboot"]).await;
    changes_nothing(&world, &["--reboot", "--recreate"]).await;
    stop(&world);
    world.run(&[]).await.exits(0);
    stop(&world);
    world.run(&["--reboot", "--recreate"]).await.exits(0);
    changes_nothing(&world, &[]).await;
    assert_eq!(slots.map(|slot| volume(&world, slot)), before);
    assert_eq!((volumes(&world), unused(&world)), (made, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_disk_grows_and_is_given_up_only_by_its_name() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.run(&[]).await.exits(0);
    let disk = volume(&world, "scsi1");

    world.edit("local-lvm:100", "local-lvm:150");
    world.run(&[]).await.exits(0).says("scsi1 100G -> 150G");
    assert!(world.vm("w-1").config["scsi1"].contains("size=150G"));
    assert_eq!(volume(&world, "scsi1"), disk);

    world.edit("local-lvm:150", "local-lvm:50");
    let made = volumes(&world);
    let flags: [&[&str]; 4] =
        [&[], &["--reboot"], &["--reboot", "--recreate"], &["--reboot", "--replace-disk", "cp-1:scsi1"]];
    for flags in flags {
        world.run(flags).await.exits(7).says("--replace-disk w-1:scsi1");
    }
    let planned = world.run(&["plan"]).await.exits(3).says("would give up disk scsi1");
    assert_eq!(planned.status("w-1")["vm"]["changes"][0]["needs"], "--reboot --replace-disk w-1:scsi1");
    assert_eq!((volumes(&world), world.vm("w-1").running), (made, true));

    world.run(&["--reboot", "--replace-disk", "w-1:scsi1"]).await.exits(0);
    let vm = world.vm("w-1");
    assert!(vm.running && vm.config["scsi1"].contains("size=50G"));
    assert_eq!(vm.config["unused0"], disk, "the old disk is kept");
    changes_nothing(&world, &["--reboot", "--replace-disk", "w-1:scsi1"]).await;
}

/// The old disk is kept at whatever call the run is cut, and only one is made in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_given_up_is_kept_although_the_run_is_killed() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.run(&[]).await.exits(0);
    let mut size = 100;
    for call in [("POST", "/status/shutdown"), ("POST", "/config"), ("POST", "/status/start")] {
        for fault in [Fault::Hang, Fault::Slow { by: Some(std::time::Duration::from_secs(600)) }] {
            let (disk, made) = (volume(&world, "scsi1"), volumes(&world));
            world.edit(&format!("local-lvm:{size}"), &format!("local-lvm:{}", size - 10));
            size -= 10;
            world.lab.pve().fault(call.0, call.1, fault.clone());
            let flags = ["--reboot", "--replace-disk", "w-1:scsi1"];
            world.killed_at(call, &flags).await;
            world.lab.pve().heal();

            world.run(&flags).await.exits(0);
            let vm = world.vm("w-1");
            assert!(vm.running && vm.config["scsi1"].contains(&format!("size={size}G")), "{call:?} {fault:?}");
            assert!(vm.config.values().any(|value| *value == disk), "{call:?} {fault:?}: {disk} isn't kept");
            assert_eq!(volumes(&world).len(), made.len() + 1, "{call:?} {fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_whose_change_fails_while_it_is_off_is_switched_on_again() {
    let world = with("ciuser: me").await;
    world.run(&[]).await.exits(0);
    world.edit("ciuser: me", "ciuser: you");
    world.lab.pve().fault("POST", "/config", Fault::Fail { status: 500, message: "no space left".into() });

    world.run(&["--reboot"]).await.exits(1).says("no space left");

    assert!(world.vm("w-1").running);
    world.run(&["--reboot"]).await.exits(0);
    assert_eq!(world.vm("w-1").config["ciuser"], "you");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_recreated_while_it_has_disks_that_nobody_named() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.run(&[]).await.exits(0);
    let before = (world.vm("w-1").id, volumes(&world));
    world.edit("disk: 20, scsi1", "disk: 10, scsi1");

    let planned = world.run(&["plan"]).await.exits(3).says("would lose disk scsi1");
    let needs = |change: &serde_json::Value| change["needs"] == "--replace-disk w-1:scsi1";
    assert!(planned.status("w-1")["vm"]["changes"].as_array().unwrap().iter().any(needs));
    world.run(&["--recreate"]).await.exits(7).says("scsi1 would be lost").says("--replace-disk w-1:scsi1");
    assert_eq!((world.vm("w-1").id, volumes(&world)), before);
    assert!(world.vm("w-1").running);

    world.run(&["--recreate", "--replace-disk", "w-1:scsi1"]).await.exits(0);
    assert!(world.vm("w-1").config["scsi0"].contains("size=10G"));
    changes_nothing(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_empty_disk_stands_in_for_one_that_was_detached() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.run(&[]).await.exits(0);
    let (disk, made) = (volume(&world, "scsi1"), volumes(&world));
    stop(&world);
    change(&world, &[("delete", "scsi1")]);
    assert_eq!(world.vm("w-1").config["unused0"], disk);

    world.run(&["--reboot"]).await.exits(7).says("attaches it");

    assert_eq!(volumes(&world), made);
    change(&world, &[("scsi1", &disk)]);
    world.run(&[]).await.exits(0);
    assert_eq!(volume(&world, "scsi1"), disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_added_later_is_made_once_in_spite_of_lost_replies() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = volumes(&world).len();
    world.edit(PLAIN, &format!("{PLAIN}, disks: [{{size: 100}}, {{size: 10, slot: virtio1, iothread: true}}]"));
    world.lab.pve().fault("POST", "/config", Fault::LoseReply);
    world.lab.pve().fault("POST", "/config", Fault::LoseReply);

    world.run(&[]).await.exits(0);

    assert_eq!(volumes(&world).len(), before + 2, "{:?}", volumes(&world));
    assert!(world.vm("w-1").config["virtio1"].contains("iothread=1"));
    changes_nothing(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_a_disk_change_and_its_volume_stays() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.run(&[]).await.exits(0);
    let (disk, made) = (volume(&world, "scsi1"), volumes(&world));
    world.edit("local-lvm:100", "local-lvm:100,cache=writeback,ssd=1");

    world.run(&[]).await.exits(7).says("--reboot");
    world.run(&["--reboot"]).await.exits(0);

    assert_eq!(world.vm("w-1").config["scsi1"], format!("{disk},cache=writeback,size=100G,ssd=1"));
    assert_eq!(volumes(&world), made);
    changes_nothing(&world, &[]).await;
}

/// The lab has one bridge.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_could_not_be_plugged_is_never_taken_for_done() {
    let world = with(r#"net0: "bridge=vmbr0,model=virtio""#).await;
    let first = world.run(&[]).await.exits(0);
    let mac = first.status("w-1")["vm"]["macs"][0].as_str().unwrap().to_owned();
    assert!(mac.starts_with("BC:24:11:"));
    changes_nothing(&world, &[]).await;

    change(&world, &[("net0", &format!("virtio={mac},bridge=vmbr9"))]);
    world.edit("bridge=vmbr0,model", "bridge=vmbr9,model");
    for _ in 0..2 {
        world.run(&[]).await.exits(1).says("no bridge vmbr9");
    }
    assert!(world.vm("w-1").running);

    world.edit("bridge=vmbr9,model", "bridge=vmbr0,model");
    world.run(&[]).await.exits(0).says("pending change is taken back");
    changes_nothing(&world, &[]).await;
}

/// Each call of a change is cut before it is done and after: the next run carries on, and nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_killed_at_any_call_is_carried_on() {
    let world = with(r#"scsi1: "local-lvm:100""#).await;
    world.run(&[]).await.exits(0);
    let disk = volume(&world, "scsi1");
    let made = volumes(&world).len();
    let long = Some(std::time::Duration::from_secs(600));
    let mut size = 100;
    for call in [("POST", "/config"), ("PUT", "/resize"), ("POST", "/status/shutdown"), ("POST", "/status/start")] {
        for fault in [Fault::Hang, Fault::Slow { by: long }] {
            let larger = size + 10;
            world.edit(&format!("local-lvm:{size}"), &format!("local-lvm:{larger}"));
            world.edit(&format!("memory: {}", 1948 + size), &format!("memory: {}", 1948 + larger));
            size = larger;
            world.lab.pve().fault(call.0, call.1, fault.clone());
            world.killed_at(call, &["--reboot"]).await;
            world.lab.pve().heal();

            world.run(&["--reboot"]).await.exits(0);
            let vm = world.vm("w-1");
            assert_eq!(
                vm.config["memory"],
                (1948 + size).to_string(),
                "{call:?} {fault:?}: it runs with the old value"
            );
            assert!(vm.running && vm.config["scsi1"].contains(&format!("size={size}G")), "{call:?} {fault:?}");
            assert_eq!((volume(&world, "scsi1"), volumes(&world).len()), (disk.clone(), made), "{call:?} {fault:?}");
            changes_nothing(&world, &["--reboot"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_waits_for_a_power_cycle_is_told_until_it_is_in_force() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("memory: 2048", "memory: 3072");
    change(&world, &[("memory", "3072")]);

    for _ in 0..2 {
        world.run(&[]).await.exits(7).says("set, takes effect when the VM was off");
    }
    assert_eq!(world.run(&["plan"]).await.exits(3).status("w-1")["vm"]["changes"][0]["needs"], "--reboot");
    world.run(&["--reboot"]).await.exits(0);
    assert_eq!(world.vm("w-1").config["memory"], "3072");
    changes_nothing(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_pending_change_is_told_and_taken_back_without_a_power_cycle() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    change(&world, &[("memory", "1024")]);

    let planned = world.run(&["plan"]).await.exits(3).says("pending change is taken back");
    assert_eq!(planned.status("w-1")["vm"]["changes"][0]["impact"], "live");
    world.run(&[]).await.exits(0).says("memory 1024 -> 2048 (somebody's pending change is taken back)");

    stop(&world);
    world.run(&[]).await.exits(0);
    assert_eq!(world.vm("w-1").config["memory"], "2048");
    changes_nothing(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_comes_later_reaches_the_guest_and_one_that_goes_is_given_up() {
    let world = World::start(options()).await;
    let text = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    let line = text.lines().find(|line| line.contains("name: w-1")).unwrap();
    let address = line.split("address: ").nth(1).unwrap().split([',', '}']).next().unwrap().to_owned();
    let (with, without) = (format!("address: {address}"), "x-note: none".to_owned());
    world.edit(&with, &without);
    world.run(&[]).await;
    assert!(!world.vm("w-1").config.contains_key("ide0"));

    world.edit(&without, &with);
    world.run(&[]).await.exits(7).says("--reboot");
    world.run(&["--reboot"]).await.exits(0);
    let vm = world.vm("w-1");
    assert!(vm.running && vm.config["ide0"].contains("cloudinit"), "{:?}", vm.config);
    assert!(vm.config["ipconfig0"].starts_with(&format!("ip={address}")));
    changes_nothing(&world, &[]).await;

    world.edit(&with, &without);
    world.run(&["plan"]).await.exits(3).says("ip=dhcp");
    world.run(&["--reboot"]).await;
    assert_eq!(world.vm("w-1").config["ipconfig0"], "ip=dhcp");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_printed_nowhere_and_no_difference_for_ever() {
    let world = with("cipassword: hunter2, ciuser: me").await;

    let first = world.run(&[]).await.exits(0);
    let again = changes_nothing(&world, &[]).await;
    change(&world, &[("delete", "cipassword")]);
    let planned = world.run(&["plan"]).await.exits(3);
    let refused = world.run(&[]).await.exits(7);

    assert_eq!(planned.status("w-1")["vm"]["changes"][0]["to"], "(redacted)");
    for outcome in [first, again, planned, refused] {
        let status = outcome.records.iter().map(|record| record["status"].to_string()).collect::<String>();
        assert!(!outcome.stderr.contains("hunter2") && !status.contains("hunter2"), "{}", outcome.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_are_reserved_for_others_are_no_change() {
    let world = World::start(options()).await;
    let refused = || Fault::Fail {
        status: 403,
        message: "Permission check failed (/, Sys.Modify for modifying tag 'ichor')".into(),
    };
    world.lab.pve().fault("POST", "/config", refused());
    world.run(&["--only", "w-1"]).await.exits(0).says("its tags can't be set");
    assert!(!world.vm("w-1").config.contains_key("tags"));
    world.lab.pve().fault("POST", "/config", refused());

    let again = world.run(&["--only", "w-1"]).await.exits(0).says("its tags can't be set");
    assert_eq!(again.status("w-1")["vm"]["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_waited_for_only_if_something_changes() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.lab.pve().set_option(world.vm("w-1").id, "lock", Some("backup"));

    changes_nothing(&world, &["--wait-timeout", "1s"]).await;
    world.edit("memory: 2048", "memory: 3072");
    world.run(&["--reboot", "--wait-timeout", "1s"]).await.exits(4).says("locked (backup)");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proxmox_would_refuse_is_refused_before_anything_is_created() {
    let world = World::start(options()).await;
    let mut last = PLAIN.to_owned();
    for (vm, exit, said) in [
        (r#"tags: "env:prod""#, 8, "spec.worker.vm.tags must be tags"),
        ("template: true", 8, "a template can't be started"),
        ("start: false", 8, "pve-vm starts its VMs"),
        ("args: -x", 8, "can be set by root@pam only"),
        (r#"net0: "virtio=vmbr0""#, 8, "must be a network card"),
        ("node: pve1, storage: local-zfs", 1, "there is no storage local-zfs"),
    ] {
        let next = format!("{PLAIN}, {vm}");
        world.edit(&last, &next);
        last = next;
        world.run(&["--only", "w-1"]).await.exits(exit).says(said);
    }
    assert_eq!(world.lab.pve().vms(), []);
    world.edit(&last, &format!("{PLAIN}, node: pve1"));
    world.edit("storage: local-lvm", "storage: {pve1: local-lvm}");
    let made = world.run(&[]).await.exits(0);
    assert_eq!(made.status("w-1")["vm"]["node"], json!("pve1"));
}
