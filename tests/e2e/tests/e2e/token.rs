use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Shape, World};

const UNSET: &str = "unset PROXMOX_VE_ENDPOINT; ";

/// A server that somebody else wrote into the input, and how often it was connected to.
async fn evil() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, count) = (format!("https://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, count)
}

fn lock(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.scratch.read(&format!("{}/ichor.lock", world.lab.name()))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_plan_and_the_first_run_need_no_variable_and_the_run_locks_the_endpoint_aloud() {
    let world = World::start(Shape::SMALL).await;
    let (pve, files) = (world.lab.pve().endpoint(), world.scratch.files(""));

    let plan = World::pipe().replacen("talos-image", "talos-image --dry-run", 1);
    world.sh(&format!("{UNSET}{plan}")).await.exits(3);
    assert_eq!(world.scratch.files(""), files, "a plan locks nothing");
    world.sh(&format!("{UNSET}{}", World::pipe())).await.exits(0).says("ichor.lock now names the Proxmox VE of this");

    assert_eq!(lock(&world)["proxmox"], pve.as_str());
    let again = world.sh(&format!("{UNSET}{}", World::pipe())).await.exits(0);
    assert!(!again.stderr.contains("now names"), "{}", again.stderr);
    world.sh(&format!("{UNSET}{plan}")).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_to_no_other_server_that_the_input_names() {
    let world = World::start(Shape::SMALL).await;
    let (pve, (evil, connections)) = (world.lab.pve().endpoint(), evil().await);
    world.sh("talos-image > right.jsonl").await.exits(0);
    let records = world.scratch.read("right.jsonl").replace(&pve, &evil);
    world.scratch.write("wrong.jsonl", &records);
    let steps = ["pve-vm < wrong.jsonl", "pve-vm --dry-run < wrong.jsonl", "pve-vm list < wrong.jsonl"];

    for step in steps.iter().chain(&["talos-image", "pve-vm list", "pve-vm doctor"]) {
        let edits = !step.contains('<');
        if edits {
            world.edit(&pve, &evil);
        }
        world.sh(step).await.exits(7).says("PROXMOX_VE_ENDPOINT names");
        if edits {
            world.edit(&evil, &pve);
        }
    }

    // Without the variable it is the lock that counts; this run writes it.
    world.sh(&format!("{UNSET}talos-image")).await.exits(0).says("ichor.lock now names");
    for step in steps {
        world.sh(&format!("{UNSET}{step}")).await.exits(7).says("ichor.lock names").says("--new-endpoint");
    }
    world.edit(&pve, &evil);
    for step in ["talos-image", "talos-image --dry-run", "pve-vm list", "pve-vm doctor", "pve-vm destroy --all --yes"] {
        world.sh(&format!("{UNSET}{step}")).await.exits(7).says("ichor.lock names");
    }
    assert_eq!((connections.load(Ordering::Relaxed), lock(&world)["proxmox"].as_str()), (0, Some(pve.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_moved_is_allowed_once_and_locked() {
    let world = World::start(Shape::SMALL).await;
    let pve = world.lab.pve().endpoint();
    world.sh(&format!("{UNSET}talos-image")).await.exits(0);
    let path = format!("{}/ichor.lock", world.lab.name());
    let moved = world.scratch.read(&path).replace(&pve, "https://old.example:8006");
    world.scratch.write(&path, moved);

    world.sh(&format!("{UNSET}talos-image")).await.exits(7).says("ichor.lock names https://old.example:8006");
    world.sh(&format!("{UNSET}talos-image --dry-run --new-endpoint")).await.exits(0);
    assert_eq!(lock(&world)["proxmox"], "https://old.example:8006", "a plan locks nothing");
    world.sh(&format!("{UNSET}talos-image --new-endpoint")).await.exits(0).says("now names");

    assert_eq!(lock(&world)["proxmox"], pve.as_str());
    world.sh(&format!("{UNSET}talos-image | pve-vm")).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_in_the_endpoint_of_the_first_run_is_not_locked() {
    let world = World::start(Shape::SMALL).await;
    let pve = world.lab.pve().endpoint();
    let nobody = pve.replace(":8006", ":1");
    world.edit(&pve, &nobody);
    world.sh(&format!("{UNSET}talos-image")).await.exits(5).never_says("now names");
    world.edit(&nobody, &pve);

    world.sh(&format!("{UNSET}talos-image")).await.exits(0).says("ichor.lock now names");

    assert_eq!(lock(&world)["proxmox"], pve.as_str());
}
