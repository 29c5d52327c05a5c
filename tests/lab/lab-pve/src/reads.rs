//! What the cluster, its hosts and its tasks say of themselves.

use serde_json::{Value, json};

use super::reply::{Refusal, Reply};
use super::state::{Call, State};
use super::status;
use super::task::{self, Task};

/// `GET /version`.
pub(crate) fn version(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let release = state.settings.release;
    Ok(json!({"release": release.short(), "repoid": release.repository(), "version": release.version()}).into())
}

/// `GET /cluster/nextid`.
pub(crate) fn next_id(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (lower, upper) = state.next_ids;
    match call.param("vmid") {
        Some(text) if text.parse().is_ok_and(|vmid: u32| state.vms.contains_key(&vmid)) => {
            Err(Refusal::parameter("vmid", format!("VM {text} already exists")))
        }
        Some(text) => Ok(Value::from(text).into()),
        None => {
            // The upper bound is none of the IDs that are given out.
            let free = (lower..upper).find(|vmid| !state.vms.contains_key(vmid));
            let none = || Refusal::failed(format!("unable to get any free VMID in range [{lower}, {upper}]"));
            Ok(Value::from(free.ok_or_else(none)?.to_string()).into())
        }
    }
}

/// `GET /cluster/status`.
pub(crate) fn cluster_status(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let mut rows = Vec::new();
    let count = state.settings.nodes.len();
    if count > 1 {
        let name = &state.settings.cluster;
        // The first host is the one that answers.
        let quorate = u8::from(state.settings.nodes.first().is_none_or(|node| state.is_quorate(node)));
        rows.push(
            json!({"id": "cluster", "name": name, "nodes": count, "quorate": quorate, "type": "cluster", "version": 3}),
        );
    }
    for (index, name) in state.settings.nodes.iter().enumerate() {
        rows.push(json!({
            "id": format!("node/{name}"), "ip": state.settings.address, "level": "", "local": u8::from(index == 0),
            "name": name, "nodeid": index + 1, "online": u8::from(!state.faults.offline.contains(name)), "type": "node",
        }));
    }
    Ok(Value::Array(rows).into())
}

/// `GET /cluster/sdn/ipams/{ipam}/status`: what is handed out in the zones that the token may audit.
pub(crate) fn leases(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (zone, vnet) = ("inner", "nodes");
    if call.path.get("ipam").is_none_or(|name| name != "pve") {
        return Err(Refusal::failed("sdn 'ipam' does not exist"));
    }
    let path = format!("/sdn/zones/{zone}/{vnet}");
    if !call.token.may(&path, "SDN.Audit") && !call.token.may(&path, "SDN.Allocate") {
        return Ok(json!([]).into());
    }
    let rows = state.leases.iter().map(|(ip, mac)| json!({"ip": ip, "mac": mac, "vnet": vnet, "zone": zone}));
    Ok(Value::Array(rows.collect()).into())
}

pub(crate) fn used_memory(state: &State, node: &str) -> u64 {
    const HOST: u64 = 2 << 30;
    let running = state.vms.values().filter(|vm| vm.node == node).filter_map(|vm| vm.running.as_ref());
    let guests = running.map(|running| super::guest::memory(&running.config) << 19).sum::<u64>();
    // Guests may have been promised more than there is.
    (HOST + guests).min(state.settings.memory)
}

/// Whether a storage shows up for the token.
pub(crate) fn may_see(call: &Call<'_>, storage: &str) -> bool {
    let path = format!("/storage/{storage}");
    call.token.may(&path, "Datastore.Audit") || call.token.may(&path, "Datastore.AllocateSpace")
}

/// `GET /nodes/{node}/status`.
pub(crate) fn node_status(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let settings = &state.settings;
    let used = used_memory(state, call.node());
    let data = json!({
        "boot-info": {"mode": "efi", "secureboot": 0},
        "cpu": 0,
        "cpuinfo": {
            "cores": settings.cores, "cpus": settings.cores, "flags": "aes avx2 sse4_2 ssse3 cx16 popcnt lahf_lm hypervisor",
            "hvm": "1", "mhz": "2300.000", "model": "Intel(R) Xeon(R) Processor", "sockets": 1, "user_hz": 100,
        },
        "current-kernel": {"machine": "x86_64", "release": "6.17.2-1-pve", "sysname": "Linux"},
        "idle": 0,
        "ksm": {"shared": 0},
        "kversion": "Linux 6.17.2-1-pve #1 SMP PREEMPT_DYNAMIC",
        "loadavg": ["0.05", "0.03", "0.01"],
        "memory": {
            "available": settings.memory - used, "free": settings.memory - used, "total": settings.memory, "used": used,
        },
        "pveversion": format!("pve-manager/{}/{}", settings.release.version(), settings.release.repository()),
        "rootfs": {"avail": 90_u64 << 30, "free": 95_u64 << 30, "total": 100_u64 << 30, "used": 5_u64 << 30},
        "swap": {"free": 0, "total": 0, "used": 0},
        "uptime": 86_400,
        "wait": 0,
    });
    Ok(data.into())
}

