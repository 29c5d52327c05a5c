//! Comparing a value that the file has with the one that Proxmox VE has: it sorts, adds, and spells in its own way.

use std::{collections::BTreeMap, net::IpAddr};

use pve_client::property::Property;

use crate::parameters::{Kind, Parameter};

/// How much of a value must be as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything: a key that only the server has is a difference. For what the user wrote.
    Whole,
    /// What Ichor has a default for; further keys are somebody's own.
    Part,
}

/// Whether a parameter has the wanted value. Drives and network cards are compared elsewhere.
pub(crate) fn same(parameter: &Parameter, extent: Extent, wanted: &str, found: Option<&str>) -> bool {
    // The server writes an empty value as a space.
    let found = found.filter(|text| !text.trim().is_empty()).or(parameter.default);
    match parameter.kind {
        Kind::Property(default, defaults) => {
            let found = pairs(found.unwrap_or_default(), default, defaults);
            let wanted = pairs(wanted, default, defaults);
            match extent {
                Extent::Whole => wanted == found,
                Extent::Part => wanted.iter().all(|(key, value)| found.get(key) == Some(value)),
            }
        }
        Kind::Secret => found.is_some(),
        Kind::BootOrder => found.is_some_and(|found| boots(wanted, found)),
        _ => match found {
            Some(found) => canonical(parameter, wanted) == canonical(parameter, found),
            None => canonical(parameter, wanted).is_empty(),
        },
    }
}

/// A value in the one spelling in which equal ones are equal.
fn canonical(parameter: &Parameter, text: &str) -> String {
    match parameter.kind {
        Kind::Flag => flag(text).map_or(text, |on| if on { "1" } else { "0" }).to_owned(),
        Kind::Number => number(text),
        Kind::Lines => text.replace("\r\n", "\n").trim().to_owned(),
        Kind::Words => {
            // `1` and `0` stand for the usual features, and for none.
            let text = match (parameter.default, flag(text)) {
                (Some(usual), Some(true)) => usual,
                (Some(_), Some(false)) => "",
                _ => text,
            };
            sorted(text)
        }
        Kind::Addresses => {
            let address = |text: &str| text.parse::<IpAddr>().map_or(text.to_owned(), |address| address.to_string());
            words(text).map(address).collect::<Vec<_>>().join(" ")
        }
        Kind::Text | Kind::Property(..) | Kind::Drive | Kind::Nic | Kind::BootOrder | Kind::Secret => {
            text.trim().to_owned()
        }
    }
}

/// Whether a VM boots from what it should: the server appends drives that appear later.
fn boots(wanted: &str, found: &str) -> bool {
    let order = |text: &str| text.trim().trim_start_matches("order=").split(';').map(str::to_owned).collect::<Vec<_>>();
    order(found).starts_with(&order(wanted))
}

/// The pairs of a property string: each with its key, equal values spelled alike, without those that hold anyway.
pub(crate) fn pairs(text: &str, default: &str, defaults: &[(&str, &str)]) -> BTreeMap<String, String> {
    let property = Property::parse(text);
    let pair = |(key, value): (Option<&str>, &str)| {
        let key = key.unwrap_or(default);
        (key.to_owned(), plain(key, value))
    };
    let mut pairs: BTreeMap<String, String> = property.pairs().map(pair).collect();
    pairs.retain(|key, value| !defaults.iter().any(|(known, usual)| known == key && plain(key, usual) == *value));
    pairs
}

/// Keys whose values are lists in any order.
const LISTS: [&str; 2] = ["flags", "trunks"];
/// Keys whose values have no case.
const NO_CASE: [&str; 2] = ["uuid", "macaddr"];

/// The value of a key in the one spelling in which equal ones are equal.
pub(crate) fn plain(key: &str, value: &str) -> String {
    if let Some(on) = flag(value) {
        return if on { "1" } else { "0" }.to_owned();
    }
    if LISTS.contains(&key) {
        return sorted(value);
    }
    if NO_CASE.contains(&key) {
        return value.to_ascii_lowercase();
    }
    match value.split_once('/') {
        Some((address, prefix)) => match address.parse::<IpAddr>() {
            Ok(address) => format!("{address}/{prefix}"),
            Err(_) => value.to_owned(),
        },
        None => value.parse::<IpAddr>().map_or_else(|_| number(value), |address| address.to_string()),
    }
}

