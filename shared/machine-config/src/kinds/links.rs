//! Documents of network links.

use crate::schema::Type::{
    self, Address, AddressPort, Bool, Duration, Expression, List, Mac, Prefix, RoutingTable, Struct, Text, Word,
    WordOrNumber,
};
use crate::schema::{Field, Schema, must, opt, ptr};

pub(super) static BOND: Schema = Schema::with(
    "BondConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("hardwareAddr", Mac),
        opt("links", List(&Text)).required("at least one link must be specified"),
        ptr(
            "bondMode",
            Word(&["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"]),
        )
        .required("bond mode must be specified"),
        ptr("miimon", Type::U32),
        ptr("updelay", Type::U32),
        ptr("downdelay", Type::U32),
        ptr("useCarrier", Bool),
        ptr("xmitHashPolicy", Word(&["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"])),
        ptr("arpInterval", Type::U32),
        opt("arpIpTargets", List(&Address)),
        opt("nsIp6Targets", List(&Address)),
        ptr("arpValidate", Word(&["none", "active", "backup", "all", "filter", "filter-active", "filter-backup"])),
        ptr("arpAllTargets", Word(&["any", "all"])),
        ptr("lacpRate", Word(&["slow", "fast"])),
        ptr("failOverMac", WordOrNumber(&["none", "active", "follow"])),
        ptr("adSelect", Word(&["stable", "bandwidth", "count"])),
        ptr("adActorSysPrio", Type::U16),
        ptr("adUserPortKey", Type::U16),
        ptr("adLACPActive", Word(&["on", "off"])),
        ptr("primary", Text).since(15),
        ptr("primaryReselect", Word(&["always", "better", "failure"])),
        ptr("resendIGMP", Type::U32),
        ptr("minLinks", Type::U32),
        ptr("lpInterval", Type::U32),
        ptr("packetsPerSlave", Type::U32),
        ptr("numPeerNotif", Type::U8),
        ptr("tlbLogicalLb", Type::U8),
        ptr("allSlavesActive", Type::U8),
        ptr("peerNotifDelay", Type::U32),
        ptr("missedMax", Type::U8),
    ],
    &COMMON,
);

pub(super) static BRIDGE: Schema = Schema::with(
    "BridgeConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("hardwareAddr", Mac),
        opt("links", List(&Text)),
        opt("stp", Struct(&BRIDGE_STP)),
        opt("vlan", Struct(&BRIDGE_VLAN)),
    ],
    &COMMON,
);

pub(super) static BRIDGE_STP: Schema = Schema::new("BridgeSTPConfig", &[ptr("enabled", Bool)]);

pub(super) static BRIDGE_VLAN: Schema = Schema::new("BridgeVLANConfig", &[ptr("filtering", Bool)]);

pub(super) static DUMMY_LINK: Schema = Schema::with(
    "DummyLinkConfig",
    &[must("name", Text).required("name must be specified"), opt("hardwareAddr", Mac)],
    &COMMON,
);

pub(super) static LINK: Schema =
    Schema::with("LinkConfig", &[must("name", Text).required("name must be specified")], &COMMON);

/// Fields that every link has.
static COMMON: [Field; 5] = [
    ptr("up", Bool),
    opt("mtu", Type::U32),
    opt("addresses", List(&Struct(&ADDRESS))),
    opt("routes", List(&Struct(&ROUTE))),
    ptr("multicast", Bool),
];

pub(super) static ADDRESS: Schema =
    Schema::new("AddressConfig", &[must("address", Prefix), ptr("routePriority", Type::U32)]);

pub(super) static ROUTE: Schema = Schema::new(
    "RouteConfig",
    &[
        opt("destination", Prefix),
        opt("gateway", Address),
        opt("source", Address),
        opt("metric", Type::U32),
        opt("mtu", Type::U32),
        opt("table", RoutingTable),
    ],
);

pub(super) static LINK_ALIAS: Schema = Schema::new(
    "LinkAliasConfig",
    &[must("name", Text).required("name must be specified"), opt("selector", Struct(&LINK_SELECTOR))],
);

pub(super) static LINK_SELECTOR: Schema =
    Schema::new("LinkSelector", &[opt("match", Expression).required("link selector is required")]);

pub(super) static VETH: Schema =
    Schema::with("VethConfig", &[must("name", Text), must("peer", Struct(&VETH_PEER))], &COMMON);

pub(super) static VETH_PEER: Schema = Schema::with("VethPeerConfig", &[must("name", Text)], &COMMON);

pub(super) static VLAN: Schema = Schema::with(
    "VLANConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("vlanID", Type::U16).within(1, 4094, "vlanID must be specified and between 1 and 4094"),
        ptr("vlanMode", Word(&["802.1q", "802.1ad"])),
        opt("parent", Text).required("parent must be specified"),
    ],
    &COMMON,
);

pub(super) static VRF: Schema = Schema::with(
    "VRFConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("hardwareAddr", Mac),
        opt("links", List(&Text)),
        must("table", RoutingTable),
    ],
    &COMMON,
);

pub(super) static WIREGUARD: Schema = Schema::with(
    "WireguardConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("privateKey", Text).required("wireguard private key must be specified").secret(),
        opt("listenPort", Type::INT).within(0, 65535, "wireguard listen port must be between 0 and 65535"),
        opt("firewallMark", Type::INT),
        opt("peers", List(&Struct(&WIREGUARD_PEER))),
    ],
    &COMMON,
);

pub(super) static WIREGUARD_PEER: Schema = Schema::new(
    "WireguardPeer",
    &[
        opt("publicKey", Text),
        opt("presharedKey", Text).secret(),
        opt("endpoint", AddressPort),
        opt("persistentKeepaliveInterval", Duration),
        opt("allowedIPs", List(&Prefix)),
    ],
);
