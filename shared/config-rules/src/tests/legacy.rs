//! The legacy document.

use super::*;

const PEM: &str = "QUJD";

/// A config of a machine with lines in its machine and cluster sections.
pub(crate) fn config(machine: &str, kind: &str) -> String {
    let (key, cluster) = match kind {
        "controlplane" => (", key: QUJD", "  secretboxEncryptionSecret: a\n"),
        _ => ("", ""),
    };
    let mut machine_lines = format!("machine:\n  type: {kind}\n  ca: {{crt: {PEM}{key}}}\n");
    let mut cluster_lines = format!("cluster:\n  id: a\n  secret: b\n{cluster}");
    for line in machine.lines() {
        match line.strip_prefix("cluster.") {
            Some(line) => cluster_lines.push_str(&format!("  {line}\n")),
            None => machine_lines.push_str(&format!("  {line}\n")),
        }
    }
    machine_lines + &cluster_lines
}

pub(crate) fn worker(rows: &[Row<'_>]) {
    check(rows, Mode::Metal, "v1.15", &|lines| config(lines, "worker"));
}

pub(crate) fn control_plane(rows: &[Row<'_>]) {
    check(rows, Mode::Metal, "v1.15", &|lines| config(lines, "controlplane"));
}

pub(crate) fn whole(rows: &[Row<'_>]) {
    check(rows, Mode::Cloud, "v1.15", &ToString::to_string);
}

#[test]
fn rules_1_to_4_sections_and_what_is_deprecated() {
    whole(&[
        Row { broken: "cluster: {}\n", message: "machine instructions are required", good: &config("", "worker") },
        Row {
            broken: "machine: {type: worker, ca: {crt: QUJD}}\n",
            message: "cluster instructions are required",
            good: "machine: {type: worker, ca: {crt: QUJD}}\ncluster: {}\n",
        },
    ]);
    worker(&[
        Row {
            broken: "files: [{content: a, permissions: 0o644, path: /var/a, op: create}]",
            message: ".machine.files is deprecated; use dedicated configuration documents instead",
            good: "files: []",
        },
        Row {
            broken: "baseRuntimeSpecOverrides: {process: {}}",
            message: ".machine.baseRuntimeSpecOverrides is deprecated; use a CRIBaseRuntimeSpecConfig document instead",
            good: "baseRuntimeSpecOverrides: {}",
        },
    ]);
}

#[test]
fn rules_5_to_9_the_cluster_and_who_reaches_it() {
    worker(&[
        Row {
            broken: "cluster.controlPlane: {}",
            message: "cluster controlplane endpoint is required (.cluster.controlPlane.endpoint); when the endpoint is \
                 migrated to the KubeClusterConfig document, the whole .cluster.controlPlane section should be removed \
                 (.cluster.controlPlane.localAPIServerPort is migrated to the KubeAPIServerConfig document)",
            good: "cluster.controlPlane: {endpoint: https://a:6443}",
        },
        Row {
            broken: "cluster.controlPlane: {endpoint: 'https://a:70000'}",
            message: "invalid controlplane endpoint: port number must be between 1 and 65535",
            good: "cluster.controlPlane: {endpoint: 'https://[fd00::1]:443'}",
        },
        Row {
            broken: "cluster.network: {dnsDomain: 'a b'}",
            message: "\"a b\" is not a valid DNS name",
            good: "cluster.network: {dnsDomain: cluster.local}",
        },
        Row {
            broken: "cluster.externalCloudProvider: {manifests: [https://a/b.yaml]}",
            message: "external cloud provider is disabled, but manifests are provided",
            good: "cluster.externalCloudProvider: {enabled: true, manifests: [https://a/b.yaml]}",
        },
        Row {
            broken: "cluster.externalCloudProvider: {enabled: true, manifests: [/b.yaml]}",
            message: "invalid external cloud provider manifest url \"/b.yaml\": hostname must not be blank",
            good: "cluster.externalCloudProvider: {enabled: true}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}}",
            message: "etcd config is only allowed on control plane machines",
            good: "",
        },
    ]);
}

#[test]
fn rules_10_to_14_etcd_keys_manifests_discovery_resources() {
    control_plane(&[
        Row {
            broken: "cluster.etcd: {}",
            message: "key/cert combination should not be empty",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, subnet: 10.0.0.0/8, advertisedSubnets: [10.0.0.0/8]}",
            message: "etcd subnet can't be set when advertised subnets are set",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, subnet: 10.0.0.0/8}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, advertisedSubnets: ['!ten']}",
            message: "etcd advertised subnet is not valid: \"ten\"",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, advertisedSubnets: ['!10.0.0.0/8']}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, listenSubnets: [ten]}",
            message: "etcd listen subnet is not valid: \"ten\"",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, listenSubnets: [10.0.0.1]}",
        },
        Row {
            broken: "cluster.inlineManifests: [{name: ' ', contents: a}]",
            message: "inline manifest name can't be empty",
            good: "cluster.inlineManifests: [{name: a, contents: a}]",
        },
        Row {
            broken: "cluster.inlineManifests: [{name: a, contents: a}, {name: a, contents: b}]",
            message: "inline manifest name \"a\" is duplicate",
            good: "cluster.inlineManifests: [{name: a, contents: a}, {name: b, contents: a}]",
        },
        Row {
            broken: "cluster.discovery: {enabled: true, registries: {service: {endpoint: 'https://a/x'}}}",
            message: "cluster discovery service path should be empty",
            good: "cluster.discovery: {enabled: true, registries: {service: {endpoint: 'https://a/'}}}",
        },
        Row {
            broken: "cluster.discovery: {enabled: true, registries: {service: {endpoint: a}}}",
            message: "cluster discovery service registry endpoint is invalid: parse \"a\": invalid URI for request",
            good: "cluster.discovery: {enabled: true}",
        },
        Row {
            broken: "cluster.apiServer: {resources: {requests: {disk: 1}}}",
            message: "apiserver resource validation failed: unsupported pod resource \"disk\"",
            good: "cluster.apiServer: {resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}}",
        },
        Row {
            broken: "cluster.controllerManager: {resources: {limits: {disk: 1}}}",
            message: "controller-manager resource validation failed: unsupported pod resource \"disk\"",
            good: "cluster.controllerManager: {resources: {}}",
        },
        Row {
            broken: "cluster.scheduler: {resources: {limits: {disk: 1}}}",
            message: "scheduler resource validation failed: unsupported pod resource \"disk\"",
            good: "cluster.scheduler: {}",
        },
    ]);
    worker(&[
        Row {
            broken: "cluster.ca: {crt: QUJD, key: QUJD}",
            message: "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)",
            good: "cluster.ca: {crt: QUJD}\ncluster.controlPlane: {endpoint: https://a:6443}",
        },
        Row {
            broken: "cluster.ca: {crt: QUJD, key: QUJD}",
            message: "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)",
            good: "cluster.ca: {crt: QUJD, key: ''}\ncluster.controlPlane: {endpoint: https://a:6443}",
        },
    ]);
    let machine = "machine: {type: worker, ca: {crt: QUJD}}\ncluster:\n  discovery: {enabled: true}\n";
    for (broken, good, part) in
        [("  secret: b\n", "  id: a\n  secret: b\n", "id"), ("  id: a\n", "  id: a\n  secret: b\n", "secret")]
    {
        let message = format!("cluster discovery service requires .cluster.{part}");
        whole(&[Row { broken: &format!("{machine}{broken}"), message: &message, good: &format!("{machine}{good}") }]);
    }
}

