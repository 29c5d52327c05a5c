//! High availability as the file has it.

use crate::{
    by_hand::{PLAIN, allow},
    world::{World, options},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_managed_as_the_file_says_and_let_go_again() {
    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, ha: {{max_restart: 3}}"));
    for arguments in [&["plan"][..], &[]] {
        world.run(&[arguments, &["--only", "w-1"]].concat()).await.exits(6).says("lacks Sys.Console on / (ha)");
    }
    assert_eq!(world.lab.pve().vms(), [], "it is refused before anything is made");
    allow(&world, "Sys.Console");

    let made = world.run(&[]).await.exits(0).says("high availability: managed, max_restart=3");
    assert!(world.vm("w-1").running);
    let whats = made.status("w-1")["vm"]["changes"].as_array().unwrap().iter().map(|change| change["what"].clone());
    assert!(whats.into_iter().any(|what| what == "ha"));
    let writes = world.lab.pve().writes();
    world.run(&[]).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes);

    world.edit("max_restart: 3", "max_restart: 4");
    world.run(&["plan"]).await.exits(3);
    world.run(&[]).await.exits(0).says("max_restart=4");
    world.edit("ha: {max_restart: 4}", "ha: false");
    world.run(&[]).await.exits(0).says("high availability: not managed");
    assert!(world.vm("w-1").running, "it stays as it is");

    world.edit("ha: false", "ha: always");
    world.run(&[]).await.exits(8).says("spec.vm.ha must be true, false, or options");
}
