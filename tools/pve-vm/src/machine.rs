//! The VM that a node should have, from the spec alone.

use pve_client::{property::Property, request::Parameters};
use record::spec::{ClusterSpec, NodeSpec, StorageSpec};

use crate::{
    disks::{Drive, SYSTEM},
    error::Error,
    ha::{self, Managed},
    identity::Identity,
    medium,
    nic::Nic,
    parameters::{When, find, index},
    sizes::{GIB, written},
    values::{Extent, same},
};

pub(crate) mod layers;
mod reading;

use reading::Reading;
pub(crate) use reading::is_roots;

/// Default size of a disk, in GiB.
const DISK: u64 = 20;
/// Minimum size of a disk in GiB: that of an image of Talos 1.11 and later.
const SMALLEST: u64 = 5;

/// What all VMs of a cluster share.
#[derive(Debug, Clone)]
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) spec: &'a ClusterSpec,
    pub(crate) identity: &'a Identity,
}

/// A parameter that a VM should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) value: String,
    /// How much of the value must be as it is here.
    pub(crate) extent: Extent,
}

/// The VM that a node should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) uuid: String,
    /// MAC addresses, `net0` first, upper case.
    pub(crate) macs: Vec<String>,
    /// The host that the user wants it on.
    pub(crate) host: Option<String>,
    /// The VM ID that the user wants it to have.
    pub(crate) vmid: Option<u32>,
    /// The pool that it is created in.
    pub(crate) pool: Option<String>,
    /// Bytes of memory.
    pub(crate) memory: u64,
    pub(crate) cores: u64,
    pub(crate) control_plane: bool,
    /// Parameters that can be compared and changed, except tags.
    pub(crate) settings: Vec<Setting>,
    pub(crate) tags: Vec<String>,
    pub(crate) drives: Vec<Drive>,
    /// Storage of the node's drives, and of those of all nodes.
    own_storage: Option<String>,
    storage: StorageSpec,
    /// Parameters that only a creation can set.
    creation: Parameters,
    /// Whether the manager of high availability looks after it.
    pub(crate) managed: Managed,
    /// The first parameter that only root@pam can set.
    pub(crate) root_only: Option<String>,
}

impl Machine {
    /// Reads the spec of a node.
    pub(crate) fn read(site: &Site<'_>, name: &str, spec: &NodeSpec) -> Result<Self, Error> {
        let vm = Reading { node: name, vm: &spec.vm };
        let proxmox = site.spec.proxmox.clone().unwrap_or_default();
        vm.check()?;
        let mut machine = Self {
            name: name.to_owned(),
            uuid: site.identity.uuid(name),
            macs: Vec::new(),
            host: vm.text("node")?,
            vmid: vm.vmid()?,
            pool: vm.text("pool")?.or(proxmox.pool),
            memory: 0,
            cores: vm.number("cores")?.unwrap_or(2) * vm.number("sockets")?.unwrap_or(1),
            control_plane: spec.role == record::Role::ControlPlane,
            settings: defaults(),
            tags: vm.tags(&site.identity.tag())?,
            drives: Vec::new(),
            own_storage: vm.text("storage")?,
            storage: proxmox.storage.ok_or(Error::Unset("storage"))?,
            creation: Parameters::new(),
            managed: ha::read(name, spec.vm.get("ha"))?,
            root_only: None,
        };
        machine.check_hosts()?;
        for (key, value) in vm.settings()? {
            machine.pass_through(key, value);
        }
        machine.name_it(site, name, spec.role, &vm)?;
        machine.network(site, &vm, proxmox.bridge.as_deref())?;
        machine.address(spec)?;
        machine.drives = machine.all_drives(&vm)?;
        machine.memory = machine.memory_bytes();
        Ok(machine)
    }

    /// Refuses a host that high availability would move the VM away from.
    fn check_hosts(&self) -> Result<(), Error> {
        let kept = self.managed.hosts();
        let Some(host) = self.host.as_deref().filter(|host| !kept.is_empty() && !kept.contains(host)) else {
            return Ok(());
        };
        let wanted = "one of the hosts in `ha.nodes`, for high availability moves the VM to these";
        Err(Error::Value { node: self.name.clone(), key: "node".into(), wanted, found: host.to_owned() })
    }

    /// A parameter of the user, over the default.
    fn pass_through(&mut self, key: String, value: String) {
        if is_roots(&key, &value) {
            self.root_only.get_or_insert(key.clone());
        }
        match find(&key).map(|parameter| parameter.when) {
            Some(When::Creation) => self.creation.push((key, value)),
            _ => self.put(&key, value, Extent::Whole),
        }
    }

