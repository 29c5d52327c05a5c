//! The options of a VM: what each may be, what right it takes, and whether a running VM takes it at once.

use super::drive_keys;
use super::id_formats;
use super::keys;
use super::option_formats;
use super::schema::{Kind, TEXT};

/// The group of an option: the right that changing it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// `VM.Config.CPU`.
    Cpu,
    /// `VM.Config.Memory`.
    Memory,
    /// `VM.Config.HWType`.
    Hardware,
    /// `VM.Config.Options`.
    Options,
    /// `VM.Config.Disk`.
    Disk,
    /// `VM.Config.Network`.
    Network,
    /// `VM.Config.Cloudinit` or `VM.Config.Network`.
    CloudInit,
    /// `VM.Config.Options`, and `Sys.Modify` on `/`.
    Startup,
    /// A device of the host: `VM.Config.HWType`, and what the worker refuses of it.
    Device,
    /// Only `root@pam` itself.
    Root,
}

struct Opt {
    name: &'static str,
    /// How many there are of an indexed option (`scsi0` …); zero for one without an index.
    count: u16,
    kind: Kind,
    group: Group,
    /// Whether a running VM takes the change without a restart.
    live: bool,
}

const fn one(name: &'static str, kind: Kind, group: Group) -> Opt {
    Opt { name, count: 0, kind, group, live: false }
}

const fn live(name: &'static str, kind: Kind, group: Group) -> Opt {
    Opt { name, count: 0, kind, group, live: true }
}

const fn many(name: &'static str, count: u16, kind: Kind, group: Group) -> Opt {
    Opt { name, count, kind, group, live: false }
}

/// A device that can be plugged in while the VM runs, or what is written to the cloud-init drive.
const fn pluggable(name: &'static str, count: u16, kind: Kind, group: Group) -> Opt {
    Opt { name, count, kind, group, live: true }
}

const POSITIVE: Kind = Kind::Integer(Some(1), None);
const NOT_NEGATIVE: Kind = Kind::Integer(Some(0), None);

const LOCKS: Kind = Kind::OneOf(&[
    "backup",
    "clone",
    "create",
    "migrate",
    "rollback",
    "snapshot",
    "snapshot-delete",
    "suspending",
    "suspended",
]);
const OS_TYPES: Kind = Kind::OneOf(&[
    "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris",
]);
const KEYBOARDS: Kind = Kind::OneOf(&[
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
]);
const CONTROLLERS: Kind =
    Kind::OneOf(&["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"]);

