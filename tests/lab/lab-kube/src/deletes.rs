//! Requests by which objects go: deletions of one or many, and evictions of pods.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{Answer, timestamp};
use super::deletion::Propagation;
use super::request::Request;
use super::resources::Resource;
use super::selector::Selector;
use super::store::{Key, Store};
use super::writes::Place;
use super::{budgets, objects, status, versions, writes};

/// What a client wants of a deletion.
struct Wish {
    propagation: Propagation,
    grace: Option<u64>,
    dry: bool,
    uid: Value,
    version: Value,
}

impl Wish {
    fn new(request: &Request, options: &Value) -> Self {
        let word = options["propagationPolicy"].as_str().or_else(|| request.text("propagationPolicy"));
        let propagation = match (word, &options["orphanDependents"]) {
            (Some("Foreground"), _) => Propagation::Foreground,
            (Some("Orphan"), _) | (None, Value::Bool(true)) => Propagation::Orphan,
            _ => Propagation::Background,
        };
        let asked = request.text("gracePeriodSeconds").and_then(|text| text.parse().ok());
        let dry = request.text("dryRun") == Some("All") || options["dryRun"][0] == "All";
        Self {
            propagation,
            grace: options["gracePeriodSeconds"].as_u64().or(asked),
            dry,
            uid: options["preconditions"]["uid"].clone(),
            version: options["preconditions"]["resourceVersion"].clone(),
        }
    }

    /// Whether an object is the one that is meant.
    fn check(&self, (resource, _, name): &Place<'_>, object: &Value) -> Result<(), Answer> {
        let (uid, version) = (&object["metadata"]["uid"], &object["metadata"]["resourceVersion"]);
        if !self.uid.is_null() && &self.uid != uid {
            return Err(status::other_uid(resource, name, &self.uid, uid));
        }
        if !self.version.is_null() && &self.version != version {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (wanted, own) = (text(&self.version), text(version));
            let why = format!("ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {own}");
            return Err(status::unmet(resource, name, &why));
        }
        Ok(())
    }
}

fn options(request: &Request) -> Result<Value, Answer> {
    match request.body.is_empty() {
        true => Ok(Value::Null),
        false => writes::body(request),
    }
}

/// Kinds whose objects are shown a last time when they are gone at once.
const SHOWN: &[&str] =
    &["persistentvolumeclaims", "persistentvolumes", "pods", "resourcequotas", "serviceaccounts", "services"];

fn key((resource, namespace, name): &Place<'_>) -> Key {
    (resource.key().to_owned(), (*namespace).to_owned(), (*name).to_owned())
}

/// `DELETE` of an object.
pub(super) fn one(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Answer {
    let deleted = options(request).and_then(|options| delete(store, &Wish::new(request, &options), place, now));
    deleted.unwrap_or_else(|refusal| refusal)
}

fn delete(store: &mut Store, wish: &Wish, place: &Place<'_>, now: OffsetDateTime) -> Result<Answer, Answer> {
    let (resource, _, name) = *place;
    let key = key(place);
    let object = store.at(&key).cloned().ok_or_else(|| status::not_found(resource, name))?;
    if resource.plural == "namespaces" && objects::NAMESPACES.contains(&name) {
        let text = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        return Err(status::protected(resource, name, &text));
    }
    wish.check(place, &object)?;
    let uid = object["metadata"]["uid"].clone();
    if wish.dry {
        return Ok(status::deleted(resource, name, &uid));
    }
    let at = timestamp(now);
    let last = store.delete(&key, wish.propagation, wish.grace, &at).unwrap_or(object);
    let stays = store.at(&key).is_some();
    store.reconcile(&at);
    Ok(match stays || SHOWN.contains(&resource.key()) {
        true => Answer::json(200, &versions::shown(resource, last)),
        false => status::deleted(resource, name, &uid),
    })
}

/// `DELETE` of a collection.
pub(super) fn many(
    store: &mut Store,
    request: &Request,
    (resource, namespace): (&Resource, Option<&str>),
    now: OffsetDateTime,
) -> Answer {
    let options = match options(request) {
        Ok(options) => options,
        Err(refusal) => return refusal,
    };
    let wish = Wish::new(request, &options);
    let selector = Selector::new(request.text("labelSelector"), request.text("fieldSelector"));
    let chosen = store.list(resource.key(), namespace).filter(|object| selector.matches(object));
    let chosen: Vec<Value> = chosen.cloned().collect();
    for object in &chosen {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        // What may not go stays, as for single deletions.
        drop(delete(store, &wish, &(resource, &namespace, &name), now));
    }
    let body = json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.group_version(),
        "metadata": {"resourceVersion": store.version.to_string()}, "items": chosen,
    });
    Answer::json(200, &body)
}

