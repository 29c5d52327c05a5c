//! Privileges and the roles that every cluster has.

use std::collections::{BTreeMap, BTreeSet};

use super::release::Release;

/// What a privilege is counted to, and which of the built-in roles of that group hold it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Root,
    Admin,
    User,
    Audit,
}

/// Every privilege with its group, after the groups of `PVE::AccessControl`.
const ALL: &[(&str, Class, &str)] = &[
    ("VM", Class::Admin, "VM.Config.Disk"),
    ("VM", Class::Admin, "VM.Config.CPU"),
    ("VM", Class::Admin, "VM.Config.Memory"),
    ("VM", Class::Admin, "VM.Config.Network"),
    ("VM", Class::Admin, "VM.Config.HWType"),
    ("VM", Class::Admin, "VM.Config.Options"),
    ("VM", Class::Admin, "VM.Allocate"),
    ("VM", Class::Admin, "VM.Clone"),
    ("VM", Class::Admin, "VM.GuestAgent.Unrestricted"),
    ("VM", Class::Admin, "VM.Migrate"),
    ("VM", Class::Admin, "VM.Monitor"),
    ("VM", Class::Admin, "VM.Replicate"),
    ("VM", Class::Admin, "VM.Snapshot"),
    ("VM", Class::Admin, "VM.Snapshot.Rollback"),
    ("VM", Class::User, "VM.Config.CDROM"),
    ("VM", Class::User, "VM.Config.Cloudinit"),
    ("VM", Class::User, "VM.Console"),
    ("VM", Class::User, "VM.Backup"),
    ("VM", Class::User, "VM.GuestAgent.FileRead"),
    ("VM", Class::User, "VM.GuestAgent.FileSystemMgmt"),
    ("VM", Class::User, "VM.GuestAgent.FileWrite"),
    ("VM", Class::User, "VM.PowerMgmt"),
    ("VM", Class::Audit, "VM.Audit"),
    ("VM", Class::Audit, "VM.GuestAgent.Audit"),
    ("Sys", Class::Root, "Sys.PowerMgmt"),
    ("Sys", Class::Root, "Sys.Modify"),
    ("Sys", Class::Root, "Sys.Incoming"),
    ("Sys", Class::Root, "Sys.AccessNetwork"),
    ("Sys", Class::Admin, "Sys.Console"),
    ("Sys", Class::Admin, "Sys.Syslog"),
    ("Sys", Class::Audit, "Sys.Audit"),
    ("Datastore", Class::Admin, "Datastore.Allocate"),
    ("Datastore", Class::Admin, "Datastore.AllocateTemplate"),
    ("Datastore", Class::User, "Datastore.AllocateSpace"),
    ("Datastore", Class::Audit, "Datastore.Audit"),
    ("SDN", Class::Admin, "SDN.Allocate"),
    ("SDN", Class::Audit, "SDN.Audit"),
    ("SDN", Class::User, "SDN.Use"),
    ("User", Class::Root, "Realm.Allocate"),
    ("User", Class::Admin, "User.Modify"),
    ("User", Class::Admin, "Group.Allocate"),
    ("User", Class::Admin, "Realm.AllocateUser"),
    ("Pool", Class::Admin, "Pool.Allocate"),
    ("Pool", Class::User, "Pool.Audit"),
    ("Pool", Class::Audit, "Pool.Audit"),
    ("Mapping", Class::Admin, "Mapping.Modify"),
    ("Mapping", Class::User, "Mapping.Use"),
    ("Mapping", Class::Audit, "Mapping.Audit"),
    ("", Class::Root, "Permissions.Modify"),
];

/// Groups that have no role for mere users.
const WITHOUT_USERS: &[&str] = &["Sys", "User"];

fn known(release: Release) -> impl Iterator<Item = &'static (&'static str, Class, &'static str)> {
    ALL.iter().filter(move |(.., name)| match release {
        Release::V8_4 => !name.starts_with("VM.GuestAgent") && *name != "VM.Replicate",
        Release::V9_2 => *name != "VM.Monitor",
    })
}

/// Whether a release knows a privilege.
pub(crate) fn is_known(release: Release, name: &str) -> bool {
    known(release).any(|(.., known)| *known == name)
}

/// Every privilege of a release.
pub(crate) fn all(release: Release) -> BTreeSet<String> {
    known(release).map(|(.., name)| (*name).to_owned()).collect()
}

/// The roles that nobody can change.
pub(crate) fn roles(release: Release) -> BTreeMap<String, BTreeSet<String>> {
    let mut roles = BTreeMap::from([
        ("NoAccess".to_owned(), BTreeSet::new()),
        ("Administrator".to_owned(), all(release)),
        ("PVETemplateUser".to_owned(), ["VM.Audit", "VM.Clone"].map(str::to_owned).into()),
    ]);
    let mut give = |role: String, name: &str| roles.entry(role).or_default().insert(name.to_owned());
    for (group, class, name) in known(release).filter(|(group, class, _)| !group.is_empty() && *class != Class::Root) {
        give(format!("PVE{group}Admin"), name);
        if *name != "Mapping.Modify" {
            give("PVEAdmin".to_owned(), name);
        }
        if *class != Class::Admin && !WITHOUT_USERS.contains(group) {
            give(format!("PVE{group}User"), name);
        }
        if *class == Class::Audit {
            give("PVEAuditor".to_owned(), name);
        }
    }
    roles
}
