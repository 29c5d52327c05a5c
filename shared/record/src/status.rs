//! Typed fields of `status`: what steps found and did.
//!
//! Each type is one field of the table ([`crate::table`]) and defines its scope and its name ([`Field`]), so that no
//! name of a field is written anywhere else. Every field that is an object also holds `changed` or `pending`, and
//! `changes`; the engine adds these.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Change;

/// Which kind of record a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The Cluster record.
    Cluster,
    /// A Node record.
    Node,
}

/// A field of `status`.
pub trait Field: Serialize + DeserializeOwned + JsonSchema {
    /// The kind of record that it belongs to.
    const SCOPE: Scope;
    /// Its name in `status`.
    const NAME: &'static str;
}

/// A field of a Node's `status`.
pub trait NodeField: Field {}

/// A field of the Cluster's `status`.
pub trait ClusterField: Field {}

/// Defines which field of which record a type is.
macro_rules! fields {
    ($($of:ident $type:ty: $scope:ident $name:literal;)+) => {
        $(impl Field for $type {
            const SCOPE: Scope = Scope::$scope;
            const NAME: &'static str = $name;
        }
        impl $of for $type {})+
    };
}

fields! {
    ClusterField Dir: Cluster "dir";
    ClusterField DryRun: Cluster "dryRun";
    ClusterField Only: Cluster "only";
    ClusterField RunId: Cluster "run";
    ClusterField Image: Cluster "image";
    ClusterField Access: Cluster "access";
    ClusterField Bootstrap: Cluster "bootstrap";
    ClusterField Kubeconfig: Cluster "kubeconfig";
    ClusterField ClusterWaited: Cluster "waited";
    ClusterField Doctor: Cluster "doctor";
    NodeField Vm: Node "vm";
    NodeField Addresses: Node "addresses";
    NodeField Destroyed: Node "destroyed";
    NodeField Adopted: Node "adopted";
    NodeField Config: Node "config";
    NodeField Seed: Node "seed";
    NodeField Applied: Node "applied";
    NodeField Etcd: Node "etcd";
    NodeField Waited: Node "waited";
}

/// `Cluster.status.dir`, by the step that reads the cluster file: the folder of the cluster's files, absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Dir(pub String);

/// `Cluster.status.dryRun`, by the first step with `--dry-run`: nothing is changed; what would be is `pending`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DryRun(pub bool);

/// `Cluster.status.only`, by the first step with `--only`: the nodes that steps act on. Absent: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Only(pub Vec<String>);

/// `Cluster.status.run`, by the step that reads the cluster file: names this run of the pipe, 16 hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub String);

/// `Node.status.addresses`, by `pve-vm`: the addresses that were found, the one to connect to first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Addresses(pub Vec<String>);

/// `Node.status.destroyed`, by `pve-vm destroy`: the VM that was destroyed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Destroyed {
    /// VM ID.
    pub id: u32,
    /// Host that held the VM.
    pub node: String,
}

/// `Node.status.adopted`, by `pve-vm adopt`: the VM that the node has from now on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Adopted {
    /// VM ID.
    pub id: u32,
    /// Host that holds the VM.
    pub node: String,
    /// Its SMBIOS UUID, lower case, which it keeps.
    pub uuid: String,
    /// What differs from the spec, and `pve-vm` would change afterwards; the adoption itself touches none of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Change>,
}

/// `Cluster.status.doctor`, by `pve-vm doctor`: what was checked on Proxmox VE.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Doctor {
    /// One entry a check, in the order of the table that people see.
    pub findings: Vec<Finding>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What was checked: `privileges`, `storage`, `bridge`, …
    pub check: String,
    /// The host that it is about; absent for what concerns all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How it is.
    pub state: FindingState,
    /// What was found.
    pub reason: String,
    /// What to do about it, where something is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How something that was checked is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// As it has to be.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// Something that is needed is missing.
    Fail,
    /// It could not be checked.
    Unknown,
}

