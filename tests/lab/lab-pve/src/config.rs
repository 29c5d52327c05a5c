//! Reading and changing the options of a VM.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::allowed::{self, Target};
use super::change::{self, Change};
use super::create;
use super::disks;
use super::locks::Lock;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::schema::Kind;
use super::state::{Call, Config, State};
use super::task_kind::TaskKind;
use lab_core::disk_image::hex;

/// Parameters of a change that are no options.
pub(crate) const NOT_OPTIONS: &[&str] =
    &["digest", "delete", "revert", "skiplock", "force", "background_delay", "bwlimit", "import-working-storage"];

/// The option that nobody gets to see, and what stands for it.
pub(crate) const PASSWORD: &str = "cipassword";
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
        // Numbers that may have a fraction stay as they are written.
        Some(Kind::Integer(..) | Kind::Boolean) => match value.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => value.into(),
        },
        _ => value.into(),
    }
}

/// `PUT config`: at once.
pub(crate) fn put(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let change = check(state, call)?;
    if let Some(text) = state.faults.vm_lock(call.vmid()) {
        return Err(Refusal::Slow(text));
    }
    state.locked(&Lock::Vm(call.vmid()), 10, "")?;
    state.writable(call.node(), call.vmid()).map_err(Refusal::failed)?;
    change::apply(state, call.vmid(), &change, call.now, &mut Vec::new())?;
    Ok(Value::Null.into())
}

/// `POST config`: in a task, unless it may take a while and is done in that while.
pub(crate) fn post(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let change = check(state, call)?;
    if call.param("background_delay").is_some() && state.settings.delays.task.is_zero() {
        return put(state, call);
    }
    state.begin(call, call.node(), TaskKind::Configure { vmid: call.vmid(), change })
}

/// Refuses an option that only root may use.
pub(crate) fn refuse_skiplock(call: &Call<'_>) -> Result<(), Refusal> {
    match call.param("skiplock") {
        Some("1") if !call.token.is_root() => Err(Refusal::parameter("skiplock", "Only root may use this option.")),
        _ => Ok(()),
    }
}

fn check(state: &State, call: &Call<'_>) -> Result<Change, Refusal> {
    refuse_skiplock(call)?;
    let vm = state.vm(call)?;
    let params = disks::named(&call.params);
    let set = || params.iter().filter(|(name, _)| !NOT_OPTIONS.contains(&name.as_str()));
    if set().next().is_none() && call.param("delete").is_none() && call.param("revert").is_none() {
        return Err(Refusal::failed("no options specified"));
    }
    let existing = Target::existing(call.vmid());
    let gone = deleted(&params);
    for name in &gone {
        if options::kind_of(name).is_none() {
            return Err(Refusal::parameter("delete", format!("unknown option '{name}'")));
        }
        allowed::option(state, call, existing, name, "")?;
    }
    change::check_script(state, vm, &params)?;
    for (name, value) in set() {
        allowed::option(state, call, existing, name, value)?;
        if options::is_drive(name) {
            disks::check(state, call, name, value)?;
        }
    }
    change::check(vm, &params)?;
    match call.param("digest") {
        Some(known) if known != digest(&vm.config) => {
            return Err(Refusal::failed("checksum mismatch (file change by other user?)"));
        }
        _ if call.param("skiplock") == Some("1") => {}
        _ => vm.unlocked().map_err(Refusal::failed)?,
    }
    let taken_out = gone.iter().filter_map(|name| Some((name.as_str(), vm.config.get(name)?.as_str())));
    let drives = set().filter(|(name, _)| options::is_drive(name));
    let replaced = drives.filter_map(|(name, _)| Some((name.as_str(), vm.config.get(name)?.as_str())));
    let touched = set().map(|(name, value)| (name.as_str(), value.as_str())).chain(taken_out).chain(replaced);
    Ok(Change { params: call.params.clone(), refusal: allowed::in_worker(state, call, touched).err() })
}

/// The options that a change takes out.
pub(crate) fn deleted(params: &Config) -> Vec<String> {
    let list = params.get("delete").map(String::as_str).unwrap_or_default();
    list.split([',', ';', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
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
    let file = vm.config.get(&disk).and_then(|drive| disks::file(&disk, drive));
    let storage = file.as_deref().and_then(super::storage::split).map(|(storage, _)| format!("/storage/{storage}"));
    // The worker asks for that right, after the call was taken.
    let refusal = storage.and_then(|path| call.token.require(&path, &["Datastore.AllocateSpace"]).err());
    state.begin(call, call.node(), TaskKind::Resize { vmid: call.vmid(), disk, size, refusal })
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
    let (node, running) = (vm.node.clone(), vm.running.is_some());
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
    if wanted > volume.size && !running {
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
