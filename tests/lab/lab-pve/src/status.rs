//! What a VM shows of itself.

use serde_json::{Value, json};

use super::disks;
use super::guest;
use super::options;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::state::{Call, Running, State, Vm};

/// `GET status/current`.
pub(crate) fn current(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vmid = call.vmid();
    let vm = state.vm(call)?;
    let mut data = row(state, vmid, vm, call.now);
    data["ha"] = match state.ha.resources.get(&vmid) {
        Some(_) => json!({"managed": 1, "state": state.service_state(vmid)}),
        None => json!({"managed": 0}),
    };
    detail(state, &mut data, vmid, vm);
    if vm.config.get("agent").is_some_and(|agent| guest::enabled(agent)) {
        data["agent"] = 1.into();
    }
    Ok(data.into())
}

/// What is asked of the emulator, for one VM or for all of a host with `full`.
pub(crate) fn detail(state: &State, row: &mut Value, vmid: u32, vm: &Vm) {
    let Some(running) = &vm.running else {
        row["qmpstatus"] = "stopped".into();
        return;
    };
    let qemu = state.settings.release.qemu();
    row["qmpstatus"] = if running.paused { "paused" } else { "running" }.into();
    row["running-machine"] = machine(running, qemu).into();
    row["running-qemu"] = qemu.into();
    row["proxmox-support"] = json!({"pbs-dirty-bitmap": true, "query-bitmap-info": true});
    for key in ["diskread", "diskwrite"] {
        row[key] = 0.into();
    }
    let cards = running.config.keys().filter_map(|name| options::index_of(name, "net"));
    let cards = cards.map(|index| (format!("tap{vmid}i{index}"), json!({"netin": 0, "netout": 0})));
    row["nics"] = Value::Object(cards.collect());
}

fn machine(running: &Running, qemu: &str) -> String {
    let wanted = running.config.get("machine").map_or("pc", |machine| machine.split(',').next().unwrap_or_default());
    let version = qemu.rsplit_once('.').map_or(qemu, |(version, _)| version);
    match wanted.trim_start_matches("type=") {
        "q35" => format!("pc-q35-{version}+pve0"),
        "pc" => format!("pc-i440fx-{version}+pve0"),
        pinned => pinned.to_owned(),
    }
}

/// The row of a VM in its host's list.
pub(crate) fn row(state: &State, vmid: u32, vm: &Vm, now: u64) -> Value {
    let config = vm.running.as_ref().map_or(&vm.config, |running| &running.config);
    let memory = guest::memory(config) << 20;
    let uptime = vm.running.as_ref().map_or(0, |running| now.saturating_sub(running.since));
    let used = if vm.running.is_some() { memory / 2 } else { 0 };
    let status = if vm.running.is_some() { "running" } else { "stopped" };
    let mut row = json!({
        "cpu": 0, "cpus": guest::cores(config), "disk": 0,
        "maxdisk": disks::boot_size(state, vm), "maxmem": memory, "mem": used,
        "name": vm.name(vmid), "netin": 0, "netout": 0, "status": status, "uptime": uptime, "vmid": vmid,
    });
    if state.settings.release >= Release::V9_2 {
        row["memhost"] = used.into();
    }
    if let Some(running) = &vm.running {
        row["pid"] = running.pid.into();
        let kinds = ["cpu", "io", "memory"].iter().flat_map(|kind| [(kind, "full"), (kind, "some")]);
        for (kind, how) in kinds.filter(|_| state.settings.release >= Release::V9_2) {
            row[format!("pressure{kind}{how}")] = 0.into();
        }
    }
    if vm.config.keys().any(|name| options::index_of(name, "serial").is_some()) {
        row["serial"] = 1.into();
    }
    for (key, option) in [("tags", "tags"), ("lock", "lock")] {
        if let Some(value) = vm.config.get(option) {
            row[key] = value.as_str().into();
        }
    }
    if vm.is_set("template") {
        row["template"] = 1.into();
    }
    row
}
