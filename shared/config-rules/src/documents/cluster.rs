//! Documents about the cluster: identity, discovery, names, networks, and how a node appears in it.

use ipnet::IpNet;

use crate::checks::{annotations, base64, endpoint, is_subnet, labels, taints, url};
use crate::kubernetes::resources;
use crate::lookup::Lookup;
use crate::report::Report;

pub(crate) fn identity(fields: Lookup<'_>, report: &mut Report) {
    let secret = fields.at("clusterSecret").text();
    match base64(secret) {
        _ if secret.is_empty() => {}
        Err(_) => report.error("invalid clusterSecret: failed to decode from base64"),
        Ok(bytes) if bytes.len() != 32 => {
            report.error(format!("invalid clusterSecret: expected 32 bytes, got {}", bytes.len()));
        }
        Ok(_) => {}
    }
}

pub(crate) fn service(fields: Lookup<'_>, report: &mut Report) {
    let text = fields.at("endpoint").text();
    let parts = url(text);
    match parts.scheme() {
        _ if text.is_empty() => {}
        "" => report.error("endpoint scheme is required"),
        "http" | "https" | "grpc" if parts.host_name().is_empty() => report.error("endpoint host is required"),
        "http" | "https" | "grpc" => {}
        _ => report.error("endpoint scheme must be http://, https:// or grpc://"),
    }
}

pub(crate) fn kubernetes(fields: Lookup<'_>, report: &mut Report) {
    let url = fields.at("endpoint").text();
    if let Some(why) = Some(url).filter(|url| !url.is_empty()).and_then(endpoint) {
        report.error(format!("cluster endpoint is invalid: {why}"));
    }
}

pub(crate) fn flannel(fields: Lookup<'_>, report: &mut Report) {
    report.errors.extend(resources(fields.at("resources")));
}

pub(crate) fn node(fields: Lookup<'_>, report: &mut Report) {
    for text in fields.at("nodeIP.validSubnets").texts().filter(|text| !is_subnet(text)) {
        report.error(format!("nodeIP subnet is not valid: {:?}", text.trim_start_matches('!')));
    }
    let of = |what: &'static str, found: Vec<String>| {
        found.into_iter().map(move |why| format!("invalid node {what}: {why}"))
    };
    report.errors.extend(of("labels", labels(fields.at("labels"))));
    report.errors.extend(of("annotations", annotations(fields.at("annotations"))));
    report.errors.extend(of("taints", taints(fields.at("taints"))));
}

/// Minimum number of host bits of a subnet.
const HOST_BITS: u8 = 4;
/// Maximum number of host bits of a subnet of services.
const SERVICE_HOST_BITS: u8 = 20;
/// Maximum number of bits between a pod subnet and a node's share of it.
const NODE_BITS: u8 = 16;

pub(crate) fn network(fields: Lookup<'_>, report: &mut Report) {
    let mask = |key: &str, most: u8| match u8::try_from(fields.at(key).number()) {
        Ok(mask) if mask <= most => Some(mask),
        _ => None,
    };
    let masks = [("nodeCIDRMaskSizeIPv4", 32, 24), ("nodeCIDRMaskSizeIPv6", 128, 64)]
        .map(|(key, most, default)| mask(key, most).map(|mask| if mask == 0 { default } else { mask }));
    let pods = |net: &IpNet| pod_subnet(net, if net.addr().is_ipv4() { masks[0] } else { masks[1] });
    let lists = [
        ("pod", "podSubnets", &pods as &dyn Fn(&IpNet) -> Option<String>),
        ("service", "serviceSubnets", &service_subnet),
    ];
    for (what, key, check) in lists {
        if let Some(why) = subnets(fields.at(key), check) {
            report.error(format!("{what} subnets: {why}"));
        }
    }
    if fields.at("podSubnets").items().len() != fields.at("serviceSubnets").items().len() {
        report.error("the number of pod subnets must match the number of service subnets");
    }
}

fn subnets(list: Lookup<'_>, check: &dyn Fn(&IpNet) -> Option<String>) -> Option<String> {
    let nets: Vec<IpNet> = list.texts().filter_map(|text| text.parse().ok()).collect();
    match list.items().len() {
        0 => return Some("at least one subnet must be specified".to_owned()),
        3.. => return Some("at most two subnets can be specified for dual-stack clusters".to_owned()),
        _ => {}
    }
    if nets.len() < list.items().len() {
        return Some("invalid subnet: invalid Prefix".to_owned());
    }
    if let Some(why) = nets.iter().find_map(|net| subnet(net).or_else(|| check(net))) {
        return Some(why);
    }
    let same = nets.len() == 2 && nets[0].addr().is_ipv4() == nets[1].addr().is_ipv4();
    same.then(|| "at most one IPv4 and one IPv6 subnet can be specified for dual-stack clusters".to_owned())
}

fn subnet(net: &IpNet) -> Option<String> {
    if net.trunc() != *net {
        return Some(format!("invalid subnet: {net} is not a valid CIDR"));
    }
    let bits = net.prefix_len();
    let small = net.max_prefix_len() - bits < HOST_BITS;
    small.then(|| format!("invalid subnet: /{bits} is too small, it must be larger than /{}", bits - HOST_BITS))
}

fn pod_subnet(net: &IpNet, mask: Option<u8>) -> Option<String> {
    let (mask, bits) = (mask?, net.prefix_len());
    if bits > mask {
        return Some(format!("invalid subnet: {net} is smaller than the per-node pod CIDR mask size /{mask}"));
    }
    let large = format!("invalid subnet: {net} is too large for the per-node pod CIDR mask size /{mask}");
    (mask - bits > NODE_BITS).then(|| format!("{large}, the difference must be at most {NODE_BITS} bits"))
}

fn service_subnet(net: &IpNet) -> Option<String> {
    let least = net.max_prefix_len() - SERVICE_HOST_BITS;
    let most = format!("(at most {SERVICE_HOST_BITS} host identifier bits)");
    let large = net.prefix_len() < least;
    large.then(|| format!("invalid subnet: {net} is too large, it must be at least /{least} {most}"))
}
