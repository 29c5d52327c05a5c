//! VMs that are named by a pattern of the file.

use crate::world::{World, options};

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world.lab.pve().vms().into_iter().map(|vm| vm.name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_have_the_names_of_the_pattern_and_are_found_again_and_destroyed() {
    let world = World::start(options()).await;
    let name = world.lab.name().to_owned();
    world.edit("bridge: vmbr0", "names: \"{cluster}-{node}\"\n    bridge: vmbr0");
    world.run(&[]).await.exits(0);
    assert_eq!(names(&world), [format!("{name}-cp-1"), format!("{name}-w-1")]);

    let writes = world.lab.pve().writes();
    let again = world.run(&[]).await.exits(0);
    assert_eq!((world.lab.pve().writes(), &again.status("w-1")["vm"]["changed"]), (writes, &false.into()));
    // Without tags and by another name, a VM is known by its mark.
    let id = again.status("w-1")["vm"]["id"].as_u64().unwrap().try_into().unwrap();
    world.lab.pve().set_option(id, "tags", None);
    world.lab.pve().set_option(id, "name", Some("other"));
    assert_eq!(world.run(&["list"]).await.exits(0).status("w-1")["vm"]["id"], id);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);
    assert_eq!(names(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_comes_later_renames_the_vms_while_they_run() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.edit("bridge: vmbr0", "names: \"k8s-{node}\"\n    bridge: vmbr0");
    world.run(&["plan"]).await.exits(3).says("name w-1 -> k8s-w-1");
    world.run(&[]).await.exits(0);
    assert_eq!(names(&world), ["k8s-cp-1", "k8s-w-1"]);
    assert!(world.vm("k8s-w-1").running);

    world.edit("k8s-{node}", "k8s");
    world.run(&[]).await.exits(8).says("not a pattern with {node}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_not_renamed_to_the_name_of_somebody_elses() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    world.lab.pve().add_foreign_vm("k8s-w-1");
    world.edit("bridge: vmbr0", "names: \"k8s-{node}\"\n    bridge: vmbr0");
    for arguments in [&["--only", "w-1", "--recreate"][..], &["plan"]] {
        world.run(arguments).await.exits(7).says("has the name k8s-w-1, but doesn't belong to this cluster");
    }
    assert!(world.vm("w-1").running);
}

/// Somebody else's VM of the name that the pattern gives stands in the way, one of the node's own name doesn't.
#[tokio::test(flavor = "multi_thread")]
async fn a_namesake_is_who_has_the_name_of_the_pattern() {
    let world = World::start(options()).await;
    world.edit("bridge: vmbr0", "names: \"k8s-{node}\"\n    bridge: vmbr0");
    world.lab.pve().add_foreign_vm("w-1");
    world.run(&[]).await.exits(0);
    world.run(&["destroy", "--yes", "--all"]).await.exits(0);

    world.lab.pve().add_foreign_vm("k8s-w-1");
    world.run(&[]).await.exits(7).says("has the name k8s-w-1, but doesn't belong to this cluster");
}
