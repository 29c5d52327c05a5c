use super::*;

const FILE: &str = r#"
apiVersion: ichor/v1
kind: Cluster
name: lab
spec:
  talos: {version: v1.13.9}
  kubernetes: {version: 1.36.3}
  proxmox: {ca: pve.pem, storage: local-lvm}
  network: {gateway: 10.0.0.1, nameservers: [10.0.0.1], vip: 10.0.0.10}
  patches: ["@patches/all.yaml"]
  labels: {a: cluster, b: cluster}
  controlplane: {vm: {cores: 2, memory: 4096}, labels: {b: role, c: role}}
  worker: {vm: {cores: 4}, patches: ["@patches/worker.yaml"]}
nodes:
  - {name: cp-1, role: controlplane, address: 10.0.0.11/24, vm: {memory: 8192}, labels: {c: node}}
  - {name: w-1, role: worker, patches: ["machine: {sysctls: {a: '1'}}"], rack: 7}
"#;

fn explode_text(text: &str) -> Result<Exploded, Unusable> {
    let mut documents = read_yaml(text)?;
    explode(&documents.remove(0), Path::new("/base"))
}

/// The message and hint of the refusal of FILE with one thing replaced.
fn refusal(from: &str, to: &str) -> String {
    assert!(FILE.contains(from), "{from:?} is not in the file");
    let error = explode_text(&FILE.replacen(from, to, 1)).expect_err("the file was accepted");
    format!("{error} / {}", error.hint.as_deref().unwrap_or_default())
}

