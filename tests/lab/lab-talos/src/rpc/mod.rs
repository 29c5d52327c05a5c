//! The calls of the Talos API.
//!
//! A call goes through the same steps whoever makes it: routing by the metadata `node` and `nodes`, the role that it
//! needs, what maintenance mode allows, and then a plain function on the world.

mod apply;
mod cgroups;
mod cluster;
mod containers;
mod cosi;
mod etcd;
mod files;
mod generation;
mod health;
mod import;
mod kubeconfig;
mod logs;
mod multi_node;
mod power;
mod roles;
mod routing;
mod services;
mod snapshot;
mod sockets;
mod stats;
mod storage;
mod system;
mod tree;
mod upgrade;
mod volumes;
mod watch;

#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod views;
#[cfg(test)]
mod watch_tests;

pub(crate) use kubeconfig::admin_kubeconfig;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::HeaderMap;
use prost::Message;
use tonic::Status;

use super::Talos;
use super::node::Node;
use super::world::{Id, World};

/// Who calls, and where.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The node that acts on the call.
    pub(crate) node: Id,
    /// Roles of the client certificate.
    pub(crate) roles: Vec<String>,
    /// Whether the call came through a maintenance API.
    pub(crate) maintenance: bool,
}

/// What a call gives.
pub(crate) enum Reply {
    One(Vec<u8>),
    Many(BoxStream<'static, Result<Vec<u8>, Status>>),
    /// Nothing, until the caller gives up.
    Never,
}

/// A call at the node that acts on it.
pub(crate) struct Call<'a> {
    pub(crate) talos: &'a Arc<Talos>,
    pub(crate) caller: &'a Caller,
    pub(crate) messages: &'a [Bytes],
}

impl Call<'_> {
    fn node(&self) -> Id {
        self.caller.node
    }

    fn is_admin(&self) -> bool {
        self.caller.roles.iter().any(|role| role == roles::ADMIN)
    }

    /// Looks at the node.
    fn see<R>(&self, look: impl FnOnce(&Node) -> R) -> R {
        self.talos.read(|world| look(&world.nodes[self.node()]))
    }

    /// Looks at the node in its world.
    fn ask<R>(&self, look: impl FnOnce(&World, Id) -> R) -> R {
        self.talos.read(|world| look(world, self.node()))
    }

    fn act<R>(&self, act: impl FnOnce(&mut World, Id) -> R) -> R {
        self.talos.update(|world| act(world, self.node()))
    }

    fn request<Q: Message + Default>(&self) -> Result<Q, Status> {
        let message = self.messages.first().cloned().unwrap_or_default();
        Q::decode(message).map_err(|_| Status::internal("grpc: error unmarshalling request"))
    }

    /// Answers with one message.
    fn one<Q, R>(&self, handle: impl FnOnce(&Self, &Q) -> Result<R, Status>) -> Result<Reply, Status>
    where
        Q: Message + Default,
        R: Message,
    {
        Ok(Reply::One(handle(self, &self.request()?)?.encode_to_vec()))
    }

    /// Answers with messages that are all there already.
    fn several<Q, R>(&self, handle: impl FnOnce(&Self, &Q) -> Result<Vec<R>, Status>) -> Result<Reply, Status>
    where
        Q: Message + Default,
        R: Message,
    {
        let messages: Vec<_> = handle(self, &self.request()?)?.iter().map(|m| Ok(m.encode_to_vec())).collect();
        Ok(Reply::Many(futures_util::stream::iter(messages).boxed()))
    }
}

/// Makes a call: routes it, checks it, answers it.
pub(crate) fn call(
    talos: &Arc<Talos>,
    caller: &Caller,
    path: &str,
    metadata: &HeaderMap,
    messages: &[Bytes],
) -> Result<Reply, Status> {
    match routing::route(talos, caller, path, metadata)? {
        routing::Route::One(node) => local(talos, &Caller { node, ..caller.clone() }, path, messages),
        routing::Route::Many(targets) => multi_node::call(talos, caller, path, messages, targets),
    }
}

/// Answers a call at its node.
fn local(talos: &Arc<Talos>, caller: &Caller, path: &str, messages: &[Bytes]) -> Result<Reply, Status> {
    let release = talos.read(|world| world.nodes[caller.node].version());
    if caller.maintenance && !release.unified_maintenance() {
        roles::limited(path)?;
    } else {
        roles::check(caller, path, release)?;
    }
    roles::exists(path, release)?;
    dispatch(&Call { talos, caller, messages }, path)
}

