//! A host that is cut off from the majority: what it would write fails, in the words of each call.

use super::state::State;

impl State {
    /// Whether a host is one of the majority.
    pub(crate) fn is_quorate(&self, node: &str) -> bool {
        !self.faults.minority.contains(node)
    }

    /// Whether a host can make a VM.
    pub(crate) fn ready(&self, node: &str) -> Result<(), String> {
        match self.is_quorate(node) {
            true => Ok(()),
            false => Err("cluster not ready - no quorum?".to_owned()),
        }
    }

    /// Whether a host can write the configuration of a VM.
    pub(crate) fn writable(&self, node: &str, vmid: u32) -> Result<(), String> {
        match self.is_quorate(node) {
            true => Ok(()),
            false => {
                let process = 20_000 + self.tasks.count();
                let file = format!("/etc/pve/nodes/{node}/qemu-server/{vmid}.conf.tmp.{process}");
                Err(format!("unable to open file '{file}' - Permission denied"))
            }
        }
    }
}
