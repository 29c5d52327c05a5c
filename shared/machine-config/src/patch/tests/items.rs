//! Lists with keys, certificates, sizes, URLs: values with rules of their own for merging.

use super::*;

#[test]
fn items_of_one_patch_with_the_same_key_are_merged_where_the_list_has_a_place() {
    let two = machine!("network: {interfaces: [{interface: a, mtu: 1, addresses: [x]}, {interface: a, mtu: 2}]}");
    let one = machine!("network: {interfaces: [{interface: a, mtu: 2, addresses: [x]}]}");
    gives(&[
        (machine!("network: {}"), two, one),
        // A missing value is set unchanged.
        (machine!("type: ''"), two, two),
        (
            document!("ExtensionServiceConfig", "name: a"),
            document!(
                "ExtensionServiceConfig",
                "name: a\nconfigFiles: [{mountPath: b, content: c}, {mountPath: b, content: d}]"
            ),
            document!("ExtensionServiceConfig", "name: a\nconfigFiles: [{mountPath: b, content: d}]"),
        ),
        (
            machine!("network: {interfaces: [{interface: a, vlans: [{vlanId: 1}, {mtu: 3}]}]}"),
            machine!("network: {interfaces: [{interface: a, vlans: [{vlanId: 1, mtu: 2}, {vlanId: 0, mtu: 4}]}]}"),
            machine!("network: {interfaces: [{interface: a, vlans: [{vlanId: 1, mtu: 2}, {mtu: 4}]}]}"),
        ),
    ]);
}

#[test]
fn rules_of_a_patch_replace_the_last_of_their_image_and_not_each_other() {
    let rules = |text: &str| format!("apiVersion: v1alpha1\nkind: ImageVerificationConfig\nrules: [{text}]\n");
    gives(&[(
        &rules("{image: a}, {image: a, skip: true}"),
        &rules("{image: a, deny: true}, {image: b}, {image: b}"),
        &rules("{image: a}, {image: a, deny: true}, {image: b}, {image: b}"),
    )]);
}

#[test]
fn a_certificate_and_its_key_are_replaced_together() {
    gives(&[
        (machine!("ca: {crt: QUJD, key: QUJD}"), machine!("ca: {crt: REVG}"), machine!("ca: {crt: REVG}")),
        (machine!("ca: {crt: QUJD, key: QUJD}"), machine!("ca: {}"), machine!("ca: {}")),
        (
            machine!("registries: {config: {a: {tls: {ca: QUJD, insecureSkipVerify: true}}}}"),
            machine!("registries: {config: {a: {tls: {insecureSkipVerify: false}}}}"),
            machine!("registries: {config: {a: {tls: {ca: QUJD, insecureSkipVerify: false}}}}"),
        ),
    ]);
}

#[test]
fn sizes_addresses_and_free_values_meet_as_talos_holds_them() {
    let volume = |size: &str| {
        format!("apiVersion: v1alpha1\nkind: RawVolumeConfig\nname: a\nprovisioning: {{maxSize: {size}}}\n")
    };
    gives(&[
        (&volume("10GiB"), &volume("50%"), &volume("10GiB")),
        (&volume("50%"), &volume("10GiB"), &volume("10GiB")),
        (
            document!("BondConfig", "name: a\nhardwareAddr: aa:bb"),
            document!("BondConfig", "name: a\nhardwareAddr: ''"),
            document!("BondConfig", "name: a"),
        ),
        (
            document!("KubeAuditPolicyConfig", "configuration: {a: 1}"),
            document!("KubeAuditPolicyConfig", "configuration: {}"),
            document!("KubeAuditPolicyConfig", "configuration: {a: 1}"),
        ),
    ]);
    let kept = machine!("registries: {mirrors: {a: {endpoints: [b]}}}");
    gives(&[(kept, machine!("registries: {mirrors: {a: ~}}"), kept)]);
    let selector = machine!("install: {diskSelector: {size: 1GB}}");
    let mirror = |user: &str| format!("apiVersion: v1alpha1\nkind: HTTPProbeConfig\nname: a\nurl: http://{user}@b\n");
    let free = |number: &str| format!("machine: {{kubelet: {{extraConfig: {{n: {number}}}}}}}\n");
    refused(&[
        (selector, selector, "merge not possible at machine.install.diskSelector.size: delete what is there first"),
        (&mirror("u"), &mirror("v"), "merge not possible at url: delete what is there first"),
        (
            &free("1"),
            &free("18446744073709551615"),
            "merge type mismatch at machine.kubelet.extraConfig.n: left a whole number, \
             right a whole number above 9223372036854775807",
        ),
    ]);
}

#[test]
fn a_date_in_a_patch_is_refused_for_a_config_of_1_14() {
    let date = document!("HostnameConfig", "hostname: 2024-01-01");
    let newer = document!("KubePrismConfig", "port: 1");
    refused(&[(newer, date, "the patch can't be read as Talos documents")]);
    gives(&[(machine!("type: worker"), date, &format!("{}---\n{date}", machine!("type: worker")))]);
}
