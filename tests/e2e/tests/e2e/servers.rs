use crate::support::{Shape, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_from_a_network_fault() {
    let mut world = World::start(Shape { realistic: true, ..Shape::SMALL }).await;
    world.scratch.set("PROXMOX_VE_API_TOKEN", "talos@pve!cli=00000000-0000-0000-0000-00000000dead");
    let outcome = world.sh("talos-image | pve-vm").await.exits(6).says("token").never_says("0000dead");
    assert_eq!(outcome.end()["status"]["error"]["exit"], 6);
    assert_eq!(world.touches(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_pinned_is_shown_with_what_to_do() {
    let world = World::start(Shape::SMALL).await;
    let text = world.file();
    let ca = text.lines().find(|line| line.trim_start().starts_with("ca:")).expect("the file names a CA").to_owned();
    world.edit(&format!("{ca}\n"), "");
    world.sh("talos-image | pve-vm").await.exits(6).says("fingerprint").says(":");
    assert_eq!(world.touches(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_proxmox_is_told() {
    let mut world = World::start(Shape::SMALL).await;
    let factory = world.lab.env().into_iter().find(|(name, _)| name == "ICHOR_FACTORY").unwrap().1;
    world.scratch.set("PROXMOX_VE_ENDPOINT", &factory);
    let text = world.file();
    if let Some(line) = text.lines().find(|line| line.trim_start().starts_with("endpoint:") && line.contains("8006")) {
        world.edit(&format!("{line}\n"), "");
    }
    let outcome = world.sh("talos-image | pve-vm").await;
    assert_ne!(outcome.status, 0, "{outcome}");
    outcome.says("Proxmox").never_says("panicked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_whose_certificate_is_not_trusted_is_not_asked_again() {
    let mut world = World::start(Shape::SMALL).await;
    let proxmox = world.lab.env().into_iter().find(|(name, _)| name == "PROXMOX_VE_ENDPOINT").unwrap().1;
    world.scratch.set("ICHOR_FACTORY", &proxmox);
    world.sh("talos-image").await.exits(6).says("is not trusted").says("UnknownIssuer").never_says("run again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_accepts_and_hangs_is_given_up_in_bounded_time() {
    let world = World::start(Shape::SMALL).await;
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    world.node("w-1").hang(true);
    let outcome = world.sh("talos-apply -f lab.jsonl --wait-timeout 3s").await.exits(4);
    let error = &outcome.node("w-1")["status"]["error"];
    assert_eq!((error["step"].as_str(), error["exit"].as_u64()), (Some("talos-apply"), Some(5)), "{error}");
    world.node("w-1").hang(false);
    world.up().await.exits(0);
    world.assert_up(&world.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_in_the_stream_or_in_what_is_said() {
    let world = World::start(Shape::SMALL).await;
    let outcome = world.up().await.exits(0);
    let everything = format!("{}{}", outcome.stdout, outcome.stderr);
    let secrets = std::fs::read_to_string(world.scratch.path(world.lab.name()).join("secrets.yaml")).unwrap();
    let long = |line: &&str| line.len() > 20;
    for value in secrets.lines().filter_map(|line| line.split_once(": ").map(|(_, value)| value.trim())).filter(long) {
        assert!(!everything.contains(value), "a value of secrets.yaml is in the output");
    }
    let token = world.lab.env().into_iter().find(|(name, _)| name == "PROXMOX_VE_API_TOKEN").unwrap().1;
    assert!(!everything.contains(token.split('=').nth(1).unwrap()), "the token is in the output");
}
