//! Which privilege a parameter of a VM takes.

use pve_client::property::Property;

/// Parameters by the privilege that setting them takes; those that aren't listed take `VM.Config.Options`.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "VM.Config.CPU",
        &[
            "affinity",
            "cores",
            "cpu",
            "cpulimit",
            "cpuunits",
            "numa",
            "smp",
            "sockets",
            "vcpus",
            "amd-sev",
            "intel-tdx",
        ],
    ),
    ("VM.Config.Memory", &["allow-ksm", "balloon", "hugepages", "keephugepages", "memory", "shares"]),
    (
        "VM.Config.HWType",
        &[
            "acpi", "arch", "audio", "hostpci", "ivshmem", "kvm", "machine", "rng", "scsihw", "serial", "smbios1",
            "tablet", "usb", "vga", "watchdog",
        ],
    ),
    ("VM.Config.Disk", &["boot", "bootdisk", "efidisk", "ide", "sata", "scsi", "tpmstate", "unused", "virtio"]),
    ("VM.Config.Network", &["net"]),
    (
        "VM.Config.Cloudinit|VM.Config.Network",
        &[
            "cicustom",
            "cipassword",
            "citype",
            "ciupgrade",
            "ciuser",
            "ipconfig",
            "nameserver",
            "searchdomain",
            "sshkeys",
        ],
    ),
];

/// The path of the mapping that a parameter uses; using one takes `Mapping.Use` there.
pub(super) fn of_mapping(name: &str, value: &str) -> Option<String> {
    let value = Property::parse(value);
    let (kind, mapping) = match crate::parameters::find(name)?.name {
        "hostpci" => ("pci", value.get("mapping")?),
        "usb" => ("usb", value.get("mapping")?),
        "virtiofs" => ("dir", value.get("dirid").or(value.bare())?),
        _ => return None,
    };
    Some(format!("/mapping/{kind}/{mapping}"))
}

/// Parameters of a creation that aren't the VM's own.
const NOT_OPTIONS: [&str; 4] = ["pool", "digest", "delete", "storage"];

/// The privilege that setting a parameter to this value takes; two of which either is enough are joined by `|`.
pub(crate) fn of_parameter(name: &str, value: &str) -> Option<&'static str> {
    if NOT_OPTIONS.contains(&name) {
        return None;
    }
    // A drive for cloud-init comes with its settings.
    if name.starts_with("ide") && value.contains("cloudinit") {
        return Some("VM.Config.Disk");
    }
    if value.contains("media=cdrom") {
        return Some("VM.Config.CDROM|VM.Config.Disk");
    }
    // Releases differ.
    if matches!(name, "hotplug" | "bios" | "vmgenid") {
        return Some("VM.Config.HWType|VM.Config.Options");
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let has = |list: &[&str]| list.contains(&name) || (stem != name && list.contains(&stem));
    Some(GROUPS.iter().find(|(_, list)| has(list)).map_or("VM.Config.Options", |(privilege, _)| privilege))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_takes_its_own_privilege() {
        for (name, privilege) in [
            ("cores", "VM.Config.CPU"),
            ("numa0", "VM.Config.CPU"),
            ("memory", "VM.Config.Memory"),
            ("machine", "VM.Config.HWType"),
            ("smbios1", "VM.Config.HWType"),
            ("serial0", "VM.Config.HWType"),
            ("scsi1", "VM.Config.Disk"),
            ("efidisk0", "VM.Config.Disk"),
            ("boot", "VM.Config.Disk"),
            ("net12", "VM.Config.Network"),
            ("ipconfig0", "VM.Config.Cloudinit|VM.Config.Network"),
            ("description", "VM.Config.Options"),
            ("name", "VM.Config.Options"),
            ("agent", "VM.Config.Options"),
        ] {
            assert_eq!(of_parameter(name, "x"), Some(privilege), "{name}");
        }
        assert_eq!(of_parameter("pool", "talos"), None);
        assert_eq!(of_parameter("ide2", "none,media=cdrom"), Some("VM.Config.CDROM|VM.Config.Disk"));
    }
}
