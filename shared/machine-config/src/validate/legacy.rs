//! Rules for the legacy document.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Mode, Report, Rule, is_set, pairs, texts};
use crate::config::{Config, MachineType};
use crate::labels;
use crate::value::{Map, Value};

pub(super) const RULES: &[Rule] = &[
    sections,
    machine_type,
    persist,
    machine_ca,
    cluster_ca,
    endpoint,
    etcd,
    install,
    cni,
    interfaces,
    kubelet,
    node,
    features,
];

fn is_worker(config: &Config) -> bool {
    config.machine_type() == Some(MachineType::Worker)
}

fn sections(config: &Config, _: Mode, report: &mut Report) {
    for section in ["machine", "cluster"] {
        if !is_set(config, &[section]) {
            report.error(format!("{section} instructions are required"));
        }
    }
}

fn machine_type(config: &Config, _: Mode, report: &mut Report) {
    let word = config.legacy(&["machine", "type"]).and_then(Value::as_text).unwrap_or_default();
    match MachineType::parse(word) {
        None => report.error(format!("unknown machine type {word:?}")),
        Some(machine) if machine.as_str() != word && word != "init" => {
            report.warnings.push(format!("use \"{machine}\" instead of {word:?}"));
        }
        Some(_) => {}
    }
}

fn persist(config: &Config, _: Mode, report: &mut Report) {
    if config.legacy(&["persist"]) == Some(&Value::Bool(false)) {
        report.error(".persist should be enabled");
    }
}

fn machine_ca(config: &Config, _: Mode, report: &mut Report) {
    let crt = is_set(config, &["machine", "ca", "crt"]);
    let key = is_set(config, &["machine", "ca", "key"]);
    let accepted = is_set(config, &["machine", "acceptedCAs"]);
    if !crt && !accepted {
        report.error("issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)");
    }
    if is_worker(config) {
        if key {
            report.error("issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)");
        }
    } else if !crt {
        report.error("issuing CA is required (.machine.ca)");
    } else if !key {
        report.error("issuing CA key is required for controlplane nodes (.machine.ca.key)");
    }
}

fn cluster_ca(config: &Config, _: Mode, report: &mut Report) {
    if is_worker(config) && is_set(config, &["cluster", "ca", "key"]) {
        report.error("cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)");
    }
}

fn endpoint(config: &Config, _: Mode, report: &mut Report) {
    if is_set(config, &["cluster", "controlPlane"]) && !is_set(config, &["cluster", "controlPlane", "endpoint"]) {
        report.error("cluster controlplane endpoint is required");
    }
}

fn etcd(config: &Config, _: Mode, report: &mut Report) {
    if !is_set(config, &["cluster", "etcd"]) {
        return;
    }
    if is_worker(config) {
        report.error("etcd config is only allowed on control plane machines");
    } else if !is_set(config, &["cluster", "etcd", "ca"]) {
        report.error("key/cert combination should not be empty (.cluster.etcd.ca)");
    }
    if is_set(config, &["cluster", "etcd", "subnet"]) && is_set(config, &["cluster", "etcd", "advertisedSubnets"]) {
        report.error("etcd subnet can't be set when advertisedSubnets are set");
    }
    for list in ["advertisedSubnets", "listenSubnets"] {
        subnets(config, &["cluster", "etcd", list], "etcd subnet is not valid", report);
    }
}

/// Networks, each of which `!` may exclude.
fn subnets(config: &Config, path: &[&str], what: &str, report: &mut Report) {
    for text in texts(config, path) {
        if text.strip_prefix('!').unwrap_or(text).parse::<IpNet>().is_err() {
            report.error(format!("{what}: {text:?}"));
        }
    }
}

fn install(config: &Config, mode: Mode, report: &mut Report) {
    if !is_set(config, &["machine", "install"]) {
        return;
    }
    let set = |key| is_set(config, &["machine", "install", key]);
    if mode == Mode::Metal && !set("disk") && !set("diskSelector") {
        report.error("either install disk or diskSelector should be defined");
    }
    let uki = config.legacy(&["machine", "install", "grubUseUKICmdline"]) == Some(&Value::Bool(true));
    if mode == Mode::Metal && uki && set("extraKernelArgs") {
        report.error("install.extraKernelArgs and install.grubUseUKICmdline can't be used together");
    }
}

fn cni(config: &Config, _: Mode, report: &mut Report) {
    let name = config.legacy(&["cluster", "network", "cni", "name"]).and_then(Value::as_text);
    let urls = is_set(config, &["cluster", "network", "cni", "urls"]);
    match name {
        None | Some("" | "custom") => {}
        Some("flannel" | "none") if !urls => {}
        Some(name @ ("flannel" | "none")) => report.error(format!("\"urls\" field should be empty for {name:?} CNI")),
        Some(other) => report.error(format!("cni name should be one of [custom,flannel,none], not {other:?}")),
    }
    if name == Some("custom") && !urls {
        report.warnings.push("\"urls\" field should not be empty for \"custom\" CNI".to_owned());
    }
}

