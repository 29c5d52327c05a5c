//! That a VM isn't found.

use record::{Classify, Code, Exit, Facts};

/// Nobody told in time where a VM answers.
#[derive(Debug, thiserror::Error)]
#[error("VM {vmid} on {host} has no address yet: {last}")]
pub struct NotFound {
    /// Its VM ID.
    pub vmid: u32,
    /// The host that holds it.
    pub host: String,
    /// What was missing last.
    pub last: String,
    /// What else would help.
    pub advice: Option<String>,
}

impl Classify for NotFound {
    fn facts(&self) -> Facts {
        let more = self.advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        Facts::new(Exit::Unreachable, Code::NoAddress).hint(format!(
            "with DHCP, the schematic needs the extension siderolabs/qemu-guest-agent, which reports the address; or set a static `address` for the node{more}"
        ))
    }
}
