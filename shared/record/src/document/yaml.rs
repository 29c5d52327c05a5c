//! Reads the YAML of a cluster file.

use serde::Deserialize;
use serde_json::{Number, Value};

use crate::{Map, Unusable};

/// Reads all documents of a YAML (or JSON) text.
///
/// Duplicate keys are refused, merge keys (`<<`) are applied, empty documents are skipped.
///
/// # Errors
/// Text that is not YAML (with line and column), a document that is not a map, or a key that is not text.
pub fn read(text: &str) -> Result<Vec<Map>, Unusable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let mut value = serde_yaml::Value::deserialize(document).map_err(|error| placed(text, &error))?;
        value.apply_merge().map_err(|error| syntax(&error))?;
        match json(value, "the document")? {
            Value::Null => {}
            Value::Object(map) => documents.push(map),
            _ => {
                return Err(Unusable::new("the document is not a map").hint("check that this is a cluster file"));
            }
        }
    }
    Ok(documents)
}

fn syntax(error: &serde_yaml::Error) -> Unusable {
    Unusable::new(format!("not YAML: {error}"))
}

/// A syntax error with its place, which the parser does not report for keys at top level.
fn placed(text: &str, error: &serde_yaml::Error) -> Unusable {
    let mut unusable = syntax(error);
    let key = unusable.message.split_once("duplicate entry with key \"").and_then(|(_, rest)| rest.strip_suffix('"'));
    if let Some(key) = key {
        let begins = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        if let Some((at, _)) = text.lines().enumerate().filter(|(_, line)| begins(line)).nth(1) {
            unusable.message.push_str(&format!(" at line {}", at + 1));
        }
    }
    unusable
}

/// The same value in JSON's terms; `place` names it in errors.
fn json(value: serde_yaml::Value, place: &str) -> Result<Value, Unusable> {
    use serde_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(bool) => Value::Bool(bool),
        Yaml::Number(number) => Value::Number(json_number(&number, place)?),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => {
            let item = |(at, item)| json(item, &format!("{place}[{at}]"));
            Value::Array(items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(mapping) => {
            let mut map = Map::new();
            for (key, value) in mapping {
                let Yaml::String(key) = key else {
                    return Err(Unusable::new(format!("{place} has a key that is not text: {key:?}"))
                        .hint("write it in quotes"));
                };
                let inner = json(value, &key)?;
                map.insert(key, inner);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => {
            return Err(Unusable::new(format!("{place} has the tag {}", tagged.tag)));
        }
    })
}

fn json_number(number: &serde_yaml::Number, place: &str) -> Result<Number, Unusable> {
    if let Some(whole) = number.as_i64() {
        return Ok(whole.into());
    }
    if let Some(whole) = number.as_u64() {
        return Ok(whole.into());
    }
    let float = number.as_f64().and_then(Number::from_f64);
    float.ok_or_else(|| Unusable::new(format!("{place}: {number} is not a number that JSON can hold")))
}
