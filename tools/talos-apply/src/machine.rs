//! Whether a node is the machine of its record.

use go_yaml::Value;
use machine_config::Config;
use record::status::Vm;
use talos_client::{Fingerprint, Link};

use crate::error::Error;

/// How a machine's UUID compares with the VM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// It is the same, or no UUID is known to compare with.
    Same,
    /// The node hasn't reported its UUID yet.
    NotYet,
    /// The UUIDs differ; the NICs decide, since the UUID can be overridden on the node.
    CompareNics,
}

/// Compares the UUID that a node reports with the VM's, if one is known.
pub(crate) fn by_uuid(vm: Option<&Vm>, uuid: Option<&str>) -> Match {
    match (vm.map(|vm| vm.uuid.as_str()).filter(|uuid| !uuid.is_empty()), uuid) {
        (None, _) => Match::Same,
        (Some(_), None) => Match::NotYet,
        (Some(wanted), Some(found)) if wanted.eq_ignore_ascii_case(found) => Match::Same,
        (Some(_), Some(_)) => Match::CompareNics,
    }
}

/// Compares the NICs of a node whose UUID differs with those of the VM.
pub(crate) fn by_nics(vm: &Vm, uuid: &str, links: &[Link]) -> Result<(), Error> {
    let known = |mac: &str| vm.macs.iter().any(|wanted| wanted.eq_ignore_ascii_case(mac));
    if links.iter().any(|link| link.physical && known(&link.mac)) {
        return Ok(());
    }
    Err(Error::OtherMachine { found: uuid.to_owned(), wanted: vm.uuid.clone() })
}

/// The hardware addresses by which a config selects NICs, in lower case. An expression that says more than one address is,
/// or a pattern, selects nothing that could be compared.
pub(crate) fn selected_macs(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let aliases = config.all("LinkAliasConfig").filter_map(|alias| match alias.get("selector") {
        Some(Value::Map(selector)) => selector.get("match").and_then(Value::as_text),
        _ => None,
    });
    for expression in aliases.filter(|expression| expression.starts_with("mac(") && !expression.contains('!')) {
        found.extend(expression.split('"').skip(1).step_by(2).filter_map(mac));
    }
    if let Some(network) = config.legacy(&["machine", "network"]) {
        of_selectors(network, &mut found);
    }
    found
}

fn of_selectors(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Map(map) => {
            for key in ["hardwareAddr", "permanentAddr"] {
                found.extend(map.get(key).and_then(Value::as_text).and_then(mac));
            }
            map.iter().for_each(|(_, value)| of_selectors(value, found));
        }
        Value::List(list) => list.iter().for_each(|value| of_selectors(value, found)),
        _ => {}
    }
}

/// A whole hardware address, in lower case.
fn mac(text: &str) -> Option<String> {
    let mut octets = text.split([':', '-']);
    let is_octet = |octet: &str| octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit());
    (octets.by_ref().take(6).filter(|octet| is_octet(octet)).count() == 6 && octets.next().is_none())
        .then(|| text.replace('-', ":").to_ascii_lowercase())
}

/// Whether a node has one of the NICs that a config selects.
pub(crate) fn by_selectors(selected: &[String], links: &[Link]) -> Result<(), Error> {
    let of =
        |links: &[Link]| links.iter().filter(|link| link.physical).map(|link| link.mac.clone()).collect::<Vec<_>>();
    if links.iter().any(|link| selected.iter().any(|mac| mac.eq_ignore_ascii_case(&link.mac))) {
        return Ok(());
    }
    Err(Error::OtherNics { config: selected.join(", "), node: of(links).join(", ") })
}

