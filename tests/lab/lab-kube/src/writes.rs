//! Creating, changing, applying and deleting objects.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{Answer, timestamp};
use super::deletion::Propagation;
use super::index;
use super::request::Request;
use super::resources::Resource;
use super::store::Store;
use super::{custom, defaults, managed, patch, protobuf, rules, schema, status, versions};

/// An object's place: its kind, its namespace (empty for the whole cluster), its name.
pub(super) type Place<'a> = (&'a Resource, &'a str, &'a str);

/// The object that a request carries.
pub(super) fn body(request: &Request) -> Result<Value, Answer> {
    if request.content_type.contains("protobuf") {
        return protobuf::read(&request.body).ok_or_else(status::unsupported_media_type);
    }
    let read = match request.content_type.contains("yaml") {
        true => serde_yaml::from_slice(&request.body).map_err(|error| error.to_string()),
        false => serde_json::from_slice(&request.body).map_err(|error| error.to_string()),
    };
    read.map_err(|error| status::bad_request(&format!("the body of the request cannot be read: {error}")))
}

/// Checks that a body is of the kind that its path names.
fn of_kind(object: &Value, resource: &Resource) -> Result<(), Answer> {
    let version = resource.group_version();
    match object["kind"] == resource.kind.as_str() && object["apiVersion"] == version.as_str() {
        true => Ok(()),
        false => {
            let own = (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
            Err(status::bad_request(&format!(
                "the object provided is unrecognized (must be of type {}): {}, Kind={}",
                resource.kind, own.0, own.1
            )))
        }
    }
}

fn is_subdomain(name: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| edge(byte) || byte == b'-');
        inner && label.bytes().next().is_some_and(edge) && label.bytes().last().is_some_and(edge)
    };
    !name.is_empty() && name.len() <= 253 && name.split('.').all(label)
}

