//! The legacy network section of a machine.

use crate::schema::Type::{self, Bool, Duration, List, Pointer, Struct, Text};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static NETWORK: Schema = Schema::new(
    "NetworkConfig",
    &[
        opt("hostname", Text).deprecated(12, "HostnameConfig"),
        opt("interfaces", List(&Pointer(&Struct(&DEVICE))))
            .by(&["interface", "deviceSelector"])
            .deprecated(12, "LinkConfig and the other network documents"),
        opt("nameservers", List(&Text)).deprecated(12, "ResolverConfig"),
        opt("searchDomains", List(&Text)).since(9).deprecated(12, "ResolverConfig"),
        opt("extraHostEntries", List(&Pointer(&Struct(&EXTRA_HOST)))).deprecated(12, "StaticHostConfig"),
        ptr("kubespan", Struct(&NETWORK_KUBE_SPAN)).deprecated(13, "KubeSpanConfig"),
        ptr("disableSearchDomain", Bool).deprecated(12, "ResolverConfig"),
    ],
);

pub(super) static EXTRA_HOST: Schema = Schema::new("ExtraHost", &[must("ip", Text), must("aliases", List(&Text))]);

pub(super) static DEVICE: Schema = Schema::new(
    "Device",
    &[
        opt("interface", Text),
        ptr("deviceSelector", Struct(&NETWORK_DEVICE_SELECTOR)),
        opt("addresses", List(&Text)),
        opt("cidr", Text),
        opt("routes", List(&Pointer(&Struct(&ROUTE)))),
        ptr("bond", Struct(&BOND)),
        ptr("bridge", Struct(&BRIDGE)),
        ptr("bridgePort", Struct(&BRIDGE_PORT)).since(9),
        opt("vlans", List(&Pointer(&Struct(&VLAN)))).by(&["vlanId"]),
        opt("mtu", Type::INT),
        ptr("dhcp", Bool),
        ptr("ignore", Bool),
        ptr("dummy", Bool),
        ptr("dhcpOptions", Struct(&DHCP_OPTIONS)),
        ptr("wireguard", Struct(&DEVICE_WIREGUARD)),
        ptr("vip", Struct(&DEVICE_VIP)),
    ],
);

pub(super) static DHCP_OPTIONS: Schema = Schema::new(
    "DHCPOptions",
    &[must("routeMetric", Type::U32), ptr("ipv4", Bool), ptr("ipv6", Bool), opt("duidv6", Text)],
);

pub(super) static DEVICE_WIREGUARD: Schema = Schema::new(
    "DeviceWireguardConfig",
    &[
        opt("privateKey", Text).secret(),
        opt("listenPort", Type::INT),
        opt("firewallMark", Type::INT),
        opt("peers", List(&Pointer(&Struct(&DEVICE_WIREGUARD_PEER)))),
    ],
);

pub(super) static DEVICE_WIREGUARD_PEER: Schema = Schema::new(
    "DeviceWireguardPeer",
    &[
        opt("publicKey", Text),
        opt("endpoint", Text),
        opt("persistentKeepaliveInterval", Duration),
        opt("allowedIPs", List(&Text)),
    ],
);

pub(super) static DEVICE_VIP: Schema = Schema::new(
    "DeviceVIPConfig",
    &[opt("ip", Text), ptr("equinixMetal", Struct(&VIP_EQUINIX_METAL)), ptr("hcloud", Struct(&VIP_HCLOUD))],
);

pub(super) static VIP_EQUINIX_METAL: Schema = Schema::new("VIPEquinixMetalConfig", &[must("apiToken", Text).secret()]);

pub(super) static VIP_HCLOUD: Schema = Schema::new("VIPHCloudConfig", &[must("apiToken", Text).secret()]);

pub(super) static BOND: Schema = Schema::new(
    "Bond",
    &[
        must("interfaces", List(&Text)),
        opt("deviceSelectors", List(&Struct(&NETWORK_DEVICE_SELECTOR))).since(4),
        opt("arpIPTarget", List(&Text)),
        must("mode", Text),
        opt("xmitHashPolicy", Text),
        opt("lacpRate", Text),
        opt("adActorSystem", Text),
        opt("arpValidate", Text),
        opt("arpAllTargets", Text),
        opt("primary", Text),
        opt("primaryReselect", Text),
        opt("failOverMac", Text),
        opt("adSelect", Text),
        opt("miimon", Type::U32),
        opt("updelay", Type::U32),
        opt("downdelay", Type::U32),
        opt("arpInterval", Type::U32),
        opt("resendIgmp", Type::U32),
        opt("minLinks", Type::U32),
        opt("lpInterval", Type::U32),
        opt("packetsPerSlave", Type::U32),
        opt("numPeerNotif", Type::U8),
        opt("tlbDynamicLb", Type::U8),
        opt("allSlavesActive", Type::U8),
        ptr("useCarrier", Bool),
        opt("adActorSysPrio", Type::U16),
        opt("adUserPortKey", Type::U16),
        opt("peerNotifyDelay", Type::U32),
    ],
);

pub(super) static STP: Schema = Schema::new("STP", &[ptr("enabled", Bool)]);

pub(super) static BRIDGE_VLAN: Schema = Schema::new("BridgeVLAN", &[ptr("vlanFiltering", Bool)]);

pub(super) static BRIDGE: Schema = Schema::new(
    "Bridge",
    &[must("interfaces", List(&Text)), ptr("stp", Struct(&STP)), ptr("vlan", Struct(&BRIDGE_VLAN)).since(8)],
);

pub(super) static BRIDGE_PORT: Schema = Schema::new("BridgePort", &[opt("master", Text)]);

pub(super) static VLAN: Schema = Schema::new(
    "Vlan",
    &[
        opt("addresses", List(&Text)),
        opt("cidr", Text),
        must("routes", List(&Pointer(&Struct(&ROUTE)))),
        ptr("dhcp", Bool),
        must("vlanId", Type::U16),
        opt("mtu", Type::U32),
        ptr("vip", Struct(&DEVICE_VIP)),
        ptr("dhcpOptions", Struct(&DHCP_OPTIONS)),
    ],
);

pub(super) static ROUTE: Schema = Schema::new(
    "Route",
    &[
        must("network", Text),
        must("gateway", Text),
        opt("source", Text),
        opt("metric", Type::U32),
        opt("mtu", Type::U32),
    ],
);

pub(super) static NETWORK_KUBE_SPAN: Schema = Schema::new(
    "NetworkKubeSpan",
    &[
        ptr("enabled", Bool),
        ptr("advertiseKubernetesNetworks", Bool),
        ptr("allowDownPeerBypass", Bool),
        ptr("harvestExtraEndpoints", Bool).since(6),
        ptr("mtu", Type::U32),
        ptr("filters", Struct(&KUBE_SPAN_FILTERS)),
    ],
);

pub(super) static KUBE_SPAN_FILTERS: Schema = Schema::new(
    "KubeSpanFilters",
    &[opt("endpoints", List(&Text)), opt("excludeAdvertisedNetworks", List(&Text)).since(12)],
);

pub(super) static NETWORK_DEVICE_SELECTOR: Schema = Schema::new(
    "NetworkDeviceSelector",
    &[
        opt("busPath", Text),
        opt("hardwareAddr", Text),
        opt("permanentAddr", Text).since(9),
        opt("pciID", Text),
        opt("driver", Text),
        ptr("physical", Bool).since(7),
    ],
);
