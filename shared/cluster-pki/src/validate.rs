//! What a bundle must contain; the messages are Talos's own.

use talosconfig::certificate;

use crate::bundle::Bundle;
use crate::{Authority, Error, keys};

/// Checks one section, and reports what is wrong.
type Check = fn(&Bundle, &mut Vec<String>);

/// Everything that is wrong with a bundle whose file lacks these sections.
pub(crate) fn problems(bundle: &Bundle, missing: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    let checks: [(&str, Check); 4] =
        [("cluster", cluster), ("secrets", secrets), ("trustdinfo", trustd), ("certs", certs)];
    for (section, check) in checks {
        if missing.contains(&section) {
            out.push(format!("{section} is required"));
        } else {
            check(bundle, &mut out);
        }
    }
    out
}

fn trustd(bundle: &Bundle, out: &mut Vec<String>) {
    if bundle.machine_token.is_empty() {
        out.push("trustdinfo.token is required".to_owned());
    }
}

fn certs(bundle: &Bundle, out: &mut Vec<String>) {
    for (name, authority) in
        [("etcd", &bundle.etcd), ("k8s", &bundle.kubernetes), ("k8saggregator", &bundle.aggregator)]
    {
        out.extend(authority_problem(name, authority));
    }
    out.extend(service_account_problem(bundle));
    out.extend(authority_problem("os", &bundle.talos));
}

fn cluster(bundle: &Bundle, out: &mut Vec<String>) {
    if bundle.cluster_id.is_empty() {
        out.push("cluster.id is required".to_owned());
    }
    if bundle.cluster_secret.is_empty() {
        out.push("cluster.secret is required".to_owned());
    }
}

fn secrets(bundle: &Bundle, out: &mut Vec<String>) {
    const CHOICE: &str = "[secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret]";
    if bundle.bootstrap_token.is_empty() {
        out.push("secrets.bootstraptoken is required".to_owned());
    }
    match (&bundle.secretbox, &bundle.aescbc) {
        (None, None) => out.push(format!("one of {CHOICE} is required")),
        (Some(_), Some(_)) => out.push(format!("only one of {CHOICE} is allowed")),
        _ => {}
    }
}

fn authority_problem(name: &str, authority: &Authority) -> Option<String> {
    if authority.crt.is_empty() && authority.key.is_empty() {
        return Some(format!("certs.{name} is required"));
    }
    match pair_fits(authority) {
        Ok(true) => None,
        Ok(false) => Some(format!("certs.{name} is invalid: the private key is not the certificate's")),
        Err(error) => Some(format!("certs.{name} is invalid: {error}")),
    }
}

/// Whether the certificate belongs to the private key.
fn pair_fits(authority: &Authority) -> Result<bool, Error> {
    let der = certificate::der(&authority.crt)?;
    let certificate = certificate::parse(&der)?;
    let key = keys::parse(authority.key.expose())?;
    Ok(certificate.public_key().subject_public_key.data == key.public_key_raw())
}

fn service_account_problem(bundle: &Bundle) -> Option<String> {
    if bundle.service_account.is_empty() {
        return Some("certs.k8sserviceaccount is required".to_owned());
    }
    let checked = keys::parse(bundle.service_account.expose());
    checked.err().map(|error| format!("certs.k8sserviceaccount.key is invalid: {error}"))
}
