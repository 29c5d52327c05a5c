//! The table of `spec.vm`: every parameter that Proxmox VE has for a VM, and those that are Ichor's own.
//!
//! Which of them a running VM takes was seen on Proxmox VE 9.2 and 8.4; what is not plain from there stands beside it.

use strsim::osa_distance;

pub(crate) mod keys;

/// A parameter of `spec.vm`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    /// Its name; that of an indexed one (`net0`) without the number.
    pub(crate) name: &'static str,
    /// How many there are of an indexed one; 0 for one without a number.
    pub(crate) count: u16,
    /// What its values are, and so how they are compared.
    pub(crate) kind: Kind,
    /// When a change of it takes effect.
    pub(crate) when: When,
    /// What holds where it isn't set.
    pub(crate) default: Option<&'static str>,
    /// What setting it takes.
    pub(crate) privileges: Privileges,
}

/// The privileges that setting a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Privileges {
    /// On the VM; none if empty, and of two that are joined by `|` either is enough.
    pub(crate) vm: &'static str,
    /// On `/`, each of them.
    pub(crate) cluster: &'static [&'static str],
    /// The kind of mapping that its value may name, which takes `Mapping.Use`.
    pub(crate) mapping: Option<&'static str>,
}

/// What the values of a parameter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, compared as it is.
    Text,
    /// Text of several lines.
    Lines,
    /// On or off.
    Flag,
    /// A number.
    Number,
    /// Words in any order.
    Words,
    /// Addresses, in this order.
    Addresses,
    /// `key=value,…` in any order, with the name of the key that may be left out and the values of keys that aren't set.
    Property(&'static str, &'static [(&'static str, &'static str)]),
    /// A drive: what it is made from is a wish for its creation.
    Drive,
    /// A network card.
    Nic,
    /// What to boot from, in this order; the server appends to it.
    BootOrder,
    /// Never shown by the server again, and never by Ichor.
    Secret,
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Not a parameter of Proxmox VE: Ichor itself reads it.
    Ours,
    /// At once.
    Live,
    /// At once if `hotplug` lists this, else after the VM was off.
    Plugged(&'static str),
    /// After the VM was off; until then the value is pending.
    PowerCycle,
    /// The server takes it at once, and the guest sees it when it starts again: it is sent while the VM is off.
    NextStart,
    /// Never: only another VM has it.
    Recreate,
    /// At the creation only.
    Creation,
    /// Only root@pam sets it, never a token.
    Root,
    /// It is refused; why.
    Refused(&'static str),
}

/// What most parameters take.
const OPTIONS: Privileges = Privileges { vm: "VM.Config.Options", cluster: &[], mapping: None };

const fn by(vm: &'static str, parameter: Parameter) -> Parameter {
    Parameter { privileges: Privileges { vm, ..parameter.privileges }, ..parameter }
}

const fn cpu(parameter: Parameter) -> Parameter {
    by("VM.Config.CPU", parameter)
}

const fn memory(parameter: Parameter) -> Parameter {
    by("VM.Config.Memory", parameter)
}

const fn hardware(parameter: Parameter) -> Parameter {
    by("VM.Config.HWType", parameter)
}

const fn disk(parameter: Parameter) -> Parameter {
    by("VM.Config.Disk", parameter)
}

const fn medium(parameter: Parameter) -> Parameter {
    by("VM.Config.CDROM|VM.Config.Disk", parameter)
}

const fn network(parameter: Parameter) -> Parameter {
    by("VM.Config.Network", parameter)
}

const fn cloud_init(parameter: Parameter) -> Parameter {
    by("VM.Config.Cloudinit|VM.Config.Network", parameter)
}

/// Releases differ.
const fn releases(parameter: Parameter) -> Parameter {
    by("VM.Config.HWType|VM.Config.Options", parameter)
}

/// It takes no privilege on the VM beyond those for what it brings about.
const fn free(parameter: Parameter) -> Parameter {
    by("", parameter)
}

const fn cluster(cluster: &'static [&'static str], parameter: Parameter) -> Parameter {
    Parameter { privileges: Privileges { cluster, ..parameter.privileges }, ..parameter }
}

const fn mapped(kind: &'static str, parameter: Parameter) -> Parameter {
    Parameter { privileges: Privileges { mapping: Some(kind), ..parameter.privileges }, ..parameter }
}