fn interfaces(config: &Config, _: Mode, report: &mut Report) {
    let list = config.legacy(&["machine", "network", "interfaces"]).and_then(Value::as_list).unwrap_or_default();
    for interface in list {
        interface_addressing(interface, report);
        let vlans = interface.at(&["vlans"]).and_then(Value::as_list).unwrap_or_default();
        let vip = std::iter::once(interface).chain(vlans).any(|link| link.at(&["vip"]).is_some());
        if vip && is_worker(config) {
            report.error("virtual (shared) IP is not allowed on non-controlplane nodes");
        }
    }
}

fn interface_addressing(interface: &Value, report: &mut Report) {
    let name = interface.text_at(&["interface"]).filter(|name| !name.is_empty());
    let selector = interface.at(&["deviceSelector"]);
    match (name, selector) {
        (None, None) => report.error("required config section was not found: either interface or deviceSelector"),
        (Some(name), Some(_)) => {
            report.error(format!("interface {name:?}: interface and deviceSelector exclude each other"));
        }
        _ => {}
    }
    let addresses = interface.at(&["addresses"]).and_then(Value::as_list).unwrap_or_default();
    for address in addresses.iter().filter_map(Value::as_text) {
        if address.parse::<IpNet>().is_err() && address.parse::<IpAddr>().is_err() {
            report.error(format!("invalid network address: {address:?}"));
        }
    }
    if interface.text_at(&["vip", "ip"]).is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
        report.error("invalid virtual (shared) IP");
    }
    let routes = interface.at(&["routes"]).and_then(Value::as_list).unwrap_or_default();
    for route in routes {
        let part = |key: &str| route.text_at(&[key]).unwrap_or_default();
        if part("network").is_empty() && part("gateway").is_empty() {
            report.error("either network or gateway should be set");
        }
        if !part("network").is_empty() && part("network").parse::<IpNet>().is_err() {
            report.error(format!("invalid network: {:?}", part("network")));
        }
        if !part("gateway").is_empty() && part("gateway").parse::<IpAddr>().is_err() {
            report.error(format!("invalid network address: {:?}", part("gateway")));
        }
    }
}

/// Settings of the kubelet that Talos keeps to itself.
const KUBELET_OWN: [&str; 13] = [
    "apiVersion",
    "authentication",
    "authorization",
    "cgroupRoot",
    "kind",
    "kubeletCgroups",
    "port",
    "protectKernelDefaults",
    "resolvConf",
    "rotateCertificates",
    "systemCgroups",
    "staticPodPath",
    "seccompDefault",
];

fn kubelet(config: &Config, _: Mode, report: &mut Report) {
    let what = "kubelet nodeIP subnet is not valid";
    subnets(config, &["machine", "kubelet", "nodeIP", "validSubnets"], what, report);
    let extra = config.legacy(&["machine", "kubelet", "extraConfig"]).and_then(Value::as_map);
    for (key, _) in extra.into_iter().flat_map(Map::iter).filter(|(key, _)| KUBELET_OWN.contains(key)) {
        report.error(format!("kubelet configuration field {key:?} can't be overridden"));
    }
}

fn node(config: &Config, _: Mode, report: &mut Report) {
    // Talos checks the form only; what a worker may not say of itself, Kubernetes refuses later.
    let form = MachineType::ControlPlane;
    for (key, value) in pairs(config, &["machine", "nodeLabels"]) {
        labels::label(key, value, form)
            .unwrap_or_else(|error| report.error(format!("invalid machine node labels: {error}")));
    }
    for (key, _) in pairs(config, &["machine", "nodeAnnotations"]) {
        labels::annotation(key)
            .unwrap_or_else(|error| report.error(format!("invalid machine node annotations: {error}")));
    }
    for (key, value) in pairs(config, &["machine", "nodeTaints"]) {
        labels::taint(key, value).unwrap_or_else(|error| report.error(format!("invalid machine node taints: {error}")));
    }
}

fn features(config: &Config, _: Mode, report: &mut Report) {
    let flag = |path: &[&str]| config.legacy(path) == Some(&Value::Bool(true));
    let dns = ["machine", "features", "hostDNS"];
    if flag(&[&dns[..], &["forwardKubeDNSToHost"]].concat()) && !flag(&[&dns[..], &["enabled"]].concat()) {
        report.error("feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled");
    }
    if is_worker(config) && flag(&["machine", "features", "kubernetesTalosAPIAccess", "enabled"]) {
        report.error("feature API Access can only be enabled on control plane machines");
    }
    let sort = config.legacy(&["machine", "features", "nodeAddressSortAlgorithm"]).and_then(Value::as_text);
    if sort.is_some_and(|word| !matches!(word, "" | "v1" | "v2")) {
        report.error(format!("unknown node address sort algorithm {:?}", sort.unwrap_or_default()));
    }
}
