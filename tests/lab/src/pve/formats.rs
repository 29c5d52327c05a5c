//! The named formats of Proxmox VE's schema.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::keys;
use super::schema::Kind;

/// `name`.
pub(crate) fn dns_name(value: &str) -> Result<(), String> {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    match value.split('.').all(label) {
        true => Ok(()),
        false => Err("value does not look like a valid DNS name".to_owned()),
    }
}

/// `vmid`.
pub(crate) fn vmid(value: &str) -> Result<(), String> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match digits && (3..=9).contains(&value.len()) && !value.starts_with('0') {
        true => Ok(()),
        false => Err("value does not look like a valid VM ID".to_owned()),
    }
}

/// `tags`.
pub(crate) fn tags(value: &str) -> Result<(), String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+.".contains(&byte);
    let valid = |tag: &str| {
        let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        first && tag.bytes().all(inner)
    };
    match split_tags(value).all(valid) {
        true => Ok(()),
        false => Err("invalid characters in tag".to_owned()),
    }
}

/// The tags in a list with any of the separators.
pub(crate) fn split_tags(value: &str) -> impl Iterator<Item = &str> {
    value.split([';', ',', ' ']).filter(|tag| !tag.is_empty())
}

/// `cpu`: names built into QEMU that Proxmox VE knows, as far as they matter, and custom ones.
pub(crate) fn cpu_type(value: &str) -> Result<(), String> {
    const KNOWN: &[&str] = &[
        "host",
        "max",
        "kvm64",
        "kvm32",
        "qemu64",
        "qemu32",
        "x86-64-v2",
        "x86-64-v2-AES",
        "x86-64-v3",
        "x86-64-v4",
        "EPYC",
        "EPYC-Rome",
        "EPYC-Milan",
        "EPYC-Genoa",
        "Haswell",
        "Broadwell",
        "Skylake-Client",
        "Skylake-Server",
        "Cascadelake-Server",
        "Icelake-Server",
        "SapphireRapids",
        "GraniteRapids",
        "Nehalem",
        "Westmere",
        "SandyBridge",
        "IvyBridge",
        "Penryn",
        "Conroe",
        "Opteron_G5",
        "core2duo",
        "coreduo",
        "athlon",
        "pentium",
        "486",
        "phenom",
    ];
    match KNOWN.contains(&value) || value.starts_with("custom-") {
        true => Ok(()),
        false => Err(format!("Built-in cputype '{value}' is not defined (missing 'custom-' prefix?)")),
    }
}

/// `cpu` names an unknown type without naming the key inside.
pub(crate) fn cpu(value: &str) -> Result<(), String> {
    let first = value.split(',').next().unwrap_or_default();
    let name = first.strip_prefix("cputype=").unwrap_or(first);
    if !name.contains('=') {
        cpu_type(name)?;
    }
    let checked = super::schema::check("cpu", Kind::Properties(&keys::CPU), value);
    checked.map_err(|text| text.trim_start_matches("invalid format - ").trim_end_matches('\n').to_owned())
}

/// `machine` without its options.
pub(crate) fn machine_type(value: &str) -> bool {
    matches!(value, "pc" | "q35" | "virt")
        || ["pc-i440fx-", "pc-q35-", "virt-"].iter().any(|start| value.starts_with(start))
}

/// The name of a snapshot.
pub(crate) fn config_id_40(value: &str) -> Result<(), String> {
    let word = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let letter = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    match word && letter && value.len() > 1 {
        true => Ok(()),
        false => Err(format!("invalid configuration ID '{value}'")),
    }
}

/// `macaddr`: a unicast address.
pub(crate) fn mac(value: &str) -> Result<(), String> {
    let parts: Vec<&str> = value.split(':').collect();
    let hex = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unicast = parts.first().and_then(|part| u8::from_str_radix(part, 16).ok()).is_some_and(|byte| byte & 1 == 0);
    match parts.len() == 6 && parts.iter().all(hex) && unicast {
        true => Ok(()),
        false => Err("value does not look like a valid unicast MAC address".to_owned()),
    }
}

/// `bridge`.
pub(crate) fn bridge(value: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        true => Ok(()),
        false => Err(format!("invalid bridge ID '{value}'")),
    }
}