#[test]
fn rules_15_to_18_install_host_dns_and_old_words() {
    worker(&[
        Row {
            broken: "install: {wipe: false}",
            message: "either install disk or diskSelector should be defined",
            good: "install: {diskSelector: {size: '> 10GB'}}",
        },
        Row {
            broken: "install: {disk: /dev/sda, extraKernelArgs: [a], grubUseUKICmdline: true}",
            message: "install.extraKernelArgs and install.grubUseUKICmdline can't be used together",
            good: "install: {disk: /dev/sda, extraKernelArgs: [a], grubUseUKICmdline: false}",
        },
        Row {
            broken: "features: {hostDNS: {forwardKubeDNSToHost: true}}",
            message: "feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true (.machine.features.hostDNS)",
            good: "features: {hostDNS: {enabled: true, forwardKubeDNSToHost: true}}",
        },
    ]);
    let word = |word: &str| config("", "worker").replace("type: worker", &format!("type: {word}"));
    whole(&[
        Row {
            broken: &word("join"),
            message: "use \"worker\" instead of \"join\" for machine type",
            good: &word("worker"),
        },
        Row { broken: &word("''"), message: "use \"worker\" instead of \"\" for machine type", good: &word("worker") },
    ]);
}

#[test]
fn rules_19_to_24_authorities_and_roles() {
    let made = |ca: &str, kind: &str| {
        config("", kind).lines().filter(|line| !line.contains("ca:")).fold(String::new(), |text, line| {
            let extra = if line.contains("type:") { format!("{ca}\n") } else { String::new() };
            format!("{text}{line}\n{extra}")
        })
    };
    let accepted = "  acceptedCAs: [{crt: QUJD}]";
    whole(&[
        Row {
            broken: &made("", "worker"),
            message: "issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)",
            good: &made(accepted, "worker"),
        },
        Row {
            broken: &made(accepted, "controlplane"),
            message: "issuing CA is required (.machine.ca)",
            good: &config("", "controlplane"),
        },
        Row {
            broken: &made("  ca: {crt: QUJD}", "controlplane"),
            message: "issuing CA key is required for controlplane nodes (.machine.ca.key)",
            good: &made("  ca: {crt: QUJD, key: QUJD}", "controlplane"),
        },
        Row {
            broken: &made("  ca: {crt: QUJD, key: QUJD}", "worker"),
            message: "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)",
            good: &made("  ca: {crt: QUJD, key: ''}", "worker"),
        },
        Row {
            broken: &made("  ca: {crt: ''}", "worker"),
            message: "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)",
            good: &made(&format!("  ca: {{crt: ''}}\n{accepted}"), "worker"),
        },
        Row {
            broken: &config("", "worker").replace("type: worker", "type: boss"),
            message: "unknown machine type \"boss\"",
            good: &config("", "worker"),
        },
    ]);
    const VIP: &str = "virtual (shared) IP is not allowed on non-controlplane nodes";
    let vip = "network: {interfaces: [{interface: eth0, vip: {ip: 10.0.0.1}}]}";
    let vlan = "network: {interfaces: [{interface: eth0, vlans: [{vlanId: 1, vip: {ip: 10.0.0.1}}]}]}";
    worker(&[Row { broken: vip, message: VIP, good: "" }, Row { broken: vlan, message: VIP, good: "" }]);
    control_plane(&[Row { broken: "network: {interfaces: [{}]}", message: devices::NO_NAME, good: vip }]);
}

