//! What the file names and Proxmox VE doesn't have is known to a plan, and before a VM is destroyed to be made again.

use lab::pve::Release;

use crate::{
    by_hand::{PLAIN, allow, volume, volumes},
    rights::{grant, role},
    world::{World, options},
};

/// A world whose worker has a VM, and now needs another one: its disk is too large.
async fn to_recreate() -> World {
    let world = World::start(options()).await;
    world.edit(PLAIN, "memory: 2048, disk: 30");
    world.run(&[]).await.exits(0);
    world.edit("disk: 30", "disk: 20");
    world
}

/// Runs a plan and the real thing, which both refuse, and holds that the VM is as it was.
async fn refuses(world: &World, exit: i32, said: &str) {
    let (before, made) = (world.vm("w-1"), volumes(world));
    for arguments in [&["plan", "--recreate", "--reboot"][..], &["--recreate", "--reboot"]] {
        world.run(&[arguments, &["--only", "w-1"]].concat()).await.exits(exit).says(said);
        assert_eq!((world.vm("w-1"), volumes(world)), (before.clone(), made.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_destroyed_for_one_that_proxmox_ve_would_refuse() {
    for (vm, exit, said) in [
        ("scsi1: \"local-lvm:1,sdd=1\"", 8, "spec.worker.vm.scsi1: sdd is no key of it; did you mean `ssd`?"),
        ("scsihw: virtio-scsi", 8, "spec.worker.vm.scsihw: must be one of lsi, "),
        ("net1: \"virtio,bridge=vmbr0,vlan=5\"", 8, "spec.worker.vm.net1: vlan is no key of it"),
        ("node: pve7", 1, "node w-1 can't be placed on pve7: no such host; hosts: pve1"),
        ("disks: [{size: 1, storage: nowhere}]", 1, "on pve1, there is no storage nowhere (storages: "),
        ("cyls: 5", 8, "spec.worker.vm.cyls is no parameter of a VM"),
        ("scsi2: \"local-lvm:1,cyls=5\"", 8, "spec.vm.scsi2: Proxmox VE 9.2 has no cyls"),
    ] {
        let world = to_recreate().await;
        world.edit("memory: 2048", &format!("memory: 2048, {vm}"));
        refuses(&world, exit, said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_the_file_names_and_proxmox_ve_does_not_have() {
    for exists in [true, false] {
        for (vm, said) in [
            ("node: pve7", "node w-1 can't be placed on pve7: no such host; hosts: pve1"),
            ("disks: [{size: 1, storage: nowhere}]", "there is no storage nowhere (storages: "),
            ("scsi2: \"local-lvm:1,cyls=5\"", "spec.vm.scsi2: Proxmox VE 9.2 has no cyls"),
            ("ha: {group: fast}", "Proxmox VE 9.2 has no spec.vm.ha.group"),
            ("ha: {nodes: pve9}", "spec.vm.ha.nodes names pve9, and there is no such host"),
        ] {
            let world = World::start(options()).await;
            allow(&world, "Sys.Console");
            if exists {
                world.run(&[]).await.exits(0);
            }
            world.run(&["doctor"]).await.exits(0);
            world.edit(PLAIN, &format!("{PLAIN}, {vm}"));
            world.run(&["doctor"]).await.exits(1).says(said);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_proxmox_ve_9_is_refused_by_a_plan_for_8_4() {
    let world = World::start(lab::Options { proxmox: Release::V8_4, ..options() }).await;
    world.edit(PLAIN, &format!("{PLAIN}, allow-ksm: false"));
    for arguments in [&["plan"][..], &[]] {
        world.run(arguments).await.exits(8).says("spec.vm.allow-ksm: Proxmox VE 8.4 has no allow-ksm");
    }
    world.edit(", allow-ksm: false", "");
    world.run(&[]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_not_there_is_known_to_a_plan_and_one_that_can_not_be_seen_destroys_nothing() {
    let world = World::start(options()).await;
    grant(&world, &[("/", &role(""))]);
    world.edit("    bridge: vmbr0", "    bridge: vmbr0\n    pool: tallos");
    world.run(&["--only", "w-1"]).await.exits(1).says("(pool 'tallos' does not exist)");
    assert_eq!(world.lab.pve().vms(), [], "the server refuses it before anything is made");
    let sees_pools = [&role("")[..], &["Pool.Audit"]].concat();
    grant(&world, &[("/", &sees_pools)]);
    world.run(&["plan"]).await.exits(1).says("there is no pool tallos").says("pveum pool add tallos");

    let world = to_recreate().await;
    grant(&world, &[("/", &role(""))]);
    world.edit("    bridge: vmbr0", "    bridge: vmbr0\n    pool: tallos");
    world.run(&["doctor"]).await.exits(0).says("tallos can't be seen: no VM is recreated in it");
    refuses(&world, 6, "can't see whether there is a pool tallos").await;
    grant(&world, &[("/", &sees_pools)]);
    world.run(&["doctor"]).await.exits(1).says("there is no pool tallos");
    refuses(&world, 1, "there is no pool tallos").await;
    world.lab.pve().add_pool("tallos");
    world.run(&["--recreate", "--only", "w-1"]).await.exits(0).says("recreating VM");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_or_a_host_of_an_existing_vm_that_is_not_there_is_no_advice_to_migrate() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit(PLAIN, &format!("{PLAIN}, storage: nowhere"));
    for arguments in [&["plan"][..], &[]] {
        world.run(arguments).await.exits(1).says("on pve1, there is no storage nowhere");
    }
    world.edit("storage: nowhere", "node: pve7");
    for arguments in [&["plan"][..], &[]] {
        world.run(arguments).await.exits(1).says("can't be placed on pve7: no such host; hosts: pve1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_recreation_looks_for_the_image() {
    let world = to_recreate().await;
    let pve = world.lab.pve();
    pve.call_as("root@pam", "DELETE", "/nodes/pve1/storage/local/content/local:import%2Ftalos.qcow2", &[]).unwrap();
    refuses(&world, 8, "the image is not on pve1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_go_with_a_vm_are_named() {
    let world = to_recreate().await;
    let path = format!("/nodes/pve1/qemu/{}/snapshot", world.vm("w-1").id);
    world.lab.pve().call_as("root@pam", "POST", &path, &[("snapname", "before")]).unwrap();
    for arguments in [&["plan"][..], &["plan", "--recreate"], &["destroy", "--dry-run", "--only", "w-1"]] {
        let outcome = world.run(arguments).await.exits(3).says("would be lost with it: before");
        let field = if arguments[0] == "plan" { "vm" } else { "destroyed" };
        let changes = outcome.status("w-1")[field]["changes"].as_array().unwrap().clone();
        assert!(changes.iter().any(|change| change["what"] == "snapshots" && change["impact"] == "data-loss"));
    }
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0).says("are lost with it: before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_the_flag_that_a_change_really_needs() {
    let world = to_recreate().await;
    world.edit("memory: 2048", "memory: 3072");
    let plan = world.run(&["plan"]).await.exits(3);
    assert!(!plan.stderr.contains("--reboot") && !plan.stderr.contains("would change"), "{}", plan.stderr);
    let plan = plan.says("its disk has 30G, not 20G; with it: memory 2048 -> 3072 (needs --recreate)");
    let changes = plan.status("w-1")["vm"]["changes"].as_array().unwrap().clone();
    assert!(changes.iter().all(|change| change["needs"] == "--recreate"), "{changes:?}");

    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, scsi1: \"local-lvm:10\""));
    world.run(&[]).await.exits(0);
    world.edit("local-lvm:10", "local-lvm:5");
    let before = volume(&world, "scsi1");
    let plan = world.run(&["plan"]).await.exits(3).says("(needs --reboot --replace-disk w-1:scsi1)");
    assert!(!plan.stderr.contains("would change"), "{}", plan.stderr);
    assert_eq!(volume(&world, "scsi1"), before);
    let outcome = world.run(&["plan", "--replace-disk", "w-9:scsi1"]).await.exits(2);
    outcome.says("--replace-disk names node w-9, which isn't in cluster lab (nodes: cp-1, w-1)");
}

/// What Ichor adds to the notes of a VM that an earlier release made is said in words.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_in_words_what_becomes_of_the_notes() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let vm = world.vm("w-1");
    let notes: Vec<&str> = vm.config["description"].lines().filter(|line| !line.starts_with("ichor-role")).collect();
    let path = format!("/nodes/pve1/qemu/{}/config", vm.id);
    world.lab.pve().call_as("root@pam", "PUT", &path, &[("description", &notes.join("\n"))]).unwrap();
    let said = format!("would change VM {}: its notes say whose it is, and in which role", vm.id);
    world.run(&["plan"]).await.exits(3).says(&said);
}
