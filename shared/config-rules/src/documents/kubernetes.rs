//! Components of Kubernetes.

use crate::checks::{dns_subdomain, listed, url};
use crate::checks::{name, required};
use crate::kubernetes::{AUTHORIZERS, KUBELET_OWN, ROLES, resources};
use crate::lookup::Lookup;
use crate::pem;
use crate::report::Report;

/// A component's image and resources; nothing is checked when it is disabled.
fn component(what: &str, fields: Lookup<'_>, report: &mut Report) {
    if fields.at("enabled").flag() != Some(false) {
        required(fields, "image", &format!("{what} image cannot be empty"), report);
        report.errors.extend(resources(fields.at("resources")));
    }
}

/// Beginnings of arguments that have documents of their own; the first that fits counts.
const API_SERVER_OWN: [(&str, &str); 7] = [
    ("anonymous-auth", "use KubeAuthenticationConfig"),
    ("authentication-config", "use KubeAuthenticationConfig"),
    ("authorization-config", "use KubeAuthorizerConfig"),
    ("authorization-mode", "use KubeAuthorizerConfig"),
    ("authorization-webhook-", "use KubeAuthorizerConfig"),
    (
        "oidc-signing-algs",
        "not supported with KubeAuthenticationConfig: kube-apiserver rejects --oidc-* flags when structured \
         authentication configuration is used, and the configuration has no equivalent setting (all RFC 7518 \
         asymmetric algorithms are accepted)",
    ),
    ("oidc-", "use KubeAuthenticationConfig"),
];

pub(crate) fn api_server(fields: Lookup<'_>, report: &mut Report) {
    let mut arguments: Vec<&str> = fields.at("extraArgs").pairs().iter().map(|(key, _)| *key).collect();
    arguments.sort_unstable();
    for argument in arguments {
        if let Some((_, instead)) = API_SERVER_OWN.iter().find(|(prefix, _)| argument.starts_with(prefix)) {
            report.error(format!("kube-apiserver extra argument {argument:?} is not allowed: {instead}"));
        }
    }
    report.errors.extend(resources(fields.at("resources")));
}

pub(crate) fn controller_manager(fields: Lookup<'_>, report: &mut Report) {
    component("kube-controller-manager", fields, report);
}

pub(crate) fn scheduler(fields: Lookup<'_>, report: &mut Report) {
    component("scheduler", fields, report);
}

pub(crate) fn proxy(fields: Lookup<'_>, report: &mut Report) {
    if fields.at("enabled").flag() == Some(false) {
        return;
    }
    component("proxy", fields, report);
    match fields.at("mode").text() {
        "" | "nftables" => {}
        mode @ ("iptables" | "ipvs") => {
            report.warn(format!("proxy mode {mode:?} is not recommended, please switch to nftables if possible"));
        }
        mode => {
            let known = "supported modes are iptables, ipvs and nftables";
            report.error(format!("invalid proxy mode {mode:?}: {known}"));
        }
    }
    if !fields.at("extraArgs").pairs().is_empty() {
        report.warn("extra arguments for kube-proxy may not work as expected, please use configuration instead");
    }
}

pub(crate) fn kubelet(fields: Lookup<'_>, report: &mut Report) {
    let config = fields.at("config").pairs();
    for key in KUBELET_OWN.iter().filter(|key| config.iter().any(|(set, _)| set == *key)) {
        report.error(format!("kubelet configuration field {key:?} can't be overridden"));
    }
}

/// What is wrong with a certificate and its key, both in PEM.
pub(crate) fn pair(pair: Lookup<'_>) -> Option<String> {
    let (cert, key) = (pair.at("cert").text(), pair.at("key").text());
    if cert.is_empty() {
        return Some("certificate is required".to_owned());
    }
    if key.is_empty() {
        return Some("key is required".to_owned());
    }
    let certificate = pem::wrong(cert, Some("CERTIFICATE")).map(|why| format!("certificate: {why}"));
    certificate.or_else(|| pem::wrong(key, None).map(|why| format!("key: {why}")))
}

