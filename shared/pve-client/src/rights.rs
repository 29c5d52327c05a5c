//! What a token may do, what it has to, and the commands that allow it.

use crate::answer::Permissions;

/// The role that the commands here make. Names that begin with PVE are refused, in any case.
pub const ROLE: &str = "TalosVm";

/// The release that renamed the privilege to ask guest agents.
const PROXMOX_VE_9: (u32, u32) = (9, 0);

/// What a token needs on every release for the calls of [`crate::request`], from the image to the VM. Seen on Proxmox VE
/// 9.2: each was taken away in turn. `startup` of a VM also needs Sys.Modify on `/`; as few clusters set it and the
/// privilege is wide, it isn't among them.
pub const NEEDED: [&str; 13] = [
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CPU",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "SDN.Use",
    "Sys.AccessNetwork",
];

/// What everything works without, but less well: hosts then report neither their memory and cores nor the cluster's name
/// and quorum.
pub const USEFUL: &str = "Sys.Audit";

/// The privilege to ask a guest agent, which only nodes without a static address need.
pub fn agent_privilege(release: (u32, u32)) -> &'static str {
    if release >= PROXMOX_VE_9 { "VM.GuestAgent.Audit" } else { "VM.Monitor" }
}

/// The privileges of the role for this release.
pub fn role(release: (u32, u32)) -> Vec<&'static str> {
    NEEDED.into_iter().chain([agent_privilege(release), USEFUL]).collect()
}

/// The commands, to be run on a host, that give a token and its user everything that is needed below this path. The role
/// is whole, for a right that is given at a path replaces those from above; one that exists keeps what else it has.
pub fn commands(token: &str, path: &str, role: &[&str]) -> String {
    let user = token.split('!').next().unwrap_or(token);
    format!(
        "on a host: `pveum role add {ROLE} -privs \"{}\"` (if it exists: `pveum role modify` with `-append 1`), then \
         `pveum acl modify {path} --users {user} --tokens '{token}' --roles {ROLE}`",
        role.join(" ")
    )
}

/// What a token may do, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(Permissions);

impl From<Permissions> for Rights {
    fn from(permissions: Permissions) -> Self {
        Self(permissions)
    }
}

impl Rights {
    /// Whether the token may do nothing at all: with privilege separation it has only rights that were given to itself.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(std::collections::BTreeMap::is_empty)
    }

    /// The IDs of VMs that the token may not see although it has rights around them.
    pub fn unseen_vms(&self) -> Vec<u32> {
        let vmid = |path: &str| path.strip_prefix("/vms/")?.parse().ok();
        let unseen = self.0.iter().filter(|(_, held)| !held.contains_key("VM.Audit"));
        unseen.filter_map(|(path, _)| vmid(path)).collect()
    }

    /// Whether a privilege is held on a path. A path that the server doesn't list has what the nearest one above hands
    /// down.
    pub fn holds(&self, path: &str, privilege: &str) -> bool {
        self.at(path, privilege).is_some()
    }

    /// Whether a privilege is held on a path and everything below it.
    pub fn holds_below(&self, path: &str, privilege: &str) -> bool {
        self.at(path, privilege) == Some(true)
    }

    /// Whether a privilege is held on any path that begins so.
    pub fn holds_somewhere(&self, below: &str, privilege: &str) -> bool {
        let inside = |path: &str| path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.holds(below, privilege) || self.0.iter().any(|(path, held)| inside(path) && held.contains_key(privilege))
    }

    /// Whether the server lists rights on this very path: somebody gave some there.
    pub fn lists(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|held| !held.is_empty())
    }

    /// Whether a privilege is handed down from a path; `None` if it isn't held there.
    fn at(&self, path: &str, privilege: &str) -> Option<bool> {
        let hands_down = |value: &serde_json::Value| crate::scalar::written(value).is_some_and(|text| text != "0");
        if let Some(held) = self.0.get(path) {
            return held.get(privilege).map(hands_down);
        }
        let mut above = path;
        while let Some(end) = above.rfind('/').filter(|_| above != "/") {
            above = if end == 0 { "/" } else { &above[..end] };
            if let Some(held) = self.0.get(above) {
                return held.get(privilege).map(hands_down).filter(|down| *down);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(json: &str) -> Rights {
        Rights::from(serde_json::from_str::<Permissions>(json).unwrap())
    }

    #[test]
    fn a_right_reaches_down_unless_it_is_for_its_path_alone() {
        let rights = rights(r#"{"/":{"Sys.Audit":0},"/vms":{"VM.Audit":1},"/vms/105":{"VM.PowerMgmt":1}}"#);

        assert!(rights.holds("/vms", "VM.Audit") && rights.holds("/vms/100", "VM.Audit"));
        assert!(!rights.holds("/vms/105", "VM.Audit"), "a nearer path replaces those above it");
        assert!(rights.holds("/", "Sys.Audit") && !rights.holds_below("/", "Sys.Audit"));
        assert!(!rights.holds("/nodes/pve1", "Sys.Audit"));
        assert!(rights.holds_somewhere("/vms", "VM.PowerMgmt") && !rights.holds_somewhere("/nodes", "VM.PowerMgmt"));
    }

    #[test]
    fn a_token_that_nobody_gave_a_right_has_none() {
        assert!(rights("{}").is_empty() && rights(r#"{"/":{}}"#).is_empty());
        assert!(!rights(r#"{"/storage/local":{"Datastore.Audit":1}}"#).is_empty());
    }

    #[test]
    fn the_role_has_the_agents_privilege_of_the_release_and_each_privilege_once() {
        assert!(role((9, 2)).contains(&"VM.GuestAgent.Audit") && !role((9, 2)).contains(&"VM.Monitor"));
        assert!(role((8, 4)).contains(&"VM.Monitor") && !role((8, 4)).contains(&"VM.GuestAgent.Audit"));
        let mut sorted = role((9, 2));
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), role((9, 2)).len());
    }

    #[test]
    fn the_commands_name_the_user_and_the_token_and_no_reserved_role() {
        let text = commands("talos@pve!cli", "/vms", &["VM.Audit"]);
        assert!(text.contains("pveum acl modify /vms --users talos@pve --tokens 'talos@pve!cli' --roles"), "{text}");
        assert!(!ROLE.to_ascii_lowercase().starts_with("pve"));
    }
}
