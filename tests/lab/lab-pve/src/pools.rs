//! Pools: named sets of VMs and storages to which rights can be given.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::reply::{Refusal, Reply};
use super::resources;
use super::state::{Call, State};
use super::storage;

/// A pool; which VMs are in it, they say themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    comment: Option<String>,
    storages: BTreeSet<String>,
}

fn name(call: &Call<'_>) -> String {
    let given = call.path.get("poolid").cloned().or_else(|| call.param("poolid").map(str::to_owned));
    given.unwrap_or_default()
}

fn missing(pool: &str) -> String {
    format!("pool '{pool}' does not exist")
}

fn require(call: &Call<'_>, privilege: &str) -> Result<(), Refusal> {
    call.token.require(&format!("/pool/{}", name(call)), &[privilege]).map_err(Refusal::forbidden)
}

/// `GET /pools`: all of them, or one with its members.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    if call.param("poolid").is_some() {
        return Ok(json!([described(state, call)?]).into());
    }
    let seen = state.pools.iter().filter(|(pool, _)| call.token.may(&format!("/pool/{pool}"), "Pool.Audit"));
    let rows = seen.map(|(name, pool)| match &pool.comment {
        Some(comment) => json!({"comment": comment, "poolid": name}),
        None => json!({"poolid": name}),
    });
    Ok(Value::Array(rows.collect()).into())
}

/// `GET /pools/{poolid}`.
pub(crate) fn get(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Audit")?;
    Ok(described(state, call)?.into())
}

fn described(state: &State, call: &Call<'_>) -> Result<Value, Refusal> {
    let name = name(call);
    let pool = state.pools.get(&name).ok_or_else(|| Refusal::failed(missing(&name)))?;
    let wants = |kind: &str| call.param("type").is_none_or(|wanted| wanted == kind);
    let vms = state.vms.iter().filter(|(_, vm)| wants("qemu") && vm.pool.as_deref() == Some(&name));
    let mut members: Vec<Value> = vms.map(|(vmid, vm)| resources::vm_row(state, *vmid, vm, call.now)).collect();
    let node = state.settings.nodes.first().map_or("", String::as_str);
    let storages =
        state.settings.storages.iter().filter(|known| wants("storage") && pool.storages.contains(&known.name));
    members.extend(storages.map(|known| storage::resource(known, node, state.volumes.used(known, node))));
    let mut row = json!({"members": members, "poolid": name});
    if let Some(comment) = &pool.comment {
        row["comment"] = comment.as_str().into();
    }
    Ok(row)
}

/// `POST /pools`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Allocate")?;
    state.users_locked("create pool failed: ")?;
    let name = name(call);
    if state.pools.contains_key(&name) {
        return Err(Refusal::failed(format!("create pool failed: pool '{name}' already exists")));
    }
    let comment = call.param("comment").filter(|comment| !comment.is_empty()).map(str::to_owned);
    state.pools.insert(name, Pool { comment, ..Pool::default() });
    Ok(Value::Null.into())
}

/// `PUT /pools` and `PUT /pools/{poolid}`: adds VMs and storages, or takes them out with `delete`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Allocate")?;
    state.users_locked("update pools failed: ")?;
    changed(state, call, &name(call)).map_err(|text| Refusal::failed(format!("update pools failed: {text}")))?;
    Ok(Value::Null.into())
}

fn changed(state: &mut State, call: &Call<'_>, name: &str) -> Result<(), String> {
    let pool = state.pools.get_mut(name).ok_or_else(|| missing(name))?;
    if let Some(comment) = call.param("comment") {
        pool.comment = Some(comment.to_owned());
    }
    let removes = call.param("delete") == Some("1");
    for storage in super::form::listed(call.param("storage").unwrap_or_default()) {
        let (done, said) = match removes {
            true => (pool.storages.remove(storage), "is not a pool member"),
            false => (pool.storages.insert(storage.to_owned()), "is already a pool member"),
        };
        if !done {
            return Err(format!("Storage '{storage}' {said}"));
        }
    }
    let moves = call.param("allow-move") == Some("1");
    for vmid in super::form::listed(call.param("vms").unwrap_or_default()) {
        let vm = vmid.parse().ok().and_then(|vmid: u32| state.vms.get_mut(&vmid));
        let vm = vm.ok_or_else(|| format!("VM {vmid} does not exist"))?;
        match (&vm.pool, removes) {
            (Some(held), true) if held == name => vm.pool = None,
            (_, true) => return Err(format!("VM {vmid} is not a pool member")),
            (Some(held), false) if held == name => return Err(format!("VM {vmid} is already a pool member")),
            (Some(held), false) if !moves => {
                return Err(format!("VM {vmid} belongs already to pool '{held}' and 'allow-move' is not set"));
            }
            (_, false) => vm.pool = Some(name.to_owned()),
        }
    }
    Ok(())
}

/// `DELETE /pools` and `DELETE /pools/{poolid}`: only empty ones can go.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Allocate")?;
    state.users_locked("delete pool failed: ")?;
    let name = name(call);
    let failed = |text: String| Refusal::failed(format!("delete pool failed: {text}"));
    let pool = state.pools.get(&name).ok_or_else(|| failed(missing(&name)))?;
    let vm = state.vms.iter().find(|(_, vm)| vm.pool.as_ref() == Some(&name)).map(|(vmid, _)| format!("VM {vmid}"));
    if let Some(member) = vm.or_else(|| pool.storages.first().map(|storage| format!("storage '{storage}'"))) {
        return Err(failed(format!("pool '{name}' is not empty (contains {member})")));
    }
    state.pools.remove(&name);
    Ok(Value::Null.into())
}
