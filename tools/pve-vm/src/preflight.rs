//! Everything that can refuse a change, asked before anything is created, stopped or destroyed.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::{
    Rights,
    answer::{Config, Power, Storage},
    property::Property,
    rights,
};
use record::{Code, Exit, Failure};

use crate::{
    difference::NOTES,
    parameters::{Kind, find},
    placement::Host,
};

mod hardware;
mod privilege;

pub(crate) use privilege::is_cd;

/// How many characters the notes of a VM may have.
const LONGEST_NOTES: usize = 8192;
/// How many of them the name of a volume may take, with its slot.
const VOLUME: usize = 80;
/// Where the networks are.
const ZONES: &str = "/sdn/zones";

/// What is about to be done to a VM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Intent {
    /// A VM is made.
    pub(crate) creates: bool,
    /// It is destroyed.
    pub(crate) destroys: bool,
    /// It is switched off on the way.
    pub(crate) stops: bool,
    /// It is switched on.
    pub(crate) starts: bool,
    /// A disk grows, or moves to another storage.
    pub(crate) grows: bool,
    /// The slots of the disks that grow.
    pub(crate) grown: Vec<String>,
    /// It leaves its host for another one.
    pub(crate) migrates: bool,
    /// It comes from another host.
    pub(crate) arrives: bool,
    /// Parameters that are set, with their values.
    pub(crate) parameters: Vec<(String, String)>,
    /// Sockets times cores, as they will be.
    pub(crate) cores: u64,
    /// Bytes of memory, as they will be.
    pub(crate) memory: u64,
    /// Bridges of its NICs, as they will be.
    pub(crate) bridges: Vec<String>,
    /// Storages that volumes are allocated on.
    pub(crate) storages: Vec<String>,
}

/// What is known of the VM and of the place that it is in, or will be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) token: &'a str,
    pub(crate) rights: &'a Rights,
    pub(crate) quorate: Option<bool>,
    pub(crate) host: &'a Host,
    /// The host's storages, where they were asked for.
    pub(crate) storages: Option<&'a [Storage]>,
    pub(crate) pool: Option<&'a str>,
    /// The VM, if it exists.
    pub(crate) vm: Option<Found<'a>>,
}

/// The VM as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) vmid: u32,
    pub(crate) config: &'a Config,
    pub(crate) power: Option<&'a Power>,
}

/// Why something would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) exit: Exit,
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Refusal {
    fn new(exit: Exit, code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: Some(hint.into()) }
    }

    /// Whether it passes when another operation has ended.
    pub(crate) fn is_lock(&self) -> bool {
        self.code == Code::Locked && self.exit == Exit::Unreachable
    }
}

/// All refusals as one failure: the gravest first.
pub(crate) fn failure(mut refusals: Vec<Refusal>) -> Option<Failure> {
    const GRAVEST: [Exit; 4] = [Exit::Unusable, Exit::Guard, Exit::NotAllowed, Exit::Failed];
    refusals.sort_by_key(|refusal| GRAVEST.iter().position(|exit| *exit == refusal.exit).unwrap_or(GRAVEST.len()));
    let messages: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    let hints: Vec<&str> = refusals.iter().filter_map(|refusal| refusal.hint.as_deref()).collect();
    let first = refusals.first()?;
    let failure = Failure::new(first.exit, first.code, messages.join("; "));
    Some(if hints.is_empty() { failure } else { failure.hint(hints.join("; ")) })
}

/// Why Proxmox VE, or a guard of ours, would refuse this; empty if nothing would.
pub(crate) fn refusals(intent: &Intent, situation: Situation<'_>) -> Vec<Refusal> {
    let Intent { creates, destroys, stops, starts, grows, migrates, arrives, .. } = intent;
    let acts = [creates, destroys, stops, starts, grows, migrates, arrives];
    if !acts.into_iter().any(|act| *act) && intent.parameters.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if situation.quorate == Some(false) {
        found.push(Refusal::new(
            Exit::Unreachable,
            Code::NoQuorum,
            "Proxmox VE has no quorum: it changes nothing",
            "switch the other hosts on, or see `pvecm status` on a host",
        ));
    }
    found.extend(missing_rights(intent, situation));
    if let Some(vm) = situation.vm {
        found.extend(of_vm(intent, vm, &situation.host.name));
    }
    found.extend(hardware::of_host(intent, situation.host));
    found.extend(notes_too_long(intent, situation.vm.map(|vm| vm.vmid)));
    found.extend(of_storages(intent, situation));
    found
}

