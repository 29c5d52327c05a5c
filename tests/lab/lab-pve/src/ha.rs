//! High availability: managed VMs, and the rules about where they may be.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::config;
use super::ha_rules::Rules;
use super::locks::Lock;
use super::power;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, Config, Effect, State};

/// What the HA manager knows.
#[derive(Default)]
pub(crate) struct Ha {
    /// Wanted state by VM: `started`, `stopped`, `ignored`.
    pub(crate) resources: BTreeMap<u32, String>,
    /// What was said of each VM, as it was said.
    said: BTreeMap<u32, Config>,
    /// VMs that are not as they should be: `fence`, `error`.
    trouble: BTreeMap<u32, &'static str>,
    /// Rules by name.
    pub(crate) rules: Rules,
    /// VMs that are not yet as they are wanted, and how many looks at them are still to come before they are.
    orders: BTreeMap<u32, u32>,
}

/// How many looks at a VM the manager lets pass before it acts, where nothing takes time.
const LOOKS: u32 = 3;

impl Ha {
    /// Whether the manager decides when a VM runs.
    pub(crate) fn manages(&self, vmid: u32) -> bool {
        self.resources.get(&vmid).is_some_and(|state| state != "ignored")
    }

    /// Forgets a VM.
    pub(crate) fn forget(&mut self, vmid: u32) {
        self.resources.remove(&vmid);
        self.said.remove(&vmid);
        self.trouble.remove(&vmid);
        self.orders.remove(&vmid);
    }
}

/// The VM behind the name of a resource.
pub(crate) fn sid(text: &str) -> Result<u32, Refusal> {
    let digits = text.strip_prefix("vm:").unwrap_or(text);
    let refusal = || Refusal::parameter("sid", "invalid format - unable to parse HA resource 'ID'\n");
    super::option_formats::vmid(digits).map_err(|_| refusal())?;
    digits.parse().map_err(|_| refusal())
}

impl State {
    /// Whether high availability may be changed; what is said if not begins so.
    pub(crate) fn ha_locked(&mut self, before: &str) -> Result<(), Refusal> {
        match self.faults.cluster_lock("domain-ha") {
            Some(text) => Err(Refusal::Slow(format!("{before}{text}"))),
            None => self.locked(&Lock::ha(), 10, before),
        }
    }

    /// The hosts that answer.
    fn online(&self) -> Vec<&String> {
        self.settings.nodes.iter().filter(|node| !self.faults.offline.contains(*node)).collect()
    }

    /// Takes a host off the network; after a while the others give it up.
    pub(crate) fn lose(&mut self, node: &str, now: u64) {
        self.publish_host(node, now);
        self.faults.offline.insert(node.to_owned());
        self.effects.push_back(Effect::Fence { node: node.to_owned(), delay: self.settings.delays.fence });
    }

    /// Brings a host back; what was to be fenced there is as it should be again.
    pub(crate) fn regain(&mut self, node: &str) {
        self.faults.offline.remove(node);
        let vms = &self.vms;
        let here = |vmid: &u32| vms.get(vmid).is_some_and(|vm| vm.node == node);
        self.ha.trouble.retain(|vmid, trouble| *trouble != "fence" || !here(vmid));
    }

    /// A host has been silent for a while: first its managed VMs are marked, and after as long again its watchdog has
    /// switched it off and they are recovered elsewhere.
    pub(crate) fn fence(&mut self, node: &str, now: u64) {
        let managed: Vec<u32> =
            self.ha.resources.keys().copied().filter(|vmid| self.is_managed_on(*vmid, node)).collect();
        let quorate = self.online().len() * 2 > self.settings.nodes.len();
        if !self.faults.offline.contains(node) || managed.is_empty() || !quorate {
            return;
        }
        if !managed.iter().all(|vmid| self.ha.trouble.get(vmid) == Some(&"fence")) {
            self.ha.trouble.extend(managed.into_iter().map(|vmid| (vmid, "fence")));
            return self.effects.push_back(Effect::Fence { node: node.to_owned(), delay: self.settings.delays.fence });
        }
        let lost: Vec<u32> = self.vms.iter().filter(|(_, vm)| vm.node == node).map(|(vmid, _)| *vmid).collect();
        for vmid in lost {
            // A VM that is there cannot fail to lose its power.
            let _off = power::off(self, vmid, now);
        }
        managed.into_iter().for_each(|vmid| self.recover(vmid, now));
    }

