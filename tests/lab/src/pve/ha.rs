//! High availability: managed VMs, and the rules about where they may be.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::power;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, State};

/// What the HA manager knows.
#[derive(Default)]
pub(crate) struct Ha {
    /// Wanted state by VM: `started`, `stopped`, `ignored`.
    pub(crate) resources: BTreeMap<u32, String>,
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
    state.ha.resources.get(&vmid).ok_or_else(|| missing(vmid))?;
    if let Some(wanted) = call.param("state") {
        set(state, vmid, wanted, call.now);
    }
    Ok(Value::Null.into())
}

/// `DELETE /cluster/ha/resources/{sid}`.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = sid(&call.path["sid"])?;
    state.ha.resources.remove(&vmid).ok_or_else(|| missing(vmid))?;
    Ok(Value::Null.into())
}

/// Stores what is wanted of a VM; the manager brings it about.
pub(crate) fn set(state: &mut State, vmid: u32, wanted: &str, now: u64) {
    let wanted = if wanted == "enabled" { "started" } else { wanted };
    state.ha.resources.insert(vmid, wanted.to_owned());
    // The manager tries again and again; one failure is no failure of the request.
    let _tried = match wanted {
        "started" if state.vms.get(&vmid).is_some_and(|vm| vm.running.is_none()) => power::on(state, vmid, now),
        "stopped" | "disabled" => power::off(state, vmid, now),
        _ => Ok(()),
    };
}

/// `GET /cluster/ha/status/current`.
pub(crate) fn status(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let master = state.settings.nodes.first().cloned().unwrap_or_default();
    let mut rows = vec![json!({"id": "quorum", "node": master, "quorate": 1, "status": "OK", "type": "quorum"})];
    if state.settings.release >= Release::V9_2 {
        let text = "standby (CRM watchdog standby)";
        rows.push(
            json!({"armed-state": "standby", "id": "fencing", "node": master, "status": text, "type": "fencing"}),
        );
    }
    for (vmid, wanted) in &state.ha.resources {
        let Some(vm) = state.vms.get(vmid) else { continue };
        let now = if vm.running.is_some() { "started" } else { "stopped" };
        rows.push(json!({
            "id": format!("service:vm:{vmid}"), "node": vm.node, "request_state": wanted, "sid": format!("vm:{vmid}"),
            "state": now, "status": format!("vm:{vmid} ({}, {now})", vm.node), "type": "service",
        }));
    }
    Ok(Value::Array(rows).into())
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