/// Notes that Proxmox VE doesn't take. Those of a new VM grow by a line that says which disk is which.
fn notes_too_long(intent: &Intent, vmid: Option<u32>) -> Option<Refusal> {
    let (_, notes) = intent.parameters.iter().find(|(name, _)| name == NOTES)?;
    let is_drive = |name: &str| find(name).is_some_and(|known| known.kind == Kind::Drive);
    let drives = intent.parameters.iter().filter(|(name, _)| intent.creates && is_drive(name)).count();
    let length = notes.chars().count() + drives * VOLUME;
    let whose = vmid.map_or_else(|| "the new VM".to_owned(), |vmid| format!("VM {vmid}"));
    (length > LONGEST_NOTES).then(|| {
        Refusal::new(
            Exit::Failed,
            Code::Spec,
            format!(
                "the notes of {whose} would have {length} characters with the lines by which Ichor knows it, and Proxmox \
                 VE keeps {LONGEST_NOTES}"
            ),
            "shorten the VM's notes, or `description` in the file",
        )
    })
}

/// What the VM itself has against it.
fn of_vm(intent: &Intent, vm: Found<'_>, host: &str) -> Vec<Refusal> {
    let (vmid, config) = (vm.vmid, vm.config);
    let mut found = Vec::new();
    if intent.destroys && config.is_set("protection") {
        found.push(Refusal::new(
            Exit::Guard,
            Code::Protected,
            format!("VM {vmid} on {host} is protected from being destroyed"),
            format!("`qm set {vmid} -protection 0` on {host} allows it"),
        ));
    }
    if (intent.starts || intent.stops) && !intent.destroys && config.is_set("template") {
        found.push(Refusal::new(
            Exit::Guard,
            Code::NotOurs,
            format!("VM {vmid} on {host} is a template, which can't be started"),
            "somebody made it a template: give the node another name, or destroy the template",
        ));
    }
    found.extend(config.lock().and_then(|lock| of_lock(intent, lock, vmid, host)));
    found.extend(vm.power.and_then(|power| of_ha(intent, power, vmid, host)));
    found
}

/// What a lock forbids. A VM whose memory is saved may be started, which continues it, and destroyed.
fn of_lock(intent: &Intent, lock: &str, vmid: u32, host: &str) -> Option<Refusal> {
    let message = format!("VM {vmid} on {host} is locked ({lock})");
    let changes = intent.grows || intent.stops || intent.migrates || !intent.parameters.is_empty();
    match lock {
        "suspended" if intent.destroys || !changes => None,
        "suspended" => Some(Refusal::new(
            Exit::Failed,
            Code::Locked,
            format!("{message}: its memory is saved on disk"),
            format!("`qm resume {vmid}` on {host} continues it; then run again"),
        )),
        "create" => Some(Refusal::new(
            Exit::Unreachable,
            Code::Locked,
            message,
            format!("if nothing is creating this VM any more, run `qm unlock {vmid}` on {host}"),
        )),
        _ => Some(Refusal::new(Exit::Unreachable, Code::Locked, message, "run again when that operation has ended")),
    }
}

/// What high availability would not do: it decides when its VMs run.
fn of_ha(intent: &Intent, power: &Power, vmid: u32, host: &str) -> Option<Refusal> {
    let state = power.ha.state.as_deref().filter(|_| power.ha.managed)?;
    let switches = intent.starts || intent.stops || intent.destroys;
    let message = || format!("VM {vmid} on {host} is managed by HA, which has it in state {state}");
    match state {
        _ if !switches => None,
        "error" => Some(Refusal::new(
            Exit::Failed,
            Code::ProxmoxRefused,
            format!("{}: it neither starts nor stops the VM", message()),
            format!(
                "on a host: `ha-manager set vm:{vmid} --state disabled`, then `ha-manager set vm:{vmid} --state started`"
            ),
        )),
        "fence" | "recovery" | "freeze" | "migrate" | "relocate" => {
            Some(Refusal::new(Exit::Unreachable, Code::Unreachable, message(), "run again when HA has ended that"))
        }
        _ => None,
    }
}

