//! Talos nodes: what boots on the machines of the lab.
//!
//! A [`Talos`] holds every node of a lab as one state machine (`world`) that knows nothing of sockets. A driver lets
//! time pass for it and keeps open exactly those ports that its nodes would: the Talos API on port 50000 of each
//! node's own loopback address, the Kubernetes API on 6443, both on shared addresses too. A call is answered from the
//! world, so nothing is canned: what one client does, the next one sees.

mod bolt;
mod config;
mod events;
mod faults;
mod handle;
mod machines;
mod net;
mod node;
mod pki;
mod resources;
mod rpc;
mod version;
mod world;

#[cfg(test)]
mod states;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ipnet::Ipv4Net;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use handle::NodeHandle;
pub use node::{Counts, Stage};

pub(crate) use world::{Id, World};

use lab_core::delays::Delays;
use lab_core::fault::Fault;
use lab_core::kubernetes::{Kubernetes, Nodes, Objects};
use lab_core::scenario::{Call, Chooser, Side};

/// What a lab's nodes are made with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Loopback network of the lab, `127.80.3.0/24`; DHCP hands out its hosts from the hundredth up.
    pub subnet: Ipv4Net,
    /// How long things take.
    pub delays: Delays,
}

/// All Talos nodes of a lab.
pub struct Talos {
    world: Mutex<World>,
    started: Instant,
    wake: Arc<Notify>,
    changes: watch::Sender<u64>,
    /// One channel a node, in the order of their places.
    channels: Mutex<Vec<watch::Sender<u64>>>,
    certificates: net::Certificates,
    chooser: OnceLock<Arc<Chooser>>,
}

impl Talos {
    /// Makes a lab without nodes; they come when machines are switched on.
    ///
    /// # Panics
    ///
    /// Must be called inside a tokio runtime, on which everything will run.
    pub fn new(settings: Settings, kubernetes: Arc<dyn Kubernetes>) -> Arc<Self> {
        let now = OffsetDateTime::now_utc();
        let seed = getrandom::u64().unwrap_or_else(|_| now.unix_timestamp_nanos() as u64);
        let talos = Arc::new(Self {
            world: Mutex::new(World::new(settings.delays, settings.subnet, seed, now, kubernetes)),
            started: Instant::now(),
            wake: Arc::default(),
            changes: watch::Sender::new(0),
            channels: Mutex::default(),
            certificates: net::Certificates::default(),
            chooser: OnceLock::new(),
        });
        tokio::spawn(net::drive(Arc::downgrade(&talos), Arc::clone(&talos.wake)));
        talos
    }

    /// Lets a scenario decide what goes wrong from now on.
    pub fn set_chooser(&self, chooser: &Arc<Chooser>) {
        self.chooser.get_or_init(|| Arc::clone(chooser));
    }

    /// The scenario's fault for a call to a node.
    pub(crate) fn chosen(&self, side: Side, id: Id, call: &str) -> Option<Fault> {
        let chooser = self.chooser.get()?;
        let node = self.read(|world| world.nodes[id].machine.name.clone());
        chooser.choose(Call { side, node, call: call.to_owned() })
    }

    /// A node by the name of its VM, its host name, its UUID or one of its addresses.
    pub fn node(self: &Arc<Self>, name: &str) -> Option<NodeHandle> {
        let id = self.read(|world| {
            let address = name.parse::<IpAddr>().ok().and_then(|address| world.at_address(address));
            let place = |named: fn(&node::Node, &str) -> bool| world.nodes.iter().position(|node| named(node, name));
            let address = address.or_else(|| world.find(name));
            let address = address.or_else(|| place(|node, name| node.machine.name == name));
            address.or_else(|| place(|node, name| node.hostname().0 == name))
        })?;
        Some(NodeHandle::new(Arc::clone(self), id))
    }

    /// Every node that was ever switched on, in the order of their first boots.
    pub fn nodes(self: &Arc<Self>) -> Vec<NodeHandle> {
        let count = self.read(|world| world.nodes.len());
        (0..count).map(|id| NodeHandle::new(Arc::clone(self), id)).collect()
    }

    /// How many separate etcd clusters exist of a Kubernetes cluster; more than one is a catastrophe.
    pub fn etcd_clusters(&self, cluster: &str) -> usize {
        self.read(|world| world.etcds.iter().filter(|etcd| etcd.name == cluster).count())
    }

    /// The UID of the namespace kube-system in the etcd of a Kubernetes cluster: another one means another etcd, or one
    /// that was emptied.
    pub fn kubernetes_uid(&self, cluster: &str) -> Option<String> {
        self.read(|world| {
            let etcd = world.etcds.iter().find(|etcd| etcd.name == cluster)?;
            let mut namespaces = etcd.store.list("namespaces", None);
            let found = namespaces.find(|namespace| namespace["metadata"]["name"] == "kube-system")?;
            found["metadata"]["uid"].as_str().map(str::to_owned)
        })
    }

    /// The node that holds a shared address at the moment.
    pub fn holder(self: &Arc<Self>, shared: IpAddr) -> Option<NodeHandle> {
        let id = self.read(|world| world.shared.get(&shared).copied())?;
        Some(NodeHandle::new(Arc::clone(self), id))
    }

    /// A number that grows with every change of any node.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until a condition on the lab holds; returns whether it did within the bound.
    pub async fn until(self: &Arc<Self>, bound: Duration, condition: impl Fn(&Arc<Self>) -> bool) -> bool {
        let mut changes = self.changes();
        let wait = async {
            while !condition(self) {
                if changes.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(bound, wait).await.unwrap_or(false)
    }

    /// Asks the current world.
    pub(crate) fn read<R>(&self, ask: impl FnOnce(&World) -> R) -> R {
        ask(&self.lock())
    }

    /// Lets something happen in the world, and whatever follows from it without delay.
    pub(crate) fn update<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let result = {
            let mut world = self.lock();
            world.advance(self.started.elapsed());
            let result = act(&mut world);
            let now = world.now;
            world.advance(now);
            result
        };
        self.wake.notify_one();
        result
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes of one node.
    pub(crate) fn watch_node(&self, id: Id) -> watch::Receiver<u64> {
        self.channel(id).subscribe()
    }

    fn channel(&self, id: Id) -> watch::Sender<u64> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.len() <= id {
            channels.resize_with(id + 1, || watch::Sender::new(0));
        }
        channels[id].clone()
    }

    /// Tells those who wait that nodes have changed.
    fn publish(&self, changed: impl IntoIterator<Item = Id>) {
        for id in changed {
            self.channel(id).send_modify(|count| *count += 1);
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Nodes for Talos {
    fn chosen(&self, node: usize, call: &str) -> Option<Fault> {
        self.chosen(Side::Kubernetes, node, call)
    }

    fn update(&self, node: usize, act: &mut dyn FnMut(&mut dyn Objects, &str)) {
        self.update(|world| {
            let server = world.server_version(node);
            let Some(etcd) = world.etcd_of(node) else { return };
            let store = world.etcds[etcd].store.as_mut();
            let before = store.revision();
            act(store, &server);
            if store.revision() != before {
                // Those who watch hear of what was written.
                world.touch(node);
            }
        });
    }

    fn read(&self, node: usize, look: &mut dyn FnMut(&dyn Objects)) {
        self.read(|world| {
            if let Some(etcd) = world.etcd_of(node) {
                look(world.etcds[etcd].store.as_ref());
            }
        });
    }

    fn generation(&self, node: usize) -> u64 {
        self.read(|world| world.nodes[node].generation)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }
}

impl Drop for Talos {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}
