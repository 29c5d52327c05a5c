//! Links: physical ones, and those made of other links.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cel::Environment;
use crate::checks::name;
use crate::checks::{expression, nanoseconds, wireguard_key};
use crate::lookup::Lookup;
use crate::report::Report;

/// What every link has: addresses and routes.
pub(crate) fn common(fields: Lookup<'_>, report: &mut Report) {
    for (index, address) in fields.at("addresses").items().enumerate() {
        match address.at("address").text().parse::<IpNet>() {
            Err(_) => report.error(format!("address {index} must be specified")),
            Ok(network) if network.addr().is_unspecified() => {
                report.error(format!("address {index} must be a valid IP address"));
            }
            Ok(_) => {}
        }
    }
    for (index, route) in fields.at("routes").items().enumerate() {
        let destination = route.at("destination").text().parse::<IpNet>();
        if destination.is_ok_and(|network| network.addr().is_unspecified()) {
            report.error(format!("route {index} destination must be a valid IP prefix"));
        }
        for key in ["gateway", "source"] {
            if route.at(key).text().parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
                report.error(format!("route {index} {key} must be a valid IP address"));
            }
        }
    }
}

pub(crate) fn bond(fields: Lookup<'_>, report: &mut Report) {
    let mode = fields.at("bondMode");
    if mode.text() == "802.3ad" {
        for key in ["miimon", "updelay", "downdelay"].iter().filter(|key| !fields.at(key).is_set()) {
            report.warn(format!("{key} was not specified for 802.3ad bond"));
        }
    }
    common(fields, report);
}

/// The link that a bond prefers, from 1.15 on.
pub(crate) fn primary(fields: Lookup<'_>, report: &mut Report) {
    let (primary, mode) = (fields.at("primary"), fields.at("bondMode"));
    let used = matches!(mode.text(), "active-backup" | "balance-tlb" | "balance-alb");
    if !primary.is_set() {
        if fields.at("primaryReselect").is_set() && used {
            report.warn("primaryReselect has no effect unless primary is specified");
        }
        return;
    }
    let primary = primary.text();
    if primary.is_empty() {
        report.error("primary link name can't be empty");
    } else if !fields.at("links").texts().any(|link| link == primary) {
        report.error(format!("primary link {primary:?} is not in the list of bonded links"));
    }
    if mode.is_set() && !used {
        report.error(format!("primary link is not supported in {:?} bond mode", mode.text()));
    }
}

pub(crate) fn vrf(fields: Lookup<'_>, report: &mut Report) {
    let table = fields.at("table").text();
    if matches!(table, "" | "unspec" | "local" | "main" | "default") {
        let table = if table.is_empty() { "unspec" } else { table };
        report.error(format!("cannot create vrf with reserved table {table}"));
    }
    common(fields, report);
}

pub(crate) fn veth(fields: Lookup<'_>, report: &mut Report) {
    let peer = fields.at("peer");
    report.errors.extend(link_name("name", name(fields)));
    report.errors.extend(link_name("peer name", name(peer)));
    if !name(fields).is_empty() && name(fields) == name(peer) {
        report.error("name and peer name must be different");
    }
    common(fields, report);
    common(peer, report);
}

/// What is wrong with a link's name for the kernel.
fn link_name(what: &str, name: &str) -> Option<String> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    match name {
        "" => Some(format!("{what} must be specified")),
        _ if name.len() > 15 => Some(format!("{what} must not exceed 15 bytes")),
        "." | ".." => Some(format!("{what} must not be {name:?}")),
        _ if name.contains(['/', ':']) => Some(format!("{what} must not contain '/' or ':'")),
        _ if name.contains(odd) => Some(format!("{what} must not contain whitespace or non-printable characters")),
        _ => None,
    }
}

/// The message for a key that isn't 32 bytes long.
const KEY_LENGTH: fn(&str, usize) -> String = |_, _| "invalid wireguard key length".to_owned();

pub(crate) fn wireguard(fields: Lookup<'_>, report: &mut Report) {
    let key = fields.at("privateKey").text();
    if let Some(why) = Some(key).filter(|key| !key.is_empty()).and_then(|key| wireguard_key(key, KEY_LENGTH)) {
        report.error(format!("wireguard private key is invalid: {why}"));
    }
    for (index, peer) in fields.at("peers").items().enumerate() {
        let place = format!("(peer index {index})");
        let (public, shared) = (peer.at("publicKey").text(), peer.at("presharedKey").text());
        if public.is_empty() {
            report.error(format!("wireguard peer public key must be specified {place}"));
        } else if let Some(why) = wireguard_key(public, KEY_LENGTH) {
            report.error(format!("wireguard peer public key is invalid {place}: {why}"));
        }
        if let Some(why) = Some(shared).filter(|key| !key.is_empty()).and_then(|key| wireguard_key(key, KEY_LENGTH)) {
            report.error(format!("wireguard peer preshared key is invalid {place}: {why}"));
        }
        if nanoseconds(peer.at("persistentKeepaliveInterval")) < 0 {
            report.error(format!("wireguard peer persistent keepalive interval cannot be negative {place}"));
        }
    }
    common(fields, report);
}

pub(crate) fn alias(fields: Lookup<'_>, report: &mut Report) {
    expression(fields.at("selector.match"), Environment::Link, "link selector is invalid", report);
}

/// An alias for several links counts them, from 1.13 on.
pub(crate) fn counted_alias(fields: Lookup<'_>, report: &mut Report) {
    if let Some((prefix, suffix)) = name(fields).split_once('%')
        && (suffix != "d" || prefix.is_empty())
    {
        report.error(format!("name {:?} contains an invalid format verb, use %d suffix", name(fields)));
    }
}
