//! The VM that a node should have, from the spec alone.

use pve_client::{property::Property, request::Parameters};
use record::{
    Map,
    spec::{ClusterSpec, NodeSpec},
};
use serde_json::Value;

use crate::{error::Error, identity::Identity};

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
    /// Storage of its disks.
    pub(crate) storage: String,
    /// GiB of its first disk.
    pub(crate) disk: u64,
    /// Bytes of memory.
    pub(crate) memory: u64,
    pub(crate) cores: u64,
    pub(crate) control_plane: bool,
    /// Parameters that can be compared and changed, except tags.
    pub(crate) settings: Parameters,
    pub(crate) tags: Vec<String>,
    /// Parameters that only a creation can set: drives, and the pool.
    drives: Parameters,
    /// Options of the first disk.
    disk_options: Property,
}

/// Keys of `spec.vm` that Ichor uses itself.
const OURS: [&str; 4] = ["node", "disk", "boot", "vmid"];
/// Keys of `spec.vm` that are handled one by one, not passed through.
const HANDLED: [&str; 8] = ["name", "tags", "description", "smbios1", "scsi0", "net0", "pool", "start"];
/// Keys that only a creation sets.
const DRIVES: [&str; 2] = ["efidisk0", "tpmstate0"];

impl Machine {
    /// Reads the spec of a node.
    pub(crate) fn read(site: &Site<'_>, name: &str, spec: &NodeSpec) -> Result<Self, Error> {
        let vm = &spec.vm;
        let proxmox = site.spec.proxmox.clone().unwrap_or_default();
        let storage = proxmox.storage.ok_or(Error::Unset("storage"))?;
        check_boot(name, vm)?;
        let mut machine = Self {
            name: name.to_owned(),
            uuid: site.identity.uuid(name),
            macs: Vec::new(),
            host: text(name, vm, "node")?,
            vmid: number(name, vm, "vmid")?.map(|id| u32::try_from(id).unwrap_or(u32::MAX)),
            disk: number(name, vm, "disk")?.unwrap_or(DISK).max(SMALLEST),
            memory: 0,
            cores: number(name, vm, "cores")?.unwrap_or(2) * number(name, vm, "sockets")?.unwrap_or(1),
            control_plane: spec.role == record::Role::ControlPlane,
            settings: defaults(),
            tags: tags(site, name, vm)?,
            drives: vec![("efidisk0".into(), format!("{storage}:1,efitype=4m,pre-enrolled-keys=0"))],
            disk_options: Property::parse("discard=on,ssd=1"),
            storage,
        };
        machine.pass_through(name, vm)?;
        machine.name_it(site, name, vm)?;
        machine.network(site, name, vm, proxmox.bridge.as_deref())?;
        machine.address(spec);
        for (key, value) in Property::parse(&text(name, vm, "scsi0")?.unwrap_or_default()).pairs() {
            machine.disk_options.set(key.ok_or_else(|| wrong(name, "scsi0", DISK_OPTIONS, &vm["scsi0"]))?, value);
        }
        if let Some(pool) = text(name, vm, "pool")?.or(proxmox.pool) {
            machine.drives.push(("pool".into(), pool));
        }
        machine.memory = machine.memory_bytes();
        Ok(machine)
    }

    /// The user's own parameters over the defaults.
    fn pass_through(&mut self, name: &str, vm: &Map) -> Result<(), Error> {
        for (key, value) in
            vm.iter().filter(|(key, _)| !OURS.contains(&key.as_str()) && !HANDLED.contains(&key.as_str()))
        {
            let value = written(value).ok_or_else(|| wrong(name, key, SCALAR, value))?;
            let list = if DRIVES.contains(&key.as_str()) { &mut self.drives } else { &mut self.settings };
            put(list, key, value);
        }
        let seabios = self.settings.iter().any(|(key, value)| key == "bios" && value == "seabios");
        self.drives.retain(|(key, _)| key != "efidisk0" || !seabios);
        Ok(())
    }

    fn name_it(&mut self, site: &Site<'_>, name: &str, vm: &Map) -> Result<(), Error> {
        let mut smbios = Property::parse(&text(name, vm, "smbios1")?.unwrap_or_default());
        smbios.set("uuid", &self.uuid);
        let own = text(name, vm, "description")?;
        put(&mut self.settings, "name", name.to_owned());
        put(&mut self.settings, "smbios1", smbios.to_string());
        put(&mut self.settings, "description", site.identity.description(site.cluster, name, own.as_deref()));
        Ok(())
    }

