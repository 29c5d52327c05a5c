//! Single operations of RFC 6902, with the liberties that Talos's library takes: indexes with a sign or zeros before
//! them, those from the end, keys that `replace` makes, and a `test` for nothing.

use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchError, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use serde_json::Value as Json;

/// Carries out an operation.
pub(super) fn carry_out(json: &mut Json, operation: &PatchOperation) -> Result<(), PatchError> {
    match fitted(json, operation) {
        PatchOperation::Test(test) if test.value.is_null() && is_new_key(json, &test.path) => Ok(()),
        operation => json_patch::patch(json, &[operation]),
    }
}

/// The operation in the words of the RFC.
fn fitted(json: &Json, operation: &PatchOperation) -> PatchOperation {
    let old = |path: &PointerBuf| place(json, path, false);
    let new = |path: &PointerBuf| place(json, path, true);
    match operation {
        PatchOperation::Add(AddOperation { path, value }) => {
            PatchOperation::Add(AddOperation { path: new(path), value: value.clone() })
        }
        PatchOperation::Replace(ReplaceOperation { path, value }) => match (old(path), value.clone()) {
            (path, value) if is_new_key(json, &path) => PatchOperation::Add(AddOperation { path, value }),
            (path, value) => PatchOperation::Replace(ReplaceOperation { path, value }),
        },
        PatchOperation::Remove(RemoveOperation { path }) => PatchOperation::Remove(RemoveOperation { path: old(path) }),
        PatchOperation::Move(MoveOperation { from, path }) => {
            PatchOperation::Move(MoveOperation { from: old(from), path: new(path) })
        }
        PatchOperation::Copy(CopyOperation { from, path }) => {
            PatchOperation::Copy(CopyOperation { from: old(from), path: new(path) })
        }
        PatchOperation::Test(TestOperation { path, value }) => {
            PatchOperation::Test(TestOperation { path: old(path), value: value.clone() })
        }
    }
}

/// Whether a path's last part is a key that its mapping doesn't have yet.
fn is_new_key(json: &Json, path: &PointerBuf) -> bool {
    let Some((parent, key)) = path.split_back() else { return false };
    parent.resolve(json).is_ok_and(|parent| parent.as_object().is_some_and(|map| !map.contains_key(&*key.decoded())))
}

/// A path with every index counted from the front; `adding` may reach one behind the last item.
fn place(json: &Json, path: &PointerBuf, adding: bool) -> PointerBuf {
    let last = path.tokens().count().saturating_sub(1);
    let mut here = Some(json);
    let mut tokens = Vec::new();
    for (depth, token) in path.tokens().enumerate() {
        let mut key = token.decoded().into_owned();
        if let Some(Json::Array(items)) = here {
            let count = items.len() + usize::from(adding && depth == last);
            key = index(&key, count).unwrap_or(key);
        }
        here = here.and_then(|json| match json {
            Json::Object(map) => map.get(&key),
            Json::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        });
        tokens.push(key);
    }
    PointerBuf::from_tokens(tokens.iter().map(|key| Token::new(key.as_str())))
}

/// An index as Go reads it, from the end when it is negative.
fn index(key: &str, count: usize) -> Option<String> {
    let number: i64 = key.parse().ok()?;
    let from_front = if number < 0 { number + i64::try_from(count).ok()? } else { number };
    (from_front >= 0).then(|| from_front.to_string())
}
