//! All nodes of a lab, as one state machine without I/O.
//!
//! Inputs are what a hypervisor or a caller does, and the passing of time; time is a duration since the lab began and
//! only ever moves by [`World::advance`]. After each input the world settles: whatever has become possible, happens.

mod apply;
mod boot;
mod components;
mod etcd;
mod network;
mod power;
mod processes;
mod readiness;
mod reconcile;
mod report;
mod resource_versions;
mod sequences;
mod system;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub(crate) use apply::{Apply, Mode};
pub(crate) use etcd::Etcd;
pub(crate) use power::{Down, Wipe};
pub(crate) use processes::{PodContainer, Process, pid_of_service};
pub(crate) use readiness::Service;

use super::events::{Content, Event};
use super::node::{Disk, Node, Stage};
use lab_core::delays::Delays;
use lab_core::kubernetes::Kubernetes;

/// Place of a node in the world; it keeps it for good.
pub(crate) type Id = usize;

/// Something that is due at a certain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Boot,
    /// The configured system takes over from maintenance.
    Swap,
    Installed,
    EtcdUp,
    ApiServerUp,
    NodeReady,
    /// A kubelet that was restarted runs again.
    KubeletBack,
    /// A configuration that was only tried is taken back.
    TryEnds,
    /// The services of a node that goes down stop.
    Stop,
    PowerOff,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    node: Id,
    epoch: u64,
    due: Due,
}

/// The events that a node keeps.
const EVENTS: usize = 1000;

/// Every node, disk and etcd of a lab.
pub(crate) struct World {
    pub(super) kubernetes: Arc<dyn Kubernetes>,
    pub(crate) delays: Delays,
    pub(crate) subnet: Ipv4Net,
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    by_uuid: HashMap<String, Id>,
    pub(crate) disks: HashMap<String, Disk>,
    pub(crate) etcds: Vec<Etcd>,
    /// Shared address and the node that holds it.
    pub(crate) shared: BTreeMap<IpAddr, Id>,
    leases: BTreeMap<String, std::net::Ipv4Addr>,
    timers: BTreeMap<(Duration, u64), Timer>,
    /// Configurations to go back to, by node.
    tried: HashMap<Id, Arc<super::config::Config>>,
    counter: u64,
    seed: u64,
    /// When the lab began.
    begun: OffsetDateTime,
    dirty: BTreeSet<Id>,
    resource_versions: resource_versions::ResourceVersions,
    pub(crate) event_logs: super::resources::EventLogs,
}

impl World {
    pub(crate) fn new(
        delays: Delays,
        subnet: Ipv4Net,
        seed: u64,
        begun: OffsetDateTime,
        kubernetes: Arc<dyn Kubernetes>,
    ) -> Self {
        Self {
            kubernetes,
            delays,
            subnet,
            now: Duration::ZERO,
            nodes: Vec::new(),
            by_uuid: HashMap::new(),
            disks: HashMap::new(),
            etcds: Vec::new(),
            shared: BTreeMap::new(),
            leases: BTreeMap::new(),
            timers: BTreeMap::new(),
            tried: HashMap::new(),
            counter: 0,
            seed,
            begun,
            dirty: BTreeSet::new(),
            resource_versions: Default::default(),
            event_logs: Default::default(),
        }
    }

    /// Lets time pass: everything that is due by then happens in order, each at its own time.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.reconcile();
        self.remember();
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), timer) = entry.remove_entry();
            self.now = self.now.max(at);
            if self.nodes[timer.node].epoch == timer.epoch {
                self.happen(timer.node, timer.due);
                self.reconcile();
                self.remember();
            }
        }
        self.now = self.now.max(now);
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    fn happen(&mut self, id: Id, due: Due) {
        match due {
            Due::Boot => self.boot(id),
            Due::Swap => self.swap(id),
            Due::Installed => self.installed(id),
            Due::EtcdUp => self.etcd_up(id),
            Due::ApiServerUp => self.apiserver_up(id),
            Due::NodeReady => self.node_ready(id),
            Due::KubeletBack => self.kubelet_back(id),
            Due::TryEnds => self.try_ends(id),
            Due::Stop => self.stop(id),
            Due::PowerOff => self.cut(id),
        }
        self.touch(id);
    }

    /// Plans something for a node, unless its epoch changes before.
    fn plan(&mut self, id: Id, after: Duration, due: Due) {
        self.counter += 1;
        let timer = Timer { node: id, epoch: self.nodes[id].epoch, due };
        self.timers.insert((self.now + after, self.counter), timer);
    }

    /// Notes that a node has changed in some way.
    pub(crate) fn touch(&mut self, id: Id) {
        self.nodes[id].revision += 1;
        self.dirty.insert(id);
    }

    /// The nodes that have changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Id> {
        std::mem::take(&mut self.dirty)
    }

    pub(crate) fn find(&self, uuid: &str) -> Option<Id> {
        self.by_uuid.get(&uuid.to_lowercase()).copied()
    }

    /// The running node that has an address, shared ones included.
    pub(crate) fn at_address(&self, address: IpAddr) -> Option<Id> {
        let own = |node: &Node| node.on && node.addresses.iter().any(|a| a.addr() == address);
        self.nodes.iter().position(own).or_else(|| self.shared.get(&address).copied())
    }

    pub(crate) fn disk(&self, id: Id) -> Option<&Disk> {
        self.disks.get(&self.nodes[id].machine.disk)
    }

    pub(crate) fn disk_mut(&mut self, id: Id) -> &mut Disk {
        self.disks.entry(self.nodes[id].machine.disk.clone()).or_default()
    }

    /// 64 bits that differ at each call, and are the same in each run with the same seed.
    pub(crate) fn random(&mut self) -> u64 {
        self.counter += 1;
        let digest = Sha256::digest([self.seed.to_be_bytes(), self.counter.to_be_bytes()].concat());
        digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// A random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.random(), self.random());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48 & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    pub(crate) fn stage(&mut self, id: Id, stage: Stage) {
        self.nodes[id].stage = stage;
        self.status_event(id);
        self.touch(id);
    }

    /// Tells the machine's status to those who listen to its events.
    fn status_event(&mut self, id: Id) {
        let unmet = self.unmet(id);
        let stage = self.nodes[id].stage as i32;
        self.tell(id, &Content::status(stage, &unmet), "");
    }

    /// Adds an event to those of a node, unless it repeats the last of its kind.
    pub(crate) fn tell(&mut self, id: Id, content: &Content, actor: &str) {
        let (type_url, value) = content.encode();
        let at = self.now;
        let node = &mut self.nodes[id];
        let last = node.events.iter().rev().find(|event| event.type_url == type_url);
        let status = matches!(content, Content::Status(_));
        if status && last.is_some_and(|event| event.value == value) {
            return;
        }
        let number = node.events.back().map_or(0, |event| event.number) + 1;
        node.events.push_back(Event { number, at, type_url, value, actor: actor.to_owned() });
        if node.events.len() > EVENTS {
            node.events.pop_front();
        }
        self.touch(id);
    }

    /// Prints a line on the serial console of a node.
    pub(crate) fn print(&mut self, id: Id, line: &str) {
        let node = &mut self.nodes[id];
        let since = self.now.saturating_sub(node.booted_at).as_secs_f64();
        node.console.push(format!("[{since:>12.6}] [talos] {line}"));
    }
}

#[cfg(test)]
mod tests;
