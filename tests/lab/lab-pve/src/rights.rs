//! Groups, roles and rights, and what they add up to for somebody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::access::Token;
use super::directory::Holder;
use super::reply::{Refusal, Reply};
use super::state::{Call, State};

fn named(call: &Call<'_>, name: &str) -> String {
    call.path.get(name).cloned().or_else(|| call.param(name).map(str::to_owned)).unwrap_or_default()
}

fn listed(list: Option<&str>) -> Vec<String> {
    list.unwrap_or_default().split([',', ';', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `GET /access`.
pub(crate) fn index(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let names = ["users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password"];
    Ok(Value::Array(names.iter().map(|name| json!({"subdir": name})).collect()).into())
}

/// `GET /access/groups`.
pub(crate) fn groups(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let seen = state.access.directory.groups.iter().filter(|(group, _)| {
        let path = format!("/access/groups/{group}");
        ["User.Modify", "Sys.Audit", "Group.Allocate"].iter().any(|privilege| call.token.may(&path, privilege))
    });
    let rows = seen.map(|(group, (members, comment))| {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let mut row = json!({"groupid": group, "users": members.join(",")});
        if !comment.is_empty() {
            row["comment"] = comment.as_str().into();
        }
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

fn no_group(failed: &str, group: &str) -> Refusal {
    Refusal::failed(format!("{failed}group '{group}' does not exist"))
}

/// `GET /access/groups/{groupid}`.
pub(crate) fn group(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let group = named(call, "groupid");
    let (members, comment) = state.access.directory.groups.get(&group).ok_or_else(|| no_group("", &group))?;
    let mut data = json!({"members": members});
    if !comment.is_empty() {
        data["comment"] = comment.as_str().into();
    }
    Ok(data.into())
}

/// `POST /access/groups`.
pub(crate) fn add_group(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.users_locked("create group failed: ")?;
    let group = named(call, "groupid");
    if state.access.directory.groups.contains_key(&group) {
        return Err(Refusal::failed(format!("create group failed: group '{group}' already exists")));
    }
    let comment = call.param("comment").unwrap_or_default().to_owned();
    state.access.directory.groups.insert(group, (BTreeSet::new(), comment));
    Ok(Value::Null.into())
}

/// `PUT /access/groups/{groupid}`.
pub(crate) fn change_group(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.users_locked("update group failed: ")?;
    let group = named(call, "groupid");
    let known =
        state.access.directory.groups.get_mut(&group).ok_or_else(|| no_group("update group failed: ", &group))?;
    if let Some(comment) = call.param("comment") {
        comment.clone_into(&mut known.1);
    }
    Ok(Value::Null.into())
}

/// `DELETE /access/groups/{groupid}`.
pub(crate) fn remove_group(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    state.users_locked("delete group failed: ")?;
    let group = named(call, "groupid");
    state.access.directory.groups.remove(&group).ok_or_else(|| no_group("delete group failed: ", &group))?;
    state.access.directory.forget(Holder::Group, &group);
    Ok(Value::Null.into())
}

/// `GET /access/roles`.
pub(crate) fn roles(state: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let directory = &state.access.directory;
    let rows = directory.roles.iter().map(|(role, held)| {
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        json!({"privs": held.join(","), "roleid": role, "special": u8::from(directory.is_special(role))})
    });
    Ok(Value::Array(rows.collect()).into())
}

fn no_role(failed: &str, role: &str) -> Refusal {
    Refusal::failed(format!("{failed}role '{role}' does not exist"))
}

/// `GET /access/roles/{roleid}`.
pub(crate) fn role(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let role = named(call, "roleid");
    let held = state.access.directory.roles.get(&role).ok_or_else(|| no_role("", &role))?;
    Ok(Value::Object(held.iter().map(|privilege| (privilege.clone(), 1.into())).collect()).into())
}

/// `POST /access/roles`.
pub(crate) fn add_role(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const FAILED: &str = "create role failed: ";
    let role = named(call, "roleid");
    if role.to_lowercase().starts_with("pve") {
        let text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Refusal::parameter("roleid", text));
    }
    state.users_locked(FAILED)?;
    if state.access.directory.roles.contains_key(&role) {
        return Err(Refusal::failed(format!("{FAILED}role '{role}' already exists")));
    }
    let held = listed(call.param("privs")).into_iter().collect();
    state.access.directory.roles.insert(role, held);
    Ok(Value::Null.into())
}

/// `PUT /access/roles/{roleid}`.
pub(crate) fn change_role(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const FAILED: &str = "update role failed: ";
    let role = named(call, "roleid");
    if state.access.directory.is_special(&role) {
        return Err(Refusal::failed(format!("auto-generated role '{role}' cannot be modified")));
    }
    state.users_locked(FAILED)?;
    let held = listed(call.param("privs"));
    let known = state.access.directory.roles.get_mut(&role).ok_or_else(|| no_role(FAILED, &role))?;
    match call.param("append") {
        Some("1") => known.extend(held),
        _ => *known = held.into_iter().collect(),
    }
    Ok(Value::Null.into())
}

/// `DELETE /access/roles/{roleid}`.
pub(crate) fn remove_role(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let role = named(call, "roleid");
    if state.access.directory.is_special(&role) {
        return Err(Refusal::failed(format!("auto-generated role '{role}' cannot be deleted")));
    }
    state.users_locked("delete role failed: ")?;
    state.access.directory.roles.remove(&role).ok_or_else(|| no_role("delete role failed: ", &role))?;
    Ok(Value::Null.into())
}

/// What lets somebody change the rights at a path.
fn may_modify(token: &Token, path: &str) -> Result<(), String> {
    let own = [("/storage/", "Datastore.Allocate"), ("/vms/", "VM.Allocate"), ("/pool/", "Pool.Allocate")];
    let own = own.iter().filter(|(start, _)| path.starts_with(start)).map(|(_, privilege)| *privilege);
    token.require(path, &["Permissions.Modify"].into_iter().chain(own).collect::<Vec<_>>())
}

/// `GET /access/acl`: the rights at paths whose rights the asker may change, or all for who may audit.
pub(crate) fn rights(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let audits = call.token.may("/access", "Sys.Audit");
    let seen = state.access.directory.rights.iter();
    let seen = seen.filter(|((path, ..), _)| audits || may_modify(call.token, path).is_ok());
    let rows = seen.map(|((path, holder, name, role), down)| {
        let kind = match holder {
            Holder::User => "user",
            Holder::Group => "group",
            Holder::Token => "token",
        };
        json!({"path": path, "propagate": u8::from(*down), "roleid": role, "type": kind, "ugid": name})
    });
    Ok(Value::Array(rows.collect()).into())
}

/// A path with one slash between its parts and none at its end.
fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let fits = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte));
    (fits && !path.is_empty()).then(|| format!("/{}", parts.join("/")))
}

/// Whether rights can be given at a path.
fn is_place(path: &str) -> bool {
    const ROOTS: &[(&str, usize)] = &[
        ("access/groups", 1),
        ("access/realm", 1),
        ("access", 0),
        ("mapping", 2),
        ("nodes", 1),
        ("pool", 3),
        ("sdn/controllers", 1),
        ("sdn/dns", 1),
        ("sdn/fabrics", 1),
        ("sdn/ipams", 1),
        ("sdn/zones", 3),
        ("sdn", 0),
        ("storage", 1),
        ("vms", 1),
    ];
    let path = &path[1..];
    let below = |root: &str| path.strip_prefix(root).map(|rest| (rest, rest.matches('/').count()));
    let (_, fits) = ROOTS.iter().fold((false, path.is_empty()), |(seen, fits), (root, depth)| match below(root) {
        Some((rest, count)) if !seen && (rest.is_empty() || rest.starts_with('/')) => (true, count <= *depth),
        _ => (seen, fits),
    });
    let vmid = path.strip_prefix("vms/").is_none_or(|vmid| super::option_formats::vmid(vmid).is_ok());
    fits && vmid
}

/// `PUT /access/acl`: gives rights or takes them away.
pub(crate) fn change_rights(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const FAILED: &str = "ACL update failed: ";
    let given = call.param("path").unwrap_or_default();
    let path = normal(given).unwrap_or_default();
    may_modify(call.token, &path).map_err(Refusal::forbidden)?;
    let holders = [("users", Holder::User), ("groups", Holder::Group), ("tokens", Holder::Token)];
    if holders.iter().all(|(name, _)| call.param(name).is_none_or(str::is_empty)) {
        let text = "either 'users', 'groups' or 'tokens' is required.".to_owned();
        return Err(Refusal::Parameters(holders.iter().map(|(name, _)| ((*name).to_owned(), text.clone())).collect()));
    }
    let deletes = call.param("delete") == Some("1");
    if path.is_empty() || (!deletes && !is_place(&path)) {
        return Err(Refusal::parameter("path", format!("invalid ACL path '{given}'")));
    }
    state.users_locked(FAILED)?;
    let down = call.param("propagate") != Some("0");
    let mut changed = Vec::new();
    for role in listed(call.param("roles")) {
        check_role(state, call.token, &path, &role, (deletes, down), FAILED)?;
        for (name, holder) in holders {
            for who in listed(call.param(name)) {
                check_holder(state, holder, &who).map_err(|text| Refusal::failed(format!("{FAILED}{text}")))?;
                changed.push((path.clone(), holder, who, role.clone()));
            }
        }
    }
    for right in changed {
        match deletes {
            true => state.access.directory.rights.remove(&right),
            false => state.access.directory.rights.insert(right, down),
        };
    }
    Ok(Value::Null.into())
}

fn check_holder(state: &State, holder: Holder, who: &str) -> Result<(), String> {
    let directory = &state.access.directory;
    match holder {
        Holder::User if !directory.users.contains_key(who) => Err(format!("user '{who}' does not exist")),
        Holder::Group if !directory.groups.contains_key(who) => Err(format!("group '{who}' does not exist")),
        Holder::Token if directory.token(who).is_none() => {
            let (user, token) = who.split_once('!').unwrap_or((who, ""));
            match directory.users.contains_key(user) {
                true => Err(format!("no such token '{token}' for user '{user}'")),
                false => Err(format!("no such user ('{user}')")),
            }
        }
        _ => Ok(()),
    }
}

/// Who may change rights only because of an object hands out no more than is held there.
fn check_role(
    state: &State,
    token: &Token,
    path: &str,
    role: &str,
    (deletes, down): (bool, bool),
    failed: &str,
) -> Result<(), Refusal> {
    let held = state.access.directory.roles.get(role).ok_or_else(|| no_role(failed, role))?;
    let own = token.at(path);
    if own.contains_key("Permissions.Modify") || token.is_root() {
        return Ok(());
    }
    let verb = if deletes { "remove" } else { "add" };
    let refuse = |text: String| Err(Refusal::parameter("role", format!("Cannot {verb} role '{role}' {text}")));
    if role == "NoAccess" {
        return refuse("- requires 'Permissions.Modify'".to_owned());
    }
    if held.iter().any(|privilege| !own.contains_key(privilege)) {
        return refuse("- requires 'Permissions.Modify' or superset of privileges.".to_owned());
    }
    match down && !deletes && held.iter().any(|privilege| own.get(privilege) == Some(&false)) {
        true => {
            refuse("with propagation - requires 'Permissions.Modify' or propagated superset of privileges.".to_owned())
        }
        false => Ok(()),
    }
}

/// Paths that are always looked at.
const PATHS: &[&str] = &["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];

fn shown(held: &BTreeMap<String, bool>) -> Value {
    Value::Object(held.iter().map(|(privilege, down)| (privilege.clone(), u8::from(*down).into())).collect())
}

/// `GET /access/permissions`: one's own, those of a token of one's own, or those of anybody for who may audit.
pub(crate) fn permissions(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let asked = call.param("userid").unwrap_or(&call.token.name);
    let own = asked == call.token.name || asked.split('!').next() == Some(call.token.name.as_str());
    if !own {
        call.token.require("/access", &["Sys.Audit"]).map_err(Refusal::forbidden)?;
    }
    let token = state.access.named(asked);
    let mut data = Map::new();
    let listed: BTreeSet<String> = match call.param("path") {
        Some(path) => [path.to_owned()].into(),
        None => token.paths().cloned().chain(PATHS.iter().map(|path| (*path).to_owned())).collect(),
    };
    for path in listed {
        let held = token.at(&path);
        if !held.is_empty() {
            data.insert(path, shown(&held));
        }
    }
    Ok(Value::Object(data).into())
}

/// What a user may do anywhere, by the first part of the path, as a login tells it.
pub(crate) fn capabilities(token: &Token) -> Value {
    let groups: &[(&str, &[&str])] = &[
        ("vms", &["VM.", "Permissions.Modify"]),
        ("access", &["User.", "Group.", "Permissions.Modify"]),
        ("storage", &["Datastore.", "Permissions.Modify"]),
        ("nodes", &["Sys.", "Permissions.Modify"]),
        ("sdn", &["SDN.", "Permissions.Modify"]),
        ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("mapping", &["Mapping.", "Permissions.Modify"]),
    ];
    let mut all: Map<String, Value> = groups.iter().map(|(name, _)| ((*name).to_owned(), json!({}))).collect();
    let required = ["/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"].map(str::to_owned);
    let paths: BTreeSet<String> = token.paths().cloned().chain(required).collect();
    for path in paths {
        let name = match path.split('/').nth(1) {
            Some("") | None => "dc",
            Some(name) => name,
        };
        let Some((_, starts)) = groups.iter().find(|(group, _)| *group == name) else { continue };
        let held = token.at(&path).into_keys().filter(|held| starts.iter().any(|start| held.starts_with(start)));
        if let Some(group) = all.get_mut(name).and_then(Value::as_object_mut) {
            group.extend(held.map(|privilege| (privilege, 1.into())));
        }
    }
    Value::Object(all)
}

/// The realms that every cluster has.
const REALMS: &[(&str, &str)] =
    &[("pve", "Proxmox VE authentication server"), ("pam", "Linux PAM standard authentication")];

/// `GET /access/domains`.
pub(crate) fn domains(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    let rows = REALMS.iter().map(|(realm, comment)| json!({"comment": comment, "realm": realm, "type": realm}));
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /access/domains/{realm}`.
pub(crate) fn domain(_: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let realm = named(call, "realm");
    let known = REALMS.iter().find(|(name, _)| *name == realm);
    let (_, comment) = known.ok_or_else(|| Refusal::failed(format!("domain '{realm}' does not exist")))?;
    Ok(json!({"comment": comment, "digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "type": realm}).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_given_where_something_is_and_nowhere_else() {
        for path in ["/", "/vms", "/vms/100", "/pool/a/b/c", "/sdn/zones/localnetwork/vmbr0/12", "/access/realm/pve"] {
            assert!(is_place(path), "{path}");
        }
        for path in ["/vm", "/vms/1", "/vms/100/x", "/nodes/a/b", "/access/users", "/storages/x", "/sdn/x"] {
            assert!(!is_place(path), "{path}");
        }
        assert_eq!(normal("vms//100/").as_deref(), Some("/vms/100"));
        assert_eq!(normal("/a b"), None);
    }
}
