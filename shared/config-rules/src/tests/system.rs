//! Networks, storage, the kubelet and the rest of the legacy document.

use super::legacy::{config, control_plane, whole, worker};
use super::*;

#[test]
fn rule_25_network_plugins() {
    control_plane(&[
        Row {
            broken: "cluster.network: {cni: {name: calico}}",
            message: "cni name should be one of [\"flannel\", \"custom\", \"none\"]",
            good: "cluster.network: {cni: {name: flannel}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: flannel, urls: [https://a/b]}}",
            message: "\"urls\" field should be empty for \"flannel\" CNI",
            good: "cluster.network: {cni: {name: custom, urls: [https://a/b]}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: none, flannel: {extraArgs: [--a]}}}",
            message: "\"flanneldExtraArgs\" field should be empty for \"none\" CNI",
            good: "cluster.network: {cni: {name: flannel, flannel: {extraArgs: [--a]}}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: custom, urls: [https://a/b], flannel: {kubeNetworkPoliciesEnabled: true}}}",
            message: "\"flannelKubeNetworkPoliciesEnabled\" should not be enabled for \"custom\" CNI",
            good: "cluster.network: {cni: {name: flannel, flannel: {kubeNetworkPoliciesEnabled: true}}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: custom, urls: [b]}}",
            message: "hostname must not be blank",
            good: "cluster.network: {cni: {name: none}}",
        },
        Row {
            broken: "cluster.network: {cni: {name: custom}}",
            message: "\"urls\" field should not be empty for \"custom\" CNI",
            good: "cluster.network: {cni: {name: custom, urls: [https://a/b]}}",
        },
    ]);
}

#[test]
fn rules_29_to_34_wireguard_kubespan_disks_kubelet_encryption_logging() {
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let wireguard = |rest: &str| format!("network: {{interfaces: [{{interface: a, wireguard: {{{rest}}}}}]}}");
    let peer = |rest: &str| wireguard(&format!("privateKey: {KEY}, peers: [{{{rest}}}]"));
    for (broken, message, good) in [
        (
            wireguard("privateKey: QUJD"),
            "private key is invalid: wrong key length: 3",
            wireguard(&format!("privateKey: {KEY}")),
        ),
        (
            peer("publicKey: QUJD"),
            "public key invalid: wrong key \"QUJD\" length: 3",
            peer(&format!("publicKey: {KEY}")),
        ),
        (
            peer("publicKey: '?'"),
            "public key invalid: illegal base64 data at input byte 0",
            peer(&format!("publicKey: {KEY}")),
        ),
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
        worker(&[Row { broken: &broken, message, good: &good }]);
    }
    let kubespan =
        |rest: &str| format!("network: {{kubespan: {{enabled: true, {rest}}}}}\ncluster.discovery: {{enabled: true}}");
    let key = |rest: &str| format!("systemDiskEncryption: {{state: {{provider: luks2, keys: [{rest}]}}}}");
    for (broken, message, good) in [
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
        (
            "disks: [null]".to_owned(),
            "v1alpha1: line 4, column 11: null value is not allowed at \"machine.disks[0]\"",
            "disks: []".to_owned(),
        ),
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
        worker(&[Row { broken: &broken, message, good: &good }]);
    }
    for (broken, message) in [
        ("format: json_lines", "empty logging endpoint"),
        ("endpoint: 'tcp://', format: json_lines", "empty logging endpoint's host"),
        ("endpoint: 'http://a:1', format: json_lines", "unexpected logging endpoint scheme \"http\""),
        ("endpoint: 'tcp://a:1', format: text", "unknown logging format \"text\""),
    ] {
        let line = |rest: &str| format!("logging: {{destinations: [{{{rest}}}]}}");
        worker(&[Row { broken: &line(broken), message, good: &line("endpoint: 'udp://a:1', format: json_lines") }]);
    }
}

