use record::spec::{ClusterSpec, NodeSpec};
use serde_json::{Value, json};

use super::*;
use crate::{
    disks::{Found, Source},
    identity::Identity,
    machine::Site,
    notes::{self, Volumes},
};

mod disks;
mod moved;
mod real;

fn machine(node: Value) -> Machine {
    let spec: ClusterSpec =
        serde_json::from_value(json!({"proxmox": {"storage": "local-lvm", "bridge": "vmbr0"}})).unwrap();
    let identity = Identity::new("00112233445566778899aabbccddeeff");
    let node: NodeSpec = serde_json::from_value(node).unwrap();
    Machine::read(&Site { cluster: "lab", spec: &spec, identity: &identity }, "w-1", &node).unwrap()
}

/// A worker with these parameters, and 2048 MiB.
fn worker(mut vm: Value) -> Machine {
    vm["memory"] = json!(2048);
    machine(json!({"role": "worker", "vm": vm}))
}

/// The VM as the server gives it back after its creation.
fn made(wanted: &Machine) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    for (key, value) in wanted.creation("pve1", "local:import/x.qcow2") {
        let volume = |size: &str| {
            let options = value.split(',').filter(|part| part.contains('=') && !part.starts_with("import-from"));
            let options: String = options.map(|option| format!(",{option}")).collect();
            format!("local-lvm:vm-100-{key}{options},size={size}")
        };
        let value = match key.as_str() {
            "pool" => continue,
            "scsi0" => volume("20G"),
            "efidisk0" => volume("528K"),
            _ if value.contains(":cloudinit") => "local-lvm:vm-100-cloudinit,media=cdrom".to_owned(),
            _ => value,
        };
        rows.push(json!({"key": key, "value": value}));
    }
    rows.push(json!({"key": "tags", "value": wanted.tags.join(";")}));
    rows
}

/// Puts the volumes of the drives into the notes, as a run does.
fn remember(wanted: &Machine, rows: &mut [Value]) {
    let mut volumes = Volumes::default();
    for drive in wanted.drives.iter().filter(|drive| matches!(drive.source, Source::New(_) | Source::Import(_))) {
        let row = rows.iter().find(|row| row["key"] == drive.slot);
        let text = row.and_then(|row| row.get("value").or_else(|| row.get("pending"))?.as_str());
        let found = text.map(Found::parse).filter(Found::holds_data);
        found.iter().for_each(|found| volumes.remember(&drive.slot, &found.volume));
    }
    for row in rows.iter().filter(|row| crate::disks::is_on_a_bus(row["key"].as_str().unwrap_or_default())) {
        let (slot, found) = (row["key"].as_str().unwrap(), row["value"].as_str().map(Found::parse));
        let is_listed = wanted.drives.iter().any(|drive| drive.slot == slot);
        found
            .filter(|found| !is_listed && found.holds_data())
            .iter()
            .for_each(|found| volumes.remember(slot, &found.volume));
    }
    for row in rows.iter_mut().filter(|row| row["key"] == NOTES) {
        row["value"] = json!(notes::with(row["value"].as_str().unwrap(), &volumes));
    }
}

/// The same with these rows in place of its own.
fn with(wanted: &Machine, others: &[Value]) -> Config {
    let mut rows = made(wanted);
    rows.retain(|row| !others.iter().any(|other| other["key"] == row["key"]));
    rows.extend(others.iter().filter(|row| row.get("value").is_some() || row.get("pending").is_some()).cloned());
    if !others.iter().any(|row| row["key"] == NOTES) {
        remember(wanted, &mut rows);
    }
    rows.push(json!({"key": "digest", "value": "d"}));
    serde_json::from_value(Value::Array(rows)).unwrap()
}

fn compared(wanted: &Machine, config: &Config, is_running: bool, sent: &[&str]) -> Difference {
    let location = Location { vmid: 100, host: "pve1".into() };
    let sent = sent.iter().map(|mark| (*mark).to_owned()).collect();
    Difference::between(
        wanted,
        Sight { location: &location, config, is_running, pool: Some("talos"), sent: &sent, migrates: false },
    )
}

/// The difference of a running VM.
fn difference(wanted: &Machine, others: &[Value]) -> Difference {
    compared(wanted, &with(wanted, others), true, &[])
}

/// The only item.
#[track_caller]
fn only(difference: &Difference) -> &Item {
    assert_eq!(difference.items.len(), 1, "{:#?}", difference.items);
    &difference.items[0]
}

#[test]
fn a_vm_that_was_just_created_differs_in_nothing() {
    let wanted = worker(json!({}));
    assert_eq!(difference(&wanted, &[]), Difference::default());
}

