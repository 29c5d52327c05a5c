//! Why a config isn't delivered.

use record::{Exit, Failure};

/// What the reader would handle differently.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the machine config can't be used")]
    Config(#[from] machine_config::LoadError),
    #[error("the machine config has the unknown machine type `{0}`")]
    MachineType(String),
    #[error("the machine config is for a {config}, but the node is a {node}")]
    OtherRole { config: String, node: String },
    #[error("the node runs as a {running}, but the machine config is for a {wanted}")]
    RoleChange { running: String, wanted: String },
    #[error("the node is of cluster `{running}`, but the machine config is for `{wanted}`")]
    OtherCluster { running: String, wanted: String },
    #[error("the machine config is of another cluster than the node: its {0} is another one")]
    OtherIdentity(&'static str),
    #[error("the machine there has the UUID {found}, but the VM has {wanted}")]
    OtherMachine { found: String, wanted: String },
    #[error("the node shows the certificate fingerprint {found}, which is none of {given}")]
    OtherFingerprint { found: String, given: String },
    #[error("the node runs Talos {running}, but the file says {wanted}")]
    TalosVersion { running: String, wanted: String },
    #[error("the node runs Kubernetes {running}, but the file says {wanted}")]
    KubernetesVersion { running: String, wanted: String },
    #[error("the change would reboot the node: {0}")]
    NeedsReboot(String),
    #[error("control plane {0} did not get well after its change, so the others are left as they are")]
    Halted(String),
    #[error("the node is in maintenance, and --insecure was not given")]
    Maintenance,
    #[error("the configuration that the node runs can't be read")]
    Running(#[source] machine_config::LoadError),
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::MachineType(_) => Exit::Unusable,
            Self::Halted(_) => Exit::Unreachable,
            Self::Running(_) => Exit::Failed,
            Self::Maintenance => Exit::NotAllowed,
            _ => Exit::Guard,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::MachineType(_) => "machine-config",
            Self::OtherRole { .. } | Self::RoleChange { .. } => "other-role",
            Self::OtherCluster { .. } | Self::OtherIdentity(_) => "other-cluster",
            Self::OtherMachine { .. } | Self::OtherFingerprint { .. } => "other-machine",
            Self::TalosVersion { .. } | Self::KubernetesVersion { .. } => "other-version",
            Self::NeedsReboot(_) => "needs-reboot",
            Self::Halted(_) => "halted",
            Self::Maintenance => "maintenance",
            Self::Running(_) => "running-config",
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherRole { .. } => Some("compare the node's `role` with the file that its record names"),
            Self::RoleChange { .. } => Some("a node can't change its role: reset it, or remove it and make it anew"),
            Self::OtherIdentity(_) => {
                Some("do the cluster's secrets.yaml and patches belong to the cluster that runs there?")
            }
            Self::OtherMachine { .. } => Some("does another machine have this address?"),
            Self::OtherFingerprint { .. } => {
                Some("the node prints it on its console, and anew whenever its addresses change")
            }
            Self::TalosVersion { .. } => Some("the pipe never upgrades: talos-upgrade does"),
            Self::KubernetesVersion { .. } => Some("the pipe never upgrades: k8s-upgrade does"),
            Self::NeedsReboot(_) => Some("--reboot allows it, one control plane after the other"),
            Self::Halted(_) => Some("look at that node, then run again"),
            Self::Maintenance => Some("-i talks to a node in maintenance, without credentials"),
            _ => None,
        }
    }
}

/// The failure of a config that the node itself refuses, in its own words.
pub(crate) fn refused_by_node(words: &str) -> Failure {
    Failure::new(Exit::Failed, "refused-by-node", format!("the node refuses the config: {words}"))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::caused(error.exit(), error.code(), "", &error);
        // `caused` puts the causes behind a message; here the error itself is the message.
        let message = failure.message.trim_start_matches(": ").to_owned();
        Self::new(error.exit(), error.code(), message).maybe_hint(error.hint())
    }
}
