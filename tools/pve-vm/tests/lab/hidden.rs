//! What names and tags don't lead to is looked for by the mark, and what can't be seen is never taken for absent.

use std::time::Duration;

use lab::{Options, pve::Storage};

use crate::{
    by_hand::remove,
    world::{World, options},
};

fn count(world: &World) -> usize {
    world.lab.pve().vms().len()
}

/// An address of the lab's network that no node has, with its prefix length.
fn other_address(world: &World) -> (String, String) {
    let text = std::fs::read_to_string(world.lab.cluster_file()).unwrap();
    let own = text.split("address: ").nth(2).unwrap().split(['}', ',']).next().unwrap().to_owned();
    let (host, prefix) = own.split_once('/').unwrap();
    let other = format!("{}.77/{prefix}", host.rsplit_once('.').unwrap().0);
    (own, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_somebody_renamed_and_untagged_is_still_its_nodes() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let (id, made) = (world.vm("w-1").id, count(&world));
    world.lab.pve().set_option(id, "name", Some("big"));
    world.lab.pve().set_option(id, "tags", Some("mine"));

    let listed = world.run(&["list"]).await.exits(0);
    assert_eq!(listed.status("w-1")["vm"]["id"], id);
    assert!(!listed.stderr.contains("isn't in the file"), "{}", listed.stderr);
    world.run(&[]).await.exits(0);
    assert_eq!((world.vm("w-1").id, count(&world)), (id, made));

    world.lab.pve().set_option(id, "name", Some("big"));
    world.lab.pve().set_option(id, "tags", None);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);
    assert_eq!(count(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_the_token_may_not_see_is_not_made_again_and_not_taken_for_destroyed() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let (id, made) = (world.vm("w-1").id, count(&world));
    let token = world.lab.pve().token().split('=').next().unwrap().to_owned();
    let path = format!("/vms/{id}");
    // A role that replaces the one from above, as in a handover to somebody who needs the console only.
    let role = [("roleid", "Watcher"), ("privs", "VM.Console")];
    world.lab.pve().call_as("root@pam", "POST", "/access/roles", &role).unwrap();
    let acl = [("path", path.as_str()), ("tokens", token.as_str()), ("roles", "Watcher")];
    world.lab.pve().call_as("root@pam", "PUT", "/access/acl", &acl).unwrap();

    let said = format!("the token may not see VM {id}, which may be a node's");
    for arguments in [&[][..], &["plan"], &["list"], &["destroy", "--yes", "--only", "w-1"]] {
        world.run(arguments).await.exits(6).says(&said);
    }
    assert_eq!(count(&world), made);
}

/// Of that role the server lists nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_to_which_the_token_has_no_access_is_not_made_again_and_not_taken_for_destroyed() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let (id, made) = (world.vm("w-1").id, count(&world));
    let token = world.lab.pve().token().split('=').next().unwrap().to_owned();
    let acl = [("path", &*format!("/vms/{id}")), ("tokens", token.as_str()), ("roles", "NoAccess")];
    world.lab.pve().call_as("root@pam", "PUT", "/access/acl", &acl).unwrap();

    let said = format!("the token may not see VM {id}, which the node had last");
    for arguments in [&[][..], &["plan"], &["list"], &["destroy", "--yes", "--only", "w-1"]] {
        world.run(arguments).await.exits(6).says(&said);
    }
    assert_eq!(count(&world), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_vm_has_is_refused_to_a_vm_that_exists() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let (own, other) = other_address(&world);
    world.lab.pve().add_vm(900, "pve1", &[("name", "db"), ("ipconfig0", &format!("ip={other}"))]);
    world.edit(&own, &other);

    let said = "is the address of VM 900 (db) on pve1";
    world.run(&["plan"]).await.exits(7).says(said);
    world.run(&["--reboot"]).await.exits(7).says(said);
    world.edit("memory: 2048, disk: 20", "memory: 2048, disk: 10");
    let id = world.vm("w-1").id;
    world.run(&["--recreate"]).await.exits(7).says(said);
    assert!(world.vm("w-1").running);
    assert_eq!(world.vm("w-1").id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_that_were_killed_and_run_again_at_once_end_with_one_vm_each() {
    let world = World::start(options()).await;
    for _ in 0..2 {
        world.lab.pve().slow_task("qmcreate", Duration::from_secs(2));
    }
    world.killed_after(2, ("POST", "/qemu"), &[]).await;

    let wait = ["--wait-timeout", "20s"];
    world.run(&wait).await.exits(0);
    let mut names: Vec<_> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["cp-1", "w-1"]);
}

/// On a storage that all hosts share one removal is at work at a time: who held its place while waiting for it would wait for
/// ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_removed_although_its_creation_held_the_storage() {
    let storages = vec![Storage::local(), Storage { shared: true, ..Storage::local_lvm() }];
    let world = World::start(Options { storages, ..options() }).await;
    world.run(&[]).await.exits(0);
    let first = world.vm("w-1");
    remove(&world, first.id);
    world.lab.pve().hold("w-1");

    let run = world.run(&["--only", "w-1", "--wait-timeout", "20s"]);
    let somebody = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while world.lab.pve().vm_by_name("w-1").is_none() {
            ticks.tick().await;
        }
        let is_own = |key: &str| ["smbios1", "description", "name", "tags", "memory", "net0"].contains(&key);
        let copy: Vec<(&str, &str)> = first
            .config
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(|(key, _)| is_own(key))
            .collect();
        world.lab.pve().add_vm(900, "pve1", &copy);
        world.lab.pve().call("POST", "/nodes/pve1/qemu/900/status/start", &[]).unwrap();
        world.lab.pve().release("w-1");
    };
    let both = async { tokio::join!(run, somebody) };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it waits for ever");

    outcome.says("VM 900 already exists: removing the duplicate");
    let workers: Vec<_> = world.lab.pve().vms().into_iter().filter(|vm| vm.name == "w-1").map(|vm| vm.id).collect();
    assert_eq!(workers, [900]);
}
