//! What can be adopted as it is, and what an adoption changes.

use record::{
    Entry,
    spec::{ClusterSpec, NodeSpec},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    difference::Sight,
    machine::{Machine, Site},
};

const UUID: &str = "4c4c4544-0038-3010-8054-b2c04f4d5032";
const MAC: &str = "BC:24:11:AA:00:01";

fn identity() -> Identity {
    Identity::new("00112233445566778899aabbccddeeff")
}

fn roster() -> Roster {
    Roster::new(["w-1", "w-2"].map(|name| Entry::new(name, Role::Worker)).to_vec()).unwrap()
}

/// A VM that somebody made with another tool, with these values in place of its own.
fn theirs(others: &[(&str, &str)]) -> Config {
    let smbios = format!("uuid={}", UUID.to_uppercase());
    let net = format!("virtio={},bridge=vmbr0,firewall=1", MAC.to_lowercase());
    let own = [
        ("name", "k8s-w1"),
        ("smbios1", smbios.as_str()),
        ("net0", net.as_str()),
        ("description", "by Terraform"),
        ("tags", "terraform"),
        ("bios", "ovmf"),
        ("machine", "q35"),
        ("cpu", "host"),
        ("cores", "2"),
        ("memory", "4096"),
        ("scsi0", "local-lvm:vm-105-disk-0,size=20G"),
        ("efidisk0", "local-lvm:vm-105-disk-1,efitype=4m,size=4M"),
    ];
    let kept = own.iter().filter(|(key, _)| !others.iter().any(|(other, _)| other == key));
    kept.chain(others.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

fn location() -> Location {
    Location { vmid: 105, host: "pve1".into() }
}

/// Why this VM can't be node w-1's, before its values are compared.
fn owned(identity: &Identity, config: &Config) -> String {
    let candidate = Candidate { location: &location(), name: "k8s-w1", config };
    candidate.owned(identity, "w-1", &roster()).into_iter().map(|it| it.why).collect::<Vec<_>>().join("; ")
}

/// The plan of its adoption for a node with these values under `vm`.
fn planned(config: &Config, vm: &Value) -> Result<Plan, Vec<Objection>> {
    let location = location();
    let candidate = Candidate { location: &location, name: "k8s-w1", config };
    let known_by = candidate.machine(&[])?;
    let spec: ClusterSpec =
        serde_json::from_value(json!({"proxmox": {"storage": "local-lvm", "bridge": "vmbr0"}})).unwrap();
    let node: NodeSpec = serde_json::from_value(json!({"role": "worker", "vm": vm})).unwrap();
    let with = identity().with("w-1", known_by.clone());
    let machine = Machine::read(&Site { cluster: "lab", spec: &spec, identity: &with }, "w-1", &node).unwrap();
    let sent = std::collections::BTreeSet::new();
    let sight = Sight { location: &location, config, is_running: true, pool: None, sent: &sent, migrates: false };
    let difference = Difference::between(&machine, sight);
    let losses = losses(&difference, "w-1");
    if losses.is_empty() { Ok(plan(&identity(), "w-1", &known_by, difference)) } else { Err(losses) }
}

fn neighbour(uuid: &str, mac: &str) -> Neighbour {
    let macs = [(0, mac.to_owned())].into();
    Neighbour { vmid: 106, name: "db".into(), uuid: Some(uuid.into()), macs }
}

#[test]
fn an_adoption_marks_the_vm_and_remembers_what_it_is_known_by_and_touches_nothing_else() {
    let plan = planned(&theirs(&[]), &json!({})).unwrap();

    let changed: Vec<_> = plan.changes.iter().map(|change| (change.what.as_str(), change.impact)).collect();
    assert_eq!(changed, [("ichor.lock", Impact::Live), ("description", Impact::Live), ("tags", Impact::Live)]);
    let sent: Vec<_> = plan.mark.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(sent, ["description", "tags"]);
    assert_eq!(plan.mark[1].1, "ichor;ichor-00112233;terraform", "tags of others stay");
    let machine = plan.remembered.unwrap();
    assert_eq!((machine.uuid.as_str(), machine.macs.get(&0).map(String::as_str)), (UUID, Some(MAC)));
}

#[test]
fn what_differs_is_shown_with_what_it_costs_and_left_to_others() {
    let plan = planned(&theirs(&[]), &json!({"memory": 8192, "disk": 30})).unwrap();

    let shown: Vec<String> =
        plan.differs.costs(true).iter().map(|change| format!("{} {:?}", change.what, change.impact)).collect();
    for expected in ["memory PowerCycle", "cpu PowerCycle", "disk Live", "name Live"] {
        assert!(shown.iter().any(|text| text == expected), "{expected} is not in {shown:?}");
    }
    assert!(!shown.iter().any(|text| text.starts_with("smbios1") || text.starts_with("net0 ")), "{shown:?}");
    let keep = as_it_is(&plan.differs).unwrap();
    assert!(keep.contains("cpu: \"host\"") && keep.contains("memory: \"4096\""), "{keep}");
    assert!(!keep.contains("scsi0") && !keep.contains("name"), "{keep}");
}

#[test]
fn a_vm_that_is_adopted_already_changes_nothing() {
    let location = location();
    let config = theirs(&[]);
    let known_by = Candidate { location: &location, name: "x", config: &config }.machine(&[]).unwrap();
    let with = identity().with("w-1", known_by.clone());
    let plan = plan(&with, "w-1", &known_by, Difference::default());
    assert_eq!((plan.remembered, plan.changes), (None, Vec::new()));
    let marked = theirs(&[("tags", "ichor-00112233")]);
    assert!(
        Candidate { config: &marked, ..Candidate { location: &location, name: "x", config: &config } }
            .is_adopted(&with, "w-1")
    );
}

#[test]
fn what_pve_vm_could_only_get_by_losing_something_is_refused() {
    let refused = |others: &[(&str, &str)], vm: Value| {
        let objections = planned(&theirs(others), &vm).unwrap_err();
        objections.into_iter().map(|it| it.why).collect::<Vec<_>>().join("; ")
    };
    let table = [
        (&[("bios", "seabios")][..], json!({}), "its bios is seabios, not ovmf: it would have to be recreated"),
        (&[], json!({"disk": 10}), "its disk has 20G, not 10G: it would have to be recreated"),
        (&[("scsi0", "")], json!({}), "it has no disk scsi0: it would have to be recreated"),
        (
            &[("scsi1", "local-lvm:vm-105-disk-2,size=100G")],
            json!({"scsi1": "local-lvm:50"}),
            "its scsi1 would be given up",
        ),
        (&[("unused0", "local-lvm:vm-105-disk-2")], json!({"scsi1": "local-lvm:50"}), "its scsi1 would be given up"),
    ];
    for (others, vm, expected) in table {
        let why = refused(others, vm);
        assert!(why.contains(expected), "{expected:?} is not in {why:?}");
    }
    let kept = [("scsi1", "local-lvm:vm-105-disk-2,size=100G")];
    assert!(planned(&theirs(&kept), &json!({})).is_ok(), "a disk that the file doesn't have stays");
}

#[test]
fn a_vm_of_another_cluster_another_node_or_nobody_is_refused() {
    let id = identity();
    let (made, of_w2) = (format!("uuid={}", id.uuid("w-2")), id.description("lab", "w-2", Role::Worker, None));
    let table: [(&[(&str, &str)], &str); 6] = [
        (&[("description", "ichor-uid: ff")], "the mark of another cluster"),
        (&[("tags", "ichor-ffffffff")], "the mark of another cluster"),
        (&[("template", "1")], "it is a template"),
        (&[("smbios1", &made), ("description", &of_w2)], "it is the VM of node w-2 of this cluster"),
        (&[("smbios1", &made)], "it is the VM of node w-2 of this cluster"),
        (&[("description", &of_w2)], "its mark says that it is node w-2"),
    ];
    for (others, expected) in table {
        let why = owned(&id, &theirs(others));
        assert!(why.contains(expected), "{expected:?} is not in {why:?}");
    }
    assert_eq!(owned(&id, &theirs(&[])), "");
    let gone = format!("uuid={}", id.uuid("w-9"));
    let of_w9 = id.description("lab", "w-9", Role::Worker, None);
    assert!(
        owned(&id, &theirs(&[("smbios1", &gone), ("description", &of_w9)])).contains("node w-9"),
        "it left the file"
    );
}

#[test]
fn a_vm_that_shares_its_uuid_or_a_mac_or_has_no_uuid_is_refused() {
    let (location, config) = (location(), theirs(&[]));
    let candidate = Candidate { location: &location, name: "k8s-w1", config: &config };
    let refused = |neighbour: Neighbour| candidate.machine(&[neighbour]).unwrap_err()[0].why.clone();
    assert!(refused(neighbour(UUID, "-")).contains("VM 106 (db) has the same SMBIOS UUID"));
    assert!(refused(neighbour("-", MAC)).contains("VM 106 (db) has the same MAC address"));
    assert!(candidate.machine(&[Neighbour { vmid: 105, ..neighbour(UUID, MAC) }]).is_ok(), "itself");
    let nobody = theirs(&[("smbios1", "")]);
    let candidate = Candidate { config: &nobody, ..candidate };
    assert!(candidate.machine(&[]).unwrap_err()[0].why.contains("no SMBIOS UUID"));
}
