//! What people do to the worker's VM in the web interface, and what it has then.

use crate::world::World;

/// Parameters of the worker in the cluster file, to be followed by more.
pub(crate) const PLAIN: &str = "memory: 2048, disk: 20";

/// The volumes of all VMs.
pub(crate) fn volumes(world: &World) -> Vec<String> {
    let mut volumes = world.lab.pve().volumes("pve1", "local-lvm");
    volumes.sort();
    volumes
}

/// The volume of a drive of the worker.
pub(crate) fn volume(world: &World, slot: &str) -> String {
    let config = world.vm("w-1").config;
    let drive = config.get(slot).unwrap_or_else(|| panic!("no {slot}: {config:?}"));
    drive.split(',').next().unwrap().to_owned()
}

/// Changes the worker.
pub(crate) fn change(world: &World, params: &[(&str, &str)]) {
    world.lab.pve().call("POST", &format!("/nodes/pve1/qemu/{}/config", world.vm("w-1").id), params).unwrap();
}

/// Cuts the worker's power.
pub(crate) fn stop(world: &World) {
    world.lab.pve().call("POST", &format!("/nodes/pve1/qemu/{}/status/stop", world.vm("w-1").id), &[]).unwrap();
}

/// Removes a VM.
pub(crate) fn remove(world: &World, id: u32) {
    for (method, path) in [("POST", "/status/stop"), ("DELETE", "")] {
        world.lab.pve().call(method, &format!("/nodes/pve1/qemu/{id}{path}"), &[]).unwrap();
    }
}

/// Gives the token one more privilege everywhere.
pub(crate) fn allow(world: &World, privilege: &str) {
    let pve = world.lab.pve();
    let token = pve.token().split('=').next().unwrap().to_owned();
    let user = token.split('!').next().unwrap();
    pve.call_as("root@pam", "POST", "/access/roles", &[("roleid", "More"), ("privs", privilege)]).unwrap();
    for holder in [("tokens", token.as_str()), ("users", user)] {
        pve.call_as("root@pam", "PUT", "/access/acl", &[("path", "/"), holder, ("roles", "More")]).unwrap();
    }
}

/// Gives the token the usual role with these privileges more, and nothing else.
pub(crate) fn grant(world: &World, more: &[&str]) {
    let (name, secret) = world.lab.pve().token().split_once('=').unwrap();
    let role: Vec<&str> = pve_vm::privileges().into_iter().chain(more.iter().copied()).collect();
    world.lab.pve().add_token(name, secret, &[("/", &role)]);
}
