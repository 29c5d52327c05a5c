//! The rules of patches, one row each.

mod deletes;
mod items;
mod operations;

use go_yaml::Dialect;

use super::*;

fn patched(base: &str, text: &str) -> Result<Config, Error> {
    apply(&load(base).unwrap(), &[parse(text)?])
}

/// Base, patch, and the result; both sides are written by us.
fn gives(rows: &[(&str, &str, &str)]) {
    for (base, patch, expected) in rows {
        let ours = patched(base, patch).unwrap_or_else(|error| panic!("{base}\n{patch}: {error}")).text(Dialect::V4);
        let expected = load(expected).unwrap().text(Dialect::V4);
        assert!(ours == expected, "{base}\n{patch}\nours:\n{ours}\nexpected:\n{expected}");
    }
}

/// Base, patch, and why it doesn't fit.
fn refused(rows: &[(&str, &str, &str)]) {
    for (base, patch, message) in rows {
        let error = patched(base, patch).expect_err(patch);
        assert_eq!(error.to_string(), *message, "{base}\n{patch}");
    }
}

/// The legacy document with these sections.
macro_rules! machine {
    ($text:literal) => {
        concat!("machine: {", $text, "}\n")
    };
}
use machine;

/// A document of a kind.
macro_rules! document {
    ($kind:literal, $text:literal) => {
        concat!("apiVersion: v1alpha1\nkind: ", $kind, "\n", $text, "\n")
    };
}
use document;

#[test]
fn scalars_are_replaced_but_not_by_zero_unless_they_are_optional() {
    gives(&[
        (machine!("type: worker"), machine!("type: controlplane"), machine!("type: controlplane")),
        (machine!("type: worker, token: a"), machine!("token: ''"), machine!("type: worker, token: a")),
        (machine!("install: {wipe: true}"), machine!("install: {wipe: false}"), machine!("install: {wipe: false}")),
        (
            "cluster: {controlPlane: {localAPIServerPort: 1}}\n",
            "cluster: {controlPlane: {localAPIServerPort: 0}}\n",
            "cluster: {controlPlane: {localAPIServerPort: 1}}\n",
        ),
        (
            document!("HostnameConfig", "auto: stable"),
            document!("HostnameConfig", "auto: off\nhostname: a"),
            document!("HostnameConfig", "auto: off\nhostname: a"),
        ),
    ]);
}

#[test]
fn lists_grow_without_looking_for_the_same() {
    gives(&[
        (machine!("certSANs: [a]"), machine!("certSANs: [a, b]"), machine!("certSANs: [a, a, b]")),
        (machine!("certSANs: [a]"), machine!("certSANs: []"), machine!("certSANs: [a]")),
        (
            document!("LinkConfig", "name: a\naddresses: [{address: 10.0.0.1/8}]"),
            document!("LinkConfig", "name: a\naddresses: [{address: 10.0.0.2/8}]"),
            document!("LinkConfig", "name: a\naddresses: [{address: 10.0.0.1/8}, {address: 10.0.0.2/8}]"),
        ),
    ]);
}

#[test]
fn some_lists_and_free_values_are_replaced_also_by_nothing() {
    gives(&[
        (
            "cluster: {network: {podSubnets: [10.0.0.0/8]}}\n",
            "cluster: {network: {podSubnets: [fd00::/56]}}\n",
            "cluster: {network: {podSubnets: [fd00::/56]}}\n",
        ),
        (
            "cluster: {network: {podSubnets: [10.0.0.0/8]}}\n",
            "cluster: {network: {podSubnets: []}}\n",
            "cluster: {network: {podSubnets: []}}\n",
        ),
        (
            "cluster: {apiServer: {auditPolicy: {rules: [{level: Metadata}], a: 1}}}\n",
            "cluster: {apiServer: {auditPolicy: {rules: [{level: None}]}}}\n",
            "cluster: {apiServer: {auditPolicy: {rules: [{level: None}]}}}\n",
        ),
        (
            document!("KubeNetworkConfig", "dnsDomain: a\npodSubnets: [10.0.0.0/8]"),
            document!("KubeNetworkConfig", "podSubnets: [10.0.0.0/9]"),
            document!("KubeNetworkConfig", "dnsDomain: a\npodSubnets: [10.0.0.0/9]"),
        ),
    ]);
}

