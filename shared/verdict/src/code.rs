//! The codes of errors.

/// Declares [`Code`] with its words and meanings in one place.
macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $word:literal,)+) => {
        /// The code of an error: a short word that scripts read. Codes are frozen: one is never renamed or reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Code {
            /// Every code, in the order of the README's list.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in records.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    /// The call is wrong: a flag, an argument, or how they are combined.
    Usage = "usage",
    /// The input is neither records nor a cluster file, or breaks the contract.
    UnusableInput = "unusable-input",
    /// No input: the previous command wrote nothing.
    NoInput = "no-input",
    /// The input ended without its last line: an earlier step was stopped.
    Cut = "cut",
    /// A listed node is missing from the input.
    MissingNode = "missing-node",
    /// A field that this step needs is missing; the message names the step that writes it.
    MissingInput = "missing-input",
    /// A field that this step needs is only planned, by a dry run.
    PendingInput = "pending-input",
    /// A file is not the one that the record or ichor.lock refers to: its SHA-256 differs.
    DigestMismatch = "digest-mismatch",
    /// A script in the pipe wrote an error in an unknown form.
    UnknownError = "unknown-error",
    /// The step was stopped before it did this.
    Interrupted = "interrupted",
    /// A bug in the program.
    Internal = "internal",
    /// The condition did not hold in time.
    Timeout = "timeout",
    /// Another run is using the same cluster or file.
    Busy = "busy",
    /// The server can't be reached, or is not ready.
    Unreachable = "unreachable",
    /// A control plane that must be asked can't be reached.
    NoAnswer = "no-answer",
    /// Credentials are missing or wrong, or lack a privilege.
    NotAllowed = "not-allowed",
    /// The certificate of a server is not trusted.
    Untrusted = "untrusted",
    /// Credentials have expired.
    Expired = "expired",
    /// The call failed, and trying again won't help.
    Failed = "failed",
    /// A file can't be read or written.
    File = "file",
    /// The output can't be written.
    Output = "output",
    /// A file exists already.
    Exists = "exists",
    /// Secrets would have been printed on a terminal.
    Terminal = "terminal",
    /// The operating system returns no random numbers.
    NoRandomness = "no-randomness",
    /// There is no result to print.
    NoResult = "no-result",
    /// A value of the cluster file can't be used.
    Spec = "spec",
    /// A version can't be used.
    Version = "version",
    /// A schematic can't be used, or the factory doesn't know it.
    Schematic = "schematic",
    /// An extension doesn't exist for this version.
    Extension = "extension",
    /// A patch can't be used.
    Patch = "patch",
    /// A machine config can't be used.
    MachineConfig = "machine-config",
    /// A secrets bundle can't be used.
    Secrets = "secrets",
    /// The secrets that the cluster was created with are missing.
    SecretsGone = "secrets-gone",
    /// Keys or certificates can't be created.
    Pki = "pki",
    /// A kind, field or word that Talos doesn't know.
    Unknown = "unknown",
    /// The Image Factory refused the call.
    FactoryRefused = "factory-refused",
    /// Proxmox VE refused the call.
    ProxmoxRefused = "proxmox-refused",
    /// The endpoint or token for Proxmox VE is missing or malformed.
    ProxmoxSettings = "proxmox-settings",
    /// A VM is protected from being destroyed.
    Protected = "protected",
    /// Another operation holds a lock on the VM: a backup, a migration, a creation.
    Locked = "locked",
    /// Too few hosts of Proxmox VE are connected to change anything.
    NoQuorum = "no-quorum",
    /// A volume of a VM that was destroyed could not be removed.
    Leftover = "leftover",
    /// A VM ID is taken, or none is free.
    Vmid = "vmid",
    /// The image is not on the storage that the VM needs.
    Image = "image",
    /// A storage is missing, inactive, or doesn't allow the content.
    Storage = "storage",
    /// Proxmox VE can't import this image.
    Import = "import",
    /// No host can hold the VM.
    Placement = "placement",
    /// The input names another Proxmox VE than the environment or ichor.lock: the API token is not sent there.
    OtherEndpoint = "other-endpoint",
    /// A VM of this cluster's name was created from another ichor.lock.
    OtherLock = "other-lock",
    /// A VM of this name doesn't belong to the cluster.
    NotOurs = "not-ours",
    /// A VM can't be adopted as it is.
    NotAdoptable = "not-adoptable",
    /// Nothing says whether a VM that left the cluster file is a control plane or a worker.
    UnknownRole = "unknown-role",
    /// Two VMs or nodes share one identity.
    Ambiguous = "ambiguous",
    /// The host of a VM is offline.
    HostOffline = "host-offline",
    /// The change restarts a running node or VM: --reboot allows it.
    NeedsReboot = "needs-reboot",
    /// The change destroys and recreates a VM: --recreate allows it.
    NeedsRecreate = "needs-recreate",
    /// An empty disk would take the place of one with data: --replace-disk allows it.
    NeedsDisk = "needs-disk",
    /// A disk is in another slot than it was made for.
    MovedDisk = "moved-disk",
    /// etcd can't do without this control plane: others are not healthy, or too few.
    OneAtATime = "one-at-a-time",
    /// The address belongs to another VM of the cluster.
    AddressTaken = "address-taken",
    /// No address of the node is known.
    NoAddress = "no-address",
    /// Destroying was not confirmed.
    Unconfirmed = "unconfirmed",
    /// Proxmox VE lacks something that is needed: a privilege, a host, a storage.
    Unfit = "unfit",
    /// A talosconfig can't be used.
    Talosconfig = "talosconfig",
    /// A kubeconfig can't be used.
    Kubeconfig = "kubeconfig",
    /// The node, config, secrets or file belong to another cluster.
    OtherCluster = "other-cluster",
    /// The machine at this address is not the expected one.
    OtherMachine = "other-machine",
    /// No fingerprint is known of a machine that would get its first config.
    NoFingerprint = "no-fingerprint",
    /// Node and config have different roles.
    OtherRole = "other-role",
    /// The node's version differs from the one in the file.
    OtherVersion = "other-version",
    /// The node at this address is not known.
    UnknownNode = "unknown-node",
    /// The node refused its config.
    RefusedByNode = "refused-by-node",
    /// The node is in maintenance mode.
    Maintenance = "maintenance",
    /// The node is configured already.
    Configured = "configured",
    /// The config that the node runs can't be read.
    RunningConfig = "running-config",
    /// A control plane isn't healthy after its change, so the others were not changed.
    Halted = "halted",
    /// Two etcd clusters exist where there should be one.
    Split = "split",
    /// etcd was bootstrapped before and has no member left: restore a snapshot, or --fresh starts an empty one.
    EtcdLost = "etcd-lost",
    /// The etcd that runs is not the one that ichor.lock remembers.
    OtherEtcd = "other-etcd",
    /// etcd was stopped for good while it was starting: only a reboot of the node starts it again.
    EtcdStuck = "etcd-stuck",
    /// The step would act on a node that --only excludes.
    NotSelected = "not-selected",
}

