//! Network documents other than links.

use crate::schema::Type::{
    self, Address, AddressPort, Bool, Duration, Enum, List, Mac, Map, Port, Prefix, RoutingTable, Struct, Text, Url,
    Word,
};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static BGP_INSTANCE: Schema = Schema::new(
    "BGPInstanceConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("vrf", Text),
        must("localASN", Type::U32).required("localASN must be specified"),
        opt("routerID", Address),
        opt("routeSource", Address),
        opt("advertise", List(&Text)).replace(),
        ptr("multipath", Bool),
        opt("maxPaths", Type::U8),
        ptr("installRoutes", Bool),
        opt("importRoutes", List(&Struct(&BGP_IMPORT_ROUTE))).replace(),
        opt("neighbors", List(&Struct(&BGP_NEIGHBOR))).replace(),
    ],
);

pub(super) static BGP_IMPORT_ROUTE: Schema =
    Schema::new("BGPImportRoute", &[must("bgpInstance", Text), must("prefixes", List(&Prefix))]);

pub(super) static BGP_NEIGHBOR: Schema = Schema::new(
    "BGPNeighborConfig",
    &[
        opt("address", Address),
        opt("link", Text),
        opt("peerASN", Type::U32),
        opt("localASN", Type::U32),
        opt("passive", Bool),
        opt("holdTime", Duration),
        ptr("bfd", Struct(&BGP_BFD)),
    ],
);

pub(super) static BGP_BFD: Schema = Schema::new(
    "BGPBFDConfig",
    &[opt("transmitInterval", Duration), opt("receiveInterval", Duration), opt("detectMultiplier", Type::U8)],
);

pub(super) static BLACKHOLE_ROUTE: Schema = Schema::new(
    "BlackholeRouteConfig",
    &[must("name", Text).required("name must be specified"), opt("metric", Type::U32)],
);

pub(super) static DEFAULT_ACTION: Schema =
    Schema::new("NetworkDefaultActionConfig", &[must("ingress", Enum(&["accept", "block"]))]);

pub(super) static DHCP4: Schema = Schema::new(
    "DHCPv4Config",
    &[
        must("name", Text).required("name must be specified"),
        opt("routeMetric", Type::U32),
        ptr("ignoreHostname", Bool),
        ptr("ignoreRoutes", Bool).since(14),
        ptr("clientIdentifier", Word(&["none", "mac", "duid"])),
        opt("duidRaw", Mac),
    ],
);

pub(super) static DHCP6: Schema = Schema::new(
    "DHCPv6Config",
    &[
        must("name", Text).required("name must be specified"),
        opt("routeMetric", Type::U32),
        ptr("ignoreHostname", Bool),
        ptr("clientIdentifier", Word(&["none", "mac", "duid"])),
        opt("duidRaw", Mac),
    ],
);

pub(super) static ETHERNET: Schema = Schema::new(
    "EthernetConfig",
    &[
        must("name", Text).required("name is required"),
        opt("features", Map(&Bool)),
        ptr("rings", Struct(&ETHERNET_RINGS)),
        ptr("channels", Struct(&ETHERNET_CHANNELS)),
        opt("wakeOnLan", List(&Word(&["phy", "unicast", "multicast", "broadcast", "magic", "magicsecure", "filter"])))
            .since(12),
    ],
);

pub(super) static ETHERNET_RINGS: Schema = Schema::new(
    "EthernetRingsConfig",
    &[
        ptr("rx", Type::U32),
        ptr("tx", Type::U32),
        ptr("rx-mini", Type::U32),
        ptr("rx-jumbo", Type::U32),
        ptr("rx-buf-len", Type::U32),
        ptr("cqe-size", Type::U32),
        ptr("tx-push", Bool),
        ptr("rx-push", Bool),
        ptr("tx-push-buf-len", Type::U32),
        ptr("tcp-data-split", Bool),
    ],
);

pub(super) static ETHERNET_CHANNELS: Schema = Schema::new(
    "EthernetChannelsConfig",
    &[ptr("rx", Type::U32), ptr("tx", Type::U32), ptr("other", Type::U32), ptr("combined", Type::U32)],
);

pub(super) static HCLOUD_VIP: Schema = Schema::new(
    "HCloudVIPConfig",
    &[
        must("name", Text).required("name must be specified"),
        must("link", Text).required("link must be specified"),
        must("apiToken", Text).required("apiToken must be specified").secret(),
    ],
);

pub(super) static HOSTNAME: Schema =
    Schema::new("HostnameConfig", &[ptr("auto", Word(&["stable", "off"])), opt("hostname", Text)]);

pub(super) static HTTP_PROBE: Schema = Schema::new(
    "HTTPProbeConfig",
    &[
        must("name", Text).required("probe name is required"),
        opt("interval", Duration).not_negative("probe interval cannot be negative: {}"),
        opt("failureThreshold", Type::INT).not_negative("probe failure threshold cannot be negative: {}"),
        must("url", Url).required("HTTP probe URL is required"),
        opt("timeout", Duration).not_negative("HTTP probe timeout cannot be negative: {}"),
    ],
);