fn row<'a>(broken: &'a str, message: &'a str, good: &'a str) -> [Row<'a>; 1] {
    [Row { broken, message, good }]
}

#[test]
fn up_to_1_13_more_is_required_of_the_legacy_document() {
    let plain = config("cluster.controlPlane: {endpoint: 'https://a:1'}", "worker");
    let install = plain.replace("  ca:", "  install: {disk: /dev/sda}\n  ca:");
    let as_is = |text: &str| text.to_owned();
    check(&row(&plain, "install instructions are required in \"metal\" mode", &install), Mode::Metal, "v1.13", &as_is);
    assert!(errors(&plain, Mode::Metal, "v1.14").is_empty() && errors(&plain, Mode::Cloud, "v1.13").is_empty());

    let without = config("", "worker");
    check(&row(&without, "cluster controlplane endpoint is required", &plain), Mode::Cloud, "v1.13", &as_is);
    let dns = plain.replace("  ca:", "  features: {hostDNS: {enabled: true, forwardKubeDNSToHost: true}}\n  ca:");
    for message in [
        "feature HostDNS should be enabled in container mode (.machine.features.hostDNS.enabled)",
        "feature HostDNS should forward kube-dns to host in container mode (.machine.features.hostDNS.forwardKubeDNSToHost)",
    ] {
        check(&row(&plain, message, &dns), Mode::Container, "v1.13", &as_is);
    }
    let kubespan = |cluster: &str| {
        let head = "machine: {type: worker, ca: {crt: QUJD}, network: {kubespan: {enabled: true}}}";
        format!("{head}\ncluster: {{controlPlane: {{endpoint: 'https://a:1'}}, {cluster}}}\n")
    };
    let good = kubespan("id: a, secret: b, discovery: {enabled: true}");
    for (broken, place) in [
        (kubespan("id: a, secret: b"), ".cluster.discovery should be enabled"),
        (kubespan("secret: b, discovery: {enabled: true}"), ".cluster.id should be set"),
        (kubespan("id: a, discovery: {enabled: true}"), ".cluster.secret should be set"),
    ] {
        let message = format!("{place} when .machine.network.kubespan is enabled");
        check(&row(&broken, &message, &good), Mode::Cloud, "v1.13", &as_is);
    }
}

