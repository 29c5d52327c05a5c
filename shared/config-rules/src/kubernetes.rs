//! Facts about Kubernetes that the rules of both generations of documents use.

use crate::lookup::Lookup;

/// Kubelet settings that only Talos may set.
pub(crate) const KUBELET_OWN: [&str; 13] = [
    "apiVersion",
    "authentication",
    "authorization",
    "cgroupRoot",
    "kind",
    "kubeletCgroups",
    "port",
    "protectKernelDefaults",
    "resolvConf",
    "rotateCertificates",
    "systemCgroups",
    "staticPodPath",
    "seccompDefault",
];

/// Roles that a client certificate may give.
pub(crate) const ROLES: [&str; 7] = [
    "os:admin",
    "os:operator",
    "os:reader",
    "os:etcd:backup",
    "os:image:verifier",
    "os:meta:writer",
    "os:impersonator",
];

/// Authorizers of the API server.
pub(crate) const AUTHORIZERS: [&str; 3] = ["Node", "RBAC", "Webhook"];

/// Pods request processors and memory only.
pub(crate) fn resources(section: Lookup<'_>) -> Option<String> {
    let unknown = |part: &str| section.at(part).pairs().into_iter().find(|(key, _)| !matches!(*key, "cpu" | "memory"));
    let (key, _) = unknown("requests").or_else(|| unknown("limits"))?;
    Some(format!("unsupported pod resource {key:?}"))
}
