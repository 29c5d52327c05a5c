//! The table of the keys.

use super::{
    Format,
    Has::{All, Since9, Until8},
    Key, Values,
    Values::{Address, Any, Flag, Network, Number, OneOf},
};

const fn key(name: &'static str, values: Values) -> Key {
    Key { name, values, has: All, is_required: false }
}

const fn required(name: &'static str, values: Values) -> Key {
    Key { name, values, has: All, is_required: true }
}

const fn since_9(name: &'static str, values: Values) -> Key {
    Key { name, values, has: Since9, is_required: false }
}

const fn until_8(name: &'static str, values: Values) -> Key {
    Key { name, values, has: Until8, is_required: false }
}

/// Any number from 0 on.
const COUNT: Values = Number(0.0, f64::INFINITY);
/// Any number from 1 on.
const FROM_ONE: Values = Number(1.0, f64::INFINITY);

/// The keys of all drives.
const FILE: &[Key] = &[key("file", Any), key("volume", Any), key("import-from", Any), key("size", Any)];
const IMAGE: &[Key] = &[key("format", OneOf(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]))];
const DISK: &[Key] = &[
    key("aio", OneOf(&["native", "threads", "io_uring"])),
    key("backup", Flag),
    key("cache", OneOf(&["none", "writethrough", "writeback", "unsafe", "directsync"])),
    key("detect_zeroes", Flag),
    key("discard", OneOf(&["ignore", "on"])),
    key("media", OneOf(&["cdrom", "disk"])),
    key("replicate", Flag),
    key("rerror", OneOf(&["ignore", "report", "stop"])),
    key("serial", Any),
    key("shared", Flag),
    key("snapshot", Flag),
    key("werror", OneOf(&["enospc", "ignore", "report", "stop"])),
    until_8("cyls", COUNT),
    until_8("heads", COUNT),
    until_8("secs", COUNT),
    until_8("trans", OneOf(&["none", "lba", "auto"])),
];
/// The limits of a disk.
const LIMITS: &[Key] = &[
    key("bps", COUNT),
    key("bps_max_length", FROM_ONE),
    key("bps_rd", COUNT),
    key("bps_rd_length", COUNT),
    key("bps_rd_max_length", FROM_ONE),
    key("bps_wr", COUNT),
    key("bps_wr_length", COUNT),
    key("bps_wr_max_length", FROM_ONE),
    key("iops", COUNT),
    key("iops_max", COUNT),
    key("iops_max_length", FROM_ONE),
    key("iops_rd", COUNT),
    key("iops_rd_length", COUNT),
    key("iops_rd_max", COUNT),
    key("iops_rd_max_length", FROM_ONE),
    key("iops_wr", COUNT),
    key("iops_wr_length", COUNT),
    key("iops_wr_max", COUNT),
    key("iops_wr_max_length", FROM_ONE),
    key("mbps", COUNT),
    key("mbps_max", COUNT),
    key("mbps_rd", COUNT),
    key("mbps_rd_max", COUNT),
    key("mbps_wr", COUNT),
    key("mbps_wr_max", COUNT),
];
const SSD: &[Key] = &[key("ssd", Flag), key("wwn", Any)];
const MODEL: &[Key] = &[key("model", Any)];
const THREAD: &[Key] = &[key("iothread", Flag), key("ro", Flag)];
const SCSI: &[Key] =
    &[key("product", Any), key("queues", Number(2.0, f64::INFINITY)), key("scsiblock", Flag), key("vendor", Any)];

/// Models of network cards; each may stand as a key whose value is the hardware address.
pub(crate) const MODELS: [&str; 14] = [
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];
const DISPLAYS: &[&str] = &[
    "cirrus",
    "none",
    "qxl",
    "qxl2",
    "qxl3",
    "qxl4",
    "serial0",
    "serial1",
    "serial2",
    "serial3",
    "std",
    "virtio",
    "virtio-gl",
    "vmware",
];
const KEYBOARDS: &[&str] = &[
    "da", "de", "de-ch", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "sl", "sv", "tr",
];
const SYSTEMS: &[&str] =
    &["l24", "l26", "other", "solaris", "w2k", "w2k3", "w2k8", "win10", "win11", "win7", "win8", "wvista", "wxp"];

