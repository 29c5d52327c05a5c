//! The table of document kinds and their fields. Reading, writing, merging, comparing and checking all follow it.
//!
//! Names, types and order are facts of Talos's own configuration types; the shape of the table is ours.

mod block;
mod cluster;
mod container;
mod kubernetes;
mod links;
mod machine;
mod machine_network;
mod network;
mod oci;
mod registry;
mod runtime;
mod shared;
mod storage;

use crate::shape::Shape;
use crate::validate::{Rule, documents as checks};

/// One document kind.
#[derive(Debug)]
pub struct Kind {
    /// The value of `kind:`; for the legacy document, which has none, `v1alpha1`.
    pub name: &'static str,
    /// The minor of the Talos 1.x release that knew it first.
    pub since: u32,
    /// Whether several may stand in one config, told apart by `name:`.
    pub named: bool,
    /// Whether only control planes may have it.
    pub control_plane: bool,
    /// Its fields, without `apiVersion` and `kind`.
    pub shape: &'static Shape,
    /// What Talos refuses of it besides what its fields say.
    pub(crate) rules: &'static [Rule],
    /// Whether Talos tells only the first thing that is wrong with it.
    pub(crate) first_only: bool,
}

impl Kind {
    /// Whether it is the legacy document.
    pub fn is_legacy(&self) -> bool {
        std::ptr::eq(self, &LEGACY)
    }

    const fn named(mut self) -> Self {
        self.named = true;
        self
    }

    const fn control_plane(mut self) -> Self {
        self.control_plane = true;
        self
    }

    const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    const fn first_only(mut self) -> Self {
        self.first_only = true;
        self
    }
}

/// What documents change of the spec that containers start from; no kind of its own.
pub(crate) static RUNTIME_SPEC: &Shape = &oci::SPEC;

/// A kind by its name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.binary_search_by_key(&name, |kind| kind.name).ok().map(|index| &KINDS[index])
}

const fn since(name: &'static str, since: u32, shape: &'static Shape) -> Kind {
    Kind { name, since, named: false, control_plane: false, shape, rules: &[], first_only: false }
}

/// The document without `apiVersion` and `kind` that every config has.
pub static LEGACY: Kind = since("v1alpha1", 0, &machine::CONFIG);

