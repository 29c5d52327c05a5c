//! Reading `spec.vm`: what Proxmox VE would refuse is refused here, before anything is created.

use pve_client::property::Property;
use record::Map;
use serde_json::Value;

use crate::{
    disks::Drive,
    error::Error,
    parameters::{Kind, When, find, keys::wrong, meant},
    values::{flag, words},
};

/// `spec.vm` of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) node: &'a str,
    pub(super) vm: &'a Map,
}

/// The values of a parameter.
const SCALAR: &str = "text, a number, true or false";
/// The values of a whole number.
const NUMBER: &str = "a whole number from 0 to 4294967295";
/// The values of a number of pieces, or of MiB.
const WHOLE: &str = "a whole number (of MiB for memory, as in 4096), not 0";
/// The letters of a tag.
const TAGS: &str = "tags of letters, digits and _ - + . which begin with a letter, a digit or _";

/// The form of `disks`.
const LIST: &str = "a list of disks as in [{size: 100, storage: local-lvm}]";

/// Parameters that are not passed on as they are.
const HANDLED: [&str; 6] = ["name", "tags", "description", "smbios1", "boot", "start"];

impl Reading<'_> {
    /// Refuses parameters that don't exist, that Proxmox VE refuses, or that can't be honoured.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (key, value) in self.vm {
            let Some(parameter) = find(key) else {
                return Err(Error::Unknown { node: self.node.into(), key: key.clone(), meant: meant(key) });
            };
            let is_off = written(value).is_some_and(|text| flag(&text) == Some(false));
            if let When::Refused(why) = parameter.when
                && !is_off
            {
                return Err(self.refused(key, why));
            }
            // Those with a least value are judged where they are read.
            if let Some(text) = written(value).filter(|_| least(key).is_none()) {
                self.check_keys(key, key, &text)?;
            }
        }
        let differs = |key: &str, fine: &dyn Fn(&str) -> bool| match self.text(key) {
            Ok(found) => found.is_some_and(|found| !fine(&found)),
            Err(_) => true,
        };
        if differs("boot", &|boot| matches!(boot, "image" | "disk")) {
            return Err(self.refused("boot", "VMs always boot from the image"));
        }
        if self.vm.contains_key("ha") && self.vm.contains_key("ha-managed") {
            return Err(self.refused("ha-managed", "`ha` beside it says whether and how HA manages the VM"));
        }
        if differs("start", &|start| flag(start) == Some(true)) {
            return Err(self.refused("start", "pve-vm starts its VMs"));
        }
        Ok(())
    }

    /// Refuses keys that a value can't have, and what can't stand for them. `place` is where the value stands.
    fn check_keys(&self, place: &str, key: &str, text: &str) -> Result<(), Error> {
        match wrong(key, text) {
            None => Ok(()),
            Some(why) => Err(Error::Key { node: self.node.into(), key: place.into(), why }),
        }
    }

    fn refused(&self, key: &str, why: &'static str) -> Error {
        Error::Refused { node: self.node.into(), key: key.into(), why }
    }

    pub(super) fn wrong(&self, key: &str, wanted: &'static str) -> Error {
        let is_secret = find(key).is_some_and(|known| known.kind == Kind::Secret);
        let found = match self.vm.get(key) {
            Some(_) if is_secret => "(redacted)".to_owned(),
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        Error::Value { node: self.node.into(), key: key.into(), wanted, found }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.vm.get(key) else { return Ok(None) };
        written(value).map(Some).ok_or_else(|| self.wrong(key, SCALAR))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        let Some(value) = self.vm.get(key) else { return Ok(None) };
        // Numbers of Proxmox VE fit into 32 bits; so products and GiB in bytes fit into 64.
        let number = written(value).and_then(|text| text.parse::<u32>().ok());
        number.map(|number| Some(number.into())).ok_or_else(|| self.wrong(key, NUMBER))
    }

    /// The ID of the VM.
    pub(super) fn vmid(&self) -> Result<Option<u32>, Error> {
        const RANGE: &str = "a VM ID from 100 to 999999999";
        let Some(id) = self.number("vmid")? else { return Ok(None) };
        let id = u32::try_from(id).ok().filter(|id| (100..1_000_000_000).contains(id));
        id.map(Some).ok_or_else(|| self.wrong("vmid", RANGE))
    }

    /// The parameters that are passed on, in Proxmox VE's spelling.
    pub(super) fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        let passed = |key: &str| {
            let parameter = find(key).filter(|known| !matches!(known.when, When::Ours | When::Refused(_)));
            parameter.filter(|known| known.kind != Kind::Drive && !HANDLED.contains(&key))
        };
        let mut settings = Vec::new();
        for (key, value) in self.vm {
            let Some(parameter) = passed(key) else { continue };
            let text = written(value).ok_or_else(|| self.wrong(key, SCALAR))?;
            let value = match parameter.kind {
                // At top level the server takes digits only.
                Kind::Flag => {
                    let on = flag(&text).ok_or_else(|| self.wrong(key, "true or false"))?;
                    if on { "1" } else { "0" }.to_owned()
                }
                _ if least(key).is_some_and(|least| !is_whole(&text, least)) => {
                    return Err(self.wrong(key, WHOLE));
                }
                Kind::Number if text.parse::<f64>().is_ok_and(|number| number >= 0.0) => text,
                Kind::Number => return Err(self.wrong(key, "a number, 0 or larger")),
                _ => text,
            };
            settings.push((key.clone(), value));
        }
        Ok(settings)
    }

    /// The drives.
    pub(super) fn drives(&self) -> Result<Vec<Drive>, Error> {
        let mut drives: Vec<Drive> = Vec::new();
        for (key, value) in self.vm.iter().filter(|(key, _)| find(key).is_some_and(is_drive)) {
            let text = written(value).ok_or_else(|| self.wrong(key, SCALAR))?;
            drives.push(Drive::parse(key, &text).map_err(|wanted| self.wrong(key, wanted))?);
        }
        let listed = match self.vm.get("disks") {
            None => &Vec::new(),
            Some(Value::Array(listed)) => listed,
            Some(_) => return Err(self.wrong("disks", LIST)),
        };
        for (index, entry) in listed.iter().enumerate() {
            let place = format!("disks[{index}]");
            let wrong =
                |wanted| Error::Value { node: self.node.into(), key: place.clone(), wanted, found: entry.to_string() };
            let drive = Drive::listed(index, entry).map_err(wrong)?;
            for (key, value) in &drive.options {
                self.check_keys(&place, &drive.slot, &format!("{key}={value}"))?;
            }
            drives.push(drive);
        }
        let mut slots: Vec<&str> = drives.iter().map(|drive| drive.slot.as_str()).collect();
        slots.sort_unstable();
        match slots.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(self.refused(pair[0], "the file has two drives for this slot")),
            None => Ok(drives),
        }
    }

    /// The node's tags, with `ours`.
    pub(super) fn tags(&self, ours: &str) -> Result<Vec<String>, Error> {
        let own = self.text("tags")?.unwrap_or_default();
        let mut tags: Vec<String> = words(&own).map(str::to_ascii_lowercase).collect();
        if !tags.iter().all(|tag| is_tag(tag)) {
            return Err(self.wrong("tags", TAGS));
        }
        tags.extend(["ichor".to_owned(), ours.to_owned()]);
        tags.sort_unstable();
        tags.dedup();
        Ok(tags)
    }
}

