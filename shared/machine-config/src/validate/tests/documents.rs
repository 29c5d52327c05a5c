//! Documents by themselves; the rows stand in `documents.txt`.

use super::*;

const CONTROL_PLANE: &str =
    "machine: {type: controlplane, ca: {crt: QUJD, key: QUJD}}\ncluster: {secretboxEncryptionSecret: a}\n";
const CRT: &str = r"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
const KEY: &str = r"-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n";
const WIREGUARD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A config with one document of a label (`Kind` or `Kind/name`) and its fields.
fn document(label: &str, body: &str) -> String {
    let (kind, name) = label.split_once('/').unwrap_or((label, ""));
    let fields = body.replace("; ", "\n").replace("$CRT", CRT).replace("$KEY", KEY).replace("$WG", WIREGUARD);
    let has_name = fields.lines().any(|line| line.starts_with("name:"));
    let name = if name.is_empty() || has_name { String::new() } else { format!("name: {name:?}\n") };
    let end = if fields.is_empty() { "" } else { "\n" };
    format!("{CONTROL_PLANE}---\napiVersion: v1alpha1\nkind: {kind}\n{name}{fields}{end}")
}

#[test]
fn every_documents_rule_is_broken_and_kept() {
    let rows = include_str!("documents.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut label, mut broken, mut said, mut count) = ("", "", "", 0);
    for line in rows {
        match line.split_at_checked(1) {
            Some(("!", rest)) => broken = rest.trim_start(),
            Some((">", rest)) => said = rest.strip_prefix(' ').unwrap_or(rest),
            Some(("=", good)) => {
                // A document without name is spoken of by its kind.
                let nameless = broken.starts_with("name: ''");
                let shown = if nameless { label.split('/').next().unwrap_or(label) } else { label };
                let said = format!("{shown}: {said}");
                let (broken, good) = (document(label, broken), document(label, good.trim_start()));
                check(&[Row { broken: &broken, said: &said, good: &good }], Mode::Cloud, "v1.15", &ToString::to_string);
                count += 1;
            }
            _ => label = line,
        }
    }
    assert!(count > 250, "only {count} rows");
}

#[test]
fn every_kind_with_a_rule_is_in_the_table() {
    let tested: Vec<&str> = include_str!("documents.txt").lines().filter_map(|line| line.split('/').next()).collect();
    let elsewhere = ["DiscoveryServiceConfig", "KubeEtcdEncryptionConfig"];
    for (kind, _) in crate::validate::documents::RULES {
        assert!(tested.contains(kind) || elsewhere.contains(kind), "{kind} has rules and no row");
    }
}

#[test]
fn discovery_services() {
    let config = |endpoint: &str| {
        let service = document("DiscoveryServiceConfig/a", &format!("endpoint: '{endpoint}'"));
        let identity = format!("kind: DiscoveryIdentityConfig\nclusterID: a\nclusterSecret: {WIREGUARD}\n");
        format!("{service}---\napiVersion: v1alpha1\n{identity}")
    };
    for (broken, said) in [
        ("", "endpoint is required"),
        ("a", "endpoint scheme is required"),
        ("ftp://a", "endpoint scheme must be http://, https:// or grpc://"),
        ("https:///a", "endpoint host is required"),
    ] {
        let said = format!("DiscoveryServiceConfig/a: {said}");
        let row = Row { broken: &config(broken), said: &said, good: &config("grpc://a") };
        check(&[row], Mode::Cloud, "v1.15", &ToString::to_string);
    }
}

#[test]
fn etcd_encryption() {
    let config =
        |body: &str| document("KubeEtcdEncryptionConfig", body).replace("{secretboxEncryptionSecret: a}", "{}");
    let said = "KubeEtcdEncryptionConfig: etcd encryption config is required";
    let row = Row { broken: &config("config: {}"), said, good: &config("config: {resources: []}") };
    check(&[row], Mode::Cloud, "v1.15", &ToString::to_string);
}