    /// Gives every NIC its MAC address: without one, Proxmox VE would make up a new one at each change.
    fn network(&mut self, site: &Site<'_>, name: &str, vm: &Map, bridge: Option<&str>) -> Result<(), Error> {
        let first = match text(name, vm, "net0")? {
            Some(own) => own,
            None => format!("virtio,bridge={}", bridge.ok_or(Error::Unset("bridge"))?),
        };
        put(&mut self.settings, "net0", first);
        let nic = |key: &str| key.strip_prefix("net").and_then(|index| index.parse::<usize>().ok());
        let mut nics: Vec<(usize, String)> = Vec::new();
        for (key, value) in &mut self.settings {
            let Some(index) = nic(key) else { continue };
            let (whole, mac) = with_mac(value, || site.identity.mac(name, index));
            *value = whole;
            nics.push((index, mac));
        }
        nics.sort_unstable();
        self.macs = nics.into_iter().map(|(_, mac)| mac).collect();
        Ok(())
    }

    /// A static address is set through the cloud-init drive, which Talos reads as platform network config.
    fn address(&mut self, spec: &NodeSpec) {
        let Some(address) = &spec.address else { return };
        let family = if address.contains(':') { ("ip6", "gw6") } else { ("ip", "gw") };
        let gateway = spec.network.gateway.as_ref().map(|gateway| format!(",{}={gateway}", family.1));
        let config = format!("{}={address}{}", family.0, gateway.unwrap_or_default());
        put(&mut self.settings, "ipconfig0", config);
        if !spec.network.nameservers.is_empty() {
            put(&mut self.settings, "nameserver", spec.network.nameservers.join(" "));
        }
        put(&mut self.settings, "citype", "nocloud".into());
        self.drives.push(("ide0".into(), format!("{}:cloudinit,media=cdrom", self.storage)));
    }

    /// Every parameter of the creation; `image` is the volume that the first disk is imported from. Tags are set later:
    /// a token that is restricted to a pool may not set them here.
    pub(crate) fn creation(&self, image: &str) -> Parameters {
        let mut disk = format!("{}:0,import-from={image}", self.storage);
        if self.disk_options != Property::default() {
            disk = format!("{disk},{}", self.disk_options);
        }
        let mut parameters = self.settings.clone();
        parameters.extend(self.drives.iter().cloned());
        parameters.push(("scsi0".into(), disk));
        parameters
    }

    /// The value of a parameter.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn memory_bytes(&self) -> u64 {
        let memory = Property::parse(self.setting("memory").unwrap_or_default());
        let mib = memory.get("current").or(memory.bare()).and_then(|text| text.parse::<u64>().ok());
        mib.unwrap_or_default() << 20
    }
}