/// `POST` of an eviction.
pub(super) fn evict(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Answer {
    let options = writes::body(request).map(|eviction| eviction["deleteOptions"].clone()).unwrap_or_default();
    let wish = Wish::new(request, &options);
    let Some(pod) = store.at(&key(place)) else { return status::not_found(place.0, place.2) };
    if let Some(budget) = budgets::forbids(store, pod) {
        return status::over_budget(&budget);
    }
    match delete(store, &wish, place, now) {
        Ok(_) => status::evicted(),
        Err(refusal) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{User, answer};
    use super::*;

    const MAPS: &str = "/api/v1/namespaces/default/configmaps";

    fn ask(store: &mut Store, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let user = User::Known { name: "x".to_owned(), groups: vec!["system:masters".to_owned()] };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.into_iter().collect(),
            body,
            ..Request::default()
        };
        let answer = answer(store, &user, &request, "v1.36.3", OffsetDateTime::UNIX_EPOCH);
        let Answer::Whole { code, body, .. } = answer else { panic!("a stream") };
        (code, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn map(name: &str, set: &str, owners: &Value) -> Value {
        let metadata = json!({"name": name, "labels": {"set": set}, "ownerReferences": owners});
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata})
    }

    fn store() -> Store {
        let mut store = Store::new(1);
        let space = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "default"}});
        assert_eq!(ask(&mut store, "POST", "/api/v1/namespaces", &space).0, 201);
        store
    }

    fn names(store: &Store) -> Vec<String> {
        let maps = store.list("configmaps", None);
        maps.filter_map(|map| map["metadata"]["name"].as_str().map(str::to_owned)).collect()
    }

    #[test]
    fn what_is_owned_goes_with_its_last_owner_and_at_once_if_that_was_never_there() {
        let mut store = store();
        let owner =
            |name: &str, uid: &Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid});
        let mut uid =
            |name: &str| ask(&mut store, "POST", MAPS, &map(name, "o", &json!([]))).1["metadata"]["uid"].clone();
        let owners = json!([owner("a", &uid("a")), owner("b", &uid("b"))]);
        ask(&mut store, "POST", MAPS, &map("child", "c", &owners));
        ask(&mut store, "POST", MAPS, &map("lost", "c", &json!([owner("z", &json!("nobody"))])));
        assert_eq!(names(&store), ["a", "b", "child"]);
        ask(&mut store, "DELETE", &format!("{MAPS}/a"), &Value::Null);
        assert_eq!(names(&store), ["b", "child"]);
        ask(&mut store, "DELETE", &format!("{MAPS}/b"), &Value::Null);
        assert!(names(&store).is_empty());
    }

    #[test]
    fn a_deletion_that_means_another_object_is_refused() {
        let mut store = store();
        ask(&mut store, "POST", MAPS, &map("a", "x", &json!([])));
        let place = format!("{MAPS}/a");
        for (field, said) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let (code, body) = ask(&mut store, "DELETE", &place, &json!({"preconditions": {field: "other"}}));
            let wanted = format!("Precondition failed: {said} in precondition: other, {said} in object meta: ");
            assert!(code == 409 && body["message"].as_str().unwrap().contains(&wanted), "{body}");
        }
        assert_eq!(ask(&mut store, "DELETE", &place, &json!({"dryRun": ["All"]})).0, 200);
        assert_eq!(names(&store), ["a"]);
    }

    #[test]
    fn a_collection_is_deleted_as_far_as_it_is_selected_but_never_all_namespaces() {
        let mut store = store();
        for (name, set) in [("a", "x"), ("b", "y"), ("c", "x")] {
            ask(&mut store, "POST", MAPS, &map(name, set, &json!([])));
        }
        let (code, body) = ask(&mut store, "DELETE", &format!("{MAPS}?labelSelector=set=x"), &Value::Null);
        assert_eq!((code, body["items"].as_array().unwrap().len()), (200, 2));
        assert_eq!(names(&store), ["b"]);
        assert_eq!(ask(&mut store, "DELETE", "/api/v1/namespaces", &Value::Null).0, 405);
    }
}
