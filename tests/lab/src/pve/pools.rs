//! Pools: named sets of VMs and storages to which rights can be given.

use serde_json::{Value, json};

use super::reads;
use super::reply::{Refusal, Reply};
use super::state::{Call, State};

fn name(call: &Call<'_>) -> String {
    let given = call.path.get("poolid").cloned().or_else(|| call.param("poolid").map(str::to_owned));
    given.unwrap_or_default()
}

fn existing(state: &State, call: &Call<'_>) -> Result<String, Refusal> {
    let pool = name(call);
    match state.pools.contains(&pool) {
        true => Ok(pool),
        false => Err(Refusal::failed(format!("no such pool '{pool}'"))),
    }
}

fn require(call: &Call<'_>, privilege: &str) -> Result<(), Refusal> {
    call.token.require(&format!("/pool/{}", name(call)), &[privilege]).map_err(Refusal::forbidden)
}

/// `GET /pools`.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let wanted = |pool: &&String| {
        call.token.may(&format!("/pool/{pool}"), "Pool.Audit") && call.param("poolid").is_none_or(|only| only == *pool)
    };
    Ok(Value::Array(state.pools.iter().filter(wanted).map(|pool| json!({"poolid": pool})).collect()).into())
}

/// `GET /pools/{poolid}`.
pub(crate) fn get(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Audit")?;
    let pool = existing(state, call)?;
    let members = state.vms.iter().filter(|(_, vm)| vm.pool.as_deref() == Some(&pool));
    let members: Vec<Value> = members.map(|(vmid, vm)| reads::vm_row(state, *vmid, vm, call.now)).collect();
    Ok(json!({"members": members}).into())
}

/// `POST /pools`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Allocate")?;
    state.users_locked("create pool failed: ")?;
    let pool = name(call);
    match state.pools.insert(pool.clone()) {
        true => Ok(Value::Null.into()),
        false => Err(Refusal::failed(format!("create pool failed: pool '{pool}' already exists"))),
    }
}

/// `PUT /pools` and `PUT /pools/{poolid}`: adds VMs, or takes them out with `delete`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Allocate")?;
    state.users_locked("update pools failed: ")?;
    let pool = existing(state, call)?;
    let removes = call.param("delete").is_some_and(|delete| delete == "1");
    let moves = call.param("allow-move").is_some_and(|allow| allow == "1");
    for vmid in call.param("vms").into_iter().flat_map(|list| list.split([',', ';', ' '])) {
        let vmid: u32 = vmid.parse().map_err(|_| Refusal::parameter("vms", "invalid format - not a valid VM ID\n"))?;
        let vm = state.vms.get_mut(&vmid).ok_or_else(|| Refusal::failed(format!("VM {vmid} does not exist")))?;
        match (&vm.pool, removes) {
            (Some(held), true) if *held == pool => vm.pool = None,
            (_, true) => return Err(Refusal::failed(format!("update pools failed: VM {vmid} is not a pool member"))),
            (Some(held), false) if *held != pool && !moves => {
                let text = format!("VM {vmid} is already a member of pool '{held}'");
                return Err(Refusal::failed(format!("update pools failed: {text}")));
            }
            (_, false) => vm.pool = Some(pool.clone()),
        }
    }
    Ok(Value::Null.into())
}

/// `DELETE /pools` and `DELETE /pools/{poolid}`: only empty ones can go.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    require(call, "Pool.Allocate")?;
    state.users_locked("delete pool failed: ")?;
    let pool = existing(state, call)?;
    if state.vms.values().any(|vm| vm.pool.as_deref() == Some(&pool)) {
        return Err(Refusal::failed(format!("delete pool failed: pool '{pool}' is not empty")));
    }
    state.pools.remove(&pool);
    Ok(Value::Null.into())
}
