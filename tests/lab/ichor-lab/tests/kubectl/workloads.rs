//! What keeps pods, and how it is rolled out.

use super::*;

const SETS: &str = r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d}
spec:
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec: {tolerations: [{operator: Exists}], containers: [{name: c, image: "i:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  serviceName: s
  replicas: 2
  selector: {matchLabels: {app: s}}
  template:
    metadata: {labels: {app: s}}
    spec: {containers: [{name: c, image: "i:1", volumeMounts: [{name: data, mountPath: /d}]}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"#;

const CLASS: &str = r#"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/csi
volumeBindingMode: WaitForFirstConsumer
"#;

/// Names and images of pods.
const IMAGES: &str = r#"jsonpath={range .items[*]}{.metadata.name}={.spec.containers[0].image} {end}"#;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_rolls_out_sets_and_takes_them_back() {
    let cluster = cluster().await;
    let (class, sets) = (file(&cluster, "class.yaml", CLASS), file(&cluster, "sets.yaml", SETS));
    prints!(cluster,
        ("apply", "-f", &class) => "created",
        ("apply", "-f", &sets) => "statefulset.apps/s created",
        ("rollout", "status", "ds/d", "--timeout=10s") => "successfully rolled out",
        ("rollout", "status", "sts/s", "--timeout=10s") => "2 new pods have been updated",
        ("get", "ds") => "d      2         2         2       2            2",
        ("get", "pvc") => "data-s-1   Bound",
        ("set", "image", "ds/d", "c=i:2") => "updated",
        ("set", "image", "sts/s", "c=i:2") => "updated",
        ("rollout", "status", "ds/d", "--timeout=10s") => "successfully rolled out",
        ("get", "pods", "-l", "app=s", "-o", IMAGES) => "s-0=i:2 s-1=i:2",
        ("rollout", "history", "sts/s") => "2         <none>",
        ("rollout", "undo", "ds/d") => "rolled back",
        ("rollout", "undo", "sts/s") => "rolled back",
        ("get", "pods", "-l", "app=s", "-o", IMAGES) => "s-0=i:1 s-1=i:1",
        ("get", "pods", "-l", "app=d", "-o", IMAGES) => "=i:1",
        ("rollout", "restart", "ds/d", "sts/s") => "restarted",
        ("rollout", "status", "ds/d", "--timeout=10s") => "successfully rolled out",
        ("scale", "sts/s", "--replicas=1") => "scaled",
        ("wait", "--for=delete", "pod/s-1", "--timeout=10s") => "",
        ("get", "sts") => "1/1",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_whose_claims_find_no_volume_wait_until_there_is_one() {
    let cluster = cluster().await;
    let (class, sets) = (file(&cluster, "class.yaml", CLASS), file(&cluster, "sets.yaml", SETS));
    prints!(cluster,
        ("apply", "-f", &sets) => "statefulset.apps/s created",
        ("get", "pod", "s-0") => "Pending",
        ("describe", "pod", "s-0") => "pod has unbound immediate PersistentVolumeClaims",
        ("delete", "sts", "s") => "deleted",
        ("delete", "pvc", "--all") => "deleted",
        ("apply", "-f", &class) => "created",
        ("apply", "-f", &sets) => "statefulset.apps/s created",
        ("get", "pv") => "default/data-s-0   fast",
        ("delete", "sts", "s") => "deleted",
        ("delete", "pvc", "--all") => "deleted",
        ("get", "pv") => "No resources found",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_takes_a_deployment_through_its_revisions() {
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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
async fn jobs_are_done_at_once_and_cron_jobs_make_them() {
    let cluster = cluster().await;
    prints!(cluster,
        ("create", "job", "j", "--image=i", "--", "true") => "job.batch/j created",
        ("wait", "--for=condition=complete", "job/j", "--timeout=10s") => "condition met",
        ("get", "pods") => "Completed",
        ("logs", "job/j") => "runs on",
        ("create", "cronjob", "c", "--image=i", "--schedule=0 0 1 1 *", "--", "true") => "created",
        ("create", "job", "now", "--from=cronjob/c") => "created",
        ("get", "jobs", "now") => "Complete",
        ("delete", "cronjob", "c") => "deleted",
    );
    fails!(cluster, ("get", "job", "now") => "not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_cluster_has_can_be_changed_too() {
    let cluster = cluster().await;
    prints!(cluster,
        ("rollout", "restart", "-n", "kube-system", "ds/kube-proxy", "deploy/coredns") => "restarted",
        ("rollout", "status", "-n", "kube-system", "ds/kube-proxy", "--timeout=10s") => "successfully rolled out",
        ("rollout", "status", "-n", "kube-system", "deploy/coredns", "--timeout=10s") => "successfully rolled out",
        ("scale", "-n", "kube-system", "deploy/coredns", "--replicas=3") => "scaled",
        ("get", "-n", "kube-system", "deploy/coredns") => "3/3",
        ("get", "endpoints", "-n", "kube-system", "kube-dns") => ":53,",
        ("delete", "-n", "kube-system", "ds/kube-flannel") => "deleted",
    );
    let (pods, _) = kubectl!(cluster, "get", "pods", "-n", "kube-system");
    assert!(pods.contains("kube-proxy") && !pods.contains("kube-flannel"), "{pods}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_have_addresses_ports_and_endpoints() {
    let cluster = cluster().await;
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

const ENDLESS: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  completions: 1000000000
  parallelism: 1000000000
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: "i:1"}]}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_of_the_finger_fills_nodes_and_no_memory() {
    let cluster = cluster().await;
    let job = file(&cluster, "job.yaml", ENDLESS);
    prints!(cluster,
        ("apply", "-f", &job) => "created",
        ("get", "job", "j", "-o", "jsonpath={.status.succeeded}") => "1000",
        ("create", "deployment", "x", "--image=i:1") => "created",
        ("scale", "deployment", "x", "--replicas=1000000000") => "scaled",
        ("get", "deploy", "x", "-o", "jsonpath={.status.replicas}") => "1000",
    );
    let running = "--field-selector=status.phase=Running";
    let (placed, _) =
        kubectl!(cluster, "get", "pods", "-A", running, "-o", "jsonpath={range .items[*]}{.spec.nodeName} {end}");
    assert_eq!(placed.split_whitespace().filter(|node| *node == "w-1").count(), 110, "a node takes 110 pods");
}
