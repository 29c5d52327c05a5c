//! Logging in.

use serde_json::{Value, json};

use super::access::{Factor, Token};
use super::reply::{Refusal, Reply};
use super::rights;
use super::state::{Call, State};

/// Refuses a call that takes a login, when a token makes it.
pub(crate) fn refuse_token(call: &Call<'_>, path: &str) -> Result<(), Refusal> {
    match call.token.is_token() {
        true => Err(Refusal::forbidden(format!(
            "Permission check failed (URI '{path}' not available with API token, need proper ticket.\n)"
        ))),
        false => Ok(()),
    }
}

fn name(call: &Call<'_>) -> String {
    let given = call.param("username").unwrap_or_default();
    match call.param("realm") {
        Some(realm) if !given.ends_with(&format!("@{realm}")) => format!("{given}@{realm}"),
        _ => given.to_owned(),
    }
}

/// `POST /access/ticket`.
pub(crate) fn create(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    refuse_token(call, "/access/ticket")?;
    let (name, password) = (name(call), call.param("password").unwrap_or_default());
    let data = match (call.param("path"), call.param("privs")) {
        (Some(path), Some(wanted)) => {
            let user = state.access.named(&name);
            if !state.access.knows(&name, password, call.now) || !holds(&user, path, wanted) {
                return Err(Refusal::Unauthenticated);
            }
            json!({"cap": rights::capabilities(&user), "username": name})
        }
        _ => log_in(state, call, &name, password)?,
    };
    Ok(data.into())
}

fn holds(user: &Token, path: &str, wanted: &str) -> bool {
    let mut wanted = wanted.split([',', ';', ' ']).filter(|privilege| !privilege.is_empty()).peekable();
    wanted.peek().is_some() && wanted.all(|privilege| user.may(path, privilege))
}

fn log_in(state: &mut State, call: &Call<'_>, name: &str, password: &str) -> Result<Value, Refusal> {
    let random = state.random();
    let factor = Factor { code: call.param("otp"), question: call.param("tfa-challenge") };
    let made = state.access.log_in(name, password, factor, call.now, random).ok_or(Refusal::Unauthenticated)?;
    let mut data = json!({"CSRFPreventionToken": made.csrf, "ticket": made.ticket, "username": name});
    let user = state.access.named(name);
    match made.incomplete {
        true => data["NeedTFA"] = 1.into(),
        false => data["cap"] = rights::capabilities(&user),
    }
    if state.settings.nodes.len() > 1 && user.may("/", "Sys.Audit") {
        data["clustername"] = state.settings.cluster.as_str().into();
    }
    Ok(data)
}

/// `GET /access/ticket`: there for the formality of HTTP.
pub(crate) fn dummy(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Null.into())
}
