//! Rules for each document by itself, by kind.

mod cluster;
mod container;
mod images;
mod kubernetes;
mod links;
mod network;
mod storage;
mod system;
mod volumes;

use super::{Report, View, view};
use crate::config::Document;
use crate::contract::Contract;

/// A rule for the documents of a kind.
pub(super) type Rule = fn(View<'_>, &mut Report);

/// The rules by kind; kinds that aren't here have none.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("BGPInstanceConfig", network::bgp),
    ("BlackholeRouteConfig", network::blackhole),
    ("BondConfig", links::bond),
    ("BridgeConfig", links::named),
    ("CRICustomizationConfig", images::customization),
    ("ContainerConfig", container::container),
    ("DHCPv4Config", network::dhcp),
    ("DHCPv6Config", network::dhcp),
    ("DiscoveryIdentityConfig", cluster::identity),
    ("DiscoveryServiceConfig", cluster::service),
    ("DummyLinkConfig", links::named),
    ("EnvironmentConfig", system::environment),
    ("EtcFileConfig", system::etc_file),
    ("EthernetConfig", system::name),
    ("EventSinkConfig", system::event_sink),
    ("ExistingVolumeConfig", volumes::existing),
    ("ExtensionServiceConfig", system::extension),
    ("ExternalVolumeConfig", volumes::external),
    ("FilesystemScrubConfig", volumes::scrub),
    ("FilesystemTrimConfig", volumes::trim),
    ("HCloudVIPConfig", network::hcloud_vip),
    ("HTTPProbeConfig", network::http_probe),
    ("HostnameConfig", network::hostname),
    ("ImageVerificationConfig", images::verification),
    ("KernelModuleConfig", system::name),
    ("KmsgLogConfig", system::kmsg_log),
    ("KubeAPIServerCAConfig", kubernetes::api_server_ca),
    ("KubeAPIServerConfig", kubernetes::api_server),
    ("KubeAdmissionControlConfig", kubernetes::admission),
    ("KubeAggregatorCAConfig", kubernetes::aggregator_ca),
    ("KubeAuthorizerConfig", kubernetes::authorizer),
    ("KubeClusterConfig", cluster::kubernetes),
    ("KubeControllerManagerConfig", kubernetes::controller_manager),
    ("KubeEtcdEncryptionConfig", kubernetes::etcd_encryption),
    ("KubeExternalManifestConfig", kubernetes::external_manifest),
    ("KubeFlannelCNIConfig", cluster::flannel),
    ("KubeInlineManifestConfig", kubernetes::inline_manifest),
    ("KubeNetworkConfig", cluster::network),
    ("KubeNodeConfig", cluster::node),
    ("KubePrismConfig", kubernetes::prism),
    ("KubeProxyConfig", kubernetes::proxy),
    ("KubeSchedulerConfig", kubernetes::scheduler),
    ("KubeServiceAccountConfig", kubernetes::service_account),
    ("KubeSpanConfig", network::kubespan),
    ("KubeStaticPodConfig", kubernetes::static_pod),
    ("KubeTalosAPIAccessConfig", kubernetes::api_access),
    ("KubeletConfig", kubernetes::kubelet),
    ("LVMLogicalVolumeConfig", storage::logical_volume),
    ("LVMVolumeGroupConfig", storage::volume_group),
    ("Layer2VIPConfig", network::vip),
    ("LinkAliasConfig", links::alias),
    ("LinkConfig", links::named),
    ("NetworkRuleConfig", network::rule),
    ("OOMConfig", system::oom),
    ("RAIDArrayConfig", storage::raid),
    ("RawVolumeConfig", volumes::raw),
    ("RegistryAuthConfig", images::auth),
    ("RegistryMirrorConfig", images::mirror),
    ("RegistryTLSConfig", images::tls),
    ("ResolverConfig", network::resolver),
    ("RoutingRuleConfig", network::routing_rule),
    ("SideroLinkConfig", system::siderolink),
    ("StaticHostConfig", network::static_host),
    ("SwapVolumeConfig", volumes::swap),
    ("SysctlConfig", system::sysctl),
    ("SysfsConfig", system::sysfs),
    ("TCPProbeConfig", network::tcp_probe),
    ("TimeSyncConfig", network::time),
    ("UnattendedInstallConfig", storage::install),
    ("UserVolumeConfig", volumes::user),
    ("VLANConfig", links::vlan),
    ("VRFConfig", links::vrf),
    ("VethConfig", links::veth),
    ("VolumeConfig", volumes::system),
    ("WatchdogTimerConfig", system::watchdog),
    ("WireguardConfig", links::wireguard),
    ("ZswapConfig", volumes::zswap),
];

pub(super) fn check(document: &Document, contract: Contract, report: &mut Report) {
    let Some((_, rule)) = RULES.iter().find(|(kind, _)| *kind == document.kind.name) else { return };
    let mut own = Report { minor: contract.minor(), ..Report::default() };
    rule(view(document), &mut own);
    let identity = document.identity();
    report.errors.extend(own.errors.into_iter().map(|text| format!("{identity}: {text}")));
    report.warnings.extend(own.warnings.into_iter().map(|text| format!("{identity}: {text}")));
}

/// The document's name.
fn name<'a>(fields: View<'a>) -> &'a str {
    fields.at("name").text()
}

/// A field without which a document means nothing.
fn required(fields: View<'_>, path: &str, text: &str, report: &mut Report) {
    if fields.at(path).text().is_empty() {
        report.error(text);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_rule_is_for_a_kind_that_exists() {
        for (kind, _) in super::RULES {
            assert!(crate::kinds::kind(kind).is_some(), "{kind}");
        }
        assert!(super::RULES.is_sorted_by_key(|(kind, _)| kind));
    }
}
