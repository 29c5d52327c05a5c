use machine_config::{ContractError, LoadError, node, patch};
use record::{Exit, Failure};
use schematic::Part;

/// Why nothing can be generated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the Talos version can't be used")]
    Contract(#[from] ContractError),
    #[error("ichor.lock holds contract {locked}, which is newer than Talos {talos}")]
    OlderTalos { locked: String, talos: String },
    #[error("Talos {talos} does not run Kubernetes {kubernetes}")]
    KubernetesWindow { talos: String, kubernetes: String, oldest: u32, newest: u32 },
    #[error("{field}: {value:?} is not {wanted}")]
    Unreadable { field: &'static str, value: String, wanted: &'static str },
    #[error("patch {name}")]
    Patch { name: String, source: patch::Error },
    #[error("patch {name} is empty")]
    EmptyPatch { name: String },
    #[error("patch {name} holds a secret at {place}")]
    InlineSecret { name: String, place: String },
    #[error("patch {name} has documents that only control planes may have: {kinds}")]
    ControlPlaneOnly { name: String, kinds: String },
    #[error("patch {name} has a {kind}, which Talos knows from v1.{since} on; this is {talos}")]
    NewerKind { name: String, kind: &'static str, since: u32, talos: String },
    #[error("the machine type is {found:?} after the patches, not {wanted}")]
    MachineType { found: String, wanted: &'static str },
    #[error("Talos refuses this config: {}", .0.join("; "))]
    Invalid(Vec<String>),
    #[error("the config can't be made")]
    Node(#[from] node::Error),
    #[error(transparent)]
    Spec(#[from] schematic::SpecError),
    #[error("{path}")]
    Bundle { path: String, source: cluster_pki::BundleError },
    #[error("{path} is gone, but ichor.lock says that the cluster was made with it")]
    SecretsGone { path: String },
    #[error("keys or certificates can't be made")]
    Pki(#[from] cluster_pki::Error),
    #[error("{path}")]
    Config { path: String, source: LoadError },
    #[error(transparent)]
    Unknown(Box<machine_config::Unknown>),
    #[error("patch {name}")]
    JsonPatch { name: String, source: Box<patch::Error>, instead: Option<String> },
    #[error("{path} is of another cluster: ichor.lock holds the certificate authority {locked}, this one is {found}")]
    OtherCluster { path: String, locked: String, found: String },
    #[error("{0}")]
    Usage(String),
}

impl Error {
    fn kind(&self) -> (Exit, &'static str) {
        match self {
            Self::Spec(error) => match error.part() {
                Part::Version => (Exit::Unusable, "version"),
                Part::Factory => (Exit::Usage, "usage"),
                Part::Schematic => (Exit::Unusable, "schematic"),
            },
            Self::SecretsGone { .. } => (Exit::Guard, "secrets-gone"),
            Self::OtherCluster { .. } => (Exit::Guard, "other-cluster"),
            Self::Unknown(_) => (Exit::Usage, "unknown"),
            Self::Pki(_) => (Exit::Failed, "pki"),
            Self::Usage(_) => (Exit::Usage, "usage"),
            Self::Bundle { .. } => (Exit::Unusable, "unusable-secrets"),
            Self::Patch { .. }
            | Self::EmptyPatch { .. }
            | Self::JsonPatch { .. }
            | Self::InlineSecret { .. }
            | Self::ControlPlaneOnly { .. }
            | Self::NewerKind { .. } => (Exit::Unusable, "unusable-patch"),
            Self::Config { .. } => (Exit::Unusable, "unusable-config"),
            _ => (Exit::Unusable, "unusable-spec"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::OlderTalos { .. } => Some("configs of a newer contract don't load on an older Talos".to_owned()),
            Self::KubernetesWindow { talos, oldest, newest, .. } => {
                Some(format!("Talos {talos} runs Kubernetes 1.{oldest} to 1.{newest}"))
            }
            Self::InlineSecret { .. } => {
                Some("put it in a file of its own, readable by you alone, and say \"@file\"".to_owned())
            }
            Self::ControlPlaneOnly { .. } => {
                Some("give it to control planes alone: in spec.controlplane.patches or a node's own, or by --config-patch-control-plane".to_owned())
            }
            Self::SecretsGone { path } => Some(format!(
                "restore {path}; new secrets would not be this cluster's. For a new cluster, remove its folder"
            )),
            Self::JsonPatch { instead, .. } => {
                let part = "up to contract v1.11 configs have one document, newer ones have several: \
                            write the patch as YAML of the part to change";
                Some(instead.as_ref().map_or_else(|| part.to_owned(), |instead| format!("{part}: {instead}")))
            }
            Self::OtherCluster { path, .. } => Some(format!(
                "restore the {path} that the cluster was made with; for a new cluster, use a folder of its own"
            )),
            Self::Node(node::Error::Label(label)) => label.hint().map(str::to_owned),
            Self::Unknown(unknown) => unknown.nearest.map(|word| format!("did you mean {word:?}?")),
            Self::Patch { source, .. } => source.nearest().map(|word| format!("did you mean {word:?}?")),
            Self::Config { source, .. } => source.nearest().map(|word| format!("did you mean {word:?}?")),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, code) = error.kind();
        let hint = error.hint();
        let failure = Self::caused(exit, code, error.to_string(), &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
