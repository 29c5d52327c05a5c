//! What the API answers to a request, decided on the store alone.

use lab_core::kubernetes::User;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::request::{Request, Target};
use super::resources::{self, Resource};
use super::selector::Selector;
use super::store::{Change, Store};
use super::{deletes, discovery, logs, openapi, reviews, scale, status, table, versions, writes};

/// The reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Whole {
        code: u16,
        content_type: &'static str,
        body: Vec<u8>,
    },
    /// A stream of what happens after a version; events of the state so far come first.
    Watch {
        first: Vec<Value>,
        after: u64,
    },
    /// A log that continues as long as its pod exists.
    Log {
        text: String,
        uid: String,
    },
}

impl Answer {
    pub(super) fn json(code: u16, body: &Value) -> Self {
        Self::Whole { code, content_type: "application/json", body: body.to_string().into_bytes() }
    }

    fn text(text: &str) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self::Whole { code: 200, content_type, body: text.as_bytes().to_vec() }
    }
}

/// Answers a request on a cluster; `server` is the version of the API server.
pub(crate) fn answer(store: &mut Store, user: &User, request: &Request, server: &str, now: OffsetDateTime) -> Answer {
    let path = request.path.trim_end_matches('/');
    if matches!(path, "/healthz" | "/livez" | "/readyz") {
        return health(path, request);
    }
    match user {
        User::Anonymous | User::Invalid => return status::unauthorized(),
        User::Known { name, groups }
            if !groups.iter().any(|group| group == reviews::MASTERS) && !reviews::may(request) =>
        {
            return refused(store, request, name);
        }
        User::Known { .. } => {}
    }
    match path {
        "/version" => Answer::json(200, &version(server)),
        "/api" => discover(store, request, true),
        "/apis" => discover(store, request, false),
        "/openapi/v3" => Answer::json(200, &openapi::index(store)),
        "/openapi/v2" => openapi::version_2(store, request),
        _ => object_or_group(store, user, request, now),
    }
}

fn health(path: &str, request: &Request) -> Answer {
    match request.query.contains_key("verbose") {
        true => {
            Answer::text(&format!("[+]ping ok\n[+]log ok\n[+]etcd ok\n{} check passed\n", path.trim_start_matches('/')))
        }
        false => Answer::text("ok"),
    }
}

fn refused(store: &Store, request: &Request, user: &str) -> Answer {
    let verb = verb(request);
    let target = request.target();
    let resource = target.and_then(|t| resources::find(store, t.group, t.version, t.plural));
    status::forbidden(user, verb, resource.as_deref(), &request.path)
}

/// What a request wants to do, as rules name it.
pub(super) fn verb(request: &Request) -> &'static str {
    let named = request.target().is_some_and(|target| target.name.is_some());
    match (request.method.as_str(), named) {
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ if request.flag("watch") => "watch",
        (_, true) => "get",
        (_, false) => "list",
    }
}

