//! Which VMs are orphans, and when it is certain that there are no others.

use pve_client::answer::Config;
use record::{Code, Exit};

use super::*;
use crate::inventory::Hidden;

const UID: &str = "00112233445566778899aabbccddeeff";

fn identity() -> Identity {
    Identity::new(UID)
}

fn roster(names: &[&str]) -> Roster {
    Roster::new(names.iter().map(|name| Entry::new(name, Role::Worker)).collect()).unwrap()
}

/// A VM called `name` that was made for `node`, with this UUID and this description.
fn vm(vmid: u32, name: &str, uuid: &str, description: &str, is_tagged: bool) -> Known {
    let tags = if is_tagged { identity().tag() } else { "-".to_owned() };
    let pairs = [("smbios1", format!("uuid={uuid}")), ("description", description.to_owned()), ("tags", tags)];
    let config: Config = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Known { vmid, host: "pve1".into(), name: name.into(), running: true, is_tagged, config: Ok(config) }
}

fn made(vmid: u32, node: &str, role: Role) -> Known {
    vm(vmid, node, &identity().uuid(node), &identity().description("lab", node, role, None), true)
}

fn of(known: Vec<Known>) -> Inventory {
    Inventory { known, ..Inventory::default() }
}

fn row(name: Option<&str>, tags: Option<&str>) -> Hidden {
    let text = serde_json::json!({"type": "qemu", "node": "pve2", "vmid": 300, "status": "unknown", "name": name, "tags": tags});
    Hidden { row: serde_json::from_value(text).unwrap(), why: None }
}

#[test]
fn an_orphan_is_known_by_its_uuid_and_its_role_by_its_mark() {
    let earlier =
        format!("Node w-3 of the Talos cluster lab. The next line marks the VM as Ichor's; keep it.\nichor-uid: {UID}");
    let inventory = of(vec![
        made(100, "w-1", Role::Worker),
        made(101, "cp-9", Role::ControlPlane),
        vm(102, "w-1", &identity().uuid("w-2"), &identity().description("lab", "w-2", Role::Worker, None), true),
        vm(103, "w-3", &identity().uuid("w-3"), &earlier, true),
    ]);
    let identity = identity();
    let found = inventory.orphans(&identity, &roster(&["w-1"]), &[]);
    let told: Vec<_> = found.iter().map(|orphan| (orphan.known.vmid, orphan.node, orphan.role)).collect();
    let expected = [(101, "cp-9", Some(Role::ControlPlane)), (102, "w-2", Some(Role::Worker)), (103, "w-3", None)];
    assert_eq!(told, expected, "whatever the VM is called");
}

#[test]
fn a_copy_of_a_vm_and_a_vm_of_others_are_no_orphans() {
    let description = identity().description("lab", "w-2", Role::Worker, None);
    let copy = vm(104, "w-2-copy", "00000000-0000-4000-8000-000000000000", &description, true);
    let theirs = vm(105, "w-2", &identity().uuid("w-2"), "ichor-uid: ff", false);
    let said = super::copy(&copy);
    assert!(said.contains("VM 104 (w-2-copy) on pve1") && said.contains("not the UUID of node w-2"), "{said}");
    assert!(of(vec![copy, theirs]).orphans(&identity(), &roster(&["w-1"]), &[]).is_empty());
}

#[test]
fn two_vms_of_one_node_that_left_the_file_are_refused() {
    let inventory = of(vec![made(100, "w-2", Role::Worker), made(101, "w-2", Role::Worker)]);
    let identity = identity();
    let error = distinct(&inventory.orphans(&identity, &roster(&["w-1"]), &[])).unwrap_err();
    assert!(matches!(error, Error::Twice { first: 100, second: 101, .. }), "{error}");
}

#[test]
fn a_node_of_the_file_is_no_orphan_and_says_so() {
    let inventory = of(vec![made(100, "w-2", Role::Worker)]);
    let identity = identity();
    let pick = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        named(inventory.orphans(&identity, &roster(&["w-1"]), &[]), &names, &roster(&["w-1"])).map(|found| found.len())
    };
    assert!(matches!(pick(&["w-1", "w-2"]), Err(Error::Listed { node }) if node == "w-1"));
    assert_eq!((pick(&["w-2"]).unwrap(), pick(&["w-7"]).unwrap()), (1, 0));
}

