//! Users, tokens, roles and rights, as somebody sets up an automation user.

use super::*;

/// A client who is `root@pam` with a ticket.
struct Root<'a> {
    world: &'a World,
    ticket: String,
    csrf: String,
}

impl<'a> Root<'a> {
    async fn log_in(world: &'a World) -> Self {
        world.pve.add_user("root@pam", "pw", &[]);
        let form = [("username", "root@pam"), ("password", "pw")];
        let data = log_in(world, &form).await.1["data"].clone();
        let text = |key: &str| data[key].as_str().unwrap().to_owned();
        Self { world, ticket: text("ticket"), csrf: text("CSRFPreventionToken") }
    }

    async fn send(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let url = format!("{}/api2/json{path}", self.world.pve.endpoint());
        let request = self.world.client.request(method, url).header("cookie", format!("PVEAuthCookie={}", self.ticket));
        let request = request.header("CSRFPreventionToken", &self.csrf);
        let request = if form.is_empty() { request } else { request.form(form) };
        let reply = request.send().await.unwrap();
        (reply.status(), reply.json().await.unwrap_or_default())
    }

    async fn done(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.send(method, path, form).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body["data"].clone()
    }
}

async fn log_in(world: &World, form: &[(&str, &str)]) -> Answer {
    let url = format!("{}/api2/json/access/ticket", world.pve.endpoint());
    let reply = world.client.post(url).form(form).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap_or_default())
}

/// A call with a token.
async fn with(world: &World, token: &Value, path: &str) -> Answer {
    let url = format!("{}/api2/json{path}", world.pve.endpoint());
    let (name, value) = (token["full-tokenid"].as_str().unwrap(), token["value"].as_str().unwrap());
    let header = format!("PVEAPIToken={name}={value}");
    let reply = world.client.get(url).header("authorization", header).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap_or_default())
}

const TOKEN: &str = "/access/users/talos@pve/token/cli";

async fn automation_user(root: &Root<'_>) {
    root.done(Method::POST, "/access/roles", &[("roleid", "Talos"), ("privs", "Sys.Audit VM.Audit")]).await;
    root.done(Method::POST, "/access/users", &[("userid", "talos@pve"), ("comment", "automation")]).await;
    root.done(Method::PUT, "/access/acl", &[("path", "/"), ("users", "talos@pve"), ("roles", "Talos")]).await;
}

#[tokio::test]
async fn a_token_with_privilege_separation_may_nothing_before_it_has_rights_of_its_own() {
    let world = World::start(Settings::default());
    let root = Root::log_in(&world).await;
    automation_user(&root).await;
    let token = root.done(Method::POST, TOKEN, &[]).await;
    assert_eq!(token["info"]["privsep"], 1);
    assert_eq!(with(&world, &token, "/access/permissions").await.1["data"], serde_json::json!({}));
    let (status, body) = with(&world, &token, "/nodes/pve1/status").await;
    assert_eq!(
        (status, &body["message"]),
        (StatusCode::FORBIDDEN, &"Permission check failed (/nodes/pve1, Sys.Audit)\n".into())
    );
    let all = [("path", "/"), ("tokens", "talos@pve!cli"), ("roles", "Administrator")];
    root.done(Method::PUT, "/access/acl", &all).await;
    assert_eq!(with(&world, &token, "/nodes/pve1/status").await.0, StatusCode::OK);
    let held = with(&world, &token, "/access/permissions").await.1["data"]["/"].clone();
    assert_eq!(held, serde_json::json!({"Sys.Audit": 1, "VM.Audit": 1}), "the user's rights bound the token's");
    root.done(Method::PUT, TOKEN, &[("privsep", "0")]).await;
    root.done(Method::PUT, "/access/acl", &[all.as_slice(), &[("delete", "1")]].concat()).await;
    assert_eq!(with(&world, &token, "/nodes/pve1/status").await.0, StatusCode::OK, "it has what its user has");
    let fresh = root.done(Method::PUT, TOKEN, &[("regenerate", "1")]).await;
    assert_eq!(with(&world, &token, "/version").await.0, StatusCode::UNAUTHORIZED, "the old secret is worth nothing");
    assert_eq!(with(&world, &fresh, "/version").await.0, StatusCode::OK);
    root.done(Method::PUT, "/access/users/talos@pve", &[("enable", "0")]).await;
    assert_eq!(with(&world, &fresh, "/version").await.0, StatusCode::UNAUTHORIZED);
    root.done(Method::DELETE, "/access/users/talos@pve", &[]).await;
    assert_eq!(root.done(Method::GET, "/access/acl", &[]).await.to_string().matches("talos@pve").count(), 0);
}

