//! Drives as the file has them: what they are made from is a wish for their creation, and their options are a set.

use std::collections::BTreeMap;

use pve_client::property::Property;
use serde_json::Value;

use crate::{
    sizes::{bytes, gibibytes},
    values::{Extent, plain},
};

/// The system disk.
pub(crate) const SYSTEM: &str = "scsi0";

/// What a drive is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A new disk of this many GiB, as they were written.
    New(String),
    /// A copy of a volume; `None` is the image of Talos.
    Import(Option<String>),
    /// The drive that gives the guest its network config.
    CloudInit,
    /// A volume that exists.
    Volume(String),
    /// A CD: an image, `none`, or the host's drive.
    Medium(String),
}

/// A drive that a node wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drive {
    /// Its slot: `scsi1`, `efidisk0`.
    pub(crate) slot: String,
    pub(crate) source: Source,
    /// Its storage; the node's own if the file names none.
    pub(crate) storage: Option<String>,
    /// The size that it should have, in bytes.
    pub(crate) size: Option<u64>,
    /// Its options.
    pub(crate) options: Options,
    /// How much of its options must be as they are here.
    pub(crate) extent: Extent,
}

/// Options of a drive, by key.
pub(crate) type Options = BTreeMap<String, String>;

/// What holds where an option isn't set.
const DEFAULTS: [(&str, &str); 17] = [
    ("aio", "io_uring"),
    ("backup", "1"),
    ("cache", "none"),
    ("detect_zeroes", "1"),
    ("discard", "ignore"),
    ("efitype", "2m"),
    ("iothread", "0"),
    ("media", "disk"),
    ("pre-enrolled-keys", "0"),
    ("replicate", "1"),
    ("ro", "0"),
    ("scsiblock", "0"),
    ("shared", "0"),
    ("snapshot", "0"),
    ("ssd", "0"),
    ("version", "v1.2"),
    ("werror", "enospc"),
];
/// Keys that only the creation of a disk takes, or that the server writes.
const CREATION: [&str; 4] = ["format", "size", "import-from", "ms-cert"];
/// Keys that say what kind of drive it is; only another drive has them otherwise.
const FIXED: [&str; 3] = ["efitype", "pre-enrolled-keys", "version"];
/// Keys that a running VM takes: limits, and what concerns the host only. The others wait until it was off.
const LIVE: [&str; 6] = ["backup", "replicate", "shared", "bps", "iops", "mbps"];

/// What a drive is, as a config has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its volume, or `none`.
    pub(crate) volume: String,
    /// Its size in bytes, where it is known.
    pub(crate) size: Option<u64>,
    pub(crate) options: Options,
    is_cd: bool,
}

impl Found {
    /// Reads a drive of a config.
    pub(crate) fn parse(text: &str) -> Self {
        let (volume, mut options) = parts(text);
        let volume = volume.unwrap_or_default();
        let is_cd = options.get("media").is_some_and(|media| media == "cdrom");
        let size = options.remove("size").and_then(|size| bytes(&size));
        options.remove("media");
        Self { volume, size, options, is_cd }
    }

    /// The storage of its volume.
    pub(crate) fn storage(&self) -> Option<&str> {
        self.volume.split_once(':').map(|(storage, _)| storage)
    }

    /// Whether it is the drive that gives the guest its network config.
    pub(crate) fn is_cloud_init(&self) -> bool {
        self.is_cd && self.volume.split_once(':').is_some_and(|(_, name)| name.contains("cloudinit"))
    }

    /// Whether it holds data: it is no CD, and there is a volume.
    pub(crate) fn holds_data(&self) -> bool {
        !self.is_cd && self.volume.contains(':')
    }

    /// Its name and size for messages: `local-lvm:vm-100-disk-2, 100G`.
    pub(crate) fn told(&self) -> String {
        match self.size {
            Some(size) => format!("{}, {}", self.volume, crate::sizes::written(size)),
            None => self.volume.clone(),
        }
    }
}

/// The volume of a drive and its other keys.
fn parts(text: &str) -> (Option<String>, Options) {
    let (mut file, mut options) = (None, Options::new());
    for (key, value) in Property::parse(text).pairs() {
        match key {
            None | Some("file" | "volume") => file = Some(value.to_owned()),
            Some(key) => drop(options.insert(key.to_owned(), value.to_owned())),
        }
    }
    (file, options)
}

/// Whether a parameter is a drive on a bus, which may hold data.
pub(crate) fn is_on_a_bus(name: &str) -> bool {
    let buses = ["scsi", "virtio", "sata", "ide"];
    buses.iter().any(|bus| crate::parameters::index(name, bus).is_some())
}