#[test]
fn what_can_not_be_seen_is_never_taken_for_no_orphan() {
    let (tag, ours) = (identity().tag(), || vec![made(100, "w-1", Role::Worker)]);
    let untagged = || {
        vec![vm(100, "w-1", &identity().uuid("w-1"), &identity().description("lab", "w-1", Role::Worker, None), false)]
    };
    // the VMs that are seen, the one on a host that is offline, whether it may be an orphan
    let table = [
        (ours(), row(Some("w-2"), Some(&tag)), true),
        (ours(), row(None, Some(&tag)), true),
        (ours(), row(Some("db"), Some("prod")), false),
        (ours(), row(None, None), false),
        (ours(), row(Some("w-1"), Some(&tag)), false),
        (untagged(), row(Some("db"), None), true),
        (untagged(), row(None, None), true),
        (Vec::new(), row(None, None), true),
        (Vec::new(), row(Some("db"), None), false),
    ];
    for (known, hidden, may) in table {
        let text = format!("{:?} beside {} of ours", hidden.row.name, known.len());
        let inventory = Inventory { known, hidden: vec![hidden], ..Inventory::default() };
        let seen = inventory.sees_orphans(&identity(), &roster(&["w-1"]));
        assert_eq!(seen.is_err(), may, "{text}");
        assert!(seen.is_ok() || seen.is_err_and(|failure| failure.exit == Exit::Unreachable), "{text}");
    }
}

#[test]
fn a_vm_that_the_token_may_not_read_may_be_an_orphan_unless_it_is_a_nodes() {
    let denied = || Failure::new(Exit::NotAllowed, Code::NotAllowed, "no");
    let unread = |name: &str| Known { config: Err(denied()), ..made(101, name, Role::Worker) };
    let sees =
        |inventory: Inventory| inventory.sees_orphans(&identity(), &roster(&["w-1"])).map_err(|failure| failure.exit);
    assert_eq!(sees(of(vec![unread("w-2")])), Err(Exit::NotAllowed));
    assert_eq!(sees(of(vec![unread("w-1")])), Ok(()));
    assert_eq!(sees(Inventory { unread: Some(denied()), ..Inventory::default() }), Err(Exit::NotAllowed));
}

#[test]
fn a_record_of_an_orphan_holds_what_its_vm_knows_of_it() {
    let pairs = [
        ("ipconfig0", "gw=10.0.0.1,ip=10.0.0.13/24"),
        ("net0", "virtio=bc:24:11:00:00:01,bridge=vmbr0"),
        ("net2", "model=e1000,macaddr=BC:24:11:00:00:02"),
    ];
    let config: Config = pairs.into_iter().collect();
    let known = made(100, "w-2", Role::Worker);
    let orphan = Orphan { known: &known, config: &config, node: "w-2", role: None };
    let record = serde_json::to_value(orphan.record("lab", Role::ControlPlane)).unwrap();
    assert_eq!(record["spec"], serde_json::json!({"role": "controlplane", "address": "10.0.0.13/24"}));
    assert_eq!((&record["name"], &record["cluster"]), (&"w-2".into(), &"lab".into()));
    assert_eq!(
        macs(&config).into_iter().collect::<Vec<_>>(),
        [(0, "BC:24:11:00:00:01".into()), (2, "BC:24:11:00:00:02".into())]
    );
    let dhcp: Config = [("ipconfig0", "ip=dhcp")].into_iter().collect();
    assert_eq!(address(&dhcp), None);
}

#[test]
fn a_vm_that_somebody_renamed_and_described_anew_is_found_by_its_nodes_name() {
    let inventory = of(vec![vm(100, "big", &identity().uuid("w-2"), "mine", true)]);
    let identity = identity();
    let asked = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        inventory
            .orphans(&identity, &roster(&["w-1"]), &names)
            .iter()
            .map(|orphan| orphan.node.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((asked(&[]), asked(&["w-3", "w-2"])), (Vec::new(), vec!["w-2".to_owned()]));
}
