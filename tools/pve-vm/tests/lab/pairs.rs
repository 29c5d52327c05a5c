//! Two people with copies of one folder run at the same time.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    by_hand::remove,
    world::{World, options},
};

/// The records of the cluster file for a copy of the cluster's folder.
fn records_of_a_copy(world: &World) -> String {
    let (dir, name) = (world.lab.dir().to_owned(), world.lab.name().to_owned());
    let records = records_of_another_folder(world);
    std::fs::copy(dir.join(&name).join("ichor.lock"), dir.join("copy").join(&name).join("ichor.lock")).unwrap();
    records
}

/// The records of the same cluster file for a folder that has nothing of the cluster's.
fn records_of_another_folder(world: &World) -> String {
    let (dir, name) = (world.lab.dir().to_owned(), world.lab.name().to_owned());
    let copy = dir.join("copy").join(&name);
    std::fs::create_dir_all(&copy).unwrap();
    let folder = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    world.records().replace(&format!("\"{}\"", folder(&dir.join(&name))), &format!("\"{}\"", folder(&copy)))
}

/// Makes a second VM for the node of this one, with a higher ID, as another run does.
fn make_twin(world: &World, of: &lab::pve::VmView) {
    // As the list calls one that was just made.
    let mut options = vec![("name", "VM 900")];
    options.extend(["smbios1", "description", "net0"].map(|key| (key, of.config[key].as_str())));
    world.lab.pve().add_vm(900, "pve1", &options);
}

/// Whatever looks first: of two VMs one stays.
#[tokio::test(flavor = "multi_thread")]
async fn no_node_gets_two_vms_and_no_run_that_ends_well_leaves_one_without() {
    let world = World::start(lab::Options { workers: 6, ..options() }).await;
    // Both have the lock with the cluster's own ID.
    world.run(&["--only", "cp-1"]).await.exits(0);
    let (own, copy) = (world.records(), records_of_a_copy(&world));
    assert_ne!(own, copy);

    let (one, other) =
        tokio::join!(world.run_beside("own.jsonl", &own, &[]), world.run_beside("copy.jsonl", &copy, &[]));

    let mut vms: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    world.lab.pve().vms().into_iter().for_each(|vm| vms.entry(vm.name).or_default().push(vm.id));
    assert!(vms.values().all(|ids| ids.len() == 1), "{vms:?}\n{}\n{}", one.stderr, other.stderr);
    if one.is_well() || other.is_well() {
        assert_eq!(vms.len(), 7, "{vms:?}\n{}\n{}", one.stderr, other.stderr);
    }
    world.run(&[]).await.exits(0);
    assert_eq!(world.lab.pve().vms().len(), 7);
}

/// The other run looked for lower IDs before ours was free.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_of_another_run_that_has_a_higher_id_and_stays_is_the_nodes() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    remove(&world, before.id);
    world.lab.pve().until(|pve| pve.vm(before.id).is_none()).await;
    world.lab.pve().hold("w-1");
    let records = world.records();
    let running = world.run_beside("own.jsonl", &records, &[]);
    let other = async {
        world.lab.pve().until(|pve| pve.vm(before.id).is_some()).await;
        make_twin(&world, &before);
        world.lab.pve().release("w-1");
    };
    let (outcome, ()) = tokio::join!(running, other);

    assert!(outcome.stderr.contains("VM 900 already exists: removing the duplicate"), "{}", outcome.stderr);
    let left: Vec<u32> = world
        .lab
        .pve()
        .vms()
        .into_iter()
        .filter(|vm| vm.config["smbios1"] == before.config["smbios1"])
        .map(|vm| vm.id)
        .collect();
    assert_eq!(left, [900]);
}

/// It comes after the new VM was made, and before the run ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_not_well_while_another_one_has_made_a_second_vm_for_a_node() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.vm("w-1");
    remove(&world, before.id);
    world.lab.pve().until(|pve| pve.vm(before.id).is_none()).await;
    let starts =
        |pve: &lab::pve::Pve| pve.requests().iter().filter(|(_, path)| path.ends_with("/status/start")).count();
    let started = starts(world.lab.pve());
    world.lab.pve().fault("POST", "/status/start", lab::pve::Fault::Slow { by: Some(Duration::from_millis(1500)) });
    let records = world.records();
    let running = world.run_beside("own.jsonl", &records, &[]);
    let other = async {
        world.lab.pve().until(|pve| starts(pve) > started).await;
        make_twin(&world, &before);
    };
    let (outcome, ()) = tokio::join!(running, other);

    outcome.exits(7).says("both have the UUID of node w-1");
    world.run(&[]).await.exits(7).says("both have the UUID of node w-1");
}

/// Each has the cluster's file, and neither has the other's lock.
#[tokio::test(flavor = "multi_thread")]
async fn two_folders_without_a_common_lock_are_told_of_each_other_and_neither_goes_on() {
    let world = World::start(lab::Options { workers: 3, ..options() }).await;
    let (own, other) = (world.records(), records_of_another_folder(&world));

    let (one, two) =
        tokio::join!(world.run_beside("own.jsonl", &own, &[]), world.run_beside("other.jsonl", &other, &[]));

    let vms = world.lab.pve().vms();
    let running: Vec<&str> = vms.iter().filter(|vm| vm.running).map(|vm| vm.name.as_str()).collect();
    let names: std::collections::BTreeSet<&str> = running.iter().copied().collect();
    assert_eq!(names.len(), running.len(), "{running:?}\n{}\n{}", one.stderr, two.stderr);
    assert!(!one.is_well() || !two.is_well(), "{}\n{}", one.stderr, two.stderr);
}

/// They have the same addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_set_of_vms_from_another_lock_is_refused_until_one_is_destroyed() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let other = records_of_another_folder(&world);
    let first = world.vm("w-1");
    let notes = first.config["description"].lines().filter(|line| !line.starts_with("ichor-")).collect::<Vec<_>>();
    let notes = format!("{}\nichor-uid: 00112233445566778899aabbccddeeff\n", notes.join("\n"));
    world.lab.pve().add_vm(900, "pve1", &[("name", "w-1"), ("description", &notes)]);

    let outcome = world.run(&[]).await.exits(7);

    outcome.says(&format!("VMs {} and 900 are both node w-1 of a cluster", first.id));
    world.run(&["plan"]).await.exits(7).says("from two folders");
    world.run_beside("other.jsonl", &other, &[]).await.exits(7).says("created from another ichor.lock");
    remove(&world, 900);
    world.run(&[]).await.exits(0);
}

/// For ten seconds the list has no name for a new VM: it may be any VM.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_vm_of_another_cluster_of_this_name_is_no_second_set() {
    let world = World::start(options()).await;
    let started = |pve: &lab::pve::Pve| pve.requests().iter().any(|(_, path)| path.ends_with("/status/start"));
    world.lab.pve().fault("POST", "/status/start", lab::pve::Fault::Slow { by: Some(Duration::from_millis(1500)) });
    let records = world.records();
    let running = world.run_beside("own.jsonl", &records, &[]);
    let other = async {
        world.lab.pve().until(started).await;
        let notes = format!(
            "Worker b-1 of the Talos cluster {}.\n\nichor-uid: 00112233445566778899aabbccddeeff\n",
            world.lab.name()
        );
        world.lab.pve().add_vm(900, "pve1", &[("name", "VM 900"), ("description", &notes)]);
    };
    let (outcome, ()) = tokio::join!(running, other);

    outcome.exits(0);
}
