//! What a token may do, what it has to, and the commands that allow it.

use std::collections::BTreeMap;

use serde_json::Value;

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

/// The commands, to be run on a host, that give a token and its user everything that is needed below this path, where it
/// isn't known what they have there: [`Rights::commands`] keeps that.
pub fn commands(token: &str, path: &str, role: &[&str]) -> String {
    let (user, id) = token.split_once('!').unwrap_or((token, "TOKENID"));
    let tail = match path {
        "/" => String::new(),
        _ => format!(
            "; this replaces what both have there from above: add what `pveum user permissions {user} --path {path}` and \
             `pveum user token permissions {user} {id} --path {path}` show"
        ),
    };
    given(token, &[path], role) + &tail
}

/// The role is whole, for a role that is given at a path replaces those from above; one that exists keeps what else it has.
fn given(token: &str, paths: &[&str], role: &[&str]) -> String {
    let user = token.split('!').next().unwrap_or(token);
    let acl = |path: &&str| format!("`pveum acl modify {path} --users {user} --tokens '{token}' --roles {ROLE}`");
    let acls: Vec<String> = paths.iter().map(acl).collect();
    format!(
        "on a host: `pveum role add {ROLE} -privs \"{}\"` (if it exists: `pveum role modify` with `-append 1`), then {}",
        role.join(" "),
        acls.join(" and ")
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
        self.0.values().all(BTreeMap::is_empty)
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

    /// The commands, to be run on a host, that give a token and its user this role at each of these paths. A role that is
    /// given at a path replaces what is handed down to it, so the role has everything that the token holds there already.
    pub fn commands(&self, token: &str, paths: &[&str], role: &[&str]) -> String {
        let mut whole = role.to_vec();
        for privilege in paths.iter().flat_map(|path| self.held(path)) {
            if !whole.contains(&privilege) {
                whole.push(privilege);
            }
        }
        let user = token.split('!').next().unwrap_or(token);
        let below = paths.iter().find(|path| **path != "/");
        let tail = below.map(|path| {
            format!("; `pveum user permissions {user} --path {path}` shows what {user} itself has there beyond the token: keep that, too")
        });
        given(token, paths, &whole) + &tail.unwrap_or_default()
    }

    /// What is held on a path: given there, or handed down to it.
    fn held(&self, path: &str) -> Vec<&str> {
        let Some((is_here, held)) = self.nearest(path) else { return Vec::new() };
        let counts = |value: &Value| is_here || hands_down(value);
        held.iter().filter(|(_, value)| counts(value)).map(|(privilege, _)| privilege.as_str()).collect()
    }

    /// Whether a privilege is handed down from a path; `None` if it isn't held there.
    fn at(&self, path: &str, privilege: &str) -> Option<bool> {
        let (is_here, held) = self.nearest(path)?;
        held.get(privilege).map(hands_down).filter(|down| *down || is_here)
    }

    /// What is held on the path itself, or on the nearest one above it that the server lists, and whether it is the former.
    fn nearest(&self, path: &str) -> Option<(bool, &BTreeMap<String, Value>)> {
        let mut at = path;
        loop {
            if let Some(held) = self.0.get(at) {
                return Some((at == path, held));
            }
            let end = at.rfind('/').filter(|_| at != "/")?;
            at = if end == 0 { "/" } else { &at[..end] };
        }
    }
}

/// Whether a privilege reaches further down than its path.
fn hands_down(value: &Value) -> bool {
    crate::scalar::written(value).is_some_and(|text| text != "0")
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

    /// Seen on Proxmox VE 9.2: a role at `/vms` took away what a role at `/` had given there.
    #[test]
    fn the_commands_keep_what_the_token_holds_at_the_path_by_its_own_or_from_above() {
        let rights = rights(r#"{"/":{"VM.Console":1,"Sys.Audit":0},"/pool/a":{"VM.Migrate":0,"VM.Audit":1}}"#);
        let privileges = |text: &str| text.split('"').nth(1).unwrap().to_owned();

        let told = rights.commands("talos@pve!cli", &["/vms"], &["VM.Audit"]);
        assert_eq!(privileges(&told), "VM.Audit VM.Console", "what isn't handed down isn't held there");
        assert!(told.contains("pveum user permissions talos@pve --path /vms"), "{told}");
        let told = rights.commands("talos@pve!cli", &["/pool/a", "/"], &["VM.Audit"]);
        assert_eq!(privileges(&told), "VM.Audit VM.Migrate Sys.Audit VM.Console");
        assert!(told.contains("acl modify /pool/a --users") && told.contains("acl modify / --users"), "{told}");
        let unknown = commands("talos@pve!cli", "/vms", &["VM.Audit"]);
        assert!(unknown.contains("pveum user token permissions talos@pve cli --path /vms"), "{unknown}");
        assert!(!commands("talos@pve!cli", "/", &["VM.Audit"]).contains("permissions"), "nothing is above it");
    }

    #[test]
    fn the_commands_name_the_user_and_the_token_and_no_reserved_role() {
        let text = commands("talos@pve!cli", "/vms", &["VM.Audit"]);
        assert!(text.contains("pveum acl modify /vms --users talos@pve --tokens 'talos@pve!cli' --roles"), "{text}");
        assert!(!ROLE.to_ascii_lowercase().starts_with("pve"));
    }
}
