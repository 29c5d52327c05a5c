//! The legacy document.

use super::*;

const PEM: &str = "QUJD";

/// A config of a machine with lines in its machine and cluster sections.
fn config(machine: &str, kind: &str) -> String {
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

pub(super) fn worker(rows: &[Row<'_>]) {
    check(rows, Mode::Metal, "v1.15", &|lines| config(lines, "worker"));
}

pub(super) fn control_plane(rows: &[Row<'_>]) {
    check(rows, Mode::Metal, "v1.15", &|lines| config(lines, "controlplane"));
}

fn whole(rows: &[Row<'_>]) {
    check(rows, Mode::Cloud, "v1.15", &ToString::to_string);
}

#[test]
fn rules_1_to_4_sections_and_what_is_deprecated() {
    whole(&[
        Row { broken: "cluster: {}\n", said: "machine instructions are required", good: &config("", "worker") },
        Row {
            broken: "machine: {type: worker, ca: {crt: QUJD}}\n",
            said: "cluster instructions are required",
            good: "machine: {type: worker, ca: {crt: QUJD}}\ncluster: {}\n",
        },
    ]);
    worker(&[
        Row {
            broken: "files: [{content: a, permissions: 0o644, path: /var/a, op: create}]",
            said: ".machine.files is deprecated; use dedicated configuration documents instead",
            good: "files: []",
        },
        Row {
            broken: "baseRuntimeSpecOverrides: {process: {}}",
            said: ".machine.baseRuntimeSpecOverrides is deprecated; use a CRIBaseRuntimeSpecConfig document instead",
            good: "baseRuntimeSpecOverrides: {}",
        },
    ]);
}

#[test]
fn rules_5_to_9_the_cluster_and_who_reaches_it() {
    worker(&[
        Row {
            broken: "cluster.controlPlane: {}",
            said: "cluster controlplane endpoint is required",
            good: "cluster.controlPlane: {endpoint: https://a:6443}",
        },
        Row {
            broken: "cluster.controlPlane: {endpoint: 'https://a:70000'}",
            said: "invalid controlplane endpoint: port must be between 1 and 65535, not \"70000\"",
            good: "cluster.controlPlane: {endpoint: 'https://[fd00::1]:443'}",
        },
        Row {
            broken: "cluster.network: {dnsDomain: 'a b'}",
            said: "\"a b\" is not a valid DNS name",
            good: "cluster.network: {dnsDomain: cluster.local}",
        },
        Row {
            broken: "cluster.externalCloudProvider: {manifests: [https://a/b.yaml]}",
            said: "external cloud provider is disabled, but manifests are provided",
            good: "cluster.externalCloudProvider: {enabled: true, manifests: [https://a/b.yaml]}",
        },
        Row {
            broken: "cluster.externalCloudProvider: {enabled: true, manifests: [/b.yaml]}",
            said: "invalid external cloud provider manifest url \"/b.yaml\": \"/b.yaml\" is not a URL with a scheme and a host",
            good: "cluster.externalCloudProvider: {enabled: true}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}}",
            said: "etcd config is only allowed on control plane machines",
            good: "",
        },
    ]);
}

#[test]
fn rules_10_to_14_etcd_keys_manifests_discovery_resources() {
    control_plane(&[
        Row {
            broken: "cluster.etcd: {}",
            said: "key/cert combination should not be empty",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, subnet: 10.0.0.0/8, advertisedSubnets: [10.0.0.0/8]}",
            said: "etcd subnet can't be set when advertised subnets are set",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, subnet: 10.0.0.0/8}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, advertisedSubnets: ['!ten']}",
            said: "etcd advertised subnet is not valid: \"ten\"",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, advertisedSubnets: ['!10.0.0.0/8']}",
        },
        Row {
            broken: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, listenSubnets: [ten]}",
            said: "etcd listen subnet is not valid: \"ten\"",
            good: "cluster.etcd: {ca: {crt: QUJD, key: QUJD}, listenSubnets: [10.0.0.1]}",
        },
        Row {
            broken: "cluster.inlineManifests: [{name: ' ', contents: a}]",
            said: "inline manifest name can't be empty",
            good: "cluster.inlineManifests: [{name: a, contents: a}]",
        },
        Row {
            broken: "cluster.inlineManifests: [{name: a, contents: a}, {name: a, contents: b}]",
            said: "inline manifest name \"a\" is duplicate",
            good: "cluster.inlineManifests: [{name: a, contents: a}, {name: b, contents: a}]",
        },
        Row {
            broken: "cluster.discovery: {enabled: true, registries: {service: {endpoint: 'https://a/x'}}}",
            said: "cluster discovery service path should be empty",
            good: "cluster.discovery: {enabled: true, registries: {service: {endpoint: 'https://a/'}}}",
        },
        Row {
            broken: "cluster.discovery: {enabled: true, registries: {service: {endpoint: a}}}",
            said: "cluster discovery service registry endpoint is invalid: parse \"a\": invalid URI for request",
            good: "cluster.discovery: {enabled: true}",
        },
        Row {
            broken: "cluster.apiServer: {resources: {requests: {disk: 1}}}",
            said: "apiserver resource validation failed: unsupported pod resource \"disk\"",
            good: "cluster.apiServer: {resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}}",
        },
        Row {
            broken: "cluster.controllerManager: {resources: {limits: {disk: 1}}}",
            said: "controller-manager resource validation failed: unsupported pod resource \"disk\"",
            good: "cluster.controllerManager: {resources: {}}",
        },
        Row {
            broken: "cluster.scheduler: {resources: {limits: {disk: 1}}}",
            said: "scheduler resource validation failed: unsupported pod resource \"disk\"",
            good: "cluster.scheduler: {}",
        },
    ]);
    worker(&[
        Row {
            broken: "cluster.ca: {crt: QUJD, key: QUJD}",
            said: "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)",
            good: "cluster.ca: {crt: QUJD}",
        },
        Row {
            broken: "cluster.ca: {crt: QUJD, key: QUJD}",
            said: "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)",
            good: "cluster.ca: {crt: QUJD, key: ''}",
        },
    ]);
    let machine = "machine: {type: worker, ca: {crt: QUJD}}\ncluster:\n  discovery: {enabled: true}\n";
    for (broken, good, part) in
        [("  secret: b\n", "  id: a\n  secret: b\n", "id"), ("  id: a\n", "  id: a\n  secret: b\n", "secret")]
    {
        let said = format!("cluster discovery service requires .cluster.{part}");
        whole(&[Row { broken: &format!("{machine}{broken}"), said: &said, good: &format!("{machine}{good}") }]);
    }
}

