//! The state machine, without a socket: time only passes by hand.

use tonic::Code;

use super::*;
use crate::node::{Api, EtcdService};
use crate::testing::{Secrets, machine};

mod installs;

const ENDPOINT: &str = "https://127.80.3.10:6443";
const VIP: &str = "---\napiVersion: v1alpha1\nkind: Layer2VIPConfig\nname: 127.80.3.10\nlink: eth0\n";
const SECOND: Duration = Duration::from_secs(1);

fn delays() -> Delays {
    Delays { boot: SECOND, swap: SECOND, etcd: SECOND, apiserver: SECOND, ready: SECOND, ..Delays::ZERO }
}

fn world() -> World {
    World::new(delays(), "127.80.3.0/24".parse().unwrap(), 7, OffsetDateTime::UNIX_EPOCH, Arc::new(lab_kube::Kube))
}

/// A lab with machines that wait for a config.
fn booted(names: &[&str], version: &str) -> World {
    let mut world = world();
    for (index, name) in names.iter().enumerate() {
        world.power_on(machine(name, &format!("127.80.3.{}", 11 + index), version));
    }
    pass(&mut world, 1);
    world
}

fn pass(world: &mut World, seconds: u64) {
    let until = world.now + Duration::from_secs(seconds);
    world.advance(until);
}

fn request(text: &str, mode: Mode) -> Apply {
    Apply { data: text.as_bytes().to_vec(), mode, dry_run: false, try_timeout: None, admin: true }
}

fn apply(world: &mut World, id: Id, text: &str) {
    world.apply(id, &request(text, Mode::Auto)).unwrap();
    let now = world.now;
    world.advance(now);
}

#[test]
fn a_machine_boots_into_maintenance_on_its_static_address() {
    let world = booted(&["cp-1"], "v1.13.9");

    let node = &world.nodes[0];
    assert_eq!((node.stage, node.api), (Stage::Maintenance, Api::Maintenance));
    assert_eq!(node.address().unwrap().to_string(), "127.80.3.11");
    let fingerprint = &node.maintenance_identity().unwrap().fingerprint;
    assert!(node.console.iter().any(|line| line.contains(&format!("--cert-fingerprint '{fingerprint}'"))));
}

#[test]
fn dhcp_hands_out_the_hundredth_host_first_and_keeps_a_lease_for_its_machine() {
    let mut world = world();
    world.power_on(machine("one", "", "v1.13.9"));
    world.power_on(machine("two", "", "v1.13.9"));
    pass(&mut world, 1);
    let addresses: Vec<String> = world.nodes.iter().map(|n| n.address().unwrap().to_string()).collect();
    assert_eq!(addresses, ["127.80.3.100", "127.80.3.101"]);

    let uuid = world.nodes[1].machine.uuid.clone();
    world.power_off(&uuid);
    world.power_on(machine("two", "", "v1.13.9"));
    pass(&mut world, 1);

    assert_eq!(world.nodes[1].address().unwrap().to_string(), "127.80.3.101");
}

#[test]
fn a_control_plane_waits_for_its_bootstrap_and_then_gets_ready() {
    let mut world = booted(&["cp-1"], "v1.13.9");
    apply(&mut world, 0, &Secrets::new().control_plane("cp-1", ENDPOINT));
    assert_eq!(world.nodes[0].api, Api::Closed);
    assert_eq!(world.bootstrap(0).unwrap_err().message(), "bootstrap is not available yet");

    pass(&mut world, 1);
    assert_eq!((world.nodes[0].stage, world.nodes[0].api), (Stage::Booting, Api::Secured));
    assert!(world.unmet(0).iter().any(|(name, why)| name == "services" && why.contains("etcd not running")));

    world.bootstrap(0).unwrap();
    pass(&mut world, 3);
    assert_eq!(world.nodes[0].stage, Stage::Running);
    assert_eq!(world.unmet(0), []);
    assert!(world.etcds[0].store.is_ready("cp-1"));
}