fn check_name(resource: &Resource, name: &str) -> Result<(), Answer> {
    // Names of roles may be anything that a path can hold.
    if is_subdomain(name) || resource.group.starts_with("rbac") {
        return Ok(());
    }
    let text = format!(
        "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    );
    Err(status::invalid(resource, name, "metadata.name", &text))
}

fn check_namespace(store: &Store, object: &Value, resource: &Resource, namespace: Option<&str>) -> Result<(), Answer> {
    let own = object["metadata"]["namespace"].as_str();
    match namespace {
        None if resource.namespaced => Err(status::method_not_allowed()),
        Some(namespace) if resource.namespaced && own.is_some_and(|own| own != namespace) => {
            let text = "the namespace of the provided object does not match the namespace sent on the request";
            Err(status::bad_request(text))
        }
        Some(namespace) if resource.namespaced => match store.get("namespaces", "", namespace) {
            None => {
                let namespaces = super::resources::built_in("", "v1", "namespaces");
                Err(namespaces.map_or_else(status::unknown_path, |kind| status::not_found(&kind, namespace)))
            }
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Refuses what is new in a namespace that is to go.
fn check_open(store: &Store, object: &Value, resource: &Resource, namespace: &str) -> Result<(), Answer> {
    let leaves = |namespace: &Value| !namespace["metadata"]["deletionTimestamp"].is_null();
    match store.get("namespaces", "", namespace).is_some_and(leaves) {
        true => Err(status::terminating(resource, object["metadata"]["name"].as_str().unwrap_or_default(), namespace)),
        false => Ok(()),
    }
}

/// Completes an object by its definition, and refuses it if the definition or its kind does.
fn check_schema(
    store: &Store,
    request: &Request,
    object: &mut Value,
    (resource, before): (&Resource, Option<&Value>),
) -> Result<(), Answer> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let faults = rules::faults(resource, object, before);
    if !faults.is_empty() {
        return Err(status::invalid_all(resource, &name, &faults));
    }
    if resource.key() == custom::DEFINITIONS {
        return custom::check(resource, object);
    }
    let Some(version) = custom::version(store, resource) else { return Ok(()) };
    let own = &version["schema"]["openAPIV3Schema"];
    let unknown = schema::complete(own, object);
    if !unknown.is_empty() && request.text("fieldValidation") == Some("Strict") {
        return Err(status::unknown_fields(resource, &unknown));
    }
    match schema::faults(own, object) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(status::invalid_all(resource, &name, &faults)),
    }
}

/// An answer, be it a refusal.
pub(super) fn answered(result: Result<Answer, Answer>) -> Answer {
    result.unwrap_or_else(|refusal| refusal)
}

/// `POST` to a collection.
pub(super) fn create(
    store: &mut Store,
    request: &Request,
    (resource, namespace): (&Resource, Option<&str>),
    now: OffsetDateTime,
) -> Answer {
    answered(created(store, request, (resource, namespace), now))
}

fn created(
    store: &mut Store,
    request: &Request,
    (resource, namespace): (&Resource, Option<&str>),
    now: OffsetDateTime,
) -> Result<Answer, Answer> {
    let mut object = body(request)?;
    of_kind(&object, resource)?;
    check_namespace(store, &object, resource, namespace)?;
    if let (None, Some(start)) = (object["metadata"]["name"].as_str(), object["metadata"]["generateName"].as_str()) {
        object["metadata"]["name"] = format!("{start}{}", store.suffix()).into();
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() {
        let text = "Required value: name or generateName is required";
        return Err(status::invalid(resource, "", "metadata.name", text));
    }
    check_name(resource, &name)?;
    let namespace = if resource.namespaced { namespace.unwrap_or_default() } else { "" };
    check_open(store, &object, resource, namespace)?;
    fresh(store, request, &mut object, (resource, namespace))?;
    if store.get(resource.key(), namespace, &name).is_some() {
        return Err(status::already_exists(resource, &name));
    }
    if let Some(manager) = request.text("fieldManager") {
        managed::updated(None, &mut object, manager, &timestamp(now));
    }
    Ok(write(store, request, object, &(resource, namespace, &name), (201, now)))
}

/// Makes an object that was not there before one of its kind, or refuses it.
fn fresh(
    store: &Store,
    request: &Request,
    object: &mut Value,
    (resource, namespace): (&Resource, &str),
) -> Result<(), Answer> {
    if resource.namespaced {
        object["metadata"]["namespace"] = namespace.into();
    }
    for field in ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    if resource.status {
        object.as_object_mut().map(|object| object.remove("status"));
    }
    defaults::complete(store, object, resource, None);
    check_schema(store, request, object, (resource, None))?;
    if defaults::counts(resource) {
        object["metadata"]["generation"] = json!(1);
    }
    Ok(())
}

/// Whether the client only wants to know what would be.
fn is_dry(request: &Request) -> bool {
    request.text("dryRun").is_some_and(|dry| dry == "All")
}

/// Writes an object, lets the controllers look at it, and answers with what has become of it.
pub(super) fn write(
    store: &mut Store,
    request: &Request,
    mut object: Value,
    (resource, namespace, name): &Place<'_>,
    (code, now): (u16, OffsetDateTime),
) -> Answer {
    let at = timestamp(now);
    object = versions::kept(resource, object);
    object["metadata"]["name"] = json!(name);
    // Typed clients name the namespace in the path alone.
    if resource.namespaced {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if is_dry(request) {
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
            object["metadata"]["creationTimestamp"] = at.into();
        }
        return Answer::json(code, &versions::shown(resource, object));
    }
    let key = (resource.key().to_owned(), (*namespace).to_owned(), (*name).to_owned());
    store.put(&key.0, object, &at);
    let mut written = store.at(&key).cloned().unwrap_or_default();
    store.follow(&key.0, name, &at);
    if code == 201 && index::owners(&written).next().is_some() {
        let known = index::owners(&written).any(|owner| store.knows(&written, owner));
        if !known {
            store.delete(&key, Propagation::Background, None, &at);
        }
    }
    store.reconcile(&at);
    // Who removes the last finalizer sees the object a last time.
    if let Some(now) = store.at(&key) {
        written = now.clone();
    }
    Answer::json(code, &versions::shown(resource, written))
}

/// `PATCH`.
pub(super) fn patch(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Answer {
    match request.content_type.starts_with("application/apply-patch+yaml") {
        true => answered(applied(store, request, place, now)),
        false => answered(patched(store, request, place, now)),
    }
}

fn patched(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Result<Answer, Answer> {
    let (resource, namespace, name) = *place;
    let before =
        store.get(resource.key(), namespace, name).cloned().ok_or_else(|| status::not_found(resource, name))?;
    let change = body(request)?;
    let before = versions::shown(resource, before);
    let mut object = before.clone();
    match request.content_type.split(';').next() {
        Some("application/merge-patch+json") => patch::merge(&mut object, &change),
        Some("application/strategic-merge-patch+json") => patch::strategic(&mut object, &change),
        Some("application/json-patch+json") => {
            patch::json(&mut object, &change).map_err(|text| {
                let text = format!("Invalid value: {}: {text}", json!(change.to_string()));
                status::invalid(resource, name, "patch", &text)
            })?;
        }
        _ => return Err(status::unsupported_media_type()),
    }
    changed(store, request, (&before, object), place, now)
}

/// `PUT`.
pub(super) fn replace(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Answer {
    answered(replaced(store, request, place, now))
}

fn replaced(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Result<Answer, Answer> {
    let (resource, namespace, name) = *place;
    let before =
        store.get(resource.key(), namespace, name).cloned().ok_or_else(|| status::not_found(resource, name))?;
    let before = versions::shown(resource, before);
    let object = body(request)?;
    of_kind(&object, resource)?;
    changed(store, request, (&before, object), place, now)
}

/// Writes an object that was read before; one that was changed since is left alone.
fn changed(
    store: &mut Store,
    request: &Request,
    (before, mut object): (&Value, Value),
    place: &Place<'_>,
    now: OffsetDateTime,
) -> Result<Answer, Answer> {
    let (resource, _, name) = *place;
    let read = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !read.is_empty() && object["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"] {
        return Err(status::stale(resource, name));
    }
    if object["metadata"]["uid"].is_string() && object["metadata"]["uid"] != before["metadata"]["uid"] {
        return Err(status::other_uid(resource, name, &object["metadata"]["uid"], &before["metadata"]["uid"]));
    }
    part(request, before, &mut object, resource);
    if !is_of_status(request) {
        defaults::complete(store, &mut object, resource, Some(before));
    }
    check_schema(store, request, &mut object, (resource, Some(before)))?;
    if let Some(manager) = request.text("fieldManager") {
        managed::updated(Some(before), &mut object, manager, &timestamp(now));
    }
    grown(before, &mut object);
    Ok(write(store, request, object, place, (200, now)))
}

fn is_of_status(request: &Request) -> bool {
    request.target().is_some_and(|target| target.subresource == Some("status"))
}

/// Keeps what a request may not change: the status, or all but the status; and what only the server writes.
fn part(request: &Request, before: &Value, object: &mut Value, resource: &Resource) {
    let finalizes = request.target().is_some_and(|target| target.subresource == Some("finalize"));
    match (is_of_status(request), resource.status) {
        (true, _) => {
            let status = object["status"].take();
            *object = before.clone();
            object["status"] = status;
        }
        (false, true) => match before.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.as_object_mut().map(|object| object.remove("status"))),
        },
        (false, false) => {}
    }
    if resource.kind == "Namespace" && !finalizes {
        object["spec"]["finalizers"] = before["spec"]["finalizers"].clone();
    }
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "uid", "creationTimestamp"] {
        match before["metadata"].get(field) {
            Some(value) => object["metadata"][field] = value.clone(),
            None => drop(object["metadata"].as_object_mut().map(|metadata| metadata.remove(field))),
        }
    }
}

/// A specification that differs is another generation.
pub(super) fn grown(before: &Value, object: &mut Value) {
    if let Some(generation) = before["metadata"]["generation"].as_u64() {
        let plain = |object: &Value| {
            let mut object = object.clone();
            for field in ["metadata", "status"] {
                object.as_object_mut().map(|object| object.remove(field));
            }
            object
        };
        let next = generation + u64::from(plain(before) != plain(object));
        object["metadata"]["generation"] = next.into();
    }
}

fn applied(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Result<Answer, Answer> {
    let (resource, namespace, name) = *place;
    let wanted: Value = serde_yaml::from_slice(&request.body)
        .map_err(|error| status::bad_request(&format!("error decoding YAML: {error}")))?;
    of_kind(&wanted, resource)?;
    let Some(manager) = request.text("fieldManager") else {
        let text = "Required value: is required for apply patch";
        return Err(status::invalid(resource, name, "fieldManager", text));
    };
    check_namespace(store, &wanted, resource, Some(namespace).filter(|_| resource.namespaced))?;
    check_name(resource, name)?;
    let before = store.get(resource.key(), namespace, name).cloned().map(|before| versions::shown(resource, before));
    let result = managed::apply(before.as_ref(), &wanted, manager, request.flag("force"), &timestamp(now));
    let mut object = result.map_err(|conflicts| status::disputed(&conflicts))?;
    match &before {
        Some(before) => {
            part(request, before, &mut object, resource);
            defaults::complete(store, &mut object, resource, Some(before));
            check_schema(store, request, &mut object, (resource, Some(before)))?;
            grown(before, &mut object);
        }
        None => {
            check_open(store, &object, resource, namespace)?;
            fresh(store, request, &mut object, (resource, namespace))?;
        }
    }
    let code = if before.is_some() { 200 } else { 201 };
    Ok(write(store, request, object, place, (code, now)))
}