#[test]
fn rules_15_to_18_install_host_dns_and_old_words() {
    worker(&[
        Row {
            broken: "install: {wipe: false}",
            said: "either install disk or diskSelector should be defined",
            good: "install: {diskSelector: {size: '> 10GB'}}",
        },
        Row {
            broken: "install: {disk: /dev/sda, extraKernelArgs: [a], grubUseUKICmdline: true}",
            said: "install.extraKernelArgs and install.grubUseUKICmdline can't be used together",
            good: "install: {disk: /dev/sda, extraKernelArgs: [a], grubUseUKICmdline: false}",
        },
        Row {
            broken: "features: {hostDNS: {forwardKubeDNSToHost: true}}",
            said: "feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true (.machine.features.hostDNS)",
            good: "features: {hostDNS: {enabled: true, forwardKubeDNSToHost: true}}",
        },
    ]);
    let word = |word: &str| config("", "worker").replace("type: worker", &format!("type: {word}"));
    whole(&[
        Row {
            broken: &word("join"),
            said: "use \"worker\" instead of \"join\" for machine type",
            good: &word("worker"),
        },
        Row { broken: &word("''"), said: "use \"worker\" instead of \"\" for machine type", good: &word("worker") },
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
            said: "issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)",
            good: &made(accepted, "worker"),
        },
        Row {
            broken: &made(accepted, "controlplane"),
            said: "issuing CA is required (.machine.ca)",
            good: &config("", "controlplane"),
        },
        Row {
            broken: &made("  ca: {crt: QUJD}", "controlplane"),
            said: "issuing CA key is required for controlplane nodes (.machine.ca.key)",
            good: &made("  ca: {crt: QUJD, key: QUJD}", "controlplane"),
        },
        Row {
            broken: &made("  ca: {crt: QUJD, key: QUJD}", "worker"),
            said: "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)",
            good: &made("  ca: {crt: QUJD, key: ''}", "worker"),
        },
        Row {
            broken: &made("  ca: {crt: ''}", "worker"),
            said: "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)",
            good: &made(&format!("  ca: {{crt: ''}}\n{accepted}"), "worker"),
        },
        Row {
            broken: &config("", "worker").replace("type: worker", "type: boss"),
            said: "unknown machine type \"boss\"",
            good: &config("", "worker"),
        },
    ]);
    const VIP: &str = "virtual (shared) IP is not allowed on non-controlplane nodes";
    let vip = "network: {interfaces: [{interface: eth0, vip: {ip: 10.0.0.1}}]}";
    let vlan = "network: {interfaces: [{interface: eth0, vlans: [{vlanId: 1, vip: {ip: 10.0.0.1}}]}]}";
    worker(&[Row { broken: vip, said: VIP, good: "" }, Row { broken: vlan, said: VIP, good: "" }]);
    control_plane(&[Row { broken: "network: {interfaces: [{}]}", said: devices::NO_NAME, good: vip }]);
}

