//! What people install with: kubectl's ways to apply many objects.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_a_kustomization_tells_the_difference_and_prunes() {
    let cluster = cluster("127.82.27.0/24").await;
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
