//! What a node does on its way down: the phases of each sequence with their tasks.
//!
//! The order is that of internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_sequencer.go at v1.13.9.

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

const DRAIN: Phase = ("drain", "cordonAndDrainNode");
const PODS: Phase = ("cleanup", "stopAllPods");
const BUS: Phase = ("dbus", "stopDBus");
const KEXEC: Phase = ("kexec", "kexecPrepare");
/// The API goes down with the other services, so nobody sees this one end.
const SERVICES: Phase = ("stopEverything", "stopAllServices");

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
        let phases = phases(down, self.nodes[id].is_control_plane());
        let count = phases.len() + 2;
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
