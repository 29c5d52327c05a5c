//! What a run has done so far, and how it is told.

use record::{Change, Impact};
use step::Claim;
use tokio::time::Instant;

use crate::request::Request;

/// What this run has done.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last request to bootstrap, and when it was sent.
    pub(crate) request: Option<(Request, Instant)>,
    /// Whether the last look saw an etcd that has ended without data.
    pub(crate) ended: bool,
    /// The node that was rebooted.
    pub(crate) rebooted: Option<String>,
    /// Keeps other runs in the same folder from acting.
    pub(crate) claim: Option<Claim>,
}

impl Progress {
    /// Whether a request to bootstrap was sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.request.is_some()
    }

    /// The changes, for the node that reports etcd.
    pub(crate) fn changes(&self, node: &str) -> Vec<Change> {
        let rebooted = self.rebooted.iter().map(|name| revived(name));
        rebooted.chain(self.request.iter().map(|_| bootstrapped(node))).collect()
    }
}

pub(crate) fn revived(node: &str) -> Change {
    Change::new("etcd", Impact::Reboot).from("stopped for good").to(format!("started by a reboot of {node}"))
}

pub(crate) fn bootstrapped(node: &str) -> Change {
    Change::live("etcd").to(format!("bootstrapped on {node}"))
}
