//! The scale subresource: it sets the number of pods of anything that has pods.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::Answer;
use super::request::Request;
use super::status;
use super::store::Store;
use super::writes::{Place, answered, body, grown, write};

/// `GET`, `PUT` and `PATCH` of `scale`: how many pods there are to be.
pub(super) fn answer(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Answer {
    answered(scaled(store, request, place, now))
}

fn scaled(store: &mut Store, request: &Request, place: &Place<'_>, now: OffsetDateTime) -> Result<Answer, Answer> {
    let (resource, namespace, name) = *place;
    let missing = || status::not_found(resource, name);
    let before = store.get(resource.key(), namespace, name).cloned().ok_or_else(missing)?;
    let (wanted, there) = resource.scale.as_ref().ok_or_else(status::unknown_path)?;
    if request.method != "GET" {
        let count = body(request)?["spec"]["replicas"].clone();
        let mut object = before.clone();
        let place_of = if object.pointer(wanted).is_some() {
            object.pointer_mut(wanted)
        } else {
            Some(&mut object["spec"]["replicas"])
        };
        if let Some(place) = place_of {
            *place = count;
        }
        grown(&before, &mut object);
        write(store, request, object, place, (200, now));
    }
    let object = store.get(resource.key(), namespace, name).ok_or_else(missing)?;
    let metadata = &object["metadata"];
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let body = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": name, "namespace": namespace, "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": count(wanted)},
        "status": {"replicas": count(there)},
    });
    Ok(Answer::json(200, &body))
}