#[test]
fn rule_25_network_plugins() {
    control_plane(&[
        Row {
            broken: "cluster.network: {cni: {name: calico}}",
            said: "cni name should be one of [\"flannel\", \"custom\", \"none\"]",
            good: "cluster.network: {cni: {name: flannel}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: flannel, urls: [https://a/b]}}",
            said: "\"urls\" field should be empty for \"flannel\" CNI",
            good: "cluster.network: {cni: {name: custom, urls: [https://a/b]}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: none, flannel: {extraArgs: [--a]}}}",
            said: "\"flanneldExtraArgs\" field should be empty for \"none\" CNI",
            good: "cluster.network: {cni: {name: flannel, flannel: {extraArgs: [--a]}}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: custom, urls: [https://a/b], flannel: {kubeNetworkPoliciesEnabled: true}}}",
            said: "\"flannelKubeNetworkPoliciesEnabled\" should not be enabled for \"custom\" CNI",
            good: "cluster.network: {cni: {name: flannel, flannel: {kubeNetworkPoliciesEnabled: true}}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: custom, urls: [b]}}",
            said: "\"b\" is not a URL with a scheme and a host",
            good: "cluster.network: {cni: {name: none}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: custom}}",
            said: "\"urls\" field should not be empty for \"custom\" CNI",
            good: "cluster.network: {cni: {name: custom, urls: [https://a/b]}}",
        },
    ]);
}

