//! Each release of Talos that the pipe runs, and a cluster whose file names a newer one than its nodes run.

use crate::support::{Shape, World, changes};

/// One control plane and one worker of a release.
async fn world(talos: &str) -> World {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.edit("    version: v1.13.9", &format!("    version: {talos}"));
    world
}

/// Brings a release up, twice; returns the control plane's config.
async fn up(talos: &str) -> String {
    let world = world(talos).await;
    world.up().await.exits(0);
    world.assert_up(&world.names());
    let lock = world.scratch.read(&format!("{}/ichor.lock", world.lab.name()));
    let contract = talos.rsplit_once('.').unwrap().0;
    assert!(lock.contains(&format!("\"{contract}\"")) || lock.contains(&format!("contract: {contract}")), "{lock}");
    let before = world.touches();
    let again = world.up().await.exits(0);
    assert_eq!(changes(&again), []);
    assert_eq!(world.touches(), before, "the second run touched something");
    world.node("cp-1").config().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn talos_1_14_comes_up_with_documents_of_its_own_and_kubernetes_1_37() {
    let config = up("v1.14.6").await;
    assert!(config.contains("kind: KubeClusterConfig") && config.contains("kubelet:v1.37.2"), "{config}");
    // A disk image needs no installation, and nobody is told about one that is missing.
    assert!(!config.contains("kind: UnattendedInstallConfig"), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn talos_1_12_comes_up_with_the_legacy_document_and_kubernetes_1_35() {
    let config = up("v1.12.11").await;
    assert!(config.contains("clusterName: ") && config.contains("kubelet:v1.35.4"), "{config}");
    assert!(!config.contains("kind: KubeClusterConfig"), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_1_13_whose_file_says_1_14_keeps_its_configs_form_and_is_sent_to_talosctl() {
    let world = world("v1.13.9").await;
    world.up().await.exits(0);
    let lock = format!("{}/ichor.lock", world.lab.name());
    let contract = |text: &str| text.lines().find(|line| line.contains("contract")).map(str::to_owned);
    // The image of the new release goes to Proxmox VE all the same; the nodes are left alone.
    let applied = || ["cp-1", "w-1"].map(|name| world.node(name).counts().applied);
    let before = (applied(), contract(&world.scratch.read(&lock)));
    assert!(before.1.as_deref().is_some_and(|line| line.contains("v1.13")), "{before:?}");

    world.edit("    version: v1.13.9", "    version: v1.14.6");
    let said = world.up().await.exits(7);
    let said = said.says("the node runs Talos v1.13.9, but the file says v1.14.6");
    said.says("run `talosctl upgrade` to v1.14.6");
    assert_eq!((applied(), contract(&world.scratch.read(&lock))), before, "nothing was changed");
    let made = world.scratch.read(&format!("{}/nodes/cp-1.yaml", world.lab.name()));
    assert!(made.contains("clusterName: ") && !made.contains("kind: KubeClusterConfig"), "{made}");
    world.assert_up(&world.names());
}