fn dispatch(call: &Call<'_>, path: &str) -> Result<Reply, Status> {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match service {
        "machine.MachineService" => machine(call, method),
        "cosi.resource.State" => state(call, method),
        "storage.StorageService" => match method {
            "Disks" => call.one(storage::disks),
            "BlockDeviceWipe" => call.one(storage::wipe),
            _ => Err(unknown_method(service, method)),
        },
        "time.TimeService" => match method {
            "Time" => call.one(system::time),
            "TimeCheck" => call.one(system::time_check),
            _ => Err(unknown_method(service, method)),
        },
        "cluster.ClusterService" if method == "HealthCheck" => cluster::health_check(call),
        "inspect.InspectService" if method == "ControllerRuntimeDependencies" => call.one(system::dependencies),
        "machine.LifecycleService" => match method {
            "Install" => call.several(upgrade::lifecycle_install),
            "Upgrade" => call.several(upgrade::lifecycle_upgrade),
            _ => Err(unknown_method(service, method)),
        },
        "machine.ImageService" => match method {
            "List" => call.several(containers::service_list),
            "Pull" => call.several(containers::service_pull),
            "Remove" => call.one(containers::service_remove),
            "Verify" => call.one(containers::service_verify),
            "Import" => import::import(call),
            _ => Err(unknown_method(service, method)),
        },
        "machine.LVMService" => match method {
            "LogicalVolumeRemove" => call.one(volumes::logical),
            "VolumeGroupRemove" => call.one(volumes::group),
            "PhysicalVolumeRemove" => call.one(volumes::physical),
            _ => Err(unknown_method(service, method)),
        },
        "machine.MDService" if method == "Destroy" => call.one(volumes::array),
        _ => Err(Status::unimplemented(format!("unknown service {service}"))),
    }
}

fn unknown_method(service: &str, method: &str) -> Status {
    Status::unimplemented(format!("unknown method {method} for service {service}"))
}

fn state(call: &Call<'_>, method: &str) -> Result<Reply, Status> {
    match method {
        "Get" => call.one(cosi::get),
        "List" => call.several(cosi::list),
        "Watch" => watch::watch(call),
        "Create" | "Update" | "Destroy" | "Teardown" | "TeardownAndDestroy" => {
            Err(Status::permission_denied("write access is not allowed"))
        }
        _ => Err(unknown_method("cosi.resource.State", method)),
    }
}

fn machine(call: &Call<'_>, method: &str) -> Result<Reply, Status> {
    match method {
        "ApplyConfiguration" => call.one(apply::apply),
        "Bootstrap" => call.one(etcd::bootstrap),
        method if etcd::is_silent(call, method) => Ok(Reply::Never),
        "EtcdMemberList" => call.one(etcd::members),
        "EtcdStatus" => call.one(etcd::status),
        "EtcdAlarmList" => call.one(snapshot::alarms),
        "EtcdAlarmDisarm" => call.one(snapshot::disarm),
        "EtcdDefragment" => call.one(snapshot::defragment),
        "EtcdSnapshot" => call.several(snapshot::snapshot),
        "EtcdRecover" => snapshot::recover(call),
        "EtcdDowngradeValidate" => call.one(snapshot::validate),
        "EtcdDowngradeEnable" => call.one(snapshot::enable),
        "EtcdDowngradeCancel" => call.one(snapshot::cancel),
        "EtcdRemoveMemberByID" => call.one(etcd::remove),
        "EtcdLeaveCluster" => call.one(etcd::leave),
        "EtcdForfeitLeadership" => call.one(etcd::forfeit),
        "Kubeconfig" => call.several(kubeconfig::kubeconfig),
        "GenerateConfiguration" if !call.see(Node::version).unified_maintenance() => {
            call.one(generation::generate_configuration)
        }
        "GenerateClientConfiguration" => call.one(kubeconfig::client_configuration),
        "Version" => call.one(system::version),
        "Hostname" => call.one(system::hostname),
        "ServiceList" => call.one(services::list),
        "ServiceStart" => call.one(services::begin),
        "ServiceStop" => call.one(services::stop),
        "ServiceRestart" => call.one(services::restart),
        "Memory" => call.one(stats::memory),
        "LoadAvg" => call.one(stats::load),
        "CPUInfo" => call.one(stats::cpus),
        "CPUFreqStats" => call.one(stats::frequencies),
        "SystemStat" => call.one(stats::system),
        "NetworkDeviceStats" => call.one(stats::network),
        "DiskStats" => call.one(stats::disks),
        "Mounts" => call.one(stats::mounts),
        "Processes" => call.one(stats::processes),
        "Containers" => call.one(containers::list),
        "Stats" => call.one(containers::stats),
        "Restart" => call.one(containers::restart),
        "ImageList" => call.several(containers::image_list),
        "ImagePull" => call.one(containers::image_pull),
        "Upgrade" => call.one(upgrade::upgrade),
        "Rollback" => call.one(upgrade::rollback),
        "MetaWrite" => call.one(upgrade::write_meta),
        "MetaDelete" => call.one(upgrade::delete_meta),
        "DiskUsage" => call.several(files::usage),
        "Copy" => call.several(files::copy),
        "Netstat" => call.one(sockets::netstat),
        "PacketCapture" => sockets::capture(call),
        "Read" => call.several(files::read),
        "List" => call.several(files::list),
        "Events" => watch::events(call),
        "Dmesg" => logs::dmesg(call),
        "Logs" => logs::logs(call),
        "LogsContainers" => call.one(logs::containers),
        "Reboot" => call.one(power::reboot),
        "Shutdown" => call.one(power::shutdown),
        "Reset" => call.one(power::reset),
        method if roles::MACHINE_METHODS.contains(&method) => {
            Err(Status::unimplemented(format!("method {method} not implemented")))
        }
        method => Err(unknown_method("machine.MachineService", method)),
    }
}
