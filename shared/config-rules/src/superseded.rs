//! A setting in a document must not be in the legacy document as well.

use machine_config::Config;
use machine_config::kinds::LEGACY;

use crate::lookup::Lookup;

/// When a place of the legacy document counts as used.
#[derive(Clone, Copy)]
enum When {
    /// Something is set there, even if it is empty.
    Set,
    /// A value that isn't empty is set there.
    NotEmpty,
    /// A switch is on.
    On,
}

use When::{NotEmpty, On, Set};

/// Kind, place in the legacy document, when they exclude each other, and Talos's message. A kind's first one is
/// reported.
const SUPERSEDED: &[(&str, &str, When, &str)] = &[
    ("HostnameConfig", "machine.network.hostname", NotEmpty, "static hostname is already set in v1alpha1 config"),
    ("HostnameConfig", "machine.features.stableHostname", On, "stable hostname is already set in v1alpha1 config"),
    ("ResolverConfig", "machine.network.searchDomains", Set, ALREADY),
    ("ResolverConfig", "machine.network.nameservers", NotEmpty, ALREADY),
    ("ResolverConfig", "machine.network.disableSearchDomain", On, ALREADY),
    ("ResolverConfig", "machine.features.hostDNS", Set, ALREADY),
    (
        "TimeSyncConfig",
        "machine.time.disabled",
        On,
        "time sync cannot be disabled in both v1alpha1 and new-style configuration",
    ),
    (
        "TimeSyncConfig",
        "machine.time.servers",
        NotEmpty,
        "time servers cannot be specified in both v1alpha1 and new-style configuration",
    ),
    (
        "TimeSyncConfig",
        "machine.time.bootTimeout",
        NotEmpty,
        "boot timeout cannot be specified in both v1alpha1 and new-style configuration",
    ),
    (
        "KubeSpanConfig",
        "machine.network.kubespan",
        Set,
        "kubespan is already configured in v1alpha1 machine.network.kubespan",
    ),
    ("KubeletConfig", "machine.kubelet", Set, "kubelet config is already set in v1alpha1 config (.machine.kubelet)"),
    (
        "KubeCredentialProviderConfig",
        "machine.kubelet",
        Set,
        "cannot use KubeCredentialProviderConfig with legacy kubelet configuration (.machine.kubelet)",
    ),
    ("KubeNodeConfig", "cluster.allowSchedulingOnControlPlanes", Set, ALREADY),
    ("KubeNodeConfig", "cluster.allowSchedulingOnMasters", Set, ALREADY),
    ("KubeNodeConfig", "machine.kubelet.skipNodeRegistration", Set, ALREADY),
    ("KubeNodeConfig", "machine.kubelet.registerWithFQDN", Set, ALREADY),
    ("KubeNodeConfig", "machine.kubelet.nodeIP", Set, ALREADY),
    ("KubeNodeConfig", "machine.nodeLabels", Set, ALREADY),
    ("KubeNodeConfig", "machine.nodeAnnotations", Set, ALREADY),
    ("KubeNodeConfig", "machine.nodeTaints", Set, ALREADY),
    (
        "KubeClusterConfig",
        "cluster.clusterName",
        NotEmpty,
        "cluster name is already set in the v1alpha1 config (.cluster.clusterName). Please remove it and use only the new KubeClusterConfig document to avoid conflicts",
    ),
    (
        "KubeClusterConfig",
        "cluster.controlPlane.endpoint",
        Set,
        "cluster endpoint is already set in the v1alpha1 config (.cluster.controlPlane.endpoint). Please remove it and use only the new KubeClusterConfig document to avoid conflicts",
    ),
    (
        "KubeNetworkConfig",
        "cluster.network",
        Set,
        "cluster network config is already set in the v1alpha1 config (.machine.cluster.network). Please remove it and use only the new KubeNetworkConfig document to avoid conflicts",
    ),
    (
        "KubeFlannelCNIConfig",
        "cluster.network",
        Set,
        "cluster network config in v1alpha1 config (.machine.cluster.network) can't be used with KubeFlannelCNIConfig document, please remove it to avoid conflicts",
    ),
    (
        "KubeAPIServerConfig",
        "cluster.apiServer",
        Set,
        "kube-apiserver config is already set in v1alpha1 config (.cluster.apiServer)",
    ),
    (
        "KubeAPIServerConfig",
        "cluster.controlPlane.localAPIServerPort",
        NotEmpty,
        "kube-apiserver API port is already set in v1alpha1 config (.cluster.controlPlane.localAPIServerPort)",
    ),
    ("KubeAPIServerCAConfig", "cluster.ca", Set, "kube-apiserver CA is already set in v1alpha1 config (.cluster.ca)"),
    (
        "KubeAggregatorCAConfig",
        "cluster.aggregatorCA",
        Set,
        "kube-apiserver aggregator CA is already set in v1alpha1 config (.cluster.aggregatorCA), please remove it and use the new KubeAggregatorCAConfig document instead",
    ),
    (
        "KubeServiceAccountConfig",
        "cluster.serviceAccount",
        Set,
        "service account is already set in v1alpha1 config (.cluster.serviceAccount)",
    ),
    (
        "KubeEtcdEncryptionConfig",
        "cluster.secretboxEncryptionSecret",
        NotEmpty,
        "etcd encryption config is already set in v1alpha1 config",
    ),
    (
        "KubeEtcdEncryptionConfig",
        "cluster.aescbcEncryptionSecret",
        NotEmpty,
        "etcd encryption config is already set in v1alpha1 config",
    ),
    (
        "KubeControllerManagerConfig",
        "cluster.controllerManager",
        Set,
        "kube-controller-manager config is already set in v1alpha1 config (.cluster.controllerManager)",
    ),
    (
        "KubeControllerManagerConfig",
        "machine.controlPlane.controllerManager",
        Set,
        "kube-controller-manager config is already set in v1alpha1 config (.machine.controlplane.controllerManager)",
    ),
    (
        "KubeSchedulerConfig",
        "cluster.scheduler",
        Set,
        "kube-scheduler config is already set in v1alpha1 config (.cluster.scheduler)",
    ),
    (
        "KubeSchedulerConfig",
        "machine.controlPlane.scheduler",
        Set,
        "kube-scheduler config is already set in v1alpha1 config (.machine.controlplane.scheduler)",
    ),
    (
        "KubeProxyConfig",
        "cluster.proxy",
        Set,
        "cluster proxy config in v1alpha1 config (.machine.cluster.proxy) can't be used with KubeProxyConfig document, please remove it to avoid conflicts",
    ),
    (
        "KubeCoreDNSConfig",
        "cluster.coreDNS",
        Set,
        "CoreDNS config is already set in v1alpha1 config (.cluster.coreDNS)",
    ),
    (
        "KubePrismConfig",
        "machine.features.kubePrism",
        Set,
        "KubePrism config in v1alpha1 config (.machine.features.kubePrism) can't be used with KubePrismConfig document, please remove it to avoid conflicts",
    ),
    (
        "KubeAdmissionControlConfig",
        "cluster.apiServer.admissionControl",
        NotEmpty,
        "admission control plugin config is already set in v1alpha1 config",
    ),
    (
        "KubeAuthorizerConfig",
        "cluster.apiServer.admissionControl",
        NotEmpty,
        "admission control plugin config is already set in v1alpha1 config",
    ),
    (
        "KubeAuditPolicyConfig",
        "cluster.apiServer.auditPolicy",
        NotEmpty,
        "audit policy config is already set in v1alpha1 config",
    ),
    ("KubeTalosAPIAccessConfig", "machine.features.kubernetesTalosAPIAccess", Set, ALREADY),
    (
        "DiscoveryServiceConfig",
        "cluster.discovery",
        Set,
        "discovery service is already configured in .cluster.discovery of the v1alpha1 config",
    ),
    (
        "DiscoveryIdentityConfig",
        "cluster.id",
        NotEmpty,
        "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config",
    ),
    (
        "DiscoveryIdentityConfig",
        "cluster.secret",
        NotEmpty,
        "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config",
    ),
    (
        "UnattendedInstallConfig",
        "machine.install",
        Set,
        "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)",
    ),
    (
        "CRIBaseRuntimeSpecConfig",
        "machine.baseRuntimeSpecOverrides",
        NotEmpty,
        "base runtime spec overrides are already set in v1alpha1 config",
    ),
    ("ImageCacheConfig", "machine.features.imageCache", Set, "image cache config is already set in v1alpha1 config"),
];