const fn one(name: &'static str, kind: Kind, when: When) -> Parameter {
    Parameter { name, count: 0, kind, when, default: None, privileges: OPTIONS }
}

const fn defaulted(name: &'static str, kind: Kind, when: When, default: &'static str) -> Parameter {
    Parameter { name, count: 0, kind, when, default: Some(default), privileges: OPTIONS }
}

const fn many(name: &'static str, count: u16, kind: Kind, when: When) -> Parameter {
    Parameter { name, count, kind, when, default: None, privileges: OPTIONS }
}

/// The name of a key that may be left out; no key has a value of its own otherwise.
const fn keys(default: &'static str) -> Kind {
    Property(default, &[])
}

use Kind::{Addresses, BootOrder, Drive, Flag, Lines, Nic, Number, Property, Secret, Text, Words};
use When::{Creation, Live, NextStart, Ours, Plugged, PowerCycle, Recreate, Refused, Root};

const RESTORES: When = Refused("it restores or replaces another VM");

/// Every parameter.
pub(crate) const PARAMETERS: &[Parameter] = &[
    free(one("node", Text, Ours)),
    free(one("disk", Number, Ours)),
    free(one("disks", Text, Ours)),
    free(one("vmid", Number, Ours)),
    free(one("storage", Text, Ours)),
    cluster(&["Sys.Audit", "Sys.Console"], free(one("ha", Text, Ours))),
    disk(one("boot", BootOrder, PowerCycle)),
    one("name", Text, Live),
    one("description", Lines, Live),
    one("tags", Words, Live),
    defaulted("onboot", Flag, Live, "0"),
    cluster(&["Sys.Modify"], one("startup", keys("order"), Live)),
    defaulted("protection", Flag, Live, "0"),
    releases(defaulted("hotplug", Words, Live, "network,disk,usb")),
    cpu(defaulted("cpulimit", Number, Live, "0")),
    cpu(one("cpuunits", Number, Live)),
    memory(defaulted("shares", Number, Live, "1000")),
    defaulted("migrate_downtime", Number, Live, "0.1"),
    defaulted("migrate_speed", Number, Live, "0"),
    one("vmstatestorage", Text, Live),
    cpu(defaulted("cores", Number, PowerCycle, "1")),
    cpu(defaulted("sockets", Number, PowerCycle, "1")),
    cpu(defaulted("vcpus", Number, PowerCycle, "0")),
    cpu(defaulted("smp", Number, PowerCycle, "1")),
    cpu(defaulted("cpu", keys("cputype"), PowerCycle, "kvm64")),
    memory(defaulted("memory", keys("current"), PowerCycle, "512")),
    memory(one("balloon", Number, PowerCycle)),
    memory(defaulted("allow-ksm", Flag, PowerCycle, "1")),
    cpu(defaulted("numa", Flag, PowerCycle, "0")),
    cpu(many("numa", 8, keys(""), PowerCycle)),
    hardware(one("machine", keys("type"), PowerCycle)),
    releases(defaulted("bios", Text, Recreate, "seabios")),
    hardware(defaulted("scsihw", Text, PowerCycle, "lsi")),
    defaulted("ostype", Text, PowerCycle, "other"),
    hardware(one("smbios1", keys(""), PowerCycle)),
    defaulted(
        "agent",
        Property("enabled", &[("type", "virtio"), ("fstrim_cloned_disks", "0"), ("freeze-fs", "1")]),
        PowerCycle,
        "0",
    ),
    hardware(one("vga", Property("type", &[("type", "std")]), PowerCycle)),
    hardware(many("serial", 4, Text, PowerCycle)),
    mapped("hwrng", hardware(one("rng0", keys("source"), PowerCycle))),
    hardware(one("watchdog", Property("model", &[("model", "i6300esb")]), PowerCycle)),
    hardware(one("audio0", Property("", &[("driver", "spice")]), PowerCycle)),
    mapped("pci", hardware(many("hostpci", 16, Property("host", &[("rombar", "1")]), PowerCycle))),
    mapped("usb", hardware(many("usb", 14, Property("host", &[("usb3", "0")]), Plugged("usb")))),
    mapped("dir", many("virtiofs", 10, Property("dirid", &[("cache", "auto")]), PowerCycle)),
    cpu(one("amd-sev", keys("type"), PowerCycle)),
    cpu(one("intel-tdx", keys("type"), PowerCycle)),
    hardware(one("arch", Text, PowerCycle)),
    one("keyboard", Text, PowerCycle),
    hardware(defaulted("acpi", Flag, PowerCycle, "1")),
    hardware(defaulted("kvm", Flag, PowerCycle, "1")),
    hardware(defaulted("tablet", Flag, PowerCycle, "1")),
    one("localtime", Flag, PowerCycle),
    defaulted("startdate", Text, PowerCycle, "now"),
    defaulted("tdf", Flag, PowerCycle, "0"),
    defaulted("autostart", Flag, PowerCycle, "0"),
    defaulted("freeze", Flag, PowerCycle, "0"),
    defaulted("reboot", Flag, PowerCycle, "1"),
    disk(one("bootdisk", Text, PowerCycle)),
    network(many("net", 32, Nic, Plugged("network"))),
    disk(many("scsi", 31, Drive, Plugged("disk"))),
    disk(many("virtio", 16, Drive, Plugged("disk"))),
    // Of these buses nothing can be plugged in or out.
    disk(many("sata", 6, Drive, PowerCycle)),
    disk(many("ide", 4, Drive, PowerCycle)),
    medium(one("cdrom", Drive, PowerCycle)),
    disk(one("efidisk0", Drive, PowerCycle)),
    disk(one("tpmstate0", Drive, PowerCycle)),
    disk(many("unused", 256, Drive, Refused("Proxmox VE itself keeps detached disks there"))),
    cloud_init(many("ipconfig", 32, keys(""), NextStart)),
    cloud_init(one("nameserver", Addresses, NextStart)),
    cloud_init(one("searchdomain", Text, NextStart)),
    cloud_init(one("citype", Text, NextStart)),
    cloud_init(one("ciuser", Text, NextStart)),
    cloud_init(one("cipassword", Secret, NextStart)),
    cloud_init(defaulted("ciupgrade", Flag, NextStart, "1")),
    cloud_init(one("cicustom", keys(""), NextStart)),
    cloud_init(one("sshkeys", Text, NextStart)),
    free(one("pool", Text, Creation)),
    cluster(&["Sys.Console"], free(one("ha-managed", Flag, Creation))),
    free(one("bwlimit", Number, Creation)),
    free(one("import-working-storage", Text, Creation)),
    free(one("start", Flag, Ours)),
    cpu(one("affinity", Text, Root)),
    one("args", Text, Root),
    one("hookscript", Text, Root),
    memory(one("hugepages", Text, Root)),
    memory(defaulted("keephugepages", Flag, Root, "0")),
    hardware(one("ivshmem", keys(""), Root)),
    many("parallel", 3, Text, Root),
    one("spice_enhancements", Property("", &[("foldersharing", "0"), ("videostreaming", "off")]), Root),
    releases(one("vmgenid", Text, Root)),
    free(one("lock", Text, Refused("Proxmox VE itself locks a VM while it works on it"))),
    one("template", Flag, Refused("a template can't be started")),
    free(one("archive", Text, RESTORES)),
    free(one("force", Flag, RESTORES)),
    free(one("unique", Flag, RESTORES)),
    free(one("live-restore", Flag, RESTORES)),
];

