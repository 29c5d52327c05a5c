//! What Proxmox VE accepts as a parameter, and how it words its refusal.
//!
//! Texts are those of the 9.2 request handlers: plain checks end without a line break, format checks with one.

use super::property;
use super::release::Release;

/// What the value of a parameter may be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `1` or `0`; on the inside of a property string also words.
    Boolean,
    /// The ID of a VM.
    VmId,
    /// A whole number between two bounds.
    Integer(Option<i64>, Option<i64>),
    /// A number between two bounds.
    Number(Option<i64>, Option<i64>),
    /// Any text, up to so many characters.
    Text(Option<usize>),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, the former on 8.4 and the latter on 9.x.
    OneOfEither(&'static [&'static str], &'static [&'static str]),
    /// The name of a drive of a VM.
    Drive,
    /// The name of a drive of a VM, or of an unused disk.
    AnyDrive,
    /// Text that a regular expression describes.
    Pattern(fn(&str) -> bool),
    /// Text that a function of Proxmox VE describes; it says what is wrong.
    Format(fn(&str) -> Result<(), String>),
    /// A list of texts that a function of Proxmox VE describes.
    Each(fn(&str) -> Result<(), String>),
    /// A list of privileges of the release.
    Privileges,
    /// `value,key=value,…`.
    Properties(&'static Properties),
    /// `cpu`, which names an unknown type without naming the key inside.
    Cpu,
}

impl Kind {
    /// What the value may be on a release.
    pub(crate) fn on(self, release: Release) -> Self {
        match (self, release) {
            (Self::OneOfEither(words, _), Release::V8_4) | (Self::OneOfEither(_, words), Release::V9_2) => {
                Self::OneOf(words)
            }
            (kind, _) => kind,
        }
    }
}

/// The keys of a property string.
pub(crate) struct Properties {
    /// The key whose name may be left out.
    pub(crate) default: Option<&'static str>,
    /// Every key with its kind and whether it must be there.
    pub(crate) keys: &'static [(&'static str, Kind, bool)],
    /// Further keys.
    pub(crate) more: &'static [(&'static str, Kind, bool)],
    /// Keys that need another one.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    /// Other names of keys.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Keys that 8.4 does not know.
    pub(crate) since_9: &'static [&'static str],
    /// Keys that 9.x does not know any more.
    pub(crate) until_8: &'static [&'static str],
}

impl Properties {
    /// No keys at all.
    pub(crate) const NONE: Self =
        Self { default: None, keys: &[], more: &[], needs: &[], aliases: &[], since_9: &[], until_8: &[] };

    /// The key of this name, which may be another name of it.
    pub(crate) fn canonical<'a>(&self, name: &'a str) -> &'a str {
        self.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, key)| *key)
    }

    /// What the key of this name may be on a release.
    fn kind(&self, name: &str, release: Release) -> Option<Kind> {
        let gone = match release {
            // What is another name on 9.x was a key of its own on 8.4, or was not there.
            Release::V8_4 => self.since_9,
            Release::V9_2 => self.until_8,
        };
        let name = if gone.contains(&name) { return None } else { self.canonical(name) };
        self.keys.iter().chain(self.more).find(|(key, ..)| *key == name).map(|(_, kind, _)| *kind)
    }
}

/// A parameter of a call.
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// Whether it must be there.
    pub(crate) required: bool,
}

impl Param {
    /// A parameter that may be left out.
    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }

    /// A parameter that must be there.
    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: true }
    }
}

/// The text for a parameter that nobody knows.
pub(crate) const UNKNOWN: &str =
    "property is not defined in schema and the schema does not allow additional properties";
/// The text for a parameter that is not there.
pub(crate) const MISSING: &str = "property is missing and it is not optional";

/// Any text.
pub(crate) const TEXT: Kind = Kind::Text(None);
/// Any whole number.
pub(crate) const INTEGER: Kind = Kind::Integer(None, None);

