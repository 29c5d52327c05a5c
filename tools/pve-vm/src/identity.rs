//! The identity of a VM: derived from the cluster's identity and the node's name, never from VM IDs or cluster names.
//!
//! An adopted VM keeps the UUID and the MAC addresses that it has: disks may be encrypted with the UUID, and Talos knows a
//! machine by it. `ichor.lock` remembers them, so that they are the node's from then on.

use std::collections::BTreeMap;

use pve_access::MARK;
pub(crate) use pve_access::has_tag;
use pve_client::answer::Config;
use record::{Lock, LockedMachine, Role};
use sha2::{Digest, Sha256};

use crate::naming::Naming;

/// The line of a description that says what the VM's node is in the cluster.
const ROLE: &str = "ichor-role: ";

/// The identity of a cluster's VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: String,
    /// The machines of adopted VMs, by node.
    adopted: BTreeMap<String, LockedMachine>,
    naming: Naming,
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
        Self { uid: uid.to_owned(), adopted: BTreeMap::new(), naming: Naming::default() }
    }

    /// The cluster's own ID, which its VMs and files bear.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// The identity that a lock holds, if it has one yet.
    pub(crate) fn of(lock: &Lock) -> Option<Self> {
        lock.uid().map(|uid| Self { adopted: lock.adopted(), ..Self::new(uid) })
    }

    /// The same with names of the file's pattern.
    pub(crate) fn named(self, naming: Naming) -> Self {
        Self { naming, ..self }
    }

    /// The name of a node's VM.
    pub(crate) fn vm_name(&self, node: &str) -> String {
        self.naming.of(node)
    }

    /// The same with one more adopted machine.
    pub(crate) fn with(&self, node: &str, machine: LockedMachine) -> Self {
        let mut identity = self.clone();
        identity.adopted.insert(node.to_owned(), machine);
        identity
    }

    fn digest(&self, what: &str, node: &str, index: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in ["ichor/v1", what, &self.uid, node, index] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        digest.finalize().into()
    }

    /// The SMBIOS UUID of a node's VM: version 8 of RFC 9562, lower case. That of an adopted VM is its own.
    pub(crate) fn uuid(&self, node: &str) -> String {
        if let Some(machine) = self.adopted.get(node) {
            return machine.uuid.clone();
        }
        let mut bytes = self.digest("vm", node, "");
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = base16ct::lower::encode_string(&bytes[..16]);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The hardware address of a node's NIC, with the prefix that Proxmox VE uses, upper case. A NIC that an adopted VM had
    /// keeps its own.
    pub(crate) fn mac(&self, node: &str, nic: usize) -> String {
        if let Some(mac) = self.adopted.get(node).and_then(|machine| machine.macs.get(&nic)) {
            return mac.clone();
        }
        let bytes = self.digest("mac", node, &nic.to_string());
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", bytes[0], bytes[1], bytes[2])
    }

    /// The description of a node's VM, below what the user wrote.
    pub(crate) fn description(&self, cluster: &str, node: &str, role: Role, own: Option<&str>) -> String {
        let own = own.map(|text| format!("{}\n\n", text.trim_end())).unwrap_or_default();
        format!(
            "{own}Node {node} of the Talos cluster {cluster}. The next lines mark the VM as Ichor's; keep them.\n{MARK}{}\n{ROLE}{role}",
            self.uid
        )
    }

    /// Whether a line of a description is one of those that [`Self::description`] adds, in this release or an earlier one.
    pub(crate) fn wrote(line: &str) -> bool {
        let introduces = line.starts_with("Node ")
            && line.contains(" of the Talos cluster ")
            && (line.ends_with("mark the VM as Ichor's; keep them.")
                || line.ends_with("marks the VM as Ichor's; keep it."));
        introduces || line.starts_with(MARK) || line.starts_with(ROLE)
    }

    /// The tag that marks a VM as ours.
    pub(crate) fn tag(&self) -> String {
        pve_access::tag(&self.uid)
    }

    /// Whether a VM has our mark, in its description or as a tag.
    pub(crate) fn marks(&self, config: &Config) -> bool {
        pve_access::is_marked(config, &self.uid)
    }

    /// The name of the node whose VM this is, if it is one of ours and its UUID proves the name: the mark says it, or the
    /// lock, or the VM has it.
    pub(crate) fn node<'a>(&'a self, config: &'a Config) -> Option<&'a str> {
        let uuid = config.uuid().filter(|_| self.marks(config))?;
        let adopted = self.adopted.iter().filter(|(_, machine)| machine.uuid == uuid).map(|(node, _)| node.as_str());
        let named = described(config).into_iter().chain(config.get("name").and_then(|name| self.naming.node(name)));
        named.filter(|name| self.uuid(name) == uuid).chain(adopted).next()
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

/// The node that a VM's mark names. A copy of the VM has the same mark.
pub(crate) fn described(config: &Config) -> Option<&str> {
    let lines = config.get("description")?.lines().map(str::trim);
    let named = lines.filter_map(|line| line.strip_prefix("Node ")?.split_once(" of the Talos cluster "));
    named.map(|(node, _)| node).rfind(|node| !node.contains(' '))
}

/// The node's role, if the VM's mark says it: VMs of earlier releases have a mark without it.
pub(crate) fn role(config: &Config) -> Option<Role> {
    let mut roles = config.get("description")?.lines().filter_map(|line| line.trim().strip_prefix(ROLE));
    match roles.next_back()?.trim() {
        "controlplane" => Some(Role::ControlPlane),
        "worker" => Some(Role::Worker),
        _ => None,
    }
}

/// The mark of another cluster that a VM has, or of another lock of this one: its line, or its tag.
pub(crate) fn other_mark<'a>(config: &'a Config, identity: &Identity) -> Option<&'a str> {
    let mut lines = config.get("description").unwrap_or_default().lines().map(str::trim);
    let line = lines.rfind(|line| line.strip_prefix(MARK).is_some_and(|uid| uid.trim() != identity.uid));
    let is_mark = |tag: &&str| {
        let uid = tag.strip_prefix("ichor-").unwrap_or_default();
        uid.len() == 8 && uid.bytes().all(|byte| byte.is_ascii_hexdigit()) && !tag.eq_ignore_ascii_case(&identity.tag())
    };
    line.or_else(|| config.get("tags")?.split([';', ',', ' ']).find(is_mark))
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
        let description = id.description("lab", "cp-1", Role::ControlPlane, Some("my notes"));
        let owner = |pairs: &[(&str, &str)]| id.owner(&pairs.iter().copied().collect(), "cp-1");

        assert_eq!(owner(&[("smbios1", &uuid), ("description", &description)]), Owner::Ours);
        assert_eq!(owner(&[("smbios1", &uuid), ("tags", "a;ICHOR-00112233")]), Owner::Ours);
        assert_eq!(owner(&[("smbios1", &uuid), ("tags", "a")]), Owner::Unmarked);
        assert_eq!(owner(&[("description", &description)]), Owner::Foreign);
    }

    fn machine() -> LockedMachine {
        let macs = [(0, "BC:24:11:00:00:01".to_owned())].into();
        LockedMachine { uuid: "4c4c4544-0038-3010-8054-b2c04f4d5032".into(), macs }
    }

    #[test]
    fn an_adopted_vm_keeps_its_uuid_and_its_macs_and_what_it_lacks_is_derived() {
        let adopted = identity().with("w-1", machine());
        assert_eq!((adopted.uuid("w-1"), adopted.mac("w-1", 0)), (machine().uuid, "BC:24:11:00:00:01".to_owned()));
        assert_eq!(adopted.mac("w-1", 1), identity().mac("w-1", 1));
        assert_eq!(adopted.uuid("w-2"), identity().uuid("w-2"));
    }

    #[test]
    fn the_node_of_a_vm_is_what_its_uuid_proves_and_never_what_a_copy_of_its_mark_says() {
        let id = identity().with("w-1", machine());
        let vm = |node: &str, uuid: &str, name: &str| -> Config {
            let (uuid, text) = (format!("uuid={uuid}"), id.description("lab", node, Role::Worker, Some("notes")));
            [("smbios1", uuid.as_str()), ("description", &text), ("name", name)].into_iter().collect()
        };
        let made = id.uuid("w-2");
        assert_eq!(id.node(&vm("w-2", &made, "renamed")), Some("w-2"));
        assert_eq!(id.node(&vm("w-2", &machine().uuid, "k8s-7")), Some("w-1"), "the lock knows it");
        assert_eq!(id.node(&vm("w-2", "00000000-0000-4000-8000-000000000000", "w-2")), None, "a copy");
        let untold: Config =
            [("smbios1", format!("uuid={made}").as_str()), ("tags", "ichor-00112233"), ("name", "w-2")]
                .into_iter()
                .collect();
        assert_eq!(id.node(&untold), Some("w-2"), "it is called so");
        assert_eq!(Identity::new("ff").node(&vm("w-2", &made, "w-2")), None, "another cluster's");
    }

    #[test]
    fn a_mark_names_the_node_and_its_role_and_one_of_an_earlier_release_the_node_only() {
        let read = |text: &str| -> (Option<String>, Option<Role>) {
            let config: Config = [("description", text)].into_iter().collect();
            (described(&config).map(str::to_owned), role(&config))
        };
        let made = identity().description("lab", "cp-1", Role::ControlPlane, Some("Node 7 of the rack\nichor-role: x"));
        assert_eq!(read(&made), (Some("cp-1".into()), Some(Role::ControlPlane)));
        let earlier =
            "Node w-2 of the Talos cluster lab. The next line marks the VM as Ichor's; keep it.\nichor-uid: 00";
        assert_eq!(read(earlier), (Some("w-2".into()), None));
        assert_eq!(read("mine\nichor-role: boss"), (None, None));
    }

    #[test]
    fn the_mark_of_another_cluster_is_seen_in_the_description_and_in_the_tags() {
        let other = |key: &str, value: &str| {
            let config: Config = [(key, value)].into_iter().collect();
            other_mark(&config, &identity()).map(str::to_owned)
        };
        assert_eq!(other("description", "x\nichor-uid: ff").as_deref(), Some("ichor-uid: ff"));
        assert_eq!(other("tags", "a;ichor;ichor-ffffffff").as_deref(), Some("ichor-ffffffff"));
        assert_eq!(other("description", &identity().description("lab", "w-1", Role::Worker, None)), None);
        assert_eq!(other("tags", "terraform;ichor;ichor-00112233;ichor-workers"), None);
    }
}
