//! Questions about oneself: who am I, may I do that, what may I do.

use serde_json::{Value, json};

use super::answer::Answer;
use super::request::Request;
use super::resources::{self, Resource};
use super::{status, writes};
use lab_core::kubernetes::User;

/// The group that may do everything.
pub(super) const MASTERS: &str = "system:masters";

/// Whether everybody who is known may make a request: to ask about oneself, and what there is.
pub(super) fn may(request: &Request) -> bool {
    let first = request.path.trim_matches('/').split('/').next().unwrap_or_default();
    let target = request.target();
    match target {
        Some(target) => {
            resources::built_in(target.group, target.version, target.plural).is_some_and(|kind| kind.review)
        }
        None => matches!(first, "api" | "apis" | "openapi" | "version"),
    }
}

/// Answers a question.
pub(super) fn answer(user: &User, request: &Request, resource: &Resource) -> Answer {
    let User::Known { name, groups } = user else { return status::unauthorized() };
    if request.method != "POST" {
        return status::method_not_allowed();
    }
    let Ok(question) = writes::body(request) else { return status::unsupported_media_type() };
    let master = groups.iter().any(|group| group == MASTERS);
    let answer = match resource.kind.as_str() {
        "SelfSubjectReview" => {
            let all: Vec<&str> = groups.iter().map(String::as_str).chain(["system:authenticated"]).collect();
            json!({"userInfo": {"username": name, "groups": all}})
        }
        "SelfSubjectAccessReview" => {
            let allowed = master || asks_about_oneself(&question["spec"]);
            let reason = if master { "RBAC: allowed by ClusterRoleBinding \"cluster-admin\"" } else { "" };
            json!({"allowed": allowed, "reason": reason})
        }
        _ => rules(master),
    };
    let body = json!({
        "kind": resource.kind, "apiVersion": resource.group_version(), "metadata": {"creationTimestamp": null},
        "spec": question["spec"], "status": answer,
    });
    Answer::json(201, &body)
}

fn asks_about_oneself(spec: &Value) -> bool {
    let attributes = &spec["resourceAttributes"];
    let group = attributes["group"].as_str().unwrap_or_default();
    let plural = attributes["resource"].as_str().unwrap_or_default();
    let path = spec["nonResourceAttributes"]["path"].as_str().unwrap_or_default();
    let review = resources::built_in(group, "v1", plural).is_some_and(|kind| kind.review);
    let public = ["/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version"];
    (review && attributes["verb"] == "create") || public.iter().any(|start| path.starts_with(start))
}

fn rules(master: bool) -> Value {
    let reviews = resources::BUILT_IN.iter().filter(|kind| kind.review);
    let mut rules: Vec<Value> = reviews
        .map(|kind| json!({"verbs": ["create"], "apiGroups": [kind.group], "resources": [kind.plural]}))
        .collect();
    let mut paths = vec![json!({"verbs": ["get"], "nonResourceURLs": ["/api", "/apis", "/healthz", "/version"]})];
    if master {
        rules.insert(0, json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.insert(0, json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    json!({"resourceRules": rules, "nonResourceRules": paths, "incomplete": false})
}
