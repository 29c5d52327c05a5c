//! Documents by themselves; the rows are in `documents.txt`.

use std::collections::BTreeSet;

use machine_config::kinds::KINDS;
use machine_config::schema::{Schema, Type};

use super::*;
use crate::lookup::Lookup;
use crate::table;

/// The document by which Kubernetes has a name and an endpoint.
const CLUSTER: &str = "---\napiVersion: v1alpha1\nkind: KubeClusterConfig\nclusterName: a\nendpoint: https://a:6443\n";
const CONTROL_PLANE: &str =
    "machine: {type: controlplane, ca: {crt: QUJD, key: QUJD}}\ncluster: {secretboxEncryptionSecret: a}\n";
const CRT: &str = r"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
const KEY: &str = r"-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n";
const WIREGUARD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A config with one document of a label (`Kind` or `Kind/name`) and its fields, and what it needs besides.
fn document(label: &str, contract: &str, body: &str) -> String {
    let (kind, name) = label.split_once('/').unwrap_or((label, ""));
    let fields = body
        .replace("; ", "\n")
        .replace("$CRT", CRT)
        .replace("$KEY", KEY)
        .replace("$WG", WIREGUARD)
        .replace("$SHA", &format!("sha256:{}", "0".repeat(64)));
    let has_name = fields.lines().any(|line| line.starts_with("name:"));
    let name = if name.is_empty() || has_name { String::new() } else { format!("name: {name:?}\n") };
    let end = if fields.is_empty() { "" } else { "\n" };
    let identity =
        format!("---\napiVersion: v1alpha1\nkind: DiscoveryIdentityConfig\nclusterID: a\nclusterSecret: {WIREGUARD}\n");
    let (legacy, beside) = match kind {
        "DiscoveryServiceConfig" => (CONTROL_PLANE.to_owned(), identity),
        "KubeAPIServerCAConfig" => (CONTROL_PLANE.to_owned(), CLUSTER.to_owned()),
        "KubeEtcdEncryptionConfig" => (CONTROL_PLANE.replace("secretboxEncryptionSecret: a", ""), String::new()),
        // Up to 1.13 the endpoint stands in the legacy document.
        _ if contract == "v1.13" => {
            (CONTROL_PLANE.replace("{secret", "{controlPlane: {endpoint: 'https://a'}, secret"), String::new())
        }
        _ => (CONTROL_PLANE.to_owned(), String::new()),
    };
    format!("{legacy}---\napiVersion: v1alpha1\nkind: {kind}\n{name}{fields}{end}{beside}")
}

/// A row: kind and document, Talos version, what breaks a rule, the message, and what is valid.
struct Line {
    label: &'static str,
    contract: &'static str,
    broken: &'static str,
    message: &'static str,
    good: &'static str,
}

impl Line {
    fn kind(&self) -> &'static str {
        self.label.split('/').next().unwrap_or(self.label)
    }
}

fn lines() -> Vec<Line> {
    let rows = include_str!("documents.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut out, mut label, mut contract, mut broken, mut message) = (Vec::new(), "", "", "", "");
    for line in rows {
        match line.split_at_checked(1) {
            Some(("!", rest)) => broken = rest.trim_start(),
            Some((">", rest)) => message = rest.strip_prefix(' ').unwrap_or(rest),
            Some(("=", good)) => out.push(Line { label, contract, broken, message, good: good.trim_start() }),
            _ => (label, contract) = line.split_once(" @").unwrap_or((line, "v1.15")),
        }
    }
    out
}

#[test]
fn every_documents_rule_is_broken_and_kept() {
    let lines = lines();
    for line in &lines {
        let nameless = format!("{}/", line.kind());
        let shown = if line.broken.starts_with("name: ''") { &nameless } else { line.label };
        let message = format!("{shown}: {}", line.message);
        let (broken, good) =
            (document(line.label, line.contract, line.broken), document(line.label, line.contract, line.good));
        let row = Row { broken: &broken, message: &message, good: &good };
        check(&[row], Mode::Cloud, line.contract, &ToString::to_string);
    }
    assert!(lines.len() > 250, "only {} rows", lines.len());
}

/// The constraints of a structure's fields, by place.
fn facts(schema: &Schema, place: &str, out: &mut BTreeSet<(String, &'static str)>) {
    for field in schema.fields() {
        let path = format!("{place}.{}", field.key);
        let message = field.required.into_iter().chain(field.bounds.map(|bounds| bounds.message));
        out.extend(message.map(|message| (path.clone(), message)));
        if let Type::Struct(inner) = field.ty {
            facts(inner, &path, out);
        }
    }
}

#[test]
fn every_rule_of_the_table_has_a_row_that_breaks_it() {
    let lines = lines();
    let mut missing = Vec::new();
    for kind in KINDS {
        let rows = || lines.iter().filter(|line| line.kind() == kind.name);
        let mut all = BTreeSet::new();
        facts(kind.schema, kind.name, &mut all);
        for (place, message) in all {
            let (start, end) = message.split_once("{}").unwrap_or((message, ""));
            if !rows().any(|row| row.message.starts_with(start) && row.message.ends_with(end)) {
                missing.push(format!("{place}: {message}"));
            }
        }
        let row = table::of(kind.name).unwrap();
        for (index, rule) in row.rules.iter().enumerate() {
            let breaks = |row: &Line| {
                let config = machine_config::load(&document(row.label, row.contract, row.broken)).unwrap();
                let found = config.documents().iter().find(|document| document.kind.name == kind.name).unwrap();
                let mut own = Report::default();
                (rule.check)(Lookup::Fields(&found.fields), &mut own);
                let is_said = own.errors.iter().chain(&own.warnings).any(|text| text == row.message);
                is_said && rule.holds(Contract::parse(row.contract).unwrap())
            };
            if !rows().any(breaks) {
                missing.push(format!("{}: rule {index}", kind.name));
            }
        }
    }
    assert!(missing.is_empty(), "without a row: {missing:#?}");
}
