//! Destroying VMs.

use super::create;
use super::locks::Lock;
use super::options;
use super::reply::{Refusal, Reply};
use super::state::{Call, Effect, State, Vm};
use super::storage;
use super::task_kind::TaskKind;

/// A VM to be removed.
#[derive(Debug, Clone)]
pub(crate) struct Removal {
    /// Its ID.
    pub(crate) vmid: u32,
    /// Whether volumes of its ID go that it doesn't have.
    everything: bool,
    /// Whether jobs and high availability forget its ID.
    purges: bool,
    /// Volumes that could not be removed.
    pub(crate) kept: Vec<String>,
}

fn refuse_managed(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    match state.ha.resources.contains_key(&call.vmid()) && call.param("purge") != Some("1") {
        true => {
            let vmid = call.vmid();
            let text = format!("unable to remove VM {vmid} - used in HA resources and purge parameter not set.");
            Err(Refusal::failed(text))
        }
        false => Ok(()),
    }
}

/// Starts the task that removes a VM.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    super::config::refuse_skiplock(call)?;
    let vmid = call.vmid();
    let vm = state.vm(call)?;
    if vm.is_set("protection") {
        return Err(Refusal::failed(format!("can't remove VM {vmid} - protection mode enabled")));
    }
    if vm.running.is_some() {
        return Err(Refusal::failed(format!("VM {vmid} is running - destroy failed")));
    }
    refuse_managed(state, call)?;
    let everything = call.param("destroy-unreferenced-disks") == Some("1");
    let purges = call.param("purge") == Some("1");
    state.begin(call, call.node(), TaskKind::Destroy(Removal { vmid, everything, purges, kept: Vec::new() }))
}

/// The volumes of a VM's own that its configuration names, with the locks that freeing them takes.
pub(crate) fn volumes(state: &State, vmid: u32) -> Vec<(String, Lock)> {
    let Some(vm) = state.vms.get(&vmid) else { return Vec::new() };
    let found = files(vm).into_iter().filter_map(|file| {
        let storage = state.storage(storage::split(&file)?.0).ok()?;
        let volume = state.volumes.get(&storage, &vm.node, &file)?;
        (volume.vmid == Some(vmid)).then(|| (file, Lock::of_storage(&vm.node, &storage)))
    });
    found.collect()
}

fn files(vm: &Vm) -> Vec<String> {
    let unused = vm.config.iter().filter(|(name, _)| name.starts_with("unused") || *name == "vmstate");
    let unused = unused.map(|(_, file)| file.clone());
    let pending = vm.pending.iter().filter(|(name, _)| options::is_drive(name));
    let pending = pending.filter_map(|(name, value)| super::disks::file(name, value.as_ref()?));
    let memories = super::snapshots::memories(vm);
    let mut all: Vec<String> =
        super::clone::volumes_of(vm).into_iter().chain(unused).chain(pending).chain(memories).collect();
    all.sort();
    all.dedup();
    all
}

/// What a task says of a volume that it cannot remove.
pub(crate) fn left_behind(volume: &str, lock: &Lock) -> String {
    format!("Could not remove disk '{volume}', check manually: {}", lock.timed_out())
}

/// Removes a VM with its disks, but for those that could not be removed.
pub(crate) fn done(state: &mut State, removal: &Removal, log: &mut Vec<String>) -> Result<(), String> {
    let vmid = removal.vmid;
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    if vm.running.is_some() {
        return Err(format!("VM {vmid} is running - destroy failed"));
    }
    let node = vm.node.clone();
    for (file, _) in volumes(state, vmid).into_iter().filter(|(file, _)| !removal.kept.contains(file)) {
        super::change::free(state, &node, &file);
    }
    state.vms.remove(&vmid);
    state.firewalls.remove(&vmid);
    state.ties.forget(vmid, removal.purges);
    let path = format!("/vms/{vmid}");
    state.access.directory.rights.retain(|(of, ..), _| *of != path);
    if removal.everything {
        let rest = state.volumes.remove_of(vmid, 0);
        state.effects.extend(rest.into_iter().map(|volume| Effect::DiskRemoved(volume.identity())));
    }
    if removal.purges {
        log.push(format!("purging VM {vmid} from related configurations.."));
    }
    if state.ha.resources.contains_key(&vmid) {
        state.ha.forget(vmid);
        state.ha.rules.forget(vmid);
        log.push(format!("NOTE: removed VM {vmid} from HA resource configuration."));
    }
    Ok(())
}
