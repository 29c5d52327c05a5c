//! The keys inside the property strings of a VM's options.

use super::address_formats;
use super::option_formats;
use super::property::NIC_MODELS;
use super::schema::{INTEGER, Kind, Properties, TEXT};

/// Another name of `file`.
pub(super) const FILE_ALIASES: &[(&str, &str)] = &[("volume", "file")];
pub(super) const FILE: Kind = Kind::Format(option_formats::volume_or_path);

/// `current` of `memory`.
pub(crate) const MEMORY: Properties = Properties {
    default: Some("current"),
    keys: &[("current", Kind::Integer(Some(16), None), true)],
    ..Properties::NONE
};

/// `cpu`.
pub(crate) const CPU: Properties = Properties {
    default: Some("cputype"),
    keys: &[
        ("cputype", Kind::Format(option_formats::cpu_type), false),
        ("flags", Kind::Pattern(option_formats::cpu_flags), false),
        ("hidden", Kind::Boolean, false),
        ("hv-vendor-id", Kind::Pattern(option_formats::hyperv_vendor), false),
        ("phys-bits", TEXT, false),
        ("guest-phys-bits", Kind::Integer(Some(32), Some(64)), false),
        ("level", Kind::Integer(Some(0), Some(4_294_967_295)), false),
        ("reported-model", TEXT, false),
    ],
    since_9: &["guest-phys-bits", "level"],
    ..Properties::NONE
};

/// `machine`.
pub(crate) const MACHINE: Properties = Properties {
    default: Some("type"),
    keys: &[
        ("type", Kind::Pattern(option_formats::machine_type), false),
        ("viommu", Kind::OneOf(&["intel", "virtio"]), false),
        ("aw-bits", Kind::Number(Some(32), Some(64)), false),
        ("enable-s3", Kind::Boolean, false),
        ("enable-s4", Kind::Boolean, false),
    ],
    since_9: &["aw-bits"],
    ..Properties::NONE
};

/// `netN`.
pub(crate) const NIC: Properties = Properties {
    default: Some("model"),
    keys: &[
        ("model", Kind::OneOf(NIC_MODELS), true),
        ("macaddr", Kind::Format(option_formats::mac), false),
        ("bridge", Kind::Format(option_formats::bridge), false),
        ("firewall", Kind::Boolean, false),
        ("host-tunnel", Kind::Boolean, false),
        ("link_down", Kind::Boolean, false),
        ("mtu", Kind::Integer(Some(1), Some(65520)), false),
        ("queues", Kind::Integer(Some(0), Some(64)), false),
        ("rate", Kind::Number(Some(0), None), false),
        ("tag", Kind::Integer(Some(1), Some(4094)), false),
        ("trunks", Kind::Pattern(option_formats::ranges), false),
    ],
    since_9: &["host-tunnel"],
    ..Properties::NONE
};

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
        ("size", Kind::Pattern(option_formats::disk_size), false),
    ],
    aliases: FILE_ALIASES,
    ..Properties::NONE
};

/// `tpmstate0`.
pub(crate) const TPM_STATE: Properties = Properties {
    default: Some("file"),
    keys: &[
        ("file", FILE, true),
        ("import-from", FILE, false),
        ("format", Kind::OneOf(&["raw", "qcow2", "vmdk"]), false),
        ("version", Kind::OneOf(&["v1.2", "v2.0"]), false),
        ("size", Kind::Pattern(option_formats::disk_size), false),
    ],
    aliases: FILE_ALIASES,
    since_9: &["format"],
    ..Properties::NONE
};

/// `agent`.
pub(crate) const AGENT: Properties = Properties {
    default: Some("enabled"),
    keys: &[
        ("enabled", Kind::Boolean, true),
        ("type", Kind::OneOf(&["virtio", "isa"]), false),
        ("fstrim_cloned_disks", Kind::Boolean, false),
        ("freeze-fs", Kind::Boolean, false),
    ],
    aliases: &[("freeze-fs-on-backup", "freeze-fs"), ("guest-fsfreeze", "freeze-fs")],
    since_9: &["freeze-fs", "guest-fsfreeze"],
    ..Properties::NONE
};

