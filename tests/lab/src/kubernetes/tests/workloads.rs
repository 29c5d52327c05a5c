//! What keeps pods, and how it is rolled out.

use super::*;

/// Names and images of pods.
const IMAGES: &str = r#"jsonpath={range .items[*]}{.metadata.name}={.spec.containers[0].image} {end}"#;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_takes_a_deployment_through_its_revisions() {
    let cluster = cluster("127.82.19.0/24").await;
    prints!(cluster,
        ("create", "deployment", "d", "--image=i:1", "--replicas=3") => "created",
        ("set", "image", "deploy/d", "i=i:2") => "updated",
        ("rollout", "status", "deploy/d", "--timeout=10s") => "successfully rolled out",
        ("rollout", "restart", "deploy/d") => "restarted",
        ("rollout", "history", "deploy/d", "--revision=2") => "i:2",
        ("rollout", "undo", "deploy/d", "--to-revision=1") => "rolled back",
        ("get", "pods", "-o", IMAGES) => "=i:1",
        ("rollout", "history", "deploy/d") => "4         <none>",
        ("rollout", "pause", "deploy/d") => "paused",
        ("set", "image", "deploy/d", "i=i:5") => "updated",
        ("get", "pods", "-o", IMAGES) => "=i:1",
        ("rollout", "resume", "deploy/d") => "resumed",
        ("get", "pods", "-o", IMAGES) => "=i:5",
        ("get", "deploy", "d") => "3/3     3            3",
    );
    let (sets, _) = kubectl!(cluster, "get", "replicasets", "-o", "name");
    assert_eq!(sets.lines().count(), 4, "the first template came back, so there is a set for each of four: {sets}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_finds_no_node_leaves_what_runs_alone() {
    let cluster = cluster("127.82.20.0/24").await;
    let nowhere = r#"{"spec":{"template":{"spec":{"nodeSelector":{"x":"y"}}}}}"#;
    prints!(cluster,
        ("create", "deployment", "d", "--image=i:1", "--replicas=4") => "created",
        ("patch", "deploy", "d", "-p", nowhere) => "patched",
        ("get", "deploy", "d") => "3/4     2            3",
        ("wait", "--for=condition=Available", "deploy/d", "--timeout=10s") => "condition met",
        ("label", "node", "w-1", "x=y") => "labeled",
        ("rollout", "status", "deploy/d", "--timeout=10s") => "successfully rolled out",
        ("get", "deploy", "d") => "4/4     4            4",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn services_have_addresses_ports_and_endpoints() {
    let cluster = cluster("127.82.23.0/24").await;
    prints!(cluster,
        ("create", "deployment", "d", "--image=i", "--port=8080", "--replicas=2") => "created",
        ("expose", "deployment", "d", "--port=80", "--target-port=8080", "--type=NodePort") => "exposed",
        ("get", "service", "d", "-o", "jsonpath={.spec.clusterIP}") => "10.",
        ("get", "service", "d") => "80:3",
        ("get", "endpoints", "d") => ":8080,10.244.",
        ("get", "endpointslices", "-l", "kubernetes.io/service-name=d") => "8080",
        ("autoscale", "deployment", "d", "--min=1", "--max=3", "--cpu-percent=80") => "autoscaled",
        ("get", "hpa", "d") => "cpu: <unknown>/80%",
        ("create", "ingress", "i", "--rule=example.com/a=d:80") => "created",
        ("get", "ingress") => "example.com",
        ("create", "quota", "q", "--hard=pods=9") => "created",
        ("create", "priorityclass", "high", "--value=1000") => "created",
        ("scale", "deployment", "d", "--replicas=0") => "scaled",
        ("get", "endpoints", "d") => "<none>",
    );
}
