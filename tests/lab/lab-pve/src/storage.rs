//! Storages and the volumes on them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::DiskView;
use super::property;
pub use super::storage_setup::{Storage, StorageKind};
use lab_core::disk_image::Found;
use lab_core::machine::Image;
use lab_core::nocloud::Seed;

/// A volume.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    /// `storage:name`.
    pub(crate) id: String,
    /// `images`, `iso`, `import` or `vztmpl`.
    pub(crate) content: String,
    format: String,
    /// Bytes: of the disk for a disk, of the file for an image.
    pub(crate) size: u64,
    /// Bytes of the disk inside an image.
    pub(crate) virtual_size: u64,
    /// The VM that owns it.
    pub(crate) vmid: Option<u32>,
    /// The Talos on it.
    pub(crate) image: Option<Image>,
    /// What is on it, if it is a disc of NoCloud.
    pub(crate) seed: Option<Seed>,
    /// SHA-256 of an image.
    pub(crate) sha256: Option<String>,
    /// Seconds since 1970.
    ctime: u64,
    /// Tells a volume from an earlier one of the same name.
    pub(crate) serial: u64,
    /// The identity that it has taken over from a volume that was copied to it.
    stands_for: Option<String>,
    /// What is said of it.
    notes: Option<String>,
    /// Whether it is kept from being removed.
    pub(crate) protected: bool,
    /// Whether what it holds is not of its format.
    pub(crate) garbage: bool,
}

impl Volume {
    /// What tells this disk from every other that ever was.
    pub(crate) fn identity(&self) -> String {
        self.stands_for.clone().unwrap_or_else(|| format!("{}#{}", self.id, self.serial))
    }

    /// `raw` or `qcow2`.
    pub(crate) fn format(&self) -> &str {
        &self.format
    }

    /// Whether it can keep an earlier state: thin volumes can, and of files those in the format of QEMU.
    pub(crate) fn keeps_states(&self, storage: &Storage) -> bool {
        storage.kind == StorageKind::LvmThin || self.format == "qcow2"
    }

    /// What is said of it alone.
    pub(crate) fn info(&self, path: &str) -> Value {
        let used = if path.starts_with("/dev/") { 0 } else { self.size.min(4096) };
        let mut info = json!({"format": self.format, "path": path, "size": self.size, "used": used});
        if self.content == "backup" {
            info["notes"] = self.notes.as_deref().unwrap_or_default().into();
            info["protected"] = u8::from(self.protected).into();
        }
        info
    }

    fn row(&self) -> Value {
        let mut row = json!({
            "content": self.content, "ctime": self.ctime, "format": self.format, "size": self.size, "volid": self.id,
        });
        if let Some(vmid) = self.vmid {
            row["vmid"] = vmid.into();
        }
        match (self.content.as_str(), self.vmid) {
            ("backup", _) => {
                row["subtype"] = "qemu".into();
                row["protected"] = u8::from(self.protected).into();
                row["notes"] = self.notes.as_deref().into();
            }
            (_, Some(_)) => {
                row["parent"] = Value::Null;
                row["used"] = 4096.into();
            }
            _ => {}
        }
        row
    }
}

/// A disk to allocate.
pub(crate) struct Wanted<'a> {
    /// Where the VM runs.
    pub(crate) node: &'a str,
    /// The VM.
    pub(crate) vmid: u32,
    /// `Some` for what has a name of its own: `cloudinit`, `state-…`.
    pub(crate) stem: Option<&'a str>,
    /// The format asked for, if any.
    pub(crate) format: Option<&'a str>,
    /// Bytes.
    pub(crate) size: u64,
    /// What is copied onto it.
    pub(crate) image: Option<Image>,
}

/// All volumes of all storages.
#[derive(Default)]
pub(crate) struct Volumes {
    /// By host (empty for shared storages) and volume ID.
    all: BTreeMap<(String, String), Volume>,
    count: u64,
}

