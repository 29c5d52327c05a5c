//! The rules that Talos has for each kind of document. The kinds themselves know nothing of rules.

use crate::documents::{cluster, container, images, kubernetes, links, network, storage, system, volumes};
use crate::rule::Rule;

/// What Talos refuses in documents of a kind, beyond the constraints of their fields.
#[derive(Debug)]
pub(crate) struct Row {
    /// The kind's name.
    pub(crate) kind: &'static str,
    /// Its rules, in the order in which Talos goes through them.
    pub(crate) rules: &'static [Rule],
    /// Whether Talos reports only the first thing that is wrong with it.
    pub(crate) first_only: bool,
}

impl Row {
    const fn first_only(mut self) -> Self {
        self.first_only = true;
        self
    }
}

const fn row(kind: &'static str, rules: &'static [Rule]) -> Row {
    Row { kind, rules, first_only: false }
}

/// The row of a kind.
pub(crate) fn of(kind: &str) -> Option<&'static Row> {
    ROWS.binary_search_by_key(&kind, |row| row.kind).ok().map(|index| &ROWS[index])
}

/// Every kind except the legacy document, by name; kinds without rules are listed too.
pub(crate) static ROWS: &[Row] = &[
    row("BGPInstanceConfig", &[Rule::new(network::bgp)]),
    row("BlackholeRouteConfig", &[Rule::new(network::blackhole)]),
    row("BondConfig", &[Rule::new(links::bond), Rule::new(links::primary).since(15)]),
    row("BridgeConfig", &[Rule::new(links::common)]),
    row("CRIBaseRuntimeSpecConfig", &[Rule::new(images::base_runtime_spec)]),
    row("CRICustomizationConfig", &[Rule::new(images::customization)]),
    row("ContainerConfig", &[Rule::new(container::container)]),
    row("DHCPv4Config", &[Rule::new(network::dhcp)]),
    row("DHCPv6Config", &[Rule::new(network::dhcp)]),
    row("DiscoveryIdentityConfig", &[Rule::new(cluster::identity)]).first_only(),
    row("DiscoveryServiceConfig", &[Rule::new(cluster::service)]).first_only(),
    row("DummyLinkConfig", &[Rule::new(links::common)]),
    row("EnvironmentConfig", &[Rule::new(system::environment)]),
    row("EtcFileConfig", &[Rule::new(system::etc_file)]).first_only(),
    row("EthernetConfig", &[]).first_only(),
    row("EventSinkConfig", &[Rule::new(system::event_sink)]).first_only(),
    row("ExistingVolumeConfig", &[Rule::new(volumes::existing)]),
    row("ExtensionServiceConfig", &[Rule::new(system::extension)]).first_only(),
    row("ExternalVolumeConfig", &[Rule::new(volumes::external)]),
    row("FilesystemScrubConfig", &[]),
    row("FilesystemTrimConfig", &[]).first_only(),
    row("HCloudVIPConfig", &[Rule::new(network::vip)]),
    row("HTTPProbeConfig", &[Rule::new(network::http_probe)]),
    row("HostnameConfig", &[Rule::new(network::hostname)]),
    row("ImageCacheConfig", &[]),
    row(
        "ImageVerificationConfig",
        &[
            Rule::new(images::verification),
            Rule::new(images::older_pattern).before(14),
            Rule::new(images::pattern_form).since(14),
        ],
    ),
    row("KernelModuleConfig", &[]),
    row("KmsgLogConfig", &[Rule::new(system::kmsg_log)]).first_only(),
    row("KubeAPIServerCAConfig", &[Rule::new(kubernetes::api_server_ca)]),
    row("KubeAPIServerConfig", &[Rule::new(kubernetes::api_server)]),
    row("KubeAdmissionControlConfig", &[]),
    row("KubeAggregatorCAConfig", &[Rule::new(kubernetes::api_server_ca)]),
    row("KubeAuditPolicyConfig", &[]),
    row("KubeAuthenticationConfig", &[]),
    row("KubeAuthorizerConfig", &[Rule::new(kubernetes::authorizer)]),
    row("KubeClusterConfig", &[Rule::new(cluster::kubernetes)]),
    row("KubeControllerManagerConfig", &[Rule::new(kubernetes::controller_manager)]),
    row("KubeCoreDNSConfig", &[]),
    row("KubeCredentialProviderConfig", &[]),
    row("KubeEtcdEncryptionConfig", &[]),
    row("KubeExternalManifestConfig", &[Rule::new(kubernetes::external_manifest)]),
    row("KubeFlannelCNIConfig", &[Rule::new(cluster::flannel)]),
    row("KubeInlineManifestConfig", &[Rule::new(kubernetes::inline_manifest)]),
    row("KubeNetworkConfig", &[Rule::new(cluster::network)]),
    row("KubeNodeConfig", &[Rule::new(cluster::node)]),
    row("KubePrismConfig", &[]),
    row("KubeProxyConfig", &[Rule::new(kubernetes::proxy)]),
    row("KubeSchedulerConfig", &[Rule::new(kubernetes::scheduler)]),
    row("KubeServiceAccountConfig", &[Rule::new(kubernetes::service_account)]),
    row("KubeSpanConfig", &[Rule::new(network::kubespan)]),
    row("KubeSpanEndpointsConfig", &[]),
    row("KubeStaticPodConfig", &[Rule::new(kubernetes::static_pod)]),
    row("KubeTalosAPIAccessConfig", &[Rule::new(kubernetes::api_access)]),
    row("KubeletConfig", &[Rule::new(kubernetes::kubelet)]),
    row("LVMLogicalVolumeConfig", &[Rule::new(storage::logical_volume)]),
    row("LVMVolumeGroupConfig", &[Rule::new(storage::volume_group)]),
    row("Layer2VIPConfig", &[Rule::new(network::vip)]),
    row("LinkAliasConfig", &[Rule::new(links::alias), Rule::new(links::counted_alias).since(13)]),
    row("LinkConfig", &[Rule::new(links::common)]),
    row("NetworkDefaultActionConfig", &[]),
    row("NetworkRuleConfig", &[Rule::new(network::rule)]).first_only(),
    row("OOMConfig", &[Rule::new(system::oom)]),
    row("PCIDriverRebindConfig", &[]),
    row("RAIDArrayConfig", &[Rule::new(storage::raid)]),
    row("RawVolumeConfig", &[Rule::new(volumes::raw)]),
    row("RegistryAuthConfig", &[Rule::new(images::auth)]),
    row("RegistryMirrorConfig", &[Rule::new(images::mirror)]),
    row(
        "RegistryTLSConfig",
        &[
            Rule::new(images::tls),
            Rule::new(images::older_client_identity).before(14),
            Rule::new(images::client_identity).since(14),
        ],
    ),
    row("ResolverConfig", &[Rule::new(network::resolver).since(14)]),
    row("RoutingRuleConfig", &[Rule::new(network::routing_rule)]),
    row("SecurityProfileConfig", &[]),
    row("SideroLinkConfig", &[Rule::new(system::siderolink)]).first_only(),
    row("StaticHostConfig", &[Rule::new(network::static_host)]),
    row("SwapVolumeConfig", &[Rule::new(volumes::raw)]),
    row("SysctlConfig", &[Rule::new(system::sysctl)]),
    row("SysfsConfig", &[Rule::new(system::sysfs)]),
    row("TCPProbeConfig", &[]),
    row("TimeSyncConfig", &[Rule::new(network::time)]),
    row("TrustedRootsConfig", &[]),
    row("UdevRulesConfig", &[]),
    row("UnattendedInstallConfig", &[Rule::new(storage::install)]),
    row(
        "UserVolumeConfig",
        &[
            Rule::new(volumes::user),
            Rule::new(volumes::no_btrfs).before(14),
            Rule::new(volumes::unmounted_directory).since(13).before(14),
            Rule::new(volumes::directory_access_time).since(14),
        ],
    ),
    row("VLANConfig", &[Rule::new(links::common)]),
    row("VRFConfig", &[Rule::new(links::vrf)]),
    row("VethConfig", &[Rule::new(links::veth)]),
    row("VolumeConfig", &[Rule::new(volumes::older_system).before(14), Rule::new(volumes::system).since(14)]),
    row("WatchdogTimerConfig", &[]).first_only(),
    row("WireguardConfig", &[Rule::new(links::wireguard)]),
    row("ZswapConfig", &[]),
];

#[cfg(test)]
mod tests {
    use machine_config::kinds::KINDS;

    use super::*;

    #[test]
    fn each_kind_has_one_row_and_each_row_is_a_kinds() {
        let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let rows: Vec<&str> = ROWS.iter().map(|row| row.kind).collect();
        assert_eq!(rows, kinds);
        assert!(KINDS.iter().all(|kind| of(kind.name).is_some_and(|row| row.kind == kind.name)));
    }
}
