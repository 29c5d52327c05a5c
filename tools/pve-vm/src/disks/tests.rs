use serde_json::json;

use super::*;

fn drive(slot: &str, text: &str) -> Drive {
    Drive::parse(slot, text).unwrap()
}

#[test]
fn an_allocation_is_read_in_each_of_its_spellings() {
    for text in ["fast:100,ssd=1", "ssd=1,file=fast:100", "volume=fast:100,ssd=1", "file=fast:100,ssd=on"] {
        let drive = drive("scsi1", text);
        assert_eq!((drive.size, drive.storage.as_deref()), (Some(100 << 30), Some("fast")), "{text}");
        assert!(drive.is(&Found::parse("fast:vm-100-disk-2,size=100G,ssd=1")), "{text}");
        assert!(drive.has_options_of(&Found::parse("fast:vm-100-disk-2,size=100G,ssd=1")), "{text}");
    }
    assert_eq!(drive("virtio3", "4.5").creation("local-lvm", ""), "local-lvm:4.5");
    assert_eq!(drive("sata0", "fast:0,import-from=local:import/d.raw,size=8G").size, Some(8 << 30));
    assert_eq!(drive("ide2", "fast:cloudinit").creation("x", ""), "fast:cloudinit,media=cdrom");
    assert_eq!(drive("cdrom", "none").slot, "ide2");
    assert_eq!(drive("cdrom", "none").creation("x", ""), "none,media=cdrom");
    assert_eq!(drive("efidisk0", "pre-enrolled-keys=1").creation("x", ""), "x:1,pre-enrolled-keys=1");
}

#[test]
fn an_entry_of_the_list_of_disks_is_a_drive() {
    let listed = |entry: Value| Drive::listed(1, &entry);
    let drive = listed(json!({"size": "50GiB", "storage": "fast", "ssd": true, "iothread": 1})).unwrap();
    assert_eq!(drive.creation("x", ""), "fast:50,iothread=1,ssd=1");
    assert_eq!((drive.slot.as_str(), drive.size), ("scsi2", Some(50 << 30)));
    for wrong in [json!({}), json!(5), json!({"size": 1, "slot": "scsi0"}), json!({"size": 1, "x": "a,file=b"})] {
        assert!(listed(wrong.clone()).is_err(), "{wrong}");
    }
}

/// The volume that was found stays in every value that is sent for it, whatever the file has it made from.
#[test]
fn changed_options_are_sent_with_the_volume_that_is_there() {
    let found = Found::parse("local-lvm:vm-100-disk-2,discard=on,size=100G");
    for (text, sent) in [
        ("fast:100,ssd=1", "local-lvm:vm-100-disk-2,ssd=1,size=100G"),
        ("local-lvm:100,cache=writeback,discard=on", "local-lvm:vm-100-disk-2,cache=writeback,discard=on,size=100G"),
        ("local-lvm:0,import-from=local:import/x.raw", "local-lvm:vm-100-disk-2,size=100G"),
        ("local-lvm:100,format=raw,ssd=1", "local-lvm:vm-100-disk-2,ssd=1,size=100G"),
    ] {
        let value = drive("scsi1", text).over(&found);
        let (parts, wanted) = (Found::parse(&value), Found::parse(sent));
        assert_eq!(parts, wanted, "{text}");
    }
    let part = Drive { extent: Extent::Part, ..drive("scsi0", "ssd=1") };
    assert_eq!(Found::parse(&part.over(&found)), Found::parse("local-lvm:vm-100-disk-2,discard=on,ssd=1,size=100G"));
}

#[test]
fn options_are_a_set_in_which_defaults_say_nothing() {
    let wanted = drive("scsi1", "fast:10,ssd=on,cache=none,backup=1,iops_rd=100");
    assert!(wanted.has_options_of(&Found::parse("fast:vm-1-disk-1,iops_rd=100,size=10G,ssd=1")));
    assert!(!wanted.has_options_of(&Found::parse("fast:vm-1-disk-1,iops_rd=100,size=10G,ssd=1,discard=on")));
    assert!(!wanted.has_options_of(&Found::parse("fast:vm-1-disk-1,iops_rd=100,size=10G,ssd=1,backup=0")));
}

#[test]
fn limits_are_taken_by_a_running_vm_and_the_cache_is_not() {
    let found = Found::parse("fast:vm-1-disk-1,size=10G");
    assert!(drive("scsi1", "fast:10,mbps_rd=10,backup=0").is_live_over(&found));
    assert!(!drive("scsi1", "fast:10,mbps_rd=10,cache=writeback").is_live_over(&found));
    assert!(!drive("scsi1", "fast:10").is_live_over(&Found::parse("fast:vm-1-disk-1,size=10G,ssd=1")));
}

#[test]
fn a_disk_a_disc_and_the_cloud_init_drive_are_told_apart() {
    let disc = Found::parse("local:iso/talos.iso,media=cdrom,size=1M");
    let disk = Found::parse("local:100/vm-100-disk-2.raw,size=1G");
    let cloud_init = Found::parse("local:100/vm-100-cloudinit.qcow2,media=cdrom");
    let new = drive("ide2", "local:1");
    assert_eq!([&disc, &disk, &cloud_init].map(|found| new.is(found)), [false, true, false]);
    assert_eq!([&disc, &disk, &cloud_init].map(|found| drive("ide2", "none").is(found)), [false, false, false]);
    assert_eq!([&disc, &disk, &cloud_init].map(Found::is_cloud_init), [false, false, true]);
    assert!(drive("ide2", "local:iso/talos.iso").is(&disc));
    assert!(drive("ide2", "none").is(&Found::parse("none,media=cdrom")));
    assert!(!drive("ide2", "none,media=cdrom").allocates() && drive("ide2", "local:cloudinit").allocates());
}

#[test]
fn what_kind_of_disk_it_is_is_never_changed_in_place() {
    let found = Found::parse("local:100/vm-100-disk-0.raw,efitype=4m,pre-enrolled-keys=0,size=528K");
    let wanted = drive("efidisk0", "local:1,efitype=4m,pre-enrolled-keys=1");
    assert_eq!(wanted.fixed(&found), ["pre-enrolled-keys is 0, not 1"]);
    assert!(drive("efidisk0", "local:1,efitype=4m").fixed(&found).is_empty());
    assert!(wanted.over(&found).contains("pre-enrolled-keys=0"), "{}", wanted.over(&found));
}
