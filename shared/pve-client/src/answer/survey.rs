//! What hosts report of themselves.

use serde::Deserialize;

use crate::scalar;

/// A bridge of a host, or a virtual network that ends there. Those that the token may not use are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Bridge {
    /// Its name.
    pub iface: String,
    /// `bridge`, `OVSBridge`, `vnet`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is up; virtual networks don't say.
    #[serde(deserialize_with = "scalar::flag_or_none")]
    pub active: Option<bool>,
    /// Whether a Linux bridge lets VLAN tags through.
    #[serde(deserialize_with = "scalar::flag")]
    pub bridge_vlan_aware: bool,
}

/// A kind of machine that a host can run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MachineType {
    /// Its full name: `pc-q35-9.2+pve1`.
    pub id: String,
}

/// A model of CPU that a host can run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CpuType {
    /// Its name: `x86-64-v3`.
    pub name: String,
}

/// A VM that the manager of high availability has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HaResource {
    /// Its name: `vm:100`.
    pub sid: String,
    /// `started`, `stopped`, `disabled`, `ignored`.
    pub state: Option<String>,
    /// The group of hosts, up to Proxmox VE 8.
    pub group: Option<String>,
    /// A note.
    pub comment: Option<String>,
    /// Whether it goes back to a better host; from Proxmox VE 9.
    #[serde(deserialize_with = "scalar::flag_or_none")]
    pub failback: Option<bool>,
    /// How often it is moved to another host when its start fails.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub max_relocate: Option<u64>,
    /// How often its start is tried again.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub max_restart: Option<u64>,
}

/// A group of hosts of the manager of high availability, up to Proxmox VE 8.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HaGroup {
    /// Its name.
    pub group: String,
}

/// A rule about where the manager of high availability keeps VMs, from Proxmox VE 9.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HaRule {
    /// Its name.
    pub rule: String,
    /// `node-affinity` or `resource-affinity`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about: `vm:100,vm:101`.
    pub resources: String,
    /// The hosts of a node affinity with their priorities: `pve1:2,pve2`.
    pub nodes: Option<String>,
    /// Whether only these hosts will do.
    #[serde(deserialize_with = "scalar::flag")]
    pub strict: bool,
    /// `positive`: on the same host; `negative`: on different ones.
    pub affinity: Option<String>,
    /// Whether somebody switched it off.
    #[serde(deserialize_with = "scalar::flag")]
    pub disable: bool,
    /// What guards changes of all rules against changes in between.
    pub digest: Option<String>,
}

/// A pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// Its name.
    pub poolid: String,
}

/// A snapshot of a VM, or its present state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Its name; `current` is none.
    pub name: String,
}

/// A host's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// Seconds since 1970.
    #[serde(deserialize_with = "scalar::number")]
    pub time: u64,
}

/// A task in a host's list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Its name.
    pub upid: String,
    /// `qmcreate`, …
    #[serde(rename = "type")]
    pub kind: String,
}