/// `GET /nodes/{node}/network`.
pub(crate) fn network(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let allowed = |bridge: &&String| call.token.may(&format!("/sdn/zones/localnetwork/{bridge}"), "SDN.Use");
    let rows = state.settings.bridges.iter().filter(allowed).map(|bridge| {
        json!({
            "active": 1, "address": state.settings.address, "autostart": 1, "bridge_fd": "0", "bridge_ports": "eno1",
            "bridge_stp": "off", "families": ["inet"], "iface": bridge, "method": "static", "priority": 4,
            "type": "bridge",
        })
    });
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /nodes/{node}/qemu`.
pub(crate) fn qemu(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let here = state.vms.iter().filter(|(_, vm)| vm.node == call.node());
    let seen = here.filter(|(vmid, _)| state.may(call.token, **vmid, None, &["VM.Audit"]).is_ok());
    let rows = seen.map(|(vmid, vm)| {
        let mut row = status::row(state, *vmid, vm, call.now);
        if call.param("full") == Some("1") {
            status::detail(state, &mut row, *vmid, vm);
        }
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /cluster/tasks`: the latest of all hosts.
pub(crate) fn cluster_tasks(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let rows = state.tasks.newest_first().filter(|task| may_read(call, task)).take(25).map(Task::cluster_row);
    Ok(Value::Array(rows.collect()).into())
}

/// `DELETE tasks/{upid}`: ends a task where it is.
pub(crate) fn stop_task(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let task = task_of(state, call)?;
    if !task.is_of(call.token) {
        let path = format!("/nodes/{}", task.node);
        call.token.require(&path, &["Sys.Modify"]).map_err(Refusal::forbidden)?;
    }
    let upid = task.upid.clone();
    state.abort(&upid, call.now);
    Ok(Value::Null.into())
}

/// An empty list.
pub(crate) fn nothing(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([]).into())
}

/// `GET /nodes/{node}/tasks`.
pub(crate) fn tasks(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let errors = call.param("errors") == Some("1");
    let number = |name: &str, default| call.param(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let wanted = |task: &&Task| {
        let running = match call.param("source") {
            Some("active") => task.is_running(),
            Some("all") => true,
            _ => !task.is_running(),
        };
        running
            && task.node == call.node()
            && call.param("vmid").is_none_or(|vmid| task.id == vmid)
            && call.param("typefilter").is_none_or(|kind| task.kind == kind)
            && (!errors || task.exit().is_some_and(|exit| exit != "OK"))
            && may_read(call, task)
    };
    let rows = state.tasks.newest_first().filter(wanted).skip(number("start", 0)).take(number("limit", 50));
    Ok(Value::Array(rows.map(Task::row).collect()).into())
}

fn may_read(call: &Call<'_>, task: &Task) -> bool {
    task.is_of(call.token) || call.token.may(&format!("/nodes/{}", task.node), "Sys.Audit")
}

fn task_of<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Task, Refusal> {
    let upid = call.path.get("upid").map_or("", String::as_str);
    if !task::is_upid(upid) {
        return Err(Refusal::parameter("upid", "unable to parse worker upid"));
    }
    let task = state.tasks.get(upid).ok_or_else(|| Refusal::parameter("upid", "no such task"))?;
    match may_read(call, task) {
        true => Ok(task),
        false => Err(Refusal::forbidden(format!("Permission check failed (/nodes/{}, Sys.Audit)", task.node))),
    }
}

/// `GET tasks/{upid}/status`.
pub(crate) fn task_status(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(task_of(state, call)?.status().into())
}

/// `GET tasks/{upid}/log`.
pub(crate) fn task_log(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let log = task_of(state, call)?.log();
    let number = |name: &str, default: usize| call.param(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let limit = match number("limit", 50) {
        0 => usize::MAX,
        limit => limit,
    };
    let lines = log.iter().enumerate().skip(number("start", 0)).take(limit);
    let data = lines.map(|(index, line)| json!({"n": index + 1, "t": line})).collect();
    Ok(Reply { data: Value::Array(data), total: Some(log.len()) })
}
