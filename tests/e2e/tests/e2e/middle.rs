use super::support::{Middle, Shape, World};

/// Something that every config of a node has, and nothing else that is sent.
const CONFIG: &str = "machine:\n";

/// A man in the middle before w-1 of this lab, and the text of a file that sends clients to him.
async fn before_w_1(world: &World) -> (Middle, impl Fn(&str) -> String) {
    let node = world.node("w-1").address().unwrap();
    let address = format!("{}.250", node.to_string().rsplit_once('.').unwrap().0);
    let middle = Middle::before(node, address.parse().unwrap()).await;
    (middle, move |text: &str| text.replace(&node.to_string(), &address))
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_user_names_the_certificate_a_man_in_the_middle_sees_no_byte_of_a_config() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    let (node, (middle, led)) = (world.node("w-1"), before_w_1(&world).await);
    let fingerprint = node.fingerprint().unwrap();
    let alone = format!("talos-apply -n {} -i -f {}/nodes/w-1.yaml", middle.address, world.lab.name());

    world.sh(&format!("{alone} --cert-fingerprint {fingerprint}")).await.exits(7);
    world.sh(&format!("{alone} --require-fingerprint")).await.exits(7).says("no fingerprint of it is known");
    let pinned = format!("name: w-1, role: worker, fingerprint: {fingerprint}");
    world.edit("name: w-1, role: worker", &pinned);
    world.scratch.write("led.yaml", led(&world.file()));
    world.sh("pve-vm list -f led.yaml | talos-gen | talos-apply --only w-1").await.exits(7).says(&fingerprint);
    assert!(!middle.has_seen(CONFIG) && node.config().is_none());

    // On trust it goes where it is led: so the above could have been seen.
    world.sh(&alone).await;
    assert!(middle.has_seen(CONFIG));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_console_told_the_certificate_a_man_in_the_middle_sees_no_byte_of_a_config() {
    let world = World::start(Shape { workers: 1, ..Shape::SMALL }).await;
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let role: Vec<&str> = lab::pve::ROLE.iter().chain(&["VM.Console"]).copied().collect();
    world.lab.pve().add_token(name, secret, &[("/", &role)]);
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    let (node, (middle, led)) = (world.node("w-1"), before_w_1(&world).await);
    world.scratch.write("led.jsonl", led(&world.scratch.read("lab.jsonl")));

    let refused = world.sh("talos-apply -f led.jsonl --only w-1").await.exits(7);

    assert_eq!(refused.node("w-1")["status"]["error"]["code"], "other-machine", "{refused}");
    // A later run knows it from ichor.lock.
    world.scratch.write("led.yaml", led(&world.file()));
    world.sh("pve-vm list -f led.yaml | talos-gen | talos-apply --only w-1").await.exits(7);
    assert!(!middle.has_seen(CONFIG) && node.config().is_none());
}