#[test]
fn sizes_and_expressions_that_a_patch_leaves_out_are_lost() {
    let volume = |text: &str| format!("apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: u\n{text}\n");
    let full = "provisioning: {diskSelector: {match: a}, grow: true, minSize: 1GiB, maxSize: 2GiB}";
    gives(&[
        (&volume(full), &volume("provisioning: {maxSize: 3GiB}"), &volume("provisioning: {grow: true, maxSize: 3GiB}")),
        (
            &volume(full),
            &volume("filesystem: {type: ext4}"),
            &volume("provisioning: {grow: true, maxSize: 2GiB}\nfilesystem: {type: ext4}"),
        ),
    ]);
}

#[test]
fn free_values_are_not_replaced_by_zero_nor_by_another_kind_of_number() {
    let config = |text: &str| format!("machine: {{kubelet: {{extraConfig: {{{text}}}}}}}\n");
    gives(&[
        (
            &config("d: x, n: 5, b: true, f: 1.5"),
            &config("d: '', n: 0, b: false, f: 2.5"),
            &config("d: x, n: 5, b: false, f: 2.5"),
        ),
        (&config("f: 1.0, g: 1.5"), &config("f: 1.5, g: 1e3"), &config("f: 1.5, g: 1000")),
    ]);
    let message =
        "merge type mismatch at machine.kubelet.extraConfig.n: left a whole number, right a number with a fraction";
    refused(&[(&config("n: 1"), &config("n: 1.5"), message)]);
}

#[test]
fn items_with_a_key_are_found_by_it() {
    gives(&[
        (
            machine!("network: {interfaces: [{interface: a, addresses: [10.0.0.1]}, {interface: b}]}"),
            machine!("network: {interfaces: [{interface: a, mtu: 9, addresses: [10.0.0.2]}, {interface: c}]}"),
            machine!(
                "network: {interfaces: [{interface: a, mtu: 9, addresses: [10.0.0.1, 10.0.0.2]}, {interface: b}, {interface: c}]}"
            ),
        ),
        (
            machine!("network: {interfaces: [{deviceSelector: {driver: a}, mtu: 1}]}"),
            machine!("network: {interfaces: [{deviceSelector: {driver: a}, mtu: 2}]}"),
            machine!("network: {interfaces: [{deviceSelector: {driver: a}, mtu: 2}]}"),
        ),
        (
            machine!("network: {interfaces: [{deviceSelector: {physical: true}, mtu: 1}]}"),
            machine!("network: {interfaces: [{deviceSelector: {physical: true}, mtu: 2}]}"),
            machine!(
                "network: {interfaces: [{deviceSelector: {physical: true}, mtu: 1}, {deviceSelector: {physical: true}, mtu: 2}]}"
            ),
        ),
        (
            machine!("network: {interfaces: [{interface: a, vlans: [{vlanId: 1, mtu: 1}]}]}"),
            machine!("network: {interfaces: [{interface: a, vlans: [{vlanId: 1, mtu: 2}, {vlanId: 2}]}]}"),
            machine!("network: {interfaces: [{interface: a, vlans: [{vlanId: 1, mtu: 2}, {vlanId: 2}]}]}"),
        ),
        (
            "cluster: {apiServer: {admissionControl: [{name: a, configuration: {x: 1}}]}}\n",
            "cluster: {apiServer: {admissionControl: [{name: a, configuration: {y: 2}}]}}\n",
            "cluster: {apiServer: {admissionControl: [{name: a, configuration: {x: 1, y: 2}}]}}\n",
        ),
        (
            document!("ExtensionServiceConfig", "name: a\nconfigFiles: [{content: x, mountPath: /a}]"),
            document!("ExtensionServiceConfig", "name: a\nconfigFiles: [{content: y, mountPath: /a}]"),
            document!("ExtensionServiceConfig", "name: a\nconfigFiles: [{content: y, mountPath: /a}]"),
        ),
        (
            document!("ImageVerificationConfig", "rules: [{image: a, skip: true}]"),
            document!("ImageVerificationConfig", "rules: [{image: a, deny: true}]"),
            document!("ImageVerificationConfig", "rules: [{image: a, deny: true}]"),
        ),
    ]);
}

