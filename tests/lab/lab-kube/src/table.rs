//! Objects as the tables that kubectl prints.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::columns::{self, Column};
use super::resources::Resource;
use super::store::Store;
use super::{custom, jsonpath};

/// How old an object is.
pub(super) fn age(object: &Value, now: OffsetDateTime) -> Value {
    since(&object["metadata"]["creationTimestamp"], now)
}

/// How long a time is ago.
pub(super) fn since(time: &Value, now: OffsetDateTime) -> Value {
    match self::time(time.as_str().unwrap_or_default()) {
        Some(created) => json!(human((now - created).whole_seconds().max(0))),
        None => json!("<unknown>"),
    }
}

/// The time that a text means.
pub(super) fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// A duration as kubectl writes ages: `45s`, `3m12s`, `5h`, `2d3h`.
fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        _ => format!("{days}d"),
    }
}

/// Two units, the smaller one only if it counts.
fn two(large: i64, unit: char, small: i64, smaller: char) -> String {
    match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{smaller}"),
    }
}

/// A column: its name, the type of its cells, its priority (0 is always shown).
struct Head<'a> {
    name: &'a str,
    kind: &'a str,
    priority: u64,
}

impl<'a> Head<'a> {
    /// The head of a column that a definition describes.
    fn of(column: &'a Value) -> Self {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        Self { name: text("name"), kind: text("type"), priority: column["priority"].as_u64().unwrap_or(0) }
    }
}

/// What a table shows of a kind.
enum Layout<'a> {
    /// As it is built in.
    BuiltIn(&'static [Column]),
    /// By its definition.
    Defined(Vec<&'a Value>),
}

impl Layout<'_> {
    fn heads(&self) -> Vec<Head<'_>> {
        let first = Head { name: "Name", kind: "string", priority: 0 };
        match self {
            Layout::BuiltIn(columns) => {
                let head = |c: &'static Column| Head { name: c.name, kind: "string", priority: c.priority.into() };
                columns.iter().map(head).collect()
            }
            Layout::Defined(columns) if columns.is_empty() => {
                vec![first, Head { name: "Age", kind: "date", priority: 0 }]
            }
            Layout::Defined(columns) => {
                std::iter::once(first).chain(columns.iter().map(|column| Head::of(column))).collect()
            }
        }
    }

    fn cells(&self, object: &Value, now: OffsetDateTime) -> Vec<Value> {
        let name = || object["metadata"]["name"].clone();
        match self {
            Layout::BuiltIn(columns) => columns.iter().map(|column| (column.cell)(object, now)).collect(),
            Layout::Defined(columns) if columns.is_empty() => vec![name(), age(object, now)],
            Layout::Defined(columns) => {
                std::iter::once(name()).chain(columns.iter().map(|column| cell(column, object, now))).collect()
            }
        }
    }
}

/// A cell of a column that a definition describes; empty where the object has no value.
fn cell(column: &Value, object: &Value, now: OffsetDateTime) -> Value {
    let path = column["jsonPath"].as_str().unwrap_or_default();
    match (jsonpath::find(object, path), column["type"].as_str()) {
        (None | Some(Value::Null), _) => Value::Null,
        (Some(time), Some("date")) => since(time, now),
        (Some(value @ (Value::Object(_) | Value::Array(_))), Some("string")) => json!(value.to_string()),
        (Some(value), Some("string")) if !value.is_string() => json!(value.to_string()),
        (Some(value), _) => value.clone(),
    }
}

/// The table of some objects.
pub(super) fn table(
    store: &Store,
    resource: &Resource,
    objects: &[Value],
    version: &str,
    now: OffsetDateTime,
) -> Value {
    let layout = match custom::version(store, resource) {
        Some(own) => Layout::Defined(own["additionalPrinterColumns"].as_array().into_iter().flatten().collect()),
        None => Layout::BuiltIn(columns::columns(resource)),
    };
    let definitions: Vec<Value> = layout.heads().iter().map(definition).collect();
    let row = |object: &Value| {
        let partial = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        });
        json!({"cells": layout.cells(object, now), "object": partial})
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions,
        "rows": objects.iter().map(row).collect::<Vec<_>>(),
    })
}

fn definition(head: &Head<'_>) -> Value {
    json!({
        "name": head.name,
        "type": head.kind,
        "format": if head.name == "Name" { "name" } else { "" },
        "description": format!("{} of the object.", head.name),
        "priority": head.priority,
    })
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let written: Vec<String> = [45, 119, 120, 192, 700, 18_000, 90_000, 200_000].map(human).into();

        assert_eq!(written, ["45s", "119s", "2m", "3m12s", "11m", "5h", "25h", "2d7h"]);
    }
}