#[test]
fn strict_takes_the_legacy_documents_warnings_for_errors() {
    let text = config("install: {disk: /dev/sda, extensions: [{image: a}]}", "worker");
    let proxy = "---\napiVersion: v1alpha1\nkind: ContainerConfig\nname: a\nimage: ab\n";
    let loose = report(&format!("{text}{proxy}"), Mode::Metal, "v1.15");
    assert_eq!((loose.errors.len(), loose.warnings.len()), (0, 2));
    let strict = loose.strict();
    assert!(strict.errors[0].starts_with("warning: .machine.install.extensions is deprecated"), "{:?}", strict.errors);
    assert_eq!((strict.errors.len(), strict.warnings.len()), (1, 1));
}

#[test]
fn authorizers_selectors_and_runtime_specs_are_looked_into() {
    let server =
        |rest: &str| config("", "controlplane").replace("cluster:\n", &format!("cluster:\n  apiServer: {{{rest}}}\n"));
    let good = server("authorizationConfig: [{type: Node, name: a}]");
    let failed = "apiserver authorization config validation failed: authorizer";
    for (broken, message) in [
        ("authorizationConfig: [{name: a}]", format!("{failed} type must be set")),
        ("authorizationConfig: [{type: Node}]", format!("{failed} name must be set")),
        (
            "authorizationConfig: [{type: a, name: a}]",
            format!("{failed} type a is not allowed, allowed types are [Node RBAC Webhook]"),
        ),
        (
            "authorizationConfig: [], extraArgs: {authorization-mode: a}",
            "authorization-mode cannot be used in conjunction with AuthorizationConfig, use eitherr AuthorizationConfig or authorization-mode"
                .to_owned(),
        ),
        (
            "authorizationConfig: [], extraArgs: {authorization-webhook-version: a}",
            "authorization-webhook-* flags cannot be used in conjunction with AuthorizationConfig, use either AuthorizationConfig or authorization-webhook-* flags"
                .to_owned(),
        ),
    ] {
        check(&row(&server(broken), &message, &good), Mode::Cloud, "v1.14", &ToString::to_string);
    }
    for (broken, message, good) in [
        (
            "install: {diskSelector: {name: a}}",
            "install disk selector is invalid: selector on name is not supported",
            "install: {diskSelector: {model: a}}",
        ),
        (
            "install: {disk: /dev/sda, diskSelector: {type: tape}}",
            "install disk selector is invalid: unsupported disk type \"tape\"",
            "install: {diskSelector: {type: ssd}}",
        ),
        (
            "baseRuntimeSpecOverrides: {process: {rlimits: a}}",
            "failed to unmarshal base runtime spec overrides: json: cannot unmarshal string into Go struct field Process.process.rlimits of type []specs.POSIXRlimit",
            "baseRuntimeSpecOverrides: {process: {rlimits: [{type: a, hard: 1}]}}",
        ),
    ] {
        let [broken, good] = [broken, good].map(|text| config(text, "worker"));
        check(&row(&broken, message, &good), Mode::Metal, "v1.15", &ToString::to_string);
    }
}
