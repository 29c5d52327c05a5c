//! Errors of `talos-apply`.

use record::{Classify, Code, Exit, Facts, Failure};

/// One variant for each problem that users solve differently.
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
    #[error("the node belongs to cluster `{running}`, but the machine config is for `{wanted}`")]
    OtherCluster { running: String, wanted: String },
    #[error("config and node belong to different clusters ({0} differs)")]
    OtherIdentity(&'static str),
    #[error("the machine at this address has the UUID {found}, the VM has {wanted}")]
    OtherMachine { found: String, wanted: String },
    #[error("the node's certificate fingerprint is {found}, expected {given}")]
    OtherFingerprint { found: String, given: String },
    #[error("the node is in maintenance mode with the fingerprint {found}, and no fingerprint of it is known")]
    NoFingerprint { found: String },
    #[error("{0} is off, so nothing can be applied to it")]
    Off(String),
    #[error("{0} is in maintenance mode, but the node comes up with a config: it got one before")]
    Seeded(String),
    #[error("the node runs Talos {running}, but the file says {wanted}")]
    TalosVersion { running: String, wanted: String },
    #[error("the node runs Kubernetes {running}, but the file says {wanted}")]
    KubernetesVersion { running: String, wanted: String },
    #[error("the config is for {config}, but the node runs as {node}")]
    OtherHostname { config: String, node: String },
    #[error("the config selects NICs by their hardware addresses ({config}), and the node has others ({node})")]
    OtherNics { config: String, node: String },
    #[error("--mode {0} can't be used for the first config of a node")]
    ModeAtFirst(&'static str),
    #[error("the node runs Talos {0}, which has no --mode reboot")]
    ModeReboot(String),
    #[error("the machine config's cluster endpoint is `{0}`, which is not the URL of an API server")]
    Endpoint(String),
    #[error("{0}")]
    Alone(Box<Error>),
    #[error("the change would reboot the node: {0}")]
    NeedsReboot(String),
    #[error("the node is in maintenance mode, and --insecure is not set")]
    Maintenance,
    #[error("the config that the node runs can't be read")]
    Running(#[source] machine_config::LoadError),
}

impl Error {
    /// The same without a stream: what helps is another.
    pub(crate) fn alone(self) -> Self {
        Self::Alone(Box::new(self))
    }
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        let guard = |code| Facts::new(Exit::Guard, code);
        match self {
            Self::Config(_) | Self::MachineType(_) => Facts::new(Exit::Unusable, Code::MachineConfig),
            Self::OtherRole { .. } => guard(Code::OtherRole)
                .hint("compare the node's `role` with the config file of its record (`status.config.file`)"),
            Self::RoleChange { .. } => {
                guard(Code::OtherRole).hint("a node can't change its role: reset it, or remove and recreate it")
            }
            Self::OtherCluster { .. } => guard(Code::OtherCluster),
            Self::OtherIdentity(_) => guard(Code::OtherCluster)
                .hint("check that secrets.yaml and the patches belong to the cluster that runs there"),
            Self::OtherMachine { .. } => {
                guard(Code::OtherMachine).hint("check whether another machine has this address")
            }
            Self::OtherFingerprint { .. } => {
                guard(Code::OtherMachine).hint(
                    "compare it with the last fingerprint on the node's console. A VM that never had a config is reset by \
                     the next run of the whole pipe, which reads its certificate anew; one that was reset since is, after \
                     `qm stop`. If they differ again, another machine answers there",
                )
            }
            Self::NoFingerprint { .. } => guard(Code::NoFingerprint).hint(
                "compare it with the last fingerprint on the node's console, and write that into the file (`fingerprint` of the node); with VM.Console, pve-vm reads it from there",
            ),
            Self::OtherHostname { .. } => guard(Code::OtherMachine).hint(
                "check that -n and -f name the same node; --other-machine allows it, for a node that gets another name",
            ),
            Self::OtherNics { .. } => guard(Code::OtherMachine).hint(
                "check that the address and the config belong to the same node; --other-machine allows it, for a node whose NICs were replaced",
            ),
            Self::ModeAtFirst(_) => Facts::new(Exit::Usage, Code::Usage)
                .hint("without --mode, the node takes the config for good; nothing was sent"),
            Self::ModeReboot(_) => Facts::new(Exit::Usage, Code::Usage)
                .hint("it makes every change while it runs: use --mode auto, or staged and `talosctl reboot`"),
            Self::Endpoint(_) => Facts::new(Exit::Unusable, Code::MachineConfig)
                .hint("write scheme, host and port, as in https://10.0.0.10:6443; in a patch, one without a scheme becomes a path"),
            Self::Alone(error) => match error.as_ref() {
                Self::OtherFingerprint { .. } => guard(Code::OtherMachine).hint(
                    "compare it with the last fingerprint on the node's console: it changes when the node boots or gets another name or address. If they differ, another machine answers there",
                ),
                Self::NoFingerprint { .. } => guard(Code::NoFingerprint).hint(
                    "compare it with the last fingerprint on the node's console, and give it with --cert-fingerprint",
                ),
                Self::OtherCluster { .. } | Self::OtherIdentity(_) => {
                    guard(Code::OtherCluster).hint("check that -n and -f belong to the same cluster")
                }
                Self::NeedsReboot(_) => guard(Code::NeedsReboot).hint("--reboot allows it"),
                other => other.facts(),
            },
            Self::Off(_) => Facts::new(Exit::Unusable, Code::MissingInput).hint(
                "`pve-vm --stopped` left it off: put talos-seed between talos-gen and talos-apply, or run pve-vm without \
                 --stopped",
            ),
            Self::Seeded(_) => guard(Code::OtherMachine).hint(
                "nothing was sent: another machine may answer there, or the node was reset. If it was reset, run the pipe \
                 without talos-seed; pve-vm then compares its certificate with its console",
            ),
            Self::TalosVersion { wanted, .. } => guard(Code::OtherVersion).hint(format!(
                "the pipe never upgrades: run `talosctl upgrade` to {wanted}, or set the running version in the file"
            )),
            Self::KubernetesVersion { wanted, .. } => guard(Code::OtherVersion).hint(format!(
                "the pipe never upgrades: run `talosctl upgrade-k8s --to {}`",
                wanted.trim_start_matches('v')
            )),
            Self::NeedsReboot(_) => {
                guard(Code::NeedsReboot).hint("--reboot allows it, one control plane after the other")
            }
            Self::Maintenance => Facts::new(Exit::NotAllowed, Code::Maintenance)
                .hint("-i connects to a node in maintenance mode, without credentials"),
            Self::Running(_) => Facts::new(Exit::Failed, Code::RunningConfig),
        }
    }
}

/// The failure of a config that the node itself refuses, in its own words.
pub(crate) fn refused_by_node(words: &str) -> Failure {
    Failure::new(Exit::Failed, Code::RefusedByNode, format!("the node refuses the config: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What helps in the pipe helps nobody with `-n`.
    #[test]
    fn hints_for_a_lone_node_speak_of_its_flags_and_not_of_the_pipe() {
        let shown = || "pnduMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=".to_owned();
        for (error, says) in [
            (Error::OtherFingerprint { found: shown(), given: shown() }, "console"),
            (Error::NoFingerprint { found: shown() }, "--cert-fingerprint"),
            (Error::OtherIdentity("machine.ca.crt"), "-n and -f"),
            (Error::NeedsReboot("machine.env".to_owned()), "--reboot"),
        ] {
            let (text, before) = (error.to_string(), error.facts());
            let alone = error.alone();
            let facts = alone.facts();
            assert_eq!((alone.to_string(), facts.exit, facts.code), (text, before.exit, before.code));
            let hint = facts.hint.expect("a hint");
            assert!(hint.contains(says) && !hint.contains("pipe") && !hint.contains("the file"), "{hint}");
        }
        let version = Error::MachineType("x".to_owned());
        assert_eq!(
            (version.facts(), Error::MachineType("x".to_owned()).alone().facts()),
            (version.facts(), version.facts())
        );
    }
}
