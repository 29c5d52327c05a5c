//! Drives.

use super::*;

const DISK: &str = "local-lvm:vm-100-disk-2,size=100G";

fn slot(slot: &str, value: &str) -> Value {
    json!({"key": slot, "value": value})
}

/// No drive is ever made in place of a volume: whatever differs, and whatever waits.
#[test]
fn a_disk_that_is_there_is_never_allocated_again() {
    let spellings = [
        ("scsi1", "local-lvm:100"),
        ("scsi1", "file=local-lvm:100,ssd=1"),
        ("scsi7", "100"),
        ("virtio1", "iothread=1,volume=local-lvm:100"),
        ("sata0", "fast:100"),
        ("ide3", "local-lvm:0,import-from=local:import/data.qcow2"),
        ("scsi1", "local-lvm:150"),
    ];
    for (key, text) in spellings {
        let wanted = worker(json!({key: text}));
        for row in [
            slot(key, DISK),
            slot(key, "local:100/vm-100-disk-2.raw,size=102400M,ssd=1,cache=writeback"),
            json!({"key": key, "value": DISK, "pending": format!("{DISK},ssd=1")}),
            json!({"key": key, "value": DISK, "pending": "local-lvm:vm-100-disk-3,size=100G"}),
            json!({"key": key, "value": DISK, "delete": 1}),
            json!({"key": key, "pending": DISK}),
        ] {
            for is_running in [true, false] {
                let difference = compared(&wanted, &with(&wanted, std::slice::from_ref(&row)), is_running, &[]);
                for item in &difference.items {
                    assert!(
                        !matches!(item.act, Act::Allocate(_) | Act::Replace(..) | Act::Recreate(_)),
                        "{text} {item:?}"
                    );
                    if let Act::Set(value) | Act::SetOff(value) = &item.act {
                        assert!(value.contains("vm-100-disk-2"), "{text}: {value}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_data_disk_is_made_once_and_kept_for_ever() {
    for (key, text, found) in [
        ("scsi1", "local-lvm:100", "local-lvm:vm-100-disk-2,size=100G"),
        ("virtio1", "local:1,iothread=1", "local:121/vm-121-disk-2.raw,iothread=1,size=1G"),
        ("sata0", "local:1", "local:118/vm-118-disk-2.raw,size=1024M"),
        ("tpmstate0", "local:1,version=v2.0", "local:300/vm-300-disk-2.raw,size=4M,version=v2.0"),
        ("efidisk0", "local:1,efitype=4m", "local:300/vm-300-disk-0.raw,efitype=4m,pre-enrolled-keys=0,size=528K"),
        ("ide2", "local:cloudinit", "local:300/vm-300-cloudinit.qcow2,media=cdrom"),
        ("ide2", "none,media=cdrom", "none,media=cdrom"),
        ("ide2", "local:iso/a.iso,media=cdrom", "local:iso/a.iso,media=cdrom,size=1M"),
        ("scsi1", "local-lvm:4.501", "local-lvm:vm-100-disk-2,size=4612M"),
    ] {
        let wanted = worker(json!({key: text}));
        let same = difference(&wanted, &[slot(key, found)]);
        let elsewhere = |told: &String| told.contains("--migrate moves the disk");
        assert!(same.is_none() && same.told.iter().all(elsewhere), "{key} {text}: {same:#?}");
        let missing = difference(&wanted, &[json!({"key": key})]);
        assert_eq!(only(&missing).key, key, "{text}");
    }
}

#[test]
fn a_cd_drive_by_its_other_name_is_no_difference() {
    let wanted = worker(json!({"cdrom": "none"}));
    let found = [slot("ide2", "none,media=cdrom"), slot("boot", "order=scsi0;ide2"), json!({"key": "cdrom"})];
    assert_eq!(difference(&wanted, &found), Difference::default());
}

#[test]
fn a_disk_grows_with_its_number_and_a_smaller_one_is_refused() {
    let wanted = worker(json!({"scsi1": "local-lvm:100"}));
    assert_eq!(
        only(&difference(&wanted, &[slot("scsi1", "local-lvm:vm-100-disk-2,size=50G")])).act,
        Act::Grow(100 << 30)
    );
    let shrinks = difference(&wanted, &[slot("scsi1", "local-lvm:vm-100-disk-2,size=150G")]);
    let item = only(&shrinks);
    assert_eq!(
        (item.change.impact, item.change.needs.as_deref()),
        (Impact::DataLoss, Some("--replace-disk w-1:scsi1"))
    );
    assert_eq!(shrinks.replaced().collect::<Vec<_>>(), [("scsi1", "its scsi1 has 150G, not 100G")]);

    let system = |size: &str| {
        difference(&wanted, &[slot("scsi0", &format!("local-lvm:x,discard=on,size={size},ssd=1")), slot("scsi1", DISK)])
    };
    assert_eq!(only(&system("4560M")).act, Act::Grow(20 << 30));
    assert_eq!(system("4560M").texts(), ["disk 4560M -> 20G"]);
    assert_eq!(system("30G").recreate(), ["its disk has 30G, not 20G"]);
    assert_eq!(
        difference(&wanted, &[json!({"key": "scsi0"}), slot("scsi1", DISK)]).recreate(),
        ["it has no disk scsi0"]
    );
}

#[test]
fn an_option_is_sent_with_the_volume_that_is_there() {
    let wanted = worker(json!({"scsi1": "local-lvm:100,cache=writeback"}));
    let changed = difference(&wanted, &[slot("scsi1", DISK)]);
    assert_eq!(only(&changed).act, Act::Set("local-lvm:vm-100-disk-2,cache=writeback,size=100G".into()));
    assert_eq!(only(&changed).change.impact, Impact::PowerCycle);

    let waits = json!({"key": "scsi1", "value": DISK, "pending": format!("{DISK},cache=writeback")});
    assert_eq!(only(&difference(&wanted, &[waits])).act, Act::Cycle);
    let edited = json!({"key": "scsi1", "value": format!("{DISK},cache=writeback"), "pending": DISK});
    assert_eq!(only(&difference(&wanted, &[edited])).act, Act::Revert);

    let limited = worker(json!({"scsi1": "local-lvm:100,mbps_rd=10"}));
    assert_eq!(only(&difference(&limited, &[slot("scsi1", DISK)])).change.impact, Impact::Live);
}

#[test]
fn a_disk_on_another_storage_is_told_and_stays() {
    let wanted = worker(json!({"scsi1": "fast:100"}));
    let found = [slot("scsi1", DISK), slot("scsi0", "slow:vm-100-disk-1,discard=on,size=20G,ssd=1")];
    let difference = difference(&wanted, &found);
    assert!(difference.is_none());
    assert!(difference.told[0].contains("has scsi1 on local-lvm, the file says fast: --migrate moves the disk"));
    assert!(difference.told[1].contains("has scsi0 on slow, the file says local-lvm"));
}

#[test]
fn a_disk_that_left_the_file_is_kept_aloud() {
    let difference = difference(&worker(json!({})), &[slot("scsi1", DISK), slot("ide2", "none,media=cdrom")]);
    assert!(difference.is_none());
    let told = "VM 100 has scsi1 (local-lvm:vm-100-disk-2, 100G), which isn't in the file: kept";
    assert!(difference.told.len() == 1 && difference.told[0].starts_with(told), "{:?}", difference.told);
}

#[test]
fn a_drive_that_was_made_is_never_made_again_while_it_waits() {
    let wanted = worker(json!({"scsi1": "local-lvm:100", "sata0": "local-lvm:10"}));
    let waits = [
        json!({"key": "scsi1", "pending": DISK}),
        json!({"key": "sata0", "pending": "local-lvm:vm-100-disk-3,size=10G"}),
    ];
    let first = difference(&wanted, &waits);
    let acts: Vec<_> = first.items.iter().map(|item| (item.key.as_str(), &item.act)).collect();
    assert_eq!(acts, [("scsi1", &Act::Set(DISK.into())), ("sata0", &Act::Cycle)], "what can be plugged is tried again");
    let sent = compared(&wanted, &with(&wanted, &waits), true, &["scsi1", "sata0"]);
    assert!(sent.items.iter().all(|item| item.act == Act::Cycle));
}

#[test]
fn a_missing_disk_is_plugged_in_where_that_can_be() {
    let wanted = worker(json!({"scsi1": "local-lvm:100"}));
    let missing = json!({"key": "scsi1"});
    let plugged = difference(&wanted, std::slice::from_ref(&missing));
    assert_eq!(
        (&only(&plugged).act, only(&plugged).change.impact),
        (&Act::Allocate("local-lvm:100".into()), Impact::Live)
    );
    let fixed = difference(&wanted, &[missing, slot("hotplug", "network")]);
    assert_eq!(only(&fixed).change.impact, Impact::PowerCycle);
}

#[test]
fn another_kind_of_drive_in_the_slot_is_never_overwritten_unasked() {
    let wanted =
        worker(json!({"scsi1": "local-lvm:100", "ide2": "none,media=cdrom", "efidisk0": "pre-enrolled-keys=1"}));
    let found = [
        slot("scsi1", "none,media=cdrom"),
        slot("ide2", DISK),
        slot("efidisk0", "local-lvm:vm-100-disk-0,efitype=4m,pre-enrolled-keys=0,size=528K"),
    ];
    let difference = difference(&wanted, &found);
    let mut slots: Vec<_> = difference.replaced().map(|(slot, _)| slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, ["efidisk0", "ide2", "scsi1"]);
    assert!(
        difference.items.iter().all(|item| item
            .change
            .needs
            .as_deref()
            .is_some_and(|flag| flag.starts_with("--replace-disk")))
    );
}

#[test]
fn the_disks_that_are_lost_with_a_vm_are_those_that_hold_data() {
    let rows = [
        slot("bios", "seabios"),
        slot("scsi1", DISK),
        slot("unused0", "local-lvm:vm-100-disk-9"),
        slot("ide2", "local:iso/x.iso,media=cdrom"),
        json!({"key": "virtio0", "value": "local-lvm:vm-100-disk-4,size=1G", "delete": 1}),
    ];
    let recreated = difference(&worker(json!({})), &rows);
    assert_eq!(recreated.lost().collect::<Vec<_>>(), ["scsi1", "unused0", "virtio0"]);
    let needs: Vec<_> = recreated.costs(true).into_iter().filter_map(|change| change.needs).collect();
    assert_eq!(needs[1..], ["scsi1", "unused0", "virtio0"].map(|slot| format!("--replace-disk w-1:{slot}")));
    assert_eq!(difference(&worker(json!({})), &rows[1..]).lost().count(), 0);
}