/// `file` of a drive.
pub(crate) fn volume_or_path(value: &str) -> Result<(), String> {
    match matches!(value, "none" | "cdrom") || value.starts_with('/') || value.contains(':') {
        true => Ok(()),
        false => Err(format!("unable to parse volume ID '{value}'")),
    }
}

/// A volume ID.
pub(crate) fn volume(value: &str) -> Result<(), String> {
    match value.split_once(':') {
        Some((storage, name)) if !storage.is_empty() && !name.is_empty() => Ok(()),
        _ => Err(format!("unable to parse volume ID '{value}'")),
    }
}

/// `ip`.
pub(crate) fn ipv4_config(value: &str) -> Result<(), String> {
    let cidr = |value: &str| {
        let (address, prefix) = value.split_once('/')?;
        address.parse::<Ipv4Addr>().ok()?;
        prefix.parse::<u8>().ok().filter(|prefix| *prefix <= 32)
    };
    match value == "dhcp" || cidr(value).is_some() {
        true => Ok(()),
        false => Err("value does not look like a valid ipv4 network configuration".to_owned()),
    }
}

/// `ip6`.
pub(crate) fn ipv6_config(value: &str) -> Result<(), String> {
    let cidr = |value: &str| {
        let (address, prefix) = value.split_once('/')?;
        address.parse::<Ipv6Addr>().ok()?;
        prefix.parse::<u8>().ok().filter(|prefix| *prefix <= 128)
    };
    match matches!(value, "dhcp" | "auto") || cidr(value).is_some() {
        true => Ok(()),
        false => Err("value does not look like a valid ipv6 network configuration".to_owned()),
    }
}

/// `gw`.
pub(crate) fn ipv4(value: &str) -> Result<(), String> {
    value.parse::<Ipv4Addr>().map(|_| ()).map_err(|_| "value does not look like a valid ipv4 address".to_owned())
}

/// `gw6`.
pub(crate) fn ipv6(value: &str) -> Result<(), String> {
    value.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| "value does not look like a valid ipv6 address".to_owned())
}

/// `uuid` of `smbios1`.
pub(crate) fn uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Texts of `smbios1`.
pub(crate) fn base64_letters(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// `vmgenid`.
pub(crate) fn vmgenid(value: &str) -> bool {
    matches!(value, "0" | "1") || uuid(value)
}

/// `serialN`.
pub(crate) fn serial(value: &str) -> bool {
    value == "socket" || value.strip_prefix("/dev/").is_some_and(|rest| !rest.contains(','))
}

/// `size` of a resize call.
pub(crate) fn new_size(value: &str) -> bool {
    super::property::bytes(value.strip_prefix('+').unwrap_or(value)).is_some()
}

/// `url` of a download.
pub(crate) fn url(value: &str) -> bool {
    value.starts_with("http://") || value.starts_with("https://")
}

/// The old form of `boot`.
pub(crate) fn legacy_boot(value: &str) -> bool {
    (1..=4).contains(&value.len()) && value.bytes().all(|byte| b"acdn".contains(&byte))
}

/// `size` of a drive.
pub(crate) fn disk_size(value: &str) -> bool {
    super::property::bytes(value).is_some()
}

/// `startup`.
pub(crate) fn startup(value: &str) -> Result<(), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = |part: &str| match part.split_once('=') {
        Some((key, value)) => matches!(key, "order" | "up" | "down") && number(value),
        None => number(part),
    };
    match value.split(',').all(valid) {
        true => Ok(()),
        false => Err("unable to parse startup options".to_owned()),
    }
}

/// `hotplug`.
pub(crate) fn hotplug(value: &str) -> Result<(), String> {
    const FEATURES: &[&str] = &["network", "disk", "cpu", "memory", "usb", "cloudinit", "0", "1"];
    match value.split(',').find(|feature| !FEATURES.contains(feature)) {
        None => Ok(()),
        Some(feature) => Err(format!("invalid hotplug feature '{feature}'")),
    }
}

/// `affinity`.
pub(crate) fn cpu_set(value: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_digit() || b",-".contains(&byte)) {
        true => Ok(()),
        false => Err("unable to parse cpuset option".to_owned()),
    }
}
