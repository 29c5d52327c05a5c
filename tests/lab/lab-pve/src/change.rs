//! Changing the options of a VM: what a running one takes at once, what waits for its next start, and what becomes of
//! the volumes that it had.

use std::collections::BTreeMap;

use super::config::{NOT_OPTIONS, PASSWORD, deleted};
use super::create;
use super::disks::{self, Place};
use super::options;
use super::plug::{self, Plug};
use super::reply::Refusal;
use super::state::{Config, Effect, State, Vm};
use super::storage::Volume;

/// A change that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The parameters of the call.
    pub(crate) params: Config,
    /// What the worker refuses before it changes anything.
    pub(crate) refusal: Option<Refusal>,
}

/// The line that a change prints: everything in one, in the order of the names.
fn said(vmid: u32, params: &Config) -> String {
    let told = params.iter().filter(|(name, _)| !matches!(name.as_str(), "digest" | "background_delay"));
    let words = told.map(|(name, value)| format!(" -{name} {}", if name == PASSWORD { "<hidden>" } else { value }));
    format!("update VM {vmid}:{}", words.collect::<String>())
}

/// Changes options; those that a running VM cannot take wait for its next start, and so do those that it fails to take.
pub(crate) fn apply(
    state: &mut State,
    vmid: u32,
    change: &Change,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), Refusal> {
    let gone = || Refusal::failed(create::gone(vmid));
    let node = state.vms.get(&vmid).ok_or_else(gone)?.node.clone();
    log.extend(said(vmid, &change.params).split('\n').map(str::to_owned));
    if let Some(refusal) = &change.refusal {
        return Err(refusal.clone());
    }
    let params = disks::named(&change.params);
    let vm = state.vms.get_mut(&vmid).ok_or_else(gone)?;
    for name in params.get("revert").into_iter().flat_map(|list| list.split(',')) {
        vm.pending.remove(name);
    }
    let mut changed = Vec::new();
    for name in deleted(&params) {
        match has(state, vmid, &name) {
            true => wish(state, vmid, &name, None),
            false => log.push(format!("cannot delete '{name}' - not set in current configuration!")),
        }
        changed.push(name);
    }
    let place = Place { node: &node, vmid, now };
    for (name, value) in params.iter().filter(|(name, _)| !NOT_OPTIONS.contains(&name.as_str())) {
        let kept = match options::is_drive(name) {
            true => disks::realise(state, &place, name, value, log).map_err(Refusal::failed)?,
            false => create::kept(state, name, value),
        };
        changed.extend(extended_boot_order(state, vmid, name, &kept));
        wish(state, vmid, name, Some(&kept));
        changed.push(name.clone());
    }
    settle(state, vmid, &changed, now)
}

fn has(state: &State, vmid: u32, name: &str) -> bool {
    state.vms.get(&vmid).is_some_and(|vm| vm.config.contains_key(name) || vm.pending.contains_key(name))
}

/// A CD drive that is new joins the boot order, if there is one.
fn extended_boot_order(state: &mut State, vmid: u32, name: &str, drive: &str) -> Option<String> {
    let is_cd = options::is_bus_drive(name) && drive.contains("media=cdrom") && !drive.contains("cloudinit");
    let boot = state.vms.get(&vmid)?.wanted().get("boot")?.clone();
    let order = boot.strip_prefix("order=").filter(|_| is_cd)?;
    if order.split(';').any(|device| device == name) {
        return None;
    }
    wish(state, vmid, "boot", Some(&format!("{boot};{name}")));
    Some("boot".to_owned())
}

/// Notes what an option is to become; a volume that was to be there is kept.
fn wish(state: &mut State, vmid: u32, name: &str, value: Option<&str>) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    let before = match value.is_some() && vm.config.get(name).map(String::as_str) == value {
        true => vm.pending.remove(name),
        false => vm.pending.insert(name.to_owned(), value.map(str::to_owned)),
    };
    let Some(before) = before.flatten().filter(|_| options::is_drive(name)) else { return };
    let (file, next) = (disks::file(name, &before), value.and_then(|next| disks::file(name, next)));
    let now = vm.config.get(name).and_then(|now| disks::file(name, now));
    if file.is_some() && file != next && file != now {
        leave_drive(state, vmid, name, &before);
    }
}

/// Makes of what is wanted what can be: a VM that is off takes everything, a running one what can be plugged.
fn settle(state: &mut State, vmid: u32, changed: &[String], now: u64) -> Result<(), Refusal> {
    let Some(vm) = state.vms.get(&vmid) else { return Ok(()) };
    if vm.running.is_none() {
        settle_all(state, vmid, now);
        return Ok(());
    }
    let mut errors = BTreeMap::new();
    let wanted: Vec<(String, Option<String>)> =
        vm.pending.iter().filter(|(name, _)| changed.contains(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
    for (name, value) in wanted {
        let plugged = state.vms.get(&vmid).map(|vm| plug::plug(state, vm, &name, value.as_deref()));
        match plugged {
            Some(Plug::Done) => take(state, vmid, &name, now),
            Some(Plug::Failed(text)) => drop(errors.insert(name, format!("hotplug problem - {text}\n"))),
            Some(Plug::Waits) | None => {}
        }
    }
    forget_used(state, vmid);
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Parameters(errors)),
    }
}

