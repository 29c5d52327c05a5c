//! Where a call goes: the metadata `node` and `nodes`.

use std::net::IpAddr;

use http::HeaderMap;
use tonic::Status;

use super::Caller;
use crate::Talos;
use crate::config::Role;
use crate::node::Api;
use crate::world::{Id, World};

/// The nodes that answer.
#[derive(Debug)]
pub(super) enum Route {
    One(Id),
    /// Every target as the caller spelled it, with the node or why there is none.
    Many(Vec<(String, Result<Id, Status>)>),
}

/// Services whose replies can be merged.
const MERGED: [&str; 5] = [
    "machine.MachineService",
    "cluster.ClusterService",
    "inspect.InspectService",
    "storage.StorageService",
    "time.TimeService",
];

pub(super) fn route(talos: &Talos, caller: &Caller, path: &str, metadata: &HeaderMap) -> Result<Route, Status> {
    let here = Ok(Route::One(caller.node));
    if caller.maintenance || metadata.contains_key("proxyfrom") {
        return here;
    }
    let values = |key: &str| -> Vec<String> {
        let values = metadata.get_all(key).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
    };
    let (node, nodes) = (values("node"), values("nodes"));
    if !nodes.is_empty() {
        return fan_out(talos, caller, path, nodes);
    }
    match node.as_slice() {
        [] => here,
        [target] => talos.read(|world| resolve(world, caller, target)).map(Route::One),
        _ => Err(Status::invalid_argument("node metadata must be single-valued")),
    }
}

fn fan_out(talos: &Talos, caller: &Caller, path: &str, nodes: Vec<String>) -> Result<Route, Status> {
    let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if !MERGED.contains(&service) {
        let text = format!("one-2-many proxying is not supported for method {path}");
        return Err(Status::invalid_argument(text));
    }
    let target = |name: String| {
        let found = talos.read(|world| resolve(world, caller, &name));
        match found {
            Err(status) if status.code() != tonic::Code::Unavailable => Err(status),
            found => Ok((name, found)),
        }
    };
    nodes.into_iter().map(target).collect::<Result<_, _>>().map(Route::Many)
}

fn resolve(world: &World, caller: &Caller, target: &str) -> Result<Id, Status> {
    let address: Option<IpAddr> = target.trim_matches(['[', ']']).parse().ok();
    if target.is_empty() || (address.is_none() && target.contains(':')) {
        return Err(Status::internal(format!("invalid target \"{target}\"")));
    }
    let own = world.nodes[caller.node].full_name() == target;
    let found = match address {
        Some(address) => world.at_address(address),
        None if own => Some(caller.node),
        None => world.nodes.iter().position(|node| node.on && node.hostname().0 == target),
    };
    if found != Some(caller.node) && world.nodes[caller.node].role() == Some(Role::Worker) {
        return Err(Status::permission_denied("no request forwarding"));
    }
    let reachable = |id: &Id| {
        let node = &world.nodes[*id];
        node.api == Api::Secured && !node.faults.refuse && same_cluster(world, caller.node, *id)
    };
    found.filter(reachable).ok_or_else(|| {
        Status::unavailable(format!(
            "connection error: desc = \"transport: Error while dialing: dial tcp {target}:50000: connect: connection refused\""
        ))
    })
}

fn same_cluster(world: &World, one: Id, other: Id) -> bool {
    let key = |id: Id| world.nodes[id].config.as_ref().map(|config| config.trust_key());
    key(one) == key(other)
}
