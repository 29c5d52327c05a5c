//! A patch of `ResolverConfig.searchDomains.domains`: from Talos 1.14 on it replaces the list, before it adds to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use machine_config::{Contract, load, patch};

const RESOLVER: &str = "apiVersion: v1alpha1\nkind: ResolverConfig\nsearchDomains:\n";

/// The list after a patch, as written for a release.
fn patched(legacy: &str, domains: &str, contract: &str) -> String {
    let base = load(&format!("{legacy}---\n{RESOLVER}    domains: [a.example]\n")).unwrap();
    let patch = patch::parse(&format!("{RESOLVER}    domains: {domains}\n")).unwrap();
    let config = patch::apply(&base, &[patch]).unwrap();
    let text = config.text(Contract::parse(contract).unwrap().dialect());
    let words: Vec<&str> =
        text.split("domains:").nth(1).unwrap().split("---").next().unwrap().split_whitespace().collect();
    words.join(" ")
}

#[test]
fn a_config_with_documents_of_1_14_has_its_search_domains_replaced_and_an_older_one_added_to() {
    let older = "machine: {type: worker}\ncluster: {}\n";
    let newer = format!("{older}---\napiVersion: v1alpha1\nkind: KubePrismConfig\nport: 7445\n");
    assert_eq!(patched(&newer, "[b.example]", "v1.14"), "- b.example");
    assert_eq!(patched(&newer, "[]", "v1.14"), "[]");
    assert_eq!(patched(older, "[b.example]", "v1.13"), "- a.example - b.example");
    assert_eq!(patched(older, "[]", "v1.13"), "- a.example");
}
