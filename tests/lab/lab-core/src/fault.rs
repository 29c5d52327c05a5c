//! What can go wrong: the fate of a call, and the states of hosts, VMs and nodes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It is refused, and nothing is done.
    Fail {
        /// HTTP status, or number of the gRPC code.
        status: u16,
        /// The text.
        message: String,
    },
    /// Nothing is done and nothing is answered.
    Hang,
    /// It is done, but the connection ends before the reply.
    LoseReply,
    /// It is done, and the answer takes longer.
    Slow {
        /// By so much; by default twice as long as it would have taken.
        #[serde(rename = "ms", with = "milliseconds")]
        by: Option<Duration>,
    },
    /// The answer is no answer of this protocol.
    Garbage,
}

/// A state of the lab that is wrong for a while, or something that happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Of a host, a VM or a storage of Proxmox VE.
    Proxmox(ProxmoxState),
    /// Of a node.
    Node(NodeState),
}

/// What can be wrong on Proxmox VE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxmoxState {
    /// A host is off the network; after a while the others fence it and recover its managed VMs.
    HostOffline,
    /// A host takes calls, acts on them and answers too late.
    HostLate,
    /// A host has been restarted and doesn't know what hosts that are offline said of their VMs.
    HostRestarted,
    /// A host is cut off from the majority of the cluster and can write nothing.
    NoQuorum,
    /// Somebody holds the lock of a VM's configuration.
    VmLocked,
    /// Somebody holds the lock of a storage, on every host.
    StorageLocked,
    /// The tasks of a VM don't end.
    TasksHeld,
    /// A guest ignores requests to shut down.
    ShutdownIgnored,
}

/// What can be wrong on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// The system doesn't come up.
    BootHeld,
    /// The port of the Talos API is closed.
    PortClosed,
    /// The Talos API accepts connections and doesn't respond.
    Silent,
    /// The clock isn't in sync.
    ClockWrong,
    /// The etcd member raises the alarm that its database is full.
    EtcdFull,
    /// The etcd member raises the alarm that its data is corrupt.
    EtcdCorrupt,
    /// The node reboots as by itself.
    Reboot,
    /// The next boot of the node is followed by another reboot.
    RebootAgain,
}

impl State {
    /// Every state: its word in a scenario, and the key that names what it is a state of.
    pub const ALL: [(&str, &str, Self); 16] = [
        ("host-offline", "host", Self::Proxmox(ProxmoxState::HostOffline)),
        ("host-late", "host", Self::Proxmox(ProxmoxState::HostLate)),
        ("host-restarted", "host", Self::Proxmox(ProxmoxState::HostRestarted)),
        ("no-quorum", "host", Self::Proxmox(ProxmoxState::NoQuorum)),
        ("vm-locked", "vm", Self::Proxmox(ProxmoxState::VmLocked)),
        ("storage-locked", "storage", Self::Proxmox(ProxmoxState::StorageLocked)),
        ("tasks-held", "vm", Self::Proxmox(ProxmoxState::TasksHeld)),
        ("shutdown-ignored", "vm", Self::Proxmox(ProxmoxState::ShutdownIgnored)),
        ("boot-held", "node", Self::Node(NodeState::BootHeld)),
        ("port-closed", "node", Self::Node(NodeState::PortClosed)),
        ("silent", "node", Self::Node(NodeState::Silent)),
        ("clock-wrong", "node", Self::Node(NodeState::ClockWrong)),
        ("etcd-full", "node", Self::Node(NodeState::EtcdFull)),
        ("etcd-corrupt", "node", Self::Node(NodeState::EtcdCorrupt)),
        ("reboot", "node", Self::Node(NodeState::Reboot)),
        ("reboot-again", "node", Self::Node(NodeState::RebootAgain)),
    ];

    /// Whether it happens and is over; what follows from it is not taken back.
    pub fn is_moment(self) -> bool {
        use NodeState::{EtcdCorrupt, EtcdFull, Reboot, RebootAgain};
        let of_host = self == Self::Proxmox(ProxmoxState::HostRestarted);
        of_host || matches!(self, Self::Node(EtcdFull | EtcdCorrupt | Reboot | RebootAgain))
    }
}

/// What a proxy in the way returns in place of an answer.
pub const GARBAGE: &str = "<html><body>Bad Gateway</body></html>";

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
    pub(super) fn serialize<S: Serializer>(by: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        by.map(|by| by.as_millis() as u64).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}
