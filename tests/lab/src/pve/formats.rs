//! The named formats of Proxmox VE's schema, and its property strings.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::property::NIC_MODELS;
use super::schema::{INTEGER, Kind, Properties, TEXT};

const AT_LEAST_0: Kind = Kind::Integer(Some(0), None);
const FILE: Kind = Kind::Format(volume_or_path);

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
fn cpu_type(value: &str) -> Result<(), String> {
    const KNOWN: &[&str] = &[
        "host", "max", "kvm64", "kvm32", "qemu64", "qemu32", "x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4",
        "EPYC", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa", "Haswell", "Broadwell", "Skylake-Client", "Skylake-Server",
        "Cascadelake-Server", "Icelake-Server", "SapphireRapids", "GraniteRapids", "Nehalem", "Westmere", "SandyBridge",
        "IvyBridge", "Penryn", "Conroe", "Opteron_G5", "core2duo", "coreduo", "athlon", "pentium", "486", "phenom",
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
    let checked = super::schema::check("cpu", Kind::Properties(&CPU), value);
    checked.map_err(|text| text.trim_start_matches("invalid format - ").trim_end_matches('\n').to_owned())
}

/// `machine` without its options.
fn machine_type(value: &str) -> bool {
    matches!(value, "pc" | "q35" | "virt") || ["pc-i440fx-", "pc-q35-", "virt-"].iter().any(|start| value.starts_with(start))
}

fn mac(value: &str) -> Result<(), String> {
    let parts: Vec<&str> = value.split(':').collect();
    let hex = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unicast = parts.first().and_then(|part| u8::from_str_radix(part, 16).ok()).is_some_and(|byte| byte & 1 == 0);
    match parts.len() == 6 && parts.iter().all(hex) && unicast {
        true => Ok(()),
        false => Err("value does not look like a valid unicast MAC address".to_owned()),
    }
}

fn bridge(value: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        true => Ok(()),
        false => Err(format!("invalid bridge ID '{value}'")),
    }
}

fn volume_or_path(value: &str) -> Result<(), String> {
    match matches!(value, "none" | "cdrom") || value.starts_with('/') || value.contains(':') {
        true => Ok(()),
        false => Err(format!("unable to parse volume ID '{value}'")),
    }
}

fn volume(value: &str) -> Result<(), String> {
    match value.split_once(':') {
        Some((storage, name)) if !storage.is_empty() && !name.is_empty() => Ok(()),
        _ => Err(format!("unable to parse volume ID '{value}'")),
    }
}