    fn is_managed_on(&self, vmid: u32, node: &str) -> bool {
        self.ha.manages(vmid) && self.vms.get(&vmid).is_some_and(|vm| vm.node == node)
    }

    /// Moves a VM of a host that is gone to the host with the fewest managed VMs, and starts it there.
    fn recover(&mut self, vmid: u32, now: u64) {
        let load = |node: &str| self.ha.resources.keys().filter(|other| self.is_managed_on(**other, node)).count();
        let fit = self.online().into_iter().filter(|node| self.fits(vmid, node));
        let Some(target) = fit.min_by_key(|node| load(node)).cloned() else { return };
        self.ha.trouble.remove(&vmid);
        let Some(vm) = self.vms.get_mut(&vmid) else { return };
        vm.node = target;
        if vm.config.get("lock").is_some_and(|lock| matches!(lock.as_str(), "backup" | "mounted")) {
            vm.config.remove("lock");
        }
        let wanted = self.ha.resources.get(&vmid).is_some_and(|wanted| wanted == "started");
        if wanted && power::on(self, vmid, now).is_err() {
            self.ha.trouble.insert(vmid, "error");
        }
    }

    /// Whether the rules let a VM be on a host.
    fn fits(&self, vmid: u32, node: &str) -> bool {
        self.ha.rules.let_on(vmid, node, |other| self.is_managed_on(other, node))
    }

    /// What the manager says of a VM.
    pub(crate) fn service_state(&self, vmid: u32) -> &'static str {
        let wanted = self.ha.resources.get(&vmid).map_or("ignored", String::as_str);
        let running = self.vms.get(&vmid).is_some_and(|vm| vm.running.is_some());
        match (self.ha.trouble.get(&vmid), wanted, running) {
            (_, "ignored", _) => "ignored",
            (Some(trouble), ..) => trouble,
            (None, "disabled", false) => "disabled",
            (None, "started", false) => "starting",
            (None, "started", true) => "started",
            (None, _, true) => "stopping",
            (None, _, false) => "stopped",
        }
    }
}

/// A property as JSON: numbers and booleans are numbers.
pub(crate) fn typed(name: &str, value: &str) -> Value {
    match name {
        "failback" | "max_relocate" | "max_restart" | "disable" | "strict" => json!(value.parse::<i64>().ok()),
        _ => value.into(),
    }
}

fn row(ha: &Ha, vmid: u32) -> Value {
    let all: Config = ha.said.iter().map(|(vmid, said)| (vmid.to_string(), format!("{said:?}"))).collect();
    let mut row = json!({"digest": config::digest(&all), "sid": format!("vm:{vmid}"), "type": "vm"});
    for (name, value) in ha.said.get(&vmid).into_iter().flatten() {
        row[name.as_str()] = typed(name, value);
    }
    row
}

/// `GET /cluster/ha/resources`.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vms = state.ha.resources.keys().filter(|_| call.param("type") != Some("ct"));
    Ok(Value::Array(vms.map(|vmid| row(&state.ha, *vmid)).collect()).into())
}

/// `GET /cluster/ha/resources/{sid}`.
pub(crate) fn get(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    state.ha.resources.get(&vmid).ok_or_else(|| missing(vmid))?;
    Ok(row(&state.ha, vmid).into())
}

fn missing(vmid: u32) -> Refusal {
    Refusal::failed(format!("no such resource 'vm:{vmid}'"))
}

