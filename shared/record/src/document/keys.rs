//! Finds misspelled keys.
//!
//! Unknown keys are kept: users may put their own there. But a key that differs by a letter from a known one that isn't
//! set is a mistake that would otherwise be silent.

use std::sync::LazyLock;

use serde_json::Value;

use crate::{Map, Unusable, schema};

/// The schema of the cluster file: its keys are the known ones.
static SCHEMA: LazyLock<Value> = LazyLock::new(schema::document);

/// Checks all maps of a cluster file.
pub(super) fn check(document: &Map) -> Result<(), Unusable> {
    map(document, &SCHEMA, "")
}

/// Checks a map, and what is in it, by the keys of its schema; a schema without keys allows any.
fn map(found: &Map, schema: &Value, place: &str) -> Result<(), Unusable> {
    let Some(properties) = resolved(schema).get("properties").and_then(Value::as_object) else { return Ok(()) };
    let prefix = if place.is_empty() { String::new() } else { format!("{place}.") };
    near_misses(found, properties, &prefix)?;
    let known = found.iter().filter_map(|(key, value)| Some((key, value, properties.get(key)?)));
    known.into_iter().try_for_each(|(key, inner, schema)| value(inner, schema, &format!("{prefix}{key}")))
}

fn value(found: &Value, schema: &Value, place: &str) -> Result<(), Unusable> {
    match found {
        Value::Object(inner) => map(inner, schema, place),
        Value::Array(items) => match resolved(schema).get("items") {
            Some(item) => {
                items.iter().enumerate().try_for_each(|(index, inner)| value(inner, item, &format!("{place}[{index}]")))
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The schema itself, or the one that it refers to, also as one of two with `null`.
fn resolved(schema: &Value) -> &Value {
    let either = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let reference = std::iter::once(schema).chain(either).find_map(|schema| schema.get("$ref")?.as_str());
    let definition = reference.and_then(|text| SCHEMA.get("$defs")?.get(text.strip_prefix("#/$defs/")?));
    definition.unwrap_or(schema)
}

fn near_misses(found: &Map, known: &Map, place: &str) -> Result<(), Unusable> {
    for key in found.keys().filter(|key| !known.contains_key(*key)) {
        let absent = known.keys().filter(|name| !found.contains_key(*name)).map(String::as_str);
        if let Some(meant) = nearest(key, absent) {
            return Err(Unusable::new(format!("{place}{key}: unknown key; did you mean `{meant}`?")));
        }
    }
    Ok(())
}

/// The name that a word is, except for case, separators or a typing error.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().filter(|name| is_near(word, name)).min_by_key(|name| distance(word, name))
}

/// Whether `key` is `name` except for case, separators or a typing error.
fn is_near(key: &str, name: &str) -> bool {
    let allowed = match name.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    distance(key, name) <= allowed
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to get from one to the other;
/// case and separators count for nothing.
fn distance(a: &str, b: &str) -> usize {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    strsim::osa_distance(&plain(a), &plain(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_one_or_two_letters_away_by_the_length_of_the_word() {
        for (key, name) in [
            ("cert-sans", "certSANs"),
            ("nmae", "name"),
            ("metric", "metrics"),
            ("gatewya", "gateway"),
            ("gatwayy", "gateway"),
        ] {
            assert!(is_near(key, name), "{key} {name}");
        }
        for (key, name) in [("to", "via"), ("mut", "vlans"), ("nmea", "mtu"), ("gatwyaa", "gateway"), ("ib", "id")] {
            assert!(!is_near(key, name), "{key} {name}");
        }
    }

    #[test]
    fn keys_are_known_at_every_depth_because_the_schema_has_them() {
        let file = |text: &str| super::super::read_yaml(text).unwrap().remove(0);
        for (text, place) in [
            ("spec: {network: {bond: {mdoe: x}}}", "spec.network.bond.mdoe"),
            (
                "spec: {controlplane: {network: {vlans: [{id: 1, adress: x}]}}}",
                "spec.controlplane.network.vlans[0].adress",
            ),
            ("spec: {worker: {lables: {}}}", "spec.worker.lables"),
            ("spec: {talos: {verison: x}}", "spec.talos.verison"),
            ("spec: {volumes: [{name: a, minsize: x}]}", "spec.volumes[0].minsize"),
            ("nodes: [{name: a, network: {bond: {nisc: []}}}]", "nodes[0].network.bond.nisc"),
        ] {
            let message = check(&file(text)).unwrap_err().message;
            assert!(message.starts_with(&format!("{place}: unknown key")), "{message}");
        }
        assert_eq!(check(&file("spec: {vm: {core: 2}, labels: {nmae: x}, worker: {vm: {sokets: 1}}}")), Ok(()));
    }
}