/// The values of a drive.
const FORM: &str = "a drive as in local-lvm:100,ssd=1 (a storage and a size in GiB), or its options";

impl Drive {
    /// Reads a drive of the file. Of the system disk and the small disks of firmware, the options are enough.
    pub(crate) fn parse(slot: &str, text: &str) -> Result<Self, &'static str> {
        let (file, mut options) = parts(text);
        let slot = if slot == "cdrom" { "ide2" } else { slot };
        let is_cd = options.get("media").is_some_and(|media| media == "cdrom");
        let import = options.remove("import-from");
        let (storage, source) = match (file, import) {
            (Some(file), import) => source(&file, import, is_cd || text == "cdrom")?,
            (None, None) if slot == SYSTEM => (None, Source::Import(None)),
            (None, None) if is_firmware(slot) => (None, Source::New("1".to_owned())),
            (None, _) => return Err(FORM),
        };
        if slot == SYSTEM && source != Source::Import(None) {
            return Err("options of the disk, as in iothread=1,cache=none");
        }
        let size = match (&source, options.remove("size")) {
            _ if is_firmware(slot) => None,
            (Source::New(amount), Some(size)) if bytes(&size) != gibibytes(amount) => {
                return Err("a drive with one size: the number behind its storage, in GiB");
            }
            (Source::New(amount), _) => gibibytes(amount),
            (_, size) => size.and_then(|size| bytes(&size)),
        };
        if size == Some(0) {
            return Err("a disk of at least 1 GiB");
        }
        options.remove("media");
        Ok(Self { slot: slot.to_owned(), source, storage, size, options, extent: Extent::Whole })
    }

    /// Reads an entry of `disks`; without a slot it takes that of its place, behind the system disk.
    pub(crate) fn listed(place: usize, entry: &Value) -> Result<Self, &'static str> {
        const ENTRY: &str = "a disk as in {size: 100, storage: local-lvm, ssd: 1}";
        let entry = entry.as_object().ok_or(ENTRY)?;
        let word = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(on) => Some(if *on { "1" } else { "0" }.to_owned()),
            _ => None,
        };
        let mut words = Options::new();
        for (key, value) in entry {
            words.insert(key.clone(), word(value).filter(|word| !word.contains(',')).ok_or(ENTRY)?);
        }
        let size = words.remove("size").ok_or(ENTRY)?;
        let amount = size.trim_end_matches("iB").trim_end_matches(['G', 'g']).trim().to_owned();
        let size = gibibytes(&amount).filter(|size| *size > 0).ok_or(ENTRY)?;
        let slot = words.remove("slot").unwrap_or_else(|| format!("scsi{}", place + 1));
        if !is_on_a_bus(&slot) || crate::parameters::find(&slot).is_none() || slot == SYSTEM {
            return Err("a disk whose slot is scsi1, virtio0, sata0 and so on");
        }
        let storage = words.remove("storage");
        Ok(Self { slot, source: Source::New(amount), storage, size: Some(size), options: words, extent: Extent::Whole })
    }

    /// The drive that gives the guest its network config.
    pub(crate) fn cloud_init(slot: &str) -> Self {
        let options = Options::new();
        Self { slot: slot.into(), source: Source::CloudInit, storage: None, size: None, options, extent: Extent::Part }
    }

    /// The parameter that makes the drive, on its own storage or on this one. `image` is the volume with Talos.
    pub(crate) fn creation(&self, storage: &str, image: &str) -> String {
        let storage = self.storage.as_deref().unwrap_or(storage);
        let made = match &self.source {
            Source::New(amount) => format!("{storage}:{amount}"),
            Source::Import(from) => format!("{storage}:0,import-from={}", from.as_deref().unwrap_or(image)),
            Source::CloudInit => format!("{storage}:cloudinit,media=cdrom"),
            Source::Volume(volume) => volume.clone(),
            Source::Medium(medium) => format!("{medium},media=cdrom"),
        };
        with(&made, &self.options)
    }

    /// Whether making it allocates a volume: such a call is never sent again without a look at what it did.
    pub(crate) fn allocates(&self) -> bool {
        matches!(self.source, Source::New(_) | Source::Import(_) | Source::CloudInit)
    }

    /// Whether a drive that was found is this one, whatever its options and size.
    pub(crate) fn is(&self, found: &Found) -> bool {
        match &self.source {
            Source::New(_) | Source::Import(_) => found.holds_data(),
            Source::CloudInit => found.is_cloud_init(),
            Source::Volume(volume) => found.volume == *volume,
            Source::Medium(medium) => found.is_cd && found.volume == *medium,
        }
    }

    /// Whether the options are those of a drive that was found.
    pub(crate) fn has_options_of(&self, found: &Found) -> bool {
        let (wanted, found) = (settable(&self.options), settable(&found.options));
        match self.extent {
            Extent::Whole => wanted == found,
            Extent::Part => wanted.iter().all(|(key, value)| found.get(key) == Some(value)),
        }
    }

    /// The value that gives the volume that was found the options of this drive, and what a running VM makes of it: the
    /// volume itself stays, whatever the file has it made from.
    pub(crate) fn over(&self, found: &Found) -> String {
        let mut options = self.options.clone();
        options.retain(|key, _| !CREATION.contains(&key.as_str()) && !FIXED.contains(&key.as_str()));
        for (key, value) in &found.options {
            let keep = self.extent == Extent::Part || CREATION.contains(&key.as_str()) || FIXED.contains(&key.as_str());
            if keep {
                options.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        if found.is_cd {
            options.insert("media".to_owned(), "cdrom".to_owned());
        }
        options.extend(found.size.map(|size| ("size".to_owned(), crate::sizes::written(size))));
        with(&found.volume, &options)
    }

    /// Whether a running VM takes the other options at once.
    pub(crate) fn is_live_over(&self, found: &Found) -> bool {
        let (wanted, now) = (settable(&self.options), settable(&found.options));
        let differs = |key: &&String| wanted.get(*key) != now.get(*key);
        let is_live = |key: &&String| LIVE.iter().any(|live| key.starts_with(live));
        let dropped = now.keys().filter(|key| self.extent == Extent::Whole && !wanted.contains_key(*key));
        wanted.keys().filter(differs).chain(dropped).all(|key| is_live(&key))
    }

    /// Keys that no change gives the drive that was found, as in `efitype=2m, not 4m`.
    pub(crate) fn fixed(&self, found: &Found) -> Vec<String> {
        let of = |options: &Options, key: &str| {
            let default = DEFAULTS.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value);
            plain(key, options.get(key).map_or(default, String::as_str))
        };
        // What Ichor would choose today is no reason to give up what was chosen then.
        let keys = FIXED.iter().filter(|key| self.extent == Extent::Whole && self.options.contains_key(**key));
        let differing = keys.filter(|key| of(&self.options, key) != of(&found.options, key));
        differing.map(|key| format!("{key} is {}, not {}", of(&found.options, key), of(&self.options, key))).collect()
    }
}