#[test]
fn rules_29_to_34_wireguard_kubespan_disks_kubelet_encryption_logging() {
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let wireguard = |rest: &str| format!("network: {{interfaces: [{{interface: a, wireguard: {{{rest}}}}}]}}");
    let peer = |rest: &str| wireguard(&format!("privateKey: {KEY}, peers: [{{{rest}}}]"));
    for (broken, said, good) in [
        (
            wireguard("privateKey: QUJD"),
            "private key is invalid: wrong key length: 3",
            wireguard(&format!("privateKey: {KEY}")),
        ),
        (peer("publicKey: '?'"), "public key invalid: illegal base64 data", peer(&format!("publicKey: {KEY}"))),
        (
            peer(&format!("publicKey: {KEY}, endpoint: a")),
            "peer endpoint \"a\" is invalid",
            peer(&format!("publicKey: {KEY}, endpoint: 'a:1'")),
        ),
        (
            peer(&format!("publicKey: {KEY}, allowedIPs: [x]")),
            "peer allowed IP \"x\" is invalid: invalid CIDR address: x",
            peer(&format!("publicKey: {KEY}, allowedIPs: [10.0.0.0/8]")),
        ),
    ] {
        worker(&[Row { broken: &broken, said, good: &good }]);
    }
    let kubespan =
        |rest: &str| format!("network: {{kubespan: {{enabled: true, {rest}}}}}\ncluster.discovery: {{enabled: true}}");
    let key = |rest: &str| format!("systemDiskEncryption: {{state: {{provider: luks2, keys: [{rest}]}}}}");
    for (broken, said, good) in [
        (kubespan("mtu: 1200"), "kubespan link MTU must be at least 1280", kubespan("mtu: 1280")),
        (
            kubespan("filters: {endpoints: ['!x']}"),
            "KubeSpan endpoint filter is not valid: \"x\"",
            kubespan("filters: {endpoints: ['!10.0.0.0/8']}"),
        ),
        (
            kubespan("filters: {excludeAdvertisedNetworks: [x]}"),
            "KubeSpan exclude advertised networks filter is not valid: \"x\"",
            kubespan("filters: {excludeAdvertisedNetworks: [10.0.0.0/8]}"),
        ),
        ("disks: [null]".to_owned(), "machine.disks[0] is null", "disks: []".to_owned()),
        (
            "disks: [{device: /dev/sdb, partitions: [{mountpoint: /var/a}, {mountpoint: /var/b}]}]".to_owned(),
            "partition for disk \"/dev/sdb\" is set to occupy full disk, but it's not the last partition in the list",
            "disks: [{device: /dev/sdb, partitions: [{size: 1GB, mountpoint: /var/a}, {mountpoint: /var/b}]}]"
                .to_owned(),
        ),
        (
            "kubelet: {nodeIP: {validSubnets: [x]}}".to_owned(),
            "kubelet nodeIP subnet is not valid: \"x\"",
            "kubelet: {nodeIP: {validSubnets: [10.0.0.0/8, '!10.1.0.0/16']}}".to_owned(),
        ),
        (
            "kubelet: {extraConfig: {port: 1}}".to_owned(),
            "kubelet configuration field \"port\" can't be overridden",
            "kubelet: {extraConfig: {maxPods: 1}}".to_owned(),
        ),
        (key(""), "partition \"STATE\": no encryption keys provided", key("{slot: 0, nodeID: {}}")),
        (
            key("{slot: 1, nodeID: {}}, {slot: 1, tpm: {}}"),
            "partition \"STATE\": encryption key slot 1 is already in use",
            key("{slot: 1, nodeID: {}}, {slot: 2, tpm: {}}"),
        ),
        (
            key("{slot: 1}"),
            "partition \"STATE\": encryption key at slot 1 doesn't have the configuration parameters",
            key("{slot: 1, static: {passphrase: a}}"),
        ),
    ] {
        worker(&[Row { broken: &broken, said, good: &good }]);
    }
    for (broken, said) in [
        ("format: json_lines", "empty logging endpoint"),
        ("endpoint: 'tcp://', format: json_lines", "empty logging endpoint's host"),
        ("endpoint: 'http://a:1', format: json_lines", "unexpected logging endpoint scheme \"http\""),
        ("endpoint: 'tcp://a:1', format: text", "unknown logging format \"text\""),
    ] {
        let line = |rest: &str| format!("logging: {{destinations: [{{{rest}}}]}}");
        worker(&[Row { broken: &line(broken), said, good: &line("endpoint: 'udp://a:1', format: json_lines") }]);
    }
}

