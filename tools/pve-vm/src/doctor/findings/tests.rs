//! What a doctor says, from data.

use pve_client::{answer::Permissions, rights};
use record::spec::{ClusterSpec, ImagesSpec};

use super::*;

fn spec() -> ProxmoxSpec {
    let name = |text: &str| Some(text.to_owned());
    ProxmoxSpec {
        storage: name("local-lvm").map(record::spec::StorageSpec::Everywhere),
        images: images("local", Via::Download),
        bridge: name("vmbr0"),
        ..ProxmoxSpec::default()
    }
}

fn images(storage: &str, via: Via) -> Option<ImagesSpec> {
    Some(ImagesSpec { storage: storage.into(), via })
}

fn storage(name: &str, kind: &str, content: &str) -> Storage {
    let (storage, kind, content) = (name.into(), kind.into(), content.into());
    Storage { storage, kind, content, active: true, ..Storage::default() }
}

fn rights(privileges: &[&str]) -> Rights {
    let held: Vec<String> = privileges.iter().map(|privilege| format!("\"{privilege}\":1")).collect();
    Rights::from(serde_json::from_str::<Permissions>(&format!("{{\"/\":{{{}}}}}", held.join(","))).unwrap())
}

/// Check, state and fix of each finding.
fn seen(found: &[Finding]) -> Vec<(&str, FindingState, &str)> {
    found.iter().map(|it| (it.check.as_str(), it.state, it.fix.as_deref().unwrap_or_default())).collect()
}

#[test]
fn the_minimal_role_is_enough_and_each_privilege_of_it_is_missed() {
    let token = "talos@pve!cli";
    for release in [(9, 2), (8, 4)] {
        let role = rights::role(release);
        let all = privileges(&rights(&role), token, &spec(), release);
        assert_eq!(seen(&all), [("privileges", FindingState::Ok, "")]);
        for dropped in &role {
            let held: Vec<&str> = role.iter().copied().filter(|privilege| privilege != dropped).collect();
            let found = privileges(&rights(&held), token, &spec(), release);
            let Some(one) = found.first() else { panic!("{dropped}: nothing") };
            // The image's storage needs this one, too.
            assert_eq!(found.len(), if *dropped == "Datastore.AllocateSpace" { 2 } else { 1 }, "{found:?}");
            assert!(one.reason.starts_with(&format!("{dropped} is missing on /")), "{}", one.reason);
            let is_needed = rights::NEEDED.contains(dropped);
            assert_eq!(one.state == FindingState::Fail, is_needed, "{dropped}");
            assert!(one.fix.as_ref().unwrap().contains("--tokens 'talos@pve!cli'"), "{one:?}");
        }
    }
}

#[test]
fn a_token_without_rights_is_one_finding_and_not_one_for_each_privilege() {
    let found = privileges(&Rights::default(), "talos@pve!cli", &spec(), (9, 2));
    assert_eq!(found.len(), 1);
    assert!(found[0].reason.contains("has no rights at all"));
}

#[test]
fn a_storage_that_the_token_may_not_see_is_not_said_to_be_missing() {
    let found = storages(&spec(), "pve1", &[], &rights(&["Datastore.Audit"]));
    assert!(found[0].reason.contains("there is no storage local-lvm"), "{found:?}");
    // Who may only bring images sees no storage.
    for held in ["VM.Audit", "Datastore.AllocateTemplate"] {
        let found = storages(&spec(), "pve1", &[], &rights(&[held]));
        assert_eq!(
            found[0].reason,
            "the token can't see storage local-lvm: it lacks Datastore.AllocateSpace on /storage/local-lvm"
        );
        assert!(found[1].reason.contains("it lacks Datastore.AllocateSpace or Datastore.Audit on /storage/local"));
    }
}