fn refuse_group(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    match call.param("group").is_some() && state.settings.release >= Release::V9_2 {
        true => Err(Refusal::failed("invalid parameter 'group': ha groups have been migrated to rules")),
        false => Ok(()),
    }
}

/// What a call says of a VM.
fn said(call: &Call<'_>) -> Config {
    let told = call.params.iter().filter(|(name, _)| !matches!(name.as_str(), "sid" | "type" | "delete" | "digest"));
    told.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// `POST /cluster/ha/resources`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(call.param("sid").unwrap_or_default())?;
    refuse_group(state, call)?;
    state.ha_locked("")?;
    if !state.vms.contains_key(&vmid) {
        return Err(Refusal::failed(format!("unable to find VM/CT '{vmid}' on the cluster")));
    }
    if state.ha.resources.contains_key(&vmid) {
        return Err(Refusal::failed(format!("resource ID 'vm:{vmid}' already defined")));
    }
    want(state, vmid, call.param("state").unwrap_or("started"));
    state.ha.said.insert(vmid, said(call));
    Ok(Value::Null.into())
}

/// `PUT /cluster/ha/resources/{sid}`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    refuse_group(state, call)?;
    state.ha_locked("")?;
    state.ha.resources.get(&vmid).ok_or_else(|| missing(vmid))?;
    if call.param("digest").is_some_and(|known| row(&state.ha, vmid)["digest"] != known) {
        return Err(Refusal::failed(format!("update resources config failed: {MODIFIED}")));
    }
    let told = state.ha.said.entry(vmid).or_default();
    told.extend(said(call));
    for name in super::form::listed(call.param("delete").unwrap_or_default()) {
        told.remove(name);
    }
    if call.param("state").is_some() || told.get("state").is_none() {
        let wanted = told.get("state").map_or("started", String::as_str).to_owned();
        want(state, vmid, &wanted);
    }
    Ok(Value::Null.into())
}

/// What is said of a change that was decided on something older.
pub(crate) const MODIFIED: &str = "detected modified configuration - file changed by other user? Try again.";

/// `DELETE /cluster/ha/resources/{sid}`: its rules forget it too, unless they are to keep it.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    state.ha_locked("")?;
    if !state.ha.resources.contains_key(&vmid) {
        return Err(Refusal::failed(format!("cannot delete service 'vm:{vmid}', not HA managed!")));
    }
    state.ha.forget(vmid);
    if call.param("purge") != Some("0") {
        state.ha.rules.forget(vmid);
    }
    Ok(Value::Null.into())
}

/// Stores what is wanted of a VM, as a command about it does; the manager brings it about after a while.
pub(crate) fn set(state: &mut State, vmid: u32, wanted: &str) {
    state.ha.said.entry(vmid).or_default().insert("state".to_owned(), wanted.to_owned());
    want(state, vmid, wanted);
}

fn want(state: &mut State, vmid: u32, wanted: &str) {
    let wanted = if wanted == "enabled" { "started" } else { wanted };
    if wanted == "disabled" {
        state.ha.trouble.remove(&vmid);
    }
    state.ha.resources.insert(vmid, wanted.to_owned());
    let running = state.vms.get(&vmid).is_some_and(|vm| vm.running.is_some());
    let differs = match wanted {
        "started" => !running,
        "stopped" | "disabled" => running,
        _ => false,
    };
    let delay = state.settings.delays.manage;
    match (differs, delay.is_zero()) {
        (false, _) => drop(state.ha.orders.remove(&vmid)),
        (true, true) => drop(state.ha.orders.insert(vmid, LOOKS)),
        (true, false) => {
            state.ha.orders.insert(vmid, 0);
            state.effects.push_back(Effect::Manage { vmid, delay });
        }
    }
}

impl State {
    /// Somebody looks at a VM: where nothing takes time, looks are what the manager counts.
    pub(crate) fn look_at_order(&mut self, vmid: u32, now: u64) {
        let Some(looks) = self.ha.orders.get_mut(&vmid).filter(|looks| **looks > 0) else { return };
        *looks -= 1;
        if *looks == 0 {
            self.manage(vmid, now);
        }
    }