/// The defaults that Talos needs: `kvm64` lacks instructions that Talos uses, its kernel doesn't support ballooning, and
/// with pre-enrolled keys an unsigned image doesn't boot.
fn defaults() -> Parameters {
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
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

/// `boot` says what the VM boots from; only a disk made from the image is supported.
fn check_boot(name: &str, vm: &Map) -> Result<(), Error> {
    match vm.get("boot").map(|value| (value.as_str(), value)) {
        None | Some((Some("image" | "disk"), _)) => Ok(()),
        Some((_, other)) => Err(Error::Boot(name.into(), other.to_string())),
    }
}

fn tags(site: &Site<'_>, name: &str, vm: &Map) -> Result<Vec<String>, Error> {
    let own = text(name, vm, "tags")?.unwrap_or_default();
    let own = own.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(str::to_ascii_lowercase);
    let mut tags: Vec<String> = own.chain(["ichor".to_owned(), site.identity.tag()]).collect();
    tags.sort_unstable();
    tags.dedup();
    Ok(tags)
}

/// A NIC with its MAC address (`derived` unless the user chose one), and that address.
fn with_mac(value: &str, derived: impl Fn() -> String) -> (String, String) {
    let nic = Property::parse(value);
    if let Some(own) = nic.get("macaddr") {
        return (value.to_owned(), own.to_ascii_uppercase());
    }
    let mut parts = value.splitn(2, ',');
    let (model, rest) = (parts.next().unwrap_or_default(), parts.next());
    let (model, mac) = match model.split_once('=') {
        Some((model, own)) => (model, own.to_ascii_uppercase()),
        None => (model, derived()),
    };
    let rest = rest.map(|rest| format!(",{rest}")).unwrap_or_default();
    (format!("{model}={mac}{rest}"), mac)
}

fn put(list: &mut Parameters, key: &str, value: String) {
    match list.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = value,
        None => list.push((key.to_owned(), value)),
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

/// The values of a parameter.
const SCALAR: &str = "text, a number, true or false";
/// The values of a number.
const NUMBER: &str = "a whole number from 0 to 4294967295";
/// The form of the first disk's options.
const DISK_OPTIONS: &str = "options of the disk, as in iothread=1,cache=none";

fn wrong(node: &str, key: &str, wanted: &'static str, found: &Value) -> Error {
    Error::Value { node: node.into(), key: key.into(), wanted, found: found.to_string() }
}

fn text(node: &str, vm: &Map, key: &str) -> Result<Option<String>, Error> {
    let Some(value) = vm.get(key) else { return Ok(None) };
    written(value).map(Some).ok_or_else(|| wrong(node, key, SCALAR, value))
}

fn number(node: &str, vm: &Map, key: &str) -> Result<Option<u64>, Error> {
    let Some(value) = vm.get(key) else { return Ok(None) };
    // Numbers of Proxmox VE fit into 32 bits; so products and GiB in bytes fit into 64.
    let number = written(value).and_then(|text| text.parse::<u32>().ok());
    number.map(|number| Some(number.into())).ok_or_else(|| wrong(node, key, NUMBER, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn machine(node: Value) -> Result<Machine, Error> {
        let spec: ClusterSpec =
            serde_json::from_value(json!({"proxmox": {"storage": "local-lvm", "bridge": "vmbr0"}})).unwrap();
        let identity = Identity::new("00112233445566778899aabbccddeeff");
        let site = Site { cluster: "lab", spec: &spec, identity: &identity };
        Machine::read(&site, "cp-1", &serde_json::from_value(node).unwrap())
    }

    fn creation(machine: &Machine, key: &str) -> Option<String> {
        machine.creation("local:import/x.qcow2").into_iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    #[test]
    fn a_node_with_a_static_address_gets_a_cloud_init_drive() {
        let node = json!({"role": "controlplane", "address": "10.0.0.11/24",
            "network": {"gateway": "10.0.0.1", "nameservers": ["10.0.0.1", "1.1.1.1"]}});
        let machine = machine(node).unwrap();

        assert_eq!(creation(&machine, "ipconfig0").as_deref(), Some("ip=10.0.0.11/24,gw=10.0.0.1"));
        assert_eq!(creation(&machine, "nameserver").as_deref(), Some("10.0.0.1 1.1.1.1"));
        assert_eq!(creation(&machine, "ide0").as_deref(), Some("local-lvm:cloudinit,media=cdrom"));
    }

    #[test]
    fn a_node_without_an_address_asks_dhcp_with_a_hardware_address_of_its_own() {
        let machine = machine(json!({"role": "worker"})).unwrap();

        assert_eq!((creation(&machine, "ide0"), creation(&machine, "ipconfig0")), (None, None));
        assert_eq!(creation(&machine, "net0"), Some(format!("virtio={},bridge=vmbr0", machine.macs[0])));
        assert_eq!(
            creation(&machine, "scsi0").as_deref(),
            Some("local-lvm:0,import-from=local:import/x.qcow2,discard=on,ssd=1")
        );
    }

    #[test]
    fn the_users_parameters_are_passed_on_and_ours_are_not() {
        let vm = json!({"cores": 4, "memory": 8192, "disk": 100, "node": "pve1", "onboot": false, "cpu": "host",
            "net1": "virtio=aa:bb:cc:00:00:01,bridge=vmbr1", "scsi0": "iothread=1", "tags": "Prod,x"});
        let machine = machine(json!({"role": "worker", "vm": vm})).unwrap();

        assert_eq!((machine.disk, machine.memory, machine.host.as_deref()), (100, 8 << 30, Some("pve1")));
        assert_eq!((machine.setting("cores"), machine.setting("onboot")), (Some("4"), Some("0")));
        assert_eq!((machine.setting("node"), machine.setting("disk")), (None, None));
        assert_eq!(machine.macs[1], "AA:BB:CC:00:00:01");
        assert_eq!(machine.tags, ["ichor", "ichor-00112233", "prod", "x"]);
        assert!(creation(&machine, "scsi0").unwrap().ends_with("discard=on,ssd=1,iothread=1"));
    }

    #[test]
    fn seabios_needs_no_efi_disk() {
        assert!(creation(&machine(json!({"role": "worker"})).unwrap(), "efidisk0").is_some());
        let seabios = machine(json!({"role": "worker", "vm": {"bios": "seabios"}})).unwrap();
        assert_eq!(creation(&seabios, "efidisk0"), None);
    }

    #[test]
    fn values_of_another_type_are_named() {
        let error = |vm: Value| machine(json!({"role": "worker", "vm": vm})).unwrap_err().to_string();

        let number = "must be a whole number from 0 to 4294967295, got";
        assert_eq!(error(json!({"disk": "20G"})), format!("node cp-1: spec.vm.disk {number} \"20G\""));
        assert_eq!(error(json!({"cores": -1})), format!("node cp-1: spec.vm.cores {number} -1"));
        assert_eq!(
            error(json!({"cores": u64::MAX})),
            format!("node cp-1: spec.vm.cores {number} 18446744073709551615")
        );
        assert_eq!(error(json!({"cpu": [1]})), "node cp-1: spec.vm.cpu must be text, a number, true or false, got [1]");
        assert!(
            error(json!({"scsi0": "local-lvm:20"})).starts_with("node cp-1: spec.vm.scsi0 must be options of the disk")
        );
        assert!(error(json!({"boot": "pxe"})).starts_with("node cp-1: spec.vm.boot \"pxe\" is not supported"));
    }
}
