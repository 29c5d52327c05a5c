//! What changed in generated configs with which Talos release.

use std::fmt;

use crate::yaml::Dialect;

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
    #[error("Talos {asked} isn't known here; v1.{OLDEST} to v1.{NEWEST} are")]
    Unknown {
        /// What was asked for.
        asked: String,
    },
}

/// The oldest contract that can be generated.
const OLDEST: u32 = 3;
/// The newest contract that can be generated.
const NEWEST: u32 = 15;

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

/// Since which minor each gate is open. A new release adds its lines here.
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

/// The last default Kubernetes of each Talos minor; before 1.6, the last patch of that Kubernetes minor.
const KUBERNETES: [(u32, &str); 13] = [
    (3, "1.26.15"),
    (4, "1.27.16"),
    (5, "1.28.15"),
    (6, "1.29.7"),
    (7, "1.30.5"),
    (8, "1.31.4"),
    (9, "1.32.4"),
    (10, "1.33.6"),
    (11, "1.34.1"),
    (12, "1.35.4"),
    (13, "1.36.3"),
    (14, "1.37.0-rc.0"),
    (15, "1.37.0-rc.1"),
];

/// How many minors of Kubernetes a Talos supports, its default being the newest.
const KUBERNETES_WINDOW: u32 = 6;

impl Contract {
    /// The newest stable contract.
    pub const STABLE: Self = Self { minor: 13 };

    /// Parses `v1.12`, `1.12` or `v1.12.3`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreadable = || Error::Unreadable(text.to_owned());
        let body = text.strip_prefix('v').unwrap_or(text);
        let mut parts = body.splitn(3, '.');
        let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
        let (major, minor) = (part().ok_or_else(unreadable)?, part().ok_or_else(unreadable)?);
        if major == 1 && (OLDEST..=NEWEST).contains(&minor) {
            Ok(Self { minor })
        } else {
            Err(Error::Unknown { asked: text.to_owned() })
        }
    }

    /// Every contract, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (OLDEST..=NEWEST).map(|minor| Self { minor })
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
        let row = KUBERNETES.iter().find(|(minor, _)| *minor == self.minor);
        row.expect("every contract from OLDEST to NEWEST has a row, which a test holds").1
    }

    /// The minors of Kubernetes 1.x that this Talos supports, first and last.
    pub fn kubernetes_window(self) -> (u32, u32) {
        let newest =
            kubernetes_minor(self.kubernetes()).expect("the versions of the table are readable, which a test holds");
        (newest + 1 - KUBERNETES_WINDOW, newest)
    }

    /// Whether this Talos supports a Kubernetes version such as `v1.36.3`.
    pub fn supports_kubernetes(self, version: &str) -> bool {
        let (oldest, newest) = self.kubernetes_window();
        kubernetes_minor(version).is_some_and(|minor| (oldest..=newest).contains(&minor))
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

/// The minor of a Kubernetes 1.x version, with or without `v`.
fn kubernetes_minor(version: &str) -> Option<u32> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).split('.');
    let major = parts.next()?;
    let minor = parts.next()?.parse().ok()?;
    parts.next().filter(|_| major == "1").map(|_| minor)
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

    #[test]
    fn every_contract_has_its_kubernetes() {
        for contract in Contract::all() {
            assert!(contract.supports_kubernetes(contract.kubernetes()), "{contract}");
        }
        assert!(!Contract::STABLE.supports_kubernetes("v1.30.0"));
        assert!(Contract::STABLE.supports_kubernetes("1.31.0"));
    }
}
