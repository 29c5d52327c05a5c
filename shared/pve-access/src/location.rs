//! Where a VM is.

/// Where a VM is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its VM ID.
    pub vmid: u32,
    /// The host that holds it.
    pub host: String,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VM {} on {}", self.vmid, self.host)
    }
}
