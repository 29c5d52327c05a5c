//! The differences between a VM and its spec.

use pve_client::{answer::Config, property::Property, request::Parameters};
use record::{Change, Impact};

use crate::{identity::has_tag, machine::Machine};

/// The changes that a VM needs, by their impact.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Changes without downtime.
    pub(crate) live: Parameters,
    /// Changes that a running VM only takes after it was switched off and on.
    pub(crate) reboot: Parameters,
    /// New size of the first disk in GiB, if it grows.
    pub(crate) grow: Option<u64>,
    /// Why the VM must be recreated.
    pub(crate) recreate: Vec<String>,
    /// The storage of the first disk, if the file names another one; the disk is not moved.
    pub(crate) elsewhere: Option<String>,
    /// Each difference: what, from, to, and its impact.
    pub(crate) changes: Vec<Change>,
}

/// Parameters that a running VM takes immediately, or never sees.
const LIVE: [&str; 7] = ["name", "description", "onboot", "boot", "startup", "protection", "ostype"];

/// The names that values without a key have.
const DEFAULT_KEYS: [(&str, &str); 5] =
    [("agent", "enabled"), ("cpu", "cputype"), ("machine", "type"), ("memory", "current"), ("vga", "type")];

impl Difference {
    /// Compares; parameters that the file doesn't set are ignored.
    pub(crate) fn between(wanted: &Machine, found: &Config) -> Self {
        let mut difference = Self::default();
        for (key, value) in &wanted.settings {
            let now = found.get(key);
            if now.is_some_and(|now| same(key, value, now)) {
                continue;
            }
            difference.note(key, value, now);
        }
        let tags = found.get("tags").unwrap_or_default();
        if !wanted.tags.iter().all(|tag| has_tag(tags, tag)) {
            let mut all = wanted.tags.clone();
            all.extend(
                tags.split(';')
                    .filter(|tag| !tag.is_empty() && !has_tag(&wanted.tags.join(";"), tag))
                    .map(str::to_owned),
            );
            difference.live.push(("tags".into(), all.join(";")));
            difference.changes.push(Change::live("tags").from(tags).to(all.join(";")));
        }
        difference.disk(wanted, found);
        difference
    }

    fn note(&mut self, key: &str, value: &str, now: Option<&str>) {
        let parameter = (key.to_owned(), value.to_owned());
        let impact = match key {
            "bios" => {
                self.recreate.push(format!("its bios is {}, not {value}", now.unwrap_or("seabios")));
                Impact::DataLoss
            }
            _ if LIVE.contains(&key) || key.starts_with("net") => {
                self.live.push(parameter);
                Impact::Live
            }
            _ => {
                self.reboot.push(parameter);
                Impact::PowerCycle
            }
        };
        let mut change = Change::new(key, impact).to(value);
        change.from = now.map(Into::into);
        self.changes.push(allowed(change));
    }

    fn disk(&mut self, wanted: &Machine, found: &Config) {
        let Some(disk) = found.property("scsi0") else {
            self.recreate.push("it has no disk scsi0".into());
            return self.changes.push(allowed(Change::new("scsi0", Impact::DataLoss).to(format!("{}G", wanted.disk))));
        };
        let storage = disk.bare().and_then(|volume| volume.split_once(':')).map(|(storage, _)| storage);
        self.elsewhere = storage.filter(|storage| *storage != wanted.storage).map(str::to_owned);
        let size = disk.get("size").unwrap_or_default();
        let Some(bytes) = bytes(size) else { return };
        let (target, now) = (format!("{}G", wanted.disk), size.to_owned());
        if bytes < wanted.disk << 30 {
            self.changes.push(Change::live("disk").from(now).to(target));
            self.grow = Some(wanted.disk);
        } else if bytes > wanted.disk << 30 {
            self.recreate.push(format!("its disk has {size}, not {target}"));
            self.changes.push(allowed(Change::new("disk", Impact::DataLoss).from(now).to(target)));
        }
    }

    /// The differences as changes: a VM that is off takes everything but a new disk immediately.
    pub(crate) fn costs(&self, running: bool) -> Vec<Change> {
        let cost = |change: &Change| match change.impact {
            Impact::PowerCycle if !running => Change { impact: Impact::Live, needs: None, ..change.clone() },
            _ => change.clone(),
        };
        self.changes.iter().map(cost).collect()
    }

    /// The differences as text: `memory 2048 -> 4096`, without the long description.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |change: &Change| {
            let shown = |value: &Option<serde_json::Value>| match value.as_ref().and_then(serde_json::Value::as_str) {
                None | Some("") => "(none)".to_owned(),
                Some(text) => text.to_owned(),
            };
            format!("{} {} -> {}", change.what, shown(&change.from), shown(&change.to))
        };
        self.changes.iter().filter(|change| change.what != "description").map(text).collect()
    }

    /// Whether nothing differs.
    pub(crate) fn is_none(&self) -> bool {
        self.live.is_empty() && self.reboot.is_empty() && self.grow.is_none() && self.recreate.is_empty()
    }
}

