//! VMs that Talos is installed on from an ISO.

use lab::pve::Release;

use crate::world::{Outcome, World, options};

const PLAIN: &str = "memory: 2048, disk: 20";

/// A world whose image is an ISO.
async fn start(release: Release) -> World {
    let world = World::start(lab::Options { proxmox: release, ..options() }).await;
    world.edit("images: local", "images: {storage: local, via: iso}");
    let url = world.image().replace(".qcow2", ".iso");
    world.download("iso", "talos.iso", &url).await;
    world
}

async fn run(world: &World, arguments: &[&str]) -> Outcome {
    let records = world.records().replace("local:import/talos.qcow2", "local:iso/talos.iso");
    world.run_on(&records, arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_boots_from_the_iso_behind_an_empty_disk_and_the_second_run_changes_nothing() {
    for release in [Release::V9_2, Release::V8_4] {
        let world = start(release).await;
        world.edit(PLAIN, &format!("{PLAIN}, disks: [{{size: 4}}]"));

        run(&world, &[]).await.exits(0);

        let config = world.vm("w-1").config;
        assert!(config["scsi0"].contains("size=20G") && config["scsi1"].contains("size=4G"), "{config:?}");
        assert!(config["ide2"].starts_with("local:iso/talos.iso,media=cdrom"), "{config:?}");
        assert_eq!(config["boot"], "order=scsi0;ide2");
        assert_eq!(world.lab.talos().node("w-1").unwrap().stage(), lab::talos::Stage::Maintenance);
        let writes = world.lab.pve().writes();
        let again = run(&world, &[]).await.exits(0);
        run(&world, &["--reboot", "--recreate"]).await.exits(0);
        run(&world, &["--dry-run"]).await.exits(0);
        assert_eq!(world.lab.pve().writes(), writes, "{}", again.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cd_drive_that_somebody_emptied_or_removed_is_no_difference() {
    let world = start(Release::V9_2).await;
    run(&world, &[]).await.exits(0);
    let (id, pve) = (world.vm("w-1").id, world.lab.pve());

    for params in [[("ide2", "none,media=cdrom")], [("delete", "ide2")]] {
        pve.call("POST", &format!("/nodes/pve1/qemu/{id}/status/stop"), &[]).unwrap();
        pve.call("POST", &format!("/nodes/pve1/qemu/{id}/config"), &params).unwrap();
        let outcome = run(&world, &[]).await.exits(0);
        assert!(!outcome.stderr.contains("changed VM"), "{}", outcome.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_data_is_never_attached_while_talos_installs_itself() {
    let world = start(Release::V9_2).await;
    world.edit(PLAIN, &format!("{PLAIN}, scsi1: \"local-lvm:0,import-from=local:import/talos.qcow2\""));

    let planned = run(&world, &["--dry-run"]).await.exits(7);
    let outcome = run(&world, &[]).await.exits(7);

    assert!(planned.stderr.contains("scsi1 brings data"), "{}", planned.stderr);
    let said = "node w-1: scsi1 brings data, and while Talos installs itself from an ISO it could be taken";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    assert!(world.lab.pve().vm_by_name("w-1").is_none());
}
