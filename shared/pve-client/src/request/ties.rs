//! What names a VM by its ID, and the drive of cloud-init.

use serde_json::Value;

use super::{Method, Request, vm};
use crate::answer::{BackupJob, FirewallOptions, Replication, Right};

/// `PUT /nodes/{node}/qemu/{vmid}/cloudinit`: writes the drive of cloud-init anew, as the next start would. That fails if a
/// file of `cicustom` isn't there. Takes VM.Config.Cloudinit.
pub fn write_cloud_init(node: &str, vmid: u32) -> Request<Value> {
    vm(Method::Put, node, vmid, &["cloudinit"])
}

/// `GET /cluster/backup`: the jobs that make backups. Takes Sys.Audit on `/`.
pub fn backup_jobs() -> Request<Vec<BackupJob>> {
    Request::new(Method::Get, &["cluster", "backup"])
}

/// `GET /cluster/replication`: the jobs that replicate guests, as far as the token sees the guests.
pub fn replications() -> Request<Vec<Replication>> {
    Request::new(Method::Get, &["cluster", "replication"])
}

/// `GET /nodes/{node}/qemu/{vmid}/firewall/rules`.
pub fn firewall_rules(node: &str, vmid: u32) -> Request<Vec<Value>> {
    vm(Method::Get, node, vmid, &["firewall", "rules"])
}

/// `GET /nodes/{node}/qemu/{vmid}/firewall/options`.
pub fn firewall_options(node: &str, vmid: u32) -> Request<FirewallOptions> {
    vm(Method::Get, node, vmid, &["firewall", "options"])
}

/// `GET /access/acl`: who has which role where, as far as the token may see it.
pub fn rights() -> Request<Vec<Right>> {
    Request::new(Method::Get, &["access", "acl"])
}
