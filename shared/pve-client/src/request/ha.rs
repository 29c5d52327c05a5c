//! Calls to the manager of high availability. Reading needs Sys.Audit on `/`, changing Sys.Console.

use super::{Method, Parameters, Request};
use crate::answer::{HaGroup, HaResource, HaRule};

const RESOURCES: [&str; 3] = ["cluster", "ha", "resources"];
const RULES: [&str; 3] = ["cluster", "ha", "rules"];

/// `GET /cluster/ha/resources?type=vm`: the VMs that it manages.
pub fn ha_resources() -> Request<Vec<HaResource>> {
    Request::new(Method::Get, &RESOURCES).with("type", "vm")
}

/// `POST /cluster/ha/resources`: it manages the VM from now on.
pub fn add_ha(vmid: u32, options: Parameters) -> Request<()> {
    Request::new(Method::Post, &RESOURCES).with("sid", format!("vm:{vmid}")).with_all(options)
}

/// `PUT /cluster/ha/resources/vm:{vmid}`: it manages the VM in this way.
pub fn change_ha(vmid: u32, options: Parameters) -> Request<()> {
    Request::new(Method::Put, &[&RESOURCES[..], &[&format!("vm:{vmid}")]].concat()).with_all(options)
}

/// `DELETE /cluster/ha/resources/vm:{vmid}`: it manages the VM no longer. The VM stays as it is.
pub fn remove_ha(vmid: u32) -> Request<()> {
    Request::new(Method::Delete, &[&RESOURCES[..], &[&format!("vm:{vmid}")]].concat())
}

/// `GET /cluster/ha/groups`: the groups of hosts, up to Proxmox VE 8.
pub fn ha_groups() -> Request<Vec<HaGroup>> {
    Request::new(Method::Get, &["cluster", "ha", "groups"])
}

/// `GET /cluster/ha/rules`: where VMs may be, from Proxmox VE 9.
pub fn ha_rules() -> Request<Vec<HaRule>> {
    Request::new(Method::Get, &RULES)
}

/// `POST /cluster/ha/rules`: every resource must be managed already.
pub fn add_ha_rule(rule: &str, options: Parameters) -> Request<()> {
    Request::new(Method::Post, &RULES).with("rule", rule).with_all(options)
}

/// `PUT /cluster/ha/rules/{rule}`; `digest` guards all rules against changes in between.
pub fn change_ha_rule(rule: &str, digest: Option<&str>, options: Parameters) -> Request<()> {
    let request = Request::new(Method::Put, &[&RULES[..], &[rule]].concat()).with_all(options);
    match digest {
        Some(digest) => request.with("digest", digest),
        None => request,
    }
}

/// `DELETE /cluster/ha/rules/{rule}`. One that isn't there is removed, too.
pub fn remove_ha_rule(rule: &str) -> Request<()> {
    Request::new(Method::Delete, &[&RULES[..], &[rule]].concat())
}