fn ipv4_config(value: &str) -> Result<(), String> {
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

fn ipv6_config(value: &str) -> Result<(), String> {
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

fn ipv4(value: &str) -> Result<(), String> {
    value.parse::<Ipv4Addr>().map(|_| ()).map_err(|_| "value does not look like a valid ipv4 address".to_owned())
}

fn ipv6(value: &str) -> Result<(), String> {
    value.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| "value does not look like a valid ipv6 address".to_owned())
}

/// `uuid` of `smbios1`.
fn uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn base64_letters(value: &str) -> bool {
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

fn legacy_boot(value: &str) -> bool {
    (1..=4).contains(&value.len()) && value.bytes().all(|byte| b"acdn".contains(&byte))
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

/// `current` of `memory`.
pub(crate) const MEMORY: Properties =
    Properties { default: Some("current"), keys: &[("current", Kind::Integer(Some(16), None), true)], needs: &[] };

const CPU: Properties = Properties {
    default: Some("cputype"),
    keys: &[
        ("cputype", Kind::Format(cpu_type), false),
        ("flags", TEXT, false),
        ("hidden", Kind::Boolean, false),
        ("hv-vendor-id", TEXT, false),
        ("phys-bits", TEXT, false),
        ("guest-phys-bits", INTEGER, false),
        ("reported-model", TEXT, false),
    ],
    needs: &[],
};

/// `machine`.
pub(crate) const MACHINE: Properties = Properties {
    default: Some("type"),
    keys: &[
        ("type", Kind::Pattern(machine_type), false),
        ("viommu", Kind::OneOf(&["intel", "virtio"]), false),
        ("aw-bits", Kind::Number(Some(32), Some(64)), false),
        ("enable-s3", Kind::Boolean, false),
        ("enable-s4", Kind::Boolean, false),
    ],
    needs: &[],
};

/// `netN`.
pub(crate) const NIC: Properties = Properties {
    default: Some("model"),
    keys: &[
        ("model", Kind::OneOf(NIC_MODELS), true),
        ("macaddr", Kind::Format(mac), false),
        ("bridge", Kind::Format(bridge), false),
        ("firewall", Kind::Boolean, false),
        ("host-tunnel", Kind::Boolean, false),
        ("link_down", Kind::Boolean, false),
        ("mtu", Kind::Integer(Some(1), Some(65520)), false),
        ("queues", Kind::Integer(Some(0), Some(64)), false),
        ("rate", Kind::Number(Some(0), None), false),
        ("tag", Kind::Integer(Some(1), Some(4094)), false),
        ("trunks", TEXT, false),
    ],
    needs: &[],
};

/// `scsiN`, `virtioN`, `sataN` and `ideN`.
pub(crate) const DRIVE: Properties = Properties {
    default: Some("file"),
    keys: &[
        ("file", FILE, true),
        ("import-from", FILE, false),
        ("format", Kind::OneOf(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]), false),
        ("size", Kind::Pattern(disk_size), false),
        ("media", Kind::OneOf(&["cdrom", "disk"]), false),
        ("cache", Kind::OneOf(&["none", "writethrough", "writeback", "unsafe", "directsync"]), false),
        ("aio", Kind::OneOf(&["native", "threads", "io_uring"]), false),
        ("discard", Kind::OneOf(&["ignore", "on"]), false),
        ("backup", Kind::Boolean, false),
        ("detect_zeroes", Kind::Boolean, false),
        ("iothread", Kind::Boolean, false),
        ("product", TEXT, false),
        ("vendor", TEXT, false),
        ("queues", Kind::Integer(Some(2), None), false),
        ("replicate", Kind::Boolean, false),
        ("rerror", Kind::OneOf(&["ignore", "report", "stop"]), false),
        ("werror", Kind::OneOf(&["enospc", "ignore", "report", "stop"]), false),
        ("ro", Kind::Boolean, false),
        ("scsiblock", Kind::Boolean, false),
        ("serial", TEXT, false),
        ("shared", Kind::Boolean, false),
        ("snapshot", Kind::Boolean, false),
        ("ssd", Kind::Boolean, false),
        ("wwn", TEXT, false),
        ("bps", AT_LEAST_0, false),
        ("bps_rd", AT_LEAST_0, false),
        ("bps_wr", AT_LEAST_0, false),
        ("iops", AT_LEAST_0, false),
        ("iops_max", AT_LEAST_0, false),
        ("iops_rd", AT_LEAST_0, false),
        ("iops_wr", AT_LEAST_0, false),
        ("mbps", Kind::Number(Some(0), None), false),
        ("mbps_max", Kind::Number(Some(0), None), false),
        ("mbps_rd", Kind::Number(Some(0), None), false),
        ("mbps_wr", Kind::Number(Some(0), None), false),
    ],
    needs: &[],
};

fn disk_size(value: &str) -> bool {
    super::property::bytes(value).is_some()
}

/// `efidisk0`.
pub(crate) const EFI_DISK: Properties = Properties {
    default: Some("file"),
    keys: &[
        ("file", FILE, true),
        ("import-from", FILE, false),
        ("format", Kind::OneOf(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]), false),
        ("efitype", Kind::OneOf(&["2m", "4m"]), false),
        ("ms-cert", Kind::OneOf(&["2011", "2023", "2023w", "2023k"]), false),
        ("pre-enrolled-keys", Kind::Boolean, false),
        ("size", Kind::Pattern(disk_size), false),
    ],
    needs: &[],
};

/// `tpmstate0`.
pub(crate) const TPM_STATE: Properties = Properties {
    default: Some("file"),
    keys: &[
        ("file", FILE, true),
        ("import-from", FILE, false),
        ("format", Kind::OneOf(&["raw", "qcow2", "vmdk"]), false),
        ("version", Kind::OneOf(&["v1.2", "v2.0"]), false),
        ("size", Kind::Pattern(disk_size), false),
    ],
    needs: &[],
};

/// `agent`.
pub(crate) const AGENT: Properties = Properties {
    default: Some("enabled"),
    keys: &[
        ("enabled", Kind::Boolean, true),
        ("type", Kind::OneOf(&["virtio", "isa"]), false),
        ("fstrim_cloned_disks", Kind::Boolean, false),
        ("freeze-fs", Kind::Boolean, false),
        ("freeze-fs-on-backup", Kind::Boolean, false),
    ],
    needs: &[],
};

/// `boot`.
pub(crate) const BOOT: Properties = Properties {
    default: Some("legacy"),
    keys: &[("legacy", Kind::Pattern(legacy_boot), false), ("order", TEXT, false)],
    needs: &[],
};

/// `smbios1`.
pub(crate) const SMBIOS: Properties = Properties {
    default: None,
    keys: &[
        ("uuid", Kind::Pattern(uuid), false),
        ("base64", Kind::Boolean, false),
        ("family", Kind::Pattern(base64_letters), false),
        ("manufacturer", Kind::Pattern(base64_letters), false),
        ("product", Kind::Pattern(base64_letters), false),
        ("serial", Kind::Pattern(base64_letters), false),
        ("sku", Kind::Pattern(base64_letters), false),
        ("version", Kind::Pattern(base64_letters), false),
    ],
    needs: &[],
};

/// `vga`.
pub(crate) const VGA: Properties = Properties {
    default: Some("type"),
    keys: &[
        (
            "type",
            Kind::OneOf(&[
                "cirrus", "qxl", "qxl2", "qxl3", "qxl4", "none", "serial0", "serial1", "serial2", "serial3", "std",
                "virtio", "virtio-gl", "vmware",
            ]),
            false,
        ),
        ("memory", Kind::Integer(Some(4), Some(512)), false),
        ("clipboard", Kind::OneOf(&["vnc"]), false),
    ],
    needs: &[],
};

/// `ipconfigN`.
pub(crate) const IP_CONFIG: Properties = Properties {
    default: None,
    keys: &[
        ("ip", Kind::Format(ipv4_config), false),
        ("gw", Kind::Format(ipv4), false),
        ("ip6", Kind::Format(ipv6_config), false),
        ("gw6", Kind::Format(ipv6), false),
    ],
    needs: &[("gw", "ip"), ("gw6", "ip6")],
};

/// `rng0`.
pub(crate) const RNG: Properties = Properties {
    default: Some("source"),
    keys: &[
        ("source", Kind::OneOf(&["/dev/urandom", "/dev/random", "/dev/hwrng"]), true),
        ("max_bytes", INTEGER, false),
        ("period", INTEGER, false),
    ],
    needs: &[],
};

/// `watchdog`.
pub(crate) const WATCHDOG: Properties = Properties {
    default: Some("model"),
    keys: &[
        ("model", Kind::OneOf(&["i6300esb", "ib700"]), false),
        ("action", Kind::OneOf(&["reset", "shutdown", "poweroff", "pause", "debug", "none"]), false),
    ],
    needs: &[],
};

/// `cicustom`.
pub(crate) const CI_CUSTOM: Properties = Properties {
    default: None,
    keys: &[
        ("meta", Kind::Format(volume), false),
        ("network", Kind::Format(volume), false),
        ("user", Kind::Format(volume), false),
        ("vendor", Kind::Format(volume), false),
    ],
    needs: &[],
};
