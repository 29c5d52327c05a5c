//! The kinds of objects that the API serves.

use std::sync::{Arc, LazyLock};

use super::custom;
use super::store::Store;

/// A kind of object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resource {
    /// API group; empty for the core.
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) plural: String,
    pub(super) singular: String,
    pub(super) short: Vec<String>,
    pub(super) namespaced: bool,
    pub(super) categories: Vec<String>,
    /// Whether it is only asked about, and never kept.
    pub(super) review: bool,
    /// Whether its status is written apart from the rest.
    pub(super) status: bool,
    /// Where it has the wanted and the actual number of pods: JSON pointers.
    pub(super) scale: Option<(String, String)>,
    /// The name of the definition that it comes from, if somebody has defined it.
    pub(super) definition: Option<String>,
}

impl Resource {
    /// What can be done with it.
    pub(super) fn verbs(&self) -> &'static [&'static str] {
        match self.review {
            true => &["create"],
            false => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }
    }

    /// `v1` or `apps/v1`.
    pub(super) fn group_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Under which name its objects are kept: all versions share it.
    pub(super) fn key(&self) -> &str {
        self.definition.as_deref().unwrap_or(&self.plural)
    }
}

const NAMESPACED: u8 = 1;
const STATUS: u8 = 2;
const ALL: u8 = 4;
const SCALE: u8 = 8;
const REVIEW: u8 = 16;

/// A kind of a group: kind, plural, short names, what else is true of it.
type Row = (&'static str, &'static str, &'static [&'static str], u8);

const PODS: u8 = NAMESPACED | STATUS | ALL;

/// All that is built in: groups with their version and kinds.
const GROUPS: &[(&str, &str, &[Row])] = &[
    (
        "",
        "v1",
        &[
            ("ConfigMap", "configmaps", &["cm"], NAMESPACED),
            ("Endpoints", "endpoints", &["ep"], NAMESPACED),
            ("Event", "events", &["ev"], NAMESPACED),
            ("LimitRange", "limitranges", &["limits"], NAMESPACED),
            ("Namespace", "namespaces", &["ns"], STATUS),
            ("Node", "nodes", &["no"], STATUS),
            ("PersistentVolume", "persistentvolumes", &["pv"], STATUS),
            ("PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], NAMESPACED | STATUS),
            ("Pod", "pods", &["po"], PODS),
            ("PodTemplate", "podtemplates", &[], NAMESPACED),
            ("ReplicationController", "replicationcontrollers", &["rc"], PODS | SCALE),
            ("ResourceQuota", "resourcequotas", &["quota"], NAMESPACED | STATUS),
            ("Secret", "secrets", &[], NAMESPACED),
            ("ServiceAccount", "serviceaccounts", &["sa"], NAMESPACED),
            ("Service", "services", &["svc"], PODS),
        ],
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        &[
            ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", &[], 0),
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", &[], STATUS),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", &[], 0),
            ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", &[], 0),
        ],
    ),
    ("apiextensions.k8s.io", "v1", &[("CustomResourceDefinition", custom::DEFINITIONS, &["crd", "crds"], STATUS)]),
    ("apiregistration.k8s.io", "v1", &[("APIService", "apiservices", &[], STATUS)]),
    (
        "apps",
        "v1",
        &[
            ("ControllerRevision", "controllerrevisions", &[], NAMESPACED),
            ("DaemonSet", "daemonsets", &["ds"], PODS),
            ("Deployment", "deployments", &["deploy"], PODS | SCALE),
            ("ReplicaSet", "replicasets", &["rs"], PODS | SCALE),
            ("StatefulSet", "statefulsets", &["sts"], PODS | SCALE),
        ],
    ),
    ("authentication.k8s.io", "v1", &[("SelfSubjectReview", "selfsubjectreviews", &[], REVIEW)]),
    (
        "authorization.k8s.io",
        "v1",
        &[
            ("SelfSubjectAccessReview", "selfsubjectaccessreviews", &[], REVIEW),
            ("SelfSubjectRulesReview", "selfsubjectrulesreviews", &[], REVIEW),
        ],
    ),
    ("autoscaling", "v2", &[("HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], PODS)]),
    ("autoscaling", "v1", &[("HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], PODS)]),
    ("batch", "v1", &[("CronJob", "cronjobs", &["cj"], PODS), ("Job", "jobs", &[], PODS)]),
    ("coordination.k8s.io", "v1", &[("Lease", "leases", &[], NAMESPACED)]),
    ("discovery.k8s.io", "v1", &[("EndpointSlice", "endpointslices", &[], NAMESPACED)]),
    (
        "networking.k8s.io",
        "v1",
        &[
            ("Ingress", "ingresses", &["ing"], NAMESPACED | STATUS),
            ("IngressClass", "ingressclasses", &[], 0),
            ("NetworkPolicy", "networkpolicies", &["netpol"], NAMESPACED),
        ],
    ),
    ("node.k8s.io", "v1", &[("RuntimeClass", "runtimeclasses", &[], 0)]),
    ("policy", "v1", &[("PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], NAMESPACED | STATUS)]),
    (
        "rbac.authorization.k8s.io",
        "v1",
        &[
            ("ClusterRole", "clusterroles", &[], 0),
            ("ClusterRoleBinding", "clusterrolebindings", &[], 0),
            ("Role", "roles", &[], NAMESPACED),
            ("RoleBinding", "rolebindings", &[], NAMESPACED),
        ],
    ),
    ("scheduling.k8s.io", "v1", &[("PriorityClass", "priorityclasses", &["pc"], 0)]),
    (
        "storage.k8s.io",
        "v1",
        &[
            ("CSIDriver", "csidrivers", &[], 0),
            ("CSINode", "csinodes", &[], 0),
            ("StorageClass", "storageclasses", &["sc"], 0),
            ("VolumeAttachment", "volumeattachments", &[], STATUS),
        ],
    ),
];

fn built(group: &str, version: &str, (kind, plural, short, is): Row) -> Resource {
    let has = |flag: u8| is & flag != 0;
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short: short.iter().map(|name| (*name).to_owned()).collect(),
        namespaced: has(NAMESPACED),
        categories: if has(ALL) { vec!["all".to_owned()] } else { Vec::new() },
        review: has(REVIEW),
        status: has(STATUS),
        scale: has(SCALE).then(|| ("/spec/replicas".to_owned(), "/status/replicas".to_owned())),
        definition: None,
    }
}

/// What is built in, grouped by API group.
pub(super) static BUILT_IN: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| {
    let rows = GROUPS.iter().flat_map(|(group, version, rows)| rows.iter().map(move |row| (group, version, row)));
    rows.map(|(group, version, row)| Arc::new(built(group, version, *row))).collect()
});

/// The kind with this group, version and plural that is built in.
pub(super) fn built_in(group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
    BUILT_IN.iter().find(|kind| kind.plural == plural && kind.group == group && kind.version == version).cloned()
}

/// The kind with this group, version and plural, be it built in or defined.
pub(super) fn find(store: &Store, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
    built_in(group, version, plural).or_else(|| custom::find(store, group, version, plural))
}

/// All kinds: those that are built in, then those that were defined, grouped by API group, preferred versions first.
pub(super) fn all(store: &Store) -> Vec<Arc<Resource>> {
    BUILT_IN.iter().cloned().chain(custom::all(store)).collect()
}
