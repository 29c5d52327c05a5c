//! Moving a disk: to another storage, or to another VM.

use super::change;
use super::config;
use super::create;
use super::disks;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::state::{Call, State, Vm};
use super::storage;
use super::task_kind::TaskKind;

/// A disk that another VM gets.
#[derive(Debug, Clone)]
pub(crate) struct Reassignment {
    /// The VM that has it.
    pub(crate) vmid: u32,
    disk: String,
    target: u32,
    target_disk: String,
}

impl Reassignment {
    /// What its task is about.
    pub(crate) fn id(&self) -> String {
        format!("{}-{}>{}-{}", self.vmid, self.disk, self.target, self.target_disk)
    }
}

/// `POST move_disk`.
pub(crate) fn start(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let disk = call.param("disk").unwrap_or_default().to_owned();
    match (call.param("target-vmid"), call.param("storage")) {
        (Some(_), Some(_)) => {
            let text = "either set 'storage' or 'target-vmid', but not both".to_owned();
            Err(Refusal::Parameters([("storage".to_owned(), text.clone()), ("target-vmid".to_owned(), text)].into()))
        }
        (Some(target), None) => reassign(state, call, disk, target.parse().unwrap_or_default()),
        (None, Some(storage)) => relocate(state, call, disk, storage.to_owned()),
        (None, None) => {
            let text = "both 'storage' and 'target-vmid' missing, either needs to be set".to_owned();
            Err(Refusal::Parameters([("storage".to_owned(), text.clone()), ("target-vmid".to_owned(), text)].into()))
        }
    }
}

fn relocate(state: &mut State, call: &Call<'_>, disk: String, storage: String) -> Result<Reply, Refusal> {
    call.token.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"]).map_err(Refusal::forbidden)?;
    let vm = state.vm(call)?;
    vm.unlocked().map_err(Refusal::failed)?;
    if call.param("digest").is_some_and(|known| known != config::digest(&vm.config)) {
        return Err(Refusal::failed("checksum mismatch (file change by other user?)"));
    }
    let file = movable(vm, &disk, &format!("disk '{disk}' does not exist"), "you can't move a cdrom")?;
    let format = call.param("format").map(str::to_owned);
    let (from, _) = storage::split(&file).unwrap_or_default();
    let source = state.storage(from)?;
    let own = state.volumes.get(&source, &vm.node, &file).map(|volume| volume.format().to_owned());
    if from == storage && format.as_ref().is_none_or(|format| own.as_ref() == Some(format)) {
        return Err(Refusal::failed("you can't move to the same storage with same format"));
    }
    if !state.storage(&storage)?.takes("images") {
        return Err(Refusal::parameter("storage", format!("storage '{storage}' does not support vm images")));
    }
    let delete = call.param("delete") == Some("1");
    if delete && !vm.snapshots.is_empty() {
        return Err(Refusal::failed("you can't move a disk with snapshots and delete the source"));
    }
    state.begin(call, call.node(), TaskKind::Move { vmid: call.vmid(), disk, storage, format, delete })
}

fn movable(vm: &Vm, disk: &str, missing: &str, cdrom: &str) -> Result<String, Refusal> {
    let value = vm.config.get(disk).ok_or_else(|| Refusal::failed(missing))?;
    if value.contains("media=cdrom") {
        return Err(Refusal::failed(cdrom));
    }
    let file = if disk.starts_with("unused") { Some(value.clone()) } else { disks::file(disk, value) };
    file.filter(|file| storage::split(file).is_some())
        .ok_or_else(|| Refusal::failed(format!("disk '{disk}' has no associated volume")))
}

/// Copies a disk to another storage; the guest finds on it what it has written before.
pub(crate) fn moved(
    state: &mut State,
    vmid: u32,
    (disk, target, format): (&str, &str, Option<&str>),
    delete: bool,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let file = movable(vm, disk, &format!("disk '{disk}' does not exist"), "you can't move a cdrom");
    let (file, node) = (file.map_err(|refusal| refusal.text())?, vm.node.clone());
    let (from, _) = storage::split(&file).unwrap_or_default();
    let (from, to) = (named(state, from)?, named(state, target)?);
    log.push(format!("copying volume '{file}' from current storage '{}' to target storage '{target}'", from.name));
    let gone = || format!("storage migration failed: volume '{file}' does not exist");
    let source = state.volumes.get(&from, &node, &file).cloned().ok_or_else(gone)?;
    if disk.starts_with("tpmstate") && vm.running.is_some() {
        return Err("storage migration failed: cannot move TPM state while VM is running".to_owned());
    }
    log.push(format!("create full clone of drive {disk} ({file})"));
    let image = source.image.clone();
    let wanted = storage::Wanted { node: &node, vmid, stem: None, format, size: source.size, image };
    let (made, line) = state.volumes.allocate(&to, wanted, now);
    log.push(line);
    state.volumes.inherit((&from, &file), (&to, &made.id), &node);
    rename(state, vmid, disk, &made.id);
    match delete {
        true => {
            log.push(format!("removing source volume '{file}' after successful copy"));
            change::free(state, &node, &file);
        }
        false => {
            let unused = change::keep_unused(state, vmid, file.clone()).unwrap_or_default();
            log.push(format!("adding source volume '{file}' as '{unused}' to config"));
        }
    }
    Ok(())
}

