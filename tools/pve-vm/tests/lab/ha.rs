//! High availability as the file has it.

use std::collections::BTreeMap;

use lab::{
    Options,
    pve::{Fault, Lock, Release},
};

use crate::{
    by_hand::{PLAIN, allow},
    world::{Outcome, World, options},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_managed_as_the_file_says_and_let_go_again() {
    let world = World::start(options()).await;
    world.edit(PLAIN, &format!("{PLAIN}, ha: {{max_restart: 3}}"));
    for arguments in [&["plan"][..], &[]] {
        world.run(&[arguments, &["--only", "w-1"]].concat()).await.exits(6).says("lacks Sys.Console on / (ha)");
    }
    assert_eq!(world.lab.pve().vms(), [], "it is refused before anything is made");
    allow(&world, "Sys.Console");

    let made = world.run(&[]).await.exits(0).says("high availability: managed, max_restart=3");
    assert!(world.vm("w-1").running);
    let whats = made.status("w-1")["vm"]["changes"].as_array().unwrap().iter().map(|change| change["what"].clone());
    assert!(whats.into_iter().any(|what| what == "ha"));
    let writes = world.lab.pve().writes();
    world.run(&[]).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes);

    world.edit("max_restart: 3", "max_restart: 4");
    world.run(&["plan"]).await.exits(3);
    world.run(&[]).await.exits(0).says("max_restart=4");
    world.edit("ha: {max_restart: 4}", "ha: false");
    world.run(&[]).await.exits(0).says("high availability: not managed");
    assert!(world.vm("w-1").running, "it stays as it is");

    world.edit("ha: false", "ha: always");
    world.run(&[]).await.exits(8).says("spec.worker.vm.ha must be true, false, or options");
}

/// Three hosts, two control planes, and a token that may manage.
async fn three_hosts(release: Release) -> World {
    let hosts = ["pve1", "pve2", "pve3"].map(str::to_owned).to_vec();
    let world = World::start(Options { hosts, proxmox: release, control_planes: 1, workers: 3, ..options() }).await;
    allow(&world, "Sys.Console");
    world
}

fn rules(world: &World) -> BTreeMap<String, BTreeMap<String, String>> {
    world.lab.pve().ha_rules()
}

/// Says something of all workers.
fn say(world: &World, ha: &str) {
    world.edit(PLAIN, &format!("{PLAIN}, ha: {{{ha}}}"));
}

const WORKERS: [&str; 2] = ["--only", "w-1,w-2"];

