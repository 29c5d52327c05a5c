//! What changed in generated configs with which Talos release.

use std::fmt;

use talos_releases::{RELEASES, Release};

use go_yaml::Dialect;

/// A version contract: the Talos minor that a config is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contract {
    minor: u32,
}

/// Why a contract is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form `v1.12` or `v1.12.3`.
    #[error("error parsing version {0:?}")]
    Unreadable(String),
    /// A version that this program doesn't know.
    #[error("Talos {asked} isn't known here; {} to {} are", RELEASES[0], RELEASES[RELEASES.len() - 1])]
    Unknown {
        /// What was asked for.
        asked: String,
    },
}

/// A change in what is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// `features.diskQuotaSupport`.
    DiskQuota,
    /// `features.kubePrism`.
    KubePrism,
    /// `features.hostDNS`.
    HostDns,
    /// The service account key is RSA-4096, not P-256.
    RsaServiceAccount,
    /// Host DNS also answers for pods.
    ForwardKubeDns,
    /// Control planes are kept out of external load balancers by a label.
    LoadBalancerLabel,
    /// Workers know the cluster's name.
    WorkerClusterName,
    /// `<platform>-installer` instead of `installer` at the Image Factory.
    PlatformInstaller,
    /// Network and registries are documents of their own.
    NetworkDocuments,
    /// RBAC, key usage and pod security policy are no longer written.
    HideSettled,
    /// The endpoint's host is no longer written into the API server's names.
    NoEndpointName,
    /// `install.grubUseUKICmdline`.
    UkiCmdline,
    /// KubeSpan is a document of its own.
    KubeSpanDocument,
    /// No empty `machine.network`.
    NoEmptyNetwork,
    /// Kubernetes, discovery, install, sysctls are documents of their own.
    Documents,
    /// go-yaml v4 in Talos's own tools.
    EarlyYaml,
    /// go-yaml's newer quotes in Talos's own tools; cluster IDs in standard base64.
    NewerYaml,
}

/// Since which minor each gate is open.
const GATES: [(Gate, u32); 17] = [
    (Gate::DiskQuota, 5),
    (Gate::KubePrism, 6),
    (Gate::HostDns, 7),
    (Gate::RsaServiceAccount, 7),
    (Gate::ForwardKubeDns, 8),
    (Gate::LoadBalancerLabel, 8),
    (Gate::WorkerClusterName, 8),
    (Gate::PlatformInstaller, 10),
    (Gate::NetworkDocuments, 12),
    (Gate::EarlyYaml, 12),
    (Gate::HideSettled, 12),
    (Gate::NoEndpointName, 12),
    (Gate::UkiCmdline, 12),
    (Gate::KubeSpanDocument, 13),
    (Gate::NoEmptyNetwork, 13),
    (Gate::Documents, 14),
    (Gate::NewerYaml, 14),
];

impl Contract {
    /// The newest stable contract.
    pub const STABLE: Self = Self { minor: talos_releases::newest_stable() };

    /// Parses `v1.12`, `1.12` or `v1.12.3`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreadable = || Error::Unreadable(text.to_owned());
        let body = text.strip_prefix('v').unwrap_or(text);
        let mut parts = body.splitn(3, '.');
        let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
        let (major, minor) = (part().ok_or_else(unreadable)?, part().ok_or_else(unreadable)?);
        if major == 1 && talos_releases::find(minor).is_some() {
            Ok(Self { minor })
        } else {
            Err(Error::Unknown { asked: text.to_owned() })
        }
    }

    /// Every contract, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        RELEASES.iter().map(|release| Self { minor: release.minor })
    }

    /// The minor of Talos 1.x.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// Whether a change is in effect.
    pub fn has(self, gate: Gate) -> bool {
        GATES.iter().any(|(known, since)| *known == gate && self.minor >= *since)
    }

    /// The last default Kubernetes version of this Talos, without `v`.
    pub fn kubernetes(self) -> &'static str {
        self.release().kubernetes.trim_start_matches('v')
    }

    /// The minors of Kubernetes 1.x that this Talos supports, first and last.
    pub fn kubernetes_window(self) -> (u32, u32) {
        self.release().kubernetes_window()
    }

    /// Whether this Talos supports a Kubernetes version such as `v1.36.3`.
    pub fn supports_kubernetes(self, version: &str) -> bool {
        self.release().runs(version)
    }

    fn release(self) -> &'static Release {
        talos_releases::find(self.minor).expect("a contract is made of a release only")
    }

    /// The quotes and blocks of this Talos's own tools.
    pub fn dialect(self) -> Dialect {
        match self {
            _ if self.has(Gate::NewerYaml) => Dialect::V4,
            _ if self.has(Gate::EarlyYaml) => Dialect::V4Early,
            _ => Dialect::V3,
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}", self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_read_with_and_without_patch_level() {
        for text in ["v1.12", "1.12", "v1.12.3", "v1.12.0-rc.1"] {
            assert_eq!(Contract::parse(text).unwrap().to_string(), "v1.12");
        }
        assert!(Contract::parse("1").is_err());
        assert!(Contract::parse("v2.0").is_err());
        assert!(Contract::parse("v1.99").is_err());
    }
}
