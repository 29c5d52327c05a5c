//! Each way of the image to Proxmox VE, from the file to Ready nodes.

use crate::support::{Shape, World, changes};

/// A world whose image takes this way.
async fn start(via: &str, shape: Shape) -> World {
    let world = World::start(shape).await;
    world.edit("    images: local\n", &format!("    images: {{storage: local, via: {via}}}\n"));
    world
}

/// The pipe brings the cluster up, says before what it will do, and changes nothing when it is run again.
async fn comes_up_and_stays(world: &World) {
    world.sh(&World::pipe().replacen("talos-image", "talos-image --dry-run", 1)).await.exits(3).says("would ");
    world.up().await.exits(0);
    world.assert_up(&world.names());
    let (before, boots) = (world.touches(), boots(world));
    let second = world.up().await.exits(0);
    assert_eq!(changes(&second), []);
    assert_eq!((world.touches(), self::boots(world)), (before, boots), "the second run touched something");
}

fn boots(world: &World) -> Vec<String> {
    world.names().iter().map(|name| world.node(name).boot_id()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_comes_up_from_an_image_that_was_uploaded() {
    let world = start("upload", Shape { workers: 1, ..Shape::SMALL }).await;
    comes_up_and_stays(&world).await;
    let fetched = |(_, path): &(String, String)| path.ends_with("/download-url");
    assert!(!world.lab.pve().requests().iter().any(fetched), "a host downloaded something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_comes_up_from_an_iso_and_runs_from_its_disks() {
    let world = start("iso", Shape { workers: 1, ..Shape::SMALL }).await;
    comes_up_and_stays(&world).await;
    for name in world.names() {
        assert_eq!(world.node(&name).counts().boots, 2, "{name}: from the ISO, and from the disk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_come_up_from_an_iso_that_takes_its_time() {
    let world = start("iso", Shape { workers: 1, realistic: true, ..Shape::HA }).await;
    world.up().await.exits(0);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_before_installs_itself_from_an_iso_too() {
    let world = start("iso", Shape { workers: 1, ..Shape::SMALL }).await;
    // Up to 1.12 nothing answers between the config and the first boot from the disk.
    world.edit("version: v1.13.9", "version: v1.12.4");
    comes_up_and_stays(&world).await;
}
