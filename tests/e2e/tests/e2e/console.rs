use super::support::{Shape, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_in_the_file_is_believed_alone_and_one_can_be_required() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm > /dev/null").await.exits(0);
    let shown = |name: &str| world.node(name).fingerprint().unwrap();
    let rest = "talos-image | pve-vm | talos-gen | talos-apply --require-fingerprint";
    world.sh(rest).await.exits(7).says("no fingerprint of it is known").says(&shown("w-1"));

    world.edit("name: w-1, role: worker", &format!("name: w-1, role: worker, fingerprint: {}", shown("cp-1")));
    world.sh(rest).await.exits(7).says(&format!("the node's certificate fingerprint is {}", shown("w-1")));
    world.edit(&shown("cp-1"), "nonsense");
    world.sh(rest).await.exits(8).says("spec.fingerprint: `nonsense` is not a certificate fingerprint");
    assert!(world.node("w-1").config().is_none() && world.node("cp-1").config().is_none());

    world.edit("nonsense", &shown("w-1"));
    world.sh(rest).await.exits(7).never_says("node w-1");
    assert!(world.node("w-1").config().is_some() && world.node("cp-1").config().is_none());
}

/// A lab whose workers have neither addresses nor guest agents, with a token that may read consoles.
async fn without_agents() -> World {
    let world = World::start(Shape { dhcp: true, workers: 1, ..Shape::SMALL }).await;
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {agent: \"0\", cores: 2");
    allow(&world, &["VM.Console"]);
    world
}

/// Gives the token the usual rights and these.
fn allow(world: &World, more: &[&str]) {
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let role: Vec<&str> = lab::pve::ROLE.iter().chain(more).copied().collect();
    world.lab.pve().add_token(name, secret, &[("/", &role)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_an_agent_are_found_by_their_consoles_and_known_from_the_first_contact_on() {
    let world = without_agents().await;
    let shown = |name: &str| world.node(name).fingerprint().unwrap();

    world.sh("talos-image | pve-vm > lab.jsonl").await.exits(0);
    let (control_plane, worker) = (shown("cp-1"), shown("w-1"));
    let rest = World::pipe().replacen("talos-image | pve-vm", "cat lab.jsonl", 1);
    let outcome = world.sh(&rest).await.exits(0).never_says("certificate not verified");

    world.assert_up(&world.names());
    let vm = &outcome.node("w-1")["status"]["vm"];
    assert_eq!(
        (vm["addressSource"].as_str(), vm["fingerprints"][0].as_str()),
        (Some("console"), Some(worker.as_str()))
    );
    assert_eq!(outcome.node("w-1")["status"]["applied"]["fingerprint"], worker);
    assert_eq!(outcome.node("cp-1")["status"]["applied"]["fingerprint"], control_plane);

    // Nobody tells its address any more, and it is known where it was.
    let again = world.sh(&World::pipe()).await.exits(0);
    assert_eq!(again.node("w-1")["status"]["vm"]["addressSource"], "lock");
    assert_eq!(again.node("w-1")["status"]["applied"]["changed"], false);

    // A run that was killed before it noted that the node has its config: the next one sees it, and notes it.
    let file = format!("{}/ichor.lock", world.lab.name());
    let noted = world.scratch.read(&file);
    let forgotten = noted.replace("\"configured\": true", "\"configured\": false");
    assert_ne!(forgotten, noted);
    world.scratch.write(&file, forgotten);
    world.sh("cat lab.jsonl | talos-gen | talos-apply").await.exits(0).says("talos-apply: 2 unchanged");
    assert_eq!(world.scratch.read(&file), noted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_another_certificate_than_the_console_told_gets_no_config() {
    let world = without_agents().await;
    world.sh("talos-image | pve-vm > lab.jsonl").await.exits(0);
    let told = world.node("w-1").fingerprint().unwrap();
    world.node("w-1").reissue();
    let shown = world.node("w-1").fingerprint().unwrap();
    assert_ne!(told, shown);

    let refused = world.sh("cat lab.jsonl | talos-gen | talos-apply").await.exits(7).says(&told).says(&shown);

    assert!(world.node("w-1").config().is_none(), "it got the config all the same");
    assert_eq!(refused.node("w-1")["status"]["error"]["code"], "other-machine");
    assert!(world.node("cp-1").config().is_some(), "the other node was the one that was meant");

    // Also from the file, in another run, while nobody may look at the console.
    allow(&world, &[]);
    world.sh("talos-image | pve-vm | talos-gen | talos-apply").await.exits(7).says(&shown);
    assert!(world.node("w-1").config().is_none(), "a later run believed it");

    // With the right to look it is reset, and then known: it has nothing to lose.
    allow(&world, &["VM.Console"]);
    let again = world.sh(&World::pipe()).await.exits(0).says("resetting it with its console open");
    world.assert_up(&world.names());
    let known = again.node("w-1")["status"]["vm"]["fingerprints"].as_array().unwrap().clone();
    assert!(known.contains(&again.node("w-1")["status"]["applied"]["fingerprint"]));
}
