//! Network interfaces of the legacy document.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::checks::{address_or_network, is_network, wireguard_key};
use crate::lookup::Lookup;
use crate::report::Report;
use crate::rule::Input;

const OPTIONS_REQUIRED: &str = "required either config section to be set";
const EXCLUSIVE: &str = "config sections are mutually exclusive";
const EMPTY: &str = "config section should contain at least one field";
const BAD_ADDRESS: &str = "invalid network address";

/// Links that are part of another one, with that one's name.
type Parts<'a> = HashMap<&'a str, &'a str>;

pub(crate) fn devices(input: Input<'_>, report: &mut Report) {
    let list = input.legacy("machine.network.interfaces").items();
    let parts = parts(list.clone(), report);
    for device in list {
        if !device.is_set() {
            report.error("empty device");
        } else if !device.at("ignore").is_on() {
            identity(device, report);
            super::bond::options(device.at("bond"), report);
            wireguard(device.at("wireguard"), report);
            vlans(device, report);
            addressing(device, &parts, report);
            routes(device, report);
        }
    }
}

fn name(device: Lookup<'_>) -> &str {
    device.at("interface").text()
}

/// Which links are in bonds and bridges; each may be in one only.
fn parts<'a>(devices: impl Iterator<Item = Lookup<'a>>, report: &mut Report) -> Parts<'a> {
    let mut all = Parts::new();
    for device in devices {
        let (bond, bridge) = (device.at("bond"), device.at("bridge"));
        if bond.is_set() && bridge.is_set() {
            report.error(format!("interface has both bridge and bond sections set {:?}: {EXCLUSIVE}", name(device)));
        }
        if bond.at("interfaces").items().len() > 0 && bond.at("deviceSelectors").items().len() > 0 {
            report.error(format!("interface {:?} has both interfaces and selectors set: {EXCLUSIVE}", name(device)));
        }
        let holder = if bridge.is_set() { bridge } else { bond };
        for part in holder.at("interfaces").texts() {
            let before = all.insert(part, name(device)).filter(|before| *before != name(device));
            if let Some(before) = before {
                let what = "is declared as part of two separate links";
                report.error(format!("interface {part:?} {what}: {before:?} and {:?}", name(device)));
            }
        }
    }
    all
}

fn identity(device: Lookup<'_>, report: &mut Report) {
    const PLACES: &str = "[networking.os.device.interface], [networking.os.device.deviceSelector]";
    let selector = device.at("deviceSelector");
    match (name(device).is_empty(), selector.is_set()) {
        (true, false) => report.error(format!("{PLACES}: {OPTIONS_REQUIRED}")),
        (false, true) => report.error(format!("{PLACES}: {EXCLUSIVE}")),
        _ => {}
    }
    if selector.is_set() && selector.is_zero() {
        report.error(format!("[networking.os.device.deviceSelector]: {EMPTY}"));
    }
}

/// The message for a private key that isn't 32 bytes long: Talos prints the key, we don't.
const PRIVATE_KEY: fn(&str, usize) -> String = |_, length| format!("wrong key length: {length}");
/// The message for a public key that isn't 32 bytes long.
const PUBLIC_KEY: fn(&str, usize) -> String = |key, length| format!("wrong key {key:?} length: {length}");

fn wireguard(section: Lookup<'_>, report: &mut Report) {
    if !section.is_set() {
        return;
    }
    if let Some(why) = wireguard_key(section.at("privateKey").text(), PRIVATE_KEY) {
        report.error(format!("private key is invalid: {why}"));
    }
    for peer in section.at("peers").items() {
        if let Some(why) = wireguard_key(peer.at("publicKey").text(), PUBLIC_KEY) {
            report.error(format!("public key invalid: {why}"));
        }
        let endpoint = peer.at("endpoint").text();
        if !endpoint.is_empty() && endpoint.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            report.error(format!("peer endpoint {endpoint:?} is invalid"));
        }
        for allowed in peer.at("allowedIPs").texts().filter(|text| !is_network(text)) {
            report.error(format!("peer allowed IP {allowed:?} is invalid: invalid CIDR address: {allowed}"));
        }
    }
}

