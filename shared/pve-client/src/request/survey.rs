//! Calls that look around, and those that clean up.

use super::{Method, Request};
use crate::{
    Upid,
    answer::{AtWork, Bridge, Clock, Content, CpuType, MachineType, Pool, Resource, Snapshot, Task, VmId},
};

/// `GET /cluster/resources`: the hosts and every guest that the token may see. Existence, hosts, tags and locks are exact;
/// names and states are broadcast every 10 s, and are missing where nobody has broadcast them yet.
pub fn resources() -> Request<Vec<Resource>> {
    Request::new(Method::Get, &["cluster", "resources"])
}

/// `GET /pools`: the pools on which the token has Pool.Audit, and no others.
pub fn pools() -> Request<Vec<Pool>> {
    Request::new(Method::Get, &["pools"])
}

/// `GET /nodes/{node}/qemu/{vmid}/snapshot`: the snapshots of a VM, and the present state (`current`).
pub fn snapshots(node: &str, vmid: u32) -> Request<Vec<Snapshot>> {
    super::vm(Method::Get, node, vmid, &["snapshot"])
}

/// `GET /cluster/nextid?vmid={vmid}`: refused if any guest has this ID, also one that the token may not see.
pub fn is_free(vmid: u32) -> Request<VmId> {
    Request::new(Method::Get, &["cluster", "nextid"]).with("vmid", vmid)
}

/// `GET /nodes/{node}/network?type=any_bridge`: bridges and virtual networks that the token may use.
pub fn bridges(node: &str) -> Request<Vec<Bridge>> {
    Request::new(Method::Get, &["nodes", node, "network"]).with("type", "any_bridge")
}

/// `GET /nodes/{node}/capabilities/qemu/machines`: the kinds of machine, with their versions. Any user may ask.
pub fn machines(node: &str) -> Request<Vec<MachineType>> {
    Request::new(Method::Get, &["nodes", node, "capabilities", "qemu", "machines"])
}

/// `GET /nodes/{node}/capabilities/qemu/cpu`: the models of CPU; those of the users' own need Sys.Audit on `/nodes`.
pub fn cpu_types(node: &str) -> Request<Vec<CpuType>> {
    Request::new(Method::Get, &["nodes", node, "capabilities", "qemu", "cpu"])
}

/// `GET /nodes/{node}/time`. Needs Sys.Audit on the host.
pub fn clock(node: &str) -> Request<Clock> {
    Request::new(Method::Get, &["nodes", node, "time"])
}

/// `GET /nodes/{node}/tasks`: the creations of this VM that are under way. Those of others show only with Sys.Audit.
pub fn creations(node: &str, vmid: u32) -> Request<Vec<Task>> {
    Request::new(Method::Get, &["nodes", node, "tasks"])
        .with("source", "active")
        .with("typefilter", "qmcreate")
        .with("vmid", vmid)
}

/// `GET /nodes/{node}/storage/{storage}/content?content=images`: the disks of VMs on a storage.
pub fn disks(node: &str, storage: &str) -> Request<Vec<Content>> {
    super::contents(node, storage, "images")
}

/// `DELETE /nodes/{node}/storage/{storage}/content/{volume}`. Needs Datastore.Allocate on the storage.
pub fn free(node: &str, storage: &str, volume: &str) -> Request<Option<Upid>> {
    Request::new(Method::Delete, &["nodes", node, "storage", storage, "content", volume])
}

/// `GET /nodes/{node}/tasks?vmid={vmid}&source=active`: what is at work on a VM, as far as the token may see it.
pub fn at_work(node: &str, vmid: u32) -> Request<Vec<AtWork>> {
    Request::new(Method::Get, &["nodes", node, "tasks"]).with("vmid", vmid).with("source", "active")
}