/// Every other kind, by name.
pub static KINDS: &[Kind] = &[
    since("BGPInstanceConfig", 14, &network::BGP_INSTANCE).named().rules(&[Rule::new(checks::network::bgp)]),
    since("BlackholeRouteConfig", 13, &network::BLACKHOLE_ROUTE)
        .named()
        .rules(&[Rule::new(checks::network::blackhole)]),
    since("BondConfig", 12, &links::BOND)
        .named()
        .rules(&[Rule::new(checks::links::bond), Rule::new(checks::links::primary).since(15)]),
    since("BridgeConfig", 12, &links::BRIDGE).named().rules(&[Rule::new(checks::links::common)]),
    since("CRIBaseRuntimeSpecConfig", 14, &registry::CRI_BASE_RUNTIME_SPEC)
        .rules(&[Rule::new(checks::images::base_runtime_spec)]),
    since("CRICustomizationConfig", 14, &registry::CRI_CUSTOMIZATION)
        .named()
        .rules(&[Rule::new(checks::images::customization)]),
    since("ContainerConfig", 14, &container::CONTAINER).named().rules(&[Rule::new(checks::container::container)]),
    since("DHCPv4Config", 12, &network::DHCP4).named().rules(&[Rule::new(checks::network::dhcp)]),
    since("DHCPv6Config", 12, &network::DHCP6).named().rules(&[Rule::new(checks::network::dhcp)]),
    since("DiscoveryIdentityConfig", 14, &runtime::DISCOVERY_IDENTITY)
        .rules(&[Rule::new(checks::cluster::identity)])
        .first_only(),
    since("DiscoveryServiceConfig", 14, &runtime::DISCOVERY_SERVICE)
        .named()
        .rules(&[Rule::new(checks::cluster::service)])
        .first_only(),
    since("DummyLinkConfig", 12, &links::DUMMY_LINK).named().rules(&[Rule::new(checks::links::common)]),
    since("EnvironmentConfig", 13, &runtime::ENVIRONMENT).rules(&[Rule::new(checks::system::environment)]),
    since("EtcFileConfig", 14, &runtime::ETC_FILE).named().rules(&[Rule::new(checks::system::etc_file)]).first_only(),
    since("EthernetConfig", 10, &network::ETHERNET).named().first_only(),
    since("EventSinkConfig", 5, &runtime::EVENT_SINK).rules(&[Rule::new(checks::system::event_sink)]).first_only(),
    since("ExistingVolumeConfig", 11, &block::EXISTING_VOLUME).named().rules(&[Rule::new(checks::volumes::existing)]),
    since("ExtensionServiceConfig", 7, &runtime::SERVICE)
        .named()
        .rules(&[Rule::new(checks::system::extension)])
        .first_only(),
    since("ExternalVolumeConfig", 13, &block::EXTERNAL_VOLUME).named().rules(&[Rule::new(checks::volumes::external)]),
    since("FilesystemScrubConfig", 14, &block::FILESYSTEM_SCRUB),
    since("FilesystemTrimConfig", 14, &block::FILESYSTEM_TRIM).first_only(),
    since("HCloudVIPConfig", 12, &network::HCLOUD_VIP).named().rules(&[Rule::new(checks::network::vip)]),
    since("HTTPProbeConfig", 14, &network::HTTP_PROBE).named().rules(&[Rule::new(checks::network::http_probe)]),
    since("HostnameConfig", 12, &network::HOSTNAME).rules(&[Rule::new(checks::network::hostname)]),
    since("ImageCacheConfig", 14, &registry::IMAGE_CACHE),
    since("ImageVerificationConfig", 13, &registry::IMAGE_VERIFICATION)
        .rules(&[Rule::new(checks::images::verification)]),
    since("KernelModuleConfig", 14, &runtime::KERNEL_MODULE).named(),
    since("KmsgLogConfig", 5, &runtime::KMSG_LOG).named().rules(&[Rule::new(checks::system::kmsg_log)]).first_only(),
    since("KubeAPIServerCAConfig", 14, &kubernetes::KUBE_API_SERVER_CA)
        .rules(&[Rule::new(checks::kubernetes::api_server_ca)]),
    since("KubeAPIServerConfig", 14, &kubernetes::KUBE_API_SERVER)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::api_server)]),
    since("KubeAdmissionControlConfig", 14, &kubernetes::KUBE_ADMISSION_CONTROL).named().control_plane(),
    since("KubeAggregatorCAConfig", 14, &kubernetes::KUBE_AGGREGATOR_CA)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::api_server_ca)]),
    since("KubeAuditPolicyConfig", 14, &kubernetes::KUBE_AUDIT_POLICY).control_plane(),
    since("KubeAuthenticationConfig", 14, &kubernetes::KUBE_AUTHENTICATION).control_plane(),
    since("KubeAuthorizerConfig", 14, &kubernetes::KUBE_AUTHORIZER)
        .named()
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::authorizer)]),
    since("KubeClusterConfig", 14, &kubernetes::KUBE_CLUSTER).rules(&[Rule::new(checks::cluster::kubernetes)]),
    since("KubeControllerManagerConfig", 14, &kubernetes::KUBE_CONTROLLER_MANAGER)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::controller_manager)]),
    since("KubeCoreDNSConfig", 14, &kubernetes::KUBE_CORE_DNS).control_plane(),
    since("KubeCredentialProviderConfig", 14, &kubernetes::KUBE_CREDENTIAL_PROVIDER),
    since("KubeEtcdEncryptionConfig", 14, &kubernetes::KUBE_ETCD_ENCRYPTION).control_plane(),
    since("KubeExternalManifestConfig", 14, &kubernetes::KUBE_EXTERNAL_MANIFEST)
        .named()
        .rules(&[Rule::new(checks::kubernetes::external_manifest)]),
    since("KubeFlannelCNIConfig", 14, &kubernetes::KUBE_FLANNEL_CNI)
        .control_plane()
        .rules(&[Rule::new(checks::cluster::flannel)]),
    since("KubeInlineManifestConfig", 14, &kubernetes::KUBE_INLINE_MANIFEST)
        .named()
        .rules(&[Rule::new(checks::kubernetes::inline_manifest)]),
    since("KubeNetworkConfig", 14, &kubernetes::KUBE_NETWORK).rules(&[Rule::new(checks::cluster::network)]),
    since("KubeNodeConfig", 14, &kubernetes::KUBE_NODE).rules(&[Rule::new(checks::cluster::node)]),
    since("KubePrismConfig", 14, &kubernetes::KUBE_PRISM),
    since("KubeProxyConfig", 14, &kubernetes::KUBE_PROXY)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::proxy)]),
    since("KubeSchedulerConfig", 14, &kubernetes::KUBE_SCHEDULER)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::scheduler)]),
    since("KubeServiceAccountConfig", 14, &kubernetes::KUBE_SERVICE_ACCOUNT)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::service_account)]),
    since("KubeSpanConfig", 13, &network::KUBE_SPAN).rules(&[Rule::new(checks::network::kubespan)]),
    since("KubeSpanEndpointsConfig", 8, &network::KUBESPAN_ENDPOINTS),
    since("KubeStaticPodConfig", 14, &kubernetes::KUBE_STATIC_POD)
        .named()
        .rules(&[Rule::new(checks::kubernetes::static_pod)]),
    since("KubeTalosAPIAccessConfig", 14, &kubernetes::KUBE_TALOS_API_ACCESS)
        .control_plane()
        .rules(&[Rule::new(checks::kubernetes::api_access)]),
    since("KubeletConfig", 14, &kubernetes::KUBELET).rules(&[Rule::new(checks::kubernetes::kubelet)]),
    since("LVMLogicalVolumeConfig", 14, &storage::LVM_LOGICAL_VOLUME)
        .named()
        .rules(&[Rule::new(checks::storage::logical_volume)]),
    since("LVMVolumeGroupConfig", 14, &storage::LVM_VOLUME_GROUP)
        .named()
        .rules(&[Rule::new(checks::storage::volume_group)]),
    since("Layer2VIPConfig", 12, &network::LAYER2_VIP).named().rules(&[Rule::new(checks::network::vip)]),
    since("LinkAliasConfig", 12, &links::LINK_ALIAS)
        .named()
        .rules(&[Rule::new(checks::links::alias), Rule::new(checks::links::counted_alias).since(13)]),
    since("LinkConfig", 12, &links::LINK).named().rules(&[Rule::new(checks::links::common)]),
    since("NetworkDefaultActionConfig", 6, &network::DEFAULT_ACTION),
    since("NetworkRuleConfig", 6, &network::RULE).named().rules(&[Rule::new(checks::network::rule)]).first_only(),
    since("OOMConfig", 12, &runtime::OOM).rules(&[Rule::new(checks::system::oom)]),
    since("PCIDriverRebindConfig", 10, &runtime::PCI_DRIVER_REBIND).named(),
    since("RAIDArrayConfig", 14, &storage::RAID_ARRAY).named().rules(&[Rule::new(checks::storage::raid)]),
    since("RawVolumeConfig", 11, &block::RAW_VOLUME).named().rules(&[Rule::new(checks::volumes::raw)]),
    since("RegistryAuthConfig", 12, &registry::REGISTRY_AUTH).named().rules(&[Rule::new(checks::images::auth)]),
    since("RegistryMirrorConfig", 12, &registry::REGISTRY_MIRROR).named().rules(&[Rule::new(checks::images::mirror)]),
    since("RegistryTLSConfig", 12, &registry::REGISTRY_TLS).named().rules(&[
        Rule::new(checks::images::tls),
        Rule::new(checks::images::older_client_identity).before(14),
        Rule::new(checks::images::client_identity).since(14),
    ]),
    since("ResolverConfig", 12, &network::RESOLVER).rules(&[Rule::new(checks::network::resolver).since(14)]),
    since("RoutingRuleConfig", 13, &network::ROUTING_RULE).named().rules(&[Rule::new(checks::network::routing_rule)]),
    since("SecurityProfileConfig", 14, &runtime::SECURITY_PROFILE),
    since("SideroLinkConfig", 5, &runtime::CONFIG).rules(&[Rule::new(checks::system::siderolink)]).first_only(),
    since("StaticHostConfig", 12, &network::STATIC_HOST).named().rules(&[Rule::new(checks::network::static_host)]),
    since("SwapVolumeConfig", 11, &block::SWAP_VOLUME).named().rules(&[Rule::new(checks::volumes::raw)]),
    since("SysctlConfig", 14, &runtime::SYSCTL).rules(&[Rule::new(checks::system::sysctl)]),
    since("SysfsConfig", 14, &runtime::SYSFS).rules(&[Rule::new(checks::system::sysfs)]),
    since("TCPProbeConfig", 13, &network::TCP_PROBE).named(),
    since("TimeSyncConfig", 12, &network::TIME_SYNC).rules(&[Rule::new(checks::network::time)]),
    since("TrustedRootsConfig", 8, &registry::TRUSTED_ROOTS).named(),
    since("UdevRulesConfig", 14, &runtime::UDEV_RULES),
    since("UnattendedInstallConfig", 14, &runtime::UNATTENDED_INSTALL).rules(&[Rule::new(checks::storage::install)]),
    since("UserVolumeConfig", 10, &block::USER_VOLUME).named().rules(&[
        Rule::new(checks::volumes::user),
        Rule::new(checks::volumes::no_btrfs).before(14),
        Rule::new(checks::volumes::unmounted_directory).since(13).before(15),
        Rule::new(checks::volumes::directory_access_time).since(15),
    ]),
    since("VLANConfig", 12, &links::VLAN).named().rules(&[Rule::new(checks::links::common)]),
    since("VRFConfig", 13, &links::VRF).named().rules(&[Rule::new(checks::links::vrf)]),
    since("VethConfig", 14, &links::VETH).named().rules(&[Rule::new(checks::links::veth)]),
    since("VolumeConfig", 8, &block::VOLUME)
        .named()
        .rules(&[Rule::new(checks::volumes::older_system).before(14), Rule::new(checks::volumes::system).since(14)]),
    since("WatchdogTimerConfig", 7, &runtime::WATCHDOG_TIMER).first_only(),
    since("WireguardConfig", 12, &links::WIREGUARD).named().rules(&[Rule::new(checks::links::wireguard)]),
    since("ZswapConfig", 11, &block::ZSWAP),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Type;

    #[test]
    fn kinds_stand_in_order_and_are_found() {
        assert!(KINDS.is_sorted_by_key(|kind| kind.name));
        assert_eq!(KINDS.len(), 89);
        assert_eq!(kind("HostnameConfig").unwrap().since, 12);
        assert!(kind("v1alpha1").is_none());
    }

    #[test]
    fn named_kinds_have_a_name() {
        for kind in KINDS {
            assert_eq!(kind.shape.field("name").is_some(), kind.named, "{}", kind.name);
        }
    }

    /// The fields below a structure that say since when they are there, with the minor that knows what holds them.
    fn young(shape: &'static Shape, holder: u32, found: &mut Vec<(String, u32, u32)>) {
        for field in shape.fields() {
            if field.since > 0 {
                found.push((format!("{}.{}", shape.name, field.key), field.since, holder));
            }
            let mut ty = &field.ty;
            while let Type::List(item) | Type::Map(item) | Type::Pointer(item) = ty {
                ty = item;
            }
            if let Type::Struct(inner) = ty {
                young(inner, holder.max(field.since), found);
            }
        }
    }

    #[test]
    fn a_field_says_since_when_only_where_it_is_younger_than_what_holds_it() {
        let mut found = Vec::new();
        KINDS.iter().chain([&LEGACY]).for_each(|kind| young(kind.shape, kind.since, &mut found));
        assert!(found.len() > 60);
        for (field, since, _) in &found {
            assert!(found.iter().any(|(other, _, holder)| other == field && holder < since), "{field}");
        }
    }
}