/// The message that follows the place.
const ALREADY: &str = "is already set in v1alpha1 config";

/// Every conflict, by document.
pub(crate) fn found(config: &Config) -> Vec<String> {
    let legacy = config.find(LEGACY.name).map_or(Lookup::Nothing, Lookup::Fields);
    let documents = config.documents().iter().filter(|document| !document.kind.is_legacy());
    documents
        .flat_map(|document| {
            let (kind, fields) = (document.kind.name, Lookup::Fields(&document.fields));
            table(kind, fields, legacy).or_else(|| encryption(kind, fields, legacy))
        })
        .collect()
}

fn table(kind: &str, fields: Lookup<'_>, legacy: Lookup<'_>) -> Option<String> {
    let used = |(of, path, when, _): &&(&str, &str, When, &str)| {
        let place = legacy.at(path);
        let is_used = match when {
            Set => place.is_set(),
            NotEmpty => !place.is_zero() && place.text() != "0s",
            On => place.is_on(),
        };
        // A resolver document without host DNS leaves host DNS to the legacy document.
        *of == kind && is_used && (*path != "machine.features.hostDNS" || fields.at("hostDNS").is_set())
    };
    let (_, path, _, text) = SUPERSEDED.iter().find(used)?;
    let place = if *text == ALREADY { format!(".{path} ") } else { String::new() };
    Some(format!("{place}{text}"))
}

/// The two volumes whose encryption the legacy document knows.
fn encryption(kind: &str, fields: Lookup<'_>, legacy: Lookup<'_>) -> Option<String> {
    let name = fields.at("name").text();
    let legacy = match (kind, name) {
        ("VolumeConfig", "STATE") => legacy.at("machine.systemDiskEncryption.state"),
        ("VolumeConfig", "EPHEMERAL") => legacy.at("machine.systemDiskEncryption.ephemeral"),
        _ => return None,
    };
    let both = legacy.is_set() && !fields.at("encryption").is_zero();
    both.then(|| format!("system disk encryption for {name:?} is configured in both v1alpha1.Config and VolumeConfig"))
}

#[cfg(test)]
mod tests {
    use super::{LEGACY, SUPERSEDED};
    use machine_config::kinds;
    use machine_config::schema::{Schema, Type};

    fn has(shape: &Schema, path: &str) -> bool {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        shape.field(key).is_some_and(|field| match field.ty {
            Type::Struct(inner) if !rest.is_empty() => has(inner, rest),
            _ => rest.is_empty(),
        })
    }

    #[test]
    fn what_is_superseded_is_of_kinds_and_places_of_the_table() {
        for (kind, path, ..) in SUPERSEDED {
            assert!(kinds::kind(kind).is_some() && has(LEGACY.schema, path), "{kind}: {path}");
        }
    }
}