#[test]
fn without_guest_agents_the_console_takes_a_right_and_a_release() {
    let rights = |json: &str| Rights::from(serde_json::from_str::<Permissions>(json).unwrap());
    let (with, without) = (rights(r#"{"/vms":{"VM.Console":1}}"#), rights(r#"{"/vms":{"VM.Audit":1}}"#));
    let bare = ClusterSpec { proxmox: Some(spec()), ..ClusterSpec::default() };
    let found = |rights: &Rights, spec: &ClusterSpec, release| console(rights, "a@pve!cli", spec, release);

    let missing = found(&without, &bare, (9, 2)).unwrap();
    assert!(missing.reason.starts_with("VM.Console is missing on /vms: "), "{}", missing.reason);
    assert!(missing.fix.unwrap().contains("VM.Console\"`"), "the commands give it");
    assert_eq!(found(&with, &bare, (9, 2)), None);
    assert_eq!(found(&with, &bare, (9, 0)).unwrap().check, "console");
    let extensions = serde_json::json!({"officialExtensions": ["siderolabs/qemu-guest-agent"]});
    let mut with_agent = bare.clone();
    with_agent.talos.schematic = Some(serde_json::json!({"customization": {"systemExtensions": extensions}}));
    assert_eq!(found(&without, &with_agent, (8, 4)), None);
}

#[test]
fn a_pool_is_enough_for_vms_where_the_file_names_it() {
    let json = r#"{"/pool/talos":{"VM.Audit":1}}"#;
    let rights = Rights::from(serde_json::from_str::<Permissions>(json).unwrap());
    let pooled = ProxmoxSpec { pool: Some("talos".into()), ..spec() };
    assert_eq!(place(&rights, "VM.Audit", &pooled), ("/pool/talos".into(), true));
    assert_eq!(place(&rights, "VM.Audit", &spec()), ("/vms".into(), false));
}

#[test]
fn storages_are_told_with_the_command_that_works() {
    let rows = [storage("local", "dir", "iso"), storage("local-lvm", "lvmthin", "images")];
    let found = storages(&spec(), "pve1", &rows, &rights(&rights::NEEDED));
    assert_eq!(found[0].state, FindingState::Ok);
    assert_eq!(found[1].fix.as_deref(), Some("on a host: `pvesm set local --content iso,import`"));
    let lvm = ProxmoxSpec { images: images("local-lvm", Via::Download), ..spec() };
    assert!(
        storages(&lvm, "pve1", &rows, &rights(&rights::NEEDED))[1]
            .fix
            .as_ref()
            .unwrap()
            .contains("can't hold `import`")
    );
}

#[test]
fn the_way_of_the_image_decides_what_is_needed_for_it() {
    let by = |via| ProxmoxSpec { images: images("local", via), ..spec() };
    let rows = [storage("local", "dir", "iso"), storage("local-lvm", "lvmthin", "images")];
    for (via, holds, imports) in [(Via::Download, false, true), (Via::Upload, false, true), (Via::Iso, true, false)] {
        assert_eq!(
            storages(&by(via), "pve1", &rows, &rights(&rights::NEEDED))[1].state == FindingState::Ok,
            holds,
            "{via}"
        );
        assert_eq!(version(&by(via), None, "8.3.2", (8, 3)).state == FindingState::Fail, imports, "{via}");
        let role = rights::role((9, 2));
        let held: Vec<&str> = role.into_iter().filter(|privilege| *privilege != "Sys.AccessNetwork").collect();
        let found = privileges(&rights(&held), "talos@pve!cli", &by(via), (9, 2));
        assert_eq!(found[0].state == FindingState::Ok, via == Via::Upload, "{via}: {found:?}");
    }
}

#[test]
fn a_bridge_that_no_host_has_is_told_and_one_that_can_not_be_seen_is_not_called_missing() {
    let vmbr0 = Bridge { iface: "vmbr0".into(), kind: "bridge".into(), ..Bridge::default() };
    let other = Bridge { iface: "vmbr1".into(), ..vmbr0.clone() };
    let state = |rows: &[Bridge], sees_all| bridge(&spec(), "pve1", rows, sees_all).unwrap().state;
    assert_eq!(state(&[vmbr0], true), FindingState::Ok);
    assert_eq!(state(&[other], true), FindingState::Fail);
    assert_eq!(state(&[], false), FindingState::Unknown);
}

#[test]
fn no_quorum_is_told() {
    let cluster =
        |quorate| ClusterPart { kind: "cluster".into(), name: "lab".into(), quorate, ..ClusterPart::default() };
    assert_eq!(quorum(Some(&[cluster(Some(false))])).state, FindingState::Fail);
    assert_eq!(quorum(Some(&[cluster(Some(true))])).state, FindingState::Ok);
    assert_eq!(quorum(Some(&[])).state, FindingState::Ok);
    assert_eq!(quorum(None).state, FindingState::Unknown);
}

#[test]
fn a_volume_is_a_leftover_only_if_no_guest_has_its_id() {
    let volume =
        |vmid| Content { volid: format!("local-lvm:vm-{vmid}-disk-0"), vmid: Some(vmid), ..Content::default() };
    let found = leftovers("pve1", &[volume(100), volume(107)], &BTreeSet::from([100]));
    assert_eq!(
        seen(&found),
        [("leftover", FindingState::Warn, "if nothing needs it: `pvesm free local-lvm:vm-107-disk-0` on pve1")]
    );
    let config: Config = [("unused0", "local-lvm:vm-100-disk-3"), ("scsi0", "x:y")].into_iter().collect();
    assert_eq!(unused(100, "pve1", &config).len(), 1);
}

#[test]
fn the_iso_that_stays_in_a_cd_drive_is_told_and_no_other_medium() {
    let config = |value: &str| [("ide2", value), ("scsi0", "x:y")].into_iter().collect::<Config>();
    let found = medium(100, "pve1", &config("local:iso/talos-v1.13.9-ab-nocloud-amd64.iso,media=cdrom")).unwrap();
    assert_eq!(found.state, FindingState::Warn);
    assert!(found.reason.starts_with("VM 100 has local:iso/talos-v1.13.9-ab-nocloud-amd64.iso in its CD drive"));
    assert!(found.fix.unwrap().contains("`qm set 100 -ide2 none,media=cdrom` on pve1"));
    for other in ["none,media=cdrom", "local:iso/tools.iso,media=cdrom", "local-lvm:vm-100-cloudinit,media=cdrom"] {
        assert_eq!(medium(100, "pve1", &config(other)), None, "{other}");
    }
}

#[test]
fn a_clock_may_differ_by_a_little() {
    assert_eq!(clock("pve1", 1003, 1000).state, FindingState::Ok);
    assert_eq!(clock("pve1", 1060, 1000).reason, "it is 60 s ahead of ours");
}

#[test]
fn rights_decide_the_exit_status_before_anything_else_and_warnings_do_not() {
    let failed = |check: &str| fail(check, Some("pve1"), "why", "fix");
    assert_eq!(verdict(&[warn("clock", None, "a", "b")]), None);
    assert_eq!(verdict(&[failed("storage")]).unwrap().0, Exit::Failed);
    assert_eq!(verdict(&[failed("storage"), failed("privileges")]).unwrap().0, Exit::NotAllowed);
}

/// Seen on Proxmox VE 9.2: a corrupted copy was said to be there.
#[test]
fn an_image_is_judged_by_what_talos_image_compared_and_not_by_its_name() {
    let volume = "local:import/talos-v1.13.9-x.qcow2";
    let content =
        |size, ctime| Content { volid: volume.into(), size: Some(size), ctime: Some(ctime), ..Content::default() };
    let judged = |mark: Option<&str>, size| {
        let mark = mark.map(str::to_owned);
        let found = image("pve1", "v1.13.9", None, &[content(size, 9)], |_| mark.clone());
        (found.state, found.reason)
    };
    assert_eq!(judged(Some("ab 7 9"), 7).0, FindingState::Ok);
    let (state, why) = judged(Some("ab 7 9"), 6);
    assert!(state == FindingState::Fail && why.contains("had 7 bytes when it was compared, and has 6 now"), "{why}");
    let (state, why) = judged(Some("ab 7 8"), 7);
    assert!(state == FindingState::Warn && why.contains("has changed since"), "{why}");
    for mark in [None, Some("upload of ab")] {
        let (state, why) = judged(mark, 7);
        assert!(state == FindingState::Ok && why.contains("has not compared it yet"), "{mark:?}: {why}");
    }
    assert_eq!(image("pve1", "v1.13.9", None, &[], |_| None).state, FindingState::Warn);
}
