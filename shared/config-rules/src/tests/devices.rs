//! Network interfaces of the legacy document.

use super::legacy::{control_plane, worker};
use super::*;

pub(crate) const NO_NAME: &str =
    "[networking.os.device.interface], [networking.os.device.deviceSelector]: required either config section to be set";

/// Interfaces, in the short form of a YAML flow.
fn interfaces(rows: &[(&str, &str, &str)]) {
    for (broken, message, good) in rows {
        let line = |list: &str| format!("network: {{interfaces: [{list}]}}");
        worker(&[Row { broken: &line(broken), message, good: &line(good) }]);
    }
}

#[test]
fn rules_26_and_27_interfaces_and_what_they_are_made_of() {
    interfaces(&[
        ("{}", NO_NAME, "{interface: a}"),
        (
            "{interface: a, deviceSelector: {driver: b}}",
            "[networking.os.device.interface], [networking.os.device.deviceSelector]: config sections are mutually exclusive",
            "{deviceSelector: {driver: b}}",
        ),
        (
            "{deviceSelector: {}}",
            "[networking.os.device.deviceSelector]: config section should contain at least one field",
            "{deviceSelector: {physical: true}}",
        ),
        ("null", "empty device", "{interface: a}"),
        (
            "{interface: a, bond: {interfaces: [b], mode: active-backup}, bridge: {interfaces: [c]}}",
            "interface has both bridge and bond sections set \"a\": config sections are mutually exclusive",
            "{interface: a, bond: {interfaces: [b], mode: active-backup}}",
        ),
        (
            "{interface: a, bridge: {interfaces: [c]}}, {interface: b, bridge: {interfaces: [c]}}",
            "interface \"c\" is declared as part of two separate links: \"a\" and \"b\"",
            "{interface: a, bridge: {interfaces: [c]}}, {interface: b, bridge: {interfaces: [d]}}",
        ),
        (
            "{interface: a, bond: {mode: 802.3ad, interfaces: [b], deviceSelectors: [{driver: c}]}}",
            "interface \"a\" has both interfaces and selectors set: config sections are mutually exclusive",
            "{interface: a, bond: {mode: 802.3ad, interfaces: [], deviceSelectors: [{driver: c}]}}",
        ),
        (
            "{interface: a, bridge: {interfaces: [c]}}, {interface: c, dhcp: true}",
            "[networking.os.device] \"c\": bonded/bridged interface shouldn't have any addressing methods configured",
            "{interface: a, bridge: {interfaces: [c]}}, {interface: c}",
        ),
    ]);
}

#[test]
fn rule_27_options_of_bonds() {
    for (broken, message, good) in [
        ("mode: fast", "invalid bond type fast", "mode: balance-rr"),
        ("xmitHashPolicy: layer9", "invalid xmit hash policy layer9", "xmitHashPolicy: layer2+3"),
        ("mode: 802.3ad, lacpRate: odd", "invalid lacp rate odd", "mode: 802.3ad, lacpRate: fast"),
        ("arpValidate: odd", "invalid arp_validate mode odd", "arpValidate: filter"),
        ("arpAllTargets: odd", "invalid arp_all_targets mode odd", "arpAllTargets: all"),
        ("primaryReselect: odd", "invalid primary_reselect mode odd", "primaryReselect: better"),
        ("failOverMac: odd", "invalid fail_over_mac value odd", "failOverMac: follow"),
        ("adSelect: odd", "invalid ad_select mode odd", "adSelect: count"),
        ("updelay: 1", "bond.upDelay can't be set if miiMon is zero", "updelay: 1, miimon: 1"),
        ("downdelay: 1", "bond.downDelay can't be set if miiMon is zero", "downdelay: 4, miimon: 2"),
        ("updelay: 3, miimon: 2", "bond.upDelay should be a multiple of miiMon", "updelay: 4, miimon: 2"),
        ("downdelay: 3, miimon: 2", "bond.downDelay should be a multiple of miiMon", "downdelay: 4, miimon: 2"),
        ("arpIPTarget: [10.0.0.1]", "bond.arpIPTarget is not supported", "arpIPTarget: []"),
        ("adActorSystem: a", "bond.adActorSystem is not supported", "adActorSystem: ''"),
        (
            "mode: active-backup, lacpRate: fast",
            "bond.lacpRate is only available in 802.3ad mode",
            "mode: 802.3ad, lacpRate: fast",
        ),
        ("mode: 802.3ad, arpValidate: all", "bond.arpValidate is not available in 802.3ad mode", "arpValidate: all"),
        (
            "mode: broadcast, primary: b",
            "bond.primary is not available in broadcast mode",
            "mode: balance-tlb, primary: b",
        ),
        (
            "mode: balance-alb, arpInterval: 1",
            "bond.arpInterval is not available in balance-alb mode",
            "arpInterval: 1",
        ),
        (
            "mode: broadcast, packetsPerSlave: 2",
            "bond.packetsPerSlave is not available in broadcast mode",
            "packetsPerSlave: 2",
        ),
        (
            "mode: broadcast, tlbDynamicLb: 1",
            "bond.tlbDynamicTLB is not available in broadcast mode",
            "mode: balance-tlb, tlbDynamicLb: 1",
        ),
        (
            "adActorSysPrio: 1",
            "bond.adActorSysPrio is only available in 802.3ad mode",
            "mode: 802.3ad, adActorSysPrio: 1",
        ),
        ("adUserPortKey: 1", "bond.adUserPortKey is only available in 802.3ad mode", "mode: 802.3ad, adUserPortKey: 1"),
    ] {
        let bond = |options: &str| format!("{{interface: a, bond: {{interfaces: [b], {options}}}}}");
        interfaces(&[(&bond(broken), message, &bond(good))]);
    }
}

