//! Objects as the tables that kubectl prints.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::columns::{self, Column};
use super::resources::Resource;

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

/// The table of some objects.
pub(super) fn table(resource: &Resource, objects: &[Value], version: &str, now: OffsetDateTime) -> Value {
    let columns = columns::columns(resource);
    let definitions: Vec<Value> = columns.iter().map(definition).collect();
    let row = |object: &Value| {
        let partial = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        });
        json!({"cells": columns.iter().map(|column| (column.cell)(object, now)).collect::<Vec<_>>(), "object": partial})
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions,
        "rows": objects.iter().map(row).collect::<Vec<_>>(),
    })
}

fn definition(head: &Column) -> Value {
    json!({
        "name": head.name,
        "type": "string",
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