/// The change with the flag that allows it, where its impact needs one.
fn allowed(change: Change) -> Change {
    match change.impact {
        Impact::Live | Impact::Restart | Impact::Upgrade => change,
        Impact::Reboot | Impact::PowerCycle => change.needs("--reboot"),
        Impact::Recreate | Impact::DataLoss => change.needs("--recreate"),
    }
}

/// Whether a parameter already has the wanted value. The server sorts and adds; case and booleans vary.
fn same(key: &str, wanted: &str, found: &str) -> bool {
    match key {
        "description" => wanted.trim() == found.trim(),
        "name" | "nameserver" | "searchdomain" | "boot" | "startup" => wanted == found,
        _ => {
            let (wanted, found) = (pairs(key, wanted), pairs(key, found));
            wanted.iter().all(|(key, value)| found.iter().any(|(other, it)| other == key && alike(value, it)))
        }
    }
}

/// The pairs of a property string, each with its key.
fn pairs(key: &str, text: &str) -> Vec<(String, String)> {
    let default = DEFAULT_KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, default)| default);
    let property = Property::parse(text);
    property.pairs().map(|(key, value)| (key.unwrap_or(default).to_owned(), value.to_owned())).collect()
}

fn alike(wanted: &str, found: &str) -> bool {
    let plain = |text: &str| match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" => "1".to_owned(),
        "off" | "no" | "false" => "0".to_owned(),
        other => other.to_owned(),
    };
    plain(wanted) == plain(found)
}

/// Bytes of a size as a config has it: `4G`, `528K`, `4560M`.
pub(crate) fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &size[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    let bytes = number * f64::from(1_u32 << (shift % 30)) * if shift >= 30 { f64::from(1_u32 << 30) } else { 1.0 };
    (0.0..9e18).contains(&bytes).then(|| whole(bytes))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller checked the range")]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests {
    use record::spec::{ClusterSpec, NodeSpec};
    use serde_json::json;

    use super::*;
    use crate::{identity::Identity, machine::Site};

    fn wanted() -> Machine {
        let spec: ClusterSpec =
            serde_json::from_value(json!({"proxmox": {"storage": "local-lvm", "bridge": "vmbr0"}})).unwrap();
        let identity = Identity::new("00112233445566778899aabbccddeeff");
        let node: NodeSpec =
            serde_json::from_value(json!({"role": "worker", "vm": {"memory": 2048, "disk": 20}})).unwrap();
        Machine::read(&Site { cluster: "lab", spec: &spec, identity: &identity }, "w-1", &node).unwrap()
    }

    /// The VM as the server would give it back, with these parameters otherwise.
    fn found(otherwise: &[(&str, &str)]) -> Config {
        let wanted = wanted();
        let mut pairs: Vec<(&str, &str)> =
            wanted.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let tags = wanted.tags.join(";");
        pairs.push(("tags", &tags));
        pairs.push(("scsi0", "local-lvm:vm-100-disk-1,discard=on,size=20G,ssd=1"));
        pairs.extend(otherwise);
        pairs.into_iter().collect()
    }

    fn difference(otherwise: &[(&str, &str)]) -> Difference {
        Difference::between(&wanted(), &found(otherwise))
    }

    #[test]
    fn values_that_the_server_writes_differently_are_equal() {
        let mac = wanted().macs[0].clone();
        let net = format!("bridge=vmbr0,firewall=0,virtio={}", mac.to_lowercase());
        let same =
            [("agent", "enabled=1,type=virtio"), ("cpu", "cputype=x86-64-v2-AES"), ("net0", &net), ("onboot", "1")];

        assert_eq!(difference(&same), Difference::default());
    }

    #[test]
    fn memory_needs_a_reboot_and_tags_do_not() {
        let difference = difference(&[("memory", "1024"), ("tags", "own;ichor")]);

        assert_eq!(difference.reboot, [("memory".to_owned(), "2048".to_owned())]);
        assert_eq!(difference.live, [("tags".to_owned(), "ichor;ichor-00112233;own".to_owned())]);
        assert_eq!(difference.texts()[0], "memory 1024 -> 2048");
    }

    #[test]
    fn a_disk_grows_and_never_shrinks() {
        assert_eq!(difference(&[("scsi0", "x:y,size=4560M")]).grow, Some(20));
        assert_eq!(difference(&[("scsi0", "x:y,size=30G")]).recreate, ["its disk has 30G, not 20G"]);
        assert_eq!((bytes("528K"), bytes("4.5G"), bytes("1X")), (Some(540_672), Some(4_831_838_208), None));
    }

    #[test]
    fn another_firmware_needs_another_vm() {
        assert_eq!(difference(&[("bios", "seabios")]).recreate, ["its bios is seabios, not ovmf"]);
    }
}
