//! Typed views of `spec`: what the user wrote, with defaults merged in.
//!
//! A view reads the fields that it knows and ignores the rest; the record keeps them all.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Map;

mod images;

pub use images::{ImagesSpec, Via};

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
    /// URL of the Kubernetes API. Defaults to the VIP, else the first control plane's static address, port 6443.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Which Talos.
    pub talos: TalosSpec,
    /// Which Kubernetes.
    pub kubernetes: KubernetesSpec,
    /// Where the VMs run; not set for other machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxmox: Option<ProxmoxSpec>,
    /// Network settings that all nodes share.
    pub network: NetworkSpec,
    /// Whether nodes find each other through the discovery service. Defaults to yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<bool>,
    /// Whether workloads may run on control planes. Defaults to no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_scheduling_on_control_planes: Option<bool>,
    /// Additional names and addresses for the certificates of the Talos and Kubernetes APIs.
    #[serde(rename = "certSANs", skip_serializing_if = "Vec::is_empty")]
    pub cert_sans: Vec<String>,
    /// Mirrors of registries: host to URLs, tried in order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub registry_mirrors: BTreeMap<String, Vec<String>>,
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
    /// An Image Factory schematic, or `{id: <64 hexadecimal digits>}`. Defaults to one without extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schematic: Option<Value>,
    /// Base URL of the Image Factory. Defaults to `ICHOR_FACTORY`, else <https://factory.talos.dev>.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory: Option<String>,
}

/// `Cluster.spec.kubernetes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubernetesSpec {
    /// Full version with its `v`: `v1.36.3`. Defaults to the last default of the Talos minor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `Cluster.spec.proxmox`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxmoxSpec {
    /// URL of any host of the Proxmox VE cluster. Defaults to `PROXMOX_VE_ENDPOINT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// File with the certificate authority to trust, absolute in records. Defaults to the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// SHA-256 fingerprint of the server's certificate, instead of `ca`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Storage for VM disks, the EFI disk and the cloud-init drive; or one for each host: `{pve1: local-zfs, pve2: local-lvm}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
    /// Storage for the image, and the way to it: `local`, or `{storage: local, via: upload}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesSpec>,
    /// Storage for the discs from which `talos-seed` hands out configs: one of content `iso`, which nobody else should be
    /// able to read. Without it there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<String>,
    /// Bridge of the first NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Pool that the VMs go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How VMs are named, as in `{cluster}-{node}`. Defaults to `{node}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// Range of VM IDs to take from: `900-999`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vmids: Option<String>,
}

/// A storage: the same on all hosts, or one for each host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StorageSpec {
    /// The same name on all hosts.
    Everywhere(String),
    /// Host to storage; other hosts have none.
    ByHost(BTreeMap<String, String>),
}

impl StorageSpec {
    /// The storage on a host.
    #[must_use]
    pub fn on(&self, host: &str) -> Option<&str> {
        match self {
            Self::Everywhere(storage) => Some(storage),
            Self::ByHost(storages) => storages.get(host).map(String::as_str),
        }
    }

    /// The names of all storages, each once.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        match self {
            Self::Everywhere(storage) => BTreeSet::from([storage.as_str()]),
            Self::ByHost(storages) => storages.values().map(String::as_str).collect(),
        }
    }
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
    /// MTU of the first link, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Additional routes of the first link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSpec>,
    /// NICs that form the first link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bond: Option<BondSpec>,
    /// VLANs on the first link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<VlanSpec>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// Destination: a network, or `0.0.0.0/0`.
    pub to: String,
    /// Next hop: an address.
    pub via: String,
    /// Its priority; lower is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// NICs that form one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BondSpec {
    /// How: `active-backup`, `802.3ad` and so on.
    pub mode: String,
    /// Which NICs, by Proxmox VE's names. Defaults to `net0` and `net1`.
    #[serde(default = "first_two", skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<String>,
}

fn first_two() -> Vec<String> {
    ["net0", "net1"].map(str::to_owned).to_vec()
}

/// A VLAN on the first link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VlanSpec {
    /// Its number, 1 to 4094.
    pub id: u16,
    /// Static address with its prefix length. Defaults to DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// MTU, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Routes through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSpec>,
}

/// A volume for the user's own data, mounted at `/var/mnt/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSpec {
    /// Its name: 1 to 34 letters, digits and dashes.
    pub name: String,
    /// Which disk: a Talos expression. Defaults to any except the system's.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Minimum size: `10GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<String>,
    /// Maximum size: `100GiB`, `50%`. Defaults to all available space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<String>,
    /// `xfs` (the default), `ext4` or `btrfs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
}

/// `Node.spec`, complete: node over role over cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// What the node is.
    pub role: Role,
    /// Static address with its prefix length: `10.0.0.11/24`. Defaults to DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Host name, which may be fully qualified. Defaults to the node's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Fingerprint of the certificate that the node shows until it has its config, as its console prints it: base64. With
    /// one, `talos-apply` sends the first config to no machine that shows another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The node's network, with the cluster's values merged in.
    #[serde(default)]
    pub network: NetworkSpec,
    /// The VM: Proxmox VE's own parameter names, and ours: `node`, `disk` (GiB of scsi0), `disks`, `storage`, `boot`, `ha`.
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
    /// Volumes for the user's own data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeSpec>,
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
