//! Backups: `vzdump`, and the archives that it leaves on a storage.

use serde_json::Value;
use time::OffsetDateTime;

use super::guest;
use super::reply::{Refusal, Reply};
use super::snapshots;
use super::state::{Call, State};
use super::task_kind::TaskKind;

/// A run of `vzdump`.
#[derive(Debug, Clone)]
pub(crate) struct Backup {
    node: String,
    storage: String,
    vms: Vec<u32>,
    /// Those that it has marked.
    marked: Vec<u32>,
    mode: String,
    compress: Option<String>,
    notes: Option<String>,
    protected: bool,
}

impl Backup {
    /// The VM, if it is one.
    pub(crate) fn only(&self) -> Option<u32> {
        (self.vms.len() == 1).then(|| self.vms[0])
    }
}

/// `POST vzdump`.
pub(crate) fn start(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let storage = call.param("storage").unwrap_or("local").to_owned();
    let mut vms = chosen(state, call)?;
    for vmid in &vms {
        state.may(call.token, *vmid, None, &["VM.Backup"])?;
    }
    call.token.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"]).map_err(Refusal::forbidden)?;
    // VMs on other hosts are passed over in silence, VMs that there are not fail in the task.
    vms.retain(|vmid| state.vms.get(vmid).is_none_or(|vm| vm.node == call.node()));
    if vms.is_empty() && call.param("all") != Some("1") {
        return Ok(Value::from("OK").into());
    }
    let own = |name: &str| call.param(name).map(str::to_owned);
    let wanted = Backup {
        node: call.node().to_owned(),
        storage,
        vms,
        marked: Vec::new(),
        mode: own("mode").unwrap_or_else(|| "snapshot".to_owned()),
        compress: own("compress").filter(|kind| kind != "0"),
        notes: own("notes-template"),
        protected: call.param("protected") == Some("1"),
    };
    state.begin(call, call.node(), TaskKind::Backup(wanted))
}

/// The VMs that a call names, in order.
fn chosen(state: &State, call: &Call<'_>) -> Result<Vec<u32>, Refusal> {
    let listed = |name: &str| -> Vec<u32> {
        let list = call.param(name).unwrap_or_default().split([',', ';', ' ']);
        list.filter_map(|vmid| vmid.parse().ok()).collect()
    };
    let excluded = listed("exclude");
    let here = |vm: &super::state::Vm| vm.node == call.node();
    let named = [call.param("vmid"), call.param("pool"), call.param("all").filter(|all| *all == "1")];
    match (named, call.param("pool")) {
        ([None, None, None], _) => Err(Refusal::parameter("vmid", "property is missing and it is not optional")),
        ([Some(_), ..], _) => Ok(listed("vmid")),
        (_, Some(pool)) => {
            let members = state.vms.iter().filter(|(_, vm)| vm.pool.as_deref() == Some(pool) && here(vm));
            Ok(members.map(|(vmid, _)| *vmid).collect())
        }
        _ => Ok(state.vms.iter().filter(|(id, vm)| here(vm) && !excluded.contains(id)).map(|(id, _)| *id).collect()),
    }
}

/// Marks the VMs that nothing else works on.
pub(crate) fn mark(state: &mut State, wanted: &mut Backup) {
    let free = |vmid: &u32| state.vms.get(vmid).is_some_and(|vm| !vm.config.contains_key("lock"));
    wanted.marked = wanted.vms.iter().copied().filter(free).collect();
    wanted.marked.iter().for_each(|vmid| snapshots::lock(state, *vmid, "backup"));
}

/// Takes the marks away.
pub(crate) fn unmark(state: &mut State, wanted: &Backup) {
    for vmid in &wanted.marked {
        if let Some(vm) =
            state.vms.get_mut(vmid).filter(|vm| vm.config.get("lock").is_some_and(|lock| lock == "backup"))
        {
            vm.config.remove("lock");
        }
    }
}

/// Writes the archives.
pub(crate) fn made(state: &mut State, wanted: &Backup, now: u64, log: &mut Vec<String>) -> Result<(), String> {
    let list = wanted.vms.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let (storage, mode) = (&wanted.storage, &wanted.mode);
    if !state.storage(storage).is_ok_and(|storage| storage.takes("backup")) {
        unmark(state, wanted);
        let text = format!("storage '{storage}' does not support backups");
        return Err(format!("could not get storage information for '{storage}': {text}"));
    }
    log.push(format!("INFO: starting new backup job: vzdump {list} --storage {storage} --mode {mode}"));
    let mut failed = false;
    for vmid in &wanted.vms {
        if let Err(text) = one(state, wanted, *vmid, now, log) {
            log.push(format!("ERROR: Backup of VM {vmid} failed - {text}"));
            failed = true;
        }
    }
    unmark(state, wanted);
    match failed {
        false => {
            log.push("INFO: Backup job finished successfully".to_owned());
            Ok(())
        }
        true => {
            log.push("INFO: Backup job finished with errors".to_owned());
            Err("job errors".to_owned())
        }
    }
}

fn one(state: &mut State, wanted: &Backup, vmid: u32, now: u64, log: &mut Vec<String>) -> Result<(), String> {
    let vm = state.vms.get(&vmid).ok_or_else(|| format!("unable to find VM '{vmid}'"))?;
    log.push(format!("INFO: Starting Backup of VM {vmid} (qemu)"));
    match vm.config.get("lock").map(String::as_str) {
        Some("backup") if wanted.marked.contains(&vmid) => {}
        Some(lock) => return Err(format!("VM is locked ({lock})")),
        None => return Err("missing lock".to_owned()),
    }
    log.push(format!("INFO: status = {}", if vm.running.is_some() { "running" } else { "stopped" }));
    log.push(format!("INFO: VM Name: {}", vm.name(vmid)));
    log.push(format!("INFO: backup mode: {}", if vm.running.is_some() { &wanted.mode } else { "stop" }));
    let notes = wanted.notes.as_ref().map(|notes| {
        let known = [("{{guestname}}", vm.name(vmid)), ("{{node}}", vm.node.clone()), ("{{vmid}}", vmid.to_string())];
        known.iter().fold(notes.clone(), |text, (name, value)| text.replace(name, value))
    });
    let size = guest::boot_disk(&vm.config).map_or(0, |_| super::disks::boot_size(state, vm)) / 20;
    let end = match wanted.compress.as_deref() {
        Some("gzip") => ".gz",
        Some("1" | "lzo") => ".lzo",
        Some(_) => ".zst",
        None => "",
    };
    let file = format!("vzdump-qemu-{vmid}-{}.vma{end}", stamp(now));
    let storage = state.storage(&wanted.storage).map_err(|refusal| refusal.text())?;
    log.push(format!("INFO: creating vzdump archive '/var/lib/vz/dump/{file}'"));
    let id = state.volumes.archive(&storage, &wanted.node, &file, (vmid, size), now);
    state.volumes.annotate(&storage, &wanted.node, &id, notes, wanted.protected);
    log.push(format!("INFO: Finished Backup of VM {vmid} (00:00:01)"));
    Ok(())
}

/// `2026_11_27-14_05_09`.
fn stamp(now: u64) -> String {
    let time = i64::try_from(now).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}_{:02}_{day:02}-{hour:02}_{minute:02}_{second:02}", u8::from(month))
}
