//! The identity of a VM: derived from the cluster's identity and the node's name, never from VM IDs or cluster names.

use pve_client::answer::Config;
use sha2::{Digest, Sha256};

/// The line of a description that marks a VM as ours.
pub(crate) const MARK: &str = "ichor-uid: ";

/// The identity of a cluster's VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: String,
}

/// Whom a VM belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// UUID and mark are ours.
    Ours,
    /// The UUID is ours, but somebody removed the mark.
    Unmarked,
    /// Somebody else's.
    Foreign,
}

impl Identity {
    pub(crate) fn new(uid: &str) -> Self {
        Self { uid: uid.to_owned() }
    }

    fn digest(&self, what: &str, node: &str, index: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in ["ichor/v1", what, &self.uid, node, index] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        digest.finalize().into()
    }

    /// The SMBIOS UUID of a node's VM: version 8 of RFC 9562, lower case.
    pub(crate) fn uuid(&self, node: &str) -> String {
        let mut bytes = self.digest("vm", node, "");
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = base16ct::lower::encode_string(&bytes[..16]);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The hardware address of a node's NIC, with the prefix that Proxmox VE uses, upper case.
    pub(crate) fn mac(&self, node: &str, nic: usize) -> String {
        let bytes = self.digest("mac", node, &nic.to_string());
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", bytes[0], bytes[1], bytes[2])
    }

    /// The description of a node's VM, below what the user wrote.
    pub(crate) fn description(&self, cluster: &str, node: &str, own: Option<&str>) -> String {
        let own = own.map(|text| format!("{}\n\n", text.trim_end())).unwrap_or_default();
        format!(
            "{own}Node {node} of the Talos cluster {cluster}. The next line marks the VM as Ichor's; keep it.\n{MARK}{}",
            self.uid
        )
    }

    /// Whether a line of a description is the one above the mark.
    pub(crate) fn introduces(line: &str) -> bool {
        line.starts_with("Node ") && line.ends_with("marks the VM as Ichor's; keep it.")
    }

    /// The tag that marks a VM as ours.
    pub(crate) fn tag(&self) -> String {
        format!("ichor-{}", self.uid.get(..8).unwrap_or(&self.uid))
    }

    /// Whether a VM has our mark, in its description or as a tag.
    pub(crate) fn marks(&self, config: &Config) -> bool {
        let line = format!("{MARK}{}", self.uid);
        config.get("description").is_some_and(|text| text.lines().any(|it| it.trim() == line))
            || config.get("tags").is_some_and(|tags| has_tag(tags, &self.tag()))
    }

    /// Whether a VM belongs to this node.
    pub(crate) fn owner(&self, config: &Config, node: &str) -> Owner {
        match config.uuid() == Some(self.uuid(node)) {
            true if self.marks(config) => Owner::Ours,
            true => Owner::Unmarked,
            false => Owner::Foreign,
        }
    }
}

/// Whether a list of tags has this one; case doesn't matter.
pub(crate) fn has_tag(tags: &str, tag: &str) -> bool {
    tags.split([';', ',', ' ']).any(|other| other.eq_ignore_ascii_case(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity::new("00112233445566778899aabbccddeeff")
    }

    #[test]
    fn a_nodes_identity_never_changes() {
        // Once written, these values are in users' VMs: they may never be others.
        assert_eq!(identity().uuid("cp-1"), "bb1889c0-91c6-8088-ae07-234519abd3db");
        assert_eq!(identity().mac("cp-1", 0), "BC:24:11:C0:63:0A");
    }

    #[test]
    fn nodes_clusters_and_nics_differ() {
        let other = Identity::new("ff112233445566778899aabbccddeeff");
        assert_ne!(identity().uuid("cp-1"), identity().uuid("cp-2"));
        assert_ne!(identity().uuid("cp-1"), other.uuid("cp-1"));
        assert_ne!(identity().mac("cp-1", 0), identity().mac("cp-1", 1));
    }

    #[test]
    fn a_vm_is_ours_by_uuid_and_a_mark_that_is_left() {
        let (id, uuid) = (identity(), format!("uuid={}", identity().uuid("cp-1").to_uppercase()));
        let description = id.description("lab", "cp-1", Some("my notes"));
        let owner = |pairs: &[(&str, &str)]| id.owner(&pairs.iter().copied().collect(), "cp-1");

        assert_eq!(owner(&[("smbios1", &uuid), ("description", &description)]), Owner::Ours);
        assert_eq!(owner(&[("smbios1", &uuid), ("tags", "a;ICHOR-00112233")]), Owner::Ours);
        assert_eq!(owner(&[("smbios1", &uuid), ("tags", "a")]), Owner::Unmarked);
        assert_eq!(owner(&[("description", &description)]), Owner::Foreign);
    }
}