impl Volumes {
    fn key(storage: &Storage, node: &str, id: &str) -> (String, String) {
        let place = if storage.shared { "" } else { node };
        (place.to_owned(), id.to_owned())
    }

    /// The volume with this ID, as a host sees it.
    pub(crate) fn get(&self, storage: &Storage, node: &str, id: &str) -> Option<&Volume> {
        self.all.get(&Self::key(storage, node, id))
    }

    /// The volume with this ID, as a host sees it.
    pub(crate) fn get_mut(&mut self, storage: &Storage, node: &str, id: &str) -> Option<&mut Volume> {
        self.all.get_mut(&Self::key(storage, node, id))
    }

    /// Every disk of a VM.
    pub(crate) fn disks(&self) -> Vec<DiskView> {
        let disk = |volume: &Volume| {
            let vmid = volume.vmid.filter(|_| volume.content == "images")?;
            Some(DiskView { volume: volume.id.clone(), serial: volume.serial, vmid })
        };
        self.all.values().filter_map(disk).collect()
    }

    /// Takes a volume away.
    pub(crate) fn remove(&mut self, storage: &Storage, node: &str, id: &str) -> Option<Volume> {
        self.all.remove(&Self::key(storage, node, id))
    }

    /// Gives a volume another name.
    pub(crate) fn rename(&mut self, storage: &Storage, node: &str, id: &str, new: &str) {
        if let Some(mut volume) = self.all.remove(&Self::key(storage, node, id)) {
            volume.id = new.to_owned();
            self.all.insert(Self::key(storage, node, new), volume);
        }
    }

    /// Moves a volume to another host.
    pub(crate) fn carry(&mut self, storage: &Storage, from: &str, to: &str, id: &str) {
        if let Some(volume) = self.all.remove(&Self::key(storage, from, id)) {
            self.all.insert(Self::key(storage, to, id), volume);
        }
    }

    /// Lets a volume stand for another one: the guest finds on it what it wrote to that.
    pub(crate) fn inherit(&mut self, (from, old): (&Storage, &str), (to, new): (&Storage, &str), node: &str) {
        self.count += 1;
        let count = self.count;
        let Some(source) = self.all.get_mut(&Self::key(from, node, old)) else { return };
        let identity = source.identity();
        (source.serial, source.stands_for) = (count, None);
        if let Some(volume) = self.all.get_mut(&Self::key(to, node, new)) {
            volume.stands_for = Some(identity);
        }
    }

    /// Gives a disk to another VM; returns its new ID.
    pub(crate) fn reassign(&mut self, storage: &Storage, node: &str, id: &str, vmid: u32) -> Option<String> {
        let mut volume = self.all.remove(&Self::key(storage, node, id))?;
        let wanted = Wanted { node, vmid, stem: None, format: None, size: 0, image: None };
        let identity = volume.identity();
        volume.id = format!("{}:{}", storage.name, self.free_name(storage, &wanted, &volume.format));
        (volume.vmid, volume.stands_for) = (Some(vmid), Some(identity));
        let new = volume.id.clone();
        self.all.insert(Self::key(storage, node, &new), volume);
        Some(new)
    }

    /// Keeps the archive of a VM.
    pub(crate) fn archive(&mut self, storage: &Storage, node: &str, file: &str, of: (u32, u64), now: u64) -> String {
        let id = format!("{}:backup/{file}", storage.name);
        self.count += 1;
        let volume = Volume {
            id: id.clone(),
            content: "backup".to_owned(),
            format: file.split_once(".vma").map_or("vma".to_owned(), |(_, end)| format!("vma{end}")),
            size: of.1,
            virtual_size: of.1,
            vmid: Some(of.0),
            image: None,
            seed: None,
            sha256: None,
            ctime: now,
            serial: self.count,
            stands_for: None,
            notes: None,
            protected: false,
            garbage: false,
        };
        self.all.insert(Self::key(storage, node, &id), volume);
        id
    }

