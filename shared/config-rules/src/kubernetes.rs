//! What rules of both generations of documents know of Kubernetes.

use crate::lookup::Lookup;

/// Settings of the kubelet that Talos keeps to itself.
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

/// Pods ask for processors and memory only.
pub(crate) fn resources(section: Lookup<'_>) -> Option<String> {
    let unknown = |part: &str| section.at(part).pairs().into_iter().find(|(key, _)| !matches!(*key, "cpu" | "memory"));
    let (key, _) = unknown("requests").or_else(|| unknown("limits"))?;
    Some(format!("unsupported pod resource {key:?}"))
}
