//! The machine section: its type, its trust, and what runs on the machine.

use machine_config::MachineType;

use crate::checks::{annotations, is_prefix, is_subnet, labels, taints, url};
use crate::kubernetes::{KUBELET_OWN, ROLES};
use crate::lookup::Lookup;
use crate::report::{Mode, Report};
use crate::rule::Input;

pub(crate) fn deprecated(input: Input<'_>, report: &mut Report) {
    if input.legacy("machine.files").items().len() > 0 {
        report.warn(".machine.files is deprecated; use dedicated configuration documents instead");
    }
    if !input.legacy("machine.baseRuntimeSpecOverrides").pairs().is_empty() {
        let instead = "use a CRIBaseRuntimeSpecConfig document instead";
        report.warn(format!(".machine.baseRuntimeSpecOverrides is deprecated; {instead}"));
    }
}

pub(crate) fn container_mode(input: Input<'_>, report: &mut Report) {
    if input.mode != Mode::Container {
        return;
    }
    let dns = input.legacy("machine.features.hostDNS");
    if !dns.at("enabled").is_on() {
        report.error("feature HostDNS should be enabled in container mode (.machine.features.hostDNS.enabled)");
    }
    if !dns.at("forwardKubeDNSToHost").is_on() {
        let place = "(.machine.features.hostDNS.forwardKubeDNSToHost)";
        report.error(format!("feature HostDNS should forward kube-dns to host in container mode {place}"));
    }
}

pub(crate) fn host_dns(input: Input<'_>, report: &mut Report) {
    let dns = input.legacy("machine.features.hostDNS");
    if dns.at("forwardKubeDNSToHost").is_on() && !dns.at("enabled").is_on() {
        let what = "feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true";
        report.error(format!("{what} (.machine.features.hostDNS)"));
    }
}

/// Old names of machine types are accepted with a warning.
pub(crate) fn spelling(input: Input<'_>, report: &mut Report) {
    let word = input.legacy("machine.type").text();
    let Some(machine) = input.config.machine_type() else { return };
    if word != machine.as_str() && word != "init" {
        report.warn(format!("use {:?} instead of {word:?} for machine type", machine.as_str()));
    }
}

pub(crate) fn authority(input: Input<'_>, report: &mut Report) {
    let accepted = input.legacy("machine.acceptedCAs").items().len();
    if !input.legacy("machine.ca").is_set() && accepted == 0 {
        report.error("issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)");
    }
}

pub(crate) fn role(input: Input<'_>, report: &mut Report) {
    match input.config.machine_type() {
        Some(MachineType::ControlPlane) => control_plane(input, report),
        Some(MachineType::Worker) => worker(input, report),
        None => report.error(format!("unknown machine type {:?}", input.legacy("machine.type").text())),
    }
}

fn control_plane(input: Input<'_>, report: &mut Report) {
    super::cluster::cni(input, report);
    let ca = input.legacy("machine.ca");
    if !ca.is_set() {
        report.error("issuing CA is required (.machine.ca)");
    } else if ca.at("key").text().is_empty() {
        report.error("issuing CA key is required for controlplane nodes (.machine.ca.key)");
    }
}

fn worker(input: Input<'_>, report: &mut Report) {
    for device in input.legacy("machine.network.interfaces").items() {
        let links = std::iter::once(device).chain(device.at("vlans").items());
        for _ in links.filter(|link| link.at("vip").is_set()) {
            report.error("virtual (shared) IP is not allowed on non-controlplane nodes");
        }
    }
    let ca = input.legacy("machine.ca");
    if !ca.at("key").text().is_empty() {
        report.error("issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)");
    }
    if ca.is_set() && ca.at("crt").text().is_empty() && input.legacy("machine.acceptedCAs").items().len() == 0 {
        let place = "(.machine.ca.crt, .machine.acceptedCAs)";
        report.error(format!("trusted CA certificates are required on non-controlplane nodes {place}"));
    }
    if !input.legacy("cluster.ca.key").text().is_empty() {
        report.error("issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)");
    }
}

pub(crate) fn kubelet(input: Input<'_>, report: &mut Report) {
    let kubelet = input.legacy("machine.kubelet");
    for text in kubelet.at("nodeIP.validSubnets").texts().filter(|text| !is_subnet(text)) {
        report.error(format!("kubelet nodeIP subnet is not valid: {:?}", text.trim_start_matches('!')));
    }
    for key in KUBELET_OWN.iter().filter(|key| kubelet.at("extraConfig").pairs().iter().any(|(set, _)| set == *key)) {
        report.error(format!("kubelet configuration field {key:?} can't be overridden"));
    }
}

