//! Configs as a whole, and conflicts.

use machine_config::contract_of;

use super::*;
use crate::rule::Input;

pub(super) const WORKER: &str = "machine: {type: worker, ca: {crt: QUJD}}\ncluster: {}\n";
pub(super) const CONTROL_PLANE: &str = "machine: {type: controlplane, ca: {crt: QUJD, key: QUJD}}\ncluster: {}\n";

/// A config with documents, each given without its `apiVersion`.
pub(super) fn with(legacy: &str, documents: &str) -> String {
    documents
        .split("---\n")
        .filter(|text| !text.is_empty())
        .fold(legacy.to_owned(), |text, document| format!("{text}---\napiVersion: v1alpha1\n{document}"))
}

fn worker(mode: Mode, rows: &[Row<'_>]) {
    check(rows, mode, "v1.15", &|documents| with(WORKER, documents));
}

pub(super) const DISCOVERY: &str = "kind: DiscoveryServiceConfig\nname: default\nendpoint: https://a/\n";
pub(super) const IDENTITY: &str =
    "kind: DiscoveryIdentityConfig\nclusterID: a\nclusterSecret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

#[test]
fn containers_need_host_dns() {
    let dns = |rest: &str| format!("kind: ResolverConfig\nhostDNS: {{{rest}}}\n");
    let good = dns("enabled: true, forwardKubeDNSToHost: true");
    worker(
        Mode::Container,
        &[
            Row { broken: "", message: "hostDNS config is required in container mode", good: &good },
            // What a document turns off isn't configured.
            Row {
                broken: &dns("enabled: false"),
                message: "hostDNS config is required in container mode",
                good: &good,
            },
            Row {
                broken: &dns("enabled: true"),
                message: "forwardKubeDNSToHost must be enabled in container mode",
                good: &good,
            },
        ],
    );
}

#[test]
fn encrypted_dns_discovery_and_kubespan_need_others() {
    let server = "nameservers: [{address: 10.0.0.1, protocol: DoT, tlsServerName: a}]\n";
    let tls = format!("kind: ResolverConfig\n{server}");
    let good = format!("kind: ResolverConfig\n{server}hostDNS: {{enabled: true}}\n");
    let identity = format!("{DISCOVERY}---\n{IDENTITY}");
    let kubespan = "kind: KubeSpanConfig\nenabled: true\n";
    let needs = "should be set when cluster discovery (DiscoveryServiceConfig) is enabled";
    worker(
        Mode::Cloud,
        &[
            Row { broken: &tls, message: "hostDNS must be enabled when using non-default DNS protocols", good: &good },
            Row {
                broken: DISCOVERY,
                message: &format!("cluster ID (.cluster.id or DiscoveryIdentityConfig) {needs}"),
                good: &identity,
            },
            Row {
                broken: DISCOVERY,
                message: &format!("cluster secret (.cluster.secret or DiscoveryIdentityConfig) {needs}"),
                good: &identity,
            },
            Row {
                broken: kubespan,
                message: "KubeSpan requires cluster discovery to be enabled",
                good: &format!("{identity}---\n{kubespan}"),
            },
        ],
    );
}

#[test]
fn what_only_control_planes_have() {
    let scheduler = "kind: KubeSchedulerConfig\nimage: a\n---\nkind: KubeProxyConfig\nimage: b\n";
    let message = "the following document kinds are only allowed on control plane machines: [KubeProxyConfig KubeSchedulerConfig]";
    check(
        &[Row { broken: &with(WORKER, scheduler), message, good: &with(CONTROL_PLANE, scheduler) }],
        Mode::Cloud,
        "v1.15",
        &ToString::to_string,
    );
    let endpoint = "controlPlane: {endpoint: 'https://a:6443'}";
    let ca = |more: &str| {
        CONTROL_PLANE.replace("cluster: {}", &format!("cluster: {{ca: {{crt: QUJD, key: QUJD}}, {endpoint}{more}}}"))
    };
    let message = "etcd encryption config is required for control plane machines running kube-apiserver";
    check(
        &[Row { broken: &ca(""), message, good: &ca(", secretboxEncryptionSecret: a") }],
        Mode::Cloud,
        "v1.15",
        &ToString::to_string,
    );
}

#[test]
fn containers_that_wait_for_each_other_or_for_nobody() {
    let container = |name: &str, other: &str| {
        format!("kind: ContainerConfig\nname: {name}\nimage: ab\ndependsOn: {{containers: [{other}]}}\n")
    };
    let good = format!("{}---\n{}", container("a", "b"), container("b", ""));
    worker(
        Mode::Cloud,
        &[
            Row {
                broken: &container("a", "b"),
                message: "container \"a\" depends on container \"b\", which is not configured",
                good: &good,
            },
            Row {
                broken: &format!("{}---\n{}", container("a", "b"), container("b", "a")),
                message: "container dependsOn cycle detected: a -> b -> a",
                good: &good,
            },
        ],
    );
}

/// A config that a contract doesn't support, the first one that does, and the message.
const YOUNG: &[(&str, u32, &str)] = &[
    ("kind: ResolverConfig\nhostDNS: {enabled: true}\n", 14, "ResolverConfig: Talos knows `hostDNS`"),
    (
        "kind: ResolverConfig\nnameservers: [{address: 10.0.0.1}, {address: 10.0.0.2, protocol: DoT, tlsServerName: a}]\n",
        14,
        "ResolverConfig: Talos knows `nameservers[1].protocol`",
    ),
    ("kind: TimeSyncConfig\nntp: {useNTS: false}\n", 14, "TimeSyncConfig: Talos knows `ntp.useNTS`"),
    ("kind: BondConfig\nname: a\nlinks: [b]\nprimary: b\n", 15, "BondConfig/a: Talos knows `primary`"),
    (
        "kind: UserVolumeConfig\nname: a\nencryption: {keys: [{tpm: {options: {pcrs: [7]}}}]}\n",
        12,
        "UserVolumeConfig/a: Talos knows `encryption.keys[0].tpm.options`",
    ),
    (
        "kind: UserVolumeConfig\nname: a\nprovisioning: {maxSize: 50%}\n",
        12,
        "UserVolumeConfig/a: Talos knows parts of the whole in `provisioning.maxSize`",
    ),
    (
        "machine: {registries: {mirrors: {a: {skipFallback: true}}}}\n",
        9,
        "v1alpha1: Talos knows `machine.registries.mirrors.a.skipFallback`",
    ),
    (
        "machine: {systemDiskEncryption: {state: {keys: [{slot: 0}, {slot: 1, tpm: {}}]}}}\n",
        5,
        "v1alpha1: Talos knows `machine.systemDiskEncryption.state.keys[1].tpm`",
    ),
    ("machine: {nodeTaints: {a: NoSchedule}}\n", 6, "v1alpha1: Talos knows `machine.nodeTaints`"),
    (
        "cluster: {apiServer: {extraArgs: {a: b, c: [d]}}}\n",
        13,
        "v1alpha1: Talos knows lists in `cluster.apiServer.extraArgs.c`",
    ),
];

#[test]
fn what_an_older_talos_does_not_know_is_named_with_its_place_at_any_depth() {
    for (text, since, message) in YOUNG {
        let text = if text.starts_with("kind") { format!("apiVersion: v1alpha1\n{text}") } else { (*text).to_owned() };
        let config = machine_config::load(&text).unwrap();
        for contract in Contract::all() {
            let young = format!("{message} from v1.{since} on, not in {contract}");
            let known = config.documents()[0].kind.since <= contract.minor();
            let named = validate(&config, Mode::Cloud, contract).errors.contains(&young);
            assert_eq!(named, known && contract.minor() < *since, "{contract}: {message}");
        }
        assert_eq!(contract_of(&config).minor(), (*since).max(Contract::STABLE.minor()), "{message}");
    }
}

#[test]
fn kinds_that_an_older_talos_does_not_know_are_named() {
    let text = with(WORKER, "kind: KubeNodeConfig\nlabels: {a: b}\n");
    assert_eq!(contract_of(&machine_config::load(&text).unwrap()).to_string(), "v1.14");
    assert_eq!(contract_of(&machine_config::load(WORKER).unwrap()), Contract::STABLE);
    assert!(errors(&text, Mode::Cloud, "v1.14").is_empty());
    let found = errors(&text, Mode::Cloud, "v1.13");
    assert!(
        found.contains(&"KubeNodeConfig: Talos knows this kind from v1.14 on, not in v1.13".to_owned()),
        "{found:?}"
    );
}

#[test]
fn what_stands_in_both_places_is_a_conflict() {
    let already = "is already set in v1alpha1 config";
    for (machine, cluster, document, message) in [
        (
            "network: {hostname: a}",
            "",
            "kind: HostnameConfig\nauto: stable\n",
            "static hostname is already set in v1alpha1 config",
        ),
        (
            "features: {stableHostname: true}",
            "",
            "kind: HostnameConfig\nauto: stable\n",
            "stable hostname is already set in v1alpha1 config",
        ),
        (
            "network: {nameservers: [10.0.0.1]}",
            "",
            "kind: ResolverConfig\n",
            &format!(".machine.network.nameservers {already}"),
        ),
        (
            "network: {searchDomains: [a]}",
            "",
            "kind: ResolverConfig\n",
            &format!(".machine.network.searchDomains {already}"),
        ),
        (
            "features: {hostDNS: {enabled: true}}",
            "",
            "kind: ResolverConfig\nhostDNS: {enabled: true}\n",
            &format!(".machine.features.hostDNS {already}"),
        ),
        (
            "time: {servers: [a]}",
            "",
            "kind: TimeSyncConfig\n",
            "time servers cannot be specified in both v1alpha1 and new-style configuration",
        ),
        (
            "time: {disabled: true}",
            "",
            "kind: TimeSyncConfig\n",
            "time sync cannot be disabled in both v1alpha1 and new-style configuration",
        ),
        (
            "kubelet: {}",
            "",
            "kind: KubeletConfig\nimage: a\n",
            "kubelet config is already set in v1alpha1 config (.machine.kubelet)",
        ),
        ("nodeLabels: {a: b}", "", "kind: KubeNodeConfig\n", &format!(".machine.nodeLabels {already}")),
        ("kubelet: {nodeIP: {}}", "", "kind: KubeNodeConfig\n", &format!(".machine.kubelet.nodeIP {already}")),
        (
            "",
            "id: a",
            "kind: DiscoveryIdentityConfig\nclusterID: a\nclusterSecret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config",
        ),
        (
            "",
            "ca: {crt: QUJD}",
            "kind: KubeAPIServerCAConfig\n---\nkind: KubeClusterConfig\nclusterName: a\nendpoint: https://a:6443\n",
            "kube-apiserver CA is already set in v1alpha1 config (.cluster.ca)",
        ),
        (
            "install: {disk: /dev/sda}",
            "",
            "kind: UnattendedInstallConfig\ninstaller: {image: a}\nprovisioning: {diskSelector: {match: 'true'}}\n",
            "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)",
        ),
        (
            "features: {kubePrism: {}}",
            "",
            "kind: KubePrismConfig\nport: 1\n",
            "KubePrism config in v1alpha1 config (.machine.features.kubePrism) can't be used with KubePrismConfig document, please remove it to avoid conflicts",
        ),
    ] {
        let made = |machine: &str, cluster: &str| {
            format!("machine: {{type: worker, ca: {{crt: QUJD}}, {machine}}}\ncluster: {{{cluster}}}\n")
        };
        let (broken, good) = (with(&made(machine, cluster), document), with(&made("", ""), document));
        check(&[Row { broken: &broken, message, good: &good }], Mode::Cloud, "v1.15", &ToString::to_string);
    }
    let volume = "kind: VolumeConfig\nname: STATE\nencryption: {provider: luks2, keys: [{slot: 0, nodeID: {}}]}\n";
    let legacy = "machine: {type: worker, ca: {crt: QUJD}, systemDiskEncryption: {state: {provider: luks2, keys: [{slot: 0, nodeID: {}}]}}}\ncluster: {}\n";
    let message = "system disk encryption for \"STATE\" is configured in both v1alpha1.Config and VolumeConfig";
    let row = Row { broken: &with(legacy, volume), message, good: &with(WORKER, volume) };
    check(&[row], Mode::Cloud, "v1.15", &ToString::to_string);
}

/// Configs that break as many rules as they can, with the mode and the Talos that they are for.
const AWFUL: &[(Mode, &str, &str)] = &[
    (
        Mode::Metal,
        "v1.15",
        "persist: false
machine:
    type: join
    ca: {crt: '', key: QUJD}
    files: [{path: a}]
    install: {diskSelector: {name: a}, extensions: [{image: a}]}
    network: {interfaces: [{}], kubespan: {enabled: true, mtu: 1, filters: {endpoints: [a]}}}
    kubelet: {extraConfig: {port: 1}}
    systemDiskEncryption: {state: {keys: []}}
    logging: {destinations: [{format: a}]}
    nodeTaints: {a: b}
    features: {nodeAddressSortAlgorithm: v9, kubernetesTalosAPIAccess: {enabled: true}, hostDNS: {forwardKubeDNSToHost: true}}
    baseRuntimeSpecOverrides: {hostname: 1}
    registries: {config: {a: null}}
---
apiVersion: v1alpha1
kind: KubeSchedulerConfig
---
apiVersion: v1alpha1
kind: ContainerConfig
name: a
dependsOn: {containers: [b]}
---
apiVersion: v1alpha1
kind: ResolverConfig
nameservers: [{address: 10.0.0.1, protocol: DoT}]
",
    ),
    (Mode::Container, "v1.13", "machine: {type: worker}\n"),
    (Mode::Metal, "v1.13", "machine: {type: worker, network: {kubespan: {enabled: true}}}\n"),
    (Mode::Container, "v1.15", "machine: {type: controlplane}\ncluster: {ca: {crt: QUJD}, discovery: {enabled: true}}\n"),
    (
        Mode::Cloud,
        "v1.14",
        "machine: {type: controlplane}\ncluster: {}\n---\napiVersion: v1alpha1\nkind: KubeNodeConfig\n",
    ),
    (Mode::Cloud, "v1.13", "machine: {type: worker, disks: [null]}\n"),
];

#[test]
fn every_rule_for_a_whole_config_is_broken_by_one() {
    let rules = [crate::legacy::RULES, crate::cross_document::RULES].concat();
    for (index, rule) in rules.iter().enumerate() {
        let breaks = |(mode, contract, text): &(Mode, &str, &str)| {
            let (config, contract) = (machine_config::load(text).unwrap(), Contract::parse(contract).unwrap());
            let mut found = Report::default();
            (rule.check)(Input { config: &config, mode: *mode, contract }, &mut found);
            rule.holds(contract) && found != Report::default()
        };
        assert!(AWFUL.iter().any(breaks), "rule {index}");
    }
}

#[test]
fn up_to_1_13_documents_are_not_looked_at_together() {
    let text = with(WORKER, "kind: KubeSpanConfig\nenabled: true\n");
    let message = "KubeSpan requires cluster discovery to be enabled".to_owned();
    assert!(!errors(&text, Mode::Cloud, "v1.13").contains(&message));
    assert!(errors(&text, Mode::Cloud, "v1.14").contains(&message));
}