#[test]
fn maps_arguments_and_free_values_merge_key_by_key() {
    gives(&[
        (
            machine!("sysctls: {a: '1', b: '2'}"),
            machine!("sysctls: {b: '3', c: '4'}"),
            machine!("sysctls: {a: '1', b: '3', c: '4'}"),
        ),
        (machine!("sysctls: {a: '1'}"), machine!("sysctls: {a: ''}"), machine!("sysctls: {a: '1'}")),
        (
            "cluster: {apiServer: {extraArgs: {a: [x], b: y}}}\n",
            "cluster: {apiServer: {extraArgs: {a: [z], b: w}}}\n",
            "cluster: {apiServer: {extraArgs: {a: [z], b: w}}}\n",
        ),
        (
            machine!("kubelet: {extraConfig: {a: {x: 1}, l: [1], t: a}}"),
            machine!("kubelet: {extraConfig: {a: {y: 2}, l: [2], t: b}}"),
            machine!("kubelet: {extraConfig: {a: {x: 1, y: 2}, l: [1, 2], t: b}}"),
        ),
        (
            "cluster: {controlPlane: {endpoint: 'https://a:1/x'}}\n",
            "cluster: {controlPlane: {endpoint: 'https://b:2'}}\n",
            "cluster: {controlPlane: {endpoint: 'https://b:2/x'}}\n",
        ),
    ]);
    let base = machine!("kubelet: {extraConfig: {a: {x: 1}}}");
    let text = machine!("kubelet: {extraConfig: {a: [1]}}");
    refused(&[(base, text, "merge type mismatch at machine.kubelet.extraConfig.a: left a mapping, right a list")]);
}

#[test]
fn documents_without_a_match_come_last_and_null_ones_do_nothing() {
    let link = document!("LinkConfig", "name: b\nup: true");
    let base = format!("{}---\n{}", machine!("type: worker"), document!("LinkConfig", "name: a"));
    let text = patched(&base, &format!("---\n---\n{link}")).unwrap().text(Dialect::V4);
    assert!(text.ends_with("name: a\n---\napiVersion: v1alpha1\nkind: LinkConfig\nname: b\nup: true\n"), "{text}");
    refused(&[
        (&base, document!("BondConfig", "name: a"), "conflicting documents: LinkConfig/a and BondConfig/a"),
        // Nothing is a JSON patch without operations, which several documents don't take either.
        (&base, "", "JSON6902 patches are not supported for multi-document machine configuration"),
    ]);
    gives(&[
        (machine!("type: worker"), "", "version: ''\nmachine: {type: worker}\n"),
        (machine!("type: worker"), "# nothing\n---\n", "version: ''\nmachine: {type: worker}\n"),
    ]);
}

#[test]
fn deletes_reach_documents_fields_keys_and_items() {
    let both = format!("{}---\n{}", machine!("type: worker"), document!("LinkConfig", "name: a"));
    gives(&[
        (&both, document!("LinkConfig", "name: a\n$patch: delete"), machine!("type: worker")),
        (&both, document!("LinkConfig", "name: b\n$patch: delete"), &both),
        (
            machine!("type: worker, network: {hostname: a}"),
            machine!("network: {$patch: delete}"),
            machine!("type: worker"),
        ),
        (machine!("type: worker, certSANs: [a]"), machine!("certSANs: {$patch: delete}"), machine!("type: worker")),
        (
            machine!("sysctls: {a: '1', b: '2'}"),
            machine!("sysctls: {a: {$patch: delete}}"),
            machine!("sysctls: {b: '2'}"),
        ),
        (
            machine!("network: {interfaces: [{interface: a}, {interface: b}]}"),
            machine!("network: {interfaces: [{interface: a, $patch: delete}]}"),
            machine!("network: {interfaces: [{interface: b}]}"),
        ),
        (
            document!("LinkConfig", "name: a\naddresses: [{address: 10.0.0.1/8}, {address: 10.0.0.2/8}]"),
            document!("LinkConfig", "name: a\naddresses: [{address: 10.0.0.1/8, $patch: delete}]"),
            document!("LinkConfig", "name: a\naddresses: [{address: 10.0.0.2/8}]"),
        ),
        // Deletes are applied first, so that a list can be recreated.
        (
            machine!("certSANs: [a]"),
            "machine: {certSANs: {$patch: delete}}\n---\nmachine: {certSANs: [b]}\n",
            machine!("certSANs: [b]"),
        ),
        (
            document!("KubeNodeConfig", "taints: {a: NoSchedule}\nlabels: {b: c}"),
            document!("KubeNodeConfig", "taints: {$patch: delete}"),
            document!("KubeNodeConfig", "labels: {b: c}"),
        ),
    ]);
}