#[test]
fn a_worker_has_no_api_until_a_control_plane_of_its_cluster_signs() {
    let secrets = Secrets::new();
    let mut world = booted(&["cp-1", "w-1"], "v1.13.9");
    apply(&mut world, 1, &secrets.worker("w-1", ENDPOINT));
    pass(&mut world, 10);
    assert_eq!(world.nodes[1].api, Api::Closed);

    apply(&mut world, 0, &Secrets::new().control_plane("cp-1", ENDPOINT));
    pass(&mut world, 10);
    assert_eq!(world.nodes[1].api, Api::Closed, "another cluster's control plane doesn't help");

    apply(&mut world, 0, &secrets.control_plane("cp-1", ENDPOINT));
    pass(&mut world, 1);
    assert_eq!(world.nodes[1].api, Api::Secured);
}

fn three(secrets: &Secrets) -> World {
    let mut world = booted(&["cp-1", "cp-2", "cp-3"], "v1.13.9");
    for id in 0..3 {
        apply(&mut world, id, &(secrets.control_plane(&format!("cp-{}", id + 1), ENDPOINT) + VIP));
    }
    pass(&mut world, 1);
    world
}

#[test]
fn control_planes_join_one_after_the_other() {
    let mut world = three(&Secrets::new());
    world.bootstrap(0).unwrap();

    let mut running = Vec::new();
    for _ in 0..4 {
        pass(&mut world, 1);
        running.push(world.nodes.iter().filter(|node| node.has_etcd()).count());
    }

    assert_eq!(running, [1, 2, 3, 3]);
    assert_eq!(world.etcds.len(), 1);
    assert_eq!(world.etcds[0].members.len(), 3);
}

#[test]
fn a_bootstrap_is_refused_where_etcd_has_data() {
    let mut world = three(&Secrets::new());
    world.bootstrap(0).unwrap();
    pass(&mut world, 3);

    let again = world.bootstrap(0).unwrap_err();
    let joined = world.bootstrap(1).unwrap_err();

    assert_eq!((again.code(), again.message()), (Code::AlreadyExists, "etcd data directory is not empty"));
    assert_eq!(joined.code(), Code::AlreadyExists);
    assert_eq!(world.nodes[0].counts.bootstrapped, 1);
}

#[test]
fn bootstraps_of_two_nodes_split_the_cluster() {
    let mut world = three(&Secrets::new());

    world.bootstrap(0).unwrap();
    world.bootstrap(1).unwrap();
    pass(&mut world, 5);

    assert_eq!(world.etcds.len(), 2);
}

#[test]
fn a_worker_refuses_a_bootstrap_as_its_release_does() {
    for (version, code, text) in [
        ("v1.13.9", Code::Unimplemented, "bootstrap is only available on control plane nodes"),
        ("v1.12.5", Code::FailedPrecondition, "bootstrap can only be performed on a control plane node"),
    ] {
        let mut world = booted(&["w-1"], version);
        let config = Secrets::new().worker("w-1", ENDPOINT).replace("v1.36.3", "v1.35.0");
        apply(&mut world, 0, &config);

        let refused = world.bootstrap(0).unwrap_err();

        assert_eq!((refused.code(), refused.message()), (code, text));
    }
}

#[test]
fn the_shared_address_appears_with_etcd_and_moves_when_its_holder_dies() {
    let mut world = three(&Secrets::new());
    let vip: IpAddr = "127.80.3.10".parse().unwrap();
    assert_eq!(world.shared.get(&vip), None);
    world.bootstrap(0).unwrap();
    pass(&mut world, 5);
    assert_eq!(world.shared.get(&vip), Some(&0));

    let uuid = world.nodes[0].machine.uuid.clone();
    world.power_off(&uuid);
    pass(&mut world, 1);

    let holder = world.shared[&vip];
    assert_ne!(holder, 0);
    assert_eq!(world.nodes[holder].shared, [vip]);
    assert_eq!(world.etcds[0].leader, world.etcds[0].members[1].id);
}

