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
    /// Whether it is only asked about, and never kept.
    pub(super) review: bool,
}

impl Resource {
    /// What can be done with it.
    pub(super) fn verbs(&self) -> &'static [&'static str] {
        match self.review {
            true => &["create"],
            false => &["create", "delete", "get", "list", "patch", "update", "watch"],
        }
    }

    /// Whether it says how many pods there are to be.
    pub(super) fn scales(&self) -> bool {
        matches!(self.kind, "Deployment" | "ReplicaSet" | "StatefulSet")
    }

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
    Resource {
        group: "",
        version: "v1",
        kind,
        plural,
        singular,
        short,
        namespaced: true,
        categories: &[],
        review: false,
    }
}

const fn apps(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource {
        group: "apps",
        version: "v1",
        kind,
        plural,
        singular,
        short,
        namespaced: true,
        categories: &["all"],
        review: false,
    }
}

const fn grouped(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { group, version: "v1", kind, plural, singular, short: &[], namespaced, categories: &[], review: false }
}

const fn review(group: &'static str, kind: &'static str, plural: &'static str, singular: &'static str) -> Resource {
    Resource { review: true, ..grouped(group, kind, plural, singular, false) }
}

/// All of them, grouped by API group.
pub(super) const RESOURCES: &[Resource] = &[
    core("ConfigMap", "configmaps", "configmap", &["cm"]),
    core("Event", "events", "event", &["ev"]),
    Resource { namespaced: false, ..core("Namespace", "namespaces", "namespace", &["ns"]) },
    Resource { namespaced: false, ..core("Node", "nodes", "node", &["no"]) },
    Resource { categories: &["all"], ..core("Pod", "pods", "pod", &["po"]) },
    core("Secret", "secrets", "secret", &[]),
    core("ServiceAccount", "serviceaccounts", "serviceaccount", &["sa"]),
    Resource { categories: &["all"], ..core("Service", "services", "service", &["svc"]) },
    apps("DaemonSet", "daemonsets", "daemonset", &["ds"]),
    apps("Deployment", "deployments", "deployment", &["deploy"]),
    apps("ReplicaSet", "replicasets", "replicaset", &["rs"]),
    apps("StatefulSet", "statefulsets", "statefulset", &["sts"]),
    review("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"),
    review(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview"),
    review(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview"),
    grouped("coordination.k8s.io", "Lease", "leases", "lease", true),
    grouped(RBAC, "ClusterRole", "clusterroles", "clusterrole", false),
    grouped(RBAC, "ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding", false),
    grouped(RBAC, "Role", "roles", "role", true),
    grouped(RBAC, "RoleBinding", "rolebindings", "rolebinding", true),
];

const AUTHORIZATION: &str = "authorization.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// The kind with this group, version and plural.
pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}
