//! Typed views of `status`: what steps found and did.
//!
//! Each struct is one field of the table ([`crate::table`]), written by one step. Every field that is an object also
//! holds `changed`, or `pending` in a dry run; the engine adds these.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Fingerprints of the maintenance certificate as seen on the serial console, base64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    /// Topology zone: the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Topology region: the Proxmox VE cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
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

/// `Node.status.applied`, by `talos-apply`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Applied {
    /// The address at which the node answered.
    pub address: String,
    /// Fingerprint of the certificate that was met at first contact, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What was done: `applied`, `unchanged`, `rebooted`, `staged`.
    pub outcome: String,
    /// Whether the node was seen running this config; a worker's API may need a control plane that isn't up yet.
    pub verified: bool,
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
    /// The control plane that etcd was started on, or that told of its members.
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

/// `Node.status.waited` and `Cluster.status.waited`, by `talos-wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Waited {
    /// The condition that holds.
    #[serde(rename = "for")]
    pub condition: String,
}