    /// Sets what is said of an archive, and whether it is kept from being removed.
    pub(crate) fn annotate(&mut self, storage: &Storage, node: &str, id: &str, notes: Option<String>, protected: bool) {
        if let Some(volume) = self.all.get_mut(&Self::key(storage, node, id)) {
            (volume.notes, volume.protected) = (notes, protected);
        }
    }

    /// How many volumes there have been, by which later ones are told from earlier ones.
    pub(crate) fn mark(&self) -> u64 {
        self.count
    }

    /// Takes away all disks of a VM that were made since then.
    pub(crate) fn remove_of(&mut self, vmid: u32, since: u64) -> Vec<Volume> {
        let of = |volume: &Volume| volume.vmid == Some(vmid) && volume.content == "images";
        let own = |volume: &Volume| of(volume) && volume.serial > since;
        let keys: Vec<_> = self.all.iter().filter(|(_, volume)| own(volume)).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| self.all.remove(key)).collect()
    }

    /// Keeps an image that was downloaded or uploaded.
    pub(crate) fn store(&mut self, storage: &Storage, node: &str, content: &str, file: &str, found: Found, now: u64) {
        let id = format!("{}:{content}/{file}", storage.name);
        self.count += 1;
        let volume = Volume {
            id: id.clone(),
            content: content.to_owned(),
            format: file.rsplit('.').next().unwrap_or_default().to_owned(),
            size: found.size,
            virtual_size: found.virtual_size,
            vmid: None,
            image: found.image,
            seed: found.seed,
            sha256: Some(found.sha256),
            ctime: now,
            serial: self.count,
            stands_for: None,
            notes: None,
            protected: false,
            garbage: false,
        };
        self.all.insert(Self::key(storage, node, &id), volume);
    }

    /// Replaces what an image holds by something that is none.
    pub(crate) fn spoil(&mut self, storage: &Storage, node: &str, id: &str, size: u64) -> Option<()> {
        let volume = self.all.get_mut(&Self::key(storage, node, id))?;
        (volume.size, volume.garbage, volume.image) = (size, true, None);
        volume.sha256 = volume.sha256.as_ref().map(|digest| digest.chars().rev().collect());
        Some(())
    }

    /// Makes a disk; its log lines say what Proxmox VE would print.
    pub(crate) fn allocate(&mut self, storage: &Storage, wanted: Wanted<'_>, now: u64) -> (Volume, String) {
        let format = Self::format_of(storage, &wanted);
        let name = self.free_name(storage, &wanted, format);
        let size = storage.kind.rounded(wanted.size);
        self.count += 1;
        let volume = Volume {
            id: format!("{}:{name}", storage.name),
            content: "images".to_owned(),
            format: format.to_owned(),
            size,
            virtual_size: size,
            vmid: Some(wanted.vmid),
            image: wanted.image,
            seed: None,
            sha256: None,
            ctime: now,
            serial: self.count,
            stands_for: None,
            notes: None,
            protected: false,
            garbage: false,
        };
        let line = match storage.kind {
            StorageKind::Dir => {
                let options = match format {
                    "qcow2" => format!(
                        "cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib size={size} lazy_refcounts=off refcount_bits=16"
                    ),
                    _ => format!("size={size} preallocation=off"),
                };
                format!("Formatting '/var/lib/vz/images/{name}', fmt={format} {options}")
            }
            StorageKind::LvmThin => format!("  Logical volume \"{name}\" created."),
        };
        self.all.insert(Self::key(storage, wanted.node, &volume.id), volume.clone());
        (volume, line)
    }

    /// Refuses a disk whose name is taken.
    pub(crate) fn check_free(&self, storage: &Storage, wanted: &Wanted<'_>) -> Result<(), String> {
        let name = self.free_name(storage, wanted, Self::format_of(storage, wanted));
        let id = format!("{}:{name}", storage.name);
        match (self.get(storage, wanted.node, &id), storage.kind) {
            (None, _) => Ok(()),
            (Some(_), StorageKind::Dir) => Err(format!("disk image '{}' already exists", storage.place(&id))),
            (Some(_), StorageKind::LvmThin) => Err(format!(
                "lvcreate 'pve/{name}' error:   Logical Volume \"{name}\" already exists in volume group \"pve\""
            )),
        }
    }

    fn format_of<'a>(storage: &Storage, wanted: &Wanted<'a>) -> &'a str {
        let default = if wanted.stem == Some("cloudinit") { "qcow2" } else { "raw" };
        match storage.kind {
            StorageKind::Dir => wanted.format.unwrap_or(default),
            StorageKind::LvmThin => "raw",
        }
    }

    fn free_name(&self, storage: &Storage, wanted: &Wanted<'_>, format: &str) -> String {
        if let Some(stem) = wanted.stem {
            return storage.disk_name(wanted.vmid, stem, format);
        }
        let taken = |index: u32| {
            ["raw", "qcow2"].iter().any(|format| {
                let name = storage.disk_name(wanted.vmid, &format!("disk-{index}"), format);
                self.get(storage, wanted.node, &format!("{}:{name}", storage.name)).is_some()
            })
        };
        let index = (0..).find(|index| !taken(*index)).expect("there is always a free number");
        storage.disk_name(wanted.vmid, &format!("disk-{index}"), format)
    }

    /// Whether a volume is on a storage of another host.
    pub(crate) fn is_elsewhere(&self, node: &str, id: &str) -> bool {
        self.all.keys().any(|(at, known)| known == id && at != node)
    }

    /// Bytes in use on a storage of a host.
    pub(crate) fn used(&self, storage: &Storage, node: &str) -> u64 {
        self.on(storage, node).map(|volume| volume.size.min(2 << 30)).sum()
    }

    /// Rows of a listing.
    pub(crate) fn rows(&self, storage: &Storage, node: &str, content: Option<&str>, vmid: Option<u32>) -> Vec<Value> {
        self.on(storage, node)
            .filter(|volume| content.is_none_or(|content| volume.content == content))
            .filter(|volume| vmid.is_none_or(|vmid| volume.vmid == Some(vmid)))
            .map(Volume::row)
            .collect()
    }

    fn on<'a>(&'a self, storage: &'a Storage, node: &str) -> impl Iterator<Item = &'a Volume> {
        let place = if storage.shared { String::new() } else { node.to_owned() };
        let start = format!("{}:", storage.name);
        self.all.iter().filter(move |((at, id), _)| *at == place && id.starts_with(&start)).map(|(_, volume)| volume)
    }
}