fn vlans(device: Lookup<'_>, report: &mut Report) {
    for vlan in device.at("vlans").items() {
        let this = format!("{}.{}", name(device), vlan.at("vlanId").number());
        let (cidr, addresses) = (vlan.at("cidr").text(), vlan.at("addresses").texts());
        if addresses.len() > 0 && !cidr.is_empty() {
            let why = "vlan can't have both .cidr and .addresses set";
            report.error(format!("[networking.os.device.vlan] {this}: {why}"));
        }
        let cidr = Some(cidr).filter(|cidr| !cidr.is_empty()).map(|cidr| ("CIDR", cidr));
        for (field, text) in cidr.into_iter().chain(addresses.map(|text| ("addresses", text))) {
            if let Some(why) = address_or_network(text) {
                report.error(format!("[networking.os.device.vlan.{field}] {this}: {why}"));
            }
        }
    }
}

fn addressing(device: Lookup<'_>, parts: &Parts<'_>, report: &mut Report) {
    let name = name(device);
    let (cidr, addresses, vip) = (device.at("cidr").text(), device.at("addresses").texts(), device.at("vip"));
    let addressed = device.at("dhcp").is_on() || !cidr.is_empty() || addresses.len() > 0 || vip.is_set();
    if parts.contains_key(name) && addressed {
        let why = "bonded/bridged interface shouldn't have any addressing methods configured";
        report.error(format!("[networking.os.device] {name:?}: {why}"));
    }
    if addresses.len() > 0 && !cidr.is_empty() {
        let why = "interface can't have both .cidr and .addresses set";
        report.error(format!("[networking.os.device] {name:?}: {why}"));
    }
    if !cidr.is_empty() {
        if let Some(why) = address_or_network(cidr) {
            report.error(format!("[networking.os.device.CIDR] {name:?}: {why}"));
        }
        let instead = "please use machine.network.interface.addresses";
        report.warn(format!("{name:?}: machine.network.interface.cidr is deprecated, {instead}"));
    }
    for why in addresses.filter_map(address_or_network) {
        report.error(format!("[networking.os.device.addresses] {name:?}: {why}"));
    }
    let ip = vip.at("ip").text();
    if vip.is_set() && ip.parse::<IpAddr>().is_err() {
        report.error(format!("[networking.os.device.vip] failed to parse {ip:?} as IP address"));
    }
}

fn routes(device: Lookup<'_>, report: &mut Report) {
    for (index, route) in device.at("routes").items().enumerate() {
        let place = format!("networking.os.device.route[{index}]");
        let [network, gateway, source] = ["network", "gateway", "source"].map(|key| route.at(key).text());
        let bad = |key: &str, text: &str, fits: bool| {
            (!text.is_empty() && !fits).then(|| format!("[{place}.{key}] {text:?}: {BAD_ADDRESS}"))
        };
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        report.errors.extend(bad("network", network, is_network(network)));
        report.errors.extend(bad("gateway", gateway, is_address(gateway)));
        if gateway.is_empty() && network.is_empty() {
            report.error(format!("[{place}]: either network or gateway should be set"));
        }
        report.errors.extend(bad("source", source, is_address(source)));
    }
}

/// The smallest MTU that WireGuard over IPv6 works with.
const KUBESPAN_MTU: i64 = 1280;

pub(crate) fn kubespan(input: Input<'_>, report: &mut Report) {
    let kubespan = input.legacy("machine.network.kubespan");
    let mtu = kubespan.at("mtu").number();
    if kubespan.at("enabled").is_on() && mtu != 0 && mtu < KUBESPAN_MTU {
        report.error(format!("kubespan link MTU must be at least {KUBESPAN_MTU}"));
    }
}
