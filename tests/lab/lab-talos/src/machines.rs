//! The hypervisor's side of the nodes.

use lab_core::machine::{Interface, Machine, Machines};

use super::Talos;
use super::node::Stage;

const AGENT: &str = "siderolabs/qemu-guest-agent";

impl Machines for Talos {
    fn power_on(&self, machine: Machine) {
        self.update(|world| world.power_on(machine));
    }

    fn power_off(&self, uuid: &str) {
        self.update(|world| world.power_off(uuid));
    }

    fn is_on(&self, uuid: &str) -> bool {
        self.read(|world| world.find(uuid).is_some_and(|id| world.nodes[id].on))
    }

    fn disk_removed(&self, disk: &str) {
        self.update(|world| world.disk_removed(disk));
    }

    fn agent(&self, uuid: &str) -> Option<Vec<Interface>> {
        self.read(|world| {
            let id = world.find(uuid)?;
            let node = &world.nodes[id];
            let has_agent = node.image.as_ref().is_some_and(|image| image.extensions.iter().any(|e| e == AGENT));
            let up = !matches!(node.stage, Stage::Unknown | Stage::Rebooting | Stage::ShuttingDown);
            let answers = node.on && node.machine.agent && has_agent && up && !node.addresses.is_empty();
            answers.then(|| world.interfaces(id))
        })
    }

    fn console(&self, uuid: &str, seen: usize) -> Vec<String> {
        self.read(|world| {
            let lines = world.find(uuid).map(|id| world.nodes[id].console.as_slice()).unwrap_or_default();
            lines.get(seen..).unwrap_or_default().to_vec()
        })
    }
}
