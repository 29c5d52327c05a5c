//! Differences between two configs, documents matched by identity, secrets hidden.

use std::fmt::Write as _;

use go_yaml::{Dialect, Value, write};
use similar::TextDiff;

use crate::config::{Config, Document, Identity};
use crate::redact::{differing, redact};

/// Whether two configs are equal; the order of documents doesn't matter.
pub fn is_same(left: &Config, right: &Config) -> bool {
    sorted(left) == sorted(right)
}

fn sorted(config: &Config) -> Vec<(Identity, Value)> {
    let mut documents: Vec<_> =
        config.documents().iter().map(|document| (document.identity(), document.written())).collect();
    documents.sort_by(|a, b| a.0.cmp(&b.0));
    documents
}

/// What changes from one config to the other, for people: a unified diff for each document, empty when nothing does.
pub fn diff(left: &Config, right: &Config) -> String {
    let (before, after) = (redact(left), redact(right));
    let mut out = String::new();
    for document in before.documents() {
        let other = find(&after, &document.identity());
        one(&document.identity(), Some(document), other, &mut out);
    }
    for document in after.documents().iter().filter(|document| find(&before, &document.identity()).is_none()) {
        one(&document.identity(), None, Some(document), &mut out);
    }
    for secret in differing(left, right) {
        let _ = writeln!(out, "secret differs: {secret}");
    }
    out
}

fn find<'a>(config: &'a Config, identity: &Identity) -> Option<&'a Document> {
    config.documents().iter().find(|document| document.identity() == *identity)
}

fn one(identity: &Identity, left: Option<&Document>, right: Option<&Document>, out: &mut String) {
    let text = |document: Option<&Document>| {
        document.map(|document| write(&document.written(), Dialect::V4)).unwrap_or_default()
    };
    let (left, right) = (text(left), text(right));
    if left != right {
        let name = identity.to_string();
        let lines = TextDiff::from_lines(&left, &right);
        out.push_str(&lines.unified_diff().context_radius(3).header(&name, &name).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::load(text).unwrap()
    }

    const HOSTNAME: &str = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";

    #[test]
    fn the_order_of_documents_makes_no_difference() {
        let link = "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n";
        let (a, b) = (format!("{HOSTNAME}---\n{link}"), format!("{link}---\n{HOSTNAME}"));
        assert!(is_same(&config(&a), &config(&b)));
        assert_eq!(diff(&config(&a), &config(&b)), "");
    }

    #[test]
    fn a_changed_line_is_shown_in_its_document() {
        let other = HOSTNAME.replace("stable", "'off'\nhostname: a");
        let shown = diff(&config(HOSTNAME), &config(&other));
        assert!(shown.starts_with("--- HostnameConfig\n+++ HostnameConfig\n"), "{shown}");
        assert!(shown.contains("-auto: stable\n") && shown.contains("+hostname: a\n"), "{shown}");
    }

    #[test]
    fn a_changed_secret_is_named_and_not_shown() {
        let shown = diff(&config("machine: {token: aaa}\n"), &config("machine: {token: bbb}\n"));
        assert_eq!(shown, "secret differs: v1alpha1 machine.token\n");
    }
}
