//! A document that its users keep other things in, too: read so that nothing in it is lost when it is written again.

use crate::{
    Error, Resolved, is_plain_in_old_yaml,
    node::{Data, Key, Node, Origin, Place},
    value::{Map, Value},
};

/// Why a file can't be written again without losing something in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// Not YAML that can be read; a key twice is none, either.
    #[error("{0}")]
    Yaml(#[from] Error),
    /// Bytes that are no text.
    #[error("it isn't UTF-8")]
    Text,
    /// Another document behind the first one, which no reader of such a file would see.
    #[error("{0}: a second YAML document begins here, but such a file has one")]
    Several(Place),
    /// A key that is `null`, which can't be written again.
    #[error("{0}: a key can't be null")]
    NullKey(Place),
    /// A list entry with the name of an earlier one.
    #[error("{place}: a second {what} named {name:?}")]
    Twice {
        /// Where it stands.
        place: Place,
        /// What it is.
        what: &'static str,
        /// The name that both have.
        name: String,
    },
    /// Something stands where something else belongs.
    #[error("{place}: {what} is {found}, but has to be {wanted}")]
    Kind {
        /// Where it stands.
        place: Place,
        /// What it belongs to.
        what: String,
        /// What it is.
        found: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
}

/// What of a text is lost when its contents are written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing.
    Nothing,
    /// Only how it was laid out.
    Layout,
    /// Comments.
    Comments,
}

impl Lost {
    /// What is lost of a text whose contents, unchanged, are written as `again`.
    ///
    /// A `#` in a quoted text is taken for a comment, too: a copy too many harms nobody.
    pub fn of(text: &str, again: &str) -> Self {
        let is_comment = |line: &str| line.starts_with('#') || line.contains(" #") || line.contains("\t#");
        if text == again || text.trim().is_empty() {
            Self::Nothing
        } else if text.lines().any(is_comment) {
            Self::Comments
        } else {
            Self::Layout
        }
    }
}

/// The one document of a text, and its value with every number as it was written; `None` if the text holds nothing.
///
/// # Errors
/// It can't be read, or something in it would be lost.
pub fn document(text: &str) -> Result<Option<(Node, Value)>, Unkept> {
    let mut documents = crate::read(text)?.into_iter();
    let Some(first) = documents.next() else { return Ok(None) };
    if let Some(second) = documents.next() {
        return Err(Unkept::Several(second.place));
    }
    if first.is_null() {
        return Ok(None);
    }
    let value = value(&first)?;
    Ok(Some((first, value)))
}

fn value(node: &Node) -> Result<Value, Unkept> {
    let pair = |(key, node): &(Key, Node)| match key.origin {
        Origin::Null => Err(Unkept::NullKey(key.place)),
        _ => Ok((key.text.clone(), value(node)?)),
    };
    Ok(match &node.data {
        Data::Map(pairs) => Value::Map(pairs.iter().map(pair).collect::<Result<Map, _>>()?),
        Data::List(items) => Value::List(items.iter().map(value).collect::<Result<_, _>>()?),
        Data::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Value::Null,
            // Other readers take `yes` for a boolean, as YAML 1.1 does; in quotes it would be a text to them.
            Resolved::Text if scalar.plain && is_plain_in_old_yaml(&scalar.text) => Value::Number(scalar.text.clone()),
            Resolved::Text | Resolved::Merge => scalar.text.as_str().into(),
            // As it was written: `1.10` may be a version.
            Resolved::Bool(_) | Resolved::Int(_) | Resolved::Float(_) | Resolved::Date => {
                Value::Number(scalar.text.clone())
            }
        },
    })
}

/// The pairs of a mapping; none where there is nothing.
///
/// # Errors
/// Something else stands there.
pub fn pairs<'a>(node: Option<&'a Node>, what: &str) -> Result<&'a [(Key, Node)], Unkept> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(&[]) };
    node.pairs().ok_or_else(|| wrong(node, what, "a mapping"))
}

/// The items of a list; none where there is nothing.
///
/// # Errors
/// Something else stands there.
pub fn items<'a>(node: Option<&'a Node>, what: &str) -> Result<&'a [Node], Unkept> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(&[]) };
    node.items().ok_or_else(|| wrong(node, what, "a list"))
}

/// The text of a scalar; empty where there is nothing.
///
/// # Errors
/// Something else stands there.
pub fn text<'a>(node: Option<&'a Node>, what: &str) -> Result<&'a str, Unkept> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok("") };
    node.text().ok_or_else(|| wrong(node, what, "a text"))
}

/// That something else stands there than what has to.
pub fn wrong(node: &Node, what: &str, wanted: &'static str) -> Unkept {
    let found = match node.kind() {
        "a sequence" => "a list",
        "a scalar" => "a text",
        kind => kind,
    };
    Unkept::Kind { place: node.place, what: what.to_owned(), found, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_readers_take_for_a_boolean_stays_without_quotes() {
        let text = "insecure-skip-tls-verify: yes\nname: \"no\"\ntime: 1:20\n";
        let (_, value) = document(text).unwrap().unwrap();
        assert_eq!(crate::write(&value, crate::Dialect::V3), text);
    }

    #[test]
    fn comments_and_layout_are_known_to_be_lost() {
        for (text, lost) in [
            ("a: b\n", Lost::Nothing),
            ("\n", Lost::Nothing),
            ("a:   b\n", Lost::Layout),
            ("a: b#c\nd: e\n", Lost::Layout),
            ("# mine\na: b\n", Lost::Comments),
            ("a: b # mine\n", Lost::Comments),
            ("a: b\t# mine\n", Lost::Comments),
        ] {
            assert_eq!(Lost::of(text, "a: b\n"), lost, "{text:?}");
        }
    }
}
