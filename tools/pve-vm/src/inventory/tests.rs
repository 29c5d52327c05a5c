//! What can't be seen is never taken for absent.

use pve_client::answer::Permissions;
use record::{Code, Exit};

use super::*;

fn identity() -> Identity {
    Identity::new("00112233445566778899aabbccddeeff")
}

fn ours(vmid: u32, node: &str) -> Known {
    let uuid = format!("uuid={}", identity().uuid(node));
    let pairs = [("smbios1", uuid.as_str()), ("tags", "ichor;ichor-00112233"), ("name", node)];
    let config = Ok(pairs.into_iter().collect());
    Known { vmid, host: "pve1".into(), name: node.into(), running: true, is_tagged: true, config }
}

fn unread(vmid: u32, name: &str, is_tagged: bool, exit: Exit) -> Known {
    let config = Err(Failure::new(exit, Code::ProxmoxRefused, "refused"));
    Known { vmid, host: "pve1".into(), name: name.into(), running: true, is_tagged, config }
}

fn hidden(name: Option<&str>, tags: Option<&str>) -> Hidden {
    let row = Resource {
        vmid: 101,
        node: "pve2".into(),
        kind: "qemu".into(),
        status: "unknown".into(),
        name: name.map(Into::into),
        tags: tags.map(Into::into),
        ..Resource::default()
    };
    Hidden { row, why: None }
}

fn find(inventory: &Inventory, node: &str) -> Result<Option<u32>, Failure> {
    let found = inventory.find(&identity(), "lab", node, Namesakes::Refused)?;
    Ok(found.map(|known| known.vmid))
}

#[test]
fn a_nameless_vm_of_ours_on_an_offline_host_can_be_any_node() {
    let rows = vec![hidden(None, Some("ichor;ichor-00112233"))];
    let inventory = Inventory { known: vec![ours(100, "c-1")], hidden: rows, ..Inventory::default() };

    assert_eq!(find(&inventory, "c-1"), Ok(Some(100)), "a node that is found otherwise isn't held up");
    let failure = find(&inventory, "c-2").unwrap_err();
    assert_eq!((failure.exit, failure.code.as_str()), (Exit::Unreachable, "host-offline"));
    assert_eq!(failure.message, "VM 101, which may be node c-2, is on pve2, which is offline");
}

#[test]
fn a_nameless_vm_without_our_tag_is_somebody_elses_only_where_our_vms_have_tags() {
    let with = |known, is_new| Inventory { known, hidden: vec![hidden(None, None)], is_new, ..Inventory::default() };

    assert_eq!(find(&with(vec![ours(100, "c-1")], false), "c-2"), Ok(None));
    assert_eq!(find(&with(vec![], true), "c-2"), Ok(None), "a new cluster has no VMs");
    assert!(find(&with(vec![], false), "c-2").is_err(), "policy may keep our tags away");
}

#[test]
fn a_vm_of_the_nodes_name_on_an_offline_host_is_named_and_one_of_another_name_is_no_obstacle() {
    let inventory = |name| Inventory { hidden: vec![hidden(Some(name), None)], ..Inventory::default() };

    assert_eq!(find(&inventory("c-2"), "c-2").unwrap_err().message, "VM 101 (c-2) is on pve2, which is offline");
    assert_eq!(find(&inventory("db"), "c-2"), Ok(None));
}

#[test]
fn a_host_whose_list_can_not_be_had_has_not_no_vm() {
    let why = Failure::new(Exit::Unreachable, Code::Unreachable, "no answer");
    let silent = Hidden { why: Some(why), ..hidden(Some("c-2"), None) };
    let inventory = Inventory { hidden: vec![silent], ..Inventory::default() };

    let failure = find(&inventory, "c-2").unwrap_err();

    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.message.ends_with("pve2, which doesn't answer: no answer"), "{}", failure.message);
}

#[test]
fn a_config_that_can_not_be_read_is_the_error_of_every_node_that_it_may_be() {
    for (known, exit) in [
        (unread(101, "c-2", false, Exit::NotAllowed), Exit::NotAllowed),
        (unread(101, "", false, Exit::NotAllowed), Exit::NotAllowed),
        (unread(101, "renamed", true, Exit::Unreachable), Exit::Unreachable),
    ] {
        let inventory = Inventory { known: vec![ours(100, "c-1"), known], ..Inventory::default() };
        assert_eq!(find(&inventory, "c-2").unwrap_err().exit, exit);
        assert_eq!(find(&inventory, "c-1"), Ok(Some(100)));
    }
}

#[test]
fn somebody_elses_vm_of_the_name_stands_in_the_way_of_making_one_and_of_nothing_else() {
    let foreign = Known { config: Ok([("name", "c-1")].into_iter().collect()), is_tagged: false, ..ours(100, "c-1") };
    let inventory = Inventory { known: vec![foreign], ..Inventory::default() };
    let find = |namesakes| inventory.find(&identity(), "lab", "c-1", namesakes).map(|known| known.map(|it| it.vmid));

    assert_eq!(find(Namesakes::Refused).unwrap_err().code, "not-ours");
    assert_eq!(find(Namesakes::Ignored), Ok(None));
}

#[test]
fn a_token_that_can_not_see_the_vms_is_refused_with_the_commands_that_help() {
    let allowed = |json: &str, pool: Option<&str>, creates| {
        let rights = Rights::from(serde_json::from_str::<Permissions>(json).unwrap());
        allowed(&rights, "talos@pve!cli", pool, creates).map_err(Failure::from)
    };
    let both = r#"{"/vms":{"VM.Audit":1,"VM.Allocate":1}}"#;
    assert_eq!(allowed(both, None, true), Ok(()));
    assert_eq!(allowed(r#"{"/vms":{"VM.Audit":1}}"#, None, false), Ok(()));
    let in_pool = r#"{"/pool/talos":{"VM.Audit":1,"VM.Allocate":1}}"#;
    assert_eq!(allowed(in_pool, Some("talos"), true), Ok(()));
    for (json, pool, message, path) in [
        ("{}", None, "the token talos@pve!cli has no rights at all", "acl modify / "),
        (
            r#"{"/storage/local":{"Datastore.Audit":1}}"#,
            None,
            "lacks VM.Audit and VM.Allocate on /vms",
            "acl modify /vms ",
        ),
        (
            r#"{"/vms/100":{"VM.Audit":1,"VM.Allocate":1}}"#,
            None,
            "lacks VM.Audit and VM.Allocate on /vms",
            "acl modify /vms ",
        ),
        (r#"{"/vms":{"VM.Audit":0,"VM.Allocate":1}}"#, None, "lacks VM.Audit on /vms", "acl modify /vms "),
        (in_pool, Some("other"), "lacks VM.Audit and VM.Allocate on /pool/other", "acl modify /pool/other "),
    ] {
        let failure = allowed(json, pool, true).unwrap_err();
        assert_eq!(failure.exit, Exit::NotAllowed, "{json}");
        assert!(failure.message.contains(message), "{}", failure.message);
        let hint = failure.hint.unwrap();
        let line = format!("{path}--users talos@pve --tokens 'talos@pve!cli' --roles TalosVm");
        assert!(hint.contains(&line), "{hint}");
    }
}