/// What KubeSpan needs in the cluster section.
pub(crate) fn kubespan_needs(input: Input<'_>, report: &mut Report) {
    if !input.legacy("machine.network.kubespan.enabled").is_on() {
        return;
    }
    for (place, verb, missing) in [
        (".cluster.discovery", "enabled", !input.legacy("cluster.discovery.enabled").is_on()),
        (".cluster.id", "set", input.legacy("cluster.id").text().is_empty()),
        (".cluster.secret", "set", input.legacy("cluster.secret").text().is_empty()),
    ] {
        if missing {
            report.error(format!("{place} should be {verb} when .machine.network.kubespan is enabled"));
        }
    }
}

pub(crate) fn kubespan_filters(input: Input<'_>, report: &mut Report) {
    let kubespan = input.legacy("machine.network.kubespan");
    if !kubespan.at("enabled").is_on() {
        return;
    }
    for text in kubespan.at("filters.endpoints").texts().filter(|text| !is_subnet(text)) {
        report.error(format!("KubeSpan endpoint filter is not valid: {:?}", text.trim_start_matches('!')));
    }
    let excluded = kubespan.at("filters.excludeAdvertisedNetworks").texts();
    for text in excluded.filter(|text| !is_prefix(text)) {
        report.error(format!("KubeSpan exclude advertised networks filter is not valid: {text:?}"));
    }
}

/// The overrides of the containers' base runtime spec must be a runtime spec.
pub(crate) fn base_runtime_spec(input: Input<'_>, report: &mut Report) {
    crate::runtime_spec::check(input.legacy("machine.baseRuntimeSpecOverrides"), report);
}

pub(crate) fn logging(input: Input<'_>, report: &mut Report) {
    for destination in input.legacy("machine.logging.destinations").items() {
        let endpoint = destination.at("endpoint");
        let parts = url(endpoint.text());
        if !endpoint.is_set() {
            report.error("empty logging endpoint");
        } else {
            if parts.host().is_empty() {
                report.error("empty logging endpoint's host");
            }
            if !matches!(parts.scheme(), "tcp" | "udp") {
                report.error(format!("unexpected logging endpoint scheme {:?}", parts.scheme()));
            }
        }
        let format = destination.at("format").text();
        if format != "json_lines" {
            report.error(format!("unknown logging format {format:?}"));
        }
    }
}

pub(crate) fn node(input: Input<'_>, report: &mut Report) {
    type Check = for<'a> fn(Lookup<'a>) -> Vec<String>;
    let checks: [(&str, &str, Check); 3] = [
        ("nodeLabels", "labels", labels),
        ("nodeAnnotations", "annotations", annotations),
        ("nodeTaints", "taints", taints),
    ];
    for (key, what, check) in checks {
        for why in check(input.legacy("machine").at(key)) {
            report.error(format!("invalid machine node {what}: {why}"));
        }
    }
}

pub(crate) fn api_access(input: Input<'_>, report: &mut Report) {
    let access = input.legacy("machine.features.kubernetesTalosAPIAccess");
    if !access.at("enabled").is_on() {
        return;
    }
    if !input.is_control_plane() {
        report.error("feature Kubernetes Talos API Access can only be enabled on control plane machines");
    }
    for role in access.at("allowedRoles").texts().filter(|role| !ROLES.contains(role)) {
        report.error(format!("invalid role {role:?} in allowed roles for Kubernetes Talos API Access"));
    }
}

pub(crate) fn address_sort(input: Input<'_>, report: &mut Report) {
    let word = input.legacy("machine.features.nodeAddressSortAlgorithm").text();
    if !matches!(word.to_ascii_lowercase().as_str(), "" | "v1" | "v2") {
        let why = "does not belong to AddressSortAlgorithm values";
        report.error(format!("invalid node address sort algorithm: {word} {why}"));
    }
}

pub(crate) fn persist(input: Input<'_>, report: &mut Report) {
    if input.legacy("persist").flag() == Some(false) {
        report.error(".persist should be enabled");
    }
}

pub(crate) fn registries(input: Input<'_>, report: &mut Report) {
    for part in ["config", "mirrors"] {
        for (host, _) in input.legacy("machine.registries").at(part).pairs().iter().filter(|(_, entry)| !entry.is_set())
        {
            report.error(format!("registries.{part}[{host:?}] is null"));
        }
    }
}
