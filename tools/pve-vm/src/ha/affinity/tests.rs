//! Wishes and rules as data.

use super::*;

const TAG: &str = "ichor-5c2e3008";

fn owner(vmid: u32) -> Owner<'static> {
    Owner { tag: TAG, cluster: "lab", node: "w-1", vmid: Some(vmid), plans: false }
}

fn on(nodes: &str, strict: bool) -> Affinity {
    Affinity { hosts: hosts(nodes).unwrap(), strict, ..Affinity::default() }
}

fn group(relation: Relation, name: &str) -> Group {
    Group { relation, name: name.into() }
}

fn apart() -> Affinity {
    Affinity { groups: [group(Relation::Separate, "etcd")].into(), ..Affinity::default() }
}

fn rule(name: &str, kind: &str, resources: &str) -> HaRule {
    let affinity = (kind == "resource-affinity").then(|| "negative".to_owned());
    HaRule {
        rule: format!("{TAG}-{name}"),
        kind: kind.into(),
        resources: resources.into(),
        affinity,
        ..HaRule::default()
    }
}

fn managed(vmids: &[u32]) -> BTreeSet<String> {
    vmids.iter().map(|vmid| sid(*vmid)).collect()
}

/// The calls for the VM with the ID 101, while these VMs of its group are known.
fn calls(wish: &Affinity, rules: &[HaRule], known: &[(&str, Option<u32>)]) -> Vec<RuleCall> {
    let members = known.iter().map(|(node, vmid)| ((*node).to_owned(), (apart(), *vmid))).collect();
    let found = wish.differences(owner(101), rules, &members, &managed(&[100, 101, 102, 103]));
    found.into_iter().map(|(_, call)| call).collect()
}

fn value<'a>(call: &'a RuleCall, key: &str) -> &'a str {
    let (RuleCall::Add(_, sent) | RuleCall::Change(_, sent)) = call else { panic!("{call:?}") };
    sent.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}

#[test]
fn hosts_are_read_as_proxmox_ve_writes_them() {
    let two = BTreeMap::from([("pve1".to_owned(), 2), ("pve2".to_owned(), 0)]);
    for text in ["pve1:2,pve2", "pve2:0 pve1:2", "pve2; pve1:2"] {
        assert_eq!(hosts(text).as_ref(), Some(&two), "{text}");
    }
    for wrong in ["", " ", "pve1:x", "pve1:-1", "pve_1", ":2"] {
        assert_eq!(hosts(wrong), None, "{wrong:?}");
    }
    assert!(on("pve1:2,pve2", false).is_ranked() && !on("pve1:1,pve2:1", false).is_ranked());
}

#[test]
fn a_vm_has_a_rule_of_its_own_for_its_hosts_and_an_equal_one_is_left() {
    let wish = on("pve1:2,pve2", true);
    let made = calls(&wish, &[], &[]);
    assert!(matches!(&made[..], [RuleCall::Add(name, _)] if name == "ichor-5c2e3008-hosts-101"), "{made:?}");
    assert_eq!(
        (value(&made[0], "resources"), value(&made[0], "nodes"), value(&made[0], "strict")),
        ("vm:101", "pve1:2,pve2", "1")
    );
    let found =
        HaRule { nodes: Some("pve2,pve1:2".into()), strict: true, ..rule("hosts-101", "node-affinity", "vm:101") };
    assert_eq!(calls(&wish, std::slice::from_ref(&found), &[]), []);
    let changed = calls(&on("pve3", false), std::slice::from_ref(&found), &[]);
    assert!(matches!(&changed[..], [RuleCall::Change(..)]) && value(&changed[0], "strict") == "0", "{changed:?}");
    assert_eq!(calls(&Affinity::default(), &[found], &[]), [RuleCall::Remove("ichor-5c2e3008-hosts-101".into())]);
}

#[test]
fn the_second_vm_of_a_group_makes_its_rule_and_the_others_join_it() {
    assert_eq!(calls(&apart(), &[], &[("w-1", Some(101))]), [], "a rule about one VM is refused");
    let made = calls(&apart(), &[], &[("w-1", Some(101)), ("w-2", Some(102))]);
    assert!(matches!(&made[..], [RuleCall::Add(name, _)] if name == "ichor-5c2e3008-separate-etcd"), "{made:?}");
    assert_eq!((value(&made[0], "resources"), value(&made[0], "affinity")), ("vm:101,vm:102", "negative"));

    let with = |resources| [rule("separate-etcd", "resource-affinity", resources)];
    let joined = calls(&apart(), &with("vm:100,vm:102"), &[]);
    assert!(matches!(&joined[..], [RuleCall::Change(..)]), "{joined:?}");
    assert_eq!(value(&joined[0], "resources"), "vm:100,vm:101,vm:102");
    assert_eq!(calls(&apart(), &with("vm:101,vm:100"), &[]), []);
    let cleaned = calls(&apart(), &with("vm:100,vm:900"), &[]);
    assert_eq!(value(&cleaned[0], "resources"), "vm:100,vm:101", "a VM that isn't managed any more is refused");
}