fn version(server: &str) -> Value {
    let plain = server.trim_start_matches('v');
    let mut parts = plain.split('.');
    json!({
        "major": parts.next().unwrap_or_default(),
        "minor": parts.next().unwrap_or_default(),
        "gitVersion": server,
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2026-07-15T00:00:00Z",
        "goVersion": "go1.26.4",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

fn discover(store: &Store, request: &Request, core: bool) -> Answer {
    if let Some(version) = request.aggregated() {
        let body = discovery::aggregated(store, core, version).to_string().into_bytes();
        let content_type = match version {
            "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        };
        return Answer::Whole { code: 200, content_type, body };
    }
    match core {
        true => Answer::json(200, &discovery::versions("kubernetes.default.svc:443")),
        false => Answer::json(200, &discovery::group_list(store)),
    }
}

fn object_or_group(store: &mut Store, user: &User, request: &Request, now: OffsetDateTime) -> Answer {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        ["api", version] => discovery::resource_list(store, "", version),
        ["apis", group] => discovery::one_group(store, group),
        ["apis", group, version] => discovery::resource_list(store, group, version),
        ["openapi", "v3", "api", version] => openapi::document(store, "", version),
        ["openapi", "v3", "apis", group, version] => openapi::document(store, group, version),
        _ => None,
    };
    if let Some(body) = found {
        return Answer::json(200, &body);
    }
    let Some(target) = request.target() else { return status::unknown_path() };
    match resources::find(store, target.group, target.version, target.plural) {
        Some(resource) if resource.review => reviews::answer(user, request, &resource),
        Some(resource) => on_resource(store, request, &target, &resource, now),
        None => status::unknown_path(),
    }
}

fn on_resource(
    store: &mut Store,
    request: &Request,
    target: &Target<'_>,
    resource: &Resource,
    now: OffsetDateTime,
) -> Answer {
    let namespace = target.namespace.unwrap_or_default();
    match (request.method.as_str(), target.name, target.subresource) {
        ("GET", None, None) if request.flag("watch") => watch(store, request, target, resource, now),
        ("GET", None, None) => list(store, request, target, resource, now),
        ("GET", Some(name), None | Some("status")) => get(store, request, resource, namespace, name, now),
        ("GET", Some(name), Some("log")) if resource.plural == "pods" => {
            match store.get(resource.key(), namespace, name) {
                Some(pod) => logs::answer(store, pod, request),
                None => status::not_found(resource, name),
            }
        }
        ("GET" | "PUT" | "PATCH", Some(name), Some("scale")) if resource.scale.is_some() => {
            scale::answer(store, request, &(resource, namespace, name), now)
        }
        ("POST", None, None) => writes::create(store, request, (resource, target.namespace), now),
        ("PATCH", Some(name), None | Some("status")) => {
            writes::patch(store, request, &(resource, namespace, name), now)
        }
        ("PUT", Some(name), None | Some("status")) => {
            writes::replace(store, request, &(resource, namespace, name), now)
        }
        ("PUT", Some(name), Some("finalize")) if resource.plural == "namespaces" => {
            writes::replace(store, request, &(resource, namespace, name), now)
        }
        ("DELETE", Some(name), None) => deletes::one(store, request, &(resource, namespace, name), now),
        ("DELETE", None, None) if resource.plural != "namespaces" => {
            deletes::many(store, request, (resource, target.namespace), now)
        }
        ("POST", Some(name), Some("eviction")) if resource.plural == "pods" => {
            deletes::evict(store, request, &(resource, namespace, name), now)
        }
        (_, Some(_), Some(_)) => status::unknown_path(),
        _ => status::method_not_allowed(),
    }
}

fn selector(request: &Request) -> Selector {
    Selector::new(request.text("labelSelector"), request.text("fieldSelector"))
}

fn list(store: &Store, request: &Request, target: &Target<'_>, resource: &Resource, now: OffsetDateTime) -> Answer {
    let selector = selector(request);
    let objects = store.list(resource.key(), target.namespace).filter(|object| selector.matches(object));
    let objects = objects.cloned().map(|object| versions::shown(resource, store.alive(object, now)));
    let objects: Vec<Value> = objects.collect();
    let version = store.version.to_string();
    if request.wants_table() {
        return Answer::json(200, &table::table(store, resource, &objects, &version, now));
    }
    let body = json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": resource.group_version(),
        "metadata": {"resourceVersion": version},
        "items": objects,
    });
    Answer::json(200, &body)
}

fn get(
    store: &Store,
    request: &Request,
    resource: &Resource,
    namespace: &str,
    name: &str,
    now: OffsetDateTime,
) -> Answer {
    match store.get(resource.key(), namespace, name) {
        None => status::not_found(resource, name),
        Some(object) if request.wants_table() => {
            let version = store.version.to_string();
            Answer::json(200, &table::table(store, resource, std::slice::from_ref(object), &version, now))
        }
        Some(object) => Answer::json(200, &versions::shown(resource, store.alive(object.clone(), now))),
    }
}

fn watch(store: &Store, request: &Request, target: &Target<'_>, resource: &Resource, now: OffsetDateTime) -> Answer {
    let from = request.text("resourceVersion").and_then(|version| version.parse::<u64>().ok()).unwrap_or(0);
    let initial = request.flag("sendInitialEvents");
    if from > 0 && !initial {
        return match store.changes(resource.key(), from) {
            Some(_) => Answer::Watch { first: Vec::new(), after: from },
            None => status::expired(),
        };
    }
    let selector = selector(request);
    let objects = store.list(resource.key(), target.namespace).filter(|object| selector.matches(object));
    let mut first: Vec<Value> =
        objects.map(|object| event(store, request, (resource, "ADDED", object, store.version), now)).collect();
    if initial {
        first.push(bookmark(resource, store.version));
    }
    Answer::Watch { first, after: store.version }
}

/// Marks the end of the state so far.
fn bookmark(resource: &Resource, version: u64) -> Value {
    json!({
        "type": "BOOKMARK",
        "object": {
            "kind": resource.kind,
            "apiVersion": resource.group_version(),
            "metadata": {
                "resourceVersion": version.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        },
    })
}

fn event(
    store: &Store,
    request: &Request,
    (resource, kind, object, version): (&Resource, &str, &Value, u64),
    now: OffsetDateTime,
) -> Value {
    let object = match request.wants_table() {
        true => table::table(store, resource, std::slice::from_ref(object), &version.to_string(), now),
        false => versions::shown(resource, object.clone()),
    };
    json!({"type": kind, "object": object})
}

/// What a change is to somebody who watches a selection: objects come into it and leave it.
fn seen(selector: &Selector, change: &Change) -> Option<&'static str> {
    let is = selector.matches(&change.object);
    let was = change.before.as_ref().map_or(is, |before| selector.matches(before));
    match (change.event, was, is) {
        ("MODIFIED", true, false) => Some("DELETED"),
        ("MODIFIED", false, true) => Some("ADDED"),
        (event, _, true) => Some(event),
        _ => None,
    }
}

/// The events that a watcher gets for changes after a version, and the version up to which they go.
pub(crate) fn events(store: &Store, request: &Request, after: u64, now: OffsetDateTime) -> (Vec<Value>, u64) {
    let target = request.target();
    let resource = target.as_ref().and_then(|t| resources::find(store, t.group, t.version, t.plural));
    let (Some(target), Some(resource)) = (target, resource) else { return (Vec::new(), after) };
    let selector = selector(request);
    let here = |change: &&Change| {
        let namespace = change.object["metadata"]["namespace"].as_str();
        target.namespace.is_none_or(|wanted| namespace == Some(wanted))
    };
    let changes = store.changes(resource.key(), after).into_iter().flatten().filter(here);
    let reported = changes.filter_map(|c| {
        let kind = seen(&selector, c)?;
        Some(event(store, request, (&resource, kind, &c.object, c.version), now))
    });
    let events = reported.collect();
    (events, store.version.max(after))
}

/// The time as the API writes it.
pub(crate) fn timestamp(now: OffsetDateTime) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    now.format(&format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_of_a_selection_tells_what_comes_into_it_and_what_leaves_it() {
        let mut store = Store::new(1);
        let now = OffsetDateTime::UNIX_EPOCH;
        let user = User::Known { name: "x".to_owned(), groups: vec!["system:masters".to_owned()] };
        let node =
            |labels: Value| json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n", "labels": labels}});
        let mut label = |method: &str, path: &str, labels: Value| {
            let body = node(labels).to_string().into_bytes();
            let request = Request { method: method.to_owned(), path: path.to_owned(), body, ..Request::default() };
            let Answer::Whole { code, .. } = answer(&mut store, &user, &request, "v1.36.3", now) else {
                panic!("a stream")
            };
            assert!(code < 300, "{code}");
        };
        label("POST", "/api/v1/nodes", json!({"a": "1"}));
        for labels in [json!({"a": "2"}), json!({"a": "2", "b": "1"}), json!({"b": "1"}), json!({"b": "2"})] {
            label("PUT", "/api/v1/nodes/n", labels);
        }
        let query = std::collections::HashMap::from([("labelSelector".to_owned(), "a=2".to_owned())]);
        let watch = Request { method: "GET".to_owned(), path: "/api/v1/nodes".to_owned(), query, ..Request::default() };
        let (reported, _) = events(&store, &watch, 1, now);
        let kinds: Vec<&Value> = reported.iter().map(|event| &event["type"]).collect();
        assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED"]);
    }
}
