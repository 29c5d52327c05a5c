//! Templates, clones and migration.

use serde_json::Value;

use super::create;
use super::disks;
use super::locks::Lock;
use super::options;
use super::property;
use super::reply::{Refusal, Reply};
use super::state::{Call, State, Vm};
use super::storage;
use super::work::Work;

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
    state.begin(call, call.node(), Work::Template(call.vmid()))
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
    let pool = call.param("pool");
    state.may(call.token, newid, pool, &["VM.Allocate"])?;
    if let Some(target) = call.param("target").filter(|target| !state.settings.nodes.iter().any(|node| node == target))
    {
        return Err(Refusal::failed(format!("no such cluster node '{target}'")));
    }
    if let Some(other) = state.vms.get(&newid) {
        let text = format!("unable to create VM {newid}: config file already exists on node '{}'", other.node);
        return Err(Refusal::failed(text));
    }
    vm.unlocked().map_err(Refusal::failed)?;
    let config = [("lock".to_owned(), "clone".to_owned())].into();
    let node = call.param("target").unwrap_or(&vm.node).to_owned();
    let claimed = call.param("name").map(str::to_owned);
    let claim = Vm { node, config, claimed, pool: pool.map(str::to_owned), changed: call.now, ..Vm::default() };
    state.vms.insert(newid, claim);
    let work = Work::Clone { vmid: call.vmid(), newid, storage: call.param("storage").map(str::to_owned) };
    state.begin(call, call.node(), work)
}

/// Copies a VM with its disks; identity and hardware addresses are new.
pub(crate) fn finish(
    state: &mut State,
    vmid: u32,
    newid: u32,
    target: Option<&str>,
    now: u64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    log.push(format!("creating a clone of VM {vmid} with ID {newid}"));
    let source = state.vms.get(&vmid).cloned().ok_or_else(|| create::gone(vmid))?;
    let claim = state.vms.get(&newid).cloned().ok_or_else(|| create::gone(newid))?;
    let mut config = source.config.clone();
    for (name, value) in &source.config {
        let kept = match name.as_str() {
            "template" | "lock" | "parent" => None,
            name if options::is_drive(name) => {
                Some(copy(state, (&source, &claim, newid), name, value, target, now, log)?)
            }
            name if options::index_of(name, "net").is_some() => Some(new_card(state, value)),
            "smbios1" => Some(format!("uuid={}", state.uuid())),
            "vmgenid" => Some(state.uuid()),
            _ => Some(value.clone()),
        };
        match kept {
            Some(kept) => config.insert(name.clone(), kept),
            None => config.remove(name),
        };
    }
    let name = claim.claimed.clone().unwrap_or_else(|| format!("Copy-of-VM-{}", source.name(vmid)));
    config.insert("name".to_owned(), name);
    if let Some(vm) = state.vms.get_mut(&newid) {
        vm.config = config;
        vm.changed = now;
    }
    Ok(())
}

fn new_card(state: &mut State, value: &str) -> String {
    let mut pairs = property::parse(value, &super::keys::NIC).unwrap_or_default();
    let mac = state.mac();
    property::set(&mut pairs, "macaddr", mac);
    property::print_nic(&pairs)
}

fn copy(
    state: &mut State,
    (source, claim, newid): (&Vm, &Vm, u32),
    name: &str,
    value: &str,
    target: Option<&str>,
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
    log.push(format!("create full clone of drive {name} ({file})"));
    let to = target.map_or(Ok(from.clone()), |name| state.storage(name)).map_err(|refusal| refusal.text())?;
    let stem = file.contains("cloudinit").then_some("cloudinit");
    let wanted = storage::Wanted {
        node: &claim.node,
        vmid: newid,
        stem,
        format: None,
        size: volume.size,
        image: volume.image.clone(),
    };
    let (made, line) = state.volumes.allocate(&to, wanted, now);
    log.push(line);
    property::set(&mut pairs, "file", made.id);
    Ok(property::print(&pairs, "file"))
}

/// `POST migrate`.
pub(crate) fn migrate(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
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
    let work = Work::Migrate { vmid: call.vmid(), target: target.to_owned(), managed };
    state.begin(call, call.node(), work)
}

/// Moves a VM with its local disks.
pub(crate) fn moved(state: &mut State, vmid: u32, target: &str, log: &mut Vec<String>) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| create::gone(vmid))?;
    let (from, files) = (vm.node.clone(), volumes_of(vm));
    log.push(format!("starting migration of VM {vmid} to node '{target}' ({})", state.settings.address));
    for file in files {
        let Some(storage) = storage::split(&file).and_then(|(name, _)| state.storage(name).ok()) else { continue };
        if !storage.shared {
            log.push(format!("found local disk '{file}' (attached)"));
            state.volumes.carry(&storage, &from, target, &file);
        }
    }
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.node = target.to_owned();
    }
    log.push("migration finished successfully (duration 00:00:01)".to_owned());
    Ok(())
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
        super::config::drop_option(state, call.vmid(), name);
        if call.param("force") == Some("1") {
            let unused = state.vm(call)?.config.keys().rfind(|key| key.starts_with("unused")).cloned();
            unused.into_iter().for_each(|name| super::config::drop_option(state, call.vmid(), &name));
        }
    }
    Ok(Value::Null.into())
}