/// The least value of a parameter that is a whole number.
fn least(key: &str) -> Option<u32> {
    match key {
        "cores" | "sockets" => Some(1),
        // What Proxmox VE takes at least, in MiB.
        "memory" => Some(16),
        _ => None,
    }
}

/// Whether a value, or its key `current`, is a whole number of at least this.
fn is_whole(text: &str, least: u32) -> bool {
    let property = Property::parse(text);
    let number = property.get("current").or(property.bare());
    number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number >= least)
}

fn is_drive(parameter: &crate::parameters::Parameter) -> bool {
    parameter.kind == Kind::Drive && !matches!(parameter.when, When::Refused(_))
}

fn is_tag(tag: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(is_first) && tag.chars().all(|c| is_first(c) || matches!(c, '-' | '+' | '.'))
}

/// Whether a token can never set this value: root@pam alone uses devices of a host that no mapping names.
pub(crate) fn is_roots(key: &str, value: &str) -> bool {
    let keys = |default: &str| crate::values::pairs(value, default, &[]);
    match find(key) {
        Some(known) if known.when == When::Root => true,
        Some(known) if known.name == "hostpci" => !keys("host").contains_key("mapping"),
        Some(known) if known.name == "usb" => {
            let keys = keys("host");
            !keys.contains_key("mapping") && keys.get("host").is_none_or(|host| host != "spice")
        }
        Some(known) if known.name == "serial" => value.starts_with('/'),
        _ => false,
    }
}

/// A scalar as Proxmox VE accepts it.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(if *flag { "1" } else { "0" }.into()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
