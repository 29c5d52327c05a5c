//! Why a VM isn't as the spec says.

use std::collections::BTreeMap;

use record::{Exit, Failure};

/// The code of a VM of this cluster's name that isn't of this `ichor.lock`.
pub(crate) const OTHER_LOCK: &str = "other-lock";

/// What the reader would handle differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("spec.proxmox.{0} is missing")]
    Unset(&'static str),
    #[error("node {0}: spec.vm.{1} is of the wrong type")]
    Value(String, String),
    #[error("node {0}: spec.vm.boot is {1}")]
    Boot(String, String),
    #[error("spec.proxmox.vmids is {0:?}, not a range like 900-999")]
    Range(String),
    #[error("no VM ID between {0} and {1} is free")]
    RangeFull(u32, u32),
    #[error("VM {vmid} on {host} has the VM ID that node {node} wants")]
    Taken { vmid: u32, host: String, node: String },
    #[error("the image is on no host: status.image.volumes is empty")]
    NoImage,
    #[error("the image is not on {0}")]
    NoImageOn(String),
    #[error("node {node} fits on no host: {}", listed(reasons))]
    NoRoom { node: String, reasons: BTreeMap<String, String> },
    #[error("node {node} wants to be on {host}, but {reason}")]
    Host { node: String, host: String, reason: String },
    #[error("VM {vmid} on {host} has the name {node}, but isn't this cluster's")]
    Foreign { vmid: u32, host: String, node: String },
    #[error("VM {vmid} on {host} has the name {node} and is of a cluster of this name, but not of this ichor.lock")]
    OtherLock { vmid: u32, host: String, node: String },
    #[error("VM {vmid} on {host} has the UUID of node {node}, but not the mark of its cluster")]
    Unmarked { vmid: u32, host: String, node: String },
    #[error("VMs {first} and {second} both have the UUID of node {node}")]
    Twice { first: u32, second: u32, node: String },
    #[error("VM {vmid} of node {node} is on {host}, which is offline")]
    Offline { vmid: u32, host: String, node: String },
    #[error("nodes {0} and {1} get the same hardware address")]
    SameMac(String, String),
    #[error("VM {vmid} on {host} has to be switched off and on: {what}")]
    NeedsReboot { vmid: u32, host: String, what: String },
    #[error("VM {vmid} on {host} has to be made anew: {why}")]
    NeedsRecreate { vmid: u32, host: String, why: String },
    #[error("control plane {first} is disrupted in this run already, so {node} is left as it is")]
    OneAtATime { first: String, node: String },
    #[error("VM {vmid} on {host} ({name}) is this cluster's but not in the file, and has the address {address}")]
    AddressTaken { vmid: u32, host: String, name: String, address: String },
    #[error("VM {vmid} on {host} did not get an address: {last}")]
    NoAddress { vmid: u32, host: String, last: String },
    #[error("VM {vmid} on {host} did not come to rest: {last}")]
    Restless { vmid: u32, host: String, last: String },
    #[error("destroying needs --yes, or the cluster's name typed on a terminal")]
    Unconfirmed,
    #[error("what was typed is not the cluster's name: nothing is destroyed")]
    OtherName,
    #[error("{}", .0.join("; "))]
    Unfit(Vec<String>),
    #[error("the token lacks the privileges {}", .0.join(", "))]
    Privileges(Vec<&'static str>),
}

fn listed(reasons: &BTreeMap<String, String>) -> String {
    reasons.iter().map(|(host, reason)| format!("{host}: {reason}")).collect::<Vec<_>>().join("; ")
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Unset(_) | Self::Value(..) | Self::Boot(..) | Self::Range(_) | Self::NoImage | Self::NoImageOn(_) => {
                Exit::Unusable
            }
            Self::Foreign { .. }
            | Self::OtherLock { .. }
            | Self::Unmarked { .. }
            | Self::Twice { .. }
            | Self::Taken { .. }
            | Self::NeedsReboot { .. }
            | Self::NeedsRecreate { .. }
            | Self::OneAtATime { .. }
            | Self::AddressTaken { .. }
            | Self::OtherName => Exit::Guard,
            Self::Offline { .. } | Self::NoAddress { .. } | Self::Restless { .. } => Exit::Unreachable,
            Self::Unconfirmed => Exit::Usage,
            Self::Privileges(_) => Exit::NotAllowed,
            _ => Exit::Failed,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unset(_) | Self::Value(..) | Self::Boot(..) | Self::Range(_) => "spec",
            Self::RangeFull(..) | Self::Taken { .. } => "vmid",
            Self::NoImage | Self::NoImageOn(_) => "image",
            Self::NoRoom { .. } | Self::Host { .. } => "placement",
            Self::OtherLock { .. } => OTHER_LOCK,
            Self::Foreign { .. } | Self::Unmarked { .. } => "not-ours",
            Self::Twice { .. } | Self::SameMac(..) => "ambiguous",
            Self::Offline { .. } => "host-offline",
            Self::NeedsReboot { .. } => "needs-reboot",
            Self::NeedsRecreate { .. } => "needs-recreate",
            Self::OneAtATime { .. } => "one-at-a-time",
            Self::AddressTaken { .. } => "address-taken",
            Self::NoAddress { .. } => "no-address",
            Self::Restless { .. } => "timeout",
            Self::Unconfirmed | Self::OtherName => "unconfirmed",
            Self::Unfit(_) | Self::Privileges(_) => "unfit",
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Boot(..) => "VMs boot from the image: leave `boot` out",
            Self::NoImage => "`spec.proxmox.images` names the storage that talos-image brings it to",
            Self::NoImageOn(_) => "run talos-image again: was the host offline, or has it no image storage?",
            Self::Foreign { .. } => "rename the node or that VM",
            Self::OtherLock { .. } => "restore ichor.lock from version control, or remove that VM yourself",
            Self::Unmarked { .. } => {
                "if it is this cluster's, put the line `ichor-uid: …` (uid of ichor.lock) into its description"
            }
            Self::Twice { .. } => "one is a copy of the other: give the copy another UUID, or remove it",
            Self::SameMac(..) => "rename one of the two",
            Self::NeedsReboot { .. } => "--reboot allows it",
            Self::NeedsRecreate { .. } => "--recreate allows it, and what is on its disk is lost",
            Self::OneAtATime { .. } => "wait until etcd is healthy again (`talos-wait --for etcd`), then run again",
            Self::AddressTaken { .. } => {
                "was the node renamed? Its name is its VM's identity: name it as before, or remove that VM first"
            }
            Self::NoAddress { .. } => {
                "DHCP needs the extension siderolabs/qemu-guest-agent in the schematic, so that the VM can tell its address; or give the node a static `address`"
            }
            Self::Privileges(_) => {
                "a role with them: `pveum role add Ichor -privs \"…\"`, then `pveum acl modify / --tokens TOKEN --users USER --roles Ichor`"
            }
            _ => return None,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.exit(), error.code(), error.to_string()).maybe_hint(error.hint())
    }
}
