//! Rules for a config as a whole.

use std::collections::{BTreeMap, BTreeSet};

use machine_config::MachineType;

use crate::lookup::Lookup;
use crate::report::{Mode, Report};
use crate::rule::{Case, CaseRule};

/// Up to 1.13 Talos looks at each document by itself only.
pub(crate) const RULES: &[CaseRule] = &[
    CaseRule::of(host_dns).since(14),
    CaseRule::of(resolvers).since(14),
    CaseRule::of(discovery).since(14),
    CaseRule::of(containers).since(14),
    CaseRule::of(kubespan).since(14),
    CaseRule::of(encryption).since(14),
    CaseRule::of(control_plane_only).since(14),
];

pub(crate) fn check(case: Case<'_>, report: &mut Report) {
    RULES.iter().filter(|rule| rule.holds(case.contract)).for_each(|rule| (rule.check)(case, report));
}

/// Host DNS, wherever it is configured.
fn dns(case: Case<'_>) -> Lookup<'_> {
    let newer = case.document("ResolverConfig").at("hostDNS");
    if newer.is_set() { newer } else { case.legacy("machine.features.hostDNS") }
}

fn host_dns(case: Case<'_>, report: &mut Report) {
    if case.mode != Mode::Container {
        return;
    }
    let dns = dns(case);
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

fn resolvers(case: Case<'_>, report: &mut Report) {
    let mut servers = case.document("ResolverConfig").at("nameservers").items();
    let encrypted = servers.any(|server| matches!(server.at("protocol").text(), "DoT" | "DoH"));
    if encrypted && !dns(case).at("enabled").is_on() {
        report.error("hostDNS must be enabled when using non-default DNS protocols");
    }
}

/// Whether members find each other through a discovery service.
fn discovers(case: Case<'_>) -> bool {
    let legacy = case.legacy("cluster.discovery");
    let old = legacy.at("enabled").is_on() && !legacy.at("registries.service.disabled").is_on();
    old || case.config.all("DiscoveryServiceConfig").next().is_some()
}

fn discovery(case: Case<'_>, report: &mut Report) {
    if !discovers(case) {
        return;
    }
    let identity = case.document("DiscoveryIdentityConfig");
    for (what, newer, older) in [("ID", "clusterID", "id"), ("secret", "clusterSecret", "secret")] {
        if identity.at(newer).text().is_empty() && case.legacy("cluster").at(older).text().is_empty() {
            let place = format!("(.cluster.{older} or DiscoveryIdentityConfig)");
            report.error(format!(
                "cluster {what} {place} should be set when cluster discovery (DiscoveryServiceConfig) is enabled"
            ));
        }
    }
}

fn kubespan(case: Case<'_>, report: &mut Report) {
    let legacy = case.legacy("machine.network.kubespan");
    let config = if legacy.is_set() { legacy } else { case.document("KubeSpanConfig") };
    if config.at("enabled").is_on() && !discovers(case) {
        report.error("KubeSpan requires cluster discovery to be enabled");
    }
}

fn encryption(case: Case<'_>, report: &mut Report) {
    if case.config.machine_type() != Some(MachineType::ControlPlane) {
        return;
    }
    let legacy = |key| case.legacy("cluster").at(key).is_set();
    let authority = legacy("ca") || legacy("acceptedCAs") || case.document("KubeAPIServerCAConfig").is_set();
    let secret = |key| !case.legacy("cluster").at(key).text().is_empty();
    let encrypted = secret("secretboxEncryptionSecret") || secret("aescbcEncryptionSecret");
    if authority && !encrypted && !case.document("KubeEtcdEncryptionConfig").is_set() {
        report.error("etcd encryption config is required for control plane machines running kube-apiserver");
    }
}

fn control_plane_only(case: Case<'_>, report: &mut Report) {
    let is_control_plane = case.config.find(machine_config::kinds::LEGACY.name).is_some()
        && case.config.machine_type() == Some(MachineType::ControlPlane);
    let closed = case.config.documents().iter().filter(|document| document.kind.control_plane);
    let kinds: BTreeSet<&str> = closed.map(|document| document.kind.name).collect();
    if !kinds.is_empty() && !is_control_plane {
        let kinds = crate::checks::listed(kinds);
        report.error(format!("the following document kinds are only allowed on control plane machines: {kinds}"));
    }
}

/// Containers that wait for each other by name.
type Waits<'a> = BTreeMap<&'a str, Vec<&'a str>>;

fn containers(case: Case<'_>, report: &mut Report) {
    let entry = |fields| {
        let fields = Lookup::Fields(fields);
        (fields.at("name").text(), fields.at("dependsOn.containers").texts().collect())
    };
    let waits: Waits<'_> = case.config.all("ContainerConfig").map(entry).collect();
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

/// How far a chain of waiting containers is followed: farther than any real one, and no danger to the stack.
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