#[test]
fn a_node_gets_what_role_and_cluster_say_unless_it_says_otherwise() {
    let exploded = explode_text(FILE).unwrap();
    let cp = exploded.nodes[0].typed_spec().unwrap();
    assert_eq!(serde_json::to_string(&cp.labels).unwrap(), r#"{"a":"cluster","b":"role","c":"node"}"#);
    assert_eq!(serde_json::to_string(&cp.vm).unwrap(), r#"{"cores":2,"memory":8192}"#);
    assert_eq!(cp.network.gateway.as_deref(), Some("10.0.0.1"));
    assert_eq!(cp.network.vip, None, "the VIP is the cluster's");
}

#[test]
fn patches_add_up_in_the_order_cluster_role_node() {
    let exploded = explode_text(FILE).unwrap();
    let worker = exploded.nodes[1].typed_spec().unwrap();
    let expected = ["@/base/patches/all.yaml", "@/base/patches/worker.yaml", "machine: {sysctls: {a: '1'}}"];
    assert_eq!(worker.patches, expected);
    assert_eq!(exploded.nodes[1].spec()["rack"], 7, "unknown keys are kept");
}

#[test]
fn the_endpoint_is_known_from_the_file() {
    let endpoint = |text: &str| explode_text(text).unwrap().cluster.typed_spec().unwrap().endpoint.unwrap();
    assert_eq!(endpoint(FILE), "https://10.0.0.10:6443");
    assert_eq!(endpoint(&FILE.replace(", vip: 10.0.0.10", "")), "https://10.0.0.11:6443");
}

#[test]
fn versions_are_completed_and_the_default_is_said_aloud() {
    let exploded = explode_text(&FILE.replace("  kubernetes: {version: 1.36.3}\n", "")).unwrap();
    assert_eq!(exploded.cluster.typed_spec().unwrap().kubernetes.version.as_deref(), Some("v1.36.3"));
    assert!(exploded.warnings[0].contains("defaults to v1.36.3 (Talos v1.13.9)"));
}

#[test]
fn an_even_number_of_control_planes_is_a_warning() {
    let exploded = explode_text(&FILE.replace("name: w-1, role: worker", "name: cp-2, role: controlplane")).unwrap();
    assert!(exploded.warnings.iter().any(|warning| warning.contains("use an odd number")));
}

#[test]
fn each_mistake_is_named_with_its_value_and_place() {
    let table = [
        ("ichor/v1", "ichor/v2", "apiVersion \"ichor/v2\""),
        ("kind: Cluster", "kind: Klaster", "kind is \"Klaster\""),
        ("name: lab", "name: ../x", "name: \"../x\" is not a valid name"),
        ("name: w-1", "name: W_1", "nodes[1].name: \"W_1\" is not a valid name"),
        ("name: w-1", "name: 12", "nodes[1].name: 12 is not text"),
        ("name: w-1", "name: cp-1", "node cp-1 is listed twice: nodes[0] and nodes[1]"),
        ("role: worker", "role: master", "nodes[1].role of w-1 is \"master\" / a role is controlplane or worker"),
        ("role: controlplane", "role: worker", "no node has role: controlplane"),
        ("10.0.0.11/24", "10.0.0.11", "node cp-1: address 10.0.0.11 has no prefix length"),
        ("10.0.0.11/24", "10.0.0.10/24", "address 10.0.0.10 is the VIP"),
        ("10.0.0.11/24", "10.0.1.11/24", "10.0.1.11/24 is outside the network of the gateway 10.0.0.1"),
        ("10.0.0.11/24", "10.0.0.11/33", "\"10.0.0.11/33\" is not an address"),
        ("10.0.0.11/24", "10.0.0.1/24", "address 10.0.0.1 is the gateway's"),
        ("vip: 10.0.0.10", "vip: 10.0.0.1", "spec.network.vip: 10.0.0.1 is the gateway of cp-1"),
        ("vip: 10.0.0.10", "vip: 10.9.0.10", "vip: 10.9.0.10 is outside the network of cp-1"),
        ("version: 1.36.3", "version: 1.36", "spec.kubernetes.version: 1.36 is a number"),
        ("version: 1.36.3", "version: v1.36", "v1.36 is not a full version / write major, minor and patch: v1.36.0"),
        ("version: 1.36.3", "version: v1.29.0", "does not run Kubernetes v1.29.0 / Talos v1.13.9 runs Kubernetes 1.31"),
        ("version: v1.13.9", "version: v1.3.0", "v1.3.0 is not supported"),
        ("version: v1.13.9", "version: v1.15.0-beta.1", "v1.12, v1.13, v1.14; it was not released yet"),
        (
            "version: v1.13.9",
            "version: v1.16.2",
            "v1.16.2 is not supported / supported releases: v1.12, v1.13, v1.14; it",
        ),
        ("  worker: {vm", "  workers: {vm", "spec.workers: unknown key; did you mean `worker`?"),
        ("rack: 7", "adress: 10.0.0.12/24", "nodes[1].adress: unknown key; did you mean `address`?"),
        (
            "rack: 7",
            "volumes: [{name: a, maxsize: 1GiB}]",
            "nodes[1].volumes[0].maxsize: unknown key; did you mean `maxSize`?",
        ),
        (
            "rack: 7",
            "network: {vlans: [{id: 7, adress: a}]}",
            "nodes[1].network.vlans[0].adress: unknown key; did you mean `address`?",
        ),
        (
            "labels: {a: cl",
            "registryMirror: {}\n  labels: {a: cl",
            "spec.registryMirror: unknown key; did you mean `registryMirrors`?",
        ),
        ("labels: {c: node}", "labels: {c: true}", "labels.c is true, not text / write it in quotes"),
        ("rack: 7", "address: 10.0.0.11/24", "nodes cp-1 and w-1 have the same address 10.0.0.11"),
        ("rack: 7", "vm: [1]", "nodes[1] (w-1): vm is [1], not a map"),
    ];
    for (from, to, expected) in table {
        let found = refusal(from, to);
        assert!(found.contains(expected), "{to}: {found}");
    }
}

#[test]
fn a_name_of_64_characters_is_refused_with_its_length() {
    assert!(refusal("name: w-1", &format!("name: {}", "x".repeat(64))).contains("(64 characters)"));
}

#[test]
fn without_endpoint_and_static_control_plane_both_ways_out_are_told() {
    let text = FILE.replace(", vip: 10.0.0.10", "").replace("address: 10.0.0.11/24, ", "");
    let error = explode_text(&text).unwrap_err();
    assert!(error.hint.as_ref().unwrap().contains("static `address`"), "{error}");
    assert!(error.hint.unwrap().contains("spec.endpoint"));
}

#[test]
fn duplicate_keys_are_refused_with_their_place() {
    let top = read_yaml("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!(top.message, "not YAML: duplicate entry with key \"a\" at line 3");
    let nested = read_yaml("x:\n  a: 1\n  a: 3\n").unwrap_err();
    assert!(nested.message.contains("duplicate entry with key \"a\" at line"), "{nested}");
}

#[test]
fn other_peoples_files_are_called_by_their_names() {
    let kubeconfig = explode_text("apiVersion: v1\nkind: Config\nclusters: []\n").unwrap_err();
    assert!(kubeconfig.message.contains("kubeconfig"), "{kubeconfig}");
    let machine = explode_text("version: v1alpha1\nmachine: {type: worker}\n").unwrap_err();
    assert!(machine.message.contains("machine config"), "{machine}");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(",")));
    }
    assert!(read_yaml(&text).is_err());
}