#[test]
fn rules_35_to_40_extensions_labels_access_and_the_rest() {
    let deprecated = ".machine.install.extensions is deprecated, please see https://docs.siderolabs.com/talos/latest/platform-specific-installations/boot-assets";
    let long = format!("nodeAnnotations: {{a: {}}}", "x".repeat(256 << 10));
    worker(&[
        Row {
            broken: "install: {disk: /dev/sda, extensions: [{image: a}, {image: a}]}",
            said: "duplicate system extension \"a\"",
            good: "install: {disk: /dev/sda, extensions: [{image: a}, {image: b}]}",
        },
        Row {
            broken: "install: {disk: /dev/sda, extensions: [{image: a}]}",
            said: deprecated,
            good: "install: {disk: /dev/sda}",
        },
        Row {
            broken: "nodeLabels: {'a b': c}",
            said: "invalid machine node labels: name \"a b\" is invalid",
            good: "nodeLabels: {a/b: c}",
        },
        Row {
            broken: "nodeLabels: {a: 'b c'}",
            said: "invalid machine node labels: label value \"b c\" is invalid",
            good: "nodeLabels: {a: ''}",
        },
        Row {
            broken: "nodeLabels: {/a: b}",
            said: "invalid machine node labels: prefix cannot be empty: \"/a\"",
            good: "nodeLabels: {a: b}",
        },
        Row {
            broken: "nodeLabels: {A/b: c}",
            said: "invalid machine node labels: prefix \"A\" is invalid: domain doesn't match required format: \"A\"",
            good: "nodeLabels: {a.b/C: c}",
        },
        Row {
            broken: "nodeAnnotations: {a/b/c: d}",
            said: "invalid machine node annotations: invalid format: too many slashes: \"a/b/c\"",
            good: "nodeAnnotations: {a: 'what ever'}",
        },
        Row {
            broken: "nodeAnnotations: {talos.dev/owned-labels: a}",
            said: "invalid machine node annotations: annotation \"talos.dev/owned-labels\" is reserved",
            good: "nodeAnnotations: {talos.dev/a: a}",
        },
        Row {
            broken: &long,
            said: "invalid machine node annotations: total annotation size exceeds limit of 262144 bytes",
            good: "nodeAnnotations: {a: b}",
        },
        Row {
            broken: "nodeTaints: {a: b:Never}",
            said: "invalid machine node taints: invalid taint effect: \"Never\"",
            good: "nodeTaints: {a: b:NoExecute}",
        },
        Row {
            broken: "features: {kubernetesTalosAPIAccess: {enabled: true}}",
            said: "feature Kubernetes Talos API Access can only be enabled on control plane machines",
            good: "features: {kubernetesTalosAPIAccess: {enabled: false}}",
        },
        Row {
            broken: "features: {nodeAddressSortAlgorithm: v3}",
            said: "invalid node address sort algorithm: v3 does not belong to AddressSortAlgorithm values",
            good: "features: {nodeAddressSortAlgorithm: v2}",
        },
        Row {
            broken: "registries: {config: {a: null}}",
            said: "registries.config[\"a\"] is null",
            good: "registries: {config: {a: {}}}",
        },
        Row {
            broken: "registries: {mirrors: {a: null}}",
            said: "registries.mirrors[\"a\"] is null",
            good: "registries: {mirrors: {a: {endpoints: [https://b]}}}",
        },
    ]);
    control_plane(&[Row {
        broken: "features: {kubernetesTalosAPIAccess: {enabled: true, allowedRoles: [boss]}}",
        said: "invalid role \"boss\" in allowed roles for Kubernetes Talos API Access",
        good: "features: {kubernetesTalosAPIAccess: {enabled: true, allowedRoles: [os:reader]}}",
    }]);
    let persist = |word: &str| format!("persist: {word}\n{}", config("", "worker"));
    whole(&[Row { broken: &persist("false"), said: ".persist should be enabled", good: &persist("true") }]);
}

fn row<'a>(broken: &'a str, said: &'a str, good: &'a str) -> [Row<'a>; 1] {
    [Row { broken, said, good }]
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
    for said in [
        "feature HostDNS should be enabled in container mode (.machine.features.hostDNS.enabled)",
        "feature HostDNS should forward kube-dns to host in container mode (.machine.features.hostDNS.forwardKubeDNSToHost)",
    ] {
        check(&row(&plain, said, &dns), Mode::Container, "v1.13", &as_is);
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
        let said = format!("{place} when .machine.network.kubespan is enabled");
        check(&row(&broken, &said, &good), Mode::Cloud, "v1.13", &as_is);
    }
}

#[test]
fn strict_takes_the_legacy_documents_warnings_for_errors() {
    let text = config("install: {disk: /dev/sda, extensions: [{image: a}]}", "worker");
    let proxy = "---\napiVersion: v1alpha1\nkind: ContainerConfig\nname: a\nimage: a\n";
    let loose = report(&format!("{text}{proxy}"), Mode::Metal, "v1.15");
    assert_eq!((loose.errors.len(), loose.warnings.len()), (0, 2));
    let strict = loose.strict();
    assert!(strict.errors[0].starts_with("warning: .machine.install.extensions is deprecated"), "{:?}", strict.errors);
    assert_eq!((strict.errors.len(), strict.warnings.len()), (1, 1));
}
