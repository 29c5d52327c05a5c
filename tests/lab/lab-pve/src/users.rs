//! Users and their tokens.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::directory::{Account, Holder, Secret};
use super::reply::{Refusal, Reply};
use super::state::{Call, State};

/// What is known of a user beside names and dates.
const FACTS: &[&str] = &["firstname", "lastname", "email", "comment", "keys"];

fn user(call: &Call<'_>) -> String {
    let given = call.path.get("userid").cloned().or_else(|| call.param("userid").map(str::to_owned));
    given.unwrap_or_default()
}

fn missing(user: &str) -> Refusal {
    Refusal::failed(format!("no such user ('{user}')"))
}

fn existing<'a>(state: &'a State, user: &str) -> Result<&'a Account, Refusal> {
    state.access.directory.users.get(user).ok_or_else(|| missing(user))
}

/// Whether one of these privileges is held over all users, or over a group that the user is in.
fn holds_over(state: &State, call: &Call<'_>, user: &str, any: &[&str]) -> bool {
    let groups = state.access.directory.groups.iter().filter(|(_, (members, _))| members.contains(user));
    let paths = groups.map(|(group, _)| format!("/access/groups/{group}")).chain(["/access/groups".to_owned()]);
    paths.into_iter().any(|path| any.iter().any(|privilege| call.token.may(&path, privilege)))
}

fn require(state: &State, call: &Call<'_>, user: &str, any: &[&str]) -> Result<(), Refusal> {
    match holds_over(state, call, user, any) {
        true => Ok(()),
        false => Err(Refusal::forbidden(format!("Permission check failed (/access/groups, {})", any.join("|")))),
    }
}

fn require_realm(call: &Call<'_>, user: &str) -> Result<(), Refusal> {
    let realm = user.rsplit('@').next().unwrap_or_default();
    call.token.require(&format!("/access/realm/{realm}"), &["Realm.AllocateUser"]).map_err(Refusal::forbidden)
}

fn facts(account: &Account) -> Map<String, Value> {
    let facts = account.facts.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    let dates = [("enable", u64::from(account.enabled)), ("expire", account.expires)];
    facts.chain(dates.map(|(key, value)| (key.to_owned(), value.into()))).collect()
}

fn info(token: &Secret) -> Map<String, Value> {
    let mut info = Map::from_iter([("privsep".to_owned(), Value::from(u8::from(token.separated)))]);
    info.extend(token.expires.map(|end| ("expire".to_owned(), end.into())));
    info.extend(token.comment.as_deref().map(|comment| ("comment".to_owned(), comment.into())));
    info
}

fn groups_of(state: &State, user: &str) -> Vec<String> {
    let groups = state.access.directory.groups.iter();
    groups.filter(|(_, (members, _))| members.contains(user)).map(|(group, _)| group.clone()).collect()
}

/// `GET /access/users`: those that the asker may see.
pub(crate) fn list(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let full = call.param("full") == Some("1");
    let wanted = call.param("enabled").map(|wanted| wanted == "1");
    let seen = state.access.directory.users.iter().filter(|(name, account)| {
        let visible = **name == call.token.name || holds_over(state, call, name, &["User.Modify", "Sys.Audit"]);
        visible && wanted.is_none_or(|wanted| wanted == account.enabled)
    });
    let rows = seen.map(|(name, account)| {
        let mut row = facts(account);
        row.insert("userid".to_owned(), name.as_str().into());
        row.insert("realm-type".to_owned(), name.rsplit('@').next().unwrap_or_default().into());
        if full {
            row.insert("groups".to_owned(), groups_of(state, name).join(",").into());
            row.insert("tokens".to_owned(), rows_of(account));
        }
        Value::Object(row)
    });
    Ok(Value::Array(rows.collect()).into())
}

fn rows_of(account: &Account) -> Value {
    let rows = account.tokens.iter().map(|(name, token)| {
        let mut row = info(token);
        row.insert("tokenid".to_owned(), name.as_str().into());
        Value::Object(row)
    });
    rows.collect()
}

/// `GET /access/users/{userid}`.
pub(crate) fn get(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let user = user(call);
    let account = existing(state, &user)?;
    require(state, call, &user, &["User.Modify", "Sys.Audit"])?;
    let mut data = facts(account);
    data.insert("groups".to_owned(), groups_of(state, &user).into());
    let tokens = account.tokens.iter().map(|(name, token)| (name.clone(), Value::Object(info(token))));
    data.insert("tokens".to_owned(), Value::Object(tokens.collect()));
    Ok(Value::Object(data).into())
}

