//! What names a VM by its ID.

use serde::Deserialize;

use crate::scalar;

/// A job that makes backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BackupJob {
    /// Its name.
    pub id: String,
    /// The IDs of the guests that it names, with commas between them; none if it takes all of them, or a pool.
    #[serde(deserialize_with = "scalar::text_or_none")]
    pub vmid: Option<String>,
}

impl BackupJob {
    /// Whether it names this guest.
    pub fn names(&self, vmid: u32) -> bool {
        let ids = self.vmid.as_deref().unwrap_or_default().split([',', ';', ' ']);
        ids.filter_map(|id| id.trim().parse::<u32>().ok()).any(|id| id == vmid)
    }
}

/// A job that replicates a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Replication {
    /// Its name: `100-0`.
    pub id: String,
    /// The guest.
    #[serde(deserialize_with = "scalar::number_or_none")]
    pub guest: Option<u64>,
}

/// Options of a VM's firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FirewallOptions {
    /// Whether it is on.
    #[serde(deserialize_with = "scalar::flag")]
    pub enable: bool,
}

/// A role that somebody has at a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Right {
    /// The path: `/vms/100`.
    pub path: String,
    /// The user, group or token.
    pub ugid: String,
    /// The role.
    pub roleid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_names_whole_ids_only() {
        let job = |list: &str| serde_json::from_str::<BackupJob>(&format!(r#"{{"id":"b","vmid":{list}}}"#)).unwrap();
        assert!(job(r#""100,147""#).names(147) && job("147").names(147));
        assert!(!job(r#""1147,14""#).names(147) && !BackupJob::default().names(147));
    }
}