    fn name_it(&mut self, site: &Site<'_>, name: &str, role: record::Role, vm: &Reading<'_>) -> Result<(), Error> {
        let own = vm.text("smbios1")?;
        let extent = if own.is_some() { Extent::Whole } else { Extent::Part };
        let mut smbios = Property::parse(&own.unwrap_or_default());
        if let Some(uuid) = smbios.get("uuid").filter(|uuid| !uuid.eq_ignore_ascii_case(&self.uuid)) {
            return Err(self.clash("smbios1", &format!("uuid={uuid}"), "ichor.lock", format!("uuid={}", self.uuid)));
        }
        smbios.set("uuid", &self.uuid);
        let vm_name = site.identity.vm_name(name);
        if let Some(own) = vm.text("name")?.filter(|own| *own != vm_name) {
            return Err(self.clash("name", &own, "spec.proxmox.names", vm_name));
        }
        let own = vm.text("description")?;
        self.put("name", vm_name, Extent::Whole);
        self.put("smbios1", smbios.to_string(), extent);
        // Where the file says nothing, what somebody wrote there stays.
        let extent = if own.is_some() { Extent::Whole } else { Extent::Part };
        let description = site.identity.description(site.cluster, name, role, own.as_deref());
        self.put("description", description, extent);
        Ok(())
    }

    /// Gives every NIC its MAC address: without one, Proxmox VE would make up a new one at each change.
    fn network(&mut self, site: &Site<'_>, vm: &Reading<'_>, bridge: Option<&str>) -> Result<(), Error> {
        if self.setting("net0").is_none() {
            let first = format!("virtio,bridge={}", bridge.ok_or(Error::Unset("bridge"))?);
            self.put("net0", first, Extent::Part);
        }
        let mut nics: Vec<(usize, String)> = Vec::new();
        for setting in &mut self.settings {
            let Some(index) = index(&setting.key, "net") else { continue };
            let mut nic = Nic::parse(&setting.value);
            if !nic.has_sound_address() {
                return Err(vm.wrong(&setting.key, "a network card as in virtio,bridge=vmbr0,tag=5"));
            }
            let mac = nic.mac.get_or_insert_with(|| site.identity.mac(&self.name, index)).to_ascii_uppercase();
            setting.value = nic.to_string();
            nics.push((index, mac));
        }
        nics.sort_unstable();
        self.macs = nics.into_iter().map(|(_, mac)| mac).collect();
        Ok(())
    }

    /// A static address is set through the cloud-init drive, which Talos reads as platform network config.
    fn address(&mut self, spec: &NodeSpec) -> Result<(), Error> {
        let network = &spec.network;
        if !network.nameservers.is_empty() && (spec.address.is_some() || self.setting("nameserver").is_some()) {
            self.ours("nameserver", network.nameservers.join(" "), "spec.network.nameservers")?;
        }
        let Some(address) = &spec.address else { return Ok(()) };
        let family = if address.contains(':') { ("ip6", "gw6") } else { ("ip", "gw") };
        let gateway = network.gateway.as_ref().map(|gateway| format!(",{}={gateway}", family.1));
        let place = if gateway.is_some() { "spec.address with spec.network.gateway" } else { "spec.address" };
        self.ours("ipconfig0", format!("{}={address}{}", family.0, gateway.unwrap_or_default()), place)?;
        self.ours("citype", "nocloud".into(), "spec.address")
    }

    /// A value that a key of ours gives. Beside one of the user's it never wins unsaid: that one stays if it says the same,
    /// and maybe more.
    fn ours(&mut self, key: &str, value: String, place: &'static str) -> Result<(), Error> {
        match self.setting(key) {
            None => self.put(key, value, Extent::Whole),
            Some(own) if find(key).is_some_and(|known| same(known, Extent::Part, &value, Some(own))) => {}
            Some(own) => return Err(self.clash(key, own, place, value)),
        }
        Ok(())
    }

    fn clash(&self, key: &str, found: &str, place: &'static str, wanted: String) -> Error {
        Error::Clash { node: self.name.clone(), key: key.to_owned(), found: found.to_owned(), place, wanted }
    }

