//! Templates and clones.

use serde_json::Value;

use super::create;
use super::disks;
use super::locks::Lock;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::state::{Call, State, Vm};
use super::storage;
use super::task_kind::TaskKind;

/// `POST template`.
pub(crate) fn template(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    vm.unlocked().map_err(Refusal::failed)?;
    if !vm.snapshots.is_empty() {
        return Err(Refusal::failed("unable to create template, because VM contains snapshots"));
    }
    if vm.running.is_some() {
        return Err(Refusal::failed("you can't convert a VM to template if VM is running"));
    }
    if vm.is_set("template") {
        return Err(Refusal::failed("you can't convert a template to a template"));
    }
    state.begin(call, call.node(), TaskKind::Template(call.vmid()))
}

/// Makes a VM a template: its disks become base volumes.
pub(crate) fn make_template(state: &mut State, vmid: u32) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let (node, config) = (vm.node.clone(), vm.config.clone());
    let mut changed = vec![("template".to_owned(), "1".to_owned())];
    for (name, value) in config.iter().filter(|(name, value)| options::is_drive(name) && !value.contains("media=cdrom"))
    {
        let mut pairs = disks::parse(name, value);
        let file = property::get(&pairs, "file").unwrap_or_default().to_owned();
        let based = file.replace("/vm-", "/base-").replace(":vm-", ":base-");
        let Some(storage) = storage::split(&file).and_then(|(name, _)| state.storage(name).ok()) else { continue };
        state.volumes.rename(&storage, &node, &file, &based);
        property::set(&mut pairs, "file", based);
        changed.push((name.clone(), property::print(&pairs, "file")));
    }
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.config.extend(changed);
    }
    Ok(())
}

/// `POST clone`.
pub(crate) fn clone(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?.clone();
    let newid: u32 = call.param("newid").and_then(|text| text.parse().ok()).unwrap_or_default();
    let (pool, target) = (call.param("pool"), call.param("target").filter(|target| *target != vm.node));
    state.may(call.token, newid, pool, &["VM.Allocate"])?;
    if let Some(target) = target.filter(|target| !state.settings.nodes.iter().any(|node| node == target)) {
        return Err(Refusal::failed(format!("no such cluster node '{target}'")));
    }
    check_storage(state, call.param("storage"), target)?;
    vm.unlocked().map_err(Refusal::failed)?;
    let full = call.param("full").map_or(!vm.is_set("template"), |full| full == "1");
    check_linked(call, &vm, full)?;
    check_target(state, &vm, target)?;
    if let Some(other) = state.vms.get(&newid) {
        let text = format!("unable to create VM {newid}: config file already exists on node '{}'", other.node);
        return Err(Refusal::failed(text));
    }
    let config = [("lock".to_owned(), "clone".to_owned())].into();
    let node = target.unwrap_or(&vm.node).to_owned();
    let claimed = call.param("name").map(str::to_owned);
    let claim = Vm { node, config, claimed, pool: pool.map(str::to_owned), changed: call.now, ..Vm::default() };
    state.vms.insert(newid, claim);
    let text = |name: &str| call.param(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let (storage, description) = (text("storage"), text("description"));
    state.begin(call, call.node(), TaskKind::Clone { vmid: call.vmid(), newid, storage, description, full })
}

/// The storage of a copy takes disks, and on another host only one that both hosts share.
fn check_storage(state: &State, storage: Option<&str>, target: Option<&str>) -> Result<(), Refusal> {
    let Some(name) = storage else { return Ok(()) };
    let storage = state.storage(name)?;
    if !storage.takes("images") {
        return Err(Refusal::parameter("storage", format!("storage '{name}' does not support vm images")));
    }
    match target.is_some() && !storage.shared {
        true => Err(Refusal::failed(format!("can't clone to non-shared storage '{name}'"))),
        false => Ok(()),
    }
}

/// What only begins with the disks of a template cannot be elsewhere, and has a template.
fn check_linked(call: &Call<'_>, vm: &Vm, full: bool) -> Result<(), Refusal> {
    if full {
        return Ok(());
    }
    if let Some(name) = ["storage", "format"].into_iter().find(|name| call.param(name).is_some()) {
        return Err(Refusal::failed(format!("parameter '{name}' not allowed for linked clones")));
    }
    let disks = vm.config.iter().filter(|(name, value)| options::is_drive(name) && !value.contains("media=cdrom"));
    let mut disks = disks.filter(|(name, _)| *name != "tpmstate0");
    match disks.next() {
        Some((name, value)) if !vm.is_set("template") => {
            let volume = disks::file(name, value).unwrap_or_default();
            Err(Refusal::failed(format!("Linked clone feature is not supported for '{volume}' ({name})")))
        }
        _ => Ok(()),
    }
}

/// Another host must see everything that the source has.
fn check_target(state: &State, vm: &Vm, target: Option<&str>) -> Result<(), Refusal> {
    let Some(target) = target else { return Ok(()) };
    let storages = volumes_of(vm).into_iter().filter_map(|file| storage::split(&file).map(|(name, _)| name.to_owned()));
    match storages.into_iter().all(|name| state.storage(&name).is_ok_and(|storage| storage.shared)) {
        true => Ok(()),
        false => Err(Refusal::failed(format!("can't clone VM to node '{target}' (VM uses local storage)"))),
    }
}

/// A copy to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copy<'a> {
    /// The source.
    pub(crate) vmid: u32,
    /// The ID that was claimed for the copy.
    pub(crate) newid: u32,
    /// Where the disks go, if not beside the source's.
    pub(crate) storage: Option<&'a str>,
    /// What is said of the copy.
    pub(crate) description: Option<&'a str>,
    /// Whether its disks are its own.
    pub(crate) full: bool,
}