/// `POST /access/users`.
pub(crate) fn add(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const FAILED: &str = "create user failed: ";
    let user = user(call);
    require_realm(call, &user)?;
    let within = |group: &str| call.token.may(&format!("/access/groups/{group}"), "User.Modify");
    let groups = listed(call.param("groups"));
    if !call.token.may("/access/groups", "User.Modify")
        && (groups.is_empty() || !groups.iter().all(|group| within(group)))
    {
        return Err(Refusal::forbidden("Permission check failed (/access/groups, User.Modify)"));
    }
    state.users_locked(FAILED)?;
    if !matches!(user.rsplit('@').next(), Some("pam" | "pve")) {
        let realm = user.rsplit('@').next().unwrap_or_default();
        return Err(Refusal::failed(format!("{FAILED}domain '{realm}' does not exist")));
    }
    if state.access.directory.users.get(&user).is_some_and(|account| !account.implied) {
        return Err(Refusal::failed(format!("{FAILED}user '{user}' already exists")));
    }
    check_groups(state, &groups, FAILED)?;
    let mut account =
        Account { enabled: true, password: call.param("password").map(str::to_owned), ..Account::default() };
    describe(&mut account, call);
    state.access.directory.users.insert(user.clone(), account);
    join(state, &user, &groups);
    Ok(Value::Null.into())
}

fn listed(list: Option<&str>) -> Vec<String> {
    list.unwrap_or_default().split([',', ';', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn check_groups(state: &State, groups: &[String], failed: &str) -> Result<(), Refusal> {
    match groups.iter().find(|group| !state.access.directory.groups.contains_key(*group)) {
        Some(group) => Err(Refusal::failed(format!("{failed}no such group '{group}'"))),
        None => Ok(()),
    }
}

fn join(state: &mut State, user: &str, groups: &[String]) {
    for group in groups {
        if let Some((members, _)) = state.access.directory.groups.get_mut(group) {
            members.insert(user.to_owned());
        }
    }
}

fn leave_groups(state: &mut State, user: &str) {
    for (members, _) in state.access.directory.groups.values_mut() {
        members.remove(user);
    }
}

fn describe(account: &mut Account, call: &Call<'_>) {
    account.enabled = call.param("enable").map_or(account.enabled, |enable| enable == "1");
    account.expires = call.param("expire").and_then(|text| text.parse().ok()).unwrap_or(account.expires);
    for fact in FACTS {
        if let Some(value) = call.param(fact) {
            account.facts.insert((*fact).to_owned(), value.to_owned());
        }
    }
}

/// `PUT /access/users/{userid}`.
pub(crate) fn change(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    const FAILED: &str = "update user failed: ";
    let user = user(call);
    existing(state, &user)?;
    require(state, call, &user, &["User.Modify"])?;
    state.users_locked(FAILED)?;
    if let Some(groups) = call.param("groups") {
        let groups = listed(Some(groups));
        check_groups(state, &groups, FAILED)?;
        if call.param("append") != Some("1") {
            leave_groups(state, &user);
        }
        join(state, &user, &groups);
    }
    if let Some(account) = state.access.directory.users.get_mut(&user) {
        describe(account, call);
    }
    Ok(Value::Null.into())
}

/// `DELETE /access/users/{userid}`: the tokens and rights go as well.
pub(crate) fn remove(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let user = user(call);
    existing(state, &user)?;
    require_realm(call, &user)?;
    require(state, call, &user, &["User.Modify"])?;
    state.users_locked("delete user failed: ")?;
    leave_groups(state, &user);
    let directory = &mut state.access.directory;
    let gone = directory.users.remove(&user);
    directory.forget(Holder::User, &user);
    for token in gone.into_iter().flat_map(|account| account.tokens.into_keys()) {
        directory.forget(Holder::Token, &format!("{user}!{token}"));
    }
    Ok(Value::Null.into())
}

/// `PUT /access/password`: one's own, or that of somebody whom one may change.
pub(crate) fn set_password(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    super::ticket::refuse_token(call, "/access/password")?;
    let user = user(call);
    existing(state, &user)?;
    if call.token.name != user {
        require_realm(call, &user)?;
        require(state, call, &user, &["User.Modify"])?;
    }
    let confirmed =
        call.param("confirmation-password").is_some_and(|own| state.access.knows(&call.token.name, own, call.now));
    if call.token.name != "root@pam" && !confirmed {
        return Err(Refusal::parameter("confirmation-password", "authentication failure"));
    }
    let password = call.param("password").map(str::to_owned);
    if let Some(account) = state.access.directory.users.get_mut(&user) {
        account.password = password;
    }
    Ok(Value::Null.into())
}

/// The user and the token in the path, if the asker may change them.
fn named(state: &State, call: &Call<'_>) -> Result<(String, String), Refusal> {
    let user = user(call);
    let known = state.access.directory.users.contains_key(&user);
    match known && (call.token.name == user || holds_over(state, call, &user, &["User.Modify"])) {
        true => Ok((user, call.path.get("tokenid").cloned().unwrap_or_default())),
        false => Err(Refusal::forbidden("Permission check failed")),
    }
}

fn token_of<'a>(state: &'a State, user: &str, token: &str) -> Result<&'a Secret, Refusal> {
    let missing = || Refusal::failed(format!("no such token '{token}' for user '{user}'"));
    existing(state, user)?.tokens.get(token).ok_or_else(missing)
}

/// `GET /access/users/{userid}/token`.
pub(crate) fn tokens(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (user, _) = named(state, call)?;
    Ok(rows_of(existing(state, &user)?).into())
}

/// `GET /access/users/{userid}/token/{tokenid}`.
pub(crate) fn token(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (user, token) = named(state, call)?;
    Ok(Value::Object(info(token_of(state, &user, &token)?)).into())
}

/// `POST /access/users/{userid}/token/{tokenid}`: the answer is the only one that tells the secret.
pub(crate) fn add_token(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (user, token) = named(state, call)?;
    if token_of(state, &user, &token).is_ok() {
        return Err(Refusal::parameter("tokenid", "Token already exists."));
    }
    state.users_locked("generating token failed: ")?;
    let value = state.uuid();
    let mut made = Secret { value: value.clone(), separated: true, ..Secret::default() };
    adjust(&mut made, call);
    let data = json!({"full-tokenid": format!("{user}!{token}"), "info": info(&made), "value": value});
    tokens_of(state, &user)?.insert(token, made);
    Ok(data.into())
}

fn tokens_of<'a>(state: &'a mut State, user: &str) -> Result<&'a mut BTreeMap<String, Secret>, Refusal> {
    state.access.directory.users.get_mut(user).map(|account| &mut account.tokens).ok_or_else(|| missing(user))
}