    /// The drives of the file, and those that every VM has.
    fn all_drives(&self, vm: &Reading<'_>) -> Result<Vec<Drive>, Error> {
        let mut drives = vm.drives()?;
        let has = |drives: &[Drive], slot: &str| drives.iter().any(|drive| drive.slot == slot);
        if !has(&drives, "efidisk0") && self.setting("bios") != Some("seabios") {
            let firmware = Drive::parse("efidisk0", "efitype=4m,pre-enrolled-keys=0");
            drives.extend(firmware.map(|drive| Drive { extent: Extent::Part, ..drive }));
        }
        let is_next_start = |setting: &Setting| find(&setting.key).is_some_and(|known| known.when == When::NextStart);
        let has_cloud_init = drives.iter().any(|drive| drive.source == crate::disks::Source::CloudInit);
        if !has_cloud_init && self.settings.iter().any(is_next_start) {
            let free = (0..4).map(|index| format!("ide{index}")).find(|slot| !has(&drives, slot));
            drives.push(Drive::cloud_init(&free.unwrap_or_else(|| "sata0".to_owned())));
        }
        if !has(&drives, SYSTEM) {
            let options = Drive::parse(SYSTEM, "discard=on,ssd=1");
            drives.extend(options.map(|drive| Drive { extent: Extent::Part, ..drive }));
        }
        for system in drives.iter_mut().filter(|drive| drive.slot == SYSTEM) {
            for (key, value) in [("discard", "on"), ("ssd", "1")] {
                system.options.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            }
            let wanted = vm.number("disk")?.map(|disk| disk.max(SMALLEST) * GIB);
            match (system.size, wanted) {
                (Some(own), Some(wanted)) if own != wanted => {
                    let [own, wanted] = [own, wanted].map(written);
                    return Err(self.clash(SYSTEM, &format!("size={own}"), "spec.vm.disk", wanted));
                }
                (own, wanted) => system.size = own.or(wanted).or(Some(DISK * GIB)).max(Some(SMALLEST * GIB)),
            }
        }
        Ok(drives)
    }

    /// Every parameter of the creation; `image` is the volume that the first disk is imported from, or installed from if it
    /// is an ISO. Tags are set later: a token that is restricted to a pool may not set them here.
    pub(crate) fn creation(&self, host: &str, image: &str) -> Parameters {
        let storage = self.storage(host).unwrap_or_default();
        let setting = |setting: &Setting| (setting.key.clone(), setting.value.clone());
        let mut parameters: Parameters = self.settings.iter().map(setting).collect();
        let drives = medium::drives(&self.drives, image);
        parameters.extend(drives.iter().map(|drive| (drive.slot.clone(), drive.creation(storage, image))));
        parameters.extend(self.creation.iter().filter(|(key, _)| key != "pool").cloned());
        parameters.extend(self.pool.iter().map(|pool| ("pool".to_owned(), pool.clone())));
        medium::booting(parameters, image)
    }

    /// The parameter that makes a drive of an existing VM on this host.
    pub(crate) fn made(&self, drive: &Drive, host: &str) -> String {
        drive.creation(self.storage(host).unwrap_or_default(), "")
    }

    /// The storage of its drives on this host.
    pub(crate) fn storage(&self, host: &str) -> Option<&str> {
        self.own_storage.as_deref().or_else(|| self.storage.on(host))
    }

    /// The parameters that can be compared and changed, with their values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|setting| (setting.key.as_str(), setting.value.as_str()))
    }

    /// The value of a parameter.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    }

    fn put(&mut self, key: &str, value: String, extent: Extent) {
        let setting = Setting { key: key.to_owned(), value, extent };
        match self.settings.iter_mut().find(|known| known.key == key) {
            Some(old) => *old = setting,
            None => self.settings.push(setting),
        }
    }

    /// Makes it one that is only tried: its notes say so, and no host starts it.
    pub(crate) fn marked_as_trial(&mut self, mark: &str) {
        let notes = self.setting("description").unwrap_or_default();
        self.put("description", format!("{notes}\n{mark}"), Extent::Whole);
        // One that is protected could not be removed again.
        for key in ["onboot", "protection"] {
            self.put(key, "0".to_owned(), Extent::Whole);
        }
    }

    fn memory_bytes(&self) -> u64 {
        let memory = Property::parse(self.setting("memory").unwrap_or_default());
        let mib = memory.get("current").or(memory.bare()).and_then(|text| text.parse::<u64>().ok());
        mib.unwrap_or_default() << 20
    }
}

/// The defaults that Talos needs: `kvm64` lacks instructions that Talos uses, its kernel doesn't support ballooning, and
/// with pre-enrolled keys an unsigned image doesn't boot.
fn defaults() -> Vec<Setting> {
    let pairs = [
        ("memory", "4096"),
        ("balloon", "0"),
        ("cores", "2"),
        ("sockets", "1"),
        ("cpu", "x86-64-v2-AES"),
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("scsihw", "virtio-scsi-pci"),
        ("serial0", "socket"),
        ("agent", "1"),
        ("ostype", "l26"),
        ("boot", "order=scsi0"),
        ("onboot", "1"),
    ];
    pairs.map(|(key, value)| Setting { key: key.into(), value: value.into(), extent: Extent::Part }).to_vec()
}

#[cfg(test)]
mod tests;