/// Checks one value.
pub(crate) fn check(release: Release, name: &str, kind: Kind, value: &str) -> Result<(), String> {
    match kind.on(release) {
        Kind::Boolean => boolean(value),
        Kind::VmId => {
            integer(value, None, None)?;
            super::option_formats::vmid(value).map_err(|text| format!("invalid format - {text}\n"))
        }
        Kind::Integer(min, max) => integer(value, min, max),
        Kind::Number(min, max) => number(value, min, max),
        Kind::Text(max) => length(value, max),
        Kind::OneOf(words) => one_of(value, words),
        Kind::OneOfEither(_, words) => one_of(value, words),
        Kind::Drive => {
            let names = super::options::resizable();
            one_of(value, &names.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Kind::AnyDrive => {
            let unused = (0..256).map(|index| format!("unused{index}"));
            let names: Vec<String> = super::options::resizable().into_iter().chain(unused).collect();
            one_of(value, &names.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Kind::Pattern(matches) => match matches(value) {
            true => Ok(()),
            false => Err("value does not match the regex pattern".to_owned()),
        },
        Kind::Format(parse) => parse(value).map_err(|text| format!("invalid format - {text}\n")),
        Kind::Each(parse) => {
            let each = super::form::listed(value).try_for_each(parse);
            each.map_err(|text| format!("invalid format - {text}\n"))
        }
        Kind::Privileges => {
            let known = |name: &&str| super::privileges::is_known(release, name);
            match super::form::listed(value).find(|name| !known(name)) {
                Some(name) => Err(format!("invalid format - invalid privilege '{name}'\n")),
                None => Ok(()),
            }
        }
        Kind::Properties(known) => properties(release, name, known, value),
        Kind::Cpu => cpu(release, value).map_err(|text| format!("invalid format - {text}\n")),
    }
}

fn boolean(value: &str) -> Result<(), String> {
    match value {
        "0" | "1" => Ok(()),
        _ => Err(type_check("boolean", value)),
    }
}

fn integer(value: &str, min: Option<i64>, max: Option<i64>) -> Result<(), String> {
    let parsed: i64 = value.parse().map_err(|_| type_check("integer", value))?;
    #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
    bounds(parsed as f64, min, max)
}

fn number(value: &str, min: Option<i64>, max: Option<i64>) -> Result<(), String> {
    let parsed: f64 = value.parse().map_err(|_| type_check("number", value))?;
    bounds(parsed, min, max)
}

#[expect(clippy::cast_precision_loss, reason = "bounds are small")]
fn bounds(value: f64, min: Option<i64>, max: Option<i64>) -> Result<(), String> {
    match (min, max) {
        (Some(min), _) if value < min as f64 => Err(format!("value must have a minimum value of {min}")),
        (_, Some(max)) if value > max as f64 => Err(format!("value must have a maximum value of {max}")),
        _ => Ok(()),
    }
}

fn length(value: &str, max: Option<usize>) -> Result<(), String> {
    match max {
        Some(max) if value.chars().count() > max => Err(format!("value may only be {max} characters long")),
        _ => Ok(()),
    }
}

fn one_of(value: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&value) {
        return Ok(());
    }
    let list = words.join(", ");
    Err(format!("value '{value}' does not have a value in the enumeration '{list}'"))
}

fn type_check(wanted: &str, value: &str) -> String {
    format!("type check ('{wanted}') failed - got '{value}'")
}

fn cpu(release: Release, value: &str) -> Result<(), String> {
    let first = value.split(',').next().unwrap_or_default();
    let name = first.strip_prefix("cputype=").unwrap_or(first);
    if !name.contains('=') {
        super::option_formats::cpu_type(name)?;
    }
    let checked = properties(release, "cpu", &super::keys::CPU, value);
    checked.map_err(|text| text.trim_start_matches("invalid format - ").trim_end_matches('\n').to_owned())
}

fn properties(release: Release, name: &str, known: &Properties, value: &str) -> Result<(), String> {
    let given = property::split(value, known).map_err(|text| format!("invalid format - {text}\n"))?;
    let mut wrong: Vec<String> = Vec::new();
    for (key, text) in &given {
        match known.kind(key, release) {
            None => wrong.push(format!("{name}.{key}: {UNKNOWN}\n")),
            Some(kind) => {
                let key = if release == Release::V8_4 { key.as_str() } else { known.canonical(key) };
                if let Err(text) = check(release, key, kind, &plain(kind, text)) {
                    wrong.push(format!("{name}.{key}: {text}\n"));
                }
            }
        }
    }
    let has = |key: &str| given.iter().any(|(other, _)| known.canonical(other) == key);
    for (key, _, _) in known.keys.iter().filter(|(key, _, required)| *required && !has(key)) {
        wrong.push(format!("{name}.{key}: {MISSING}\n"));
    }
    for (key, needed) in known.needs.iter().filter(|(key, needed)| has(key) && !has(needed)) {
        wrong.push(format!("{name}.{needed}: {}\n", release.lacks(&format!("{name}.{key}"))));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("invalid format - format error\n{}", wrong.concat())),
    }
}

/// Inside a property string booleans may be words.
fn plain(kind: Kind, value: &str) -> String {
    match (kind, value) {
        (Kind::Boolean, "on" | "yes" | "true") => "1".to_owned(),
        (Kind::Boolean, "off" | "no" | "false") => "0".to_owned(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::kind_of;
    use super::*;

    fn refusal(name: &str, value: &str) -> String {
        let kind = kind_of(name).expect("a known option");
        check(Release::V9_2, name, kind, value).expect_err("a refusal")
    }

    #[test]
    fn refusals_are_worded_as_the_real_ones() {
        let cases = [
            ("cores", "0", "value must have a minimum value of 1"),
            ("cores", "x", "type check ('integer') failed - got 'x'"),
            ("onboot", "yes", "type check ('boolean') failed - got 'yes'"),
            ("name", "a_b", "invalid format - value does not look like a valid DNS name\n"),
            ("tags", "a:b", "invalid format - invalid characters in tag\n"),
            ("bios", "uefi", "value 'uefi' does not have a value in the enumeration 'seabios, ovmf'"),
            ("serial0", "/etc/passwd", "value does not match the regex pattern"),
            ("boot", "order=", "invalid format - missing key in comma-separated list property\n"),
            ("hotplug", "bogus", "invalid format - invalid hotplug feature 'bogus'\n"),
            (
                "memory",
                "abc",
                "invalid format - format error\nmemory.current: type check ('integer') failed - got 'abc'\n",
            ),
            ("cpu", "bogus", "invalid format - Built-in cputype 'bogus' is not defined (missing 'custom-' prefix?)\n"),
            (
                "net0",
                "virtio=01:00:00:00:00:01,bridge=vmbr0",
                "invalid format - format error\nnet0.macaddr: invalid format - value does not look like a valid unicast MAC address\n\n",
            ),
            (
                "ipconfig0",
                "gw=192.0.2.1",
                "invalid format - format error\nipconfig0.ip: missing property required by 'ipconfig0.gw'\n",
            ),
            (
                "scsi0",
                "local:4,foo=1",
                "invalid format - format error\nscsi0.foo: property is not defined in schema and the schema does not allow additional properties\n",
            ),
            (
                "smbios1",
                "uuid=x",
                "invalid format - format error\nsmbios1.uuid: value does not match the regex pattern\n",
            ),
        ];
        for (name, value, text) in cases {
            assert_eq!(refusal(name, value), text, "{name}={value}");
        }
    }

    #[test]
    fn what_a_talos_vm_needs_is_accepted() {
        let cases = [
            ("name", "cp-1.lab.lan"),
            ("tags", "a b,c;D"),
            ("memory", "4096"),
            ("cpu", "x86-64-v2-AES,flags=+aes;+pcid"),
            ("machine", "q35"),
            ("net0", "virtio=bc:24:11:00:00:01,bridge=vmbr0,tag=12,firewall=1"),
            ("scsi0", "local-lvm:0,import-from=local:import/x.qcow2,ssd=yes"),
            ("efidisk0", "local-lvm:1,efitype=4m,pre-enrolled-keys=0"),
            ("ide2", "local-lvm:cloudinit,media=cdrom"),
            ("boot", "order=scsi0;ide2"),
            ("agent", "enabled=1,type=virtio"),
            ("smbios1", "uuid=11111111-2222-3333-4444-555555555555"),
            ("ipconfig0", "ip=192.0.2.5/24,gw=192.0.2.1"),
            ("nameserver", "1.1.1.1 8.8.8.8"),
            ("startup", "order=1,up=30,down=60"),
        ];
        for (name, value) in cases {
            let kind = kind_of(name).expect("a known option");
            assert_eq!(check(Release::V9_2, name, kind, value), Ok(()), "{name}={value}");
        }
    }
}
