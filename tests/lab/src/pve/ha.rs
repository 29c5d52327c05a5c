//! High availability: managed VMs, and the rules about where they may be.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::locks::Lock;
use super::power;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, Effect, State};

/// What the HA manager knows.
#[derive(Default)]
pub(crate) struct Ha {
    /// Wanted state by VM: `started`, `stopped`, `ignored`.
    pub(crate) resources: BTreeMap<u32, String>,
    /// VMs that are not as they should be: `fence`, `error`.
    trouble: BTreeMap<u32, &'static str>,
    /// Rules by name, with their parameters.
    rules: BTreeMap<String, Map<String, Value>>,
}

impl Ha {
    /// Whether the manager decides when a VM runs.
    pub(crate) fn manages(&self, vmid: u32) -> bool {
        self.resources.get(&vmid).is_some_and(|state| state != "ignored")
    }
}

fn sid(text: &str) -> Result<u32, Refusal> {
    let digits = text.strip_prefix("vm:").unwrap_or(text);
    let refusal = || Refusal::parameter("sid", "invalid format - unable to parse HA resource 'ID'\n");
    super::formats::vmid(digits).map_err(|_| refusal())?;
    digits.parse().map_err(|_| refusal())
}

impl State {
    /// Whether high availability may be changed; what is said if not begins so.
    fn ha_locked(&mut self, before: &str) -> Result<(), Refusal> {
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
    pub(crate) fn lose(&mut self, node: &str) {
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
        self.ha.rules.values().all(|rule| {
            let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
            let members: Vec<u32> = text("resources").split(',').filter_map(|member| sid(member).ok()).collect();
            if text("disable") == "1" || !members.contains(&vmid) {
                return true;
            }
            let apart = || !members.iter().any(|other| *other != vmid && self.is_managed_on(*other, node));
            match (text("type"), text("affinity")) {
                ("node-affinity", _) if text("strict") == "1" => {
                    text("nodes").split(',').any(|listed| listed.split(':').next() == Some(node))
                }
                ("resource-affinity", "negative") => apart(),
                _ => true,
            }
        })
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

fn row(vmid: u32, state: &str) -> Value {
    json!({"digest": "0", "sid": format!("vm:{vmid}"), "state": state, "type": "vm"})
}

/// `GET /cluster/ha/resources`.
pub(crate) fn list(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Array(state.ha.resources.iter().map(|(vmid, wanted)| row(*vmid, wanted)).collect()).into())
}

/// `GET /cluster/ha/resources/{sid}`.
pub(crate) fn get(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    let wanted = state.ha.resources.get(&vmid).ok_or_else(|| missing(vmid))?;
    Ok(row(vmid, wanted).into())
}

fn missing(vmid: u32) -> Refusal {
    Refusal::failed(format!("no such resource 'vm:{vmid}'"))
}

/// `POST /cluster/ha/resources`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(call.param("sid").unwrap_or_default())?;
    state.ha_locked("")?;
    if !state.vms.contains_key(&vmid) {
        return Err(Refusal::failed(format!("unable to find VM/CT '{vmid}' on the cluster")));
    }
    if state.ha.resources.contains_key(&vmid) {
        return Err(Refusal::failed(format!("resource ID 'vm:{vmid}' already defined")));
    }
    set(state, vmid, call.param("state").unwrap_or("started"), call.now);
    Ok(Value::Null.into())
}

/// `PUT /cluster/ha/resources/{sid}`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    state.ha_locked("")?;
    state.ha.resources.get(&vmid).ok_or_else(|| missing(vmid))?;
    if let Some(wanted) = call.param("state") {
        set(state, vmid, wanted, call.now);
    }
    Ok(Value::Null.into())
}

/// `DELETE /cluster/ha/resources/{sid}`.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    state.ha_locked("")?;
    state.ha.resources.remove(&vmid).ok_or_else(|| missing(vmid))?;
    state.ha.trouble.remove(&vmid);
    Ok(Value::Null.into())
}

/// Stores what is wanted of a VM; the manager brings it about.
pub(crate) fn set(state: &mut State, vmid: u32, wanted: &str, now: u64) {
    let wanted = if wanted == "enabled" { "started" } else { wanted };
    if wanted == "disabled" {
        state.ha.trouble.remove(&vmid);
    }
    state.ha.resources.insert(vmid, wanted.to_owned());
    // The manager tries again and again; one failure is no failure of the request.
    let _tried = match wanted {
        "started" if state.vms.get(&vmid).is_some_and(|vm| vm.running.is_none()) => power::on(state, vmid, now),
        "stopped" | "disabled" => power::off(state, vmid, now),
        _ => Ok(()),
    };
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

/// `GET /cluster/ha/rules`.
pub(crate) fn rules(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Array(state.ha.rules.values().cloned().map(Value::Object).collect()).into())
}

/// `POST /cluster/ha/rules`: every resource must be managed already.
pub(crate) fn add_rule(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ha_locked("create ha rule failed: ")?;
    let name = call.param("rule").unwrap_or_default().to_owned();
    let resources: Vec<&str> = call.param("resources").unwrap_or_default().split(',').collect();
    let unmanaged: Vec<&str> = resources
        .iter()
        .copied()
        .filter(|text| !sid(text).is_ok_and(|vmid| state.ha.resources.contains_key(&vmid)))
        .collect();
    if !unmanaged.is_empty() {
        return Err(Refusal::failed(format!("cannot use unmanaged resource(s) {}.", unmanaged.join(", "))));
    }
    if call.param("type") == Some("resource-affinity") && resources.len() < 2 {
        return Err(Refusal::failed("rule is not feasible: rule is defined for less than two resources"));
    }
    if state.ha.rules.contains_key(&name) {
        return Err(Refusal::failed(format!("HA rule '{name}' already defined")));
    }
    let rule = call.params.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    state.ha.rules.insert(name, rule);
    Ok(Value::Null.into())
}

/// `DELETE /cluster/ha/rules/{rule}`.
pub(crate) fn remove_rule(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.ha.rules.remove(&call.path["rule"]);
    Ok(Value::Null.into())
}
