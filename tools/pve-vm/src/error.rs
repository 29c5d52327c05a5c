//! Errors of `pve-vm`.

use std::collections::BTreeMap;

use record::{Classify, Code, Exit, Facts};

/// One variant for each problem that users solve differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("spec.proxmox.{0} is missing")]
    Unset(&'static str),
    #[error("node {node}: spec.vm.{key} must be {wanted}, got {found}")]
    Value { node: String, key: String, wanted: &'static str, found: String },
    #[error("node {0}: spec.vm.boot {1} is not supported: VMs always boot from the image")]
    Boot(String, String),
    #[error("spec.proxmox.vmids is {0:?}, not a range like 900-999")]
    Range(String),
    #[error("no VM ID between {0} and {1} is free")]
    RangeFull(u32, u32),
    #[error("the VM ID {vmid} of node {node} is taken by another VM, on {host}")]
    Taken { vmid: u32, host: String, node: String },
    #[error("no host has the image: status.image.volumes is empty")]
    NoImage,
    #[error("the image is not on {0}")]
    NoImageOn(String),
    #[error("no host can take node {node}: {}", listed(reasons))]
    NoRoom { node: String, reasons: BTreeMap<String, String> },
    #[error("node {node} can't be placed on {host}: {reason}")]
    Host { node: String, host: String, reason: String },
    #[error("VM {vmid} on {host} has the name {node}, but doesn't belong to this cluster")]
    Foreign { vmid: u32, host: String, node: String },
    #[error("VM {vmid} ({node}) on {host} was created from another ichor.lock of cluster {cluster:?}")]
    OtherLock { vmid: u32, host: String, node: String, cluster: String },
    #[error("VM {vmid} on {host} has the UUID of node {node}, but not the mark of its cluster")]
    Unmarked { vmid: u32, host: String, node: String },
    #[error("VMs {first} and {second} both have the UUID of node {node}")]
    Twice { first: u32, second: u32, node: String },
    #[error("VM {vmid} of node {node} is on {host}, which is offline")]
    Offline { vmid: u32, host: String, node: String },
    #[error("nodes {0} and {1} get the same MAC address")]
    SameMac(String, String),
    #[error("VM {vmid} on {host} must be switched off and on: {what}")]
    NeedsReboot { vmid: u32, host: String, what: String },
    #[error("VM {vmid} on {host} must be recreated: {why}")]
    NeedsRecreate { vmid: u32, host: String, why: String },
    #[error(
        "VM {vmid} ({name}) on {host} belongs to this cluster but isn't in the file, and has the address {address}"
    )]
    AddressTaken { vmid: u32, host: String, name: String, address: String },
    #[error("VM {vmid} on {host} has no address yet: {last}")]
    NoAddress { vmid: u32, host: String, last: String },
    #[error("VM {vmid} on {host} is still busy: {last}")]
    StillBusy { vmid: u32, host: String, last: String },
    #[error("destroying needs --yes, or confirmation on a terminal")]
    Unconfirmed,
    #[error("this is not the cluster's name: nothing was destroyed")]
    OtherName,
    #[error("{}", .0.join("; "))]
    Unfit(Vec<String>),
    #[error("the token lacks the privileges {}", .0.join(", "))]
    Privileges(Vec<&'static str>),
}

fn listed(reasons: &BTreeMap<String, String>) -> String {
    reasons.iter().map(|(host, reason)| format!("{host}: {reason}")).collect::<Vec<_>>().join("; ")
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        let guard = |code| Facts::new(Exit::Guard, code);
        let unusable = |code| Facts::new(Exit::Unusable, code);
        match self {
            Self::Unset(_) | Self::Value { .. } | Self::Range(_) => unusable(Code::Spec),
            Self::Boot(..) => unusable(Code::Spec).hint("remove `boot`"),
            Self::RangeFull(..) => Facts::new(Exit::Failed, Code::Vmid),
            Self::Taken { .. } => guard(Code::Vmid),
            Self::NoImage => {
                unusable(Code::Image).hint("set `spec.proxmox.images` to the storage for images, and run talos-image before pve-vm")
            }
            Self::NoImageOn(_) => unusable(Code::Image)
                .hint("run talos-image again; check whether the host was offline or has no image storage"),
            Self::NoRoom { .. } | Self::Host { .. } => Facts::new(Exit::Failed, Code::Placement),
            Self::Foreign { .. } => guard(Code::NotOurs).hint("rename the node or that VM"),
            Self::OtherLock { .. } => {
                guard(Code::OtherLock).hint("restore ichor.lock from version control, or remove that VM yourself")
            }
            Self::Unmarked { .. } => guard(Code::NotOurs).hint(
                "if it belongs to this cluster, put the line `ichor-uid: …` (uid of ichor.lock) into its description",
            ),
            Self::Twice { .. } => {
                guard(Code::Ambiguous).hint("one is a copy of the other: give the copy another UUID, or remove it")
            }
            Self::Offline { .. } => Facts::new(Exit::Unreachable, Code::HostOffline),
            Self::SameMac(..) => Facts::new(Exit::Failed, Code::Ambiguous).hint("rename one of the two"),
            Self::NeedsReboot { .. } => guard(Code::NeedsReboot).hint("--reboot allows it"),
            Self::NeedsRecreate { .. } => {
                guard(Code::NeedsRecreate).hint("--recreate allows it; the data on its disks is lost")
            }
            Self::AddressTaken { .. } => guard(Code::AddressTaken).hint(
                "if the node was renamed, restore its old name (it identifies the VM), or remove that VM first",
            ),
            Self::NoAddress { .. } => Facts::new(Exit::Unreachable, Code::NoAddress).hint(
                "with DHCP, the schematic needs the extension siderolabs/qemu-guest-agent, which reports the address; or set a static `address` for the node",
            ),
            Self::StillBusy { .. } => Facts::new(Exit::Unreachable, Code::Timeout),
            Self::Unconfirmed => Facts::new(Exit::Usage, Code::Unconfirmed),
            Self::OtherName => guard(Code::Unconfirmed),
            Self::Unfit(_) => Facts::new(Exit::Failed, Code::Unfit),
            Self::Privileges(_) => Facts::new(Exit::NotAllowed, Code::Unfit).hint(
                "create a role with them: `pveum role add Ichor -privs \"…\"`, then `pveum acl modify / --tokens TOKEN --users USER --roles Ichor`",
            ),
        }
    }
}
