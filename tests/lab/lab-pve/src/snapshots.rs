//! Snapshots: the options of a VM as they were, to go back to.
//!
//! What a guest has written to its disks is not kept; only the options and the list of snapshots go back.

use serde_json::{Map, Value, json};

use super::backup;
use super::disks;
use super::locks::Lock;
use super::options;
use super::power;
use super::reply::{Refusal, Reply};
use super::state::{Call, Config, State, Vm};
use super::storage;
use super::task_kind::TaskKind;
use super::{change, config, create};

/// A snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// The options at its time.
    config: Config,
    /// Seconds since 1970.
    time: u64,
    description: Option<String>,
    /// The volume that holds the memory.
    memory: Option<String>,
    /// `prepare` or `delete` while a task works on it.
    state: Option<&'static str>,
}

/// A snapshot to take.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The VM.
    pub(crate) vmid: u32,
    name: String,
    description: Option<String>,
    memory: bool,
}

fn missing(name: &str) -> String {
    format!("snapshot '{name}' does not exist")
}

fn name(call: &Call<'_>) -> String {
    let given = call.path.get("snapname").cloned().or_else(|| call.param("snapname").map(str::to_owned));
    given.unwrap_or_default()
}

/// `GET snapshot`: all of them, and the present state.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    let mut rows: Vec<Value> = vm.snapshots.iter().map(|(name, snapshot)| row(name, snapshot)).collect();
    let running = u8::from(vm.running.is_some());
    let mut current = json!({
        "description": "You are here!", "digest": config::digest(&vm.config), "name": "current", "running": running,
    });
    if let Some(parent) = vm.config.get("parent") {
        current["parent"] = parent.as_str().into();
    }
    rows.push(current);
    Ok(Value::Array(rows).into())
}

fn row(name: &str, snapshot: &Snapshot) -> Value {
    let mut row = json!({
        "description": snapshot.description.as_deref().unwrap_or_default(), "name": name, "snaptime": snapshot.time,
        "vmstate": u8::from(snapshot.memory.is_some()),
    });
    if let Some(parent) = snapshot.config.get("parent") {
        row["parent"] = parent.as_str().into();
    }
    if let Some(state) = snapshot.state {
        row["snapstate"] = state.into();
    }
    row
}

/// `GET snapshot/{snapname}`: what lies below it.
pub(crate) fn index(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([{"cmd": "rollback"}, {"cmd": "config"}]).into())
}

/// `GET snapshot/{snapname}/config`.
pub(crate) fn read(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Object(options_of(state.vm(call)?, &name(call))?).into())
}

/// The options that a snapshot keeps, with what it knows of itself.
pub(crate) fn options_of(vm: &Vm, name: &str) -> Result<Map<String, Value>, Refusal> {
    let snapshot = vm.snapshots.get(name).ok_or_else(|| Refusal::failed(missing(name)))?;
    let kept = snapshot.config.iter();
    let mut data: Map<String, Value> = kept.map(|(key, value)| (key.clone(), config::typed(key, value))).collect();
    data.insert("snaptime".to_owned(), snapshot.time.into());
    for (key, value) in [("description", &snapshot.description), ("vmstate", &snapshot.memory)] {
        data.extend(value.as_deref().map(|value| (key.to_owned(), value.into())));
    }
    Ok(data)
}

/// `PUT snapshot/{snapname}/config`: its description.
pub(crate) fn describe(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (vmid, name) = (call.vmid(), name(call));
    let Some(description) = call.param("description") else { return Ok(Value::Null.into()) };
    state.locked(&Lock::Vm(vmid), 10, "")?;
    state.vm(call)?.unlocked().map_err(Refusal::failed)?;
    let snapshots = state.vms.get_mut(&vmid).map(|vm| &mut vm.snapshots);
    let snapshot = snapshots.and_then(|all| all.get_mut(&name)).ok_or_else(|| Refusal::failed(missing(&name)))?;
    snapshot.description = Some(description.to_owned());
    Ok(Value::Null.into())
}

/// `POST snapshot`.
pub(crate) fn create(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.vm(call)?;
    let name = name(call);
    if name == "current" || name.eq_ignore_ascii_case("pending") {
        let reserved = if name == "current" { "current" } else { "pending" };
        return Err(Refusal::failed(format!("unable to use snapshot name '{reserved}' (reserved name)")));
    }
    let description = call.param("description").map(str::to_owned);
    let memory = call.param("vmstate") == Some("1");
    state.begin(call, call.node(), TaskKind::Snapshot(Wanted { vmid: call.vmid(), name, description, memory }))
}

/// `POST snapshot/{snapname}/rollback`.
pub(crate) fn roll_back(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let start = call.param("start") == Some("1");
    if start {
        state.may(call.token, call.vmid(), None, &["VM.PowerMgmt"])?;
    }
    state.begin(call, call.node(), TaskKind::Rollback { vmid: call.vmid(), name: name(call), start })
}

/// `DELETE snapshot/{snapname}`.
pub(crate) fn delete(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.begin(call, call.node(), TaskKind::Forget { vmid: call.vmid(), name: name(call) })
}

