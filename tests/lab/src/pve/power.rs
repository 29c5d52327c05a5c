//! Switching VMs on and off.

use serde_json::{Value, json};

use super::create;
use super::disks;
use super::guest;
use super::keys;
use super::options;
use super::property;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, Config, Effect, Running, State, Vm};
use super::work::Work;

/// `POST status/{command}`.
pub(crate) fn command(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    super::config::refuse_skiplock(call)?;
    let vmid = call.vmid();
    let running = state.vm(call)?.running.is_some();
    let managed = state.ha.manages(vmid);
    let work = match call.path.get("command").map_or("", String::as_str) {
        "start" if managed => Work::Manage { vmid, wanted: "started" },
        "stop" | "shutdown" if managed => Work::Manage { vmid, wanted: "stopped" },
        "start" => Work::Start(vmid),
        "stop" => Work::Stop(vmid),
        "shutdown" => Work::Shutdown { vmid, force: call.param("forceStop") == Some("1") },
        _ if !running => return Err(Refusal::failed(format!("VM {vmid} not running"))),
        "reboot" => Work::Reboot(vmid),
        "suspend" | "resume" => return Err(Refusal::failed("the lab does not suspend VMs")),
        _ => Work::Reset(vmid),
    };
    state.begin(call, call.node(), work)
}

/// Switches a VM on; pending changes take effect.
pub(crate) fn on(state: &mut State, vmid: u32, now: u64) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.is_set("template") {
        return Err("you can't start a vm if it's a template".to_owned());
    }
    vm.unlocked()?;
    if vm.running.is_some() {
        return Err(format!("VM {vmid} already running"));
    }
    let config = vm.wanted();
    check_bridges(state, &config)?;
    let machine = guest::machine(state, vmid, vm, &config);
    let Some(vm) = state.vms.get_mut(&vmid) else { return Err(create::gone(vmid)) };
    vm.pending.clear();
    vm.config = config.clone();
    vm.running = Some(Running { since: now, pid: 20_000 + vmid, config });
    vm.changed = now;
    state.effects.push_back(Effect::On(Box::new(machine)));
    Ok(())
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

/// Switches a VM off; one that is off stays off.
pub(crate) fn off(state: &mut State, vmid: u32, now: u64) -> Result<(), String> {
    let vm = state.vms.get_mut(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.running.take().is_some() {
        vm.changed = now;
        let uuid = vm.uuid().unwrap_or_default();
        state.effects.push_back(Effect::Off(uuid));
    }
    Ok(())
}

/// Asks the guest to switch itself off; one that does not heed it is left alone, or has its plug pulled.
pub(crate) fn shutdown(
    state: &mut State,
    vmid: u32,
    force: bool,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let Some(running) = &vm.running else { return Ok(()) };
    let agent = running.config.get("agent").is_some_and(|agent| guest::enabled(agent));
    if agent && state.guests.agent(&vm.uuid().unwrap_or_default()).is_none() {
        log.push(format!("QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - got timeout"));
    }
    match (state.faults.is_deaf(vmid), force) {
        (true, false) => return Err("VM quit/powerdown failed - got timeout".to_owned()),
        (true, true) => log.push("VM still running - terminating now with SIGTERM".to_owned()),
        (false, _) => {}
    }
    off(state, vmid, now)
}

/// Presses reset: the emulator keeps the options that it was started with.
pub(crate) fn reset(state: &mut State, vmid: u32, now: u64) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let running = vm.running.clone().ok_or_else(|| format!("VM {vmid} not running"))?;
    let machine = guest::machine(state, vmid, vm, &running.config);
    off(state, vmid, now)?;
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.running = Some(running);
    }
    state.effects.push_back(Effect::On(Box::new(machine)));
    Ok(())
}

/// The boot order when none is given: the first disk, the first CD, the first card.
pub(crate) fn default_boot(config: &Config) -> Vec<String> {
    let drives: Vec<(&String, &String)> = config.iter().filter(|(name, _)| options::is_bus_drive(name)).collect();
    let is_cd = |value: &str| value.contains("media=cdrom");
    let disk = drives.iter().find(|(_, value)| !is_cd(value));
    let cd = drives.iter().find(|(_, value)| is_cd(value) && !value.contains("cloudinit"));
    let nic = config.keys().find(|name| options::index_of(name, "net").is_some());
    let drives = disk.into_iter().chain(cd).map(|(name, _)| (*name).clone());
    drives.chain(nic.cloned()).collect()
}

/// `GET status/current`.
pub(crate) fn current(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let vm = state.vm(call)?;
    let mut data = row(state, vmid, vm, call.now);
    data["ha"] = match state.ha.resources.get(&vmid) {
        Some(wanted) => json!({"managed": 1, "state": wanted}),
        None => json!({"managed": 0}),
    };
    data["qmpstatus"] = data["status"].clone();
    if vm.config.get("agent").is_some_and(|agent| guest::enabled(agent)) {
        data["agent"] = 1.into();
    }
    if vm.config.contains_key("serial0") {
        data["serial"] = 1.into();
    }
    if let Some(running) = &vm.running {
        data["running-machine"] = "pc-q35-10.1+pve0".into();
        data["running-qemu"] = "10.1.2".into();
        data["pid"] = running.pid.into();
    }
    Ok(data.into())
}

/// The row of a VM in its host's list.
pub(crate) fn row(state: &State, vmid: u32, vm: &Vm, now: u64) -> Value {
    let config = vm.running.as_ref().map_or(&vm.config, |running| &running.config);
    let memory = guest::memory(config) << 20;
    let uptime = vm.running.as_ref().map_or(0, |running| now.saturating_sub(running.since));
    let used = if vm.running.is_some() { memory / 2 } else { 0 };
    let status = if vm.running.is_some() { "running" } else { "stopped" };
    let mut row = json!({
        "cpu": 0, "cpus": guest::cores(config), "disk": 0, "diskread": 0, "diskwrite": 0,
        "maxdisk": boot_size(state, vm), "maxmem": memory, "mem": used,
        "name": vm.name(vmid), "netin": 0, "netout": 0, "status": status, "uptime": uptime, "vmid": vmid,
    });
    if state.settings.release >= Release::V9_2 {
        row["memhost"] = used.into();
    }
    for (key, option) in [("tags", "tags"), ("lock", "lock")] {
        if let Some(value) = vm.config.get(option) {
            row[key] = value.as_str().into();
        }
    }
    if vm.is_set("template") {
        row["template"] = 1.into();
    }
    row
}

/// Bytes of the disk that the VM boots from.
pub(crate) fn boot_size(state: &State, vm: &Vm) -> u64 {
    let Some((name, value)) = guest::boot_disk(&vm.config) else { return 0 };
    let file = disks::file(name, value).unwrap_or_default();
    let storage = super::storage::split(&file).and_then(|(storage, _)| state.storage(storage).ok());
    storage.and_then(|storage| state.volumes.get(&storage, &vm.node, &file)).map_or(0, |volume| volume.size)
}