/// Every format. A parameter whose value is a single one has it under the key without a name.
pub(crate) const FORMATS: &[Format] = &[
    ("scsi", "file", &[FILE, IMAGE, DISK, LIMITS, SSD, THREAD, SCSI]),
    ("virtio", "file", &[FILE, IMAGE, DISK, LIMITS, THREAD]),
    ("sata", "file", &[FILE, IMAGE, DISK, LIMITS, SSD]),
    ("ide", "file", &[FILE, IMAGE, DISK, LIMITS, SSD, MODEL]),
    ("cdrom", "file", &[FILE, IMAGE, DISK, LIMITS, SSD, MODEL]),
    (
        "efidisk0",
        "file",
        &[
            FILE,
            IMAGE,
            &[
                key("efitype", OneOf(&["2m", "4m"])),
                key("ms-cert", OneOf(&["2011", "2023", "2023w", "2023k"])),
                key("pre-enrolled-keys", Flag),
            ],
        ],
    ),
    (
        "tpmstate0",
        "file",
        &[FILE, &[since_9("format", OneOf(&["raw", "qcow2", "vmdk"])), key("version", OneOf(&["v1.2", "v2.0"]))]],
    ),
    (
        "net",
        "model",
        &[&[
            key("bridge", Any),
            key("firewall", Flag),
            since_9("host-tunnel", Flag),
            key("link_down", Flag),
            key("macaddr", Any),
            key("model", OneOf(&MODELS)),
            key("mtu", Number(1.0, 65520.0)),
            key("queues", Number(0.0, 64.0)),
            key("rate", COUNT),
            key("tag", Number(1.0, 4094.0)),
            key("trunks", Any),
        ]],
    ),
    (
        "agent",
        "enabled",
        &[&[
            required("enabled", Flag),
            key("fstrim_cloned_disks", Flag),
            key("freeze-fs-on-backup", Flag),
            since_9("freeze-fs", Flag),
            since_9("guest-fsfreeze", Flag),
            key("type", OneOf(&["virtio", "isa"])),
        ]],
    ),
    (
        "audio0",
        "",
        &[&[
            required("device", OneOf(&["ich9-intel-hda", "intel-hda", "AC97"])),
            key("driver", OneOf(&["spice", "none"])),
        ]],
    ),
    (
        "cpu",
        "cputype",
        &[&[
            key("cputype", Any),
            key("flags", Any),
            since_9("guest-phys-bits", Number(32.0, 64.0)),
            key("hidden", Flag),
            key("hv-vendor-id", Any),
            since_9("level", COUNT),
            key("phys-bits", Any),
            key("reported-model", Any),
        ]],
    ),
    (
        "machine",
        "type",
        &[&[
            since_9("aw-bits", Number(32.0, 64.0)),
            key("enable-s3", Flag),
            key("enable-s4", Flag),
            key("type", Any),
            key("viommu", OneOf(&["intel", "virtio"])),
        ]],
    ),
    ("memory", "current", &[&[required("current", Number(16.0, f64::INFINITY))]]),
    (
        "numa",
        "",
        &[&[
            required("cpus", Any),
            key("hostnodes", Any),
            key("memory", COUNT),
            key("policy", OneOf(&["preferred", "bind", "interleave"])),
        ]],
    ),
    (
        "hostpci",
        "host",
        &[&[
            key("device-id", Any),
            since_9("driver", OneOf(&["vfio", "keep"])),
            key("host", Any),
            key("legacy-igd", Flag),
            key("mapping", Any),
            key("mdev", Any),
            key("pcie", Flag),
            key("rombar", Flag),
            key("romfile", Any),
            key("sub-device-id", Any),
            key("sub-vendor-id", Any),
            key("vendor-id", Any),
            key("x-vga", Flag),
        ]],
    ),
    ("usb", "host", &[&[key("host", Any), key("mapping", Any), key("usb3", Flag)]]),
    (
        "vga",
        "type",
        &[&[key("clipboard", OneOf(&["vnc"])), key("memory", Number(4.0, 512.0)), key("type", OneOf(DISPLAYS))]],
    ),
    (
        "virtiofs",
        "dirid",
        &[&[
            key("cache", OneOf(&["auto", "always", "metadata", "never"])),
            key("direct-io", Flag),
            required("dirid", Any),
            key("expose-acl", Flag),
            key("expose-xattr", Flag),
        ]],
    ),
    (
        "rng0",
        "source",
        &[&[
            key("max_bytes", COUNT),
            key("period", COUNT),
            required("source", OneOf(&["/dev/urandom", "/dev/random", "/dev/hwrng"])),
        ]],
    ),
    (
        "watchdog",
        "model",
        &[&[
            key("action", OneOf(&["reset", "shutdown", "poweroff", "pause", "debug", "none"])),
            key("model", OneOf(&["i6300esb", "ib700"])),
        ]],
    ),
    (
        "smbios1",
        "",
        &[&[
            key("base64", Flag),
            key("family", Any),
            key("manufacturer", Any),
            key("product", Any),
            key("serial", Any),
            key("sku", Any),
            key("uuid", Any),
            key("version", Any),
        ]],
    ),
    (
        "ipconfig",
        "",
        &[&[
            key("gw", Address { is_v4: true }),
            key("gw6", Address { is_v4: false }),
            key("ip", Network { is_v4: true, words: &["dhcp"] }),
            key("ip6", Network { is_v4: false, words: &["auto", "dhcp"] }),
        ]],
    ),
    ("cicustom", "", &[&[key("meta", Any), key("network", Any), key("user", Any), key("vendor", Any)]]),
    ("startup", "order", &[&[key("down", COUNT), key("order", COUNT), key("up", COUNT)]]),
    ("arch", "", &[&[key("", OneOf(&["x86_64", "aarch64"]))]]),
    ("bios", "", &[&[key("", OneOf(&["seabios", "ovmf"]))]]),
    ("citype", "", &[&[key("", OneOf(&["configdrive2", "nocloud", "opennebula"]))]]),
    ("cpulimit", "", &[&[key("", Number(0.0, 128.0))]]),
    ("cpuunits", "", &[&[key("", Number(1.0, 262_144.0))]]),
    ("keyboard", "", &[&[key("", OneOf(KEYBOARDS))]]),
    ("ostype", "", &[&[key("", OneOf(SYSTEMS))]]),
    (
        "scsihw",
        "",
        &[&[key("", OneOf(&["lsi", "lsi53c810", "megasas", "pvscsi", "virtio-scsi-pci", "virtio-scsi-single"]))]],
    ),
    ("shares", "", &[&[key("", Number(0.0, 50_000.0))]]),
    ("vcpus", "", &[&[key("", Number(1.0, f64::INFINITY))]]),
];
