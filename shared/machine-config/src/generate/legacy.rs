//! The legacy document. From contract 1.14 on, little is left of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use go_yaml::{Map, Value, map};
use talos_releases::Gate;

use super::{Authority, Input, KUBEPRISM_PORT};
use crate::config::{Document, MachineType};
use crate::kinds::LEGACY;

/// The name of the admission plugin that is configured by default.
pub const POD_SECURITY: &str = "PodSecurity";

/// Keeps control planes out of cloud providers' load balancers.
pub(super) const NO_LOAD_BALANCER: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

pub(super) fn document(input: &Input<'_>, machine: MachineType) -> Document {
    let fields = map! {
        "version" => "v1alpha1",
        "debug" => false,
        "persist" => true,
        "machine" => machine_section(input, machine),
        "cluster" => cluster_section(input, machine),
    };
    Document::new(&LEGACY, fields)
}

fn is_control_plane(machine: MachineType) -> bool {
    machine == MachineType::ControlPlane
}

/// A CA as the legacy document holds it; workers get no key.
fn authority(authority: Authority<'_>, machine: MachineType) -> Value {
    let key = if is_control_plane(machine) { STANDARD.encode(authority.key) } else { String::new() };
    map! { "crt" => STANDARD.encode(authority.crt), "key" => key }
}

fn machine_section(input: &Input<'_>, machine: MachineType) -> Map {
    let mut out = Map::new();
    out.set("type", machine.as_str());
    out.set("token", input.secrets.machine_token);
    out.set("ca", authority(input.secrets.talos, machine));
    out.set("certSANs", input.options.sans.clone());
    out.set("features", features(input));
    if !input.contract.has(Gate::Documents) {
        machine_before_documents(input, machine, &mut out);
    }
    out
}

fn machine_before_documents(input: &Input<'_>, machine: MachineType, out: &mut Map) {
    out.set(
        "kubelet",
        map! {
            "image" => input.kubelet_image(),
            "defaultRuntimeSeccompProfileEnabled" => true,
            "disableManifestsDirectory" => true,
        },
    );
    if let Some(network) = network(input) {
        out.set("network", network);
    }
    out.set("install", install(input));
    if !input.contract.has(Gate::NetworkDocuments) && !input.options.mirrors.is_empty() {
        out.set("registries", map! { "mirrors" => mirrors(input) });
    }
    out.set("sysctls", input.options.sysctls.iter().cloned().collect::<Map>());
    if is_control_plane(machine) && input.contract.has(Gate::LoadBalancerLabel) {
        out.set("nodeLabels", map! { NO_LOAD_BALANCER => "" });
    }
}

fn network(input: &Input<'_>) -> Option<Value> {
    if input.options.kubespan && !input.contract.has(Gate::KubeSpanDocument) {
        return Some(map! { "kubespan" => map! { "enabled" => true } });
    }
    (!input.contract.has(Gate::NoEmptyNetwork)).then(|| Value::Map(Map::new()))
}

fn install(input: &Input<'_>) -> Map {
    let options = &input.options;
    let mut out = Map::new();
    out.set("disk", options.install_disk.as_str());
    out.set("extraKernelArgs", options.kernel_args.clone());
    out.set("image", options.install_image.as_str());
    out.set("wipe", false);
    if input.contract.has(Gate::UkiCmdline) {
        out.set("grubUseUKICmdline", true);
    }
    out
}

fn mirrors(input: &Input<'_>) -> Map {
    let entry = |urls: &Vec<String>| map! { "endpoints" => urls.clone() };
    input.options.mirrors.iter().map(|(host, urls)| (host.as_str(), entry(urls))).collect()
}

fn features(input: &Input<'_>) -> Map {
    let has = |gate| input.contract.has(gate);
    let mut out = Map::new();
    if !has(Gate::HideSettled) {
        for settled in ["rbac", "stableHostname", "apidCheckExtKeyUsage"] {
            out.set(settled, true);
        }
    }
    if has(Gate::DiskQuota) {
        out.set("diskQuotaSupport", true);
    }
    if has(Gate::Documents) {
        return out;
    }
    if has(Gate::KubePrism) {
        out.set("kubePrism", map! { "enabled" => true, "port" => KUBEPRISM_PORT });
    }
    if has(Gate::HostDns) {
        out.set("hostDNS", host_dns(has(Gate::ForwardKubeDns)));
    }
    out
}

pub(super) fn host_dns(forward: bool) -> Map {
    let mut out = Map::new();
    out.set("enabled", true);
    if forward {
        out.set("forwardKubeDNSToHost", true);
    }
    out
}