const OPTIONS: &[Opt] = &[
    one("acpi", Kind::Boolean, Group::Hardware),
    one("amd-sev", Kind::Properties(&keys::SEV), Group::Cpu),
    many("audio", 1, Kind::Properties(&keys::AUDIO), Group::Hardware),
    live("autostart", Kind::Boolean, Group::Options),
    live("bootdisk", Kind::Format(option_formats::boot_disk), Group::Disk),
    live("freeze", Kind::Boolean, Group::Options),
    one("hugepages", Kind::OneOf(&["any", "2", "1024"]), Group::Root),
    one("intel-tdx", Kind::Properties(&keys::TDX), Group::Cpu),
    one("ivshmem", Kind::Properties(&keys::SHARED_MEMORY), Group::Root),
    one("keephugepages", Kind::Boolean, Group::Root),
    live("migrate_downtime", Kind::Number(Some(0), None), Group::Options),
    live("migrate_speed", NOT_NEGATIVE, Group::Options),
    many("parallel", 3, Kind::Pattern(option_formats::parallel), Group::Root),
    live("reboot", Kind::Boolean, Group::Options),
    one("smp", POSITIVE, Group::Cpu),
    one("spice_enhancements", Kind::Properties(&keys::SPICE), Group::Root),
    one("startdate", Kind::Pattern(option_formats::start_date), Group::Options),
    one("tdf", Kind::Boolean, Group::Options),
    many("virtiofs", 10, Kind::Properties(&keys::VIRTIO_FS), Group::Device),
    live("vmstatestorage", Kind::Format(id_formats::storage), Group::Options),
    one("affinity", Kind::Format(option_formats::cpu_set), Group::Root),
    one("agent", Kind::Properties(&keys::AGENT), Group::Options),
    one("allow-ksm", Kind::Boolean, Group::Memory),
    one("arch", Kind::OneOf(&["x86_64", "aarch64"]), Group::Hardware),
    one("args", TEXT, Group::Root),
    one("balloon", NOT_NEGATIVE, Group::Memory),
    one("bios", Kind::OneOf(&["seabios", "ovmf"]), Group::Options),
    one("boot", Kind::Properties(&keys::BOOT), Group::Disk),
    live("cdrom", Kind::Properties(&drive_keys::IDE), Group::Disk),
    live("cicustom", Kind::Properties(&keys::CI_CUSTOM), Group::CloudInit),
    live("cipassword", TEXT, Group::CloudInit),
    live("citype", Kind::OneOf(&["configdrive2", "nocloud", "opennebula"]), Group::CloudInit),
    live("ciupgrade", Kind::Boolean, Group::CloudInit),
    live("ciuser", TEXT, Group::CloudInit),
    one("cores", POSITIVE, Group::Cpu),
    one("cpu", Kind::Cpu, Group::Cpu),
    live("cpulimit", Kind::Number(Some(0), Some(128)), Group::Cpu),
    live("cpuunits", Kind::Integer(Some(1), Some(262_144)), Group::Cpu),
    live("description", Kind::Text(Some(8192)), Group::Options),
    one("efidisk0", Kind::Properties(&keys::EFI_DISK), Group::Disk),
    live("hookscript", Kind::Format(option_formats::volume), Group::Root),
    many("hostpci", 16, Kind::Properties(&keys::HOST_PCI), Group::Device),
    live("hotplug", Kind::Format(option_formats::hotplug), Group::Options),
    pluggable("ide", 4, Kind::Properties(&drive_keys::IDE), Group::Disk),
    pluggable("ipconfig", 32, Kind::Properties(&keys::IP_CONFIG), Group::CloudInit),
    one("keyboard", KEYBOARDS, Group::Options),
    one("kvm", Kind::Boolean, Group::Hardware),
    one("localtime", Kind::Boolean, Group::Options),
    live("lock", LOCKS, Group::Root),
    one("machine", Kind::Properties(&keys::MACHINE), Group::Hardware),
    one("memory", Kind::Properties(&keys::MEMORY), Group::Memory),
    live("name", Kind::Format(option_formats::dns_name), Group::Options),
    live("nameserver", Kind::Each(id_formats::address), Group::CloudInit),
    pluggable("net", 32, Kind::Properties(&keys::NIC), Group::Network),
    one("numa", Kind::Boolean, Group::Cpu),
    many("numa", 8, Kind::Properties(&keys::NUMA), Group::Cpu),
    live("onboot", Kind::Boolean, Group::Options),
    one("ostype", OS_TYPES, Group::Options),
    live("protection", Kind::Boolean, Group::Options),
    one("rng0", Kind::Properties(&keys::RNG), Group::Device),
    pluggable("sata", 6, Kind::Properties(&drive_keys::SATA), Group::Disk),
    pluggable("scsi", 31, Kind::Properties(&drive_keys::SCSI), Group::Disk),
    one("scsihw", CONTROLLERS, Group::Hardware),
    live("searchdomain", TEXT, Group::CloudInit),
    many("serial", 4, Kind::Pattern(option_formats::serial), Group::Device),
    live("shares", Kind::Integer(Some(0), Some(50_000)), Group::Memory),
    one("smbios1", Kind::Properties(&keys::SMBIOS), Group::Hardware),
    one("sockets", POSITIVE, Group::Cpu),
    live("sshkeys", Kind::Format(id_formats::url_encoded), Group::CloudInit),
    live("startup", Kind::Format(option_formats::startup), Group::Startup),
    one("tablet", Kind::Boolean, Group::Hardware),
    live("tags", Kind::Format(option_formats::tags), Group::Options),
    live("template", Kind::Boolean, Group::Options),
    one("tpmstate0", Kind::Properties(&keys::TPM_STATE), Group::Disk),
    pluggable("unused", 256, Kind::Properties(&keys::UNUSED), Group::Disk),
    pluggable("usb", 14, Kind::Properties(&keys::USB), Group::Device),
    one("vcpus", POSITIVE, Group::Cpu),
    one("vga", Kind::Properties(&keys::VGA), Group::Hardware),
    pluggable("virtio", 16, Kind::Properties(&drive_keys::VIRTIO), Group::Disk),
    one("vmgenid", Kind::Pattern(option_formats::vmgenid), Group::Root),
    one("watchdog", Kind::Properties(&keys::WATCHDOG), Group::Hardware),
];

fn find(name: &str) -> Option<&'static Opt> {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let index = &name[stem.len()..];
    let indexed = |option: &&Opt| {
        let canonical = index == "0" || !index.starts_with('0');
        option.name == stem && canonical && index.parse::<u16>().is_ok_and(|index| index < option.count)
    };
    OPTIONS.iter().find(|option| option.count == 0 && option.name == name).or_else(|| OPTIONS.iter().find(indexed))
}

/// What the option may be; `None` for a name that is no option of a VM.
pub(crate) fn kind_of(name: &str) -> Option<Kind> {
    find(name).map(|option| option.kind)
}

/// The right that setting the option takes.
pub(crate) fn group_of(name: &str) -> Option<Group> {
    find(name).map(|option| option.group)
}

/// Whether a running VM takes the change at once.
pub(crate) fn is_live(name: &str) -> bool {
    find(name).is_some_and(|option| option.live)
}

/// Whether the option is a drive of any bus, the EFI disk or the TPM state.
pub(crate) fn is_drive(name: &str) -> bool {
    matches!(name, "efidisk0" | "tpmstate0") || is_bus_drive(name)
}

/// Whether the option is a drive on a bus, which a VM can boot from.
pub(crate) fn is_bus_drive(name: &str) -> bool {
    matches!(find(name), Some(option) if matches!(option.name, "ide" | "sata" | "scsi" | "virtio"))
}

/// The number in the name of an indexed option such as `net0`.
pub(crate) fn index_of(name: &str, stem: &str) -> Option<usize> {
    name.strip_prefix(stem)?.parse().ok()
}

/// Names of the drives in the order in which Proxmox VE lists them.
pub(crate) fn resizable() -> Vec<String> {
    let buses = [("ide", 4), ("scsi", 31), ("virtio", 16), ("sata", 6)];
    let mut names: Vec<String> =
        buses.iter().flat_map(|(bus, count)| (0..*count).map(move |index| format!("{bus}{index}"))).collect();
    names.extend(["efidisk0".to_owned(), "tpmstate0".to_owned()]);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_beyond_the_last_or_with_a_leading_zero_is_no_option() {
        for name in ["scsi31", "scsi00", "ide4", "net", "bogus", "scsi"] {
            assert!(kind_of(name).is_none(), "{name}");
        }
        for name in ["scsi30", "ide0", "net31", "numa", "numa0", "efidisk0"] {
            assert!(kind_of(name).is_some(), "{name}");
        }
    }
}
