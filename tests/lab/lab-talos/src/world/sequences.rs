//! What a node does on its way down: the phases of each sequence with their tasks.
//!
//! The order is that of internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_sequencer.go at v1.13.9, and at v1.14.1 from
//! 1.14 on.

use super::{Down, Id, World};
use crate::events::Content;

/// A phase and its task.
type Phase = (&'static str, &'static str);

/// What every sequence does before its last phase.
const STOP: &[Phase] = &[
    ("stopServices", "stopServicesForUpgrade"),
    ("umount", "unmountPodMounts"),
    ("unmountBind", "unmountSystemDiskBindMounts"),
    ("unmountSystem", "unmountEphemeralPartition"),
    ("volumeFinalize", "teardownLifecycle"),
];

/// The same from 1.14 on: the containers of the config, and the system's volumes that have a partition of their own.
const STOP_PROMOTABLE: &[Phase] = &[
    CONTAINERS,
    ("stopServices", "stopServicesForUpgrade"),
    ("umount", "unmountPodMounts"),
    ("unmountBind", "unmountSystemDiskBindMounts"),
    ("unmountPromotable", "unmountPromotableSystemPartitions"),
    ("unmountSystem", "unmountEphemeralPartition"),
    ("volumeFinalize", "teardownLifecycle"),
];

const DENY: Phase = ("denyNewServices", "denyNewServices");
const BEFORE: Phase = ("preShutdown", "preShutdownServices");
const CONTAINERS: Phase = ("stopContainers", "teardownContainerLifecycle");
const DRAIN: Phase = ("drain", "cordonAndDrainNode");
const PODS: Phase = ("cleanup", "stopAllPods");
const BUS: Phase = ("dbus", "stopDBus");
const KEXEC: Phase = ("kexec", "kexecPrepare");
/// The API goes down with the other services, so nobody sees this one end.
const SERVICES: Phase = ("stopEverything", "stopAllServices");

/// The phases before the services stop, and how many follow, from 1.14 on.
fn promotable_phases(down: Down, etcd: bool) -> (Vec<Phase>, usize) {
    let mut phases = Vec::new();
    let mut after = 2;
    match down {
        // The new kernel is loaded when the services have stopped.
        Down::Reboot => {
            after = 3;
            phases.extend([PODS, BEFORE, BUS]);
        }
        Down::PowerOff => phases.extend([("storeShutdown", "storeShutdownEmergency"), DRAIN, PODS, BEFORE, BUS]),
        Down::Upgrade => phases.extend([DENY, DRAIN, PODS, BEFORE, BUS]),
        Down::Reset { graceful: true, .. } => {
            phases.extend([DRAIN, ("cleanup", "removeAllPods"), BEFORE, BUS]);
            phases.extend(etcd.then_some(("leave", "leaveEtcd")));
        }
        Down::Reset { graceful: false, .. } => phases.extend([PODS, BEFORE, BUS]),
    }
    if matches!(down, Down::Reset { .. }) {
        phases.push(("preReset", "sendResetSignal"));
    }
    phases.extend((down != Down::Upgrade).then_some(DENY));
    phases.extend(STOP_PROMOTABLE);
    if down == Down::Upgrade {
        phases.iter_mut().filter(|(name, _)| *name == "umount").for_each(|phase| phase.0 = "unmount");
        phases.extend([("upgrade", "upgrade"), ("meta", "reloadMeta"), KEXEC]);
    }
    (phases, after)
}

/// The phases before the services stop.
fn phases(down: Down, etcd: bool) -> Vec<Phase> {
    let mut phases = Vec::new();
    match down {
        Down::Reboot => phases.extend([PODS, BUS]),
        Down::PowerOff => phases.extend([("storeShutdown", "storeShutdownEmergency"), DRAIN, PODS, BUS]),
        Down::Upgrade => phases.extend([DRAIN, PODS, BUS]),
        Down::Reset { graceful: true, .. } => {
            phases.extend([DRAIN, ("cleanup", "removeAllPods"), BUS]);
            phases.extend(etcd.then_some(("leave", "leaveEtcd")));
        }
        Down::Reset { graceful: false, .. } => phases.extend([PODS, BUS]),
    }
    if matches!(down, Down::Reset { .. }) {
        phases.push(("preReset", "sendResetSignal"));
    }
    phases.extend(STOP);
    match down {
        Down::Reboot => phases.push(KEXEC),
        Down::Upgrade => phases.extend([("upgrade", "upgrade"), ("meta", "reloadMeta"), KEXEC]),
        Down::PowerOff | Down::Reset { .. } => {}
    }
    phases
}

impl World {
    /// Tells of a sequence up to the moment before the services stop.
    pub(super) fn tell_sequence(&mut self, id: Id, down: Down, actor: &str) {
        let name = match down {
            Down::Reboot => "reboot",
            Down::PowerOff => "shutdown",
            Down::Upgrade => "upgrade",
            Down::Reset { .. } => "reset",
        };
        let etcd = self.nodes[id].is_control_plane();
        let (phases, after) = match self.nodes[id].version().has_promotable_volumes() {
            true => promotable_phases(down, etcd),
            false => (phases(down, etcd), 2),
        };
        let count = phases.len() + after;
        self.print(id, &format!("{name} sequence: {count} phase(s)"));
        self.tell(id, &Content::sequence(name, 1), actor);
        for (index, (phase, task)) in phases.iter().enumerate() {
            self.print(id, &format!("phase {phase} ({}/{count}): 1 tasks(s)", index + 1));
            self.tell(id, &Content::phase(phase, 0), actor);
            self.tell(id, &Content::task(task, 0), actor);
            self.tell(id, &Content::task(task, 1), actor);
            self.tell(id, &Content::phase(phase, 1), actor);
        }
    }

    /// Reports that the services stop, the last event of a boot.
    pub(super) fn tell_stop(&mut self, id: Id, actor: &str) {
        self.tell(id, &Content::phase(SERVICES.0, 0), actor);
        self.tell(id, &Content::task(SERVICES.1, 0), actor);
    }
}