/// `Cluster.status.image`, by `talos-image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Image {
    /// Schematic ID: 64 hexadecimal digits.
    pub schematic: String,
    /// Talos version with its `v`.
    pub version: String,
    /// URL of the disk image.
    pub url: String,
    /// Reference of the installer that belongs to it.
    pub installer: String,
    /// SHA-256 of the disk image, hexadecimal, once it has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where the image is on Proxmox VE: host to volume ID.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
}

/// `Node.status.vm`, by `pve-vm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Vm {
    /// VM ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Host that holds the VM.
    pub node: String,
    /// SMBIOS UUID, lower case.
    pub uuid: String,
    /// Hardware addresses of its NICs, `net0` first, upper case.
    pub macs: Vec<String>,
    /// Who told the addresses of the node.
    #[serde(rename = "addressSource", skip_serializing_if = "Option::is_none")]
    pub address_source: Option<AddressSource>,
    /// Fingerprints of the certificates that the node showed in maintenance mode, as its serial console told them: base64,
    /// the newest last. `talos-apply` sends the first config to no other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    /// Topology zone: the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Topology region: the Proxmox VE cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether it runs, where that was looked at and nothing else tells it: `stopped` was left off (`pve-vm --stopped`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// True if the cluster file doesn't list its node.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub orphan: bool,
}

/// Whether a VM runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It runs.
    Running,
    /// It is off.
    Stopped,
}

/// Who told the addresses of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressSource {
    /// The file.
    Static,
    /// The guest agent.
    Agent,
    /// Proxmox VE's own DHCP.
    Ipam,
    /// The serial console.
    Console,
    /// `ichor.lock`: nobody tells now, and something answers where the node was found last.
    Lock,
}

/// `Cluster.status.access`, by `talos-gen`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Access {
    /// File with the client credentials for the Talos API, relative to `status.dir`.
    pub talosconfig: String,
    /// SHA-256 of the Talos certificate authority (DER), hexadecimal: which cluster this is.
    pub ca256: String,
    /// The version contract of the machine configs: `v1.13`.
    pub contract: String,
}

/// `Node.status.config`, by `talos-gen`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// File with the machine config, relative to `status.dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the machine config, hexadecimal.
    pub sha256: String,
    /// The machine config itself, with `--inline` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
}

/// `Node.status.seed`, by `talos-seed`: the node gets its config, or got it, without a first contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Seed {
    /// Volume ID of the seed; absent for a VM that needs none, because it has a config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The slot that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Its SHA-256, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where the VM was found after its start, the address to connect to first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// `Node.status.applied`, by `talos-apply`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Applied {
    /// The address at which the node responded.
    pub address: String,
    /// Fingerprint of the certificate that was seen at first contact, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What was done: `applied`, `unchanged`, `rebooted`, `staged`, `tried`.
    pub outcome: String,
    /// Whether the node was seen running this config, and keeps it; a worker's API may need a control plane that isn't up yet.
    pub verified: bool,
    /// After which time the node reverts a config that is only `tried`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverts: Option<String>,
}

/// `Node.status.etcd`, by `talos-bootstrap`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Etcd {
    /// Whether the node is known to be a member; others join on their own.
    pub member: bool,
}

/// `Cluster.status.bootstrap`, by `talos-bootstrap`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Bootstrap {
    /// The control plane that etcd was started on, or that reported the members.
    pub node: String,
    /// Host names of the members that were seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// `Cluster.status.kubeconfig`, by `kubeconfig-export`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Kubeconfig {
    /// File that the kubeconfig is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Name of the context in it.
    pub context: String,
    /// URL of the Kubernetes API in it.
    pub server: String,
    /// SHA-256 of the file, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The kubeconfig itself, with `--inline` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
}

/// `Node.status.waited`, by `talos-wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Waited {
    /// The condition that holds.
    #[serde(rename = "for")]
    pub condition: String,
}

/// `Cluster.status.waited`, by `talos-wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClusterWaited {
    /// The condition that holds.
    #[serde(rename = "for")]
    pub condition: String,
}