/// Marks the VM before the main part of a task that does so.
pub(crate) fn prepare(state: &mut State, work: &mut TaskKind, now: u64) -> Result<(), String> {
    match work {
        TaskKind::Snapshot(wanted) => begin(state, wanted, now),
        TaskKind::Rollback { vmid, name, .. } => {
            usable(state, *vmid, name, "you can't rollback if vm is a template")?;
            power::off(state, *vmid, now)?;
            lock(state, *vmid, "rollback");
            Ok(())
        }
        TaskKind::Forget { vmid, name } => {
            usable(state, *vmid, name, "you can't delete a snapshot if vm is a template")?;
            lock(state, *vmid, "snapshot-delete");
            if let Some(snapshot) = state.vms.get_mut(vmid).and_then(|vm| vm.snapshots.get_mut(name)) {
                snapshot.state = Some("delete");
            }
            Ok(())
        }
        TaskKind::Suspend { vmid, to: Some(storage) } => power::save_memory(state, *vmid, storage, now),
        TaskKind::Backup(wanted) => {
            backup::mark(state, wanted);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Sets the `lock` of a VM.
pub(crate) fn lock(state: &mut State, vmid: u32, lock: &str) {
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.config.insert("lock".to_owned(), lock.to_owned());
    }
}

fn usable(state: &State, vmid: u32, name: &str, template: &str) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.is_set("template") {
        return Err(template.to_owned());
    }
    vm.snapshots.get(name).map(|_| ()).ok_or_else(|| missing(name))
}

fn begin(state: &mut State, wanted: &Wanted, now: u64) -> Result<(), String> {
    let vmid = wanted.vmid;
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.is_set("template") {
        return Err("you can't take a snapshot if it's a template".to_owned());
    }
    if vm.snapshots.contains_key(&wanted.name) {
        return Err(format!("snapshot name '{}' already used", wanted.name));
    }
    if !possible(state, vm) {
        return Err("snapshot feature is not available".to_owned());
    }
    let memory = match wanted.memory && vm.running.is_some() {
        true => Some(power::memory_volume(state, vmid, &format!("state-{}", wanted.name), None, now)?),
        false => None,
    };
    let Some(vm) = state.vms.get_mut(&vmid) else { return Err(create::gone(vmid)) };
    let config = kept(&vm.config);
    let description = wanted.description.clone();
    let snapshot = Snapshot { config, time: now, description, memory, state: Some("prepare") };
    vm.snapshots.insert(wanted.name.clone(), snapshot);
    lock(state, vmid, "snapshot");
    Ok(())
}

/// The options that a snapshot keeps.
fn kept(config: &Config) -> Config {
    let own = |name: &&String| !matches!(name.as_str(), "lock" | "description" | "vmstate");
    let pairs = config.iter().filter(|(name, _)| own(name) && !name.starts_with("unused"));
    pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether every disk of a VM is on a storage, and in a format, that can keep an earlier state.
pub(crate) fn possible(state: &State, vm: &Vm) -> bool {
    let disks = vm.config.iter().filter(|(name, value)| options::is_drive(name) && !value.contains("media=cdrom"));
    let mut volumes = disks.filter_map(|(name, value)| {
        let file = disks::file(name, value)?;
        let storage = state.storage(storage::split(&file)?.0).ok()?;
        let volume = state.volumes.get(&storage, &vm.node, &file)?;
        Some(volume.keeps_states(&storage))
    });
    volumes.all(|keeps| keeps)
}

/// The volumes that hold the memory of a VM at its snapshots.
pub(crate) fn memories(vm: &Vm) -> Vec<String> {
    vm.snapshots.values().filter_map(|snapshot| snapshot.memory.clone()).collect()
}

/// A snapshot is complete.
pub(crate) fn taken(state: &mut State, wanted: &Wanted) {
    let Some(vm) = state.vms.get_mut(&wanted.vmid) else { return };
    vm.config.remove("lock");
    vm.config.insert("parent".to_owned(), wanted.name.clone());
    if let Some(snapshot) = vm.snapshots.get_mut(&wanted.name) {
        snapshot.state = None;
    }
}

/// Goes back: the options are those of the snapshot, but for unused disks and the description.
pub(crate) fn rolled_back(state: &mut State, vmid: u32, name: &str, start: bool, now: u64) -> Result<(), String> {
    let Some(vm) = state.vms.get_mut(&vmid) else { return Err(create::gone(vmid)) };
    let snapshot = vm.snapshots.get(name).cloned().ok_or_else(|| missing(name))?;
    vm.config.retain(|option, _| option == "description" || option.starts_with("unused"));
    vm.config.extend(snapshot.config);
    vm.config.insert("parent".to_owned(), name.to_owned());
    vm.pending.clear();
    vm.changed = now;
    match start || snapshot.memory.is_some() {
        true => power::on(state, vmid, now),
        false => Ok(()),
    }
}

/// Drops a snapshot; those that came after it follow on the one before it.
pub(crate) fn forgotten(state: &mut State, vmid: u32, name: &str) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    vm.config.remove("lock");
    let Some(gone) = vm.snapshots.remove(name) else { return };
    let parent = gone.config.get("parent");
    let configs = vm.snapshots.values_mut().map(|snapshot| &mut snapshot.config);
    for config in configs.chain([&mut vm.config]).filter(|config| config.get("parent").is_some_and(|own| own == name)) {
        match parent {
            Some(parent) => config.insert("parent".to_owned(), parent.clone()),
            None => config.remove("parent"),
        };
    }
    let node = vm.node.clone();
    gone.memory.iter().for_each(|volume| change::free(state, &node, volume));
}
