//! Nodes without a static address and without a guest agent are found by their serial consoles, which also tell by what
//! certificate they are known.

use std::time::Duration;

use lab::{Options, pve::Release};

use crate::{
    by_hand::grant,
    world::{Outcome, World, options},
};

/// A control plane with a static address, and a worker without one that has no channel for a guest agent.
async fn without_agent(proxmox: Release) -> World {
    let world = World::start(Options { dhcp: true, proxmox, ..options() }).await;
    world.edit("worker: {vm: {cores: 2", "worker: {vm: {agent: \"0\", cores: 2");
    world
}

fn node(world: &World, name: &str) -> lab::talos::NodeHandle {
    world.lab.talos().node(name).unwrap()
}

fn calls(world: &World, end: &str) -> usize {
    world.lab.pve().requests().iter().filter(|(_, path)| path.ends_with(end)).count()
}

/// The hint of a node's error.
fn hint(outcome: &Outcome, name: &str) -> String {
    outcome.status(name)["error"]["hint"].as_str().unwrap_or_else(|| panic!("{}", outcome.stderr)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_tells_address_and_certificate_and_is_never_written_to() {
    let world = without_agent(Release::V9_2).await;
    grant(&world, &["VM.Console"]);

    let outcome = world.run(&[]).await.exits(0);

    let worker = outcome.status("w-1");
    assert_eq!(worker["addresses"][0], node(&world, "w-1").address().unwrap().to_string());
    assert_eq!(worker["vm"]["addressSource"], "console");
    assert_eq!(worker["vm"]["fingerprints"][0], node(&world, "w-1").fingerprint().unwrap());
    let control_plane = &outcome.status("cp-1")["vm"];
    assert_eq!(control_plane["addressSource"], "static");
    assert_eq!(control_plane["fingerprints"][0], node(&world, "cp-1").fingerprint().unwrap());
    for vm in world.lab.pve().vms() {
        assert!(world.lab.pve().sent_to_console(vm.id).is_empty(), "{}", vm.name);
        assert!(!world.lab.pve().is_console_read(vm.id), "{}", vm.name);
    }
    let asked: Vec<String> = world.lab.pve().requests().into_iter().map(|(_, path)| path).collect();
    let id = world.vm("w-1").id;
    let at = |end: &str| asked.iter().position(|path| path.ends_with(&format!("/{id}/{end}"))).unwrap();
    assert!(at("termproxy") < at("vncwebsocket") && at("vncwebsocket") < at("status/start"), "{asked:?}");
    assert!(!format!("{}{}", outcome.text(), outcome.stderr).contains("PVEVNC"), "no ticket is printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_read_consoles_is_enough_without_that_to_ask_agents() {
    let world = World::start(Options { dhcp: true, ..options() }).await;
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let role: Vec<&str> = pve_vm::privileges().into_iter().filter(|it| *it != "VM.GuestAgent.Audit").collect();
    let role: Vec<&str> = role.into_iter().chain(["VM.Console"]).collect();
    world.lab.pve().add_token(name, secret, &[("/", &role)]);

    let outcome = world.run(&[]).await.exits(0);

    assert_eq!(outcome.status("w-1")["vm"]["addressSource"], "console");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guest_agent_is_believed_first_and_its_certificate_is_known_too() {
    let world = World::start(Options { dhcp: true, ..options() }).await;
    grant(&world, &["VM.Console"]);

    let outcome = world.run(&[]).await.exits(0);

    let worker = &outcome.status("w-1")["vm"];
    assert_eq!(worker["addressSource"], "agent");
    assert_eq!(worker["fingerprints"][0], node(&world, "w-1").fingerprint().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_proxmox_hands_out_itself_needs_no_console() {
    let world = without_agent(Release::V9_2).await;
    grant(&world, &["SDN.Audit"]);
    world.run(&["--wait-timeout", "1s"]).await.exits(4);
    let address = node(&world, "w-1").address().unwrap().to_string();
    let net0 = world.vm("w-1").config["net0"].clone();
    let mac = net0.split(['=', ',']).find(|part| part.contains(':')).unwrap().to_owned();
    world.lab.pve().add_lease("10.9.9.9", "BC:24:11:FF:FF:FF");
    world.lab.pve().add_lease(&address, &mac);

    let outcome = world.run(&[]).await.exits(0);

    assert_eq!(outcome.status("w-1")["addresses"][0], address);
    assert_eq!(outcome.status("w-1")["vm"]["addressSource"], "ipam");
    assert_eq!(calls(&world, "/termproxy"), 0, "nobody allowed that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_somebody_holds_is_said_and_given_up() {
    let world = without_agent(Release::V9_2).await;
    world.run(&["--wait-timeout", "1s"]).await.exits(4);
    grant(&world, &["VM.Console"]);
    let vm = world.vm("w-1");
    world.lab.pve().hold_console(vm.id, true);

    let said =
        format!("the console of VM {} on pve1 has shown nothing for 5 s: while somebody else has it open", vm.id);
    let held = world.run(&["--wait-timeout", "8s"]).await.exits(4).says(&said);

    let advice = hint(&held, "w-1");
    assert!(advice.contains(&format!("`qm shutdown {}` on pve1, and run again", vm.id)), "{advice}");
    // As the hint says.
    world.lab.pve().hold_console(vm.id, false);
    let stop = format!("/nodes/pve1/qemu/{}/status/stop", vm.id);
    world.lab.pve().call_as("root@pam", "POST", &stop, &[]).unwrap();
    world.lab.pve().until(|pve| !pve.vm(vm.id).unwrap().running).await;
    let found = world.run(&[]).await.exits(0);
    assert_eq!(found.status("w-1")["vm"]["addressSource"], "console");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_9_1_that_is_said_once_and_no_console_is_opened() {
    let world = without_agent(Release::V8_4).await;
    world.edit("  - {name: w-1, role: worker}", "  - {name: w-1, role: worker}\n  - {name: w-2, role: worker}");
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let role = lab::pve::role(Release::V8_4).into_iter().chain(["VM.Console"]).collect::<Vec<_>>();
    world.lab.pve().add_token(name, secret, &[("/", &role)]);

    let outcome = world.run(&["--wait-timeout", "8s"]).await.exits(4);

    let said = outcome.stderr.matches("API tokens can open consoles from Proxmox VE 9.1 on, pve1 has 8.4.21:").count();
    assert_eq!(said, 1, "{}", outcome.stderr);
    assert_eq!(calls(&world, "/termproxy"), 0);
    assert_eq!(outcome.status("cp-1")["vm"]["addressSource"], "static");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_no_console_is_opened_and_the_hint_gives_it() {
    let world = without_agent(Release::V9_2).await;

    let outcome = world.run(&["--wait-timeout", "1s"]).await.exits(4).says("lacks VM.Console");

    let advice = hint(&outcome, "w-1");
    assert!(advice.contains("pveum acl modify /vms --users") && advice.contains("VM.Console"), "{advice}");
    assert_eq!(calls(&world, "/termproxy"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_console_is_given_up_and_harms_nobody() {
    let world = without_agent(Release::V9_2).await;
    world.run(&["--wait-timeout", "1s"]).await.exits(4);
    grant(&world, &["VM.Console"]);
    let vm = world.vm("w-1");
    let mut noise = vec![b'A'; 200 << 10];
    noise.extend_from_slice(b"\x1b]0;evil\x07\xff\xfe\n[talos] \t10.6.6.6 {\"component\": \"controller-runtime\"}\r\n");
    world.lab.pve().flood_console(vm.id, &noise);

    let outcome = world.run(&["--wait-timeout", "20s"]).await.exits(4);

    assert!(outcome.stderr.contains("its console says more than any machine does"), "{}", outcome.stderr);
    for bad in ["10.6.6.6", "evil", "AAAA", "\u{1b}"] {
        assert!(!format!("{}{}", outcome.text(), outcome.stderr).contains(bad), "{bad:?}");
    }
    let still_read = async {
        while world.lab.pve().is_console_read(vm.id) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), still_read).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_at_a_console_does_not_hold_up_changes() {
    let world = World::start(options()).await;
    world.run(&[]).await.exits(0);
    let vm = world.vm("w-1");
    let open = format!("/nodes/pve1/qemu/{}/termproxy", vm.id);
    world.lab.pve().call_as("root@pam", "POST", &open, &[("serial", "serial0")]).unwrap();
    world.edit("memory: 2048, disk: 20", "memory: 2048, disk: 20, disks: [{size: 5}]");

    world.run(&["--wait-timeout", "20s"]).await.exits(0);

    assert!(world.vm("w-1").config.contains_key("scsi1"), "{:?}", world.vm("w-1").config);
}

/// How often a VM was reset.
fn resets(world: &World) -> usize {
    calls(world, "/status/reset")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_nobody_tells_the_address_of_is_found_where_it_was() {
    let world = without_agent(Release::V9_2).await;
    grant(&world, &["VM.Console"]);
    let first = world.run(&[]).await.exits(0);

    let second = world.run(&[]).await.exits(0);

    let (before, after) = (first.status("w-1"), second.status("w-1"));
    assert_eq!(after["vm"]["addressSource"], "lock");
    assert_eq!(after["addresses"], before["addresses"]);
    assert_eq!(after["vm"]["fingerprints"], before["vm"]["fingerprints"], "the first contact may be still to come");
    assert_eq!(after["vm"]["changed"], false);
    assert_eq!(resets(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_config_that_shows_another_certificate_is_reset_and_met_again() {
    let world = World::start(options()).await;
    grant(&world, &["VM.Console"]);
    let first = world.run(&[]).await.exits(0);
    node(&world, "w-1").reissue();
    node(&world, "cp-1").reissue();

    let planned = world.run(&["--dry-run"]).await.exits(3);
    assert_eq!(planned.status("w-1")["vm"]["changes"][0]["to"], "reset, to learn its certificate");
    assert_eq!(resets(&world), 0);
    let second = world.run(&[]).await.exits(0).says("shows another certificate than its console told: resetting it");

    assert_eq!(resets(&world), 2);
    for name in ["cp-1", "w-1"] {
        let (before, after) = (first.status(name), second.status(name));
        assert_ne!(after["vm"]["fingerprints"], before["vm"]["fingerprints"]);
        let shown = node(&world, name).fingerprint().unwrap();
        assert!(after["vm"]["fingerprints"].as_array().unwrap().contains(&shown.into()), "{after}");
    }
    world.run(&[]).await.exits(0);
    assert_eq!(resets(&world), 2, "what it shows is known now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_contact_that_was_cut_before_the_certificate_was_seen_is_begun_again() {
    let world = World::start(options()).await;
    grant(&world, &["VM.Console"]);
    world.killed_at(("POST", "/status/start"), &["--only", "w-1"]).await;
    world.lab.pve().until(|pve| pve.vm_by_name("w-1").is_some_and(|vm| vm.running)).await;
    assert!(node(&world, "w-1").until(Duration::from_secs(20), |node| node.fingerprint().is_some()).await);

    let outcome = world.run(&["--only", "w-1"]).await.exits(0);

    assert_eq!(resets(&world), 1);
    let shown = node(&world, "w-1").fingerprint().unwrap();
    let fingerprints = outcome.status("w-1")["vm"]["fingerprints"].as_array().unwrap().clone();
    assert_eq!(fingerprints.last().unwrap(), &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_had_a_config_is_never_reset_and_nobody_else_is_believed_for_it() {
    let world = World::start(options()).await;
    grant(&world, &["VM.Console"]);
    let first = world.run(&[]).await.exits(0);
    let lock = world.lab.dir().join("lab/ichor.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    std::fs::write(&lock, text.replace("\"watched\": true", "\"watched\": true, \"configured\": true")).unwrap();
    node(&world, "w-1").reissue();

    let second = world.run(&[]).await.exits(0);

    assert_eq!(resets(&world), 0);
    assert_eq!(second.status("w-1")["vm"]["fingerprints"], first.status("w-1")["vm"]["fingerprints"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_console_told_holds_when_nobody_may_read_it_any_more() {
    let world = World::start(options()).await;
    grant(&world, &["VM.Console"]);
    let first = world.run(&[]).await.exits(0);
    node(&world, "w-1").reissue();
    grant(&world, &[]);

    let second = world.run(&[]).await.exits(0);

    assert_eq!(resets(&world), 0);
    assert_eq!(second.status("w-1")["vm"]["fingerprints"], first.status("w-1")["vm"]["fingerprints"]);
}
