//! VMs that another tool made become nodes, as they are.

use record::{Lock, LockedEtcd};
use serde_json::json;

use crate::world::{World, options};

const UUID: &str = "4c4c4544-0038-3010-8054-b2c04f4d5032";

fn lock(world: &World) -> Option<Lock> {
    let file = world.lab.dir().join(world.lab.name()).join("ichor.lock");
    Some(Lock::parse(&std::fs::read_to_string(file).ok()?, world.lab.name()).unwrap())
}

fn set(world: &World, id: u32, values: &[(&str, &str)]) {
    for (key, value) in values {
        world.lab.pve().set_option(id, key, Some(value).copied().filter(|value| !value.is_empty()));
    }
}

/// The VM of node w-1 as if another tool had made it: its own UUID and MAC, its own name, no mark of ours. The VM's ID.
async fn theirs(world: &World) -> u32 {
    world.run(&[]).await.exits(0);
    let vm = world.vm("w-1");
    let (smbios, net) = (format!("uuid={}", UUID.to_uppercase()), "virtio=de:ad:be:ef:00:01,bridge=vmbr0");
    let values = [
        ("name", "k8s-w1"),
        ("smbios1", smbios.as_str()),
        ("net0", net),
        ("description", "made by Terraform"),
        ("tags", "terraform"),
    ];
    switch(world, vm.id, "stop").await;
    set(world, vm.id, &values);
    switch(world, vm.id, "start").await;
    vm.id
}

