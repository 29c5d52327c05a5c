//! Calls to the manager of high availability. Reading needs Sys.Audit on `/`, changing Sys.Console.

use super::{Method, Parameters, Request};
use crate::answer::HaResource;

const RESOURCES: [&str; 3] = ["cluster", "ha", "resources"];

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