#[test]
fn rules_35_to_40_extensions_labels_access_and_the_rest() {
    let deprecated = ".machine.install.extensions is deprecated, please see https://docs.siderolabs.com/talos/latest/platform-specific-installations/boot-assets";
    let long = format!("nodeAnnotations: {{a: {}}}", "x".repeat(256 << 10));
    worker(&[
        Row {
            broken: "install: {disk: /dev/sda, extensions: [{image: a}, {image: a}]}",
            message: "duplicate system extension \"a\"",
            good: "install: {disk: /dev/sda, extensions: [{image: a}, {image: b}]}",
        },
        Row {
            broken: "install: {disk: /dev/sda, extensions: [{image: a}]}",
            message: deprecated,
            good: "install: {disk: /dev/sda}",
        },
        Row {
            broken: "nodeLabels: {'a b': c}",
            message: "invalid machine node labels: name \"a b\" is invalid",
            good: "nodeLabels: {a/b: c}",
        },
        Row {
            broken: "nodeLabels: {a: 'b c'}",
            message: "invalid machine node labels: label value \"b c\" is invalid",
            good: "nodeLabels: {a: ''}",
        },
        Row {
            broken: "nodeLabels: {/a: b}",
            message: "invalid machine node labels: prefix cannot be empty: \"/a\"",
            good: "nodeLabels: {a: b}",
        },
        Row {
            broken: "nodeLabels: {A/b: c}",
            message: "invalid machine node labels: prefix \"A\" is invalid: domain doesn't match required format: \"A\"",
            good: "nodeLabels: {a.b/C: c}",
        },
        Row {
            broken: "nodeAnnotations: {a/b/c: d}",
            message: "invalid machine node annotations: invalid format: too many slashes: \"a/b/c\"",
            good: "nodeAnnotations: {a: 'what ever'}",
        },
        Row {
            broken: "nodeAnnotations: {talos.dev/owned-labels: a}",
            message: "invalid machine node annotations: annotation \"talos.dev/owned-labels\" is reserved",
            good: "nodeAnnotations: {talos.dev/a: a}",
        },
        Row {
            broken: &long,
            message: "invalid machine node annotations: total annotation size exceeds limit of 262144 bytes",
            good: "nodeAnnotations: {a: b}",
        },
        Row {
            broken: "nodeTaints: {a: b:Never}",
            message: "invalid machine node taints: invalid taint effect: \"Never\"",
            good: "nodeTaints: {a: b:NoExecute}",
        },
        Row {
            broken: "features: {kubernetesTalosAPIAccess: {enabled: true}}",
            message: "feature Kubernetes Talos API Access can only be enabled on control plane machines",
            good: "features: {kubernetesTalosAPIAccess: {enabled: false}}",
        },
        Row {
            broken: "features: {nodeAddressSortAlgorithm: v3}",
            message: "invalid node address sort algorithm: v3 does not belong to AddressSortAlgorithm values",
            good: "features: {nodeAddressSortAlgorithm: v2}",
        },
        Row {
            broken: "registries: {config: {a: null}}",
            message: "registries.config[\"a\"] is null",
            good: "registries: {config: {a: {}}}",
        },
        Row {
            broken: "registries: {mirrors: {a: null}}",
            message: "registries.mirrors[\"a\"] is null",
            good: "registries: {mirrors: {a: {endpoints: [https://b]}}}",
        },
    ]);
    control_plane(&[Row {
        broken: "features: {kubernetesTalosAPIAccess: {enabled: true, allowedRoles: [boss]}}",
        message: "invalid role \"boss\" in allowed roles for Kubernetes Talos API Access",
        good: "features: {kubernetesTalosAPIAccess: {enabled: true, allowedRoles: [os:reader]}}",
    }]);
    let persist = |word: &str| format!("persist: {word}\n{}", config("", "worker"));
    whole(&[Row { broken: &persist("false"), message: ".persist should be enabled", good: &persist("true") }]);
}
