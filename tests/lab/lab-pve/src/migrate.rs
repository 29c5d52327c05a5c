//! Moving VMs to other hosts.

use super::create;
use super::disks;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::state::{Call, State, Vm};
use super::storage;
use super::task_kind::TaskKind;

/// `POST migrate`.
pub(crate) fn start(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    let target = call.param("target").unwrap_or_default();
    if target == vm.node {
        return Err(Refusal::parameter("target", "target is local node."));
    }
    if !state.settings.nodes.iter().any(|node| node == target) {
        return Err(Refusal::failed(format!("no such cluster node '{target}'")));
    }
    if vm.running.is_some() && call.param("online") != Some("1") {
        return Err(Refusal::failed("can't migrate running VM without --online"));
    }
    vm.unlocked().map_err(Refusal::failed)?;
    let managed = state.ha.manages(call.vmid());
    let disks = managed || call.param("with-local-disks") == Some("1");
    let work = TaskKind::Migrate { vmid: call.vmid(), target: target.to_owned(), managed, disks };
    state.begin(call, call.node(), work)
}

/// A volume of a VM on a storage that other hosts do not see.
struct Local {
    file: String,
    storage: storage::Storage,
    /// Why it cannot come along.
    obstacle: Option<&'static str>,
}

fn locals(state: &State, vm: &Vm, disks: bool) -> Vec<Local> {
    let drives = vm.config.iter().filter(|(name, _)| options::is_drive(name) || name.starts_with("unused"));
    let found = drives.filter_map(|(name, value)| {
        let pairs = disks::parse(name, value);
        let file = property::get(&pairs, "file")?.to_owned();
        let storage = state.storage(storage::split(&file)?.0).ok().filter(|storage| !storage.shared)?;
        let is_disc = value.contains("media=cdrom");
        let obstacle = match (is_disc, vm.running.is_some() && !disks) {
            (true, _) if !file.contains("cloudinit") => Some("local cdrom image"),
            (false, true) => Some("can't live migrate attached local disks without with-local-disks option"),
            _ => None,
        };
        Some(Local { file, storage, obstacle })
    });
    found.collect()
}

/// Moves a VM with its local disks.
pub(crate) fn finish(
    state: &mut State,
    vmid: u32,
    target: &str,
    disks: bool,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let (from, locals) = (vm.node.clone(), locals(state, vm, disks));
    log.push(format!("starting migration of VM {vmid} to node '{target}' ({})", state.settings.address));
    let kind = |file: &str| if file.contains("cloudinit") { "generated" } else { "local" };
    log.extend(locals.iter().map(|local| format!("found {} disk '{}'", kind(&local.file), local.file)));
    let stuck = locals.iter().filter_map(|local| Some((&local.file, local.obstacle?)));
    let stuck: Vec<String> = stuck.map(|(file, why)| format!("can't migrate local disk '{file}': {why}")).collect();
    if !stuck.is_empty() {
        log.extend(stuck);
        let text = "Problem found while scanning volumes - can't migrate VM - check log";
        log.push(format!("ERROR: {text}"));
        log.push(format!("ERROR: migration aborted (duration 00:00:00): {text}"));
        return Err("migration aborted".to_owned());
    }
    for Local { file, storage, .. } in locals {
        state.volumes.carry(&storage, &from, target, &file);
    }
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.node = target.to_owned();
    }
    log.push("migration finished successfully (duration 00:00:01)".to_owned());
    Ok(())
}