/// `boot`.
pub(crate) const BOOT: Properties = Properties {
    default: Some("legacy"),
    keys: &[("legacy", Kind::Pattern(option_formats::legacy_boot), false), ("order", TEXT, false)],
    ..Properties::NONE
};

/// `smbios1`.
pub(crate) const SMBIOS: Properties = Properties {
    keys: &[
        ("uuid", Kind::Pattern(option_formats::uuid), false),
        ("base64", Kind::Boolean, false),
        ("family", Kind::Pattern(option_formats::base64_letters), false),
        ("manufacturer", Kind::Pattern(option_formats::base64_letters), false),
        ("product", Kind::Pattern(option_formats::base64_letters), false),
        ("serial", Kind::Pattern(option_formats::base64_letters), false),
        ("sku", Kind::Pattern(option_formats::base64_letters), false),
        ("version", Kind::Pattern(option_formats::base64_letters), false),
    ],
    ..Properties::NONE
};

/// `vga`.
pub(crate) const VGA: Properties = Properties {
    default: Some("type"),
    keys: &[
        (
            "type",
            Kind::OneOf(&[
                "cirrus",
                "qxl",
                "qxl2",
                "qxl3",
                "qxl4",
                "none",
                "serial0",
                "serial1",
                "serial2",
                "serial3",
                "std",
                "virtio",
                "virtio-gl",
                "vmware",
            ]),
            false,
        ),
        ("memory", Kind::Integer(Some(4), Some(512)), false),
        ("clipboard", Kind::OneOf(&["vnc"]), false),
    ],
    ..Properties::NONE
};

/// `ipconfigN`.
pub(crate) const IP_CONFIG: Properties = Properties {
    keys: &[
        ("ip", Kind::Format(address_formats::ipv4_config), false),
        ("gw", Kind::Format(address_formats::ipv4), false),
        ("ip6", Kind::Format(address_formats::ipv6_config), false),
        ("gw6", Kind::Format(address_formats::ipv6), false),
    ],
    needs: &[("gw", "ip"), ("gw6", "ip6")],
    ..Properties::NONE
};

/// `rng0`.
pub(crate) const RNG: Properties = Properties {
    default: Some("source"),
    keys: &[
        ("source", Kind::OneOf(&["/dev/urandom", "/dev/random", "/dev/hwrng"]), true),
        ("max_bytes", INTEGER, false),
        ("period", INTEGER, false),
    ],
    ..Properties::NONE
};

/// `watchdog`.
pub(crate) const WATCHDOG: Properties = Properties {
    default: Some("model"),
    keys: &[
        ("model", Kind::OneOf(&["i6300esb", "ib700"]), false),
        ("action", Kind::OneOf(&["reset", "shutdown", "poweroff", "pause", "debug", "none"]), false),
    ],
    ..Properties::NONE
};

/// `cicustom`.
pub(crate) const CI_CUSTOM: Properties = Properties {
    keys: &[
        ("meta", Kind::Format(option_formats::volume), false),
        ("network", Kind::Format(option_formats::volume), false),
        ("user", Kind::Format(option_formats::volume), false),
        ("vendor", Kind::Format(option_formats::volume), false),
    ],
    ..Properties::NONE
};

/// `amd-sev`.
pub(crate) const SEV: Properties = Properties {
    default: Some("type"),
    keys: &[
        ("type", Kind::OneOf(&["std", "es", "snp"]), true),
        ("no-debug", Kind::Boolean, false),
        ("no-key-sharing", Kind::Boolean, false),
        ("allow-smt", Kind::Boolean, false),
        ("kernel-hashes", Kind::Boolean, false),
    ],
    ..Properties::NONE
};

