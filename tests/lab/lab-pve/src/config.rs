//! Reading and changing the options of a VM.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::create;
use super::disks::{self, Place};
use super::locks::Lock;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::schema::Kind;
use super::state::{Call, Config, Effect, State};
use super::task_kind::TaskKind;
use lab_core::disk_image::hex;

/// Parameters of a change that are no options.
const NOT_OPTIONS: &[&str] =
    &["digest", "delete", "revert", "skiplock", "force", "background_delay", "bwlimit", "import-working-storage"];

/// The option that nobody gets to see, and what stands for it.
const PASSWORD: &str = "cipassword";
const HIDDEN: &str = "**********";

/// Digest of a configuration: changes whenever an option does.
pub(crate) fn digest(config: &Config) -> String {
    let text: String = config.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    let mut digest = hex(&Sha256::digest(text));
    digest.truncate(40);
    digest
}

/// `GET config`.
pub(crate) fn read(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    if let Some(name) = call.param("snapshot") {
        let mut data = super::snapshots::options_of(vm, name)?;
        data.insert("digest".to_owned(), digest(&vm.config).into());
        return Ok(Value::Object(data).into());
    }
    let config = match (&vm.running, call.param("current")) {
        (Some(_), Some("1")) => vm.config.clone(),
        _ => vm.wanted(),
    };
    let mut data: Map<String, Value> = config.iter().map(|(key, value)| (key.clone(), typed(key, value))).collect();
    data.insert("digest".to_owned(), digest(&vm.config).into());
    Ok(Value::Object(data).into())
}

/// `GET pending`.
pub(crate) fn pending(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    let mut rows: Vec<Value> = Vec::new();
    for (key, value) in &vm.config {
        let mut row = json!({"key": key, "value": typed(key, value)});
        match vm.pending.get(key) {
            Some(Some(next)) => row["pending"] = typed(key, next),
            Some(None) => row["delete"] = 1.into(),
            None => {}
        }
        rows.push(row);
    }
    let new = vm.pending.iter().filter(|(key, _)| !vm.config.contains_key(*key));
    rows.extend(new.filter_map(|(key, value)| Some(json!({"key": key, "pending": typed(key, value.as_ref()?)}))));
    rows.push(json!({"key": "digest", "value": digest(&vm.config)}));
    Ok(Value::Array(rows).into())
}

/// Whole numbers and booleans come as numbers, the password of cloud-init not at all, everything else as text.
pub(crate) fn typed(key: &str, value: &str) -> Value {
    if key == PASSWORD {
        return HIDDEN.into();
    }
    match options::kind_of(key) {
        Some(Kind::Integer(..) | Kind::Boolean | Kind::Number(..)) => match value.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => value.into(),
        },
        _ => value.into(),
    }
}

/// `PUT config`: at once.
pub(crate) fn put(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    check(state, call)?;
    if let Some(text) = state.faults.vm_lock(call.vmid()) {
        return Err(Refusal::Slow(text));
    }
    state.locked(&Lock::Vm(call.vmid()), 10, "")?;
    let mut log = Vec::new();
    apply(state, call.vmid(), &call.params, call.now, &mut log)?;
    Ok(Value::Null.into())
}

/// `POST config`: in a task, unless it may take a while and is done in that while.
pub(crate) fn post(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    check(state, call)?;
    if call.param("background_delay").is_some() && state.settings.delays.task.is_zero() {
        return put(state, call);
    }
    state.begin(call, call.node(), TaskKind::Configure { vmid: call.vmid(), params: call.params.clone() })
}

/// Refuses an option that only root may use.
pub(crate) fn refuse_skiplock(call: &Call<'_>) -> Result<(), Refusal> {
    match call.param("skiplock") {
        Some("1") if !call.token.is_root() => Err(Refusal::parameter("skiplock", "Only root may use this option.")),
        _ => Ok(()),
    }
}

fn check(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    refuse_skiplock(call)?;
    let vmid = call.vmid();
    let vm = state.vm(call)?;
    let set = || call.params.iter().filter(|(name, _)| !NOT_OPTIONS.contains(&name.as_str()));
    if set().next().is_none() && call.param("delete").is_none() && call.param("revert").is_none() {
        return Err(Refusal::failed("no options specified"));
    }
    for name in deleted(&call.params) {
        if options::kind_of(&name).is_none() {
            return Err(Refusal::parameter("delete", format!("unknown option '{name}'")));
        }
        create::option_allowed(state, call, vmid, None, &name, "")?;
    }
    for (name, value) in set() {
        create::option_allowed(state, call, vmid, None, name, value)?;
        if options::is_drive(name) {
            disks::check(state, call, name, value)?;
        }
    }
    match call.param("digest") {
        Some(known) if known != digest(&vm.config) => {
            Err(Refusal::failed("checksum mismatch (file change by other user?)"))
        }
        _ if call.param("skiplock") == Some("1") => Ok(()),
        _ => vm.unlocked().map_err(Refusal::failed),
    }
}