#[test]
fn a_plan_knows_the_rule_of_vms_that_are_not_made_yet() {
    let planned = |nodes: &[&str]| {
        let members = nodes.iter().map(|node| ((*node).to_owned(), (apart(), None))).collect();
        let owner = Owner { vmid: None, plans: true, ..owner(0) };
        apart().differences(owner, &[], &members, &BTreeSet::new()).len()
    };
    assert_eq!((planned(&["w-1"]), planned(&["w-1", "w-2"])), (0, 1));
}

#[test]
fn more_vms_than_hosts_can_not_be_kept_apart() {
    let etcd = group(Relation::Separate, "etcd");
    let members = |wishes: &[Affinity]| -> Members {
        wishes.iter().enumerate().map(|(index, wish)| (format!("n-{index}"), (wish.clone(), None))).collect()
    };
    let three = members(&[apart(), apart(), apart()]);
    assert_eq!(crowded(&three, &etcd, 3), None);
    assert_eq!(crowded(&three, &etcd, 2).as_deref(), Some("3 VMs are kept apart as etcd, and there are 2 hosts"));
    let bound = Affinity { groups: apart().groups, ..on("pve1", false) };
    let two = members(&[bound.clone(), bound, apart()]);
    assert_eq!(crowded(&two, &etcd, 3).as_deref(), Some("2 VMs are kept apart as etcd, and their `nodes` are 1 hosts"));
    assert_eq!(crowded(&three, &group(Relation::Together, "etcd"), 1), None);
}

#[test]
fn who_leaves_a_group_takes_only_itself_out_and_a_rule_about_one_goes() {
    let wish = Affinity::default();
    let left = calls(&wish, &[rule("separate-etcd", "resource-affinity", "vm:100,vm:101,vm:102")], &[]);
    assert_eq!(value(&left[0], "resources"), "vm:100,vm:102");
    let last = calls(&wish, &[rule("separate-etcd", "resource-affinity", "vm:100,vm:101")], &[]);
    assert_eq!(last, [RuleCall::Remove("ichor-5c2e3008-separate-etcd".into())]);
    assert_eq!(calls(&wish, &[rule("separate-etcd", "resource-affinity", "vm:100,vm:102")], &[]), []);
}

#[test]
fn rules_of_others_are_never_touched() {
    let foreign_rule = |name: &str, kind: &str| HaRule { rule: name.into(), ..rule("", kind, "vm:101,vm:102") };
    let others = [
        foreign_rule("keep", "resource-affinity"),
        foreign_rule("ichor-99999999-separate-etcd", "resource-affinity"),
        foreign_rule("near", "node-affinity"),
    ];
    assert_eq!(calls(&Affinity::default(), &others, &[]), []);
    assert_eq!(forgetting(TAG, 101, &others, false), None);
    assert_eq!(foreign(TAG, 101, &others).map(|rule| rule.rule.as_str()), Some("near"));
    let off = [HaRule { disable: true, ..foreign_rule("near", "node-affinity") }];
    assert_eq!(foreign(TAG, 101, &off), None);
    assert_eq!(foreign(TAG, 101, &[rule("hosts-101", "node-affinity", "vm:101")]), None);
}

#[test]
fn a_vm_that_is_gone_leaves_nothing_in_our_rules() {
    let hosts = rule("hosts-101", "node-affinity", "vm:101");
    assert_eq!(forgetting(TAG, 101, &[hosts], true), Some(RuleCall::Remove("ichor-5c2e3008-hosts-101".into())));
    let with = |resources| [rule("separate-etcd", "resource-affinity", resources)];
    let kept = forgetting(TAG, 101, &with("vm:100,vm:101,vm:102"), true).unwrap();
    assert_eq!(value(&kept, "resources"), "vm:100,vm:102");
    for about_one in ["vm:100", "vm:100,vm:101"] {
        let gone = RuleCall::Remove("ichor-5c2e3008-separate-etcd".into());
        assert_eq!(forgetting(TAG, 101, &with(about_one), false), Some(gone), "{about_one}");
    }
    assert_eq!(forgetting(TAG, 101, &with("vm:100,vm:102"), false), None);
    assert_eq!(forgetting(TAG, 101, &with("vm:100"), true), None, "it waits for the new VM");
}
