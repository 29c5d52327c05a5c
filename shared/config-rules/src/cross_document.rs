//! Rules for a config as a whole.

use std::collections::{BTreeMap, BTreeSet};

use machine_config::MachineType;

use crate::lookup::Lookup;
use crate::report::{Mode, Report};
use crate::rule::{ConfigRule, Input};

/// Talos 1.13 and earlier check each document only by itself.
pub(crate) const RULES: &[ConfigRule] = &[
    ConfigRule::of(host_dns).since(14),
    ConfigRule::of(resolvers).since(14),
    ConfigRule::of(discovery).since(14),
    ConfigRule::of(containers).since(14),
    ConfigRule::of(kubespan).since(14),
    ConfigRule::of(encryption).since(14),
    ConfigRule::of(cluster).since(14),
    ConfigRule::of(node_role).since(14),
    ConfigRule::of(control_plane_only).since(14),
];

pub(crate) fn check(input: Input<'_>, report: &mut Report) {
    RULES.iter().filter(|rule| rule.holds(input.contract)).for_each(|rule| (rule.check)(input, report));
}

/// Host DNS, wherever it is configured. A document that turns it off counts as none.
fn dns(input: Input<'_>) -> Lookup<'_> {
    let newer = input.document("ResolverConfig").at("hostDNS");
    if newer.at("enabled").is_on() { newer } else { input.legacy("machine.features.hostDNS") }
}

fn host_dns(input: Input<'_>, report: &mut Report) {
    if input.mode != Mode::Container {
        return;
    }
    let dns = dns(input);
    if !dns.is_set() {
        report.error("hostDNS config is required in container mode");
        return;
    }
    if !dns.at("enabled").is_on() {
        report.error("hostDNS must be enabled in container mode");
    }
    if !dns.at("forwardKubeDNSToHost").is_on() {
        report.error("forwardKubeDNSToHost must be enabled in container mode");
    }
}

fn resolvers(input: Input<'_>, report: &mut Report) {
    let mut servers = input.document("ResolverConfig").at("nameservers").items();
    let encrypted = servers.any(|server| matches!(server.at("protocol").text(), "DoT" | "DoH"));
    if encrypted && !dns(input).at("enabled").is_on() {
        report.error("hostDNS must be enabled when using non-default DNS protocols");
    }
}

/// Whether members find each other through a discovery service.
fn discovers(input: Input<'_>) -> bool {
    let legacy = input.legacy("cluster.discovery");
    let old = legacy.at("enabled").is_on() && !legacy.at("registries.service.disabled").is_on();
    old || input.config.all("DiscoveryServiceConfig").next().is_some()
}

fn discovery(input: Input<'_>, report: &mut Report) {
    if !discovers(input) {
        return;
    }
    let (identity, legacy) = (input.document("DiscoveryIdentityConfig"), input.legacy("cluster"));
    // One half in the legacy document, and the other document doesn't count.
    let halves = ["id", "secret"].map(|key| !legacy.at(key).text().is_empty());
    for (what, newer, older) in [("ID", "clusterID", "id"), ("secret", "clusterSecret", "secret")] {
        let text = if halves.contains(&true) { legacy.at(older).text() } else { identity.at(newer).text() };
        if text.is_empty() {
            let place = format!("(.cluster.{older} or DiscoveryIdentityConfig)");
            report.error(format!(
                "cluster {what} {place} should be set when cluster discovery (DiscoveryServiceConfig) is enabled"
            ));
        }
    }
}

fn kubespan(input: Input<'_>, report: &mut Report) {
    let legacy = input.legacy("machine.network.kubespan");
    let config = if legacy.is_set() { legacy } else { input.document("KubeSpanConfig") };
    if config.at("enabled").is_on() && !discovers(input) {
        report.error("KubeSpan requires cluster discovery to be enabled");
    }
}

/// Whether the config has Kubernetes' authority.
fn runs_kubernetes(input: Input<'_>) -> bool {
    let legacy = |key| input.legacy("cluster").at(key).is_set();
    legacy("ca") || legacy("acceptedCAs") || input.document("KubeAPIServerCAConfig").is_set()
}

fn cluster(input: Input<'_>, report: &mut Report) {
    let named = input.document("KubeClusterConfig").is_set() || input.legacy("cluster.controlPlane.endpoint").is_set();
    if runs_kubernetes(input) && !named {
        report.error(
            "cluster name and endpoint are required when Kubernetes is configured: either \
             .cluster.clusterName/.cluster.controlPlane.endpoint or the KubeClusterConfig document",
        );
    }
}

/// The label by which Kubernetes knows a control plane.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

fn node_role(input: Input<'_>, report: &mut Report) {
    let node = input.document("KubeNodeConfig");
    let labelled = node.at("labels").pairs().iter().any(|(key, _)| *key == CONTROL_PLANE);
    if input.is_control_plane() && node.is_set() && !labelled && !node.at("skipNodeRegistration").is_on() {
        report.warn(format!(
            "KubeNodeConfig document should set the {CONTROL_PLANE:?} node label on control plane machines (and, \
             unless scheduling on control planes is allowed, the \"{CONTROL_PLANE}: NoSchedule\" taint): unlike \
             .machine.nodeLabels/.machine.nodeTaints, the document contents are used as-is"
        ));
    }
}

fn encryption(input: Input<'_>, report: &mut Report) {
    if input.config.machine_type() != Some(MachineType::ControlPlane) {
        return;
    }
    let secret = |key| !input.legacy("cluster").at(key).text().is_empty();
    let encrypted = secret("secretboxEncryptionSecret") || secret("aescbcEncryptionSecret");
    if runs_kubernetes(input) && !encrypted && !input.document("KubeEtcdEncryptionConfig").is_set() {
        report.error("etcd encryption config is required for control plane machines running kube-apiserver");
    }
}

fn control_plane_only(input: Input<'_>, report: &mut Report) {
    let is_control_plane = input.config.find(machine_config::kinds::LEGACY.name).is_some()
        && input.config.machine_type() == Some(MachineType::ControlPlane);
    let closed = input.config.documents().iter().filter(|document| document.kind.control_plane);
    let kinds: BTreeSet<&str> = closed.map(|document| document.kind.name).collect();
    if !kinds.is_empty() && !is_control_plane {
        let kinds = crate::checks::listed(kinds);
        report.error(format!("the following document kinds are only allowed on control plane machines: {kinds}"));
    }
}

/// Which containers wait for which, by name.
type Waits<'a> = BTreeMap<&'a str, Vec<&'a str>>;

fn containers(input: Input<'_>, report: &mut Report) {
    let entry = |fields| {
        let fields = Lookup::Fields(fields);
        (fields.at("name").text(), fields.at("dependsOn.containers").texts().collect())
    };
    let waits: Waits<'_> = input.config.all("ContainerConfig").map(entry).collect();
    for (name, others) in &waits {
        for other in others.iter().filter(|other| !waits.contains_key(*other)) {
            report.error(format!("container {name:?} depends on container {other:?}, which is not configured"));
        }
    }
    let mut search = Search { waits: &waits, done: BTreeSet::new(), path: Vec::new(), cycles: BTreeSet::new() };
    waits.keys().for_each(|name| search.visit(name));
    if !search.cycles.is_empty() {
        let cycles: Vec<String> = search.cycles.into_iter().collect();
        report.error(format!("container dependsOn cycle detected: {}", cycles.join(", ")));
    }
}

/// Maximum length of a followed chain of waiting containers: longer than any real one, and safe for the stack.
const LONGEST: usize = 500;

/// A search for cycles, depth first.
struct Search<'a> {
    waits: &'a Waits<'a>,
    done: BTreeSet<&'a str>,
    path: Vec<&'a str>,
    cycles: BTreeSet<String>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, name: &'a str) {
        if let Some(start) = self.path.iter().position(|step| *step == name) {
            let cycle: Vec<&str> = self.path[start..].iter().copied().chain([name]).collect();
            self.cycles.insert(cycle.join(" -> "));
            return;
        }
        if self.done.contains(name) || self.path.len() > LONGEST {
            return;
        }
        self.path.push(name);
        for other in self.waits.get(name).into_iter().flatten() {
            if let Some((other, _)) = self.waits.get_key_value(other) {
                self.visit(other);
            }
        }
        self.path.pop();
        self.done.insert(name);
    }
}
