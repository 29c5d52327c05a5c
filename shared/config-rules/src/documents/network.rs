//! The network besides links: names, addresses to share, rules, probes.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::checks::name;
use crate::checks::{is_prefix, is_subnet, listed, nanoseconds, url};
use crate::lookup::Lookup;
use crate::report::Report;

pub(crate) fn hostname(fields: Lookup<'_>, report: &mut Report) {
    let (auto, hostname) = (fields.at("auto"), fields.at("hostname").text());
    if !auto.is_set() && hostname.is_empty() {
        report.error("either 'auto' or 'hostname' must be set");
    }
    if hostname.is_empty() {
        return;
    }
    if !matches!(auto.text(), "" | "off") {
        report.error("'auto' and 'hostname' cannot be set at the same time");
    }
    if hostname.len() > 253 {
        report.error(format!("fqdn is too long: {}", hostname.len()));
    }
    let first = hostname.split('.').next().unwrap_or_default();
    if first.is_empty() || first.len() > 63 {
        report.error(format!("invalid hostname {first:?}"));
    }
}

pub(crate) fn vip(fields: Lookup<'_>, report: &mut Report) {
    let name = name(fields);
    if !name.is_empty() && name.parse::<IpAddr>().is_err() {
        report.error(format!("name must be a valid IP address: ParseAddr({name:?}): unable to parse IP"));
    }
}

pub(crate) fn dhcp(fields: Lookup<'_>, report: &mut Report) {
    let by_duid = fields.at("clientIdentifier").text() == "duid";
    let raw = !fields.at("duidRaw").text().is_empty();
    if raw && !by_duid {
        report.error("duidRaw can only be set if clientIdentifier is 'duid'");
    }
    if by_duid && !raw {
        report.error("duidRaw must be set if clientIdentifier is 'duid'");
    }
}

pub(crate) fn resolver(fields: Lookup<'_>, report: &mut Report) {
    let dns = fields.at("hostDNS");
    for key in ["forwardKubeDNSToHost", "resolveMemberNames"] {
        if dns.at(key).is_on() && !dns.at("enabled").is_on() {
            report.error(format!("hostDNS.{key} cannot be enabled when hostDNS.enabled is false"));
        }
    }
    let servers = fields.at("nameservers").items();
    for (index, server) in servers.clone().enumerate() {
        let (protocol, tls) = (server.at("protocol").text(), server.at("tlsServerName").text());
        match protocol {
            "DoT" | "DoH" if tls.is_empty() => {
                report.error(format!("tlsServerName must be set when protocol is {protocol}: entry {index}"));
            }
            "" | "Do53" if !tls.is_empty() => {
                report.error(format!("tlsServerName must be empty when protocol is Do53: entry {index}"));
            }
            _ => {}
        }
        if server.at("address").text().is_empty() {
            report.error(format!("nameserver address must be a valid IP: entry {index}"));
        }
    }
    let encrypted = |server: Lookup<'_>| matches!(server.at("protocol").text(), "DoT" | "DoH");
    if servers.len() > 0 && servers.clone().all(encrypted) {
        report.warn(
            "all configured nameservers use encrypted DNS (DoT or DoH): validating certificates requires a correct \
             system clock, so boot may stall when NTP servers are configured by hostname; consider keeping at least \
             one plain-DNS fallback or configuring NTP servers by IP address",
        );
    }
}

pub(crate) fn time(fields: Lookup<'_>, report: &mut Report) {
    if fields.at("ntp").is_set() && fields.at("ptp").is_set() {
        report.error("only one of ntp or ptp configuration can be specified");
    }
    if fields.at("ntp.useNTS").is_on() {
        for server in fields.at("ntp.servers").texts().filter(|server| server.parse::<IpAddr>().is_ok()) {
            report.error(format!("NTS requires hostnames, not IP addresses: {server:?}"));
        }
    }
}

pub(crate) fn kubespan(fields: Lookup<'_>, report: &mut Report) {
    for text in fields.at("filters.endpoints").texts().filter(|text| !is_subnet(text)) {
        report.error(format!("KubeSpan endpoint filter is not valid: {:?}", text.trim_start_matches('!')));
    }
}

pub(crate) fn blackhole(fields: Lookup<'_>, report: &mut Report) {
    if !is_prefix(name(fields)) {
        let why = format!("netip.ParsePrefix({:?}): no '/'", name(fields));
        report.error(format!("name must be a valid address prefix: {why}"));
    }
}

pub(crate) fn static_host(fields: Lookup<'_>, report: &mut Report) {
    if name(fields).parse::<IpAddr>().is_err() {
        report.error("name must be a valid IP address");
    }
}

/// Priorities of rules that the kernel and KubeSpan use.
const RESERVED_PRIORITIES: [&str; 4] = ["0", "32500", "32766", "32767"];

pub(crate) fn routing_rule(fields: Lookup<'_>, report: &mut Report) {
    if name(fields).parse::<u32>().is_err() {
        let why = format!("strconv.ParseUint: parsing {:?}: invalid syntax", name(fields));
        report.error(format!("invalid name: must be priority parsable unsigned integer: {why}"));
    }
    // What isn't a number counts as zero.
    let priority = name(fields).parse::<u32>().unwrap_or(0).to_string();
    if RESERVED_PRIORITIES.contains(&priority.as_str()) {
        let reserved = listed(RESERVED_PRIORITIES);
        report.error(format!("priority must be between 1 and 32765 (excluding reserved priorities {reserved})"));
    }
    let (table, action) = (fields.at("table").text(), fields.at("action").text());
    if matches!(table, "" | "unspec") && matches!(action, "" | "unicast") {
        report.error("either table or a non-unicast action must be specified");
    }
    if fields.at("fwMask").number() != 0 && fields.at("fwMark").number() == 0 {
        report.error("fwMask requires fwMark to be set");
    }
}

