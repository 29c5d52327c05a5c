//! How objects go.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_terminating_until_its_last_finalizer_is_gone() {
    let cluster = cluster().await;
    let (add, drop) = (r#"{"metadata":{"finalizers":["example.com/x"]}}"#, r#"{"metadata":{"finalizers":null}}"#);
    prints!(cluster,
        ("create", "ns", "n") => "created",
        ("create", "configmap", "kept", "-n", "n") => "created",
        ("create", "configmap", "lost", "-n", "n") => "created",
        ("create", "deployment", "d", "-n", "n", "--image=i") => "created",
        ("patch", "configmap", "-n", "n", "kept", "-p", add) => "patched",
        ("delete", "ns", "n", "--wait=false") => "namespace \"n\" deleted",
        ("get", "ns", "n") => "Terminating",
        ("get", "ns", "n", "-o", "jsonpath={.status.conditions[*].message}") => "configmaps. has 1 resource instances",
        ("get", "ns", "n", "-o", "jsonpath={.spec.finalizers}") => "kubernetes",
        ("get", "all,configmap", "-n", "n", "-o", "name") => "configmap/kept\n",
        ("get", "configmap", "-n", "n", "kept", "-o", "jsonpath={.metadata.deletionTimestamp}") => "T",
    );
    fails!(cluster,
        ("create", "configmap", "new", "-n", "n") => "unable to create new content in namespace n because it is being terminated",
        ("get", "configmap", "-n", "n", "lost") => "not found",
    );
    prints!(cluster, ("patch", "configmap", "-n", "n", "kept", "-p", drop) => "configmap/kept patched");
    fails!(cluster, ("get", "ns", "n") => "namespaces \"n\" not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_deletes_before_after_or_without_those_that_belong_to_an_object() {
    let cluster = cluster().await;
    prints!(cluster,
        ("create", "deployment", "a", "--image=i") => "created",
        ("create", "deployment", "b", "--image=i") => "created",
        ("create", "deployment", "c", "--image=i") => "created",
        ("delete", "deployment", "a") => "deleted",
        ("delete", "deployment", "b", "--cascade=foreground") => "deleted",
        ("delete", "deployment", "c", "--cascade=orphan") => "deleted",
        ("get", "replicasets,pods", "-l", "app in (a, b)") => "No resources found",
        ("get", "replicasets", "-l", "app=c", "-o", "jsonpath={.items[*].metadata.ownerReferences}<") => "<",
        ("get", "pods", "-l", "app=c") => "Running",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_given_time_to_end_and_is_then_gone() {
    let cluster = cluster().await;
    prints!(cluster, ("run", "p", "--image=i") => "created");
    let (said, good) = kubectl!(cluster, "delete", "--raw", "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=7");
    assert!(good && said.contains(r#""deletionGracePeriodSeconds":7"#), "{said}");
    fails!(cluster, ("get", "pod", "p") => "pods \"p\" not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_a_budget_that_allows_it() {
    let cluster = cluster().await;
    prints!(cluster,
        ("create", "deployment", "d", "--image=i") => "created",
        ("create", "pdb", "b", "--selector=app=d", "--min-available=1") => "created",
    );
    fails!(cluster,
        ("drain", "w-1", "--ignore-daemonsets", "--timeout=2s") => "would violate the pod's disruption budget",
    );
    prints!(cluster,
        ("delete", "pdb", "b") => "deleted",
        ("drain", "w-1", "--ignore-daemonsets", "--timeout=30s") => "node/w-1 drained",
    );
}