#[test]
fn two_of_three_members_down_leave_no_etcd_and_no_kubernetes() {
    let mut world = three(&Secrets::new());
    world.bootstrap(0).unwrap();
    pass(&mut world, 9);
    assert!(world.serves_kubernetes(2));

    for id in 0..2 {
        let uuid = world.nodes[id].machine.uuid.clone();
        world.power_off(&uuid);
    }
    pass(&mut world, 1);

    assert!(!world.etcd_healthy(2));
    assert!(!world.serves_kubernetes(2));
}

#[test]
fn what_a_guest_wrote_survives_a_power_cycle_but_not_its_disk() {
    let mut world = booted(&["cp-1"], "v1.13.9");
    apply(&mut world, 0, &Secrets::new().control_plane("cp-1", ENDPOINT));
    pass(&mut world, 1);
    world.bootstrap(0).unwrap();
    pass(&mut world, 5);
    let vm = world.nodes[0].machine.clone();
    let boot = world.nodes[0].boot_id.clone();

    world.power_off(&vm.uuid);
    assert!(!world.etcds[0].store.is_ready("cp-1"));
    world.power_on(vm.clone());
    pass(&mut world, 5);
    assert_eq!((world.nodes[0].stage, world.nodes[0].etcd), (Stage::Running, EtcdService::Running));
    assert_ne!(world.nodes[0].boot_id, boot);

    world.power_off(&vm.uuid);
    world.disk_removed(&vm.disk);
    world.power_on(vm);
    pass(&mut world, 1);
    assert_eq!(world.nodes[0].stage, Stage::Maintenance);
    assert!(world.etcds.is_empty());
}

#[test]
fn a_control_plane_that_was_recreated_replaces_the_dead_member_of_its_name() {
    let secrets = Secrets::new();
    let mut world = three(&secrets);
    world.bootstrap(0).unwrap();
    pass(&mut world, 9);
    let (vm, before) = (world.nodes[2].machine.clone(), world.etcds[0].members.clone());
    world.power_off(&vm.uuid);
    world.disk_removed(&vm.disk);
    world.power_on(vm);
    pass(&mut world, 1);
    assert_eq!(world.etcds[0].members, before, "the dead one stays until another one joins");
    apply(&mut world, 2, &secrets.control_plane("cp-3", ENDPOINT));
    pass(&mut world, 9);
    let after = &world.etcds[0].members;
    assert!(after.len() == 3 && after.iter().filter(|member| before.contains(member)).count() == 2, "{after:?}");
}

#[test]
fn a_config_that_cannot_be_read_changes_nothing() {
    for (version, code, start) in [
        ("v1.13.9", Code::InvalidArgument, "missing kind"),
        ("v1.12.5", Code::Unknown, "failed to parse config: missing kind"),
    ] {
        let mut world = booted(&["cp-1"], version);

        let refused = world.apply(0, &request("a: 1\n", Mode::Auto)).unwrap_err();

        assert_eq!(refused.code(), code);
        assert!(refused.message().starts_with(start), "{}", refused.message());
        assert_eq!((world.nodes[0].stage, world.nodes[0].counts.applied), (Stage::Maintenance, 0));
    }
}

#[test]
fn the_maintenance_service_of_1_12_knows_few_modes() {
    let mut world = booted(&["cp-1"], "v1.12.5");

    let refused = world.apply(0, &request("", Mode::NoReboot)).unwrap_err();

    let text = "apply configuration --mode='no-reboot' is not supported in maintenance mode";
    assert_eq!((refused.code(), refused.message()), (Code::Unimplemented, text));
}

#[test]
fn a_dry_run_shows_a_difference_and_changes_nothing() {
    let mut world = booted(&["cp-1"], "v1.13.9");
    let text = Secrets::new().control_plane("cp-1", ENDPOINT);
    apply(&mut world, 0, &text);
    pass(&mut world, 1);
    let dry = |text: &str| Apply { dry_run: true, ..request(text, Mode::Auto) };

    let same = world.apply(0, &dry(&text)).unwrap();
    let other = world.apply(0, &dry(&text.replace("hostname: cp-1", "hostname: cp-9"))).unwrap();

    assert!(same.details.ends_with("Config diff:\n\nNo changes."), "{}", same.details);
    assert!(other.details.contains("-hostname: cp-1\n+hostname: cp-9\n"), "{}", other.details);
    assert_eq!(world.nodes[0].full_name(), "cp-1");
    assert_eq!((world.nodes[0].counts.applied, world.nodes[0].counts.changed), (1, 1));
}

