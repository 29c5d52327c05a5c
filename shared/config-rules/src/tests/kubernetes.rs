//! What came with Talos 1.14.1: Kubernetes as a whole, identities, null items.

use super::cross_document::{CONTROL_PLANE, DISCOVERY, IDENTITY, WORKER, with};
use super::*;

#[test]
fn kubernetes_needs_a_name_an_endpoint_and_the_label_of_its_control_planes() {
    let authority = WORKER.replace("cluster: {}", "cluster: {ca: {crt: QUJD}}");
    let cluster = "kind: KubeClusterConfig\nclusterName: a\nendpoint: https://a:6443\n";
    let message = "cluster name and endpoint are required when Kubernetes is configured: either \
         .cluster.clusterName/.cluster.controlPlane.endpoint or the KubeClusterConfig document";
    let account = CONTROL_PLANE.replace("cluster: {}", "cluster: {serviceAccount: {key: QUJD}}");
    let alone = ".cluster.serviceAccount requires the cluster endpoint to be set in the same document \
         (.cluster.controlPlane.endpoint); when the cluster endpoint is migrated to the KubeClusterConfig document, \
         .cluster.serviceAccount should be migrated to the KubeServiceAccountConfig document as well";
    let whole = CONTROL_PLANE
        .replace("cluster: {}", "cluster: {serviceAccount: {key: QUJD}, controlPlane: {endpoint: 'https://a:6443'}}");
    let node = |labels: &str| with(CONTROL_PLANE, &format!("kind: KubeNodeConfig\n{labels}"));
    let label = "KubeNodeConfig document should set the \"node-role.kubernetes.io/control-plane\" node label on control \
         plane machines (and, unless scheduling on control planes is allowed, the \
         \"node-role.kubernetes.io/control-plane: NoSchedule\" taint): unlike .machine.nodeLabels/.machine.nodeTaints, \
         the document contents are used as-is";
    let rows = [
        Row { broken: &authority, message, good: &with(&authority, cluster) },
        Row { broken: &with(&account, cluster), message: alone, good: &whole },
        Row {
            broken: &node("labels: {a: b}\n"),
            message: label,
            good: &node("labels: {node-role.kubernetes.io/control-plane: ''}\n"),
        },
        Row { broken: &node(""), message: label, good: &node("skipNodeRegistration: true\n") },
    ];
    check(&rows, Mode::Cloud, "v1.14", &ToString::to_string);
    // Up to 1.13 the legacy document alone is looked at.
    assert!(errors(&authority, Mode::Cloud, "v1.13").iter().all(|error| error != message));
}

#[test]
fn one_half_of_an_identity_in_the_legacy_document_hides_the_other_document() {
    let half = WORKER.replace("cluster: {}", "cluster: {id: a}");
    let found = errors(&with(&half, &format!("{DISCOVERY}---\n{IDENTITY}")), Mode::Cloud, "v1.14");
    assert!(found.iter().any(|error| error.starts_with("cluster secret (.cluster.secret")), "{found:?}");
}

#[test]
fn null_in_place_of_an_item_is_refused_from_1_14_on() {
    for (machine, path) in [
        ("files: [null]", "machine.files[0]"),
        ("disks: [{device: /dev/sdb, partitions: [null]}]", "machine.disks[0].partitions[0]"),
        ("kernel: {modules: [{name: a}, null]}", "machine.kernel.modules[1]"),
        ("acceptedCAs: [null]", "machine.acceptedCAs[0]"),
    ] {
        let text = format!("machine: {{type: worker, ca: {{crt: QUJD}}, {machine}}}\ncluster: {{}}\n");
        let said = format!("null value is not allowed at {path:?}");
        let names = |contract: &str| errors(&text, Mode::Cloud, contract).iter().any(|error| error.ends_with(&said));
        assert!(names("v1.14") && !names("v1.13"), "{text}");
        // A config that is made for such a release can't be read at all.
        let newer = with(&text, "kind: KubePrismConfig\nport: 1\n");
        assert!(machine_config::load(&newer).is_err(), "{text}");
    }
}