impl Code {
    /// The list of codes as Markdown.
    #[must_use]
    pub fn markdown() -> String {
        let row = |code: &Self| format!("| `{}` | {} |\n", code.as_str(), code.meaning());
        let rows: String = Self::ALL.iter().map(row).collect();
        format!("| code | meaning |\n|---|---|\n{rows}")
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_words_with_a_meaning() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            let word = code.as_str();
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{word}");
            assert!(seen.insert(word), "{word} stands for two codes");
            assert!(code.meaning().ends_with('.'), "{word}: {}", code.meaning());
        }
    }

    #[test]
    fn a_code_that_scripts_read_is_never_renamed() {
        const FROZEN: &str = "\
        usage unusable-input no-input cut missing-node missing-input pending-input digest-mismatch \
        unknown-error interrupted internal timeout busy unreachable no-answer not-allowed untrusted \
        expired failed file output exists terminal no-randomness no-result spec version schematic \
        extension patch machine-config secrets secrets-gone pki unknown factory-refused \
        proxmox-refused proxmox-settings protected vmid image storage import placement other-lock \
        not-ours ambiguous host-offline needs-reboot needs-recreate one-at-a-time address-taken \
        no-address unconfirmed unfit talosconfig kubeconfig other-cluster other-machine other-role \
        other-version unknown-node refused-by-node maintenance configured running-config halted \
        split not-selected locked no-quorum leftover needs-disk moved-disk \
        etcd-lost other-etcd etcd-stuck";
        let known: std::collections::HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let gone: Vec<_> = FROZEN.split_whitespace().filter(|word| !known.contains(word)).collect();
        assert_eq!(gone, [""; 0]);
    }
}