/// Copies a VM with its disks; identity and hardware addresses are new.
pub(crate) fn finish(state: &mut State, wanted: Copy<'_>, now: u64, log: &mut Vec<String>) -> Result<(), String> {
    let Copy { vmid, newid, .. } = wanted;
    log.push(format!("creating a clone of VM {vmid} with ID {newid}"));
    let source = state.vms.get(&vmid).cloned().ok_or_else(|| create::gone(vmid))?;
    let claim = state.vms.get(&newid).cloned().ok_or_else(|| create::gone(newid))?;
    let mut config = source.config.clone();
    for (name, value) in &source.config {
        let kept = match name.as_str() {
            "template" | "lock" | "parent" => None,
            name if name.starts_with("unused") => None,
            name if options::is_drive(name) => Some(copy(state, (&source, &claim), wanted, (name, value), now, log)?),
            name if options::index_of(name, "net").is_some() => Some(new_card(state, value)),
            "smbios1" => Some(new_identity(state, value)),
            "vmgenid" => Some(state.uuid()),
            _ => Some(value.clone()),
        };
        match kept {
            Some(kept) => config.insert(name.clone(), kept),
            None => config.remove(name),
        };
    }
    if let Some(firewall) = state.firewalls.get(&vmid).cloned() {
        state.firewalls.insert(newid, firewall);
    }
    let name = claim.claimed.clone().unwrap_or_else(|| format!("Copy-of-VM-{}", source.name(vmid)));
    config.insert("name".to_owned(), name);
    config.extend(wanted.description.map(|text| ("description".to_owned(), text.to_owned())));
    if let Some(vm) = state.vms.get_mut(&newid) {
        vm.config = config;
        vm.changed = now;
    }
    Ok(())
}

/// The rest of what the firmware says stays.
fn new_identity(state: &mut State, value: &str) -> String {
    let mut pairs = property::parse(value, &super::keys::SMBIOS).unwrap_or_default();
    let uuid = state.uuid();
    property::set(&mut pairs, "uuid", uuid);
    property::print(&pairs, "")
}

fn new_card(state: &mut State, value: &str) -> String {
    let mut pairs = property::parse(value, &super::keys::NIC).unwrap_or_default();
    let mac = state.mac();
    property::set(&mut pairs, "macaddr", mac);
    property::print_nic(&pairs)
}

fn copy(
    state: &mut State,
    (source, claim): (&Vm, &Vm),
    wanted: Copy<'_>,
    (name, value): (&str, &str),
    now: u64,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let mut pairs = disks::parse(name, value);
    let file = property::get(&pairs, "file").unwrap_or_default().to_owned();
    let Some((from, _)) = storage::split(&file) else { return Ok(value.to_owned()) };
    let from = state.storage(from).map_err(|refusal| refusal.text())?;
    let Some(volume) = state.volumes.get(&from, &source.node, &file).cloned() else { return Ok(value.to_owned()) };
    if volume.vmid.is_none() {
        return Ok(value.to_owned());
    }
    let own = wanted.full || name == "tpmstate0" || file.contains("cloudinit");
    let kind = if own { "full" } else { "linked" };
    log.push(format!("create {kind} clone of drive {name} ({file})"));
    let to = wanted.storage.map_or(Ok(from.clone()), |name| state.storage(name)).map_err(|refusal| refusal.text())?;
    let stem = file.contains("cloudinit").then_some("cloudinit");
    let disk = storage::Wanted {
        node: &claim.node,
        vmid: wanted.newid,
        stem,
        format: None,
        size: volume.size,
        image: volume.image.clone(),
    };
    let (made, line) = state.volumes.allocate(&to, disk, now);
    log.push(line);
    property::set(&mut pairs, "file", made.id);
    Ok(property::print(&pairs, "file"))
}

/// The volumes of a VM's drives.
pub(crate) fn volumes_of(vm: &Vm) -> Vec<String> {
    let drives = vm.config.iter().filter(|(name, _)| options::is_drive(name));
    drives.filter_map(|(name, value)| disks::file(name, value)).collect()
}

/// `PUT unlink`: takes disks out of a VM, or removes them for good with `force`.
pub(crate) fn unlink(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.vm(call)?.unlocked().map_err(Refusal::failed)?;
    state.locked(&Lock::Vm(call.vmid()), 10, "")?;
    let list = call.param("idlist").unwrap_or_default().to_owned();
    for name in list.split([',', ';', ' ']).filter(|name| !name.is_empty()) {
        super::change::drop_option(state, call.vmid(), name, call.now);
        if call.param("force") == Some("1") {
            let unused = state.vm(call)?.config.keys().rfind(|key| key.starts_with("unused")).cloned();
            unused.into_iter().for_each(|name| super::change::drop_option(state, call.vmid(), &name, call.now));
        }
    }
    Ok(Value::Null.into())
}
