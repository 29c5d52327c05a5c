//! Typed views of `spec`: what the user wrote, with defaults merged in.
//!
//! A view reads the fields that it knows and ignores the rest; the record keeps them all.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Map;

/// What a node is in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs etcd and the Kubernetes control plane.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

impl Role {
    /// The word in records and machine configs: `controlplane` or `worker`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// `Cluster.spec`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// URL of the Kubernetes API. Left out: the VIP, else the first control plane's static address, port 6443.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Which Talos.
    pub talos: TalosSpec,
    /// Which Kubernetes.
    pub kubernetes: KubernetesSpec,
    /// Where the VMs run; left out for machines of another origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxmox: Option<ProxmoxSpec>,
    /// What the nodes' network has in common.
    pub network: NetworkSpec,
    /// Whether nodes find each other through the discovery service. Left out: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<bool>,
    /// Whether workloads may run on control planes. Left out: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_scheduling_on_control_planes: Option<bool>,
    /// Further names and addresses for the certificates of the Talos and Kubernetes APIs.
    #[serde(rename = "certSANs", skip_serializing_if = "Vec::is_empty")]
    pub cert_sans: Vec<String>,
    /// Patches for every node: inline YAML, or `@file`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Value>,
    /// Defaults for control planes.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub controlplane: Map,
    /// Defaults for workers.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub worker: Map,
}

/// `Cluster.spec.talos`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TalosSpec {
    /// Full version with its `v`: `v1.13.9`.
    pub version: String,
    /// An Image Factory schematic as it is, or `{id: <64 hexadecimal digits>}`. Left out: no extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schematic: Option<Value>,
    /// Base URL of the Image Factory. Left out: `ICHOR_FACTORY`, else <https://factory.talos.dev>.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory: Option<String>,
}

/// `Cluster.spec.kubernetes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubernetesSpec {
    /// Full version with its `v`: `v1.36.3`. Left out: the last default of the Talos minor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `Cluster.spec.proxmox`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxmoxSpec {
    /// URL of any host of the Proxmox VE cluster. Left out: `PROXMOX_VE_ENDPOINT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// File with the certificate authority to trust, absolute once exploded. Left out: the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// SHA-256 fingerprint of the server's certificate, instead of `ca`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Storage for VM disks, the EFI disk and the cloud-init drive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Storage for images; must allow content `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Bridge of the first NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Pool that the VMs go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Range of VM IDs to take from: `900-999`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vmids: Option<String>,
}

/// `spec.network` of the Cluster and of a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkSpec {
    /// Default gateway of nodes with a static address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Time servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<String>,
    /// Address that the control planes share (Cluster only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip: Option<String>,
}

/// `Node.spec`, complete: node over role over cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// What the node is.
    pub role: Role,
    /// Static address with its prefix length: `10.0.0.11/24`. Left out: DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Host name, which may be fully qualified. Left out: the node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The node's network, with the cluster's values merged in.
    #[serde(default)]
    pub network: NetworkSpec,
    /// The VM: Proxmox VE's own parameter names, and ours: `node`, `disk` (GiB of scsi0), `boot`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vm: Map,
    /// Kubernetes labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Kubernetes annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Kubernetes taints: key to `Effect` or `value:Effect`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taints: BTreeMap<String, String>,
    /// Patches of the cluster, the role and the node, in that order: inline YAML, or `@file`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Value>,
}

impl NodeSpec {
    /// The static address without its prefix length.
    #[must_use]
    pub fn static_address(&self) -> Option<std::net::IpAddr> {
        let address = self.address.as_ref()?;
        address.split('/').next()?.parse().ok()
    }
}
