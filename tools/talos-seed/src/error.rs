//! Errors of `talos-seed`.

use record::{Classify, Code, Exit, Facts};

/// One variant for each problem that users solve differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("spec.proxmox.seeds is not set")]
    NoStorage,
    #[error("storage {storage} on {host} is not active")]
    Inactive { storage: String, host: String },
    #[error("storage {storage} on {host} does not take content `iso`")]
    NoContent { storage: String, host: String, advice: String },
    #[error("{host} has no storage {storage}")]
    NoSuchStorage { storage: String, host: String },
    #[error("the machine config can't be used")]
    Config(#[from] machine_config::LoadError),
    #[error("the machine config is not UTF-8")]
    NotText,
    #[error("the machine config is for a {config}, but the node is a {node}")]
    OtherRole { config: String, node: String },
    #[error("Talos {version} would refuse the machine config: {}", .errors.join("; "))]
    Invalid { version: String, errors: Vec<String> },
    #[error("the machine config begins with `{0}`: Talos would take it for something else")]
    Misread(&'static str),
    #[error("spec.talos.version can't be used: {0}")]
    Version(String),
    #[error("status.vm names no VM")]
    NoVm,
    #[error("VM {vmid} on {host} is not this node's VM")]
    NotOurs { vmid: u32, host: String },
    #[error("VM {vmid} on {host} has no free slot for a disc")]
    NoSlot { vmid: u32, host: String },
    #[error("VM {vmid} on {host} runs and waits for its first config: it is too late for a seed")]
    Waits { vmid: u32, host: String },
    #[error("something answers at {address} already, so VM {vmid} on {host} is not started")]
    AddressAnswers { address: String, vmid: u32, host: String },
    #[error("the token {token} lacks {lacks}")]
    MayNot { token: String, lacks: String, commands: String },
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        match self {
            Self::NoStorage => Facts::new(Exit::Unusable, Code::Spec).hint(
                "name a storage of content `iso` in the file (`seeds` under spec.proxmox), best one that nobody else may read, or leave talos-seed out of the pipe",
            ),
            Self::Inactive { .. } | Self::NoSuchStorage { .. } => Facts::new(Exit::Unusable, Code::Storage)
                .hint("correct spec.proxmox.seeds, or make the storage available on this host"),
            Self::NoContent { advice, .. } => Facts::new(Exit::Unusable, Code::Storage).hint(advice.clone()),
            Self::Config(_) | Self::NotText | Self::Misread(_) => Facts::new(Exit::Unusable, Code::MachineConfig),
            Self::OtherRole { .. } => Facts::new(Exit::Guard, Code::OtherRole)
                .hint("compare the node's `role` with the config file of its record (`status.config.file`)"),
            Self::Invalid { .. } => Facts::new(Exit::Unusable, Code::MachineConfig)
                .hint("a node that starts with it would never come up: correct the patches, and run talos-gen again"),
            Self::Version(_) => Facts::new(Exit::Unusable, Code::Version),
            Self::NoVm => {
                Facts::new(Exit::Unusable, Code::MissingInput).hint("talos-seed stands behind `pve-vm --stopped` and talos-gen")
            }
            Self::NotOurs { .. } => Facts::new(Exit::Guard, Code::NotOurs)
                .hint("its UUID and the mark in its notes (or its tag) must be those that pve-vm gave it: run pve-vm again"),
            Self::NoSlot { .. } => {
                Facts::new(Exit::Unusable, Code::Spec).hint("free one of ide0 to ide3 and sata0 to sata3")
            }
            Self::Waits { vmid, host } => Facts::new(Exit::Guard, Code::Maintenance).hint(format!(
                "leave talos-seed out, and talos-apply sends the config; or shut it down (`qm stop {vmid}` on {host}: nothing is on it), and run again"
            )),
            Self::AddressAnswers { .. } => Facts::new(Exit::Guard, Code::AddressTaken)
                .hint("find the machine that has this address, or give the node another one"),
            Self::MayNot { commands, .. } => Facts::new(Exit::NotAllowed, Code::NotAllowed).hint(commands.clone()),
        }
    }
}
