//! Calls about users, tokens, groups, roles and rights.

use super::id_formats;
use super::option_formats;
use super::routes::{Needs, Route, Takes, change, get};
use super::schema::{Kind, Param, TEXT};
use super::{rights, ticket, users};

const ROLES: Needs = Needs::Any("/access", &["Sys.Modify"]);
const GROUPS: Needs = Needs::Any("/access/groups", &["Group.Allocate"]);
const READ_GROUPS: Needs = Needs::Any("/access/groups", &["Sys.Audit", "Group.Allocate"]);
const NAME: Kind = Kind::Text(Some(1024));
const USER: Param = Param::required("userid", Kind::Format(option_formats::user_id));
const COMMENT: Param = Param::optional("comment", TEXT);
const EXPIRE: Param = Param::optional("expire", Kind::Integer(Some(0), None));
const ENABLE: Param = Param::optional("enable", Kind::Boolean);
const EMAIL: Param = Param::optional("email", Kind::Format(option_formats::email));
const GROUP_LIST: Param = Param::optional("groups", Kind::Each(option_formats::group_id));
const PRIVILEGES: Param = Param::optional("privs", Kind::Privileges);
const SEPARATED: Param = Param::optional("privsep", Kind::Boolean);
const TOKEN: &str = "/access/users/{userid}/token/{tokenid}";

/// All of them.
pub(crate) const ROUTES: &[Route] = &[
    get("/access", Needs::Login, &[], rights::index),
    get("/access/ticket", Needs::Login, &[], ticket::dummy),
    change(
        "POST",
        "/access/ticket",
        Needs::Login,
        Takes::Only(&[
            Param::required("username", Kind::Text(Some(64))),
            Param::required("password", TEXT),
            Param::optional("realm", Kind::Format(id_formats::realm)),
            Param::optional("otp", TEXT),
            Param::optional("path", Kind::Text(Some(64))),
            PRIVILEGES,
            Param::optional("tfa-challenge", TEXT),
            Param::optional("new-format", Kind::Boolean),
        ]),
        ticket::create,
    ),
    change(
        "PUT",
        "/access/password",
        Needs::Login,
        Takes::Only(&[
            USER,
            Param::required("password", Kind::Text(Some(64))),
            Param::optional("confirmation-password", Kind::Text(Some(64))),
        ]),
        users::set_password,
    ),
    get(
        "/access/permissions",
        Needs::Login,
        &[Param::optional("path", TEXT), Param::optional("userid", Kind::Pattern(id_formats::user_or_token))],
        rights::permissions,
    ),
    get("/access/domains", Needs::Login, &[], rights::domains),
    get("/access/domains/{realm}", Needs::Any("/access/realm", &["Realm.Allocate", "Sys.Audit"]), &[], rights::domain),
    get(
        "/access/users",
        Needs::Login,
        &[Param::optional("enabled", Kind::Boolean), Param::optional("full", Kind::Boolean)],
        users::list,
    ),
    change(
        "POST",
        "/access/users",
        Needs::Login,
        Takes::Only(&[
            USER,
            Param::optional("password", Kind::Text(Some(64))),
            GROUP_LIST,
            ENABLE,
            EXPIRE,
            Param::optional("firstname", NAME),
            Param::optional("lastname", NAME),
            EMAIL,
            Param::optional("comment", Kind::Text(Some(2048))),
            Param::optional("keys", Kind::Pattern(id_formats::user_keys)),
        ]),
        users::add,
    ),
    get("/access/users/{userid}", Needs::Login, &[], users::get),
    change(
        "PUT",
        "/access/users/{userid}",
        Needs::Login,
        Takes::Only(&[
            GROUP_LIST,
            Param::optional("append", Kind::Boolean),
            ENABLE,
            EXPIRE,
            Param::optional("firstname", NAME),
            Param::optional("lastname", NAME),
            EMAIL,
            Param::optional("comment", Kind::Text(Some(2048))),
            Param::optional("keys", Kind::Pattern(id_formats::user_keys)),
        ]),
        users::change,
    ),
    change("DELETE", "/access/users/{userid}", Needs::Login, Takes::Only(&[]), users::remove),
    get("/access/users/{userid}/token", Needs::Login, &[], users::tokens),
    get(TOKEN, Needs::Login, &[], users::token),
    change("POST", TOKEN, Needs::Login, Takes::Only(&[EXPIRE, SEPARATED, COMMENT]), users::add_token),
    change(
        "PUT",
        TOKEN,
        Needs::Login,
        Takes::Only(&[
            EXPIRE,
            SEPARATED,
            COMMENT,
            Param::optional("delete", Kind::Each(option_formats::config_id)),
            Param::optional("regenerate", Kind::Boolean),
        ]),
        users::change_token,
    ),
    change("DELETE", TOKEN, Needs::Login, Takes::Only(&[]), users::remove_token),
    get("/access/groups", Needs::Login, &[], rights::groups),
    change(
        "POST",
        "/access/groups",
        GROUPS,
        Takes::Only(&[Param::required("groupid", Kind::Format(option_formats::group_id)), COMMENT]),
        rights::add_group,
    ),
    get("/access/groups/{groupid}", READ_GROUPS, &[], rights::group),
    change("PUT", "/access/groups/{groupid}", GROUPS, Takes::Only(&[COMMENT]), rights::change_group),
    change("DELETE", "/access/groups/{groupid}", GROUPS, Takes::Only(&[]), rights::remove_group),
    get("/access/roles", Needs::Login, &[], rights::roles),
    change(
        "POST",
        "/access/roles",
        ROLES,
        Takes::Only(&[Param::required("roleid", Kind::Format(option_formats::role_id)), PRIVILEGES]),
        rights::add_role,
    ),
    get("/access/roles/{roleid}", Needs::Login, &[], rights::role),
    change(
        "PUT",
        "/access/roles/{roleid}",
        ROLES,
        Takes::Only(&[PRIVILEGES, Param::optional("append", Kind::Boolean)]),
        rights::change_role,
    ),
    change("DELETE", "/access/roles/{roleid}", ROLES, Takes::Only(&[]), rights::remove_role),
    get("/access/acl", Needs::Login, &[], rights::rights),
    change(
        "PUT",
        "/access/acl",
        Needs::Login,
        Takes::Only(&[
            Param::required("path", TEXT),
            Param::required("roles", Kind::Each(option_formats::role_id)),
            Param::optional("users", Kind::Each(option_formats::user_id)),
            GROUP_LIST,
            Param::optional("tokens", Kind::Each(id_formats::token)),
            Param::optional("propagate", Kind::Boolean),
            Param::optional("delete", Kind::Boolean),
        ]),
        rights::change_rights,
    ),
];
