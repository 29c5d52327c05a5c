//! Whether a node is the machine of its record.

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
