//! The cluster section.

use go_yaml::Url;

use crate::checks::{endpoint, is_dns_name, is_subnet, listed};
use crate::kubernetes::{AUTHORIZERS, resources};
use crate::lookup::Lookup;
use crate::report::Report;
use crate::rule::Input;

pub(crate) fn cluster(input: Input<'_>, report: &mut Report) {
    let cluster = input.legacy("cluster");
    if !cluster.is_set() {
        report.error("cluster instructions are required");
        return;
    }
    if !control_plane(input, cluster, report) {
        return;
    }
    service_account(input, cluster, report);
    let domain = cluster.at("network.dnsDomain").text();
    if !domain.is_empty() && !is_dns_name(domain) {
        report.error(format!("{domain:?} is not a valid DNS name"));
    }
    cloud_provider(cluster.at("externalCloudProvider"), report);
    etcd(input, cluster.at("etcd"), report);
    if !input.is_control_plane() && !cluster.at("ca.key").text().is_empty() {
        report.error("cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)");
    }
    inline_manifests(cluster, report);
    discovery(cluster, report);
    if let Some(why) = authorization(cluster.at("apiServer")) {
        report.error(why);
    }
    for (section, name) in
        [("apiServer", "apiserver"), ("controllerManager", "controller-manager"), ("scheduler", "scheduler")]
    {
        if let Some(why) = resources(cluster.at(section).at("resources")) {
            report.error(format!("{name} resource validation failed: {why}"));
        }
    }
}

/// What Talos adds from 1.14 on.
const MIGRATED: &str = " (.cluster.controlPlane.endpoint); when the endpoint is migrated to the KubeClusterConfig \
     document, the whole .cluster.controlPlane section should be removed (.cluster.controlPlane.localAPIServerPort is \
     migrated to the KubeAPIServerConfig document)";

/// A service account whose issuer is nowhere: from 1.14.0 on, a machine that runs with it panics.
fn service_account(input: Input<'_>, cluster: Lookup<'_>, report: &mut Report) {
    let endpoint = cluster.at("controlPlane.endpoint");
    if !input.is_older() && cluster.at("serviceAccount").is_set() && !endpoint.is_set() {
        report.error(
            ".cluster.serviceAccount requires the cluster endpoint to be set in the same document \
             (.cluster.controlPlane.endpoint); when the cluster endpoint is migrated to the KubeClusterConfig document, \
             .cluster.serviceAccount should be migrated to the KubeServiceAccountConfig document as well",
        );
    }
}

/// Returns whether the rest is checked: without an endpoint, Talos stops here.
fn control_plane(input: Input<'_>, cluster: Lookup<'_>, report: &mut Report) -> bool {
    let section = cluster.at("controlPlane");
    if !section.is_set() && !input.is_older() {
        return true;
    }
    let url = section.at("endpoint");
    if !url.is_set() {
        let migrated = if input.is_older() { "" } else { MIGRATED };
        report.error(format!("cluster controlplane endpoint is required{migrated}"));
        return false;
    }
    if let Some(why) = endpoint(url.text()) {
        report.error(format!("invalid controlplane endpoint: {why}"));
    }
    true
}

fn cloud_provider(section: Lookup<'_>, report: &mut Report) {
    let manifests = section.at("manifests").texts();
    if !section.at("enabled").is_on() {
        if manifests.len() > 0 {
            report.error("external cloud provider is disabled, but manifests are provided");
        }
        return;
    }
    for text in manifests {
        if let Some(why) = endpoint(text) {
            report.error(format!("invalid external cloud provider manifest url {text:?}: {why}"));
        }
    }
}

fn etcd(input: Input<'_>, etcd: Lookup<'_>, report: &mut Report) {
    if !etcd.is_set() {
        return;
    }
    if !input.is_control_plane() {
        report.error("etcd config is only allowed on control plane machines");
        return;
    }
    if !etcd.at("ca").is_set() {
        report.error("key/cert combination should not be empty");
    }
    let advertised = etcd.at("advertisedSubnets").texts();
    let subnet = etcd.at("subnet").text();
    if !subnet.is_empty() && advertised.len() > 0 {
        report.error("etcd subnet can't be set when advertised subnets are set");
    }
    let single = Some(subnet).filter(|subnet| !subnet.is_empty() && advertised.len() == 0);
    // The listen subnets default to the advertised ones.
    let own = etcd.at("listenSubnets").texts();
    let listen = if own.len() > 0 { own } else { advertised.clone() }.map(|text| ("listen", text));
    let all = advertised.chain(single).map(|text| ("advertised", text)).chain(listen);
    for (what, text) in all.filter(|(_, text)| !is_subnet(text)) {
        report.error(format!("etcd {what} subnet is not valid: {:?}", text.trim_start_matches('!')));
    }
}

