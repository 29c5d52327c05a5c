//! What a test makes go wrong on a node.

use std::collections::VecDeque;
use std::time::Duration;

use lab_core::fault::Fault;

/// How the node treats those who call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The system does not come up until this is lifted.
    pub(crate) hold_boot: bool,
    /// A boot that is over except for that.
    pub(crate) boot_held: bool,
    /// Port 50000 is closed.
    pub(crate) refuse: bool,
    /// Connections are accepted, and then nothing.
    pub(crate) hang: bool,
    /// How long each call takes in addition.
    pub(crate) delay: Duration,
    /// The image of etcd can't be pulled until this is lifted: why, or nothing if it only takes long.
    pub(crate) hold_etcd_pull: Option<String>,
    /// etcd has begun to write its data and isn't up until this is lifted.
    pub(crate) hold_etcd_start: bool,
    /// The image of the kubelet can't be pulled until this is lifted: why.
    pub(crate) hold_kubelet_pull: Option<String>,
    /// No container network comes up until this is lifted.
    pub(crate) hold_cni: bool,
    /// Why the containers of static pods don't run: reason and message.
    pub(crate) pods_wait: Option<(String, String)>,
    /// A volume that can't be made: its name, and why.
    pub(crate) volume: Option<(String, String)>,
    /// Its way to the other control planes leads nowhere.
    pub(crate) lonely: bool,
    /// What the node says in addition wherever it says anything: in warnings and details, and of its services.
    pub(crate) says: Option<String>,
    /// What happens to the next calls, in order: name of the method as in `Bootstrap`, any if `None`.
    pub(crate) next: VecDeque<(Option<String>, Fault)>,
}

impl Faults {
    /// Takes the next fault that is meant for a method.
    pub(crate) fn take(&mut self, method: &str) -> Option<Fault> {
        let at = self.next.iter().position(|(of, _)| of.as_ref().is_none_or(|name| name == method))?;
        self.next.remove(at).map(|(_, fault)| fault)
    }
}
