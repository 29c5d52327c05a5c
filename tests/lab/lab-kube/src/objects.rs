//! Objects that are there without anybody creating them: namespaces, the control plane's pods, the network's.

use lab_core::kubernetes::{Component, Report};
use serde_json::{Value, json};

use super::{controllers, pods, roles};

/// Namespaces that are always there.
pub(super) const NAMESPACES: &[&str] = &["default", "kube-node-lease", "kube-public", "kube-system"];

const FLANNEL: &str = "ghcr.io/siderolabs/flannel:v0.27.4";

/// What a fresh cluster holds: kind (plural) and object.
pub(super) fn initial(report: &Report) -> Vec<(&'static str, Value)> {
    let mut objects: Vec<(&str, Value)> = roles::initial();
    for name in NAMESPACES {
        objects.push(("namespaces", namespace(name)));
        objects.push(("serviceaccounts", service_account(name)));
    }
    objects.push(("services", service("default", "kubernetes", "10.96.0.1", 443, 6443)));
    let mut names = service("kube-system", "kube-dns", "10.96.0.10", 53, 53);
    names["metadata"]["labels"] =
        json!({"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"});
    names["spec"]["selector"] = json!({"k8s-app": "kube-dns"});
    objects.push(("services", names));
    for name in ["kube-controller-manager", "kube-scheduler"] {
        objects.push(("leases", lease("kube-system", name)));
    }
    objects.push(("daemonsets", daemon_set("kube-flannel", FLANNEL)));
    objects.push(("daemonsets", daemon_set("kube-proxy", &format!("registry.k8s.io/kube-proxy:{}", report.server))));
    objects.push(("deployments", deployment("coredns")));
    objects
}

fn namespace(name: &str) -> Value {
    json!({
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

/// The account that every namespace has.
pub(super) fn service_account(namespace: &str) -> Value {
    json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": namespace}})
}

/// What somebody renews as long as it is alive.
pub(super) fn lease(namespace: &str, holder: &str) -> Value {
    json!({
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": holder, "namespace": namespace},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 40},
    })
}

fn service(namespace: &str, name: &str, address: &str, port: u16, target: u16) -> Value {
    json!({
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ports": [{"protocol": "TCP", "port": port, "targetPort": target}],
        },
        "status": {"loadBalancer": {}},
    })
}

fn daemon_set(name: &str, image: &str) -> Value {
    json!({
        "kind": "DaemonSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": name}, "generation": 1},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": name}},
            "template": {
                "metadata": {"labels": {"k8s-app": name, "tier": "node"}},
                "spec": {
                    "hostNetwork": true, "containers": [{"name": name, "image": image}],
                    "priorityClassName": "system-node-critical", "restartPolicy": "Always",
                    "tolerations": [{"operator": "Exists"}],
                },
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        },
        "status": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0, "numberMisscheduled": 0},
    })
}

fn deployment(name: &str) -> Value {
    json!({
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": name, "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}, "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {
            "replicas": controllers::NAME_SERVERS,
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"k8s-app": "kube-dns"}},
                "spec": {
                    "containers": [{"name": name, "image": controllers::NAME_SERVER_IMAGE}],
                    "priorityClassName": "system-cluster-critical", "restartPolicy": "Always",
                    "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
                },
            },
        },
        "status": {"replicas": 0, "observedGeneration": 1},
    })
}

/// The pods that a control plane runs from its own manifests.
pub(super) fn static_pods(report: &Report, components: &[Component]) -> Vec<Value> {
    let pod = |component: &Component| {
        let mut pod = pod(report, &format!("{}-{}", component.name, report.name), component.name, &component.image);
        pod["metadata"]["annotations"] = json!({
            "kubernetes.io/config.mirror": report.boot_id,
            "kubernetes.io/config.source": "file",
            "talos.dev/config-version": component.version,
        });
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Node", "name": report.name, "uid": report.uuid, "controller": true}]);
        pod
    };
    components.iter().map(pod).collect()
}

/// The pod of a daemon set on a node.
pub(super) fn daemon_pod(report: &Report, set: &Value) -> Value {
    let daemon = set["metadata"]["name"].as_str().unwrap_or_default();
    let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let mut pod = pod(report, &format!("{daemon}-{}", suffix(report)), daemon, image);
    pod["metadata"]["ownerReferences"] = pods::controller("DaemonSet", "apps/v1", set);
    pod
}

/// Five characters that distinguish the pods of a node from others.
fn suffix(report: &Report) -> String {
    report.uuid.chars().filter(char::is_ascii_alphanumeric).rev().take(5).collect::<String>().to_lowercase()
}

fn pod(report: &Report, name: &str, app: &str, image: &str) -> Value {
    let ready = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": report.at});
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": app, "tier": "control-plane"}},
        "spec": {
            "nodeName": report.name,
            "hostNetwork": true,
            "containers": [{"name": app, "image": image}],
            "priorityClassName": "system-node-critical",
            "restartPolicy": "Always",
        },
        "status": {
            "phase": "Running",
            "hostIP": report.address,
            "podIP": report.address,
            "podIPs": [{"ip": report.address}],
            "startTime": report.at,
            "conditions": [ready("PodScheduled"), ready("Initialized"), ready("ContainersReady"), ready("Ready")],
            "containerStatuses": [{
                "name": app,
                "image": image,
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": report.at}},
            }],
        },
    })
}
