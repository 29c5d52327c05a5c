//! Logging in.

use serde_json::{Value, json};

use super::reply::{Refusal, Reply};
use super::state::{Call, State};

/// `POST /access/ticket`.
pub(crate) fn create(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    if call.token.is_token() {
        let text = "Permission check failed - endpoint not available with API token, need proper ticket.";
        return Err(Refusal::forbidden(text));
    }
    let given = call.param("username").unwrap_or_default();
    let name = match (given.contains('@'), call.param("realm")) {
        (false, Some(realm)) => format!("{given}@{realm}"),
        _ => given.to_owned(),
    };
    let random = state.random();
    let (ticket, csrf) = state
        .access
        .log_in(&name, call.param("password").unwrap_or_default(), random)
        .ok_or(Refusal::Unauthenticated)?;
    let mut data = json!({"CSRFPreventionToken": csrf, "cap": {}, "ticket": ticket, "username": name});
    if state.settings.nodes.len() > 1 {
        data["clustername"] = state.settings.cluster.as_str().into();
    }
    Ok(data.into())
}

/// `GET /access/ticket`: there for the formality of HTTP.
pub(crate) fn dummy(_: &mut State, _: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Null.into())
}
