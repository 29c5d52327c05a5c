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

use crate::schema::Schema;

/// One document kind.
#[derive(Debug)]
pub struct Kind {
    /// The value of `kind:`; for the legacy document, which has none, `v1alpha1`.
    pub name: &'static str,
    /// The minor of the Talos 1.x release that knew it first.
    pub since: u32,
    /// Whether one config may have several, distinguished by `name:`.
    pub named: bool,
    /// Whether only control planes may have it.
    pub control_plane: bool,
    /// Its fields, without `apiVersion` and `kind`.
    pub schema: &'static Schema,
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
}

/// The base runtime spec of containers, which documents override; not a kind of its own.
pub static RUNTIME_SPEC: &Schema = &oci::SPEC;

/// A kind by its name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.binary_search_by_key(&name, |kind| kind.name).ok().map(|index| &KINDS[index])
}

const fn since(name: &'static str, since: u32, schema: &'static Schema) -> Kind {
    Kind { name, since, named: false, control_plane: false, schema }
}

/// The document without `apiVersion` and `kind` that every config has.
pub static LEGACY: Kind = since("v1alpha1", 0, &machine::CONFIG);

/// Every other kind, by name.
pub static KINDS: &[Kind] = &[
    since("BGPInstanceConfig", 14, &network::BGP_INSTANCE).named(),
    since("BlackholeRouteConfig", 13, &network::BLACKHOLE_ROUTE).named(),
    since("BondConfig", 12, &links::BOND).named(),
    since("BridgeConfig", 12, &links::BRIDGE).named(),
    since("CRIBaseRuntimeSpecConfig", 14, &registry::CRI_BASE_RUNTIME_SPEC),
    since("CRICustomizationConfig", 14, &registry::CRI_CUSTOMIZATION).named(),
    since("ContainerConfig", 14, &container::CONTAINER).named(),
    since("DHCPv4Config", 12, &network::DHCP4).named(),
    since("DHCPv6Config", 12, &network::DHCP6).named(),
    since("DiscoveryIdentityConfig", 14, &runtime::DISCOVERY_IDENTITY),
    since("DiscoveryServiceConfig", 14, &runtime::DISCOVERY_SERVICE).named(),
    since("DummyLinkConfig", 12, &links::DUMMY_LINK).named(),
    since("EnvironmentConfig", 13, &runtime::ENVIRONMENT),
    since("EtcFileConfig", 14, &runtime::ETC_FILE).named(),
    since("EthernetConfig", 10, &network::ETHERNET).named(),
    since("EventSinkConfig", 5, &runtime::EVENT_SINK),
    since("ExistingVolumeConfig", 11, &block::EXISTING_VOLUME).named(),
    since("ExtensionServiceConfig", 7, &runtime::SERVICE).named(),
    since("ExternalVolumeConfig", 13, &block::EXTERNAL_VOLUME).named(),
    since("FilesystemScrubConfig", 14, &block::FILESYSTEM_SCRUB),
    since("FilesystemTrimConfig", 14, &block::FILESYSTEM_TRIM),
    since("HCloudVIPConfig", 12, &network::HCLOUD_VIP).named(),
    since("HTTPProbeConfig", 14, &network::HTTP_PROBE).named(),
    since("HostnameConfig", 12, &network::HOSTNAME),
    since("ImageCacheConfig", 14, &registry::IMAGE_CACHE),
    since("ImageVerificationConfig", 13, &registry::IMAGE_VERIFICATION),
    since("KernelModuleConfig", 14, &runtime::KERNEL_MODULE).named(),
    since("KmsgLogConfig", 5, &runtime::KMSG_LOG).named(),
    since("KubeAPIServerCAConfig", 14, &kubernetes::KUBE_API_SERVER_CA),
    since("KubeAPIServerConfig", 14, &kubernetes::KUBE_API_SERVER).control_plane(),
    since("KubeAdmissionControlConfig", 14, &kubernetes::KUBE_ADMISSION_CONTROL).named().control_plane(),
    since("KubeAggregatorCAConfig", 14, &kubernetes::KUBE_AGGREGATOR_CA).control_plane(),
    since("KubeAuditPolicyConfig", 14, &kubernetes::KUBE_AUDIT_POLICY).control_plane(),
    since("KubeAuthenticationConfig", 14, &kubernetes::KUBE_AUTHENTICATION).control_plane(),
    since("KubeAuthorizerConfig", 14, &kubernetes::KUBE_AUTHORIZER).named().control_plane(),
    since("KubeClusterConfig", 14, &kubernetes::KUBE_CLUSTER),
    since("KubeControllerManagerConfig", 14, &kubernetes::KUBE_CONTROLLER_MANAGER).control_plane(),
    since("KubeCoreDNSConfig", 14, &kubernetes::KUBE_CORE_DNS).control_plane(),
    since("KubeCredentialProviderConfig", 14, &kubernetes::KUBE_CREDENTIAL_PROVIDER),
    since("KubeEtcdEncryptionConfig", 14, &kubernetes::KUBE_ETCD_ENCRYPTION).control_plane(),
    since("KubeExternalManifestConfig", 14, &kubernetes::KUBE_EXTERNAL_MANIFEST).named(),
    since("KubeFlannelCNIConfig", 14, &kubernetes::KUBE_FLANNEL_CNI).control_plane(),
    since("KubeInlineManifestConfig", 14, &kubernetes::KUBE_INLINE_MANIFEST).named(),
    since("KubeNetworkConfig", 14, &kubernetes::KUBE_NETWORK),
    since("KubeNodeConfig", 14, &kubernetes::KUBE_NODE),
    since("KubePrismConfig", 14, &kubernetes::KUBE_PRISM),
    since("KubeProxyConfig", 14, &kubernetes::KUBE_PROXY).control_plane(),
    since("KubeSchedulerConfig", 14, &kubernetes::KUBE_SCHEDULER).control_plane(),
    since("KubeServiceAccountConfig", 14, &kubernetes::KUBE_SERVICE_ACCOUNT).control_plane(),
    since("KubeSpanConfig", 13, &network::KUBE_SPAN),
    since("KubeSpanEndpointsConfig", 8, &network::KUBESPAN_ENDPOINTS),
    since("KubeStaticPodConfig", 14, &kubernetes::KUBE_STATIC_POD).named(),
    since("KubeTalosAPIAccessConfig", 14, &kubernetes::KUBE_TALOS_API_ACCESS).control_plane(),
    since("KubeletConfig", 14, &kubernetes::KUBELET),
    since("LVMLogicalVolumeConfig", 14, &storage::LVM_LOGICAL_VOLUME).named(),
    since("LVMVolumeGroupConfig", 14, &storage::LVM_VOLUME_GROUP).named(),
    since("Layer2VIPConfig", 12, &network::LAYER2_VIP).named(),
    since("LinkAliasConfig", 12, &links::LINK_ALIAS).named(),
    since("LinkConfig", 12, &links::LINK).named(),
    since("NetworkDefaultActionConfig", 6, &network::DEFAULT_ACTION),
    since("NetworkRuleConfig", 6, &network::RULE).named(),
    since("OOMConfig", 12, &runtime::OOM),
    since("PCIDriverRebindConfig", 10, &runtime::PCI_DRIVER_REBIND).named(),
    since("RAIDArrayConfig", 14, &storage::RAID_ARRAY).named(),
    since("RawVolumeConfig", 11, &block::RAW_VOLUME).named(),
    since("RegistryAuthConfig", 12, &registry::REGISTRY_AUTH).named(),
    since("RegistryMirrorConfig", 12, &registry::REGISTRY_MIRROR).named(),
    since("RegistryTLSConfig", 12, &registry::REGISTRY_TLS).named(),
    since("ResolverConfig", 12, &network::RESOLVER),
    since("RoutingRuleConfig", 13, &network::ROUTING_RULE).named(),
    since("SecurityProfileConfig", 14, &runtime::SECURITY_PROFILE),
    since("SideroLinkConfig", 5, &runtime::CONFIG),
    since("StaticHostConfig", 12, &network::STATIC_HOST).named(),
    since("SwapVolumeConfig", 11, &block::SWAP_VOLUME).named(),
    since("SysctlConfig", 14, &runtime::SYSCTL),
    since("SysfsConfig", 14, &runtime::SYSFS),
    since("TCPProbeConfig", 13, &network::TCP_PROBE).named(),
    since("TimeSyncConfig", 12, &network::TIME_SYNC),
    since("TrustedRootsConfig", 8, &registry::TRUSTED_ROOTS).named(),
    since("UdevRulesConfig", 14, &runtime::UDEV_RULES),
    since("UnattendedInstallConfig", 14, &runtime::UNATTENDED_INSTALL),
    since("UserVolumeConfig", 10, &block::USER_VOLUME).named(),
    since("VLANConfig", 12, &links::VLAN).named(),
    since("VRFConfig", 13, &links::VRF).named(),
    since("VethConfig", 14, &links::VETH).named(),
    since("VolumeConfig", 8, &block::VOLUME).named(),
    since("WatchdogTimerConfig", 7, &runtime::WATCHDOG_TIMER),
    since("WireguardConfig", 12, &links::WIREGUARD).named(),
    since("ZswapConfig", 11, &block::ZSWAP),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Type;

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
            assert_eq!(kind.schema.field("name").is_some(), kind.named, "{}", kind.name);
        }
    }

    /// The fields below a structure that have a `since`, with the minor of what holds them.
    fn young(schema: &'static Schema, holder: u32, found: &mut Vec<(String, u32, u32)>) {
        for field in schema.fields() {
            if field.since > 0 {
                found.push((format!("{}.{}", schema.name, field.key), field.since, holder));
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
        KINDS.iter().chain([&LEGACY]).for_each(|kind| young(kind.schema, kind.since, &mut found));
        assert!(found.len() > 60);
        for (field, since, _) in &found {
            assert!(found.iter().any(|(other, _, holder)| other == field && holder < since), "{field}");
        }
    }
}