/// Whether a node that has a host name keeps it. A domain may be added or dropped.
pub(crate) fn by_hostname(running: Option<&str>, wanted: Option<&str>) -> Result<(), Error> {
    let host = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    match (running, wanted) {
        (Some(running), Some(wanted)) if host(running) != host(wanted) => {
            Err(Error::OtherHostname { config: wanted.to_owned(), node: running.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Compares the fingerprint of a node in maintenance mode with the known ones. If there are none, whoever is wary refuses it.
pub(crate) fn by_fingerprint(pins: &[Fingerprint], found: Fingerprint, is_wary: bool) -> Result<(), Error> {
    if pins.is_empty() && is_wary {
        return Err(Error::NoFingerprint { found: found.to_string() });
    }
    if pins.is_empty() || pins.contains(&found) {
        return Ok(());
    }
    let given = pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Error::OtherFingerprint { found: found.to_string(), given })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> Vm {
        Vm { uuid: "aaaa-01".to_owned(), macs: vec!["BC:24:11:00:00:01".to_owned()], ..Vm::default() }
    }

    fn nic(mac: &str) -> Link {
        Link { name: "eth0".to_owned(), mac: mac.to_owned(), physical: true, up: true }
    }

    #[test]
    fn a_machine_is_known_by_its_uuid_in_any_case() {
        assert_eq!(by_uuid(Some(&vm()), Some("AAAA-01")), Match::Same);
        assert_eq!(by_uuid(Some(&vm()), None), Match::NotYet);
        assert_eq!(by_uuid(Some(&vm()), Some("bbbb-02")), Match::CompareNics);
    }

    #[test]
    fn a_machine_of_unknown_origin_is_not_compared() {
        assert_eq!(by_uuid(None, Some("bbbb-02")), Match::Same);
        assert_eq!(by_uuid(Some(&Vm::default()), None), Match::Same);
    }

    #[test]
    fn a_machine_with_another_uuid_and_a_nic_of_the_vm_is_the_vm() {
        assert!(by_nics(&vm(), "bbbb-02", &[nic("bc:24:11:00:00:01")]).is_ok());

        let error = by_nics(&vm(), "bbbb-02", &[nic("bc:24:11:00:00:02")]).expect_err("another machine");
        assert_eq!(error.to_string(), "the machine at this address has the UUID bbbb-02, the VM has aaaa-01");
    }

    fn selected(documents: &str) -> Vec<String> {
        selected_macs(&machine_config::load(documents).expect("a machine config"))
    }

    #[test]
    fn a_config_is_for_the_machine_whose_nics_it_selects() {
        let alias = |expression: &str| {
            format!("apiVersion: v1alpha1\nkind: LinkAliasConfig\nname: net0\nselector:\n    match: '{expression}'\n")
        };
        let ours = selected(&alias("mac(link.permanent_addr) == \"BC:24:11:00:00:01\""));
        assert_eq!(ours, ["bc:24:11:00:00:01"]);
        for vague in [
            "mac(link.permanent_addr).startsWith(\"bc:24\")",
            "mac(link.permanent_addr) != \"bc:24:11:00:00:01\"",
            "link.type == 1",
        ] {
            assert_eq!(selected(&alias(vague)), Vec::<String>::new(), "{vague}");
        }
        let legacy = |addr: &str| {
            format!(
                "version: v1alpha1\nmachine:\n    type: worker\n    network:\n        interfaces:\n            - deviceSelector:\n                hardwareAddr: '{addr}'\n"
            )
        };
        assert_eq!(selected(&legacy("bc:24:11:00:00:02")), ["bc:24:11:00:00:02"]);
        assert_eq!(selected(&legacy("bc:24:11:*")), Vec::<String>::new());

        assert!(by_selectors(&ours, &[nic("bc:24:11:00:00:09"), nic("bc:24:11:00:00:01")]).is_ok());
        let error = by_selectors(&ours, &[nic("bc:24:11:00:00:02")]).expect_err("another machine");
        assert!(error.to_string().contains("(bc:24:11:00:00:01), and the node has others (bc:24:11:00:00:02)"));
    }

    #[test]
    fn a_node_keeps_its_name_with_or_without_a_domain_and_a_new_one_has_none() {
        for (running, wanted) in [
            (None, Some("w-1")),
            (Some("w-1"), None),
            (Some("w-1"), Some("w-1.lab.example")),
            (Some("W-1.lab.example"), Some("w-1")),
        ] {
            assert!(by_hostname(running, wanted).is_ok(), "{running:?} {wanted:?}");
        }
        let error = by_hostname(Some("w-1"), Some("w-2")).expect_err("another node");
        assert_eq!(error.to_string(), "the config is for w-2, but the node runs as w-1");
    }

    #[test]
    fn a_fingerprint_is_only_compared_where_one_is_known() {
        let found: Fingerprint = "pnduMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=".parse().expect("a fingerprint");
        let other: Fingerprint = "AAAAMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=".parse().expect("a fingerprint");

        for is_wary in [false, true] {
            assert_eq!(by_fingerprint(&[], found, is_wary).is_ok(), !is_wary);
            assert!(by_fingerprint(&[other, found], found, is_wary).is_ok());
            assert!(by_fingerprint(&[other], found, is_wary).is_err());
        }
    }
}
