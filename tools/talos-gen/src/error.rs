use machine_config::{ContractError, LoadError, node, patch};
use record::{Classify, Code, Exit, Facts};
use schematic::Part;

/// Errors of `talos-gen`.
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
    #[error("patch {name} contains a secret at {place}")]
    InlineSecret { name: String, place: String },
    #[error("patch {name} has documents that only control planes may have: {kinds}")]
    ControlPlaneOnly { name: String, kinds: String },
    #[error("patch {name} has a {kind}, which needs Talos v1.{since} or later; this is {talos}")]
    NewerKind { name: String, kind: &'static str, since: u32, talos: String },
    #[error("the machine type is {found:?} after the patches, not {wanted}")]
    MachineType { found: String, wanted: &'static str },
    #[error("Talos refuses this config: {}", .0.join("; "))]
    Invalid(Vec<String>),
    #[error("the config can't be generated")]
    Node(#[from] node::Error),
    #[error(transparent)]
    Spec(#[from] schematic::SpecError),
    #[error("{path}")]
    Bundle { path: String, source: cluster_pki::BundleError },
    #[error("{path} can't be changed without losing what is in it: {source}")]
    Talosconfig { path: String, source: go_yaml::kept::Unkept },
    #[error("{path} is missing, but ichor.lock shows that the cluster was created with it")]
    SecretsGone { path: String },
    #[error("keys or certificates can't be generated")]
    Pki(#[from] cluster_pki::Error),
    #[error("{path}")]
    Config { path: String, source: LoadError },
    #[error(transparent)]
    Unknown(Box<machine_config::Unknown>),
    #[error("patch {name}")]
    JsonPatch { name: String, source: Box<patch::Error>, instead: Option<String> },
    #[error(
        "{path} belongs to another cluster: ichor.lock holds the certificate authority {locked}, this one is {found}"
    )]
    OtherCluster { path: String, locked: String, found: String },
    #[error("{0}")]
    Usage(String),
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        let unusable = |code| Facts::new(Exit::Unusable, code);
        match self {
            Self::Spec(error) => match error.part() {
                Part::Version => unusable(Code::Version),
                Part::Factory => Facts::new(Exit::Usage, Code::Usage),
                Part::Schematic => unusable(Code::Schematic),
            },
            Self::SecretsGone { path } => Facts::new(Exit::Guard, Code::SecretsGone).hint(format!(
                "restore {path}: new secrets would not belong to this cluster. For a new cluster, remove its folder"
            )),
            Self::Talosconfig { path, .. } => unusable(Code::Talosconfig).hint(format!(
                "correct it there; or move {path} away, and a new one is made with what this cluster needs"
            )),
            Self::OtherCluster { path, .. } => Facts::new(Exit::Guard, Code::OtherCluster).hint(format!(
                "restore the {path} that the cluster was created with; for a new cluster, use another folder"
            )),
            Self::Unknown(unknown) => Facts::new(Exit::Usage, Code::Unknown).maybe_hint(did_you_mean(unknown.nearest)),
            Self::Usage(_) => Facts::new(Exit::Usage, Code::Usage),
            Self::Pki(_) => Facts::new(Exit::Failed, Code::Pki),
            Self::Bundle { .. } => unusable(Code::Secrets),
            Self::Patch { source, .. } => unusable(Code::Patch).maybe_hint(did_you_mean(source.nearest())),
            Self::JsonPatch { instead, .. } => {
                let part = "up to contract v1.11 configs have one document, newer ones have several: \
                            write the patch as YAML of the part to change";
                let hint = instead.as_ref().map_or_else(|| part.to_owned(), |instead| format!("{part}: {instead}"));
                unusable(Code::Patch).hint(hint)
            }
            Self::InlineSecret { .. } => unusable(Code::Patch)
                .hint("put it in a file of its own, readable by you alone, and write \"@file\""),
            Self::ControlPlaneOnly { .. } => unusable(Code::Patch).hint(
                "use it for control planes only: in spec.controlplane.patches, in the patches of a node, or with --config-patch-control-plane",
            ),
            Self::EmptyPatch { .. } | Self::NewerKind { .. } => unusable(Code::Patch),
            Self::Config { source, .. } => {
                unusable(Code::MachineConfig).maybe_hint(did_you_mean(source.nearest()))
            }
            Self::OlderTalos { .. } => {
                unusable(Code::Version).hint("configs of a newer contract don't load on an older Talos")
            }
            Self::KubernetesWindow { talos, oldest, newest, .. } => unusable(Code::Version)
                .hint(format!("Talos {talos} runs Kubernetes 1.{oldest} to 1.{newest}")),
            Self::Contract(_) => unusable(Code::Version),
            Self::Node(node::Error::Label(label)) => unusable(Code::Spec).maybe_hint(label.hint()),
            Self::Node(_) | Self::Unreadable { .. } => unusable(Code::Spec),
            Self::MachineType { .. } | Self::Invalid(_) => unusable(Code::MachineConfig),
        }
    }
}

fn did_you_mean(word: Option<impl std::fmt::Debug>) -> Option<String> {
    word.map(|word| format!("did you mean {word:?}?"))
}
