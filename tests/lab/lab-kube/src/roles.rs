//! Roles and priorities that every cluster has for its users.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resources::BUILT_IN;

const RBAC: &str = "rbac.authorization.k8s.io";

/// What may be done with the kinds of namespaces: rules by API group, without some kinds.
fn rules(verbs: &[&str], without: &[&str]) -> Vec<Value> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in BUILT_IN.iter().filter(|kind| kind.namespaced && !without.contains(&kind.plural.as_str())) {
        let plurals = groups.entry(&kind.group).or_default();
        if !plurals.contains(&kind.plural.as_str()) {
            plurals.push(&kind.plural);
        }
    }
    let rule = |(group, plurals)| json!({"apiGroups": [group], "resources": plurals, "verbs": verbs});
    groups.into_iter().map(rule).collect()
}

fn role(name: &str, labels: Value, rules: &[Value]) -> Value {
    let mut labels = labels;
    labels["kubernetes.io/bootstrapping"] = json!("rbac-defaults");
    json!({
        "kind": "ClusterRole", "apiVersion": format!("{RBAC}/v1"),
        "metadata": {
            "name": name, "labels": labels, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
        "rules": rules,
    })
}

/// Roles for users, who has the first of them, and the priorities of the cluster's own pods.
pub(super) fn initial() -> Vec<(&'static str, Value)> {
    let all = vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    let (look, change) = (["get", "list", "watch"], ["create", "delete", "deletecollection", "patch", "update"]);
    let every = [&look[..], &change[..]].concat();
    let aggregated = |to: &str| json!({format!("rbac.authorization.k8s.io/aggregate-to-{to}"): "true"});
    let binding = json!({
        "kind": "ClusterRoleBinding", "apiVersion": format!("{RBAC}/v1"),
        "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": super::reviews::MASTERS}],
    });
    let priority = |name: &str, value: u64, of: &str| {
        json!({
            "kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "metadata": {"name": name}, "value": value,
            "preemptionPolicy": "PreemptLowerPriority", "description": format!("For pods without which {of} cannot work."),
        })
    };
    vec![
        ("clusterroles", role("cluster-admin", json!({}), &all)),
        ("clusterroles", role("admin", json!({}), &rules(&every, &[]))),
        ("clusterroles", role("edit", aggregated("admin"), &rules(&every, &["roles", "rolebindings"]))),
        ("clusterroles", role("view", aggregated("edit"), &rules(&look, &["roles", "rolebindings", "secrets"]))),
        ("clusterrolebindings", binding),
        ("priorityclasses", priority("system-cluster-critical", 2_000_000_000, "a cluster")),
        ("priorityclasses", priority("system-node-critical", 2_000_001_000, "a node")),
    ]
}