/// Everything that is wanted of a VM becomes so.
pub(crate) fn settle_all(state: &mut State, vmid: u32, now: u64) {
    let Some(vm) = state.vms.get(&vmid) else { return };
    let (gone, set): (Vec<_>, Vec<_>) = vm.pending.clone().into_iter().partition(|(_, value)| value.is_none());
    gone.into_iter().chain(set).for_each(|(name, _)| take(state, vmid, &name, now));
    forget_used(state, vmid);
}

/// What is wanted of an option becomes so.
fn take(state: &mut State, vmid: u32, name: &str, now: u64) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    let Some(wanted) = vm.pending.remove(name) else { return };
    if name == "name" {
        vm.changed = now;
    }
    let old = vm.config.get(name).cloned();
    match &wanted {
        // The file of the configuration has a description as comments, and no comment is none.
        Some(value) if value.is_empty() && name == "description" => drop(vm.config.remove(name)),
        // An empty value is read again as a space.
        Some(value) if value.is_empty() => drop(vm.config.insert(name.to_owned(), " ".to_owned())),
        Some(value) => drop(vm.config.insert(name.to_owned(), value.clone())),
        None => {
            vm.config.remove(name);
            leave_boot_order(&mut vm.config, name);
        }
    }
    if let Some(old) = old {
        left(state, vmid, name, &old, wanted.as_deref());
    }
}

/// What becomes of the volume of an option that had this value and has that one now.
fn left(state: &mut State, vmid: u32, name: &str, old: &str, new: Option<&str>) {
    let Some(vm) = state.vms.get(&vmid) else { return };
    if name.starts_with("unused") {
        let node = vm.node.clone();
        return free(state, &node, old);
    }
    let changes = options::is_drive(name) && disks::file(name, old) != new.and_then(|new| disks::file(name, new));
    if changes {
        leave_drive(state, vmid, name, old);
    }
}

/// A disk that is taken out stays as `unusedN`; a cloud-init drive is made anew when needed.
fn leave_drive(state: &mut State, vmid: u32, name: &str, value: &str) {
    let (Some(file), Some(vm)) = (disks::file(name, value), state.vms.get(&vmid)) else { return };
    let node = vm.node.clone();
    if file.contains("cloudinit") {
        free(state, &node, &file);
    } else if !value.contains("media=cdrom") && volume(state, vm, &file).is_some_and(|volume| volume.vmid == Some(vmid))
    {
        keep_unused(state, vmid, file);
    }
}

/// A volume as the host of a VM sees it.
fn volume<'a>(state: &'a State, vm: &Vm, file: &str) -> Option<&'a Volume> {
    let (storage, _) = super::storage::split(file)?;
    state.volumes.get(&state.storage(storage).ok()?, &vm.node, file)
}

/// A volume that a drive has again is unused no more.
fn forget_used(state: &mut State, vmid: u32) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    let pending = vm.pending.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let drives = vm.config.iter().chain(pending).filter(|(name, _)| options::is_drive(name));
    let used: Vec<String> = drives.filter_map(|(name, value)| disks::file(name, value)).collect();
    vm.config.retain(|name, value| !name.starts_with("unused") || !used.contains(value));
}

/// Takes an option out, now or at the next start.
pub(crate) fn drop_option(state: &mut State, vmid: u32, name: &str, now: u64) {
    if has(state, vmid, name) {
        wish(state, vmid, name, None);
        // A device that cannot be taken out now is taken out at the next start.
        let _waits = settle(state, vmid, &[name.to_owned()], now);
    }
}

/// A device that is gone leaves the boot order; an empty one is written as a space.
pub(crate) fn leave_boot_order(config: &mut Config, name: &str) {
    let Some(order) = config.get("boot").and_then(|boot| boot.strip_prefix("order=")) else { return };
    let left: Vec<&str> = order.split(';').filter(|device| *device != name).collect();
    let boot = if left.is_empty() { " ".to_owned() } else { format!("order={}", left.join(";")) };
    config.insert("boot".to_owned(), boot);
}

/// Keeps a volume as an unused disk; gives the name that it has then.
pub(crate) fn keep_unused(state: &mut State, vmid: u32, file: String) -> Option<String> {
    let vm = state.vms.get_mut(&vmid)?;
    let known = vm.config.iter().find(|(name, value)| name.starts_with("unused") && **value == file);
    if let Some((name, _)) = known {
        return Some(name.clone());
    }
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

/// What a change is refused for, whoever makes it, before a task is started.
pub(crate) fn check(vm: &Vm, params: &Config) -> Result<(), Refusal> {
    let wanted = vm.wanted();
    let of = |name: &str| params.get(name).or_else(|| wanted.get(name)).map(String::as_str);
    if params.contains_key("memory") || params.contains_key("balloon") {
        let memory = super::guest::mebibytes(of("memory"));
        let balloon: u64 = of("balloon").and_then(|text| text.parse().ok()).unwrap_or_default();
        if balloon > memory {
            return Err(Refusal::failed("balloon value too large (must be smaller than assigned memory)"));
        }
    }
    params.get("sshkeys").map_or(Ok(()), |keys| super::ssh_keys::check(keys).map_err(Refusal::failed))
}

/// A script that is not there is told of before who asks.
pub(crate) fn check_script(state: &State, vm: &Vm, params: &Config) -> Result<(), Refusal> {
    match params.get("hookscript") {
        Some(script) if volume(state, vm, script).is_none() => {
            Err(Refusal::parameter("hookscript", format!("script '{script}' does not exist\n")))
        }
        _ => Ok(()),
    }
}