#[test]
fn rule_28_addresses_and_routes() {
    let device = |rest: &str| format!("{{interface: a, {rest}}}");
    for (broken, message, good) in [
        (
            "addresses: [x]",
            "[networking.os.device.addresses] \"a\": failed to parse IP address \"x\"",
            "addresses: [10.0.0.1]",
        ),
        (
            "addresses: [10.0.0.1/x]",
            "[networking.os.device.addresses] \"a\": invalid CIDR address: 10.0.0.1/x",
            "addresses: [10.0.0.1/8]",
        ),
        (
            "addresses: [10.0.0.1], cidr: 10.0.0.1/8",
            "[networking.os.device] \"a\": interface can't have both .cidr and .addresses set",
            "cidr: 10.0.0.1/8",
        ),
        ("cidr: x", "[networking.os.device.CIDR] \"a\": failed to parse IP address \"x\"", "cidr: 10.0.0.1/8"),
        (
            "cidr: 10.0.0.1/8",
            "\"a\": machine.network.interface.cidr is deprecated, please use machine.network.interface.addresses",
            "addresses: [10.0.0.1/8]",
        ),
        (
            "routes: [{network: x, gateway: 10.0.0.1}]",
            "[networking.os.device.route[0].network] \"x\": invalid network address",
            "routes: [{network: 0.0.0.0/0, gateway: 10.0.0.1}]",
        ),
        (
            "routes: [{network: 10.0.0.0/8, gateway: x}]",
            "[networking.os.device.route[0].gateway] \"x\": invalid network address",
            "routes: [{network: 10.0.0.0/8}]",
        ),
        (
            "routes: [{network: 10.0.0.0/8, source: x}]",
            "[networking.os.device.route[0].source] \"x\": invalid network address",
            "routes: [{network: 10.0.0.0/8, source: 10.0.0.1}]",
        ),
        (
            "routes: [{metric: 1}]",
            "[networking.os.device.route[0]]: either network or gateway should be set",
            "routes: [{gateway: 10.0.0.1}]",
        ),
        (
            "vlans: [{vlanId: 7, addresses: [10.0.0.1], cidr: 10.0.0.1}]",
            "[networking.os.device.vlan] a.7: vlan can't have both .cidr and .addresses set",
            "vlans: [{vlanId: 7, addresses: [10.0.0.1]}]",
        ),
        (
            "vlans: [{vlanId: 7, cidr: x}]",
            "[networking.os.device.vlan.CIDR] a.7: failed to parse IP address \"x\"",
            "vlans: [{vlanId: 7, cidr: 10.0.0.1}]",
        ),
        (
            "vlans: [{vlanId: 7, addresses: [x]}]",
            "[networking.os.device.vlan.addresses] a.7: failed to parse IP address \"x\"",
            "vlans: [{vlanId: 7}]",
        ),
    ] {
        interfaces(&[(&device(broken), message, &device(good))]);
    }
    control_plane(&[Row {
        broken: "network: {interfaces: [{interface: a, vip: {ip: x}}]}",
        message: "[networking.os.device.vip] failed to parse \"x\" as IP address",
        good: "network: {interfaces: [{interface: a, vip: {ip: 10.0.0.1}}]}",
    }]);
}
