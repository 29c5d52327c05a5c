//! Single operations of RFC 6902. The library applies them; before that, what Talos's own library tolerates is made
//! exact: indexes with a sign or leading zeros, indexes from the end, keys that `replace` creates, missing values, a
//! `test` for nothing.

use std::fmt;

use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation, patch_unsafe};
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

    /// Whether it takes its value from another place.
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
    /// Text before the first slash is ignored; without a slash there is no key.
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

type Outcome<T = ()> = Result<T, String>;

const NO_PATH: &str = "doc is missing path";
const NO_SOURCE: &str = "doc is missing from path";
const NO_KEY: &str = "unable to remove nonexistent key";
const NO_INDEX: &str = "invalid index referenced";
const TEST_FAILED: &str = "test failed";

impl Operation {
    /// Applies it; the error is the reason why not.
    pub(super) fn carry_out(&self, json: &mut Json) -> Outcome {
        let value = || self.value.clone().unwrap_or_default();
        match self.verb {
            Verb::Add => add(json, &self.path, value()),
            Verb::Remove => remove(json, &self.path),
            Verb::Replace => self.replace(json, value()),
            Verb::Move => {
                let from = self.source()?;
                // A missing value can't be moved; its removal reports that.
                let moved = Place::find(json, from).and_then(|place| place.value().ok()).cloned();
                remove(json, from)?;
                add(json, &self.path, moved.unwrap_or_default())
            }
            Verb::Copy => {
                let copied = Place::find(json, self.source()?).ok_or(NO_SOURCE)?.value()?.clone();
                add(json, &self.path, copied)
            }
            Verb::Test => self.test(json),
        }
    }

    fn source(&self) -> Outcome<&Pointer> {
        Ok(self.from.as_ref().ok_or(NO_SOURCE)?)
    }

    fn replace(&self, json: &mut Json, value: Json) -> Outcome {
        let path = if self.path.text.is_empty() {
            let whole = value.is_object() || value.is_array();
            if whole { PointerBuf::root() } else { return Err("value must be object or array".to_owned()) }
        } else {
            let place = Place::find(json, &self.path).ok_or(NO_PATH)?;
            match place.parent {
                Json::Object(map) if !map.contains_key(place.key) => return add(json, &self.path, value),
                _ => place.existing(NO_PATH)?,
            }
        };
        apply(json, PatchOperation::Replace(ReplaceOperation { path, value }))
    }

    /// The library has no `test` for nothing.
    fn test(&self, json: &Json) -> Outcome {
        let found = match self.path.text.as_str() {
            "" => json,
            _ => Place::find(json, &self.path).ok_or(NO_PATH)?.value()?,
        };
        let passed = match &self.value {
            None => found.is_null(),
            Some(value) => !value.is_null() && found == value,
        };
        if passed { Ok(()) } else { Err(TEST_FAILED.to_owned()) }
    }
}

fn add(json: &mut Json, path: &Pointer, value: Json) -> Outcome {
    let path = Place::find(json, path).ok_or(NO_PATH)?.open()?;
    apply(json, PatchOperation::Add(AddOperation { path, value }))
}

fn remove(json: &mut Json, path: &Pointer) -> Outcome {
    let path = Place::find(json, path).ok_or(NO_PATH)?.existing(NO_KEY)?;
    apply(json, PatchOperation::Remove(RemoveOperation { path }))
}

fn apply(json: &mut Json, operation: PatchOperation) -> Outcome {
    patch_unsafe(json, &[operation]).map_err(|error| error.kind.to_string())
}

/// The place of the last key of a path.
struct Place<'a> {
    /// The mapping or list.
    parent: &'a Json,
    /// Its exact path.
    path: PointerBuf,
    key: &'a str,
}

impl<'a> Place<'a> {
    /// The place of a path, whose parent must exist.
    fn find(json: &'a Json, path: &'a Pointer) -> Option<Self> {
        let (key, way) = path.keys.split_last()?;
        let mut found = Self { parent: json, path: PointerBuf::root(), key };
        for key in way {
            let (next, token) = match found.parent {
                Json::Object(map) => (map.get(key)?, Token::new(key.as_str())),
                Json::Array(items) => {
                    let at = index(key, items.len())?;
                    (items.get(at)?, Token::from(at))
                }
                _ => return None,
            };
            found.parent = next;
            found.path.push_back(token);
        }
        (found.parent.is_object() || found.parent.is_array()).then_some(found)
    }

    /// The value there; in a mapping that doesn't have the key, nothing.
    fn value(&self) -> Outcome<&'a Json> {
        match self.parent {
            Json::Object(map) => Ok(map.get(self.key).unwrap_or(&Json::Null)),
            Json::Array(items) => Ok(index(self.key, items.len()).and_then(|at| items.get(at)).ok_or(NO_INDEX)?),
            _ => Err(NO_PATH.to_owned()),
        }
    }

    /// The path of an existing value; `missing` is the message for a key that a mapping doesn't have.
    fn existing(mut self, missing: &str) -> Outcome<PointerBuf> {
        let token = match self.parent {
            Json::Object(map) if map.contains_key(self.key) => Token::new(self.key),
            Json::Array(items) => {
                Token::from(index(self.key, items.len()).filter(|at| *at < items.len()).ok_or(NO_INDEX)?)
            }
            _ => return Err(missing.to_owned()),
        };
        self.path.push_back(token);
        Ok(self.path)
    }

    /// The path of a value to set; a list has one more place after its last item.
    fn open(mut self) -> Outcome<PointerBuf> {
        let token = match self.parent {
            Json::Array(items) if self.key != "-" => {
                Token::from(index(self.key, items.len() + 1).filter(|at| *at <= items.len()).ok_or(NO_INDEX)?)
            }
            _ => Token::new(self.key),
        };
        self.path.push_back(token);
        Ok(self.path)
    }
}

/// An index as Go reads it, from the end when it is negative.
fn index(key: &str, count: usize) -> Option<usize> {
    let number: i64 = key.parse().ok()?;
    let from_front = if number < 0 { number + i64::try_from(count).ok()? } else { number };
    usize::try_from(from_front).ok()
}