/// Switches a VM on or off, and waits until it is.
async fn switch(world: &World, id: u32, to: &str) {
    let pve = world.lab.pve();
    pve.call("POST", &format!("/nodes/pve1/qemu/{id}/status/{to}"), &[]).unwrap();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
    let is_so = async {
        while pve.vm(id).unwrap().running != (to == "start") {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), is_so).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_of_another_tool_becomes_a_node_with_its_uuid_its_macs_and_its_disks() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    let (before, writes) = (world.lab.pve().vm(id).unwrap(), world.lab.pve().writes());

    let pair = format!("w-1:{id}");
    world.run_file(&["adopt", "--vm", &pair]).await.exits(2).says("adopting needs --yes");
    let plan = world.run_file(&["adopt", "--vm", &pair, "--dry-run"]).await.exits(3).says("would adopt VM");
    let adopted = &plan.status("w-1")["adopted"];
    assert_eq!((&adopted["id"], &adopted["uuid"], &adopted["pending"]), (&json!(id), &json!(UUID), &json!(true)));
    let whats: Vec<_> = adopted["changes"].as_array().unwrap().iter().map(|change| change["what"].clone()).collect();
    assert_eq!(whats, ["ichor.lock", "description", "tags"]);
    assert_eq!(adopted["differs"][0]["what"], "name", "{adopted}");
    assert_eq!(world.lab.pve().writes(), writes, "a plan touches nothing");
    assert!(lock(&world).unwrap().adopted().is_empty());

    world.run_file(&["adopt", "--vm", "w-1:k8s-w1", "--yes"]).await.exits(0).says("adopted VM");
    let after = world.lab.pve().vm(id).unwrap();
    for (key, value) in &before.config {
        let is_mark = ["description", "tags", "digest"].contains(&key.as_str());
        assert!(is_mark || after.config.get(key) == Some(value), "{key} was {value}");
    }
    assert!(after.running && after.config["tags"].contains("terraform") && after.config["tags"].contains("ichor"));
    assert_eq!(lock(&world).unwrap().adopted()["w-1"].uuid, UUID);

    // Now it is the node's: found, listed with what it has, changed only where it differs.
    let listed = world.run_file(&["list"]).await.exits(0);
    let vm = &listed.status("w-1")["vm"];
    assert_eq!((&vm["id"], &vm["uuid"], &vm["macs"]), (&json!(id), &json!(UUID), &json!(["DE:AD:BE:EF:00:01"])));
    let changed = world.run(&[]).await.exits(0);
    let changes = changed.status("w-1")["vm"]["changes"].to_string();
    assert!(changes.contains("\"name\"") && !changes.contains("smbios1") && !changes.contains("net0"), "{changes}");
    assert_eq!(world.run(&[]).await.exits(0).status("w-1")["vm"]["changed"], false);
    assert_eq!((world.vm("w-1").id, world.lab.pve().vms().len()), (id, 2));
    world.run_file(&["adopt", "--vm", &pair, "--yes"]).await.exits(0).says("is its VM already");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_vm_keeps_its_identity_when_it_is_recreated_and_goes_with_its_cluster() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    world.run_file(&["adopt", "--vm", &format!("w-1:{id}"), "--yes"]).await.exits(0);
    world.run(&[]).await.exits(0);

    world.edit("memory: 2048, disk: 20", "memory: 2048, disk: 10");
    world.run(&["--recreate"]).await.exits(0);
    let vm = world.vm("w-1");
    assert_eq!(vm.uuid, UUID);
    assert!(vm.config["net0"].to_uppercase().contains("DE:AD:BE:EF:00:01"), "{}", vm.config["net0"]);

    world.run_file(&["destroy", "--yes"]).await.exits(0);
    assert_eq!(world.lab.pve().vms().len(), 0);
    assert!(!lock(&world).unwrap().adopted().is_empty(), "who makes it again gets the same machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_begins_with_an_adoption_may_have_an_etcd_and_is_not_taken_for_a_new_one() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    let cp = world.vm("cp-1");
    set(&world, cp.id, &[("description", "mine"), ("tags", ""), ("name", "k8s-cp")]);
    std::fs::remove_file(world.lab.dir().join(world.lab.name()).join("ichor.lock")).unwrap();

    let pairs = format!("w-1:{id},cp-1:{}", cp.id);
    world.run_file(&["adopt", "--vm", &pairs, "--dry-run"]).await.exits(3);
    assert!(lock(&world).is_none(), "a plan gives the cluster no identity");
    world.run_file(&["adopt", "--vm", &pairs, "--yes"]).await.exits(0);
    let lock = lock(&world).unwrap();
    assert_eq!((lock.etcd(), lock.adopted().len()), (LockedEtcd::Unknown, 2));
    for node in ["cp-1", "w-1"] {
        assert!(world.run_file(&["list"]).await.exits(0).status(node)["vm"]["id"].is_number());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_kept_as_it_is_is_refused_with_reasons_and_nothing_is_written() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    let before = world.lab.pve().vm(id);
    let smbios = format!("uuid={UUID}");
    let pve = world.lab.pve();
    pve.add_vm(900, "pve1", &[("name", "twin"), ("smbios1", "uuid=11111111-0000-4000-8000-000000000000")]);
    pve.add_vm(901, "pve1", &[("name", "twin"), ("description", "ichor-uid: ffffffffffffffffffffffffffffffff")]);
    let writes = pve.writes();

    let other = format!("w-1:{}", world.vm("cp-1").id);
    let table = [
        ("w-1:901".to_owned(), 7, "the mark of another cluster"),
        ("w-1:900".to_owned(), 7, "it has no disk scsi0: it would have to be recreated"),
        ("w-1:twin".to_owned(), 7, "several VMs have the name twin"),
        (other, 7, "it is the VM of node cp-1 of this cluster"),
        (format!("cp-1:{id}"), 7, "node cp-1 has a VM already"),
        ("w-1:777".to_owned(), 8, "there is no VM 777"),
        (format!("w-7:{id}"), 8, "node w-7, which isn't in cluster"),
    ];
    let twice = format!("w-1:{id},cp-1:k8s-w1");
    world.run_file(&["adopt", "--vm", &twice, "--dry-run"]).await.says("gives it to node");
    for (pair, exit, expected) in table {
        world.run_file(&["adopt", "--vm", &pair, "--dry-run"]).await.exits(exit).says(expected);
        world.run_file(&["adopt", "--vm", &pair, "--yes"]).await.exits(exit).says(expected);
    }
    pve.set_option(900, "smbios1", Some(&smbios));
    let pair = format!("w-1:{id}");
    world.run_file(&["adopt", "--vm", &pair, "--yes"]).await.exits(7).says("VM 900 (twin) has the same SMBIOS UUID");
    pve.set_option(900, "smbios1", None);
    world.edit("memory: 2048, disk: 20", "memory: 2048, disk: 10");
    world.run_file(&["adopt", "--vm", &pair, "--yes"]).await.exits(7).says("not 10G: it would have to be recreated");

    assert_eq!((pve.vm(id), pve.writes()), (before, writes));
    assert!(lock(&world).unwrap().adopted().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_was_cut_short_is_not_forgotten_and_ends_with_the_next_one() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    let made = world.lab.pve().vms().len();
    let denied = || lab::pve::Fault::Fail { status: 500, message: "got no worker upid - start worker failed".into() };
    for _ in 0..64 {
        world.lab.pve().fault("POST", &format!("/qemu/{id}/config"), denied());
    }

    let pair = format!("w-1:{id}");
    let cut = world.run_file(&["adopt", "--vm", &pair, "--yes", "--wait-timeout", "1s"]).await;
    assert_ne!(cut.status("w-1")["error"]["code"], json!(null), "{}", cut.stderr);
    world.lab.pve().heal();
    // The lock knows the VM, the VM not yet that it is ours: nobody makes a second one.
    world.run(&[]).await.exits(7).says("but not the mark of its cluster");
    assert_eq!(world.lab.pve().vms().len(), made);

    world.lab.pve().fault("POST", &format!("/qemu/{id}/config"), lab::pve::Fault::LoseReply);
    world.run_file(&["adopt", "--vm", &pair, "--yes"]).await.exits(0);
    world.run(&[]).await.exits(0);
    assert_eq!((world.vm("w-1").id, world.lab.pve().vms().len()), (id, made));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_checkout_that_does_not_know_of_an_adoption_makes_no_second_vm() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    let file = world.lab.dir().join(world.lab.name()).join("ichor.lock");
    let old = std::fs::read_to_string(&file).unwrap();
    world.run_file(&["adopt", "--vm", &format!("w-1:{id}"), "--yes"]).await.exits(0);
    std::fs::write(&file, old).unwrap();
    let made = world.lab.pve().vms().len();

    world.run(&[]).await.exits(7).says("is marked as node w-1 of this cluster, but has another UUID");
    world.run(&["plan"]).await.exits(7).says("restore ichor.lock from version control");
    assert_eq!(world.lab.pve().vms().len(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_whose_mark_somebody_removed_gets_it_again() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let id = world.vm("w-1").id;
    set(&world, id, &[("description", "mine now"), ("tags", "")]);

    let adopt = format!("--vm w-1:{id}");
    world.run(&[]).await.exits(7).says(&format!("`pve-vm adopt -f FILE {adopt}`"));
    world.run_file(&["adopt", "--vm", &format!("w-1:{id}"), "--yes"]).await.exits(0);
    assert!(lock(&world).unwrap().adopted().is_empty(), "its UUID and MACs are derived");
    assert_eq!(world.run(&[]).await.exits(0).status("w-1")["vm"]["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_vm_whose_node_left_the_file_is_an_orphan_like_any_other() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    world.run_file(&["adopt", "--vm", &format!("w-1:{id}"), "--yes"]).await.exits(0);
    world.edit("name: w-1", "name: w-9");

    let listed = world.run_file(&["list", "--orphans"]).await.exits(0);
    let vm = &listed.status("w-1")["vm"];
    assert_eq!((&vm["id"], &vm["uuid"], &vm["orphan"]), (&json!(id), &json!(UUID), &json!(true)));
    assert_eq!(vm["macs"], json!(["DE:AD:BE:EF:00:01"]));
    world.run_file(&["destroy", "--orphan", "w-1", "--yes"]).await.exits(0);
    assert!(world.lab.pve().vm(id).is_none());
}

/// Seen on Proxmox VE 9.2: ichor.lock had the VM already when the server refused its notes.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_whose_notes_have_no_room_for_the_mark_is_not_adopted_and_not_remembered() {
    let world = World::start(options()).await;
    let id = theirs(&world).await;
    set(&world, id, &[("description", &"x".repeat(8100))]);
    let before = world.lab.pve().vm(id).unwrap();
    for arguments in [&["--dry-run"][..], &["--yes"]] {
        let pair = format!("w-1:{id}");
        let outcome = world.run_file(&[&["adopt", "--vm", &pair], arguments].concat()).await.exits(1);
        outcome.says(&format!("the notes of VM {id} would have ")).says("shorten the VM's notes");
    }
    assert_eq!(world.lab.pve().vm(id).unwrap(), before);
    assert!(lock(&world).unwrap().adopted().is_empty());
}
