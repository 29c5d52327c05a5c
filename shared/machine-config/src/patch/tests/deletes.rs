//! What `$patch: delete` reaches.

use super::*;

#[test]
fn several_items_of_one_list_go_the_first_ones_first() {
    let list = |items: &str| format!("machine: {{network: {{interfaces: [{items}]}}}}\n");
    let base = list("{interface: a, mtu: 1}, {interface: b}, {interface: a, mtu: 2}, {mtu: 3}, {interface: a, mtu: 4}");
    let gone = |names: &[&str]| {
        let items: Vec<String> = names.iter().map(|name| format!("{{interface: {name}, $patch: delete}}")).collect();
        list(&items.join(", "))
    };
    gives(&[
        (&base, &gone(&["b", "a"]), &list("{interface: a, mtu: 2}, {mtu: 3}, {interface: a, mtu: 4}")),
        (&base, &gone(&["a", "a"]), &list("{interface: b}, {mtu: 3}, {interface: a, mtu: 4}")),
    ]);
    let path = "machine.network.interfaces.[2]";
    let lost =
        format!("patch delete: path '{path}' in document '/v1alpha1': failed to delete path '{path}': lookup failed");
    refused(&[(&base, &gone(&["b", "a", "b"]), &lost)]);
}

#[test]
fn many_items_go_at_once() {
    let item = |key: &str, number: usize| format!("{{interface: e{number}, {key}}}");
    let list = |items: Vec<String>| format!("machine: {{network: {{interfaces: [{}]}}}}\n", items.join(", "));
    let base = load(&list((0..2_000).map(|number| item("mtu: 1", number)).collect())).unwrap();
    let patch = list((1..2_000).rev().map(|number| item("$patch: delete", number)).collect());
    let text = apply(&base, &[parse(&patch).unwrap()]).unwrap().text(Dialect::V4);
    assert!(text.contains("interface: e0\n") && text.matches("interface: e").count() == 1, "{text}");
}

#[test]
fn what_talos_cannot_find_is_an_error() {
    let lost = |path: &str| {
        format!("patch delete: path '{path}' in document '/v1alpha1': failed to delete path '{path}': lookup failed")
    };
    let base = machine!("ca: {crt: QUJD}, acceptedCAs: [{crt: QUJD}], pods: [{a: b}], certSANs: [a]");
    for (patch, message) in [
        // Certificates have no fields of their own, nor have free values.
        (machine!("ca: {crt: {$patch: delete}}"), lost("machine.ca.crt")),
        (machine!("acceptedCAs: [{crt: QUJD, $patch: delete}]"), lost("machine.acceptedCAs.[0]")),
        (machine!("pods: [{a: b, $patch: delete}]"), lost("machine.pods.[0]")),
        (
            machine!("certSANs: [{$patch: delete}]"),
            "no key:val found in sequence node for path machine.certSANs.[0]".to_owned(),
        ),
    ] {
        refused(&[(base, patch, message.as_str())]);
    }
}
