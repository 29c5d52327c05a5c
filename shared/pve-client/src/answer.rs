//! What replies hold, as far as Ichor reads them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::scalar;

mod config;
mod console;
mod survey;
mod ties;

pub use config::Config;
pub use console::{Lease, Ticket};
pub use survey::{Bridge, Clock, CpuType, HaGroup, HaResource, HaRule, MachineType, Pool, Snapshot, Task};
pub use ties::{BackupJob, FirewallOptions, Replication, Right};

/// A release of Proxmox VE.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// The full version: `9.2.11`.
    #[serde(deserialize_with = "scalar::text")]
    pub version: String,
}

impl Release {
    /// Major and minor, for gates: (9, 2). Unreadable parts are 0.
    pub fn minor(&self) -> (u32, u32) {
        let mut parts = self.version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

/// Rights: path to privileges. A privilege that is listed is held.
pub type Permissions = BTreeMap<String, BTreeMap<String, Value>>;

/// A VM ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct VmId(#[serde(deserialize_with = "scalar::number")] pub u32);

/// A host. Without Sys.Audit its capacity is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Its name.
    pub node: String,
    /// `online`, `offline` or `unknown`.
    pub status: String,
    /// Processors.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub maxcpu: Option<u64>,
    /// Memory in bytes.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub maxmem: Option<u64>,
    /// Memory used now, in bytes.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub mem: Option<u64>,
    /// SHA-256 fingerprint of its certificate.
    pub ssl_fingerprint: Option<String>,
}

/// A row of `/cluster/status`: the cluster itself or one of its hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClusterPart {
    /// `cluster` or `node`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Of the cluster: whether enough hosts are connected to change anything.
    #[serde(deserialize_with = "scalar::flag_or_none")]
    pub quorate: Option<bool>,
    /// Of a host: its address, as the other hosts know it.
    #[serde(deserialize_with = "scalar::text_or_none")]
    pub ip: Option<String>,
}

/// A host, a guest or something else as the whole cluster knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// VM ID; 0 for rows that are no guest.
    #[serde(deserialize_with = "scalar::number")]
    pub vmid: u32,
    /// The host that holds it, or the host itself.
    pub node: String,
    /// `qemu`, `lxc`, `node`, or another kind that isn't read.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name; missing right after its creation.
    #[serde(deserialize_with = "scalar::name_or_none")]
    pub name: Option<String>,
    /// Of a guest `running`, `stopped`, or `unknown` while no host reports it; of a host `online` or `offline`.
    pub status: String,
    /// Its tags, joined by semicolons.
    #[serde(deserialize_with = "scalar::text_or_none")]
    pub tags: Option<String>,
    /// The pool that it is in, if the token sees pools.
    pub pool: Option<String>,
    /// The lock that is on it.
    pub lock: Option<String>,
    /// Whether it is a template.
    #[serde(deserialize_with = "scalar::flag")]
    pub template: bool,
    /// Processors.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub maxcpu: Option<u64>,
    /// Memory in bytes.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub maxmem: Option<u64>,
}

/// A VM as its host knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VmRow {
    /// VM ID.
    #[serde(deserialize_with = "scalar::number")]
    pub vmid: u32,
    /// Its name.
    #[serde(deserialize_with = "scalar::name_or_none")]
    pub name: Option<String>,
    /// `running` or `stopped`.
    pub status: String,
    /// The lock that is on it.
    pub lock: Option<String>,
    /// Its tags, joined by semicolons.
    #[serde(deserialize_with = "scalar::text_or_none")]
    pub tags: Option<String>,
    /// Whether it is a template.
    #[serde(deserialize_with = "scalar::flag")]
    pub template: bool,
    /// Memory in bytes.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub maxmem: Option<u64>,
}

/// Whether a VM runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Power {
    /// `running` or `stopped`.
    pub status: String,
    /// The lock that is on it.
    pub lock: Option<String>,
    /// What the cluster's high availability says of it.
    pub ha: Ha,
}

impl Power {
    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }
}

/// What the cluster's high availability says of a VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ha {
    /// Whether it starts and stops the VM by its own will.
    #[serde(deserialize_with = "scalar::flag")]
    pub managed: bool,
    /// What it has in hand: `started`, `stopped`, `error`, `fence`, …
    pub state: Option<String>,
}

/// The guest agent's answer about NICs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nics(pub Vec<Nic>);

/// One NIC of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Nic {
    /// Its name in the guest.
    pub name: String,
    /// Its hardware address, lower case.
    pub hardware_address: String,
    /// Its addresses.
    pub ip_addresses: Vec<NicAddress>,
}

/// An address of a NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct NicAddress {
    /// The address without its prefix length.
    pub ip_address: String,
}

impl<'de> Deserialize<'de> for Nics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut answer = Value::deserialize(deserializer)?;
        // An agent that doesn't know the command answers with an error object in place of the list.
        let rows = answer.get_mut("result").map(Value::take).and_then(|result| match result {
            Value::Array(rows) => Some(rows),
            _ => None,
        });
        let nic = |row| Nic::deserialize(row).ok();
        Ok(Self(rows.unwrap_or_default().into_iter().filter_map(nic).collect()))
    }
}