/// What is wrong with an authority, whose certificate Talos parses immediately.
fn authority(section: Lookup<'_>) -> Option<String> {
    let certificate = pem::blocks(section.at("cert").text());
    let malformed = certificate.first().is_some_and(|block| !block.is_sequence());
    let malformed = malformed.then(|| "certificate is invalid: x509: malformed certificate".to_owned());
    let other = || not_a_key(section.at("key").text()).map(|why| format!("key is invalid: {why}"));
    pair(section).or(malformed).or_else(other)
}

pub(crate) fn api_server_ca(fields: Lookup<'_>, report: &mut Report) {
    let issuing = fields.at("issuingCA");
    if let Some(why) = issuing.is_set().then(|| authority(issuing)).flatten() {
        report.error(format!("issuing CA: {why}"));
    }
    for (index, text) in fields.at("acceptedCAs").texts().enumerate() {
        if let Some(why) = pem::wrong(text, Some("CERTIFICATE")) {
            report.error(format!("accepted CA #{index}: {why}"));
        }
    }
}

pub(crate) fn service_account(fields: Lookup<'_>, report: &mut Report) {
    let key = fields.at("issuer.privateKey").text();
    if let Some(why) = Some(key).filter(|key| !key.is_empty()).and_then(not_a_key) {
        report.error(format!("service issuer private key is invalid: {why}"));
    }
}

/// What is wrong with a private key, as far as its PEM label shows it.
fn not_a_key(text: &str) -> Option<String> {
    match pem::blocks(text).first() {
        None => Some("failed to parse PEM block".to_owned()),
        Some(block) if !block.label.ends_with("PRIVATE KEY") => {
            Some(format!("unsupported key type: {:?}", block.label))
        }
        Some(_) => None,
    }
}

pub(crate) fn authorizer(fields: Lookup<'_>, report: &mut Report) {
    let (kind, webhook) = (fields.at("type").text(), fields.at("webhook"));
    if !AUTHORIZERS.contains(&kind) {
        let known = listed(AUTHORIZERS);
        report.error(format!("authorizer type {kind} is not allowed, allowed types are {known}"));
    }
    if kind == "Webhook" && webhook.pairs().is_empty() {
        report.error("authorizer webhook configuration is required for Webhook authorizer type");
    }
    if kind != "Webhook" && !webhook.pairs().is_empty() {
        report.warn("authorizer webhook configuration is not allowed non-Webhook authorizer types");
    }
}

fn object_name(what: &str, fields: Lookup<'_>, report: &mut Report) {
    if let Some(why) = Some(name(fields)).filter(|name| !name.is_empty()).and_then(dns_subdomain) {
        report.error(format!("{what} name is invalid: {why}"));
    }
}

pub(crate) fn inline_manifest(fields: Lookup<'_>, report: &mut Report) {
    object_name("manifest", fields, report);
}

pub(crate) fn external_manifest(fields: Lookup<'_>, report: &mut Report) {
    object_name("manifest", fields, report);
    let text = fields.at("url").text();
    let url = url(text);
    let scheme = url.scheme();
    if !text.is_empty() && !matches!(scheme, "http" | "https") {
        report.error(format!("manifest URL scheme must be http or https: {scheme:?}"));
    }
}

pub(crate) fn static_pod(fields: Lookup<'_>, report: &mut Report) {
    object_name("static pod", fields, report);
}

pub(crate) fn api_access(fields: Lookup<'_>, report: &mut Report) {
    for role in fields.at("allowedRoles").texts().filter(|role| !ROLES.contains(role)) {
        report.error(format!("invalid role {role:?} in .allowedRoles"));
    }
    if fields.at("allowedRoles").items().len() == 0 {
        report.warn("no roles are allowed in .allowedRoles, so access is blocked");
    }
}