fn inline_manifests(cluster: Lookup<'_>, report: &mut Report) {
    let mut seen = std::collections::HashSet::new();
    for manifest in cluster.at("inlineManifests").items() {
        let name = manifest.at("name").text();
        if name.trim().is_empty() {
            report.error("inline manifest name can't be empty");
        }
        if !seen.insert(name) {
            report.error(format!("inline manifest name {name:?} is duplicate"));
        }
    }
}

/// The default URL of the discovery service.
const DISCOVERY: &str = "https://discovery.talos.dev/";

fn discovery(cluster: Lookup<'_>, report: &mut Report) {
    let discovery = cluster.at("discovery");
    let service = discovery.at("registries.service");
    if !discovery.at("enabled").is_on() || service.at("disabled").is_on() {
        return;
    }
    let text = Some(service.at("endpoint").text()).filter(|text| !text.is_empty()).unwrap_or(DISCOVERY);
    let parsed = Url::parse(text).filter(|url| !url.scheme().is_empty() || text.starts_with('/'));
    let invalid = |why: &str| format!("cluster discovery service registry endpoint is invalid: parse {text:?}: {why}");
    match parsed {
        None if text.contains(|c: char| c.is_ascii_control()) => {
            report.error(invalid("net/url: invalid control character in URL"));
        }
        None => report.error(invalid("invalid URI for request")),
        Some(url) if url.has_path() => report.error("cluster discovery service path should be empty"),
        Some(_) => {}
    }
    for part in ["id", "secret"] {
        if cluster.at(part).text().is_empty() {
            report.error(format!("cluster discovery service requires .cluster.{part}"));
        }
    }
}

/// What is wrong with the API server's authorizers; Talos stops at the first error.
fn authorization(server: Lookup<'_>) -> Option<String> {
    let authorizers = server.at("authorizationConfig");
    let used = |what: &str| format!("{what} cannot be used in conjunction with AuthorizationConfig");
    if authorizers.is_set() {
        let arguments = server.at("extraArgs").pairs();
        if arguments.iter().any(|(key, _)| *key == "authorization-mode") {
            let instead = "use eitherr AuthorizationConfig or authorization-mode";
            return Some(format!("{}, {instead}", used("authorization-mode")));
        }
        if arguments.iter().any(|(key, _)| key.starts_with("authorization-webhook-")) {
            let instead = "use either AuthorizationConfig or authorization-webhook-* flags";
            return Some(format!("{}, {instead}", used("authorization-webhook-* flags")));
        }
    }
    let why = authorizers.items().find_map(|authorizer| match authorizer.at("type").text() {
        "" => Some("authorizer type must be set".to_owned()),
        _ if authorizer.at("name").text().is_empty() => Some("authorizer name must be set".to_owned()),
        kind if AUTHORIZERS.contains(&kind) => None,
        kind => Some(format!("authorizer type {kind} is not allowed, allowed types are {}", listed(AUTHORIZERS))),
    })?;
    Some(format!("apiserver authorization config validation failed: {why}"))
}

pub(crate) fn cni(input: Input<'_>, report: &mut Report) {
    if !input.is_older() && !input.legacy("cluster.network").is_set() {
        return;
    }
    let cni = input.legacy("cluster.network.cni");
    let name = if cni.is_set() { cni.at("name").text() } else { "flannel" };
    let urls = cni.at("urls").texts();
    match name {
        "flannel" | "none" if urls.len() > 0 => {
            report.error(format!("\"urls\" field should be empty for {name:?} CNI"));
        }
        "custom" if urls.len() == 0 => report.warn("\"urls\" field should not be empty for \"custom\" CNI"),
        "custom" => urls.filter_map(endpoint).for_each(|why| report.error(why)),
        "flannel" | "none" => {}
        _ => report.error("cni name should be one of [\"flannel\", \"custom\", \"none\"]"),
    }
    if matches!(name, "none" | "custom") {
        flannel_unused(cni.at("flannel"), name, report);
    }
}

fn flannel_unused(flannel: Lookup<'_>, name: &str, report: &mut Report) {
    if flannel.at("extraArgs").items().len() > 0 {
        report.error(format!("\"flanneldExtraArgs\" field should be empty for {name:?} CNI"));
    }
    if flannel.at("kubeNetworkPoliciesEnabled").is_on() {
        report.error(format!("\"flannelKubeNetworkPoliciesEnabled\" should not be enabled for {name:?} CNI"));
    }
}
