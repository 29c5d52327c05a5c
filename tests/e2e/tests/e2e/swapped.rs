use crate::support::{Shape, World};

/// The example of the README.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/examples/machines-from-elsewhere");

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_script_can_stand_in_for_pve_vm() {
    if judges::require("jq").is_none() {
        return;
    }
    let world = World::start(Shape { dhcp: true, ..Shape::SMALL }).await;
    let made = world.sh("talos-image | pve-vm").await.exits(0);
    let addresses: Vec<_> =
        made.nodes().iter().map(|node| format!("{}: {}", node["name"], node["status"]["addresses"][0])).collect();
    world.scratch.write("machines.json", format!("{{{}}}", addresses.join(", ")));
    let pipe = World::pipe().replacen("pve-vm", &format!("{EXAMPLE} machines.json"), 1);
    let outcome = world.sh(&pipe).await.exits(0);
    assert!(outcome.node("w-1")["status"].get("vm").is_none());
    for name in world.names() {
        assert!(world.node(&name).is_ready(), "{name}");
    }
}

#[test]
fn the_readme_shows_the_script_as_it_is() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    assert!(readme.contains(&std::fs::read_to_string(EXAMPLE).unwrap()), "the README shows another script");
}
