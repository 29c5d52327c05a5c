//! Small answers that clients read on their way: what is below a path, what is set for the datacenter, what a VM can do.

use serde_json::{Value, json};

use super::locks::Lock;
use super::reply::{Refusal, Reply};
use super::snapshots;
use super::state::{Call, State};

/// What lies below a host.
const NODE: &[&str] = &[
    "aplinfo",
    "apt",
    "capabilities",
    "ceph",
    "certificates",
    "config",
    "disks",
    "dns",
    "firewall",
    "hardware",
    "hosts",
    "journal",
    "lxc",
    "migrateall",
    "netstat",
    "network",
    "qemu",
    "query-oci-repo-tags",
    "query-url-metadata",
    "replication",
    "report",
    "rrd",
    "rrddata",
    "scan",
    "sdn",
    "services",
    "spiceshell",
    "startall",
    "status",
    "stopall",
    "storage",
    "subscription",
    "suspendall",
    "syslog",
    "tasks",
    "termproxy",
    "time",
    "version",
    "vncshell",
    "vzdump",
    "wakeonlan",
];
/// What lies below a VM.
const VM: &[&str] = &[
    "config",
    "cloudinit",
    "pending",
    "status",
    "unlink",
    "vncproxy",
    "termproxy",
    "migrate",
    "resize",
    "move",
    "rrd",
    "rrddata",
    "monitor",
    "agent",
    "snapshot",
    "spiceproxy",
    "sendkey",
    "firewall",
    "mtunnel",
    "remote_migrate",
];

fn list(key: &str, names: &[&str]) -> Reply {
    Value::Array(names.iter().map(|name| json!({ key: name })).collect()).into()
}

/// `GET /nodes/{node}`.
pub(crate) fn node(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(list("name", NODE))
}

/// `GET /nodes/{node}/qemu/{vmid}`.
pub(crate) fn vm(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.vm(call)?;
    Ok(list("subdir", VM))
}

/// `GET /cluster/options`: who may not audit the cluster sees the tags only.
pub(crate) fn options(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let tags = state.vms.iter().filter(|(vmid, _)| state.may(call.token, **vmid, None, &["VM.Audit"]).is_ok());
    let tags =
        tags.filter_map(|(_, vm)| vm.config.get("tags")).flat_map(|tags| super::option_formats::split_tags(tags));
    let tags: std::collections::BTreeSet<&str> = tags.collect();
    let mut data = json!({"allowed-tags": tags});
    if call.token.may("/", "Sys.Audit") {
        data["description"] = "".into();
        data["mac_prefix"] = "BC:24:11".into();
    }
    Ok(data.into())
}

/// `GET /nodes/{node}/time`.
pub(crate) fn time(_: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!({"localtime": call.now, "time": call.now, "timezone": "UTC"}).into())
}

/// `GET /nodes/{node}/capabilities/qemu/cpu`.
pub(crate) fn cpus(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let names = ["kvm64", "qemu64", "x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4", "host", "max"];
    let rows = names.iter().map(|name| json!({"custom": 0, "name": name, "vendor": "default"}));
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /nodes/{node}/capabilities/qemu/machines`.
pub(crate) fn machines(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let row = |kind: &str, version: &str| json!({"id": format!("pc-{kind}-{version}"), "type": if kind == "q35" { "q35" } else { "i440fx" }, "version": version});
    let rows = ["10.1", "10.0", "9.2", "9.0"].iter().flat_map(|version| [row("q35", version), row("i440fx", version)]);
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /nodes/{node}/qemu/{vmid}/feature`.
pub(crate) fn feature(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    let has = match call.param("feature") {
        Some("snapshot") => snapshots::possible(state, vm),
        Some("clone") => vm.is_set("template"),
        _ => true,
    };
    Ok(json!({"hasFeature": u8::from(has), "nodes": [vm.node]}).into())
}

/// `GET /nodes/{node}/qemu/{vmid}/cloudinit`: changes that the drive does not have yet; the lab's drives have all.
pub(crate) fn cloud_init(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.vm(call)?;
    Ok(json!([]).into())
}

/// `PUT /nodes/{node}/qemu/{vmid}/cloudinit`: the drive is written anew; the lab's drives always are.
pub(crate) fn write_cloud_init(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let vm = state.vm(call)?;
    vm.unlocked().map_err(Refusal::failed)?;
    super::start::check_snippets(state, vm, &vm.wanted()).map_err(Refusal::failed)?;
    state.locked(&Lock::Vm(call.vmid()), 10, "")?;
    Ok(Value::Null.into())
}
