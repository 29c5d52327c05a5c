//! Fields of `status`, as all records handle them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::status::{DryRun, Field, Only, Scope};
use crate::table::Row;
use crate::{Change, Code, Effect, Exit, Failure, Map, Unusable};

/// Refuses fields of the wrong type that the engine reads: with `dryRun: "yes"` a step would act.
pub(crate) fn check_engine_fields(status: &Value) -> Result<(), Unusable> {
    if let Some(other) = status.get(DryRun::NAME).filter(|value| !value.is_boolean()) {
        return Err(Unusable::new(format!("status.dryRun is {other}, neither true nor false")));
    }
    let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    match status.get(Only::NAME).filter(|value| !is_list(value)) {
        Some(other) => Err(Unusable::new(format!("status.only is {other}, not a list of node names"))),
        None => Ok(()),
    }
}

/// The failure for an error that another program wrote: it counts as final.
pub(crate) fn foreign_failure(error: &Value) -> Failure {
    let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
    Failure::new(Exit::Failed, Code::UnknownError, text)
}

/// A whole `spec`, typed; `who` names the record. A value of another type is named with its key.
pub(crate) fn typed_spec<T: DeserializeOwned>(spec: &Map, who: &str) -> Result<T, Unusable> {
    let whole = Value::Object(spec.clone());
    T::deserialize(&whole).map_err(|error| {
        let said = error.to_string();
        let place = wrong_place::<T>(&whole, &said);
        Unusable::new(format!("{who}: spec{place}: {said}"))
    })
}

/// The key of the value that is of another type: the innermost without which it isn't said any more.
fn wrong_place<T: DeserializeOwned>(whole: &Value, said: &str) -> String {
    let is_said = |value: &Value| T::deserialize(value).is_err_and(|error| error.to_string() == said);
    let mut pointer = String::new();
    let mut place = String::new();
    loop {
        let inner: Vec<(String, String)> = match whole.pointer(&pointer) {
            Some(Value::Object(map)) => {
                map.keys().map(|key| (key.replace('~', "~0").replace('/', "~1"), format!(".{key}"))).collect()
            }
            Some(Value::Array(list)) => {
                (0..list.len()).map(|index| (index.to_string(), format!("[{index}]"))).collect()
            }
            _ => return place,
        };
        let without = |token: &str| {
            let mut rest = whole.clone();
            match rest.pointer_mut(&pointer) {
                Some(Value::Object(map)) => drop(map.remove(&token.replace("~1", "/").replace("~0", "~"))),
                Some(Value::Array(list)) => drop(token.parse().map(|index: usize| list.remove(index))),
                _ => {}
            }
            rest
        };
        let Some((token, step)) = inner.into_iter().find(|(token, _)| !is_said(&without(token))) else { return place };
        pointer = format!("{pointer}/{token}");
        place.push_str(&step);
    }
}

/// A field of `status`, typed; `who` names the record.
pub(crate) fn typed<F: Field>(status: &Map, who: impl Fn() -> String) -> Result<Option<F>, Unusable> {
    let Some(value) = status.get(F::NAME) else { return Ok(None) };
    F::deserialize(value).map(Some).map_err(|error| Unusable::new(format!("{}: status.{}: {error}", who(), F::NAME)))
}

/// The value of a field in `status`.
pub(crate) fn plain<F: Field>(field: &F) -> Value {
    serde_json::to_value(field).expect("a status is plain data")
}

/// Adds what was done to a value that is an object: `changed` or `pending`, and `changes`.
#[must_use]
pub fn marked(mut value: Value, effect: Effect, changes: Vec<Change>) -> Value {
    if let Value::Object(map) = &mut value {
        match effect {
            Effect::Changed => map.insert("changed".into(), true.into()),
            Effect::Unchanged => map.insert("changed".into(), false.into()),
            Effect::Pending => map.insert("pending".into(), true.into()),
        };
        let changes = serde_json::to_value(changes).expect("changes are plain data");
        map.insert("changes".into(), changes);
    }
    value
}

/// Whether a field has `"pending": true`.
pub(crate) fn is_planned(status: &Map, name: &str) -> bool {
    status.get(name).and_then(|value| value.get("pending")) == Some(&Value::Bool(true))
}

/// Removes what `--inline` put into fields of `status`.
pub(crate) fn hide_inline(status: &mut Map) {
    for inline in status.values_mut().filter_map(|field| field.get_mut("inline")) {
        *inline = "(not shown on a terminal)".into();
    }
}

/// Whether one of the fields has `"pending": true`.
pub(crate) fn any_pending(status: &Map) -> bool {
    status.keys().any(|name| is_planned(status, name))
}

/// Drops from `status` what `row` drops on reading: see [`Row::stale`] and [`Row::drops_error_of`].
pub(crate) fn drop_stale(status: &mut Map, row: &Row, scope: Scope) {
    for field in row.stale(scope) {
        status.shift_remove(field);
    }
    let signed = status.get("error").and_then(|error| error.get("step")).and_then(Value::as_str);
    if signed.is_some_and(|step| row.drops_error_of(step)) {
        status.shift_remove("error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ClusterSpec, NodeSpec};

    fn said<T: DeserializeOwned>(json: &str) -> String {
        let spec = serde_json::from_str::<Map>(json).unwrap();
        typed_spec::<T>(&spec, "cluster lab").map(|_| ()).unwrap_err().message
    }

    #[test]
    fn a_value_of_another_type_is_named_with_its_key() {
        for (json, place) in [
            (
                r#"{"proxmox":{"storage":"a","bridge":{"x":1}},"talos":{"version":"v1.13.9"}}"#,
                "spec.proxmox.bridge: invalid",
            ),
            (r#"{"network":{"nameservers":["10.0.0.1",5]}}"#, "spec.network.nameservers[1]: invalid type"),
            (r#"{"network":{"vlans":[{"id":"x"}]}}"#, "spec.network.vlans[0].id: invalid type"),
            (r#"{"patches":1}"#, "spec.patches: invalid type"),
        ] {
            let message = said::<ClusterSpec>(json);
            assert!(message.starts_with(&format!("cluster lab: {place}")), "{message}");
        }
        let message = said::<NodeSpec>(r#"{"role":"worker","labels":{"a/b":1}}"#);
        assert!(message.starts_with("cluster lab: spec.labels.a/b: invalid type"), "{message}");
        assert!(said::<NodeSpec>("{}").starts_with("cluster lab: spec: missing field `role`"));
    }
}