#[test]
fn auto_reboots_up_to_1_13_only_for_what_needs_it() {
    let mut world = booted(&["cp-1"], "v1.13.9");
    let text = Secrets::new().control_plane("cp-1", ENDPOINT);
    apply(&mut world, 0, &text);
    pass(&mut world, 1);
    let boot = world.nodes[0].boot_id.clone();

    let label = text.replace("    features:", "    nodeLabels: {a: b}\n    features:");
    assert_eq!(world.apply(0, &request(&label, Mode::Auto)).unwrap().mode, Mode::NoReboot);
    assert_eq!(world.nodes[0].boot_id, boot);

    let files = text.replace("    features:", "    env: {a: b}\n    features:");
    assert_eq!(world.apply(0, &request(&files, Mode::NoReboot)).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(world.apply(0, &request(&files, Mode::Auto)).unwrap().mode, Mode::Reboot);
    assert_ne!(world.nodes[0].boot_id, boot);
    pass(&mut world, 1);
    assert_eq!(world.nodes[0].api, Api::Secured);
}

#[test]
fn a_tried_config_goes_away_by_itself() {
    let mut world = booted(&["cp-1"], "v1.13.9");
    let text = Secrets::new().control_plane("cp-1", ENDPOINT);
    apply(&mut world, 0, &text);
    pass(&mut world, 1);

    world.apply(0, &request(&text.replace("hostname: cp-1", "hostname: cp-9"), Mode::Try)).unwrap();
    assert_eq!(world.nodes[0].full_name(), "cp-9");
    pass(&mut world, 60);

    assert_eq!(world.nodes[0].full_name(), "cp-1");
}

/// 1.13.9 and 1.14.1, `RollbackToConfigAfter`: it remembers what runs when it is called, and has one timer.
#[test]
fn a_second_try_lasts_its_own_time_and_goes_back_to_the_first_one() {
    let mut world = booted(&["cp-1"], "v1.13.9");
    let text = Secrets::new().control_plane("cp-1", ENDPOINT);
    apply(&mut world, 0, &text);
    pass(&mut world, 1);
    let named = |name: &str| request(&text.replace("hostname: cp-1", &format!("hostname: {name}")), Mode::Try);
    world.apply(0, &named("cp-8")).unwrap();
    pass(&mut world, 40);
    world.apply(0, &named("cp-9")).unwrap();
    pass(&mut world, 40);
    assert_eq!(world.nodes[0].full_name(), "cp-9");
    pass(&mut world, 40);
    assert_eq!(world.nodes[0].full_name(), "cp-8");
}

#[test]
fn a_held_boot_goes_on_when_it_is_released() {
    let mut world = world();
    world.power_on(machine("cp-1", "127.80.3.11", "v1.13.9"));
    world.nodes[0].faults.hold_boot = true;
    pass(&mut world, 10);
    assert_eq!(world.nodes[0].api, Api::Closed);

    world.release_boot(0);

    assert_eq!(world.nodes[0].api, Api::Maintenance);
}

#[test]
fn workers_may_not_give_themselves_roles() {
    let secrets = Secrets::new();
    let mut world = booted(&["cp-1", "w-1"], "v1.13.9");
    apply(&mut world, 0, &secrets.control_plane("cp-1", ENDPOINT));
    apply(&mut world, 1, &secrets.worker("w-1", ENDPOINT));
    pass(&mut world, 1);
    world.bootstrap(0).unwrap();
    pass(&mut world, 3);

    let labels = &world.etcds[0].store.node("w-1").unwrap()["metadata"]["labels"];

    assert_eq!(labels["topology.kubernetes.io/zone"], "pve1");
    assert_eq!(labels.get("node-role.kubernetes.io/worker"), None);
}
