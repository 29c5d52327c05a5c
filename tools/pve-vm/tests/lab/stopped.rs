//! `--stopped`: VMs that are made, and switched on by somebody else.

use serde_json::json;

use crate::world::{World, options};

#[tokio::test(flavor = "multi_thread")]
async fn with_stopped_vms_are_made_and_not_switched_on_and_the_record_says_so() {
    let world = World::start(lab::Options { dhcp: true, ..options() }).await;

    let plan = world.run(&["plan", "--stopped"]).await.exits(3);
    assert_eq!(plan.status("w-1")["vm"]["power"], "stopped");
    assert!(!plan.text().contains("running"), "nothing is to be switched on: {}", plan.text());

    let made = world.run(&["--stopped"]).await.exits(0).says("is off, and stays off (--stopped)");
    let vm = world.vm("w-1");
    assert!(!vm.running && world.lab.talos().node("w-1").is_none());
    let status = made.status("w-1");
    assert_eq!((&status["vm"]["id"], &status["vm"]["power"]), (&json!(vm.id), &json!("stopped")));
    assert_eq!(status.get("addresses"), None, "nobody knows what DHCP will give it");
    assert!(!status["vm"]["changes"].to_string().contains("power"), "{status}");

    let writes = world.lab.pve().writes();
    let again = world.run(&["--stopped"]).await.exits(0);
    assert_eq!((&again.status("w-1")["vm"]["changed"], world.lab.pve().writes()), (&json!(false), writes));
    world.run(&["plan", "--stopped"]).await.exits(0);
    world.run(&["plan"]).await.exits(3).says(&format!("w-1 would start VM {} on pve1", vm.id));

    let on = world.run(&[]).await.exits(0);
    assert!(world.vm("w-1").running);
    assert_eq!(on.status("w-1")["vm"].get("power"), None);
    assert!(on.status("w-1")["addresses"][0].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_stopped_a_vm_that_runs_goes_on_running_also_when_it_is_switched_off_for_a_change() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let before = world.lab.talos().node("w-1").unwrap().counts().boots;
    world.run(&["--stopped"]).await.exits(0);
    assert!(world.vm("w-1").running);

    world.edit("memory: 2048", "memory: 3072");
    world.run(&["--stopped", "--reboot", "--only", "w-1"]).await.exits(0);
    assert!(world.vm("w-1").running);
    assert!(world.lab.talos().node("w-1").unwrap().counts().boots > before, "it was off for its change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_address_is_told_of_a_vm_that_is_off_and_high_availability_is_not_told_of_it() {
    let world = World::start(options()).await;
    world.lab.pve().grant_everything();
    world.edit("worker: {vm: {cores: 2,", "worker: {vm: {ha: true, cores: 2,");
    let made = world.run(&["--stopped", "--only", "w-1"]).await.exits(0);
    assert!(!world.vm("w-1").running);
    assert!(made.status("w-1")["addresses"][0].as_str().is_some_and(|address| address.starts_with("127.")));
    let is_ha = |request: &(String, String)| request.0 == "POST" && request.1.contains("/ha/");
    assert!(!world.lab.pve().requests().iter().any(is_ha), "it would be switched on");
}
