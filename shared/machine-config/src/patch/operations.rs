//! Single operations of RFC 6902, with the liberties that Talos's library takes: indexes with a sign or zeros before
//! them, those from the end, keys that `replace` makes, values that aren't given, and a `test` for nothing.

use std::fmt;

use serde_json::Value as Json;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

impl Verb {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "add" => Self::Add,
            "remove" => Self::Remove,
            "replace" => Self::Replace,
            "move" => Self::Move,
            "copy" => Self::Copy,
            "test" => Self::Test,
            _ => return None,
        })
    }

    /// Whether it takes what it puts from another place.
    pub(super) fn has_source(self) -> bool {
        matches!(self, Self::Move | Self::Copy)
    }
}

/// A path of keys and indexes.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    text: String,
    keys: Vec<String>,
}

impl Pointer {
    /// Whatever stands before the first slash doesn't count; without one there is no key at all.
    pub(super) fn parse(text: &str) -> Self {
        let keys = text.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
        Self { text: text.to_owned(), keys: keys.collect() }
    }

    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) verb: Verb,
    pub(super) path: Pointer,
    pub(super) from: Option<Pointer>,
    pub(super) value: Option<Json>,
}

type Outcome<T = ()> = Result<T, &'static str>;

const NO_PATH: &str = "doc is missing path";
const NO_SOURCE: &str = "doc is missing from path";
const NO_KEY: &str = "unable to remove nonexistent key";
const NO_INDEX: &str = "invalid index referenced";
const TEST_FAILED: &str = "test failed";

impl Operation {
    /// Carries it out; the error says why not.
    pub(super) fn carry_out(&self, json: &mut Json) -> Outcome {
        let value = || self.value.clone().unwrap_or_default();
        match self.verb {
            Verb::Add => add(json, &self.path, value()),
            Verb::Remove => remove(json, &self.path).map(drop),
            Verb::Replace => self.replace(json, value()),
            Verb::Move => {
                let taken = remove(json, self.from.as_ref().ok_or(NO_SOURCE)?)?;
                add(json, &self.path, taken)
            }
            Verb::Copy => {
                let (there, key) = target(json, self.from.as_ref().ok_or(NO_SOURCE)?).ok_or(NO_SOURCE)?;
                let copy = get(there, key)?.clone();
                add(json, &self.path, copy)
            }
            Verb::Test => self.test(json),
        }
    }

    fn replace(&self, json: &mut Json, value: Json) -> Outcome {
        if self.path.text.is_empty() {
            let whole = value.is_object() || value.is_array();
            *json = if whole { value } else { return Err("value must be object or array") };
            return Ok(());
        }
        let (there, key) = target(json, &self.path).ok_or(NO_PATH)?;
        match there {
            Json::Object(map) => drop(map.insert(key.to_owned(), value)),
            Json::Array(items) => {
                let at = index(key, items.len()).filter(|at| *at < items.len()).ok_or(NO_INDEX)?;
                items[at] = value;
            }
            _ => return Err(NO_PATH),
        }
        Ok(())
    }

    fn test(&self, json: &mut Json) -> Outcome {
        let found = if self.path.text.is_empty() {
            &*json
        } else {
            let (there, key) = target(json, &self.path).ok_or(NO_PATH)?;
            get(there, key)?
        };
        let passed = match &self.value {
            None => found.is_null(),
            Some(value) => !value.is_null() && found == value,
        };
        if passed { Ok(()) } else { Err(TEST_FAILED) }
    }
}

fn add(json: &mut Json, path: &Pointer, value: Json) -> Outcome {
    let (there, key) = target(json, path).ok_or(NO_PATH)?;
    match there {
        Json::Object(map) => drop(map.insert(key.to_owned(), value)),
        Json::Array(items) if key == "-" => items.push(value),
        Json::Array(items) => {
            // Behind the last item there is one more place.
            let at = index(key, items.len() + 1).filter(|at| *at <= items.len()).ok_or(NO_INDEX)?;
            items.insert(at, value);
        }
        _ => return Err(NO_PATH),
    }
    Ok(())
}

fn remove(json: &mut Json, path: &Pointer) -> Outcome<Json> {
    let (there, key) = target(json, path).ok_or(NO_PATH)?;
    match there {
        // The order of keys means nothing, and moving all of them takes time.
        Json::Object(map) => map.swap_remove(key).ok_or(NO_KEY),
        Json::Array(items) => {
            let at = index(key, items.len()).filter(|at| *at < items.len()).ok_or(NO_INDEX)?;
            Ok(items.remove(at))
        }
        _ => Err(NO_PATH),
    }
}

/// What stands at a key; in a mapping that doesn't have it, nothing.
fn get<'a>(there: &'a Json, key: &str) -> Outcome<&'a Json> {
    match there {
        Json::Object(map) => Ok(map.get(key).unwrap_or(&Json::Null)),
        Json::Array(items) => index(key, items.len()).and_then(|at| items.get(at)).ok_or(NO_INDEX),
        _ => Err(NO_PATH),
    }
}

/// What holds the last key of a path, and that key.
fn target<'a, 'p>(json: &'a mut Json, path: &'p Pointer) -> Option<(&'a mut Json, &'p str)> {
    let (key, way) = path.keys.split_last()?;
    let there = way.iter().try_fold(json, |there, key| match there {
        Json::Object(map) => map.get_mut(key),
        Json::Array(items) => index(key, items.len()).and_then(|at| items.get_mut(at)),
        _ => None,
    })?;
    (there.is_object() || there.is_array()).then_some((there, key.as_str()))
}

/// An index as Go reads it, from the end when it is negative.
fn index(key: &str, count: usize) -> Option<usize> {
    let number: i64 = key.parse().ok()?;
    let from_front = if number < 0 { number + i64::try_from(count).ok()? } else { number };
    usize::try_from(from_front).ok()
}