/// The parameter of this name; `None` for a name that is none.
pub(crate) fn find(name: &str) -> Option<&'static Parameter> {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let index = &name[stem.len()..];
    let canonical = index == "0" || !index.starts_with('0');
    let indexed = |known: &&Parameter| {
        known.name == stem && canonical && index.parse::<u16>().is_ok_and(|index| index < known.count)
    };
    let exact = |known: &&Parameter| known.count == 0 && known.name == name;
    PARAMETERS.iter().find(exact).or_else(|| PARAMETERS.iter().find(indexed))
}

/// The number of an indexed parameter such as `net0`.
pub(crate) fn index(name: &str, stem: &str) -> Option<usize> {
    name.strip_prefix(stem)?.parse().ok()
}

/// The parameter that was probably meant.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    nearest(PARAMETERS.iter().map(|known| known.name), name)
}

/// The name that was probably meant: it differs in case, in separators, or in a letter or two, which may be swapped.
fn nearest<'a>(names: impl Iterator<Item = &'a str>, given: &str) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let given = plain(given);
    let apart = names.map(|name| (osa_distance(&plain(name), &given), name));
    apart
        .filter(|(distance, name)| *distance <= 1 + name.len() / 6)
        .min_by_key(|(distance, _)| *distance)
        .map(|it| it.1)
}

#[cfg(test)]
mod tests;