/// What the storages lack. Those that weren't asked for are not judged.
fn of_storages(intent: &Intent, situation: Situation<'_>) -> Vec<Refusal> {
    let Some(rows) = situation.storages else { return Vec::new() };
    let host = &situation.host.name;
    let refusal = |name: &String| {
        let (exit, why, hint) = storage_finding(rows, name, "images", situation.rights)?;
        let code = if exit == Exit::NotAllowed { Code::NotAllowed } else { Code::Storage };
        Some(Refusal { exit, code, message: format!("on {host}, {why}"), hint })
    };
    intent.storages.iter().filter_map(refusal).collect()
}

/// What is wrong with a storage that is to hold this content: the exit status, the words, and the command that helps.
pub(crate) fn storage_finding(
    rows: &[Storage],
    name: &str,
    content: &str,
    rights: &Rights,
) -> Option<(Exit, String, Option<String>)> {
    let path = format!("/storage/{name}");
    let Some(row) = rows.iter().find(|row| row.storage == name) else {
        // The server lists only those on which the token has one of these.
        if !["Datastore.AllocateSpace", "Datastore.Audit"].iter().any(|privilege| rights.holds(&path, privilege)) {
            let both = "Datastore.AllocateSpace or Datastore.Audit";
            let privilege = if content == "images" { "Datastore.AllocateSpace" } else { both };
            let why = format!("the token can't see storage {name}: it lacks {privilege} on {path}");
            return Some((Exit::NotAllowed, why, Some(format!("give the token {privilege} on {path}"))));
        }
        let names: Vec<&str> = rows.iter().map(|row| row.storage.as_str()).collect();
        let why = format!("there is no storage {name} (storages: {})", names.join(", "));
        return Some((Exit::Failed, why, None));
    };
    if !row.active {
        return Some((Exit::Unreachable, format!("storage {name} is not active"), None));
    }
    if row.holds(content) {
        return None;
    }
    let why = format!("storage {name} doesn't allow content `{content}`");
    Some((Exit::Failed, why, Some(row.advice(content))))
}

/// The privileges that this takes and the token lacks.
pub(crate) fn missing_rights(intent: &Intent, situation: Situation<'_>) -> Option<Refusal> {
    let vm = match situation.vm {
        Some(vm) => format!("/vms/{}", vm.vmid),
        None => "/vms".to_owned(),
    };
    let pool = situation.pool.map(|pool| format!("/pool/{pool}"));
    let holds = |path: &str, privilege: &str| {
        let by_pool = path.starts_with("/vms") && pool.as_ref().is_some_and(|it| situation.rights.holds(it, privilege));
        by_pool
            || situation.rights.holds(path, privilege)
            // In which zone a network is, is for its zone to know.
            || (path == ZONES && situation.rights.holds_somewhere(ZONES, privilege))
    };
    let mut missing: BTreeMap<(String, &str), Vec<&str>> = BTreeMap::new();
    for (path, privilege, why) in needed(intent, &vm, situation.vm.map(|vm| vm.config)) {
        // One of two is enough where the table names two.
        if !privilege.split('|').any(|privilege| holds(&path, privilege)) {
            let whys = missing.entry((path, privilege)).or_default();
            if !whys.contains(&why) {
                whys.push(why);
            }
        }
    }
    let text = |((path, privilege), why): (&(String, &str), &Vec<&str>)| {
        format!("{} on {path} ({})", privilege.replace('|', " or "), why.join(", "))
    };
    let all: Vec<String> = missing.iter().map(text).collect();
    let granted: BTreeSet<String> = missing
        .keys()
        .map(|(path, privilege)| match situation.rights.holds_below("/vms", privilege) {
            // Rights that somebody gave on this VM replace those from above.
            true => path.clone(),
            false => granted_at(path, pool.as_deref()),
        })
        .collect();
    let paths: Vec<&str> = granted.iter().map(String::as_str).collect();
    if paths.is_empty() {
        return None;
    }
    let mut role: Vec<&str> = rights::NEEDED.into_iter().chain([rights::USEFUL]).collect();
    for (_, privilege) in missing.keys() {
        role.extend(privilege.split('|').next().filter(|privilege| !role.contains(privilege)));
    }
    Some(Refusal::new(
        Exit::NotAllowed,
        Code::NotAllowed,
        format!("the token {} lacks {}", situation.token, all.join(", ")),
        situation.rights.commands(situation.token, &paths, &role),
    ))
}