/// `intel-tdx`.
pub(crate) const TDX: Properties = Properties {
    default: Some("type"),
    keys: &[
        ("type", Kind::OneOf(&["tdx"]), true),
        ("attestation", Kind::Boolean, true),
        ("vsock-cid", Kind::Integer(Some(2), None), false),
        ("vsock-port", Kind::Integer(Some(0), None), false),
    ],
    ..Properties::NONE
};

/// `audio0`.
pub(crate) const AUDIO: Properties = Properties {
    keys: &[
        ("device", Kind::OneOf(&["ich9-intel-hda", "intel-hda", "AC97"]), true),
        ("driver", Kind::OneOf(&["spice", "none"]), false),
    ],
    ..Properties::NONE
};

/// `numaN`.
pub(crate) const NUMA: Properties = Properties {
    keys: &[
        ("cpus", Kind::Pattern(option_formats::ranges), true),
        ("hostnodes", Kind::Pattern(option_formats::ranges), false),
        ("memory", Kind::Number(None, None), false),
        ("policy", Kind::OneOf(&["preferred", "bind", "interleave"]), false),
    ],
    ..Properties::NONE
};

/// `hostpciN`.
pub(crate) const HOST_PCI: Properties = Properties {
    default: Some("host"),
    keys: &[
        ("host", Kind::Pattern(option_formats::pci), false),
        ("mapping", Kind::Format(option_formats::config_id), false),
        ("rombar", Kind::Boolean, false),
        ("romfile", Kind::Pattern(option_formats::rom_file), false),
        ("pcie", Kind::Boolean, false),
        ("x-vga", Kind::Boolean, false),
        ("legacy-igd", Kind::Boolean, false),
        ("mdev", Kind::Pattern(option_formats::mediated), false),
        ("vendor-id", Kind::Pattern(option_formats::pci_id), false),
        ("device-id", Kind::Pattern(option_formats::pci_id), false),
        ("sub-vendor-id", Kind::Pattern(option_formats::pci_id), false),
        ("sub-device-id", Kind::Pattern(option_formats::pci_id), false),
        ("driver", Kind::OneOf(&["vfio", "keep"]), false),
    ],
    since_9: &["driver"],
    ..Properties::NONE
};

/// `usbN`.
pub(crate) const USB: Properties = Properties {
    default: Some("host"),
    keys: &[
        ("host", Kind::Pattern(option_formats::usb), false),
        ("mapping", Kind::Format(option_formats::config_id), false),
        ("usb3", Kind::Boolean, false),
    ],
    ..Properties::NONE
};

/// `virtiofsN`.
pub(crate) const VIRTIO_FS: Properties = Properties {
    default: Some("dirid"),
    keys: &[
        ("dirid", Kind::Format(option_formats::config_id), true),
        ("cache", Kind::OneOf(&["auto", "always", "metadata", "never"]), false),
        ("direct-io", Kind::Boolean, false),
        ("expose-acl", Kind::Boolean, false),
        ("expose-xattr", Kind::Boolean, false),
    ],
    ..Properties::NONE
};

/// `spice_enhancements`.
pub(crate) const SPICE: Properties = Properties {
    keys: &[("foldersharing", Kind::Boolean, false), ("videostreaming", Kind::OneOf(&["off", "all", "filter"]), false)],
    ..Properties::NONE
};

/// `ivshmem`.
pub(crate) const SHARED_MEMORY: Properties = Properties {
    keys: &[
        ("size", Kind::Integer(Some(1), None), true),
        ("name", Kind::Pattern(option_formats::shared_memory), false),
    ],
    ..Properties::NONE
};

/// `unusedN`.
pub(crate) const UNUSED: Properties = Properties {
    default: Some("file"),
    keys: &[("file", Kind::Format(option_formats::volume), true)],
    aliases: FILE_ALIASES,
    ..Properties::NONE
};
