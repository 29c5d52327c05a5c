//! What keeps a VM from being started.

use super::disks;
use super::guest;
use super::keys;
use super::options;
use super::power;
use super::property;
use super::state::{Config, State, Vm};

/// Starts a VM in a task.
pub(crate) fn run(state: &mut State, vmid: u32, now: u64, log: &mut Vec<String>) -> Result<(), String> {
    let off = state.vms.get(&vmid).filter(|vm| vm.running.is_none() && !vm.is_set("template"));
    if off.is_some_and(|vm| guest::has_cloud_init(&vm.wanted())) {
        log.push("generating cloud-init ISO".to_owned());
    }
    power::on(state, vmid, now)
}

/// Refuses what the host cannot run.
pub(crate) fn check(state: &State, vm: &Vm, config: &Config) -> Result<(), String> {
    check_machine(state, vm, config)?;
    check_cores(state, config)?;
    check_numa(config)?;
    check_bridges(state, config)?;
    check_snippets(state, vm, config)?;
    check_disks(state, vm, config)
}

/// The drive of cloud-init can't be written without the files that `cicustom` names.
pub(crate) fn check_snippets(state: &State, vm: &Vm, config: &Config) -> Result<(), String> {
    let files = config.get("cicustom").map(String::as_str).unwrap_or_default().split(',');
    let mut files = files.filter_map(|part| Some(part.split_once('=')?.1));
    let is_there = |file: &str| {
        let storage = super::storage::split(file).and_then(|(storage, _)| state.storage(storage).ok());
        storage.is_some_and(|storage| state.volumes.get(&storage, &vm.node, file).is_some())
    };
    match files.find(|file| guest::has_cloud_init(config) && !is_there(file)) {
        Some(file) => Err(format!("volume '{file}' does not exist")),
        None => Ok(()),
    }
}

/// The machine type of a VM without what Proxmox VE adds to it, and the version in it.
fn pinned(config: &Config) -> Option<(&str, (u32, u32))> {
    let machine = config.get("machine")?.split(',').next()?.trim_start_matches("type=");
    let name = machine.split('+').next()?;
    let (major, minor) = name.rsplit('-').next()?.split_once('.')?;
    Some((name, (major.parse().ok()?, minor.parse().ok()?)))
}

fn check_machine(state: &State, vm: &Vm, config: &Config) -> Result<(), String> {
    let installed = state.settings.release.qemu();
    let mut parts = installed.split('.').filter_map(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match pinned(config).filter(|(_, wanted)| *wanted > version) {
        Some((machine, _)) => Err(format!(
            "Installed QEMU version '{installed}' is too old to run machine type '{machine}+pve0', please upgrade node '{}'",
            vm.node
        )),
        None => Ok(()),
    }
}

fn check_cores(state: &State, config: &Config) -> Result<(), String> {
    let most = state.settings.cores;
    match guest::cores(config) > most {
        true => Err(format!("MAX {most} vcpus allowed per VM on this node")),
        false => Ok(()),
    }
}

fn check_numa(config: &Config) -> Result<(), String> {
    if config.get("numa").is_none_or(|numa| numa != "1") {
        return Ok(());
    }
    let nodes = config.iter().filter(|(name, _)| options::index_of(name, "numa").is_some());
    let memories = nodes.filter_map(|(_, node)| {
        let pairs = property::parse(node, &keys::NUMA).ok()?;
        property::get(&pairs, "memory")?.parse::<u64>().ok()
    });
    let total: u64 = memories.sum();
    match total != 0 && total != guest::memory(config) {
        true => Err("total memory for NUMA nodes must be equal to vm static memory".to_owned()),
        false => Ok(()),
    }
}

fn check_bridges(state: &State, config: &Config) -> Result<(), String> {
    let nics = config.iter().filter(|(name, _)| options::index_of(name, "net").is_some());
    for (_, nic) in nics {
        let pairs = property::parse(nic, &keys::NIC).unwrap_or_default();
        if let Some(bridge) = property::get(&pairs, "bridge")
            && !state.settings.bridges.iter().any(|known| known == bridge)
        {
            return Err(format!("bridge '{bridge}' does not exist"));
        }
    }
    Ok(())
}

/// A disk that is on a storage of another host keeps a VM from being started.
fn check_disks(state: &State, vm: &Vm, config: &Config) -> Result<(), String> {
    let files = config.iter().filter(|(name, _)| options::is_drive(name)).filter_map(|(name, value)| {
        let file = disks::file(name, value)?;
        let storage = state.storage(super::storage::split(&file)?.0).ok()?;
        state.volumes.get(&storage, &vm.node, &file).is_none().then_some(file)
    });
    match files.into_iter().next() {
        Some(file) if state.volumes.is_elsewhere(&vm.node, &file) => {
            Err(format!("no such logical volume {}", file.replacen(':', "/", 1)))
        }
        _ => Ok(()),
    }
}