/// What a word means that stands for on or off.
pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// A number without zeros that say nothing; other text as it is.
fn number(text: &str) -> String {
    let text = text.trim();
    let is_fraction = text.contains('.') && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    match is_fraction && text.matches('.').count() == 1 {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// The words of a list.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ']).map(str::trim).filter(|word| !word.is_empty())
}

fn sorted(text: &str) -> String {
    let mut words: Vec<&str> = words(text).collect();
    words.sort_unstable();
    words.dedup();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::find;

    #[track_caller]
    fn is_same(name: &str, wanted: &str, found: &str) -> bool {
        same(find(name).unwrap(), Extent::Whole, wanted, Some(found))
    }

    #[test]
    fn values_that_the_server_spells_differently_are_the_same() {
        for (name, wanted, found) in [
            ("agent", "1", "enabled=1,type=virtio"),
            ("agent", "enabled=true,fstrim_cloned_disks=0", "1"),
            ("cpu", "host,flags=+aes;-pcid", "flags=-pcid;+aes,cputype=host"),
            ("memory", "4096", "current=4096"),
            ("onboot", "yes", "1"),
            ("cpulimit", "1.50", "1.5"),
            ("hotplug", "usb,network,disk", "network,disk,usb"),
            ("hotplug", "1", "network,disk,usb"),
            ("startup", "order=3,up=10", "up=10,3"),
            ("vga", "memory=32", "type=std,memory=32"),
            ("smbios1", "uuid=AB-12", "uuid=ab-12"),
            ("ipconfig0", "gw6=FD00::1,ip6=fd00:0::11/64", "ip6=fd00::11/64,gw6=fd00::1"),
            ("nameserver", "10.0.0.1 FD00::1", "10.0.0.1 fd00::1"),
            ("description", "one\r\ntwo\n", "one\ntwo"),
            ("hostpci0", "mapping=gpu,pcie=1", "pcie=on,mapping=gpu,rombar=1"),
            ("rng0", "/dev/urandom", "source=/dev/urandom"),
            ("cipassword", "secret", "**********"),
        ] {
            assert!(is_same(name, wanted, found), "{name}: {wanted:?} is not {found:?}");
        }
    }

    #[test]
    fn values_that_differ_are_told_apart() {
        for (name, wanted, found) in [
            ("agent", "1", "1,fstrim_cloned_disks=1"),
            ("agent", "1", "0"),
            ("cpu", "host", "host,flags=+aes"),
            ("memory", "4096", "2048"),
            ("hotplug", "0", "network,disk,usb"),
            ("nameserver", "10.0.0.1 10.0.0.2", "10.0.0.2 10.0.0.1"),
            ("name", "cp-1", "CP-1"),
            ("hostpci0", "mapping=gpu", "mapping=gpu,pcie=1"),
            ("serial0", "socket", " "),
        ] {
            assert!(!is_same(name, wanted, found), "{name}: {wanted:?} is {found:?}");
        }
    }

    #[test]
    fn what_is_not_set_has_the_servers_default() {
        let unset = |name: &str, wanted: &str| same(find(name).unwrap(), Extent::Whole, wanted, None);
        for (name, wanted) in [("kvm", "1"), ("numa", "0"), ("sockets", "1"), ("agent", "0"), ("cpu", "kvm64")] {
            assert!(unset(name, wanted), "{name} {wanted}");
        }
        for (name, wanted) in [("kvm", "0"), ("balloon", "0"), ("searchdomain", "lan"), ("cipassword", "x")] {
            assert!(!unset(name, wanted), "{name} {wanted}");
        }
    }

    #[test]
    fn keys_that_ichor_has_no_opinion_on_are_somebodys_own() {
        let agent = find("agent").unwrap();
        assert!(same(agent, Extent::Part, "1", Some("1,fstrim_cloned_disks=1")));
        assert!(!same(agent, Extent::Part, "1", Some("0,fstrim_cloned_disks=1")));
    }

    #[test]
    fn a_boot_order_that_the_server_extended_is_the_same() {
        assert!(is_same("boot", "order=scsi0", "order=scsi0;ide2"));
        for found in ["order=ide2;scsi0", "order=net0", " "] {
            assert!(!is_same("boot", "order=scsi0", found), "{found:?}");
        }
    }
}
