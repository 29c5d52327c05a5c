//! The kinds of objects that the API serves.

/// A kind of object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// API group; empty for the core.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static [&'static str],
    pub(super) namespaced: bool,
    pub(super) categories: &'static [&'static str],
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub(super) fn group_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

const fn core(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource { group: "", version: "v1", kind, plural, singular, short, namespaced: true, categories: &[] }
}

const fn apps(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource { group: "apps", version: "v1", kind, plural, singular, short, namespaced: true, categories: &["all"] }
}

/// All of them, grouped by API group.
pub(super) const RESOURCES: &[Resource] = &[
    core("ConfigMap", "configmaps", "configmap", &["cm"]),
    core("Event", "events", "event", &["ev"]),
    Resource { namespaced: false, ..core("Namespace", "namespaces", "namespace", &["ns"]) },
    Resource { namespaced: false, ..core("Node", "nodes", "node", &["no"]) },
    Resource { categories: &["all"], ..core("Pod", "pods", "pod", &["po"]) },
    core("Secret", "secrets", "secret", &[]),
    Resource { categories: &["all"], ..core("Service", "services", "service", &["svc"]) },
    apps("DaemonSet", "daemonsets", "daemonset", &["ds"]),
    apps("Deployment", "deployments", "deployment", &["deploy"]),
    apps("ReplicaSet", "replicasets", "replicaset", &["rs"]),
];

pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}
