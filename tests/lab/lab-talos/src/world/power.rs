//! Switching machines on and off.

use std::sync::Arc;
use std::time::Duration;

use super::{Due, Id, World};
use crate::node::{Api, EtcdService, Node, Progress, Stage};
use lab_core::machine::Machine;

/// How long a machine that a caller takes down goes on, even where nothing takes time: its client asks for the events
/// beside the call, and must not come too late for them.
const NOTICE: Duration = Duration::from_millis(300);

/// How long it is gone at least: its client looks again a second after the last event, and must find nobody.
const GONE: Duration = Duration::from_millis(1300);

/// What a machine does when it has gone down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    Reboot,
    PowerOff,
    /// Into another system.
    Upgrade,
    /// Wiped before it comes up again, or is switched off; leaving its cluster first if `graceful`.
    Reset {
        graceful: bool,
        reboot: bool,
    },
}

/// What a reset wipes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wipe {
    /// Partitions by label; none for the whole system disk.
    pub(crate) labels: Vec<String>,
    /// Whether only disks other than the system's are wiped.
    pub(crate) user_disks_only: bool,
}

impl World {
    /// Switches a machine on; one that is on already stays as it is.
    pub(crate) fn power_on(&mut self, machine: Machine) {
        let uuid = machine.uuid.to_lowercase();
        let id = match self.by_uuid.get(&uuid) {
            Some(id) if self.nodes[*id].on => return,
            Some(id) => {
                self.nodes[*id].machine = machine;
                *id
            }
            None => {
                self.nodes.push(Node::new(machine));
                self.by_uuid.insert(uuid, self.nodes.len() - 1);
                self.nodes.len() - 1
            }
        };
        self.nodes[id].on = true;
        self.nodes[id].console.clear();
        self.start(id, Duration::ZERO);
    }

    /// Begins to boot, after a pause at least.
    fn start(&mut self, id: Id, pause: Duration) {
        self.halt(id);
        let boot_id = self.uuid();
        let now = self.now;
        let node = &mut self.nodes[id];
        node.boot_id = boot_id;
        node.booted_at = now;
        node.maintenance = Arc::default();
        node.farewell = std::mem::take(&mut node.events);
        node.stage = Stage::Booting;
        self.plan(id, self.delays.boot.max(pause), Due::Boot);
        self.touch(id);
    }

    /// Ends everything that runs on a node.
    fn halt(&mut self, id: Id) {
        self.lose_kubernetes_node(id);
        let etcd = self.etcd_of(id);
        let node = &mut self.nodes[id];
        node.epoch += 1;
        node.generation += 1;
        node.api = Api::Closed;
        node.api_due = false;
        node.etcd = EtcdService::Absent;
        node.etcd_asked = None;
        node.apiserver = Progress::Off;
        node.kubelet = Progress::Off;
        node.kubelet_away = false;
        node.config = None;
        node.installing = false;
        node.going_down = None;
        node.shared.clear();
        node.addresses.clear();
        node.faults.boot_held = false;
        self.tried.remove(&id);
        if let Some(etcd) = etcd {
            self.elect_leader(etcd);
        }
        self.touch(id);
    }

    /// Pulls the plug.
    pub(crate) fn power_off(&mut self, uuid: &str) {
        if let Some(id) = self.find(uuid).filter(|id| self.nodes[*id].on) {
            self.cut(id);
        }
    }

    pub(super) fn cut(&mut self, id: Id) {
        self.halt(id);
        self.nodes[id].on = false;
        self.nodes[id].stage = Stage::Unknown;
    }

    /// Reboots or shuts down on its own.
    pub(crate) fn go_down(&mut self, id: Id, down: Down) {
        self.begin_sequence(id, down, "");
        self.end_sequence(id, down, "", Duration::ZERO);
    }

    /// Reboots or shuts down as a caller asked; gives the identity that the events about it name.
    pub(crate) fn take_down(&mut self, id: Id, down: Down) -> String {
        let actor = self.uuid();
        if self.nodes[id].going_down.is_none() {
            self.begin_sequence(id, down, &actor);
            self.nodes[id].epoch += 1;
            self.nodes[id].going_down = Some((down, actor.clone()));
            self.plan(id, NOTICE, Due::Stop);
        }
        actor
    }

    /// The services of a node that goes down stop, its API among them.
    pub(super) fn stop(&mut self, id: Id) {
        if let Some((down, actor)) = self.nodes[id].going_down.take() {
            self.end_sequence(id, down, &actor, GONE);
        }
    }

    fn begin_sequence(&mut self, id: Id, down: Down, actor: &str) {
        let stage = match down {
            Down::Reboot => Stage::Rebooting,
            Down::PowerOff => Stage::ShuttingDown,
            Down::Upgrade => Stage::Upgrading,
            Down::Reset { .. } => Stage::Resetting,
        };
        self.stage(id, stage);
        self.tell_sequence(id, down, actor);
    }

    fn end_sequence(&mut self, id: Id, down: Down, actor: &str, gone: Duration) {
        self.tell_stop(id, actor);
        match down {
            Down::Reboot | Down::Upgrade | Down::Reset { reboot: true, .. } => self.start(id, gone),
            Down::PowerOff | Down::Reset { reboot: false, .. } => {
                // Its connections end before the plug is pulled.
                self.halt(id);
                self.plan(id, NOTICE, Due::PowerOff);
            }
        }
    }

    /// Forgets a disk and all that was on it.
    pub(crate) fn disk_removed(&mut self, disk: &str) {
        self.disks.remove(disk);
        self.forget_lost_etcds();
    }

    /// Wipes what the guest wrote: the config, and etcd's data with it; without labels the system too.
    pub(crate) fn wipe(&mut self, id: Id, graceful: bool, wipe: &Wipe) {
        if graceful {
            self.leave_etcd(id);
        }
        if wipe.user_disks_only {
            return;
        }
        let all = wipe.labels.is_empty();
        let wipes = |label: &str| all || wipe.labels.iter().any(|other| other == label);
        let (state, ephemeral, meta) = (wipes("STATE"), wipes("EPHEMERAL"), wipes("META"));
        let disk = self.disk_mut(id);
        if all {
            disk.installed = None;
            disk.wiped = true;
        }
        if state {
            disk.config = None;
        }
        if ephemeral {
            disk.etcd = None;
            disk.snapshot = None;
        }
        if meta {
            disk.meta.clear();
        }
        self.forget_lost_etcds();
    }
}
