//! Disks that somebody moved: no empty one stands in for them, and no other one passes for them.

use super::*;

const FIRST: &str = "local-lvm:vm-100-disk-1";
const SECOND: &str = "local-lvm:vm-100-disk-2";
const THIRD: &str = "local-lvm:vm-100-disk-3";

fn slot(slot: &str, volume: &str) -> Value {
    let options = if slot == "scsi0" { "discard=on,size=20G,ssd=1" } else { "size=20G" };
    json!({"key": slot, "value": format!("{volume},{options}")})
}

/// Notes that remember these volumes.
fn notes(wanted: &Machine, made: &[(&str, &str)]) -> Value {
    let mut volumes = Volumes::default();
    made.iter().for_each(|(slot, volume)| volumes.remember(slot, volume));
    json!({"key": NOTES, "value": notes::with(wanted.setting(NOTES).unwrap(), &volumes)})
}

/// The worker with one data disk, and what differs when the VM has these rows.
fn seen(file: &Value, made: &[(&str, &str)], rows: &[Value]) -> Difference {
    let wanted = worker(file.clone());
    let rows = [&[notes(&wanted, made)], rows].concat();
    difference(&wanted, &rows)
}

fn unused(volume: &str) -> Value {
    json!({"key": "unused0", "value": volume})
}

