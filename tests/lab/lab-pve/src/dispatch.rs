//! From a request to its answer: route, privileges, parameters, then the state machine.

use std::collections::BTreeMap;

use super::access::Token;
use super::id_formats;
use super::locks::Lock;
use super::option_formats;
use super::options;
use super::release::Release;
use super::reply::{Refusal, Reply};
use super::routes::{self, Needs, Route, Takes};
use super::schema::{self, Kind, MISSING, Param, UNKNOWN};
use super::state::{Call, Config, State};

/// A request with its path taken apart and its parameters decoded.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub(crate) method: &'a str,
    /// The path below `/api2/json`, as it was sent.
    pub(crate) path: &'a str,
    /// Parameters of the query and the body.
    pub(crate) params: Config,
}

/// Parameters that need another one.
const NEEDED: &[(&str, &str)] = &[
    ("unique", "archive"),
    ("force", "archive"),
    ("checksum", "checksum-algorithm"),
    ("checksum-algorithm", "checksum"),
];

/// Parts of a path by their names in the route.
type Parts = BTreeMap<&'static str, String>;

/// Answers a request.
pub(crate) fn answer(state: &mut State, token: &Token, request: Request<'_>, now: u64) -> Result<Reply, Refusal> {
    let (route, path) = find(state.settings.release, request.method, request.path)?;
    let params = apart_from_path(request.params, &path)?;
    let call = Call { token, path, params, now };
    check_node(state, &call)?;
    check_parts(state, &call)?;
    check_needs(state, &call, &route.needs)?;
    check_params(&call.params, route, state.settings.release)?;
    check_readable(state, &call, route.method)?;
    look_at_guests(state, &call, route.path);
    let reply = (route.run)(state, &call);
    match state.faults.late.contains(call.node()) {
        // The host has acted; only its answer comes too late.
        true => Err(Refusal::TimedOut),
        false => reply,
    }
}

/// A parameter may repeat a part of the path, if it says the same.
fn apart_from_path(mut params: Config, path: &Parts) -> Result<Config, Refusal> {
    // The names of the agent's commands are paths of their own, not a parameter.
    for (name, part) in path.iter().filter(|(name, _)| **name != "command") {
        if params.remove(*name).is_some_and(|value| value != *part) {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            return Err(Refusal::parameter(name, text));
        }
    }
    Ok(params)
}

fn find(release: Release, method: &str, path: &str) -> Result<(&'static Route, Parts), Refusal> {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(super::form::decode).collect();
    routes::all()
        .filter(|route| route.method == method && release.serves(route.path))
        .find_map(|route| Some((route, matched(route, &parts)?)))
        .ok_or_else(|| Refusal::NotImplemented(format!("Method '{method} {path}' not implemented")))
}

fn matched(route: &'static Route, parts: &[String]) -> Option<Parts> {
    let pattern: Vec<&'static str> = route.path.split('/').skip(1).collect();
    let mut found = Parts::new();
    if pattern.len() != parts.len() {
        return None;
    }
    for (wanted, part) in pattern.iter().zip(parts) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some("command") if !routes::has_command(route, part) => return None,
            Some(name) => drop(found.insert(name, part.clone())),
            None if wanted == part => {}
            None => return None,
        }
    }
    Some(found)
}

fn check_node(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    let Some(node) = call.path.get("node") else { return Ok(()) };
    if state.faults.offline.contains(node) {
        return Err(Refusal::Unreachable("No route to host".to_owned()));
    }
    match state.settings.nodes.contains(node) {
        true => Ok(()),
        false => Err(Refusal::failed(format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        ))),
    }
}

/// What a part of a path may be.
const PARTS: &[(&str, Kind)] = &[
    ("vmid", Kind::VmId),
    ("userid", Kind::Format(option_formats::user_id)),
    ("tokenid", Kind::Pattern(id_formats::token_name)),
    ("groupid", Kind::Format(option_formats::group_id)),
    ("roleid", Kind::Format(option_formats::role_id)),
    ("poolid", Kind::Format(id_formats::pool)),
    ("snapname", Kind::Format(option_formats::config_id)),
];

fn check_parts(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    for (name, kind) in PARTS {
        if let Some(part) = call.path.get(name) {
            let checked = schema::check(state.settings.release, name, *kind, part);
            checked.map_err(|text| Refusal::parameter(name, text))?;
        }
    }
    Ok(())
}

fn check_needs(state: &State, call: &Call<'_>, needs: &Needs) -> Result<(), Refusal> {
    match needs {
        Needs::Login => Ok(()),
        Needs::Any("/vms/{vmid}", ["VM.GuestAgent.Audit", ..]) => {
            state.may(call.token, call.vmid(), None, state.settings.release.agent_privileges())
        }
        Needs::Any("/vms/{vmid}", any) => state.may(call.token, call.vmid(), None, any),
        Needs::Any(path, any) => {
            let path = path.replace("{node}", call.node()).replace("{storage}", call.storage());
            call.token.require(&path, any).map_err(Refusal::forbidden)
        }
    }
}

/// Guests may have switched themselves off, and the HA manager acts meanwhile: looks at those that the answer tells of.
fn look_at_guests(state: &mut State, call: &Call<'_>, path: &str) {
    let seen: Vec<u32> = match path {
        path if path.contains("{vmid}") => vec![call.vmid()],
        path if path.ends_with("/qemu") || path == "/cluster/resources" => state.vms.keys().copied().collect(),
        _ => Vec::new(),
    };
    for vmid in seen {
        state.look_at_guest(vmid, call.now);
        state.look_at_order(vmid, call.now);
    }
}

fn check_readable(state: &State, call: &Call<'_>, method: &str) -> Result<(), Refusal> {
    let vmid = call.vmid();
    match state.vms.get(&vmid) {
        Some(vm) if method == "GET" && state.faults.hides(&vm.name(vmid)) => {
            Err(Refusal::failed(Lock::Vm(vmid).timed_out()))
        }
        _ => Ok(()),
    }
}

fn check_params(params: &Config, route: &Route, release: Release) -> Result<(), Refusal> {
    let (known, with_options): (&[Param], bool) = match &route.takes {
        Takes::Only(known) => (known, false),
        Takes::Options(known) => (known, true),
    };
    let mut wrong = Config::new();
    for (name, value) in params {
        let own = known.iter().find(|param| param.name == name).map(|param| param.kind);
        let kind =
            own.or_else(|| options::kind_of(name).filter(|_| with_options)).filter(|_| release.knows(route.path, name));
        let checked = kind.map_or_else(|| Err(UNKNOWN.to_owned()), |kind| schema::check(release, name, kind, value));
        if let Err(text) = checked {
            wrong.insert(name.clone(), text);
        }
    }
    for param in known.iter().filter(|param| param.required && !params.contains_key(param.name)) {
        wrong.insert(param.name.to_owned(), MISSING.to_owned());
    }
    let takes = |name: &str| known.iter().any(|param| param.name == name);
    let lacks = |(name, needed): &&(&str, &str)| params.contains_key(*name) && !params.contains_key(*needed);
    for (name, needed) in NEEDED.iter().filter(lacks).filter(|(name, needed)| takes(name) && takes(needed)) {
        wrong.insert((*needed).to_owned(), release.lacks(name));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Parameters(wrong)),
    }
}
