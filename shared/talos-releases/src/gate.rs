//! What changed with which Talos release.

use crate::Version;

/// A change that came with a release.
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
    /// Names in expressions may stand in backquotes.
    QuotedNames,
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

impl Gate {
    /// The minor of Talos 1.x since which it is in effect.
    #[must_use]
    pub const fn since(self) -> u32 {
        match self {
            Self::DiskQuota => 5,
            Self::KubePrism => 6,
            Self::HostDns | Self::RsaServiceAccount => 7,
            Self::ForwardKubeDns | Self::LoadBalancerLabel | Self::WorkerClusterName => 8,
            Self::PlatformInstaller => 10,
            Self::NetworkDocuments
            | Self::EarlyYaml
            | Self::HideSettled
            | Self::NoEndpointName
            | Self::UkiCmdline
            | Self::QuotedNames => 12,
            Self::KubeSpanDocument | Self::NoEmptyNetwork => 13,
            Self::Documents | Self::NewerYaml => 14,
        }
    }

    /// Whether it is in effect in a version.
    #[must_use]
    pub fn is_open_in(self, version: Version) -> bool {
        version.minor() >= (1, self.since())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_from_its_release_on() {
        let open = |text: &str| Gate::PlatformInstaller.is_open_in(text.parse().unwrap());
        assert_eq!(["v1.9.6", "v1.10.0-alpha.0", "v1.13.9", "v2.0.0"].map(open), [false, true, true, true]);
    }
}