#[test]
fn no_empty_disk_stands_in_for_one_that_was_moved_or_detached() {
    let file = json!({"scsi1": "local-lvm:20"});
    let made = [("scsi0", FIRST), ("scsi1", SECOND), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let none = json!({"key": "scsi1"});
    for (rows, says) in [
        (slot("virtio2", SECOND), "which is virtio2 now (`qm set 100 --delete virtio2`, then"),
        (unused(SECOND), "`qm set 100 --scsi1 local-lvm:vm-100-disk-2` attaches it"),
        (json!({"key": "virtio2", "pending": format!("{SECOND},size=20G")}), "which is virtio2 now"),
        (unused(THIRD), "which the VM doesn't have any more"),
    ] {
        let found = seen(&file, &made, &[none.clone(), slot("scsi0", FIRST), rows]);
        let item = only(&found);
        assert!(matches!(item.act, Act::Beside(..)), "{item:?}");
        assert_eq!(
            (item.change.impact, item.change.needs.as_deref()),
            (Impact::Live, Some("--replace-disk w-1:scsi1"))
        );
        let (_, why) = found.replaced().next().unwrap();
        assert!(why.contains(says), "{why}");
    }
}

/// The state of a TPM unlocks disks: an empty one would lock them.
#[test]
fn the_small_disks_of_the_firmware_are_remembered_too() {
    let file = json!({"tpmstate0": "local-lvm:1,version=v2.0"});
    let made = [("scsi0", FIRST), ("tpmstate0", SECOND), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let found = seen(&file, &made, &[json!({"key": "tpmstate0"}), slot("scsi0", FIRST), unused(SECOND)]);
    assert!(matches!(only(&found).act, Act::Beside(..)), "{found:#?}");
    assert_eq!(found.costs(true)[0].needs.as_deref(), Some("--reboot --replace-disk w-1:tpmstate0"));
    assert_eq!(found.costs(false)[0].needs.as_deref(), Some("--replace-disk w-1:tpmstate0"));
}

/// A VM of an earlier version remembers nothing: a detached disk may be the missing state of its TPM.
#[test]
fn of_a_vm_that_remembers_nothing_a_detached_disk_may_be_the_firmwares() {
    let file = json!({"tpmstate0": "local-lvm:1,version=v2.0"});
    let rows = [json!({"key": "tpmstate0"}), slot("scsi0", FIRST)];
    let detached = seen(&file, &[], &[&rows[..], &[unused(SECOND)]].concat());
    assert!(detached.replaced().any(|(slot, _)| slot == "tpmstate0"), "{detached:#?}");
    let none = seen(&file, &[], &[&rows[..], &[slot("virtio5", SECOND)]].concat());
    assert!(none.items.iter().any(|item| item.key == "tpmstate0" && matches!(item.act, Act::Allocate(_))), "{none:#?}");
}

#[test]
fn a_slot_that_was_renamed_in_the_file_gets_no_empty_disk_unasked() {
    let made = [("scsi0", FIRST), ("scsi1", SECOND), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let found = seen(
        &json!({"scsi2": "local-lvm:20"}),
        &made,
        &[slot("scsi0", FIRST), slot("scsi1", SECOND), json!({"key": "scsi2"})],
    );
    let (slot, why) = found.replaced().next().unwrap();
    assert_eq!(slot, "scsi2");
    assert!(why.contains("isn't in the file and may be that: scsi1 is local-lvm:vm-100-disk-2"), "{why}");
}

/// What the user gave up once, or attached himself, is nobody's missing disk.
#[test]
fn a_new_disk_is_made_unasked_beside_disks_that_were_never_its_own() {
    let file = json!({"scsi1": "local-lvm:20", "scsi2": "local-lvm:20"});
    let made = [("scsi0", FIRST), ("scsi1", SECOND), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let rows = [slot("scsi0", FIRST), slot("scsi1", SECOND), json!({"key": "scsi2"})];
    for other in [unused(THIRD), slot("virtio5", THIRD), json!({"key": "ide2", "value": "local:iso/a.iso,media=cdrom"})]
    {
        let found = seen(&file, &made, &[&rows[..], &[other]].concat());
        let made: Vec<_> = found.items.iter().filter(|item| item.key != NOTES).map(|item| &item.act).collect();
        assert_eq!(made, [&Act::Allocate("local-lvm:20".into())]);
    }
}

/// VMs of earlier versions remember nothing: any disk that the file doesn't have may be the missing one.
#[test]
fn of_a_vm_that_remembers_nothing_any_other_disk_may_be_the_missing_one() {
    let file = json!({"scsi1": "local-lvm:20"});
    let rows = [slot("scsi0", FIRST), json!({"key": "scsi1"})];
    for other in [unused(SECOND), slot("virtio5", SECOND)] {
        let found = seen(&file, &[], &[&rows[..], &[other]].concat());
        assert!(found.replaced().any(|(slot, why)| slot == "scsi1" && why.contains(SECOND)), "{found:#?}");
    }
    let iso = json!({"key": "ide2", "value": "local:iso/a.iso,media=cdrom"});
    let found = seen(&file, &[], &[&rows[..], &[iso]].concat());
    assert!(found.items.iter().any(|item| item.act == Act::Allocate("local-lvm:20".into())), "{found:#?}");
}

#[test]
fn disks_that_changed_places_are_left_alone_whatever_is_allowed() {
    let file = json!({"scsi1": "local-lvm:20", "scsi2": "local-lvm:20"});
    let made = [("scsi0", FIRST), ("scsi1", SECOND), ("scsi2", THIRD), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let swapped = [
        [slot("scsi0", SECOND), slot("scsi1", FIRST), slot("scsi2", THIRD)],
        [slot("scsi0", FIRST), slot("scsi1", THIRD), slot("scsi2", SECOND)],
        [json!({"key": "scsi0"}), slot("scsi1", SECOND), slot("scsi2", FIRST)],
        [slot("scsi0", FIRST), slot("scsi1", "local-lvm:vm-100-disk-9"), slot("scsi2", SECOND)],
        [slot("scsi0", SECOND), slot("scsi1", THIRD), slot("scsi2", "local-lvm:vm-100-disk-9")],
    ];
    for rows in swapped {
        let found = seen(&file, &made, &rows);
        assert!(found.moved().is_some(), "{rows:?}: {found:#?}");
        assert!(!found.items.iter().any(|item| matches!(item.act, Act::Grow(_) | Act::Recreate(_))), "{found:#?}");
    }
}

/// A disk that was moved to another storage has another volume, in its own slot.
#[test]
fn a_disk_with_a_new_volume_in_its_own_slot_is_the_disk() {
    let file = json!({"scsi1": "local-lvm:20"});
    let made = [("scsi0", FIRST), ("scsi1", SECOND), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let found = seen(&file, &made, &[slot("scsi0", FIRST), slot("scsi1", "fast:vm-100-disk-0")]);
    let item = only(&found);
    assert_eq!((item.key.as_str(), item.change.impact), (NOTES, Impact::Live));
    let text = item.change.to.as_ref().unwrap().as_str().unwrap();
    assert!(text.contains("scsi1=fast:vm-100-disk-0"), "{text}");
}

#[test]
fn a_disk_is_moved_to_the_storage_of_the_file_only_when_asked() {
    let wanted = worker(json!({"scsi1": "fast:20"}));
    let rows = [notes(&wanted, &[("scsi0", FIRST), ("scsi1", SECOND)]), slot("scsi0", FIRST), slot("scsi1", SECOND)];
    let config = with(&wanted, &rows);
    let location = Location { vmid: 100, host: "pve1".into() };
    let sent = BTreeSet::new();
    let sight =
        |migrates| Sight { location: &location, config: &config, is_running: true, pool: None, migrates, sent: &sent };
    let told = Difference::between(&wanted, sight(false));
    assert!(told.first_move(true).is_none() && told.told.iter().any(|told| told.contains("--migrate moves the disk")));
    let moves = Difference::between(&wanted, sight(true));
    let (item, from, to) = moves.first_move(true).unwrap();
    assert_eq!((item.key.as_str(), from, to), ("scsi1", "local-lvm", "fast"));
    assert!(!moves.needs_power_cycle());
}

/// The file followed the disk to its new slot: its old one is free for another.
#[test]
fn a_slot_whose_disk_the_file_has_elsewhere_now_is_free() {
    let file = json!({"virtio1": "local-lvm:20", "scsi0": "ssd=1"});
    let made = [("scsi0", FIRST), ("scsi1", SECOND), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let found = seen(&file, &made, &[slot("scsi0", FIRST), slot("virtio1", SECOND)]);
    let text = found.items.iter().find(|item| item.key == NOTES).unwrap().value().unwrap().to_owned();
    assert!(text.contains("virtio1=local-lvm:vm-100-disk-2") && !text.contains("scsi1="), "{text}");
}

#[test]
fn a_volume_that_the_file_names_is_never_attached_twice() {
    let made = [("scsi0", FIRST), ("efidisk0", "local-lvm:vm-100-efidisk0")];
    let file = json!({"scsi3": THIRD});
    let found = seen(&file, &made, &[slot("scsi0", FIRST), slot("virtio1", THIRD), json!({"key": "scsi3"})]);
    assert!(found.moved().is_some(), "{found:#?}");
}

#[test]
fn notes_that_somebody_wrote_stay_and_those_of_the_file_hold() {
    let wanted = worker(json!({}));
    let rows = with(&wanted, &[]);
    let ours = rows.get(NOTES).unwrap().to_owned();
    let edited = |text: String| [json!({"key": NOTES, "value": text})];
    assert_eq!(difference(&wanted, &edited(format!("# Rack 4\n\n{ours}\n"))), Difference::default());

    let spoiled = difference(&wanted, &edited(format!("# Rack 4\n{}", ours.replace("ichor-uid: ", "uid: "))));
    let text = only(&spoiled).change.to.as_ref().unwrap().as_str().unwrap().to_owned();
    assert!(
        text.starts_with("# Rack 4\n") && text.contains("\nichor-uid: ") && text.contains("\nichor-disks: "),
        "{text}"
    );

    let own = worker(json!({"description": "mine"}));
    let found = with(&own, &[]).get(NOTES).unwrap().replace("mine", "theirs");
    let back = difference(&own, &edited(found));
    assert!(only(&back).change.to.as_ref().unwrap().as_str().unwrap().starts_with("mine\n\nNode w-1 "));
}
