//! What stands in a document must not stand in the legacy document as well.

use super::is_set;
use crate::config::Config;

/// Kind, path in the legacy document, and what is said about it.
const CONFLICTS: &[(&str, &str, &str)] = &[
    ("HostnameConfig", "machine.network.hostname", "static hostname is already set in v1alpha1 config"),
    ("HostnameConfig", "machine.features.stableHostname", "stable hostname is already set in v1alpha1 config"),
    ("ResolverConfig", "machine.network.nameservers", SET),
    ("ResolverConfig", "machine.network.searchDomains", SET),
    ("ResolverConfig", "machine.network.disableSearchDomain", SET),
    ("TimeSyncConfig", "machine.time", SET),
    ("KubeletConfig", "machine.kubelet", SET),
    ("KubeNodeConfig", "machine.nodeLabels", SET),
    ("KubeNodeConfig", "machine.nodeAnnotations", SET),
    ("KubeNodeConfig", "machine.nodeTaints", SET),
    ("KubeNodeConfig", "cluster.allowSchedulingOnControlPlanes", SET),
    ("KubeNodeConfig", "cluster.allowSchedulingOnMasters", SET),
    ("KubeClusterConfig", "cluster.clusterName", SET),
    ("KubeClusterConfig", "cluster.controlPlane.endpoint", SET),
    ("KubeNetworkConfig", "cluster.network", SET),
    ("KubeFlannelCNIConfig", "cluster.network", SET),
    ("KubeAPIServerConfig", "cluster.apiServer", SET),
    ("KubeAPIServerConfig", "cluster.controlPlane.localAPIServerPort", SET),
    ("KubeAPIServerCAConfig", "cluster.ca", SET),
    ("KubeAggregatorCAConfig", "cluster.aggregatorCA", SET),
    ("KubeServiceAccountConfig", "cluster.serviceAccount", SET),
    ("KubeEtcdEncryptionConfig", "cluster.secretboxEncryptionSecret", SET),
    ("KubeEtcdEncryptionConfig", "cluster.aescbcEncryptionSecret", SET),
    ("KubeControllerManagerConfig", "cluster.controllerManager", SET),
    ("KubeSchedulerConfig", "cluster.scheduler", SET),
    ("KubeProxyConfig", "cluster.proxy", SET),
    ("KubeCoreDNSConfig", "cluster.coreDNS", SET),
    ("KubePrismConfig", "machine.features.kubePrism", SET),
    ("DiscoveryServiceConfig", "cluster.discovery", SET),
    ("DiscoveryIdentityConfig", "cluster.id", SET),
    ("DiscoveryIdentityConfig", "cluster.secret", SET),
    ("UnattendedInstallConfig", "machine.install", SET),
    ("KubeSpanConfig", "machine.network.kubespan", SET),
];

/// Said with the path behind it.
const SET: &str = "incompatible with v1alpha1 config";

/// Every conflict.
pub(super) fn found(config: &Config) -> Vec<String> {
    let clash = |(kind, path, text): &(&str, &str, &str)| {
        let parts: Vec<&str> = path.split('.').collect();
        let both = config.find(kind).is_some() && is_set(config, &parts) && !is_off(config, &parts);
        let place = if *text == SET { format!(" (.{path})") } else { String::new() };
        both.then(|| format!("{kind}: {text}{place}"))
    };
    CONFLICTS.iter().filter_map(clash).collect()
}

/// A switch that is off sets nothing.
fn is_off(config: &Config, path: &[&str]) -> bool {
    config.legacy(path) == Some(&crate::value::Value::Bool(false))
}