/// A call that is refused: method, path, parameters, and what is said.
type Refused = (Method, &'static str, &'static [(&'static str, &'static str)], &'static str);

#[tokio::test]
async fn what_cannot_be_set_up_is_refused_with_the_words_of_the_real_one() {
    let world = World::start(Settings::default());
    let root = Root::log_in(&world).await;
    automation_user(&root).await;
    root.done(Method::POST, TOKEN, &[]).await;
    let cases: &[Refused] = &[
        (
            Method::POST,
            "/access/users",
            &[("userid", "talos@pve")],
            "create user failed: user 'talos@pve' already exists\n",
        ),
        (
            Method::POST,
            "/access/users",
            &[("userid", "a@pve"), ("groups", "g")],
            "create user failed: no such group 'g'\n",
        ),
        (Method::POST, "/access/users", &[("userid", "a@ldap")], "create user failed: domain 'ldap' does not exist\n"),
        (Method::GET, "/access/users/b@pve", &[], "no such user ('b@pve')\n"),
        (Method::POST, "/access/roles", &[("roleid", "Talos")], "create role failed: role 'Talos' already exists\n"),
        (
            Method::PUT,
            "/access/roles/PVEAdmin",
            &[("privs", "")],
            "auto-generated role 'PVEAdmin' cannot be modified\n",
        ),
        (
            Method::PUT,
            "/access/acl",
            &[("path", "/"), ("users", "b@pve"), ("roles", "Talos")],
            "ACL update failed: user 'b@pve' does not exist\n",
        ),
        (
            Method::PUT,
            "/access/acl",
            &[("path", "/"), ("users", "talos@pve"), ("roles", "X")],
            "ACL update failed: role 'X' does not exist\n",
        ),
        (
            Method::PUT,
            "/access/acl",
            &[("path", "/"), ("tokens", "talos@pve!xx"), ("roles", "Talos")],
            "ACL update failed: no such token 'xx' for user 'talos@pve'\n",
        ),
        (Method::GET, "/access/users/talos@pve/token/xx", &[], "no such token 'xx' for user 'talos@pve'\n"),
    ];
    for (method, path, form, text) in cases {
        let (status, body) = root.send(method.clone(), path, form).await;
        assert_eq!((status, &body["message"]), (StatusCode::INTERNAL_SERVER_ERROR, &Value::from(*text)), "{path}");
    }
    let (_, body) = root.send(Method::POST, "/access/roles", &[("roleid", "M"), ("privs", "VM.Monitor")]).await;
    assert_eq!(body["errors"]["privs"], "invalid format - invalid privilege 'VM.Monitor'\n");
    let (_, body) = root.send(Method::POST, TOKEN, &[]).await;
    assert_eq!(body["errors"]["tokenid"], "Token already exists.");
    let (_, body) =
        root.send(Method::PUT, "/access/acl", &[("path", "/x"), ("users", "talos@pve"), ("roles", "Talos")]).await;
    assert_eq!(body["errors"]["path"], "invalid ACL path '/x'");
    let (_, body) = root.send(Method::POST, "/access/roles", &[("roleid", "pveMine")]).await;
    assert_eq!(body["errors"]["roleid"], "cannot use role ID starting with the (case-insensitive) 'PVE' namespace");
}

#[tokio::test]
async fn the_roles_of_a_release_hold_the_privileges_that_it_knows() {
    for (release, known, unknown) in
        [(Release::V8_4, "VM.Monitor", "VM.GuestAgent.Audit"), (Release::V9_2, "VM.GuestAgent.Audit", "VM.Monitor")]
    {
        let world = World::start(Settings { release, ..Settings::default() });
        let roles = world.get("/access/roles").await.1["data"].clone();
        let all = roles.as_array().unwrap().iter().find(|role| role["roleid"] == "Administrator").unwrap();
        let held: Vec<&str> = all["privs"].as_str().unwrap().split(',').collect();
        assert!(held.contains(&known) && !held.contains(&unknown) && all["special"] == 1, "{held:?}");
    }
}

#[tokio::test]
async fn who_administers_a_vm_hands_out_no_more_than_is_held_there() {
    let world = World::start(Settings::default());
    let root = Root::log_in(&world).await;
    root.done(Method::POST, "/access/users", &[("userid", "a@pve"), ("password", "secret")]).await;
    root.done(Method::PUT, "/access/acl", &[("path", "/vms/100"), ("users", "a@pve"), ("roles", "PVEVMAdmin")]).await;
    let data = log_in(&world, &[("username", "a"), ("realm", "pve"), ("password", "secret")]).await.1["data"].clone();
    assert_eq!(data["cap"]["vms"]["VM.Allocate"], 1);
    let text = |key: &str| data[key].as_str().unwrap().to_owned();
    let own = Root { world: &world, ticket: text("ticket"), csrf: text("CSRFPreventionToken") };
    own.done(Method::PUT, "/access/acl", &[("path", "/vms/100"), ("users", "a@pve"), ("roles", "PVEVMUser")]).await;
    let more = [("path", "/vms/100"), ("users", "a@pve"), ("roles", "Administrator")];
    let (_, body) = own.send(Method::PUT, "/access/acl", &more).await;
    let text = "Cannot add role 'Administrator' - requires 'Permissions.Modify' or superset of privileges.";
    assert_eq!(body["errors"]["role"], text);
    let (status, body) =
        own.send(Method::PUT, "/access/acl", &[("path", "/vms/101"), ("users", "a@pve"), ("roles", "PVEVMUser")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["message"], "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)\n");
}

#[tokio::test]
async fn tokens_log_nobody_in_and_a_second_factor_is_asked_for() {
    let world = World::start(Settings::default());
    let (status, body) = world.post("/access/ticket", &[("username", "a@pve"), ("password", "x")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let text = "Permission check failed (URI '/access/ticket' not available with API token, need proper ticket.\n)\n";
    assert_eq!(body["message"], text);
    world.pve.add_user("a@pve", "pw", &[]);
    world.pve.add_totp("a@pve", b"12345678901234567890");
    let (_, body) = log_in(&world, &[("username", "a@pve"), ("password", "pw")]).await;
    assert_eq!((body["data"]["NeedTFA"].as_u64(), body["data"].get("cap")), (Some(1), None));
    let question = body["data"]["ticket"].as_str().unwrap();
    let answer = [("username", "a@pve"), ("password", "totp:000000"), ("tfa-challenge", question)];
    assert_eq!(log_in(&world, &answer).await.0, StatusCode::UNAUTHORIZED);
}