fn cluster_section(input: &Input<'_>, machine: MachineType) -> Map {
    let mut out = Map::new();
    out.set("token", input.secrets.bootstrap_token);
    if is_control_plane(machine) {
        out.set("etcd", map! { "ca" => authority(input.secrets.etcd, machine) });
    }
    if input.contract.has(Gate::Documents) {
        return out;
    }
    out.set("id", input.secrets.cluster_id);
    out.set("secret", input.secrets.cluster_secret);
    out.set("controlPlane", control_plane(input, machine));
    if is_control_plane(machine) || input.contract.has(Gate::WorkerClusterName) {
        out.set("clusterName", input.cluster);
    }
    out.set("network", cluster_network(input));
    out.set("ca", authority(input.secrets.kubernetes, machine));
    out.set("discovery", discovery(input.options.discovery));
    if is_control_plane(machine) {
        control_plane_only(input, &mut out);
    }
    out
}

fn control_plane(input: &Input<'_>, machine: MachineType) -> Map {
    let mut out = Map::new();
    out.set("endpoint", input.endpoint);
    if let Some(port) = input.options.api_port.filter(|_| is_control_plane(machine)) {
        out.set("localAPIServerPort", u32::from(port));
    }
    out
}

fn cluster_network(input: &Input<'_>) -> Map {
    let options = &input.options;
    let mut out = Map::new();
    if let Some(manifest) = &options.cni {
        out.set("cni", map! { "name" => "custom", "urls" => vec![manifest.as_str()] });
    }
    out.set("dnsDomain", options.dns_domain.as_str());
    out.set("podSubnets", options.pod_subnets.clone());
    out.set("serviceSubnets", options.service_subnets.clone());
    out
}

fn discovery(enabled: bool) -> Value {
    map! {
        "enabled" => enabled,
        "registries" => map! {
            "kubernetes" => map! { "disabled" => true },
            "service" => Map::new(),
        },
    }
}

fn control_plane_only(input: &Input<'_>, out: &mut Map) {
    let secrets = &input.secrets;
    if let Some(key) = secrets.secretbox {
        out.set("secretboxEncryptionSecret", key);
    }
    if let Some(key) = secrets.aescbc {
        out.set("aescbcEncryptionSecret", key);
    }
    out.set("aggregatorCA", authority(secrets.aggregator, MachineType::ControlPlane));
    out.set("serviceAccount", map! { "key" => STANDARD.encode(secrets.service_account) });
    out.set("apiServer", api_server(input));
    for (section, component) in
        [("controllerManager", "kube-controller-manager"), ("proxy", "kube-proxy"), ("scheduler", "kube-scheduler")]
    {
        out.set(section, map! { "image" => input.image(component) });
    }
    if input.options.schedule_on_control_planes {
        out.set("allowSchedulingOnControlPlanes", true);
    }
}

fn api_server(input: &Input<'_>) -> Map {
    let mut names = input.options.sans.clone();
    if !input.contract.has(Gate::NoEndpointName) {
        names.insert(0, endpoint_host(input.endpoint).to_owned());
    }
    let mut out = Map::new();
    out.set("image", input.image("kube-apiserver"));
    out.set("certSANs", names);
    if !input.contract.has(Gate::HideSettled) {
        out.set("disablePodSecurityPolicy", true);
    }
    out.set("admissionControl", vec![map! { "name" => POD_SECURITY, "configuration" => pod_security() }]);
    out.set("auditPolicy", audit_policy());
    out
}

/// The host of a URL, without port and brackets.
pub fn endpoint_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Pods are held to the baseline, and warned about what is not restricted.
pub(super) fn pod_security() -> Value {
    let mut defaults = Map::new();
    for (mode, level) in [("audit", "restricted"), ("enforce", "baseline"), ("warn", "restricted")] {
        defaults.set(mode, level);
        defaults.set(format!("{mode}-version"), "latest");
    }
    map! {
        "apiVersion" => "pod-security.admission.config.k8s.io/v1alpha1",
        "kind" => "PodSecurityConfiguration",
        "defaults" => defaults,
        "exemptions" => map! {
            "namespaces" => vec!["kube-system"],
            "runtimeClasses" => Vec::<Value>::new(),
            "usernames" => Vec::<Value>::new(),
        },
    }
}

/// Metadata of every request is logged.
pub(super) fn audit_policy() -> Value {
    map! {
        "apiVersion" => "audit.k8s.io/v1",
        "kind" => "Policy",
        "rules" => vec![map! { "level" => "Metadata" }],
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint_host;

    #[test]
    fn the_host_of_an_endpoint_stands_without_port_and_brackets() {
        assert_eq!(endpoint_host("https://base:6443"), "base");
        assert_eq!(endpoint_host("https://[fd00::1]:6443/"), "fd00::1");
        assert_eq!(endpoint_host("https://10.0.0.1"), "10.0.0.1");
    }
}