#[tokio::test(flavor = "multi_thread")]
async fn vms_are_kept_apart_and_on_their_hosts_by_rules_of_their_own() {
    let world = three_hosts(Release::V9_2).await;
    say(&world, "separate: web, nodes: \"pve1,pve2\", strict: true");
    let plan = world.run(&[&["plan"][..], &WORKERS].concat()).await.exits(3);
    let whats = |node: &str, outcome: &Outcome| {
        let changes = outcome.status(node)["vm"]["changes"].as_array().unwrap().clone();
        changes.iter().filter_map(|it| it["what"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let both = [whats("w-1", &plan), whats("w-2", &plan)].concat();
    assert_eq!(both.iter().filter(|what| *what == "ha.nodes").count(), 2, "{both:?}");
    assert_eq!(both.iter().filter(|what| *what == "ha.separate").count(), 1, "{both:?}");
    assert!(rules(&world).is_empty());

    world.lab.pve().fault("POST", "/cluster/ha/rules", Fault::LoseReply);
    world.run(&WORKERS).await.exits(0);
    assert!(["w-1", "w-2"].iter().all(|name| ["pve1", "pve2"].contains(&world.vm(name).node.as_str())));
    let found = rules(&world);
    assert_eq!(found.len(), 3, "{found:?}");
    let apart = found.values().find(|rule| rule["type"] == "resource-affinity").unwrap();
    let mut sids = ["w-1", "w-2"].map(|name| format!("vm:{}", world.vm(name).id));
    sids.sort();
    assert_eq!((apart["affinity"].as_str(), &apart["resources"]), ("negative", &sids.join(",")));
    let writes = world.lab.pve().writes();
    world.run(&WORKERS).await.exits(0);
    world.run(&[&["plan"][..], &WORKERS].concat()).await.exits(0);
    assert_eq!(world.lab.pve().writes(), writes);

    let foreign =
        [("rule", "theirs"), ("type", "resource-affinity"), ("affinity", "positive"), ("resources", sids[0].as_str())];
    let foreign_disabled = [&foreign[..], &[("disable", "1")]].concat();
    world.lab.pve().call_as("root@pam", "POST", "/cluster/ha/rules", &foreign_disabled).unwrap();
    world.edit(", strict: true", "");
    world.run(&WORKERS).await.exits(0).says("ha.nodes pve1,pve2 (strict) -> pve1,pve2");
    world.edit("separate: web, ", "");
    world.run(&WORKERS).await.exits(0).says("ha.separate web -> (none)");
    assert_eq!(rules(&world).len(), 3, "the rule about both is gone, and somebody's stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_is_destroyed_leaves_no_rule_of_ours_behind() {
    let world = three_hosts(Release::V9_2).await;
    say(&world, "separate: web");
    world.run(&WORKERS).await.exits(0);
    assert_eq!(rules(&world).len(), 1);
    world.run(&["destroy", "--yes", "--only", "w-2"]).await.exits(0);
    assert!(rules(&world).is_empty(), "one VM alone is kept apart from nobody");
    world.run(&WORKERS).await.exits(0);
    assert_eq!(rules(&world).len(), 1);
}

/// Also with the ID of the one before, which the manager had.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_takes_the_place_of_another_is_managed_and_kept_apart_again() {
    for vmid in ["", ", vmid: 777"] {
        let world = three_hosts(Release::V9_2).await;
        world.edit("name: w-2, role: worker", &format!("name: w-2, role: worker, vm: {{disk: 30{vmid}}}"));
        say(&world, "separate: web");
        world.run(&WORKERS).await.exits(0);
        world.edit("disk: 30", "disk: 20");
        world.run(&["--recreate", "--only", "w-2"]).await.exits(0).says("recreating VM").says("high availability");
        let mut sids = ["w-1", "w-2"].map(|name| format!("vm:{}", world.vm(name).id));
        sids.sort();
        let found: Vec<_> = rules(&world).into_values().collect();
        assert_eq!(found.iter().map(|rule| rule["resources"].as_str()).collect::<Vec<_>>(), [sids.join(",")]);
        let writes = world.lab.pve().writes();
        world.run(&WORKERS).await.exits(0);
        assert_eq!(world.lab.pve().writes(), writes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_left_a_volume_leaves_no_rule_either() {
    let world = three_hosts(Release::V9_2).await;
    say(&world, "nodes: \"pve1,pve2\", separate: web");
    world.run(&WORKERS).await.exits(0);
    let vm = world.vm("w-1");
    world.lab.pve().take_lock(&Lock::Local { node: vm.node.clone(), storage: "local-lvm".into() });

    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(4).says("is destroyed, but left");

    let sid = format!("vm:{}", vm.id);
    assert!(rules(&world).values().all(|rule| !rule["resources"].contains(&sid)), "{:?}", rules(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_recreation_lists_what_high_availability_is_told_of_the_new_vm() {
    let world = three_hosts(Release::V9_2).await;
    world.edit(PLAIN, "memory: 2048, disk: 30");
    world.edit("disk: 30", "disk: 30, ha: {separate: web, max_restart: 2}");
    world.run(&WORKERS).await.exits(0);
    world.edit("disk: 30", "disk: 20");

    let plan = world.run(&["plan", "--recreate", "--only", "w-1"]).await.exits(3);
    let whats = |outcome: &Outcome| -> Vec<String> {
        let changes = outcome.status("w-1")["vm"]["changes"].as_array().unwrap().clone();
        let ha = changes.iter().filter(|change| change["what"].as_str().unwrap().starts_with("ha"));
        ha.map(|change| change["what"].as_str().unwrap().to_owned()).collect()
    };
    let planned = whats(&plan);
    assert!(planned.contains(&"ha".to_owned()) && planned.len() == 2, "{planned:?}");
    let done = world.run(&["--recreate", "--only", "w-1"]).await.exits(0);
    assert_eq!(whats(&done), planned);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manager_would_refuse_is_refused_before_a_vm_is_made() {
    let world = three_hosts(Release::V9_2).await;
    say(&world, "nodes: \"pve1,pve9\"");
    for arguments in [&["plan"][..], &[]] {
        let outcome = world.run(&[arguments, &["--only", "w-1"]].concat()).await.exits(1);
        outcome.says("spec.vm.ha.nodes names pve9, and there is no such host (hosts: pve1, pve2, pve3)");
    }
    world.edit("pve1,pve9", "pve1:2,pve2");
    world.edit("nodes:", "separate: web, nodes:");
    world.run(&["plan"]).await.exits(8).says("spec.worker.vm.ha.nodes must be hosts of one priority beside `separate`");
    world.edit("pve1:2,pve2", "pve1,pve2");
    world.run(&["plan"]).await.exits(1).says("3 VMs are kept apart as web, and their `nodes` are 2 hosts");
    world.edit("separate: web, nodes: \"pve1,pve2\"", "group: fast");
    world.run(&["plan", "--only", "w-1"]).await.exits(8).says("Proxmox VE 9.2 has no spec.vm.ha.group");
    assert_eq!(world.lab.pve().vms(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_somebody_else_for_the_hosts_of_a_vm_is_named_and_left() {
    let world = three_hosts(Release::V9_2).await;
    say(&world, "max_restart: 2");
    world.run(&["--only", "w-1"]).await.exits(0);
    let sid = format!("vm:{}", world.vm("w-1").id);
    let rule = [("rule", "theirs"), ("type", "node-affinity"), ("nodes", "pve1"), ("resources", sid.as_str())];
    world.lab.pve().call_as("root@pam", "POST", "/cluster/ha/rules", &rule).unwrap();
    world.run(&["--only", "w-1"]).await.exits(0);
    world.edit("max_restart: 2", "nodes: \"pve1,pve2\"");
    for arguments in [&["plan"][..], &[]] {
        let outcome = world.run(&[arguments, &["--only", "w-1"]].concat()).await.exits(7);
        outcome.says("is in the HA rule theirs already").says("ha-manager rules remove theirs");
    }
    assert_eq!(rules(&world).len(), 1);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0).says("out of the HA rules of others, too: theirs");
}

/// High availability knows the hosts only some seconds after it got its first VM.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_refused_because_the_manager_is_new_is_tried_again() {
    let world = three_hosts(Release::V9_2).await;
    say(&world, "separate: web");
    let text =
        "create ha rule failed: 400 Rule 'x' is invalid.\nresources: rule defines more resources than available nodes";
    world.lab.pve().fault("POST", "/cluster/ha/rules", Fault::Fail { status: 500, message: text.to_owned() });
    world.run(&WORKERS).await.exits(0);
    assert_eq!(rules(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_proxmox_ve_9_there_are_groups_of_hosts_in_place_of_rules() {
    let world = three_hosts(Release::V8_4).await;
    say(&world, "separate: web");
    for arguments in [&["plan"][..], &[]] {
        let outcome = world.run(&[arguments, &WORKERS[..]].concat()).await.exits(8);
        outcome.says("Proxmox VE 8.4 has no spec.vm.ha.separate").says("name a group of hosts as `group`");
    }
    world.edit("separate: web", "group: fast");
    world.run(&["plan", "--only", "w-1"]).await.exits(1).says("there is no such group of HA (groups: none)");
    assert_eq!(world.lab.pve().vms(), []);
    world.edit("group: fast", "max_restart: 2");
    world.run(&["--only", "w-1"]).await.exits(0);
    world.run(&["destroy", "--yes", "--only", "w-1"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_planes_that_can_not_all_be_kept_apart_are_refused_before_the_first_is_made() {
    let hosts = ["pve1", "pve2"].map(str::to_owned).to_vec();
    let world = World::start(Options { hosts, control_planes: 3, workers: 0, ..options() }).await;
    allow(&world, "Sys.Console");
    world.edit("memory: 4096, disk: 20", "memory: 4096, disk: 20, ha: {separate: etcd}");

    let refused = world.run(&[]).await.exits(1);

    let told = refused.stderr.matches("3 VMs are kept apart as etcd, and there are 2 hosts").count();
    assert_eq!((told, world.lab.pve().vms().len()), (3, 0), "{}", refused.stderr);
}
