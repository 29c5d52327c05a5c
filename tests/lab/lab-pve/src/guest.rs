//! From the options of a VM to the machine that its guest finds.

use std::net::IpAddr;

use super::disks;
use super::keys;
use super::options;
use super::power;
use super::property;
use super::state::{Config, State, Vm};
use super::storage::{self, Volume};
use lab_core::machine::{Machine, NicConfig};
use lab_core::nocloud::Seed;

/// CPU types without the instructions of x86-64-v2, which Talos needs.
const TOO_OLD: &[&str] = &["kvm64", "kvm32", "qemu64", "qemu32", "486", "pentium", "athlon", "coreduo", "core2duo"];

/// The machine that is switched on.
pub(crate) fn machine(state: &State, vmid: u32, vm: &Vm, config: &Config) -> Machine {
    let boot = boot_disk(config);
    let disk = boot.and_then(|(name, value)| volume(state, vm, name, value));
    let boots = obstacle(config).is_none();
    let disc = disc(state, vm, config);
    Machine {
        uuid: vm.uuid().unwrap_or_default(),
        name: vm.name(vmid),
        host: vm.node.clone(),
        macs: nics(config).into_iter().map(|(_, mac)| mac).collect(),
        disk: disk.map_or_else(|| format!("none#{vmid}"), Volume::identity),
        image: disk.and_then(|volume| volume.image.clone()).filter(|_| boots),
        iso: iso(state, vm, config).filter(|_| boots),
        network: network(config, disc.as_ref()),
        nameservers: name_servers(config, disc.as_ref()),
        user_data: disc.and_then(|disc| disc.user_data),
        agent: config.get("agent").is_some_and(|agent| enabled(agent)),
        cores: cores(config),
        memory: memory(config),
        disk_size: disk.map_or(0, |volume| volume.size),
    }
}

/// Why Talos would not boot with these options, if it would not.
pub(crate) fn obstacle(config: &Config) -> Option<&'static str> {
    let cpu = config.get("cpu").map_or("kvm64", |cpu| cpu.split(',').next().unwrap_or_default());
    if TOO_OLD.contains(&cpu.trim_start_matches("cputype=")) {
        return Some("the CPU type lacks x86-64-v2");
    }
    let keys = config.get("efidisk0").is_some_and(|disk| disk.contains("pre-enrolled-keys=1"));
    match config.get("bios").is_some_and(|bios| bios == "ovmf") && keys {
        true => Some("secure boot is on, and the image is not signed with an enrolled key"),
        false => None,
    }
}

/// Whether the `agent` option switches the channel on.
pub(crate) fn enabled(agent: &str) -> bool {
    let pairs = property::parse(agent, &keys::AGENT).unwrap_or_default();
    matches!(property::get(&pairs, "enabled"), Some("1" | "on" | "yes" | "true"))
}

/// Cores of all sockets.
pub(crate) fn cores(config: &Config) -> u32 {
    let number = |name: &str| config.get(name).and_then(|value| value.parse::<u32>().ok()).unwrap_or(1);
    number("cores") * number("sockets")
}

/// Memory in MiB.
pub(crate) fn memory(config: &Config) -> u64 {
    mebibytes(config.get("memory").map(String::as_str))
}

/// What the `memory` option says, in MiB.
pub(crate) fn mebibytes(option: Option<&str>) -> u64 {
    option.unwrap_or("512").trim_start_matches("current=").parse().unwrap_or(512)
}

/// The first disk in the boot order.
pub(crate) fn boot_disk(config: &Config) -> Option<(&str, &str)> {
    boot_order(config).into_iter().find_map(|name| {
        let (name, value) = config.get_key_value(&name)?;
        let disk = options::is_bus_drive(name) && !value.contains("media=cdrom");
        disk.then_some((name.as_str(), value.as_str()))
    })
}

fn boot_order(config: &Config) -> Vec<String> {
    let order = config.get("boot").and_then(|boot| boot.split(',').find_map(|part| part.strip_prefix("order=")));
    match order {
        Some(order) => order.split(';').map(str::to_owned).collect(),
        None => power::default_boot(config),
    }
}

fn volume<'a>(state: &'a State, vm: &Vm, option: &str, value: &str) -> Option<&'a Volume> {
    let file = disks::file(option, value)?;
    let (storage, _) = storage::split(&file)?;
    state.volumes.get(&state.storage(storage).ok()?, &vm.node, &file)
}

fn iso(state: &State, vm: &Vm, config: &Config) -> Option<lab_core::machine::Image> {
    boot_order(config).into_iter().find_map(|name| {
        let value = config.get(&name).filter(|value| value.contains("media=cdrom"))?;
        volume(state, vm, &name, value)?.image.clone()
    })
}

