//! What nodes accept and refuse.

use super::*;
use crate::testing::Secrets;

const V1_13: Version = Version { major: 1, minor: 13, patch: 9 };
const V1_12: Version = Version { major: 1, minor: 12, patch: 0 };
const V1_11: Version = Version { major: 1, minor: 11, patch: 0 };
const ENDPOINT: &str = "https://127.80.3.10:6443";

fn refusal(text: &str) -> String {
    load(text, V1_13).unwrap_err().to_string()
}

#[test]
fn a_control_plane_config_is_read() {
    let config = load(&Secrets::new().control_plane("cp-1.lab.lan", ENDPOINT), V1_13).unwrap().config.unwrap();

    assert_eq!(config.role, Role::ControlPlane);
    assert_eq!(config.cluster_name, "lab");
    assert_eq!(config.endpoint, ENDPOINT);
    assert_eq!(config.network.hostname, Hostname::Static("cp-1.lab.lan".to_owned()));
    assert!(config.taints.contains_key("node-role.kubernetes.io/control-plane"));
}

#[test]
fn machines_of_one_cluster_share_what_they_must() {
    let secrets = Secrets::new();
    let read = |text: String| load(&text, V1_13).unwrap().config.unwrap();
    let (one, worker) = (read(secrets.control_plane("cp-1", ENDPOINT)), read(secrets.worker("w-1", ENDPOINT)));
    let other = read(Secrets::new().control_plane("cp-1", ENDPOINT));

    assert_eq!(one.trust_key(), worker.trust_key());
    assert_eq!(one.kubernetes_key(), worker.kubernetes_key());
    assert_ne!(one.trust_key(), other.trust_key());
    assert_ne!(one.etcd_key(), other.etcd_key());
}

#[test]
fn static_addresses_end_dhcp_and_shared_addresses_are_found() {
    let text = Secrets::new().control_plane("cp-1", ENDPOINT)
        + "---\napiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\naddresses:\n    - address: 127.80.3.11/24\n"
        + "---\napiVersion: v1alpha1\nkind: Layer2VIPConfig\nname: 127.80.3.10\nlink: eth0\n";

    let network = load(&text, V1_13).unwrap().config.unwrap().network;

    assert_eq!(network.addresses, ["127.80.3.11/24".parse().unwrap()]);
    assert_eq!(network.shared, ["127.80.3.10".parse::<std::net::IpAddr>().unwrap()]);
    assert!(!network.default_dhcp);
}

#[test]
fn a_kind_newer_than_the_release_is_refused() {
    let text = Secrets::new().control_plane("cp-1", ENDPOINT);

    let refusal = load(&text, V1_11).unwrap_err();

    assert!(refusal.to_string().contains("\"HostnameConfig\" \"v1alpha1\": not registered"), "{refusal}");
    assert!(load(&text, V1_12).is_err(), "Kubernetes 1.36 is too new for Talos 1.12");
}

#[test]
fn nodes_refuse_what_talos_refuses() {
    let secrets = Secrets::new();
    let control_plane = secrets.control_plane("cp-1", ENDPOINT);
    let worker = secrets.worker("w-1", ENDPOINT);
    let cases = [
        (String::new(), "config not found"),
        ("- 1\n".to_owned(), "expected a YAML document"),
        ("a: 1\n".to_owned(), "missing kind"),
        ("kind: Foo\napiVersion: v1alpha1\n".to_owned(), "\"Foo\" \"v1alpha1\": not registered"),
        (control_plane.replace("machine:", "nodes: 1\nmachine:"), "unknown keys found during decoding:\nnodes"),
        (control_plane.replace("auto: off", "auto: stable"), "'auto' and 'hostname' cannot be set at the same time"),
        (control_plane.replace("type: controlplane", "type: master"), "unknown machine type \"master\""),
        (
            control_plane.replace("    type: controlplane\n", "    type: worker\n"),
            "etcd config is only allowed on control plane machines",
        ),
        (worker.replace("type: worker", "type: controlplane"), "issuing CA key is required for controlplane nodes"),
        (
            control_plane.replace("v1.36.3", "v1.40.0"),
            "version of Kubernetes 1.40.0 is too new to be used with Talos 1.13.9",
        ),
        (control_plane.replace(ENDPOINT, ""), "cluster controlplane endpoint is required"),
        (
            worker.replace(
                "nodeLabels:",
                "network: {hostname: x, interfaces: [{interface: eth0, vip: {ip: 127.80.3.10}}]}\n    nodeLabels:",
            ),
            "virtual (shared) IP is not allowed on non-controlplane nodes",
        ),
        (
            worker.replace("nodeLabels:", "network: {hostname: x}\n    nodeLabels:"),
            "static hostname is already set in v1alpha1 config",
        ),
        (control_plane.replace("kubePrism: {enabled", "kubePrism: {enable"), "enable"),
        (control_plane.replace("port: 7445", "port: often"), "often"),
        (format!("{control_plane}---\n{worker}"), "duplicate v1alpha1.Config"),
    ];
    for (text, expected) in cases {
        let refusal = refusal(&text);
        assert!(refusal.contains(expected), "{refusal:?} lacks {expected:?}");
    }
}

#[test]
fn several_errors_come_as_one_list() {
    let text =
        Secrets::new().worker("w-1", ENDPOINT).replace("cluster:", "persist: false\ncluster:").replace(ENDPOINT, "");

    let refusal = refusal(&text);

    // As Talos 1.13.9 writes it.
    let text = "1 error occurred:\n\t* v1alpha1.Config: 2 errors occurred:\n\t* .persist should be enabled\n\t* cluster controlplane endpoint is required\n\n\n\n";
    assert_eq!(refusal, text);
}
