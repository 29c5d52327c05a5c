//! Registries, the container runtime, and which images are trusted.

use crate::checks::name;
use crate::checks::{qualified_name, url};
use crate::lookup::Lookup;
use crate::report::Report;
use crate::{pem, runtime_spec};

pub(crate) fn base_runtime_spec(fields: Lookup<'_>, report: &mut Report) {
    runtime_spec::check(fields.at("overrides"), report);
}

pub(crate) fn customization(fields: Lookup<'_>, report: &mut Report) {
    if let Some(why) = qualified_name(name(fields)) {
        report.error(format!("invalid name: {why}"));
    }
    if name(fields) == "customization" {
        report.error("name \"customization\" is reserved for the legacy CRI customization");
    }
}

pub(crate) fn auth(fields: Lookup<'_>, report: &mut Report) {
    let set = |key: &str| !fields.at(key).text().is_empty();
    let (username, token) = (set("username"), set("identityToken"));
    if username && token {
        report.error("only one of username/password or identityToken authentication can be specified");
    }
    if set("auth") && (username || token) {
        report.error("only one of auth, username/password or identityToken authentication can be specified");
    }
}

pub(crate) fn mirror(fields: Lookup<'_>, report: &mut Report) {
    for (index, endpoint) in fields.at("endpoints").items().enumerate() {
        let text = endpoint.at("url").text();
        let url = url(text);
        let scheme = url.scheme();
        if text.is_empty() {
            report.error(format!("endpoints[{index}].url must be specified"));
        } else if !matches!(scheme, "http" | "https") {
            report.error(format!("endpoints[{index}].url has unsupported scheme: {scheme:?}"));
        }
    }
}

pub(crate) fn tls(fields: Lookup<'_>, report: &mut Report) {
    let ca = fields.at("ca").text();
    let certificate = |block: &pem::Block<'_>| block.label == "CERTIFICATE" && block.is_sequence();
    if !ca.is_empty() && !pem::blocks(ca).iter().any(certificate) {
        report.error("ca must be a valid PEM-encoded certificate");
    }
}

/// Talos's check of a client's certificate and key from 1.14 on.
pub(crate) fn client_identity(fields: Lookup<'_>, report: &mut Report) {
    let identity = fields.at("clientIdentity");
    if let Some(why) = identity.is_set().then(|| super::kubernetes::pair(identity)).flatten() {
        report.error(format!("client identity: {why}"));
    }
}

/// The same up to 1.13.
pub(crate) fn older_client_identity(fields: Lookup<'_>, report: &mut Report) {
    let identity = fields.at("clientIdentity");
    for (key, what) in [("cert", "certificate"), ("key", "key")] {
        if identity.is_set() && pem::blocks(identity.at(key).text()).is_empty() {
            report.error(format!("client identity {what} is invalid: failed to parse PEM block"));
        }
    }
}

pub(crate) fn verification(fields: Lookup<'_>, report: &mut Report) {
    for (index, rule) in fields.at("rules").items().enumerate() {
        pattern(index, rule.at("image").text(), report);
        for why in verdict(rule).into_iter().chain(verifier(rule)) {
            report.error(format!("rule {index}: {why}"));
        }
    }
}

fn pattern(index: usize, image: &str, report: &mut Report) {
    const ONLY: &str = "but matching only applies to the image registry and repository, not the tag or digest";
    if image.is_empty() {
        report.error(format!("rule {index}: imagePattern must be specified"));
    }
    if image.contains('@') {
        report.warn(format!("rule {index}: imagePattern contains '@' {ONLY}"));
    }
    // Before the first slash a colon may belong to a registry's port.
    if image.split_once('/').is_some_and(|(_, rest)| rest.contains(':')) {
        report.warn(format!("rule {index}: imagePattern contains ':' {ONLY}"));
    }
}

/// Each rule's pattern, with its number.
fn patterns(fields: Lookup<'_>) -> impl Iterator<Item = (usize, &str)> {
    fields.at("rules").items().map(|rule| rule.at("image").text()).enumerate()
}

/// Talos's remark about patterns without a registry up to 1.13.
pub(crate) fn older_pattern(fields: Lookup<'_>, report: &mut Report) {
    for (index, _) in patterns(fields).filter(|(_, image)| !image.contains('/') && !matches!(*image, "*" | "")) {
        let how = "image references like 'nginx' are matched as 'docker.io/nginx' (normalized)";
        report.warn(format!("rule {index}: imagePattern does not contain a '/', {how}"));
    }
}

/// The same from 1.14 on: a pattern that no image can match, because each reference begins with a registry's domain.
pub(crate) fn pattern_form(fields: Lookup<'_>, report: &mut Report) {
    for (index, image) in patterns(fields).filter(|(_, image)| matches_nothing(image)) {
        let form = "references are matched in their normalized '<registry domain>/<repository>' form";
        let example = "e.g. 'nginx' is matched as 'docker.io/library/nginx'";
        report.warn(format!("rule {index}: imagePattern {image:?} cannot match any image: {form}, {example}"));
    }
}

/// Whether what stands before the first `*` can't begin a reference.
fn matches_nothing(image: &str) -> bool {
    let (literal, open) = image.split_once('*').map_or((image, false), |(literal, _)| (literal, true));
    match literal.split_once('/') {
        Some((domain, _)) => !domain.contains(['.', ':']) && domain != "localhost",
        None => !open && !image.is_empty(),
    }
}

fn verdict(rule: Lookup<'_>) -> Vec<&'static str> {
    let (skip, deny) = (rule.at("skip").is_on(), rule.at("deny").is_on());
    let (keyless, key) = (rule.at("keyless").is_set(), rule.at("publicKey").is_set());
    let found = [
        (skip && deny, "skip and deny cannot both be true"),
        ((skip || deny) && (keyless || key), "verifiers cannot be configured if skip or deny is true"),
        (!(skip || deny || keyless || key), "at least one verifier must be configured"),
        (keyless && key, "only one of keyless or publicKey verifier can be configured"),
    ];
    found.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text).collect()
}

fn verifier(rule: Lookup<'_>) -> Vec<&'static str> {
    let (keyless, key) = (rule.at("keyless"), rule.at("publicKey"));
    let lacks = |section: Lookup<'_>, field: &str| section.is_set() && section.at(field).text().is_empty();
    let found = [
        (lacks(keyless, "issuer"), "verifier OIDC issuer must be specified"),
        (
            lacks(keyless, "subject") && lacks(keyless, "subjectRegex"),
            "verifier subject or subjectRegex must be specified",
        ),
        (lacks(key, "certificate"), "verifier certificates must be specified"),
    ];
    found.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text).collect()
}