/// The disc of NoCloud that the guest finds. It reads one only: with Proxmox VE's own drive in an earlier slot, that.
fn disc(state: &State, vm: &Vm, config: &Config) -> Option<Seed> {
    let drives = config.iter().filter(|(name, value)| options::is_bus_drive(name) && value.contains("media=cdrom"));
    let found = drives.filter_map(|(name, value)| match value.contains("-cloudinit") {
        true => Some(None),
        false => volume(state, vm, name, value)?.seed.clone().map(Some),
    });
    found.into_iter().next().flatten()
}

/// Number and hardware address of every card, in order.
fn nics(config: &Config) -> Vec<(usize, String)> {
    let mut nics: Vec<(usize, String)> = config
        .iter()
        .filter_map(|(name, value)| {
            let pairs = property::parse(value, &keys::NIC).ok()?;
            Some((options::index_of(name, "net")?, property::get(&pairs, "macaddr")?.to_uppercase()))
        })
        .collect();
    nics.sort();
    nics
}

/// What the disc says, or else the cloud-init drive; without either nothing.
fn network(config: &Config, disc: Option<&Seed>) -> Vec<NicConfig> {
    if let Some(settings) = disc.map(|disc| &disc.network) {
        let Some(settings) = settings else { return Vec::new() };
        return nics(config).into_iter().filter_map(|(_, mac)| settings.get(&mac).cloned()).collect();
    }
    if !has_cloud_init(config) {
        return Vec::new();
    }
    nics(config).into_iter().map(|(index, _)| nic(config.get(&format!("ipconfig{index}")))).collect()
}

/// Whether there is a cloud-init drive.
pub(crate) fn has_cloud_init(config: &Config) -> bool {
    config.iter().any(|(name, value)| options::is_bus_drive(name) && value.contains("-cloudinit"))
}

fn nic(option: Option<&String>) -> NicConfig {
    let pairs = option.and_then(|text| property::parse(text, &keys::IP_CONFIG).ok()).unwrap_or_default();
    let fixed = ["ip", "ip6"].iter().find_map(|key| {
        let (address, prefix) = property::get(&pairs, key)?.split_once('/')?;
        let gateway = property::get(&pairs, if *key == "ip" { "gw" } else { "gw6" });
        let gateway = gateway.and_then(|text| text.parse::<IpAddr>().ok());
        Some(NicConfig::Static { address: address.parse().ok()?, prefix: prefix.parse().ok()?, gateway })
    });
    fixed.unwrap_or(NicConfig::Dhcp)
}

fn name_servers(config: &Config, disc: Option<&Seed>) -> Vec<IpAddr> {
    if let Some(disc) = disc {
        return disc.nameservers.clone();
    }
    if !has_cloud_init(config) {
        return Vec::new();
    }
    let list = config.get("nameserver").map_or("", String::as_str);
    list.split([' ', ',', ';']).filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_static_address_reaches_the_guest_only_through_a_cloud_init_drive() {
        let mut options = config(&[
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
            ("ipconfig0", "ip=127.80.0.11/24,gw=127.80.0.1"),
            ("nameserver", "127.80.0.1"),
        ]);
        assert_eq!(network(&options, None), []);
        options.insert("ide0".to_owned(), "local-lvm:vm-100-cloudinit,media=cdrom".to_owned());
        let address = "127.80.0.11".parse().expect("an address");
        let gateway = "127.80.0.1".parse().ok();
        assert_eq!(network(&options, None), [NicConfig::Static { address, prefix: 24, gateway }]);
        assert_eq!(name_servers(&options, None).len(), 1);
    }

    #[test]
    fn talos_does_not_boot_on_the_default_cpu_nor_with_enrolled_keys() {
        assert!(obstacle(&config(&[])).is_some());
        assert!(obstacle(&config(&[("cpu", "host")])).is_none());
        let enrolled = [("cpu", "host"), ("bios", "ovmf"), ("efidisk0", "local-lvm:x,pre-enrolled-keys=1")];
        assert!(obstacle(&config(&enrolled)).is_some());
    }

    #[test]
    fn cards_are_counted_by_number_not_by_name() {
        let options = config(&[("net10", "virtio=BC:24:11:00:00:0A"), ("net2", "virtio=BC:24:11:00:00:02")]);
        let numbers: Vec<usize> = nics(&options).into_iter().map(|(index, _)| index).collect();
        assert_eq!(numbers, [2, 10]);
    }
}