/// Where a privilege is given that is missing at this path: a VM that is about to be made has no path of its own.
fn granted_at(path: &str, pool: Option<&str>) -> String {
    match pool {
        Some(pool) if path.starts_with("/vms") => pool.to_owned(),
        None if path.starts_with("/vms") => "/vms".to_owned(),
        _ => path.to_owned(),
    }
}

/// The privileges that this takes: the path, the privilege, and what it is for.
fn needed<'a>(intent: &'a Intent, vm: &str, config: Option<&Config>) -> Vec<(String, &'static str, &'a str)> {
    let mut needed: Vec<(String, &'static str, &'a str)> = Vec::new();
    if intent.creates {
        needed.push((vm.into(), "VM.Allocate", "create"));
    }
    if intent.destroys {
        needed.push((vm.into(), "VM.Allocate", "destroy"));
    }
    if intent.starts || intent.stops {
        needed.push((vm.into(), "VM.PowerMgmt", if intent.starts { "start" } else { "stop" }));
    }
    if intent.migrates {
        needed.push((vm.into(), "VM.Migrate", "migrate"));
    }
    if intent.grows {
        needed.push((vm.into(), "VM.Config.Disk", "disk"));
    }
    for storage in &intent.storages {
        needed.push((format!("/storage/{storage}"), "Datastore.AllocateSpace", "disks"));
    }
    // A disk grows where it is, wherever the file has it.
    let volume = |slot: &String| Some(config?.get(slot)?.split(':').next()?.trim_start_matches("file=").to_owned());
    for storage in intent.grown.iter().filter_map(volume) {
        needed.push((format!("/storage/{storage}"), "Datastore.AllocateSpace", "disk"));
    }
    let nics = intent.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    if !bridges(nics).is_empty() {
        needed.push((ZONES.into(), "SDN.Use", "bridge"));
    }
    for (name, value) in &intent.parameters {
        // What a drive was counts as well as what it becomes.
        let was =
            config.and_then(|config| config.get(name)).filter(|_| find(name).is_some_and(|it| it.kind == Kind::Drive));
        let values = [Some(value.as_str()).filter(|value| was.is_none() || !value.is_empty()), was];
        let privileges = values
            .into_iter()
            .flatten()
            .flat_map(|value| privilege::of_parameter(name, value, !intent.creates && config.is_some()));
        needed.extend(privileges.map(|privilege| (vm.into(), privilege, name.as_str())));
        let on_cluster = privilege::on_cluster(name).iter();
        needed.extend(on_cluster.map(|privilege| ("/".into(), *privilege, name.as_str())));
        needed.extend(privilege::of_mapping(name, value).map(|path| (path, "Mapping.Use", name.as_str())));
    }
    needed
}

/// The bridges that NICs among these parameters are on.
pub(crate) fn bridges<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let nic = |name: &str| name.strip_prefix("net").is_some_and(|index| index.parse::<u32>().is_ok());
    let mut bridges: Vec<String> = parameters
        .filter(|(name, _)| nic(name))
        .filter_map(|(_, value)| Property::parse(value).get("bridge").map(str::to_owned))
        .collect();
    bridges.sort_unstable();
    bridges.dedup();
    bridges
}

#[cfg(test)]
mod tests;