/// A storage as one host sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// Its name.
    pub storage: String,
    /// Its type: `dir`, `lvmthin`, `zfspool`, `nfs`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// What it may hold, joined by commas.
    pub content: String,
    /// Whether all hosts see the same.
    #[serde(deserialize_with = "scalar::flag")]
    pub shared: bool,
    /// Whether it is usable now.
    #[serde(deserialize_with = "scalar::flag")]
    pub active: bool,
    /// Whether it is switched on.
    #[serde(deserialize_with = "scalar::flag")]
    pub enabled: bool,
    /// Free bytes.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub avail: Option<u64>,
}

impl Storage {
    /// Whether it may hold this kind of content.
    pub fn holds(&self, content: &str) -> bool {
        self.content.split(',').any(|kind| kind.trim() == content)
    }

    /// What to do so that it may hold this content. Only storages of files can hold images to import.
    pub fn advice(&self, content: &str) -> String {
        const BLOCK: [&str; 6] = ["lvm", "lvmthin", "zfspool", "rbd", "iscsi", "iscsidirect"];
        let (storage, kind, held) = (&self.storage, &self.kind, &self.content);
        match matches!(content, "import" | "iso") && BLOCK.contains(&kind.as_str()) {
            true => format!(
                "a storage of type {kind} can't hold `{content}`: name a directory, NFS or CIFS storage in `images`, as `local`"
            ),
            false => format!("on a host: `pvesm set {storage} --content {held},{content}`"),
        }
    }
}

/// A volume on a storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Content {
    /// `storage:import/name.qcow2`.
    pub volid: String,
    /// Bytes.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub size: Option<u64>,
    /// When its file was last changed, in seconds since 1970.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub ctime: Option<u64>,
    /// The VM ID that it was allocated for.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub vmid: Option<u32>,
}

/// Where a task is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TaskState {
    /// `running` or `stopped`.
    pub status: String,
    /// How it ended.
    pub exitstatus: Option<String>,
}

impl TaskState {
    /// Whether it has ended with warnings, which are in its log.
    pub fn has_warnings(&self) -> bool {
        self.status == "stopped" && self.exitstatus.as_deref().is_some_and(|text| text.starts_with("WARNINGS:"))
    }

    /// Whether it has ended well; `None` while it runs. One with warnings has done its work.
    pub fn outcome(&self) -> Option<Result<(), &str>> {
        if self.status != "stopped" {
            return None;
        }
        match self.exitstatus.as_deref() {
            Some("OK") => Some(Ok(())),
            Some(text) if text.starts_with("WARNINGS:") => Some(Ok(())),
            Some(text) => Some(Err(text)),
            None => Some(Err("unexpected status")),
        }
    }
}

/// A task of a VM; it is at work as long as it has no end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AtWork {
    /// What it does: `qmconfig`, `resize`, `vzdump`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// When it ended, in seconds since 1970.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub endtime: Option<u64>,
}

impl AtWork {
    /// Whether it is under way, and may change the VM: who only looks at its screen or console doesn't.
    pub fn is_at_work(&self) -> bool {
        const LOOKING: [&str; 3] = ["vncproxy", "spiceproxy", "vncshell"];
        self.endtime.is_none() && !LOOKING.contains(&self.kind.as_str())
    }
}

/// A line of a task's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogLine {
    /// The line.
    pub t: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_error_reads_as_no_nics() {
        let nics: Nics = serde_json::from_str(r#"{"result":{"error":{"class":"CommandNotFound"}}}"#).unwrap();
        assert_eq!(nics, Nics::default());

        let nics: Nics = serde_json::from_str(
            r#"{"result":[{"name":"lo"},{"name":"ens18","hardware-address":"bc:24:11:00:00:01",
                "ip-addresses":[{"ip-address":"10.0.0.11","ip-address-type":"ipv4","prefix":24}]}]}"#,
        )
        .unwrap();
        assert_eq!(nics.0[1].ip_addresses[0].ip_address, "10.0.0.11");
        assert_eq!(nics.0[0].ip_addresses, []);
    }

    #[test]
    fn a_task_with_warnings_has_succeeded_and_one_without_last_words_has_not() {
        let task = |exit: Option<&str>| TaskState { status: "stopped".into(), exitstatus: exit.map(Into::into) };

        assert_eq!(task(Some("WARNINGS: 2")).outcome(), Some(Ok(())));
        assert_eq!(task(None).outcome(), Some(Err("unexpected status")));
        assert_eq!(TaskState { status: "running".into(), exitstatus: None }.outcome(), None);
    }

    #[test]
    fn who_looks_at_a_console_is_not_at_work_on_the_vm() {
        let work = |kind: &str, endtime| AtWork { kind: kind.into(), endtime };
        assert!(work("qmconfig", None).is_at_work() && !work("qmconfig", Some(5)).is_at_work());
        assert!(!work("vncproxy", None).is_at_work());
    }

    #[test]
    fn a_storage_of_volumes_is_never_told_to_hold_files() {
        let storage = |kind: &str| Storage {
            storage: "s".into(),
            kind: kind.into(),
            content: "images".into(),
            ..Storage::default()
        };
        assert_eq!(storage("dir").advice("import"), "on a host: `pvesm set s --content images,import`");
        assert!(storage("lvmthin").advice("import").contains("can't hold `import`"));
        assert!(storage("zfspool").advice("iso").contains("can't hold `iso`"));
    }

    #[test]
    fn a_release_is_compared_by_major_and_minor() {
        let minor = |version: &str| Release { version: version.into() }.minor();
        assert_eq!((minor("9.2.11"), minor("8.4-1"), minor("x")), ((9, 2), (8, 4), (0, 0)));
    }
}