/// The row of a storage in a host's list.
pub(crate) fn row(storage: &Storage, used: u64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no precision")]
    let fraction = used as f64 / storage.size as f64;
    json!({
        "active": 1, "avail": storage.size - used.min(storage.size), "content": storage.content.join(","), "enabled": 1,
        "shared": u8::from(storage.shared), "storage": storage.name, "total": storage.size,
        "type": storage.kind.name(), "used": used, "used_fraction": fraction,
    })
}

/// The row of a storage in the cluster's resources.
pub(crate) fn resource(storage: &Storage, node: &str, used: u64) -> Value {
    json!({
        "content": storage.content.join(","), "disk": used, "id": format!("storage/{node}/{}", storage.name),
        "maxdisk": storage.size, "node": node, "plugintype": storage.kind.name(),
        "shared": u8::from(storage.shared), "status": "available", "storage": storage.name, "type": "storage",
    })
}

/// The storage in a volume ID, and the name on it.
pub(crate) fn split(id: &str) -> Option<(&str, &str)> {
    id.split_once(':').filter(|(storage, _)| !storage.is_empty() && !storage.starts_with('/'))
}

/// Bytes of a `storage:GiB` allocation.
pub(crate) fn gibibytes(name: &str) -> Option<u64> {
    let number = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !name.is_empty();
    number.then(|| property::bytes(&format!("{name}G"))).flatten()
}