fn deleted(params: &Config) -> Vec<String> {
    let list = params.get("delete").map(String::as_str).unwrap_or_default();
    list.split([',', ';', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Changes options; those that a running VM cannot take wait for its next start.
pub(crate) fn apply(
    state: &mut State,
    vmid: u32,
    params: &Config,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), Refusal> {
    let vm = state.vms.get_mut(&vmid).ok_or_else(|| Refusal::failed(create::gone(vmid)))?;
    for name in params.get("revert").into_iter().flat_map(|list| list.split(',')) {
        vm.pending.remove(name);
    }
    let node = vm.node.clone();
    for name in deleted(params) {
        delete(state, vmid, &name);
    }
    let place = Place { node: &node, vmid, now };
    for (name, value) in params.iter().filter(|(name, _)| !NOT_OPTIONS.contains(&name.as_str())) {
        let shown = if name == PASSWORD { "<hidden>" } else { value };
        log.push(format!("update VM {vmid}: -{name} {shown}"));
        let kept = match options::is_drive(name) {
            true => disks::realise(state, &place, name, value, log).map_err(Refusal::failed)?,
            false => create::kept(state, name, value),
        };
        set(state, vmid, name, kept, now);
    }
    Ok(())
}

fn set(state: &mut State, vmid: u32, name: &str, value: String, now: u64) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    if name == "name" {
        vm.changed = now;
    }
    if vm.running.is_some() && !options::is_live(name) {
        match vm.config.get(name) == Some(&value) {
            true => vm.pending.remove(name),
            false => vm.pending.insert(name.to_owned(), Some(value)),
        };
    } else if value.is_empty() {
        vm.config.remove(name);
    } else {
        vm.config.insert(name.to_owned(), value);
    }
}

/// Takes an option out, now or at the next start.
pub(crate) fn drop_option(state: &mut State, vmid: u32, name: &str) {
    delete(state, vmid, name);
}

fn delete(state: &mut State, vmid: u32, name: &str) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    if vm.running.is_some() && !options::is_live(name) {
        vm.pending.insert(name.to_owned(), None);
        return;
    }
    let Some(value) = vm.config.remove(name) else { return };
    leave_boot_order(&mut vm.config, name);
    let node = vm.node.clone();
    if name.starts_with("unused") {
        free(state, &node, &value);
    } else if options::is_drive(name) {
        detach(state, vmid, &node, name, &value);
    }
}

/// A device that is gone leaves the boot order; an empty one is written as a space.
pub(crate) fn leave_boot_order(config: &mut Config, name: &str) {
    let Some(order) = config.get("boot").and_then(|boot| boot.strip_prefix("order=")) else { return };
    let left: Vec<&str> = order.split(';').filter(|device| *device != name).collect();
    let boot = if left.is_empty() { " ".to_owned() } else { format!("order={}", left.join(";")) };
    config.insert("boot".to_owned(), boot);
}

/// A disk that is taken out stays as `unusedN`; a cloud-init drive is made anew when needed.
fn detach(state: &mut State, vmid: u32, node: &str, name: &str, value: &str) {
    let Some(file) = disks::file(name, value) else { return };
    if file.contains("cloudinit") {
        free(state, node, &file);
    } else if !value.contains("media=cdrom") {
        keep_unused(state, vmid, file);
    }
}

/// Keeps a volume as an unused disk; gives the name that it has then.
pub(crate) fn keep_unused(state: &mut State, vmid: u32, file: String) -> Option<String> {
    let vm = state.vms.get_mut(&vmid)?;
    let name = (0..256).map(|index| format!("unused{index}")).find(|name| !vm.config.contains_key(name))?;
    vm.config.insert(name.clone(), file);
    Some(name)
}

/// Removes a volume for good.
pub(crate) fn free(state: &mut State, node: &str, volume: &str) {
    let storage = super::storage::split(volume).and_then(|(storage, _)| state.storage(storage).ok());
    let removed = storage.and_then(|storage| state.volumes.remove(&storage, node, volume));
    state.effects.extend(removed.map(|volume| Effect::DiskRemoved(volume.identity())));
}

/// `PUT resize`.
pub(crate) fn put_size(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    refuse_skiplock(call)?;
    let disk = call.param("disk").unwrap_or_default().to_owned();
    let vm = state.vm(call)?;
    if call.param("digest").is_some_and(|known| known != digest(&vm.config)) {
        return Err(Refusal::failed("checksum mismatch (file change by other user?)"));
    }
    let size = call.param("size").unwrap_or_default().to_owned();
    state.begin(call, call.node(), TaskKind::Resize { vmid: call.vmid(), disk, size })
}

/// Grows a disk.
pub(crate) fn resize(
    state: &mut State,
    vmid: u32,
    disk: &str,
    size: &str,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let missing = || format!("disk '{disk}' does not exist");
    let mut pairs = disks::parse(disk, vm.config.get(disk).ok_or_else(missing)?);
    let node = vm.node.clone();
    let file = property::get(&pairs, "file").map(str::to_owned).ok_or_else(missing)?;
    let (storage, _) = super::storage::split(&file).ok_or_else(missing)?;
    let storage = state.storage(storage).map_err(|refusal| refusal.text())?;
    let volume = state.volumes.get_mut(&storage, &node, &file);
    let volume = volume.ok_or_else(|| format!("volume '{file}' does not exist"))?;
    let given = property::bytes(size.trim_start_matches('+')).unwrap_or_default();
    let wanted = if size.starts_with('+') { volume.size + given } else { given };
    if wanted < volume.size {
        return Err("shrinking disks is not supported".to_owned());
    }
    if wanted > volume.size {
        log.push("Image resized.".to_owned());
    }
    volume.size = wanted;
    property::set(&mut pairs, "size", property::size(wanted));
    let printed = property::print(&pairs, "file");
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.config.insert(disk.to_owned(), printed);
    }
    Ok(())
}