#[test]
fn values_that_the_server_writes_differently_are_equal() {
    let wanted = worker(json!({}));
    let net = format!("bridge=vmbr0,firewall=0,virtio={}", wanted.macs[0].to_lowercase());
    let same = [
        json!({"key": "agent", "value": "enabled=1,type=virtio"}),
        json!({"key": "cpu", "value": "cputype=x86-64-v2-AES"}),
        json!({"key": "net0", "value": net}),
        json!({"key": "onboot", "value": 1}),
        json!({"key": "boot", "value": "order=scsi0;ide2"}),
        json!({"key": "scsi0", "value": "local-lvm:vm-100-disk-1,discard=on,size=20480M,ssd=1,backup=0"}),
    ];
    assert_eq!(difference(&wanted, &same), Difference::default());
}

#[test]
fn memory_needs_a_power_cycle_and_tags_do_not() {
    let wanted = worker(json!({}));
    let found = [json!({"key": "memory", "value": "1024"}), json!({"key": "tags", "value": "own;ichor"})];
    let difference = difference(&wanted, &found);

    let acts: Vec<_> = difference.items.iter().map(|item| (item.key.as_str(), &item.act, item.change.impact)).collect();
    assert_eq!(
        acts,
        [
            ("memory", &Act::Set("2048".into()), Impact::PowerCycle),
            ("tags", &Act::Set("ichor;ichor-00112233;own".into()), Impact::Live),
        ]
    );
    assert_eq!(difference.texts()[0], "memory 1024 -> 2048");
    assert_eq!(difference.costs(true)[0].needs.as_deref(), Some("--reboot"));
    assert_eq!(difference.costs(false)[0].needs, None);
}

#[test]
fn what_proxmox_takes_live_needs_no_power_cycle_and_what_it_keeps_pending_does() {
    let wanted = worker(json!({"cpulimit": 1, "cpuunits": 200, "hotplug": "network", "startup": "order=3",
        "protection": true, "description": "mine", "ostype": "other", "localtime": true, "vga": "serial0",
        "net1": "virtio,bridge=vmbr1", "serial1": "socket"}));
    let none = |key: &str| json!({"key": key});
    let live = ["cpulimit", "cpuunits", "hotplug", "startup", "protection", "description", "net1", "onboot", "name"];
    let waits = ["ostype", "localtime", "vga", "serial1", "boot", "machine", "cores", "agent", "scsihw", "smbios1"];

    for key in live {
        let difference = difference(&wanted, &[none(key)]);
        assert_eq!((only(&difference).key.as_str(), only(&difference).change.impact), (key, Impact::Live));
    }
    for key in waits {
        let difference = difference(&wanted, &[json!({"key": key, "value": "x"})]);
        assert_eq!((only(&difference).key.as_str(), only(&difference).change.impact), (key, Impact::PowerCycle));
        assert!(difference.needs_power_cycle());
    }
}

#[test]
fn a_value_that_waits_for_a_power_cycle_is_never_taken_for_done() {
    let wanted = worker(json!({}));
    let waits = [json!({"key": "memory", "value": "1024", "pending": "2048"})];

    let running = difference(&wanted, &waits);
    assert_eq!((&only(&running).act, only(&running).change.needs.as_deref()), (&Act::Cycle, Some("--reboot")));
    assert!(running.texts()[0].starts_with("memory 1024 -> 2048 (set, takes effect"));
    assert!(
        compared(&wanted, &with(&wanted, &waits), false, &[]).is_none(),
        "a VM that is off takes it when it starts"
    );
}

#[test]
fn somebody_elses_pending_value_is_taken_back() {
    let wanted = worker(json!({}));
    let found = [
        json!({"key": "memory", "value": "2048", "pending": "1024"}),
        json!({"key": "serial0", "value": "socket", "delete": 1}),
        json!({"key": "vga", "value": "std", "pending": "none"}),
    ];
    for is_running in [true, false] {
        let difference = compared(&wanted, &with(&wanted, &found), is_running, &[]);
        let acts: Vec<_> = difference.items.iter().map(|item| (item.key.as_str(), item.change.impact)).collect();
        assert_eq!(acts, [("memory", Impact::Live), ("serial0", Impact::Live)], "`vga` is nobody's but the other's");
        assert!(difference.items.iter().all(|item| item.act == Act::Revert));
        assert_eq!(difference.texts()[0], "memory 1024 -> 2048 (somebody's pending change is taken back)");
    }
}

#[test]
fn a_plug_that_failed_is_tried_again_and_then_waits_for_a_power_cycle() {
    let wanted = worker(json!({"net0": "virtio,bridge=vmbr9"}));
    let mac = &wanted.macs[0];
    let found = with(
        &wanted,
        &[json!({"key": "net0", "value": format!("virtio={mac},bridge=vmbr0"),
            "pending": format!("virtio={mac},bridge=vmbr9")})],
    );
    let again = compared(&wanted, &found, true, &[]);
    assert_eq!(only(&again).act, Act::Set(format!("virtio={mac},bridge=vmbr9")));
    assert_eq!(only(&compared(&wanted, &found, true, &["net0"])).act, Act::Cycle);
}