fn named(state: &State, storage: &str) -> Result<storage::Storage, String> {
    state.storage(storage).map_err(|refusal| refusal.text())
}

/// Puts another volume behind a drive, also of the VM that runs.
fn rename(state: &mut State, vmid: u32, disk: &str, file: &str) {
    let Some(vm) = state.vms.get_mut(&vmid) else { return };
    let running = vm.running.as_mut().map(|running| &mut running.config);
    for config in [Some(&mut vm.config), running].into_iter().flatten() {
        let Some(value) = config.get_mut(disk) else { continue };
        let mut pairs = disks::parse(disk, value);
        property::set(&mut pairs, "file", file);
        *value = if disk.starts_with("unused") { file.to_owned() } else { property::print(&pairs, "file") };
    }
}

fn reassign(state: &mut State, call: &Call<'_>, disk: String, target: u32) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    if !call.token.is_root() {
        state.may(call.token, target, None, &["VM.Config.Disk"])?;
    }
    if target == vmid {
        return Err(Refusal::parameter("target-vmid", "must be different than source VMID to reassign disk"));
    }
    let target_disk = call.param("target-disk").unwrap_or(&disk).to_owned();
    let wanted = Reassignment { vmid, disk, target, target_disk };
    let file = assignable(state, &wanted).map_err(Refusal::failed)?;
    let storage = storage::split(&file).map(|(name, _)| name).unwrap_or_default();
    call.token.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"]).map_err(Refusal::forbidden)?;
    state.begin(call, call.node(), TaskKind::Reassign(wanted))
}

fn assignable(state: &State, wanted: &Reassignment) -> Result<String, String> {
    let Reassignment { vmid, disk, target, target_disk } = wanted;
    let source = state.vms.get(vmid).ok_or_else(|| format!("could not find VM {vmid}"))?;
    let other = state.vms.get(target).ok_or_else(|| format!("could not find target VM {target}"))?;
    if source.node != other.node {
        return Err(format!("Both VMs need to be on the same node ({} != {})", source.node, other.node));
    }
    source.unlocked()?;
    other.unlocked()?;
    if source.is_set("template") || other.is_set("template") {
        return Err("Can't move disks from or to template VMs".to_owned());
    }
    if other.config.contains_key(target_disk) {
        return Err(format!("Target disk key '{target_disk}' is already in use for VM '{target}'"));
    }
    let missing = format!("Disk '{disk}' for VM '{vmid}' does not exist");
    let file = movable(source, disk, &missing, "CD drive contents can't be moved to another VM");
    let file = file.map_err(|refusal| refusal.text())?;
    match source.running.is_some() && !disk.starts_with("unused") {
        true => Err("Cannot move disk to another VM while the source VM is running - detach first".to_owned()),
        false => Ok(file),
    }
}

/// Gives a disk to another VM, under a name of that VM.
pub(crate) fn reassigned(state: &mut State, wanted: &Reassignment, log: &mut Vec<String>) -> Result<(), String> {
    let file = assignable(state, wanted)?;
    let Reassignment { vmid, disk, target, target_disk } = wanted;
    log.push(format!("reassign disk '{disk}' from VM '{vmid}' as '{target_disk}' to VM '{target}'"));
    let storage = named(state, storage::split(&file).unwrap_or_default().0)?;
    let node = state.vms.get(vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    let new = state.volumes.reassign(&storage, &node, &file, *target).ok_or_else(|| create::gone(*vmid))?;
    let Some(source) = state.vms.get_mut(vmid) else { return Err(create::gone(*vmid)) };
    let value = source.config.remove(disk).unwrap_or_default();
    change::leave_boot_order(&mut source.config, disk);
    log.push(format!("removing disk '{disk}' from VM '{vmid}' config"));
    let mut pairs = disks::parse(if disk.starts_with("unused") { "scsi0" } else { disk }, &value);
    property::set(&mut pairs, "file", new.clone());
    let kept = if options::is_drive(target_disk) { property::print(&pairs, "file") } else { new };
    if let Some(other) = state.vms.get_mut(target) {
        other.config.insert(target_disk.clone(), kept);
    }
    Ok(())
}
