//! Enumerations that describe links, by their names in the protocol.

/// An enumeration and its values, with spaces between them.
const ENUMERATIONS: &[(&str, &str)] = &[
    (
        "NethelpersLinkType",
        "LINK_NETROM LINK_ETHER LINK_EETHER LINK_AX25 LINK_PRONET LINK_CHAOS LINK_IEE802 LINK_ARCNET \
         LINK_ATALK LINK_DLCI LINK_ATM LINK_METRICOM LINK_IEEE1394 LINK_EUI64 LINK_INFINIBAND LINK_SLIP \
         LINK_CSLIP LINK_SLIP6 LINK_CSLIP6 LINK_RSRVD LINK_ADAPT LINK_ROSE LINK_X25 LINK_HWX25 LINK_CAN \
         LINK_PPP LINK_CISCO LINK_HDLC LINK_LAPB LINK_DDCMP LINK_RAWHDLC LINK_TUNNEL LINK_TUNNEL6 LINK_FRAD \
         LINK_SKIP LINK_LOOPBCK LINK_LOCALTLK LINK_FDDI LINK_BIF LINK_SIT LINK_IPDDP LINK_IPGRE LINK_PIMREG \
         LINK_HIPPI LINK_ASH LINK_ECONET LINK_IRDA LINK_FCPP LINK_FCAL LINK_FCPL LINK_FCFABRIC LINK_FCFABRIC1 \
         LINK_FCFABRIC2 LINK_FCFABRIC3 LINK_FCFABRIC4 LINK_FCFABRIC5 LINK_FCFABRIC6 LINK_FCFABRIC7 \
         LINK_FCFABRIC8 LINK_FCFABRIC9 LINK_FCFABRIC10 LINK_FCFABRIC11 LINK_FCFABRIC12 LINK_IEE802TR \
         LINK_IEE80211 LINK_IEE80211PRISM LINK_IEE80211_RADIOTAP LINK_IEE8021154 LINK_IEE8021154MONITOR \
         LINK_PHONET LINK_PHONETPIPE LINK_CAIF LINK_IP6GRE LINK_NETLINK LINK6_LOWPAN LINK_VOID LINK_NONE",
    ),
    (
        "NethelpersOperationalState",
        "OPER_STATE_UNKNOWN OPER_STATE_NOT_PRESENT OPER_STATE_DOWN OPER_STATE_LOWER_LAYER_DOWN \
         OPER_STATE_TESTING OPER_STATE_DORMANT OPER_STATE_UP",
    ),
    ("NethelpersPort", "TWISTED_PAIR AUI MII FIBRE BNC DIRECT_ATTACH NONE OTHER"),
    ("NethelpersDuplex", "HALF FULL UNKNOWN"),
    ("NethelpersVLANProtocol", "NETHELPERS_VLANPROTOCOL_UNSPECIFIED VLAN_PROTOCOL8021_Q VLAN_PROTOCOL8021_AD"),
    (
        "NethelpersBondMode",
        "BOND_MODE_ROUNDROBIN BOND_MODE_ACTIVE_BACKUP BOND_MODE_XOR BOND_MODE_BROADCAST BOND_MODE8023_AD \
         BOND_MODE_TLB BOND_MODE_ALB",
    ),
    (
        "NethelpersBondXmitHashPolicy",
        "BOND_XMIT_POLICY_LAYER2 BOND_XMIT_POLICY_LAYER34 BOND_XMIT_POLICY_LAYER23 BOND_XMIT_POLICY_ENCAP23 \
         BOND_XMIT_POLICY_ENCAP34",
    ),
    ("NethelpersLACPRate", "LACP_RATE_SLOW LACP_RATE_FAST"),
    (
        "NethelpersARPValidate",
        "ARP_VALIDATE_NONE ARP_VALIDATE_ACTIVE ARP_VALIDATE_BACKUP ARP_VALIDATE_ALL ARP_VALIDATE_FILTER \
         ARP_VALIDATE_FILTER_ACTIVE ARP_VALIDATE_FILTER_BACKUP",
    ),
    ("NethelpersARPAllTargets", "ARP_ALL_TARGETS_ANY ARP_ALL_TARGETS_ALL"),
    ("NethelpersPrimaryReselect", "PRIMARY_RESELECT_ALWAYS PRIMARY_RESELECT_BETTER PRIMARY_RESELECT_FAILURE"),
    ("NethelpersFailOverMAC", "FAIL_OVER_MAC_NONE FAIL_OVER_MAC_ACTIVE FAIL_OVER_MAC_FOLLOW"),
    ("NethelpersADSelect", "AD_SELECT_STABLE AD_SELECT_BANDWIDTH AD_SELECT_COUNT"),
    ("NethelpersADLACPActive", "ADLACP_ACTIVE_OFF ADLACP_ACTIVE_ON"),
];

/// Routing tables that have a name; the others have a number.
const TABLES: &str = "TABLE_UNSPEC TABLE_DEFAULT TABLE_MAIN TABLE_LOCAL";

/// Whether an enumeration has a value; `None` for one that isn't listed, because it describes no link.
pub(super) fn has(enumeration: &str, value: &str) -> Option<bool> {
    let is_in = |values: &str| values.split(' ').any(|known| known == value);
    if enumeration == "NethelpersRoutingTable" {
        let number = value.strip_prefix("TABLE").and_then(|number| number.parse::<u8>().ok());
        let numbered = number.is_some_and(|number| (1..=252).contains(&number) && value == format!("TABLE{number}"));
        return Some(numbered || is_in(TABLES));
    }
    ENUMERATIONS.iter().find(|(name, _)| *name == enumeration).map(|(_, values)| is_in(values))
}
