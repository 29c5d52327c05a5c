//! Switching VMs on and off.

use super::create;
use super::guest;
use super::options;
use super::reply::{Refusal, Reply};
use super::state::{Call, Config, Effect, Running, State, Vm};
use super::task_kind::TaskKind;

/// Parameters that only `root@pam` itself may use: they are for migration, and for shutdowns of the host.
const FOR_ROOT: &[&str] = &[
    "force-cpu",
    "keepActive",
    "migratedfrom",
    "migration_network",
    "migration_type",
    "nets-host-mtu",
    "nocheck",
    "stateuri",
    "targetstorage",
    "with-conntrack-state",
];

fn refuse_for_root(call: &Call<'_>) -> Result<(), Refusal> {
    super::config::refuse_skiplock(call)?;
    match FOR_ROOT.iter().find(|name| call.param(name).is_some_and(|value| value != "0")) {
        Some(name) if !call.token.is_root() => Err(Refusal::parameter(name, "Only root may use this option.")),
        _ => Ok(()),
    }
}

/// What every command has to do with: the VM runs, somebody else decides that it does.
fn look(state: &State, call: &Call<'_>) -> Result<(bool, bool), Refusal> {
    refuse_for_root(call)?;
    Ok((state.vm(call)?.running.is_some(), state.ha.manages(call.vmid())))
}

fn not_running(call: &Call<'_>) -> Refusal {
    Refusal::failed(format!("VM {} not running", call.vmid()))
}

fn managed(state: &mut State, call: &Call<'_>, wanted: &'static str) -> Result<Reply, Refusal> {
    state.begin(call, call.node(), TaskKind::Manage { vmid: call.vmid(), wanted })
}

/// `POST status/start`.
pub(crate) fn start(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    refuse_for_root(call)?;
    // Whether the VM is there at all, the task finds out.
    match state.ha.manages(call.vmid()) {
        true => managed(state, call, "started"),
        false => state.begin(call, call.node(), TaskKind::Start(call.vmid())),
    }
}

/// `POST status/stop`; with `overrule-shutdown` it ends a shutdown that is under way.
pub(crate) fn stop(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    if let (_, true) = look(state, call)? {
        return managed(state, call, "stopped");
    }
    if call.param("overrule-shutdown") == Some("1") {
        let id = call.vmid().to_string();
        let may_stop = call.token.may(&format!("/nodes/{}", call.node()), "Sys.Modify");
        let shutdowns = state.tasks.newest_first().filter(|task| {
            task.is_running() && task.kind == "qmshutdown" && task.id == id && (may_stop || task.is_of(call.token))
        });
        let overruled: Vec<String> = shutdowns.map(|task| task.upid.clone()).collect();
        overruled.iter().for_each(|upid| state.abort(upid, call.now));
    }
    state.begin(call, call.node(), TaskKind::Stop(call.vmid()))
}

/// `POST status/shutdown`.
pub(crate) fn shut_down(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (_, is_managed) = look(state, call)?;
    let force = call.param("forceStop") == Some("1");
    let paused = is_paused(state, call)?;
    if paused && !force {
        return Err(Refusal::failed("VM is paused - cannot shutdown"));
    }
    match (is_managed, paused) {
        (true, _) => managed(state, call, "stopped"),
        (false, true) => state.begin(call, call.node(), TaskKind::Stop(call.vmid())),
        (false, false) => state.begin(call, call.node(), TaskKind::Shutdown { vmid: call.vmid(), force }),
    }
}

/// `POST status/reboot`.
pub(crate) fn reboot(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    if is_paused(state, call)? {
        return Err(Refusal::failed("VM is paused - cannot shutdown"));
    }
    running(state, call, TaskKind::Reboot(call.vmid()))
}

fn running(state: &mut State, call: &Call<'_>, work: TaskKind) -> Result<Reply, Refusal> {
    match look(state, call)? {
        (true, _) => state.begin(call, call.node(), work),
        (false, _) => Err(not_running(call)),
    }
}

/// `POST status/reset`.
pub(crate) fn press_reset(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    running(state, call, TaskKind::Reset(call.vmid()))
}

/// `POST status/suspend`.
pub(crate) fn pause(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (is_running, managed) = look(state, call)?;
    if !is_running {
        return Err(not_running(call));
    }
    let to = suspended_to(state, call, managed)?;
    state.begin(call, call.node(), TaskKind::Suspend { vmid: call.vmid(), to })
}

/// `POST status/resume`.
pub(crate) fn go_on(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    match state.vm(call)?.config.get("lock").is_some_and(|lock| lock == "suspended") {
        true => state.begin(call, call.node(), TaskKind::Wake(call.vmid())),
        false => running(state, call, TaskKind::Resume(call.vmid())),
    }
}

fn is_paused(state: &State, call: &Call<'_>) -> Result<bool, Refusal> {
    Ok(state.vm(call)?.running.as_ref().is_some_and(|running| running.paused))
}