pub(crate) fn rule(fields: Lookup<'_>, report: &mut Report) {
    let ports = fields.at("portSelector.ports").texts();
    let bounds = |text: &str| {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Some((low.parse::<u16>().ok()?, high.parse::<u16>().ok()?))
    };
    let mut ranges: Vec<_> = ports.filter_map(bounds).collect();
    ranges.sort_by_key(|range| range.0);
    let shown = |(low, high): (u16, u16)| if low == high { low.to_string() } else { format!("{low}-{high}") };
    for (index, range) in ranges.iter().enumerate() {
        if let Some(other) = index.checked_sub(1).map(|before| ranges[before]).filter(|other| range.0 <= other.1) {
            report.error(format!("invalid port range: {}, overlaps with {}", shown(*range), shown(other)));
        }
    }
    for _ in fields.at("ingress").items().filter(|entry| entry.at("subnet").text().is_empty()) {
        report.error("invalid subnet: invalid Prefix");
    }
}

pub(crate) fn http_probe(fields: Lookup<'_>, report: &mut Report) {
    let text = fields.at("url").text();
    let parts = url(text);
    if text.is_empty() {
        return;
    }
    if !matches!(parts.scheme(), "http" | "https") {
        report.error(format!("HTTP probe URL scheme must be http or https, got {:?}", parts.scheme()));
    } else if parts.host_name().is_empty() {
        report.error("HTTP probe URL must be an absolute http or https URL with a non-empty host");
    }
}

pub(crate) fn bgp(fields: Lookup<'_>, report: &mut Report) {
    let router = fields.at("routerID").text();
    if !router.is_empty() && router.parse::<Ipv4Addr>().is_err() {
        report.error("routerID must be an IPv4 address");
    }
    let neighbors = fields.at("neighbors").items();
    if neighbors.len() == 0 {
        report.warn("BGPInstanceConfig has no neighbors configured");
    }
    let mut seen = HashSet::new();
    for (index, neighbor) in neighbors.enumerate() {
        let (address, link) = (neighbor.at("address").text(), neighbor.at("link").text());
        if address.is_empty() == link.is_empty() {
            report.error(format!("neighbor[{index}]: exactly one of address or link must be set"));
        } else if !seen.insert((address, link)) {
            report.error(format!("neighbor[{index}]: duplicate neighbor {:?}", format!("{address}{link}")));
        }
        neighbor_timers(index, neighbor, fields.at("vrf").text(), report);
    }
    import_routes(name(fields), fields.at("importRoutes"), report);
}

fn neighbor_timers(index: usize, neighbor: Lookup<'_>, vrf: &str, report: &mut Report) {
    if nanoseconds(neighbor.at("holdTime")) < 0 {
        report.error(format!("neighbor[{index}]: holdTime must not be negative"));
    }
    let bfd = neighbor.at("bfd");
    if bfd.is_set() && !vrf.is_empty() {
        report.error(format!("neighbor[{index}]: bfd is not supported for VRF-bound BGP instances"));
    }
    for key in ["transmitInterval", "receiveInterval"] {
        if nanoseconds(bfd.at(key)) < 0 {
            report.error(format!("neighbor[{index}]: bfd.{key} must not be negative"));
        }
    }
}

fn import_routes(name: &str, routes: Lookup<'_>, report: &mut Report) {
    let mut seen = HashSet::new();
    let mut taken: Vec<(usize, IpNet)> = Vec::new();
    for (index, route) in routes.items().enumerate() {
        let place = format!("importRoutes[{index}]");
        let source = route.at("bgpInstance").text();
        if source.is_empty() {
            report.error(format!("{place}: bgpInstance must be specified"));
        } else if source == name {
            report.error(format!("{place}: cannot import from the same BGP instance {source:?}"));
        } else if !seen.insert(source) {
            report.error(format!("{place}: duplicate source BGP instance {source:?}"));
        }
        let texts = route.at("prefixes").texts();
        if texts.len() == 0 {
            report.error(format!("{place}: at least one prefix must be specified"));
        }
        for (i, _) in texts.clone().enumerate().filter(|(_, text)| text.is_empty()) {
            report.error(format!("{place}.prefixes[{i}]: invalid prefix"));
        }
        let prefixes: Vec<IpNet> = texts.filter_map(|text| text.parse().ok()).collect();
        for (i, prefix) in prefixes.iter().enumerate() {
            let place = format!("{place}.prefixes[{i}]");
            if prefix.trunc() != *prefix {
                report.error(format!("{place}: prefix {prefix} must be masked"));
            }
            if let Some((j, other)) = prefixes[..i].iter().enumerate().find(|(_, other)| overlap(other, prefix)) {
                report.error(format!("{place}: prefix {prefix} overlaps prefixes[{j}] {other}"));
            }
        }
        for prefix in prefixes.into_iter().filter(|prefix| prefix.trunc() == *prefix) {
            for (other, theirs) in taken.iter().filter(|(other, theirs)| *other != index && overlap(theirs, &prefix)) {
                report.error(format!("{place}: prefix {prefix} overlaps importRoutes[{other}] prefix {theirs}"));
            }
            taken.push((index, prefix));
        }
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}
