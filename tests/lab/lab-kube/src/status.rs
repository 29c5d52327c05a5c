//! Status objects: the API's refusals, and some of its successes.

use serde_json::{Value, json};

use super::answer::Answer;
use super::managed::Conflict;
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

/// What may not be done to this object by anybody.
pub(super) fn protected(resource: &Resource, name: &str, message: &str) -> Answer {
    failure(403, "Forbidden", message, &json!({"name": name, "kind": resource.plural}))
}

/// There is such an object already.
pub(super) fn already_exists(resource: &Resource, name: &str) -> Answer {
    let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
    failure(409, "AlreadyExists", &format!("{} \"{name}\" already exists", qualified(resource)), &details)
}

/// The object has been changed since the client has read it.
pub(super) fn stale(resource: &Resource, name: &str) -> Answer {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your changes to the latest version and try again",
        qualified(resource)
    );
    let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
    failure(409, "Conflict", &message, &details)
}

/// Others have set fields that are applied.
pub(super) fn disputed(conflicts: &[Conflict]) -> Answer {
    let said = |conflict: &Conflict| format!("conflict with {:?} using {}", conflict.manager, conflict.version);
    let message = match conflicts {
        [one] => format!("Apply failed with 1 conflict: {}: {}", said(one), one.field),
        all => {
            let mut text = format!("Apply failed with {} conflicts:", all.len());
            let mut before = String::new();
            for conflict in all {
                let who = said(conflict).replacen("conflict", "conflicts", 1);
                if who != before {
                    text += &format!(" {who}:");
                    before = who;
                }
                text += &format!("\n- {}", conflict.field);
            }
            text
        }
    };
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|conflict| json!({"reason": "FieldManagerConflict", "message": said(conflict), "field": conflict.field}))
        .collect();
    failure(409, "Conflict", &message, &json!({"causes": causes}))
}

/// A value that the kind does not allow.
pub(super) fn invalid(resource: &Resource, name: &str, field: &str, text: &str) -> Answer {
    let message = format!("{} \"{name}\" is invalid: {field}: {text}", resource.kind);
    let causes = json!([{"reason": "FieldValueInvalid", "message": text, "field": field}]);
    let details = json!({"name": name, "group": resource.group, "kind": resource.kind, "causes": causes});
    failure(422, "Invalid", &message, &details)
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
    let kind = resource.map_or("", |resource| resource.plural.as_str());
    failure(403, "Forbidden", &message, &json!({"kind": kind}))
}

pub(super) fn method_not_allowed() -> Answer {
    let message = "the server does not allow this method on the requested resource";
    failure(405, "MethodNotAllowed", message, &json!({}))
}

/// The client reads none of the forms in which there is an answer.
pub(super) fn not_acceptable() -> Answer {
    let message = "only the following media types are accepted: application/json";
    failure(406, "NotAcceptable", message, &json!({}))
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

/// The object is another one of that name than the client means.
pub(super) fn other_uid(resource: &Resource, name: &str, wanted: &Value, own: &Value) -> Answer {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let why = format!("UID in precondition: {}, UID in object meta: {}", text(wanted), text(own));
    unmet(resource, name, &why)
}

/// What the client requires of the object does not hold.
pub(super) fn unmet(resource: &Resource, name: &str, why: &str) -> Answer {
    let message =
        format!("Operation cannot be fulfilled on {} \"{name}\": Precondition failed: {why}", qualified(resource));
    let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
    failure(409, "Conflict", &message, &details)
}

/// Nothing new may be made in a namespace that is to go.
pub(super) fn terminating(resource: &Resource, name: &str, namespace: &str) -> Answer {
    let why = format!("namespace {namespace} is being terminated");
    let message = format!(
        "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
        qualified(resource)
    );
    let causes = json!([{"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}]);
    let details = json!({"name": name, "group": resource.group, "kind": resource.plural, "causes": causes});
    failure(403, "Forbidden", &message, &details)
}

/// The object has fields that its kind does not have.
pub(super) fn unknown_fields(resource: &Resource, fields: &[String]) -> Answer {
    let list: Vec<String> = fields.iter().map(|field| format!("unknown field {field:?}")).collect();
    let kind = &resource.kind;
    let version = &resource.version;
    let list = list.join(", ");
    bad_request(&format!("{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {list}"))
}

/// Values that the kind does not allow: fields, and why.
pub(super) fn invalid_all(resource: &Resource, name: &str, faults: &[(String, String)]) -> Answer {
    if let [(field, text)] = faults {
        return invalid(resource, name, field, text);
    }
    let list: Vec<String> = faults.iter().map(|(field, text)| format!("{field}: {text}")).collect();
    let message = format!("{} \"{name}\" is invalid: [{}]", resource.kind, list.join(", "));
    let cause =
        |(field, text): &(String, String)| json!({"reason": "FieldValueInvalid", "message": text, "field": field});
    let causes: Vec<Value> = faults.iter().map(cause).collect();
    let details = json!({"name": name, "group": resource.group, "kind": resource.kind, "causes": causes});
    failure(422, "Invalid", &message, &details)
}

/// A budget does not allow that a pod goes now.
pub(super) fn over_budget((name, needs, has): &(String, u64, u64)) -> Answer {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let why = format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently");
    failure(429, "TooManyRequests", message, &json!({"causes": [{"reason": "DisruptionBudget", "message": why}]}))
}

/// Something was deleted.
pub(super) fn deleted(resource: &Resource, name: &str, uid: &Value) -> Answer {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": name, "group": resource.group, "kind": resource.plural, "uid": uid},
    });
    Answer::json(200, &body)
}

/// A pod will go.
pub(super) fn evicted() -> Answer {
    Answer::json(201, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
}

fn qualified(resource: &Resource) -> String {
    match resource.group.as_str() {
        "" => resource.plural.to_owned(),
        group => format!("{}.{group}", resource.plural),
    }
}