pub(super) static KUBE_SPAN: Schema = Schema::new(
    "KubeSpanConfig",
    &[
        ptr("enabled", Bool),
        ptr("advertiseKubernetesNetworks", Bool),
        ptr("allowDownPeerBypass", Bool),
        ptr("harvestExtraEndpoints", Bool),
        ptr("mtu", Type::U32).at_least(1280, "kubespan link MTU must be at least 1280"),
        ptr("filters", Struct(&KUBE_SPAN_FILTERS)),
    ],
);

pub(super) static KUBE_SPAN_FILTERS: Schema = Schema::new(
    "KubeSpanFiltersConfig",
    &[opt("endpoints", List(&Text)), opt("excludeAdvertisedNetworks", List(&Prefix))],
);

pub(super) static KUBESPAN_ENDPOINTS: Schema =
    Schema::new("KubeSpanEndpointsConfig", &[must("extraAnnouncedEndpoints", List(&AddressPort))]);

pub(super) static LAYER2_VIP: Schema = Schema::new(
    "Layer2VIPConfig",
    &[must("name", Text).required("name must be specified"), must("link", Text).required("link must be specified")],
);

pub(super) static RESOLVER: Schema = Schema::new(
    "ResolverConfig",
    &[
        opt("nameservers", List(&Struct(&NAMESERVER))),
        opt("searchDomains", Struct(&SEARCH_DOMAINS)),
        opt("hostDNS", Struct(&HOST_DNS)).since(14),
    ],
);

pub(super) static NAMESERVER: Schema = Schema::new(
    "NameserverConfig",
    &[
        must("address", Address),
        opt("protocol", Enum(&["Do53", "DoT", "DoH"])).since(14),
        opt("tlsServerName", Text).since(14),
    ],
);

pub(super) static SEARCH_DOMAINS: Schema =
    Schema::new("SearchDomainsConfig", &[ptr("domains", List(&Text)).replaced_since(14), ptr("disableDefault", Bool)]);

pub(super) static HOST_DNS: Schema = Schema::new(
    "HostDNSConfig",
    &[ptr("enabled", Bool), ptr("forwardKubeDNSToHost", Bool), ptr("resolveMemberNames", Bool)],
);

pub(super) static ROUTING_RULE: Schema = Schema::new(
    "RoutingRuleConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("src", Prefix),
        opt("dst", Prefix),
        must("table", RoutingTable),
        opt("action", Word(&["unicast", "blackhole", "unreachable", "prohibit"])),
        opt("iifName", Text),
        opt("oifName", Text),
        opt("fwMark", Type::U32),
        opt("fwMask", Type::U32),
    ],
);

pub(super) static RULE: Schema = Schema::new(
    "NetworkRuleConfig",
    &[
        must("name", Text).required("name is required"),
        must("portSelector", Struct(&RULE_PORT_SELECTOR)),
        must("ingress", List(&Struct(&INGRESS_RULE))).replace(),
    ],
);

pub(super) static RULE_PORT_SELECTOR: Schema = Schema::new(
    "RulePortSelector",
    &[
        must("ports", List(&Port)).required("portSelector.ports is required").replace(),
        must("protocol", Word(&["tcp", "udp", "icmp", "icmpv6"])),
    ],
);

pub(super) static INGRESS_RULE: Schema = Schema::new("IngressRule", &[must("subnet", Prefix), opt("except", Prefix)]);

pub(super) static STATIC_HOST: Schema = Schema::new(
    "StaticHostConfig",
    &[
        must("name", Text).required("name is required"),
        must("hostnames", List(&Text)).required("at least one hostname is required"),
    ],
);

pub(super) static TCP_PROBE: Schema = Schema::new(
    "TCPProbeConfig",
    &[
        must("name", Text).required("probe name is required"),
        opt("interval", Duration).not_negative("probe interval cannot be negative: {}"),
        opt("failureThreshold", Type::INT).not_negative("probe failure threshold cannot be negative: {}"),
        must("endpoint", Text).required("TCP probe endpoint is required"),
        opt("timeout", Duration).not_negative("TCP probe timeout cannot be negative: {}"),
    ],
);

pub(super) static TIME_SYNC: Schema = Schema::new(
    "TimeSyncConfig",
    &[
        ptr("enabled", Bool),
        opt("bootTimeout", Duration).not_negative("bootTimeout cannot be negative"),
        ptr("ntp", Struct(&NTP)),
        ptr("ptp", Struct(&PTP)),
    ],
);

pub(super) static NTP: Schema = Schema::new("NTPConfig", &[opt("servers", List(&Text)), ptr("useNTS", Bool).since(14)]);

pub(super) static PTP: Schema = Schema::new("PTPConfig", &[opt("devices", List(&Text))]);