    /// The manager brings about what is wanted of a VM.
    pub(crate) fn manage(&mut self, vmid: u32, now: u64) {
        if self.ha.orders.remove(&vmid).is_none() {
            return;
        }
        let running = self.vms.get(&vmid).is_some_and(|vm| vm.running.is_some());
        // The manager tries again and again; one failure is no failure of the request.
        let _tried = match self.ha.resources.get(&vmid).map(String::as_str) {
            Some("started") if !running => power::on(self, vmid, now),
            Some("stopped" | "disabled") => power::off(self, vmid, now),
            _ => Ok(()),
        };
    }
}

/// `GET /cluster/ha/status/current`.
pub(crate) fn status(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let master = state.online().first().map(|node| (*node).clone()).unwrap_or_default();
    let quorate = state.online().len() * 2 > state.settings.nodes.len();
    let text = if quorate { "OK".to_owned() } else { format!("No quorum on node '{master}'!") };
    let mut rows =
        vec![json!({"id": "quorum", "node": master, "quorate": u8::from(quorate), "status": text, "type": "quorum"})];
    let active = !state.ha.resources.is_empty();
    let time = stamp(call.now);
    if active {
        let text = format!("{master} (active, {time})");
        rows.push(json!({
            "id": "master", "node": master, "status": text, "timestamp": call.now, "type": "master",
        }));
    }
    if state.settings.release >= Release::V9_2 {
        let armed = if active { "armed" } else { "standby" };
        let text = format!("{armed} (CRM watchdog {})", if active { "active" } else { "standby" });
        rows.push(json!({"armed-state": armed, "id": "fencing", "node": master, "status": text, "type": "fencing"}));
    }
    if active {
        rows.extend(state.settings.nodes.iter().map(|node| lrm(state, node, call.now)));
    }
    for (vmid, wanted) in &state.ha.resources {
        let Some(vm) = state.vms.get(vmid) else { continue };
        let now = state.service_state(*vmid);
        rows.push(json!({
            "id": format!("service:vm:{vmid}"), "node": vm.node, "request_state": wanted, "sid": format!("vm:{vmid}"),
            "state": now, "status": format!("vm:{vmid} ({}, {now})", vm.node), "type": "service",
        }));
    }
    Ok(Value::Array(rows).into())
}

/// The row of a host's own manager.
fn lrm(state: &State, node: &str, now: u64) -> Value {
    let busy = state.ha.resources.keys().any(|vmid| state.is_managed_on(*vmid, node));
    let (text, watchdog) = match (state.faults.offline.contains(node), busy) {
        (true, _) => ("old timestamp - dead?", "watchdog standby"),
        (false, true) => ("active", "watchdog active"),
        (false, false) => ("idle", "watchdog standby"),
    };
    let time = stamp(now);
    let status = match state.settings.release {
        Release::V8_4 => format!("{node} ({text}, {time})"),
        Release::V9_2 => format!("{node} ({text}, {watchdog}, {time})"),
    };
    json!({"id": format!("lrm:{node}"), "node": node, "status": status, "timestamp": now, "type": "lrm"})
}

/// `Fri Nov 27 14:05:09 2026`.
fn stamp(now: u64) -> String {
    let time = i64::try_from(now).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (day, month) = (time.weekday().to_string(), time.month().to_string());
    let (hour, minute, second) = time.to_hms();
    format!("{} {} {:>2} {hour:02}:{minute:02}:{second:02} {}", &day[..3], &month[..3], time.day(), time.year())
}

/// `GET /cluster/ha/groups`: 9.x has rules instead.
pub(crate) fn groups(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    match state.settings.release {
        Release::V8_4 => Ok(json!([]).into()),
        Release::V9_2 => Err(Refusal::failed("cannot index groups: ha groups have been migrated to rules")),
    }
}