#[test]
fn another_card_is_exchanged_while_the_vm_is_off() {
    let wanted = worker(json!({"net0": "virtio,bridge=vmbr0,queues=4"}));
    let found = format!("virtio={},bridge=vmbr0", wanted.macs[0]);
    let difference = difference(&wanted, &[json!({"key": "net0", "value": found})]);
    assert!(matches!(only(&difference).act, Act::SetOff(_)));
    assert_eq!(only(&difference).change.impact, Impact::PowerCycle);
}

#[test]
fn a_password_is_told_nowhere_and_differs_only_where_there_is_none() {
    let wanted = worker(json!({"cipassword": "hunter2"}));
    let stars = difference(&wanted, &[json!({"key": "cipassword", "value": "**********"})]);
    assert_eq!(stars, Difference::default());
    let missing = difference(&wanted, &[json!({"key": "cipassword"})]);
    assert_eq!(only(&missing).act, Act::SetOff("hunter2".into()));
    let told = format!("{:?}{:?}{:?}", missing.texts(), missing.costs(true), missing.told);
    assert!(!told.contains("hunter2") && told.contains("(redacted)"), "{told}");
    let kept = compared(&wanted, &with(&wanted, &[json!({"key": "cipassword"})]), true, &["cipassword"]);
    assert_eq!(kept.told, ["Proxmox VE keeps cipassword as (none)"]);
}

#[test]
fn what_the_server_spells_in_a_way_that_nobody_knows_is_sent_once() {
    let wanted = worker(json!({"searchdomain": "lan"}));
    let found = with(&wanted, &[json!({"key": "searchdomain", "value": "LAN."})]);
    assert!(!compared(&wanted, &found, true, &[]).is_none());
    let again = compared(&wanted, &found, true, &["searchdomain"]);
    assert!(again.is_none());
    assert_eq!(again.told, ["Proxmox VE keeps searchdomain as LAN."]);
}

#[test]
fn another_firmware_needs_another_vm() {
    let difference = difference(&worker(json!({})), &[json!({"key": "bios", "value": "seabios"})]);
    assert_eq!(difference.recreate(), ["its bios is seabios, not ovmf"]);
    assert_eq!(only(&difference).change.needs.as_deref(), Some("--recreate"));
}

#[test]
fn what_only_root_sets_is_fine_where_root_has_set_it() {
    let wanted = worker(json!({"hugepages": "2"}));
    assert_eq!(difference(&wanted, &[]), Difference::default());
    assert_eq!(difference(&wanted, &[json!({"key": "hugepages"})]).refused(), Some("hugepages"));
}

#[test]
fn a_static_address_that_comes_later_brings_its_drive_and_one_that_goes_is_given_up() {
    let wanted = machine(json!({"role": "worker", "address": "10.0.0.11/24"}));
    let without = ["ide0", "ipconfig0", "citype"].map(|key| json!({"key": key}));
    let added = difference(&wanted, &without);
    let acts: Vec<_> = added.items.iter().map(|item| (item.key.as_str(), &item.act)).collect();
    assert_eq!(
        acts,
        [
            ("ipconfig0", &Act::SetOff("ip=10.0.0.11/24".into())),
            ("citype", &Act::SetOff("nocloud".into())),
            ("ide0", &Act::Allocate("local-lvm:cloudinit,media=cdrom".into())),
        ]
    );
    assert!(added.needs_power_cycle());

    let dynamic = worker(json!({}));
    let address = json!({"key": "ipconfig0", "value": "ip=10.0.0.11/24,gw=10.0.0.1"});
    assert_eq!(only(&difference(&dynamic, &[address])).act, Act::SetOff("ip=dhcp".into()));
    assert!(difference(&dynamic, &[json!({"key": "ipconfig0", "value": "ip=dhcp,ip6=auto"})]).is_none());
}

#[test]
fn a_vm_on_another_host_or_in_another_pool_is_told() {
    let difference = difference(&worker(json!({"node": "pve2", "pool": "prod", "vmid": 777})), &[]);
    assert!(difference.is_none());
    assert!(difference.told[0].starts_with("VM 100 is on pve1, the file says pve2: --migrate moves it"));
    assert!(difference.told[1].starts_with("it is VM 100, the file says 777"));
    assert!(difference.told[2].starts_with("VM 100 is in the pool talos, the file says prod: it is not moved"));
}

/// A card that somebody exchanged already is not pulled out of the running VM by sending it once more.
#[test]
fn another_card_that_waits_is_left_to_the_power_cycle() {
    let wanted = worker(json!({"net0": "e1000,bridge=vmbr0"}));
    let mac = &wanted.macs[0];
    let waits = json!({"key": "net0", "value": format!("virtio={mac},bridge=vmbr0"),
        "pending": format!("e1000={mac},bridge=vmbr0")});
    assert_eq!(only(&difference(&wanted, &[waits])).act, Act::Cycle);
}