fn adjust(token: &mut Secret, call: &Call<'_>) {
    token.separated = call.param("privsep").map_or(token.separated, |separated| separated == "1");
    token.expires = call.param("expire").and_then(|text| text.parse().ok()).or(token.expires);
    if let Some(comment) = call.param("comment") {
        token.comment = Some(comment.to_owned()).filter(|comment| !comment.is_empty());
    }
}

/// `PUT /access/users/{userid}/token/{tokenid}`.
pub(crate) fn change_token(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (user, token) = named(state, call)?;
    token_of(state, &user, &token)?;
    state.users_locked("updating token info failed: ")?;
    let deleted = listed(call.param("delete"));
    if let Some(strange) = deleted.iter().find(|name| *name != "comment") {
        return Err(Refusal::parameter("delete", format!("unknown option '{strange}'")));
    }
    let fresh = if call.param("regenerate") == Some("1") { Some(state.uuid()) } else { None };
    let known = tokens_of(state, &user)?.entry(token.clone()).or_default();
    adjust(known, call);
    if !deleted.is_empty() {
        known.comment = None;
    }
    let mut data = info(known);
    if let Some(value) = fresh {
        data.insert("value".to_owned(), value.as_str().into());
        data.insert("full-tokenid".to_owned(), format!("{user}!{token}").into());
        known.value = value;
    }
    Ok(Value::Object(data).into())
}

/// `DELETE /access/users/{userid}/token/{tokenid}`.
pub(crate) fn remove_token(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let (user, token) = named(state, call)?;
    token_of(state, &user, &token)?;
    state.users_locked("deleting token failed: ")?;
    tokens_of(state, &user)?.remove(&token);
    state.access.directory.forget(Holder::Token, &format!("{user}!{token}"));
    Ok(Value::Null.into())
}
