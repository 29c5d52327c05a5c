//! The keys inside the property strings of a VM's options.

use super::formats;
use super::property::NIC_MODELS;
use super::schema::{INTEGER, Kind, Properties, TEXT};

const AT_LEAST_0: Kind = Kind::Integer(Some(0), None);
const FILE: Kind = Kind::Format(formats::volume_or_path);

/// `current` of `memory`.
pub(crate) const MEMORY: Properties =
    Properties { default: Some("current"), keys: &[("current", Kind::Integer(Some(16), None), true)], needs: &[] };

/// `cpu`.
pub(crate) const CPU: Properties = Properties {
    default: Some("cputype"),
    keys: &[
        ("cputype", Kind::Format(formats::cpu_type), false),
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
        ("type", Kind::Pattern(formats::machine_type), false),
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
        ("macaddr", Kind::Format(formats::mac), false),
        ("bridge", Kind::Format(formats::bridge), false),
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
        ("size", Kind::Pattern(formats::disk_size), false),
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
        ("size", Kind::Pattern(formats::disk_size), false),
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
        ("size", Kind::Pattern(formats::disk_size), false),
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
    keys: &[("legacy", Kind::Pattern(formats::legacy_boot), false), ("order", TEXT, false)],
    needs: &[],
};

/// `smbios1`.
pub(crate) const SMBIOS: Properties = Properties {
    default: None,
    keys: &[
        ("uuid", Kind::Pattern(formats::uuid), false),
        ("base64", Kind::Boolean, false),
        ("family", Kind::Pattern(formats::base64_letters), false),
        ("manufacturer", Kind::Pattern(formats::base64_letters), false),
        ("product", Kind::Pattern(formats::base64_letters), false),
        ("serial", Kind::Pattern(formats::base64_letters), false),
        ("sku", Kind::Pattern(formats::base64_letters), false),
        ("version", Kind::Pattern(formats::base64_letters), false),
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
    needs: &[],
};

/// `ipconfigN`.
pub(crate) const IP_CONFIG: Properties = Properties {
    default: None,
    keys: &[
        ("ip", Kind::Format(formats::ipv4_config), false),
        ("gw", Kind::Format(formats::ipv4), false),
        ("ip6", Kind::Format(formats::ipv6_config), false),
        ("gw6", Kind::Format(formats::ipv6), false),
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
        ("meta", Kind::Format(formats::volume), false),
        ("network", Kind::Format(formats::volume), false),
        ("user", Kind::Format(formats::volume), false),
        ("vendor", Kind::Format(formats::volume), false),
    ],
    needs: &[],
};
