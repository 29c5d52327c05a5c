//! What people install with: `helm`, where it is at hand, and kubectl's ways to apply many objects.

use super::*;

/// Runs helm on a cluster; nothing where there is no helm.
async fn helm(cluster: &Cluster, arguments: &[&str]) -> Option<(String, bool)> {
    let command = Command::new(judges::require("helm")?)
        .args(arguments)
        .args(["--kubeconfig", &cluster.kubeconfig.to_string_lossy()])
        .env("HOME", cluster.folder.path())
        .env("NO_PROXY", "127.0.0.0/8")
        .current_dir(cluster.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BOUND, command).await.expect("helm ends in time").expect("helm starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((text, output.status.success()))
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_upgrades_tests_and_uninstalls_a_chart() {
    let cluster = cluster().await;
    let runs: [(&[&str], &str); 9] = [
        (&["create", "x"], "Creating x"),
        (&["install", "--wait", "--timeout", "20s", "x", "./x"], "STATUS: deployed"),
        (&["upgrade", "--wait", "--timeout", "20s", "x", "./x", "--set", "replicaCount=3"], "Happy Helming"),
        (&["test", "x"], "Phase:          Succeeded"),
        (&["rollback", "--wait", "--timeout", "20s", "x", "1"], "Rollback was a success"),
        (&["history", "x"], "Rollback to 1"),
        (&["list"], "x-0.1.0"),
        (&["get", "manifest", "x"], "kind: Deployment"),
        (&["uninstall", "--wait", "--timeout", "20s", "x"], "uninstalled"),
    ];
    for (arguments, wanted) in runs {
        let Some((said, good)) = helm(&cluster, arguments).await else { return };
        assert!(good && said.contains(wanted), "{arguments:?} prints {said}");
    }
    prints!(cluster, ("get", "deployments,replicasets,secrets") => "No resources found");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_a_kustomization_tells_the_difference_and_prunes() {
    let cluster = cluster().await;
    let text = "namePrefix: p-\nresources: [d.yaml]\nimages: [{name: i, newTag: '2'}]\n";
    let folder = cluster.folder.path().to_string_lossy().into_owned();
    let web = MANIFEST.rsplit_once("---").unwrap().1.replace("web:1", "i:1").replace(", namespace: demo", "");
    file(&cluster, "d.yaml", &web);
    file(&cluster, "kustomization.yaml", text);
    prints!(cluster,
        ("apply", "-k", &folder) => "deployment.apps/p-web created",
        ("diff", "-k", &folder) => "",
    );
    file(&cluster, "kustomization.yaml", &text.replace("'2'", "'3'"));
    fails!(cluster, ("diff", "-k", &folder) => "image: i:3");
    let map = |name: &str| {
        format!("---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{set: x}}}}}}\n")
    };
    let all = file(&cluster, "all.yaml", &(map("one") + &map("two")));
    prints!(cluster, ("apply", "-f", &all, "--prune", "-l", "set=x") => "configmap/two created");
    file(&cluster, "all.yaml", &map("one"));
    prints!(cluster, ("apply", "-f", &all, "--prune", "-l", "set=x") => "configmap/two pruned");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_contradict_themselves_or_what_is_there_are_refused() {
    let cluster = cluster().await;
    let web = MANIFEST.rsplit_once("---").unwrap().1.replace(", namespace: demo", "");
    let good = file(&cluster, "good.yaml", &web);
    let other = file(&cluster, "other.yaml", &web.replace("app: web", "app: other"));
    let torn = file(
        &cluster,
        "torn.yaml",
        &web.replace("selector: {matchLabels: {app: web}}", "selector: {matchLabels: {app: b}}"),
    );
    prints!(cluster, ("apply", "-f", &good) => "created");
    fails!(cluster,
        ("apply", "-f", &other) => r#"spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable"#,
        ("apply", "-f", &torn) => "`selector` does not match template `labels`",
    );
}
