//! The messages that expressions may look into, as Talos declares them.

use super::declared::Kind::{Bool, Bytes, Duration, Int, List, Message as Of, Text, Uint};
use super::declared::Message;

/// Every message of this table, with the first minor that has it.
pub(super) static MESSAGES: &[(u32, &Message)] = &[
    (0, &DISK),
    (0, &DISCOVERED_VOLUME),
    (0, &LINK_STATUS),
    (0, &VLAN),
    (0, &BRIDGE_MASTER),
    (0, &STP),
    (0, &BRIDGE_VLAN),
    (0, &BOND_MASTER),
    (0, &WIREGUARD),
    (0, &WIREGUARD_PEER),
    (13, &VRF_MASTER),
    (14, &VETH),
    (0, &ADDRESS),
    (0, &NETWORK),
];

pub(super) static DISK: Message = Message {
    name: "talos.resource.definitions.block.DiskSpec",
    fields: &[
        (0, "size", Uint),
        (0, "io_size", Uint),
        (0, "sector_size", Uint),
        (0, "readonly", Bool),
        (0, "model", Text),
        (0, "serial", Text),
        (0, "modalias", Text),
        (0, "wwid", Text),
        (0, "bus_path", Text),
        (0, "sub_system", Text),
        (0, "transport", Text),
        (0, "rotational", Bool),
        (0, "cdrom", Bool),
        (0, "dev_path", Text),
        (0, "pretty_size", Text),
        (9, "secondary_disks", List(&Text)),
        (9, "uuid", Text),
        (10, "symlinks", List(&Text)),
        (14, "firmware_version", Text),
    ],
};

pub(super) static DISCOVERED_VOLUME: Message = Message {
    name: "talos.resource.definitions.block.DiscoveredVolumeSpec",
    fields: &[
        (0, "size", Uint),
        (0, "sector_size", Uint),
        (0, "io_size", Uint),
        (0, "name", Text),
        (0, "uuid", Text),
        (0, "label", Text),
        (0, "block_size", Uint),
        (0, "filesystem_block_size", Uint),
        (0, "probed_size", Uint),
        (0, "partition_uuid", Text),
        (0, "partition_type", Text),
        (0, "partition_label", Text),
        (0, "partition_index", Uint),
        (0, "type", Text),
        (0, "device_path", Text),
        (0, "parent", Text),
        (0, "dev_path", Text),
        (0, "parent_dev_path", Text),
        (0, "pretty_size", Text),
        (12, "offset", Uint),
    ],
};

pub(super) static LINK_STATUS: Message = Message {
    name: "talos.resource.definitions.network.LinkStatusSpec",
    fields: &[
        (0, "index", Uint),
        (0, "type", Int),
        (0, "link_index", Uint),
        (0, "flags", Uint),
        (0, "hardware_addr", Bytes),
        (0, "broadcast_addr", Bytes),
        (0, "mtu", Uint),
        (0, "queue_disc", Text),
        (0, "master_index", Uint),
        (0, "operational_state", Int),
        (0, "kind", Text),
        (0, "slave_kind", Text),
        (0, "bus_path", Text),
        (0, "pciid", Text),
        (0, "driver", Text),
        (0, "driver_version", Text),
        (0, "firmware_version", Text),
        (0, "product_id", Text),
        (0, "vendor_id", Text),
        (0, "product", Text),
        (0, "vendor", Text),
        (0, "link_state", Bool),
        (0, "speed_megabits", Int),
        (0, "port", Int),
        (0, "duplex", Int),
        (0, "vlan", Of(&VLAN)),
        (0, "bridge_master", Of(&BRIDGE_MASTER)),
        (0, "bond_master", Of(&BOND_MASTER)),
        (0, "wireguard", Of(&WIREGUARD)),
        (0, "permanent_addr", Bytes),
        (9, "alias", Text),
        (9, "alt_names", List(&Text)),
        (13, "vrf_master", Of(&VRF_MASTER)),
        (14, "veth", Of(&VETH)),
    ],
};

pub(super) static VLAN: Message =
    Message { name: "talos.resource.definitions.network.VLANSpec", fields: &[(0, "vid", Uint), (0, "protocol", Int)] };

pub(super) static BRIDGE_MASTER: Message = Message {
    name: "talos.resource.definitions.network.BridgeMasterSpec",
    fields: &[(0, "stp", Of(&STP)), (0, "vlan", Of(&BRIDGE_VLAN))],
};

pub(super) static STP: Message =
    Message { name: "talos.resource.definitions.network.STPSpec", fields: &[(0, "enabled", Bool)] };

pub(super) static BRIDGE_VLAN: Message =
    Message { name: "talos.resource.definitions.network.BridgeVLANSpec", fields: &[(0, "filtering_enabled", Bool)] };

pub(super) static BOND_MASTER: Message = Message {
    name: "talos.resource.definitions.network.BondMasterSpec",
    fields: &[
        (0, "mode", Int),
        (0, "hash_policy", Int),
        (0, "lacp_rate", Int),
        (0, "arp_validate", Int),
        (0, "arp_all_targets", Int),
        (0, "primary_index", Uint),
        (0, "primary_reselect", Int),
        (0, "fail_over_mac", Int),
        (0, "ad_select", Int),
        (0, "mii_mon", Uint),
        (0, "up_delay", Uint),
        (0, "down_delay", Uint),
        (0, "arp_interval", Uint),
        (0, "resend_igmp", Uint),
        (0, "min_links", Uint),
        (0, "lp_interval", Uint),
        (0, "packets_per_slave", Uint),
        (0, "num_peer_notif", Uint),
        (0, "tlb_dynamic_lb", Uint),
        (0, "all_slaves_active", Uint),
        (0, "use_carrier", Bool),
        (0, "ad_actor_sys_prio", Uint),
        (0, "ad_user_port_key", Uint),
        (0, "peer_notify_delay", Uint),
        (12, "arpip_targets", List(&Of(&ADDRESS))),
        (12, "nsip6_targets", List(&Of(&ADDRESS))),
        (12, "adlacp_active", Int),
        (12, "missed_max", Uint),
    ],
};

pub(super) static WIREGUARD: Message = Message {
    name: "talos.resource.definitions.network.WireguardSpec",
    fields: &[
        (0, "private_key", Text),
        (0, "public_key", Text),
        (0, "listen_port", Int),
        (0, "firewall_mark", Int),
        (0, "peers", List(&Of(&WIREGUARD_PEER))),
    ],
};

pub(super) static WIREGUARD_PEER: Message = Message {
    name: "talos.resource.definitions.network.WireguardPeer",
    fields: &[
        (0, "public_key", Text),
        (0, "preshared_key", Text),
        (0, "endpoint", Text),
        (0, "persistent_keepalive_interval", Duration),
        (0, "allowed_ips", List(&Of(&NETWORK))),
    ],
};

pub(super) static VRF_MASTER: Message =
    Message { name: "talos.resource.definitions.network.VRFMasterSpec", fields: &[(13, "table", Int)] };

pub(super) static VETH: Message =
    Message { name: "talos.resource.definitions.network.VethSpec", fields: &[(14, "peer_name", Text)] };

pub(super) static ADDRESS: Message = Message { name: "common.NetIP", fields: &[(0, "ip", Bytes)] };

pub(super) static NETWORK: Message =
    Message { name: "common.NetIPPrefix", fields: &[(0, "ip", Bytes), (0, "prefix_length", Int)] };