/// The small disks of the firmware, whose size the server chooses.
pub(crate) fn is_firmware(slot: &str) -> bool {
    matches!(slot, "efidisk0" | "tpmstate0")
}

fn with(file: &str, options: &Options) -> String {
    options.iter().fold(file.to_owned(), |text, (key, value)| format!("{text},{key}={value}"))
}

/// The options that can be changed, in the spelling in which equal ones are equal, without those that hold anyway.
fn settable(options: &Options) -> Options {
    let changeable =
        options.iter().filter(|(key, _)| !CREATION.contains(&key.as_str()) && !FIXED.contains(&key.as_str()));
    let plain = changeable.map(|(key, value)| (key.clone(), plain(key, value)));
    let holds = |key: &str, value: &str| {
        DEFAULTS.iter().any(|(known, usual)| *known == key && crate::values::plain(key, usual) == value)
    };
    plain.filter(|(key, value)| !holds(key, value)).collect()
}

/// What a drive is made from, and on which storage.
fn source(file: &str, import: Option<String>, is_cd: bool) -> Result<(Option<String>, Source), &'static str> {
    let (storage, name) = match file.split_once(':') {
        Some((storage, name)) => (Some(storage.to_owned()), name),
        None => (None, file),
    };
    Ok(match import {
        Some(volume) if gibibytes(name) == Some(0) => (storage, Source::Import(Some(volume))),
        Some(_) => return Err("a drive as in local-lvm:0,import-from=local:import/data.qcow2"),
        None if name == "cloudinit" => (storage, Source::CloudInit),
        None if gibibytes(name).is_some() => (storage, Source::New(name.to_owned())),
        None if file.starts_with('/') => {
            return Err("a volume of a storage: only root@pam may name a path, never a token");
        }
        None if is_cd || name.starts_with("iso/") || matches!(file, "none" | "cdrom") => {
            (None, Source::Medium(file.to_owned()))
        }
        None if storage.is_some() => (storage, Source::Volume(file.to_owned())),
        None => return Err(FORM),
    })
}

#[cfg(test)]
mod tests;
