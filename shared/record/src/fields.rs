//! Fields of `status`, as all records handle them.

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