#[test]
fn deletes_of_what_is_not_set_do_nothing_where_the_field_itself_is_there() {
    let bare = machine!("type: worker");
    gives(&[
        (bare, machine!("install: {$patch: delete}, kubelet: {$patch: delete}"), bare),
        (bare, machine!("registries: {mirrors: {$patch: delete}}"), bare),
        (
            "cluster: {proxy: {image: a}, discovery: {enabled: true}}\n",
            "cluster: {proxy: {disabled: {$patch: delete}}, discovery: {registries: {service: {endpoint: {$patch: delete}}}}}\n",
            "cluster: {proxy: {image: a}, discovery: {enabled: true}}\n",
        ),
        (
            bare,
            document!("LinkConfig", "name: q\nmtu: {$patch: delete}"),
            &format!("{bare}---\n{}", document!("LinkConfig", "name: q")),
        ),
    ]);
}

#[test]
fn in_the_legacy_document_deletes_come_before_the_rest_and_elsewhere_in_their_place() {
    let link = |fields: &str| format!("apiVersion: v1alpha1\nkind: LinkConfig\nname: q\n{fields}\n");
    gives(&[
        (
            machine!("type: worker, certSANs: [z]"),
            "machine: {certSANs: [a]}\n---\nmachine: {certSANs: {$patch: delete}}\n",
            machine!("type: worker, certSANs: [a]"),
        ),
        (&link("mtu: 9000"), &format!("{}---\n{}", link("mtu: 1500"), link("mtu: {$patch: delete}")), &link("")),
    ]);
}

#[test]
fn deletes_that_reach_nothing_or_are_incomplete_are_errors() {
    let base = machine!("type: worker, network: {interfaces: [{interface: a, vlans: [{vlanId: 1}]}]}");
    let lookup = |path: &str| {
        format!("patch delete: path '{path}' in document '/v1alpha1': failed to delete path '{path}': lookup failed")
    };
    refused(&[
        (base, machine!("env: {a: {$patch: delete}}"), &lookup("machine.env.a")),
        (base, machine!("install: {diskSelector: {$patch: delete}}"), &lookup("machine.install.diskSelector")),
        (
            base,
            machine!("network: {interfaces: [{interface: b, $patch: delete}]}"),
            &lookup("machine.network.interfaces.[0]"),
        ),
        (
            base,
            machine!("network: {interfaces: [{interface: a, mtu: {$patch: delete}}]}"),
            "cannot delete an inner key in 'machine.network.interfaces.[0]'",
        ),
        (
            "machine: {}\n",
            "kind: LinkConfig\n$patch: delete\n",
            "missing apiVersion in document for which $patch: delete is used",
        ),
        (
            base,
            "machine: {type: worker}\n$patch: delete\n",
            "missing apiVersion in document for which $patch: delete is used",
        ),
        (
            "machine: {}\n",
            "apiVersion: v1alpha1\n$patch: delete\n",
            "missing kind in document for which $patch: delete is used",
        ),
        (
            base,
            machine!("network: {$patch: remove}"),
            "line 1, column 29: the value of $patch must be the word \"delete\"",
        ),
    ]);
}

#[test]
fn an_argument_is_a_file_or_the_patch_itself() {
    let read = |wanted: &'static str| {
        move |path: &str| {
            if path == wanted { Ok(machine!("type: worker").to_owned()) } else { Err("no such file".to_owned()) }
        }
    };
    assert!(argument("@a b.yaml", read("a b.yaml")).is_ok());
    assert!(argument("a.yaml", read("a.yaml")).is_ok());
    assert!(argument(machine!("type: worker"), read("")).is_ok());
    assert!(argument("{\"machine\":{}}", read("")).is_ok());
    let error = argument("b.yaml", read("a.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "failed to read patch file \"b.yaml\": no such file");
}
