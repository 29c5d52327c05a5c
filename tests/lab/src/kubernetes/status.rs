//! Status objects: how the API says no, and sometimes yes.

use serde_json::{Value, json};

use super::answer::Answer;
use super::resources::Resource;

fn failure(code: u16, reason: &str, message: &str, details: &Value) -> Answer {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    });
    Answer::json(code, &body)
}

/// Anything that went wrong on purpose.
pub(super) fn failed(code: u16, message: &str) -> Answer {
    failure(code, "InternalError", message, &json!({}))
}

pub(super) fn unauthorized() -> Answer {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    });
    Answer::json(401, &body)
}

/// A path that means nothing.
pub(super) fn unknown_path() -> Answer {
    failure(404, "NotFound", "the server could not find the requested resource", &json!({}))
}

pub(super) fn not_found(resource: &Resource, name: &str) -> Answer {
    let kind = qualified(resource);
    let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
    failure(404, "NotFound", &format!("{kind} \"{name}\" not found"), &details)
}

/// The user may not do that.
pub(super) fn forbidden(user: &str, verb: &str, resource: Option<&Resource>, path: &str) -> Answer {
    let message = match resource {
        Some(resource) => format!(
            "{} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" at the cluster scope",
            qualified(resource),
            resource.plural,
            resource.group
        ),
        None => format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\""),
    };
    let kind = resource.map_or("", |resource| resource.plural);
    failure(403, "Forbidden", &message, &json!({"kind": kind}))
}

pub(super) fn method_not_allowed() -> Answer {
    let message = "the server does not allow this method on the requested resource";
    failure(405, "MethodNotAllowed", message, &json!({}))
}

pub(super) fn unsupported_media_type() -> Answer {
    let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";
    failure(415, "UnsupportedMediaType", message, &json!({}))
}

pub(super) fn bad_request(message: &str) -> Answer {
    failure(400, "BadRequest", message, &json!({}))
}

/// The version asked for is no longer known.
pub(super) fn expired() -> Answer {
    failure(410, "Expired", "too old resource version", &json!({}))
}

/// Something was deleted.
pub(super) fn deleted(resource: &Resource, name: &str, uid: &Value) -> Answer {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": name, "kind": resource.plural, "uid": uid},
    });
    Answer::json(200, &body)
}

/// A pod will go.
pub(super) fn evicted() -> Answer {
    Answer::json(201, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
}

fn qualified(resource: &Resource) -> String {
    match resource.group {
        "" => resource.plural.to_owned(),
        group => format!("{}.{group}", resource.plural),
    }
}