/// The storage that gets the memory of a VM which is suspended to disk.
fn suspended_to(state: &State, call: &Call<'_>, managed: bool) -> Result<Option<String>, Refusal> {
    if call.param("todisk") != Some("1") {
        return Ok(None);
    }
    if managed {
        return Err(Refusal::failed("Cannot suspend HA managed VM to disk"));
    }
    state.may(call.token, call.vmid(), None, &["VM.Config.Disk"])?;
    let vm = state.vm(call)?;
    let storage = call.param("statestorage").map_or_else(|| memory_storage(state, vm), str::to_owned);
    call.token.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"]).map_err(Refusal::forbidden)?;
    Ok(Some(storage))
}

/// Where the memory of a VM goes that does not say so: to the storage of a disk, a shared one if there is one.
fn memory_storage(state: &State, vm: &Vm) -> String {
    if let Some(storage) = vm.config.get("vmstatestorage") {
        return storage.clone();
    }
    let files = super::clone::volumes_of(vm);
    let names = files.iter().filter_map(|file| super::storage::split(file).map(|(name, _)| name.to_owned()));
    let names: Vec<String> = names.collect();
    let shared = names.iter().find(|name| state.storage(name).is_ok_and(|storage| storage.shared));
    shared.or(names.first()).cloned().unwrap_or_else(|| "local".to_owned())
}

/// Makes the volume that holds the memory of a VM.
pub(crate) fn memory_volume(
    state: &mut State,
    vmid: u32,
    stem: &str,
    storage: Option<&str>,
    now: u64,
) -> Result<String, String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let name = storage.map_or_else(|| memory_storage(state, vm), str::to_owned);
    // The memory itself, and room for what changes while it is written.
    let size = guest::memory(&vm.config) * 2 + 500;
    let node = vm.node.clone();
    let storage = state.storage(&name).map_err(|refusal| refusal.text())?;
    let wanted = super::storage::Wanted {
        node: &node,
        vmid,
        stem: Some(stem),
        format: Some("raw"),
        size: size << 20,
        image: None,
    };
    Ok(state.volumes.allocate(&storage, wanted, now).0.id)
}

/// Marks a VM whose memory goes to a storage.
pub(crate) fn save_memory(state: &mut State, vmid: u32, storage: &str, now: u64) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.config.get("lock").is_some_and(|lock| lock == "backup") {
        return Err("cannot suspend to disk during backup".to_owned());
    }
    let volume = memory_volume(state, vmid, "state-suspend", Some(storage), now)?;
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.config.extend([("lock".to_owned(), "suspending".to_owned()), ("vmstate".to_owned(), volume)]);
    }
    Ok(())
}

/// Stops a VM where it is: in memory, or with its memory on a storage.
pub(crate) fn suspend(
    state: &mut State,
    vmid: u32,
    to: Option<&str>,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let vm = state.vms.get_mut(&vmid).ok_or_else(|| create::gone(vmid))?;
    let running = vm.running.as_mut().ok_or_else(|| format!("VM {vmid} not running"))?;
    if to.is_none() {
        running.paused = true;
        return Ok(());
    }
    log.push("State saved, quitting".to_owned());
    vm.config.insert("lock".to_owned(), "suspended".to_owned());
    off(state, vmid, now)
}

/// Lets a stopped VM go on.
pub(crate) fn resume(state: &mut State, vmid: u32) -> Result<(), String> {
    let vm = state.vms.get_mut(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.is_set("template") {
        return Err(format!("VM {vmid} is a template and cannot be resumed!"));
    }
    let running = vm.running.as_mut().ok_or_else(|| format!("VM {vmid} not running"))?;
    running.paused = false;
    Ok(())
}

/// Switches a VM on; pending changes take effect.
pub(crate) fn on(state: &mut State, vmid: u32, now: u64) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.is_set("template") {
        return Err("you can't start a vm if it's a template".to_owned());
    }
    if vm.running.is_some() {
        // During a backup an emulator runs for a VM that is switched off, and a start lets it go on.
        return match vm.config.get("lock").is_some_and(|lock| lock == "backup") {
            true => resume(state, vmid),
            false => Err(format!("VM {vmid} already running")),
        };
    }
    // What was wanted becomes so even if the VM then cannot be started.
    super::change::settle_all(state, vmid, now);
    let Some(vm) = state.vms.get(&vmid) else { return Err(create::gone(vmid)) };
    let mut config = vm.config.clone();
    let memory = config.remove("vmstate");
    if config.get("lock").is_some_and(|lock| lock == "suspended") {
        config.remove("lock");
    }
    super::start::check(state, vm, &config)?;
    let node = vm.node.clone();
    memory.iter().for_each(|volume| super::change::free(state, &node, volume));
    let Some(vm) = state.vms.get(&vmid) else { return Err(create::gone(vmid)) };
    let machine = guest::machine(state, vmid, vm, &config);
    let Some(vm) = state.vms.get_mut(&vmid) else { return Err(create::gone(vmid)) };
    vm.config = config.clone();
    vm.running = Some(Running { since: now, pid: 20_000 + vmid, config, paused: false, resets: 0 });
    vm.changed = now;
    state.effects.push_back(Effect::On(Box::new(machine)));
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
    let mut running = vm.running.clone().ok_or_else(|| format!("VM {vmid} not running"))?;
    running.resets += 1;
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
