//! Components of Kubernetes.

use super::{name, required};
use crate::validate::legacy::{KUBELET_OWN, ROLES, resources};
use crate::validate::words::{dns_subdomain, listed, url};
use crate::validate::{Report, View};

/// A component's image and what it asks for; nothing matters when it is switched off.
fn component(what: &str, fields: View<'_>, report: &mut Report) {
    if fields.at("enabled").flag() != Some(false) {
        required(fields, "image", &format!("{what} image cannot be empty"), report);
        report.errors.extend(resources(fields.at("resources")));
    }
}

/// Arguments that belong into documents of their own.
const API_SERVER_OWN: [(&str, &str); 6] = [
    ("anonymous-auth", "use KubeAuthenticationConfig"),
    ("authentication-config", "use KubeAuthenticationConfig"),
    ("authorization-config", "use KubeAuthorizationConfig"),
    ("authorization-mode", "use KubeAuthorizationConfig"),
    ("authorization-webhook-", "use KubeAuthorizationConfig"),
    ("oidc-", "use KubeAuthenticationConfig"),
];

pub(super) fn api_server(fields: View<'_>, report: &mut Report) {
    required(fields, "image", "kube-apiserver image cannot be empty", report);
    for (prefix, instead) in API_SERVER_OWN {
        for (argument, _) in fields.at("extraArgs").pairs().iter().filter(|(key, _)| key.starts_with(prefix)) {
            report.error(format!("kube-apiserver extra argument {argument:?} is not allowed: {instead}"));
        }
    }
    report.errors.extend(resources(fields.at("resources")));
}

pub(super) fn controller_manager(fields: View<'_>, report: &mut Report) {
    component("kube-controller-manager", fields, report);
}

pub(super) fn scheduler(fields: View<'_>, report: &mut Report) {
    component("scheduler", fields, report);
}

pub(super) fn proxy(fields: View<'_>, report: &mut Report) {
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

pub(super) fn kubelet(fields: View<'_>, report: &mut Report) {
    required(fields, "image", "kubelet image cannot be empty", report);
    let config = fields.at("config").pairs();
    for key in KUBELET_OWN.iter().filter(|key| config.iter().any(|(set, _)| set == *key)) {
        report.error(format!("kubelet configuration field {key:?} can't be overridden"));
    }
}

/// What is wrong with PEM of certificates or keys.
fn pem(text: &str, label: &str) -> Option<String> {
    let begins = text.matches("-----BEGIN ").count();
    if begins == 0 {
        return Some("no PEM blocks found".to_owned());
    }
    let of_kind = text.matches(&format!("{label}-----")).count();
    (of_kind < begins * 2).then(|| format!("unexpected PEM block type, {} is expected", label.trim_start()))
}

pub(super) fn pair(pair: View<'_>) -> Option<String> {
    let (cert, key) = (pair.at("cert").text(), pair.at("key").text());
    if cert.is_empty() {
        return Some("certificate is required".to_owned());
    }
    if key.is_empty() {
        return Some("key is required".to_owned());
    }
    let certificate = pem(cert, "CERTIFICATE").map(|why| format!("certificate: {why}"));
    certificate.or_else(|| pem(key, "PRIVATE KEY").map(|why| format!("key: {why}")))
}

fn accepted(fields: View<'_>, report: &mut Report) {
    for (index, text) in fields.at("acceptedCAs").texts().enumerate() {
        if let Some(why) = pem(text, "CERTIFICATE") {
            report.error(format!("accepted CA #{index}: {why}"));
        }
    }
}

pub(super) fn api_server_ca(fields: View<'_>, report: &mut Report) {
    let issuing = fields.at("issuingCA");
    if let Some(why) = issuing.is_set().then(|| pair(issuing)).flatten() {
        report.error(format!("issuing CA: {why}"));
    }
    accepted(fields, report);
}

pub(super) fn aggregator_ca(fields: View<'_>, report: &mut Report) {
    if !fields.at("issuingCA").is_set() {
        report.error("issuing CA is not set");
    }
    api_server_ca(fields, report);
}

pub(super) fn service_account(fields: View<'_>, report: &mut Report) {
    let key = fields.at("issuer.privateKey").text();
    if key.is_empty() {
        report.error("service issuer private key is required");
    } else if let Some(why) = pem(key, "PRIVATE KEY") {
        report.error(format!("service issuer private key is invalid: {why}"));
    }
    required(fields, "issuer.issuerURL", "service issuer URL is required", report);
}

pub(super) fn admission(fields: View<'_>, report: &mut Report) {
    required(fields, "name", "admission control plugin name is required", report);
}

const AUTHORIZERS: [&str; 3] = ["Node", "RBAC", "Webhook"];

pub(super) fn authorizer(fields: View<'_>, report: &mut Report) {
    required(fields, "name", "authorizer name is required", report);
    required(fields, "type", "authorizer type is required", report);
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

pub(super) fn etcd_encryption(fields: View<'_>, report: &mut Report) {
    if fields.at("config").pairs().is_empty() {
        report.error("etcd encryption config is required");
    }
}

fn object_name(what: &str, fields: View<'_>, report: &mut Report) {
    if name(fields).is_empty() {
        report.error(format!("{what} name is required"));
    } else if let Some(why) = dns_subdomain(name(fields)) {
        report.error(format!("{what} name is invalid: {why}"));
    }
}

pub(super) fn inline_manifest(fields: View<'_>, report: &mut Report) {
    object_name("manifest", fields, report);
}

pub(super) fn external_manifest(fields: View<'_>, report: &mut Report) {
    object_name("manifest", fields, report);
    let text = fields.at("url").text();
    let scheme = url(text).scheme;
    if text.is_empty() {
        report.error("manifest URL is required");
    } else if !matches!(scheme, "http" | "https") {
        report.error(format!("manifest URL scheme must be http or https: {scheme:?}"));
    }
}

pub(super) fn static_pod(fields: View<'_>, report: &mut Report) {
    object_name("static pod", fields, report);
    if fields.at("pod").pairs().is_empty() {
        report.error("static pod spec is required");
    }
}

pub(super) fn prism(fields: View<'_>, report: &mut Report) {
    let port = fields.at("port").number();
    if !(1..=65535).contains(&port) {
        report.error(format!("invalid port {port}: must be in range 1-65535"));
    }
}

pub(super) fn api_access(fields: View<'_>, report: &mut Report) {
    for role in fields.at("allowedRoles").texts().filter(|role| !ROLES.contains(role)) {
        report.error(format!("invalid role {role:?} in .allowedRoles"));
    }
}
