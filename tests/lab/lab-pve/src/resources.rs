//! The resources of the cluster: what hosts have last said of themselves.

use serde_json::{Value, json};

use super::reads;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, Published, State, Vm};
use super::status;
use super::storage;

/// `GET /cluster/resources`: silently leaves out what the token may not see.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let wants = |kind: &str| call.param("type").is_none_or(|wanted| wanted == kind);
    let mut rows = Vec::new();
    if wants("vm") {
        rows.extend(vm_rows(state, call));
    }
    if call.param("type").is_none() {
        let seen = state.pools.keys().filter(|pool| call.token.may(&format!("/pool/{pool}"), "Pool.Audit"));
        rows.extend(seen.map(|pool| json!({"id": format!("/pool/{pool}"), "pool": pool, "type": "pool"})));
    }
    if wants("node") {
        rows.extend(node_rows(state, call));
    }
    if wants("storage") {
        rows.extend(storage_rows(state, call));
    }
    if wants("sdn") {
        rows.extend(network_rows(state, call));
    }
    Ok(Value::Array(rows).into())
}

/// The zone that every host has; its type has another name since 9.x.
fn network_rows(state: &State, call: &Call<'_>) -> Vec<Value> {
    const ZONE: &str = "localnetwork";
    let path = format!("/sdn/zones/{ZONE}");
    if !["SDN.Audit", "SDN.Use"].iter().any(|privilege| call.token.may(&path, privilege)) {
        return Vec::new();
    }
    let rows = state.settings.nodes.iter().map(|node| match state.settings.release {
        Release::V8_4 => {
            json!({"id": format!("sdn/{node}/{ZONE}"), "node": node, "sdn": ZONE, "status": "ok", "type": "sdn"})
        }
        Release::V9_2 => json!({
            "id": format!("network/{node}/zone/{ZONE}"), "network": ZONE, "network-type": "zone", "node": node,
            "status": "ok", "type": "network",
        }),
    });
    rows.collect()
}

fn vm_rows(state: &mut State, call: &Call<'_>) -> Vec<Value> {
    let seen: Vec<u32> =
        state.vms.keys().copied().filter(|vmid| state.may(call.token, *vmid, None, &["VM.Audit"]).is_ok()).collect();
    let lag = state.settings.resources_lag.as_secs();
    for vmid in &seen {
        publish(state, *vmid, call.now, lag);
    }
    seen.iter().filter_map(|vmid| Some(vm_row(state, *vmid, state.vms.get(vmid)?, call.now))).collect()
}

/// Name and status come with the next broadcast of the VM's host; until then the old ones are shown, if they are known. One
/// that is looked at while it is being created has no name of its own yet.
fn publish(state: &mut State, vmid: u32, now: u64, lag: u64) {
    if let Some(vm) = state.vms.get_mut(&vmid)
        && vm.changed + lag <= now
        && !state.faults.offline.contains(&vm.node)
    {
        vm.published = Some(Published { name: vm.name(vmid), running: vm.running.is_some() });
    }
}

pub(crate) fn vm_row(state: &State, vmid: u32, vm: &Vm, now: u64) -> Value {
    let id = format!("qemu/{vmid}");
    let mut row = match &vm.published {
        None => json!({"id": id, "node": vm.node, "status": "unknown", "type": "qemu", "vmid": vmid}),
        Some(published) => {
            let live = status::row(state, vmid, vm, now);
            let status = if published.running { "running" } else { "stopped" };
            let mut row = json!({
                "cpu": 0, "disk": 0, "diskread": 0, "diskwrite": 0, "id": id, "maxcpu": live["cpus"],
                "maxdisk": live["maxdisk"], "maxmem": live["maxmem"], "mem": live["mem"], "name": published.name, "netin": 0, "netout": 0,
                "node": vm.node, "status": status, "template": u8::from(vm.is_set("template")), "type": "qemu",
                "uptime": live["uptime"], "vmid": vmid,
            });
            if let Some(used) = live.get("memhost") {
                row["memhost"] = used.clone();
            }
            row
        }
    };
    for key in ["tags", "lock"] {
        if let Some(value) = vm.config.get(key) {
            row[key] = value.as_str().into();
        }
    }
    if state.ha.resources.contains_key(&vmid) {
        row["hastate"] = state.service_state(vmid).into();
    }
    if let Some(pool) = &vm.pool {
        row["pool"] = pool.as_str().into();
    }
    row
}

fn node_rows(state: &State, call: &Call<'_>) -> Vec<Value> {
    state.settings.nodes.iter().map(|node| node_row(state, call, node)).collect()
}

fn node_row(state: &State, call: &Call<'_>, node: &str) -> Value {
    let status = if state.faults.offline.contains(node) { "offline" } else { "online" };
    let mut row = json!({"id": format!("node/{node}"), "node": node, "status": status, "type": "node"});
    if call.token.may(&format!("/nodes/{node}"), "Sys.Audit") {
        let settings = &state.settings;
        row["cpu"] = 0.into();
        row["level"] = "".into();
        row["maxcpu"] = settings.cores.into();
        row["maxmem"] = settings.memory.into();
        row["mem"] = reads::used_memory(state, node).into();
        row["disk"] = 0.into();
        row["maxdisk"] = (100_u64 << 30).into();
        row["uptime"] = 86_400.into();
        row["cgroup-mode"] = 2.into();
    }
    row
}

fn storage_rows(state: &State, call: &Call<'_>) -> Vec<Value> {
    let seen = state.settings.storages.iter().filter(|storage| reads::may_see(call, &storage.name));
    let place = |node: &String, storage| storage::resource(storage, node, state.volumes.used(storage, node));
    seen.flat_map(|storage| state.settings.nodes.iter().map(move |node| place(node, storage))).collect()
}

/// `GET /nodes`.
pub(crate) fn nodes(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let mut rows = node_rows(state, call);
    for row in &mut rows {
        row["ssl_fingerprint"] = state.fingerprint.as_str().into();
        if let Some(row) = row.as_object_mut() {
            row.remove("cgroup-mode");
        }
    }
    Ok(Value::Array(rows).into())
}

impl State {
    /// What a host has said of its VMs by now.
    pub(crate) fn publish_host(&mut self, node: &str, now: u64) {
        let lag = self.settings.resources_lag.as_secs();
        let here: Vec<u32> = self.vms.iter().filter(|(_, vm)| vm.node == node).map(|(vmid, _)| *vmid).collect();
        here.into_iter().for_each(|vmid| publish(self, vmid, now, lag));
    }

    /// The cluster's file system of the host that answers is restarted: what was last said of VMs is forgotten until
    /// their hosts say it again, which those that are offline don't.
    pub(crate) fn forget_broadcasts(&mut self, now: u64) {
        for vm in self.vms.values_mut() {
            vm.published = None;
            vm.changed = now;
        }
    }
}
