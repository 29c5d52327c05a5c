use std::fmt;

use crate::resolve::{Resolved, resolve};

/// A position in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A piece of a document with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub data: Data,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Data {
    /// A scalar as written.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; keys are scalars and unique.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its position.
    pub place: Place,
    /// Its text.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a key comes from; some places in Talos depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is written in the mapping.
    Direct,
    /// It is written there as a null, which no text key equals.
    Null,
    /// A merge key (`<<`) adds it, from a mapping written there.
    Merge,
    /// A merge key adds it, from an alias.
    Alias,
}

/// A scalar as written.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The text without quotes.
    pub text: String,
    /// Whether it is written without quotes and without a `!!str` tag, and so may be something else than text.
    pub plain: bool,
}

impl Scalar {
    /// What Go's YAML resolves it to if the target has no type.
    pub fn resolve(&self) -> Resolved {
        if self.plain { resolve(&self.text) } else { Resolved::Text }
    }

    /// The whole number that Go reads from it, which may be written as a fraction: `1.0`, `1e3`.
    pub fn whole(&self) -> Option<i128> {
        match self.resolve() {
            Resolved::Int(number) => Some(number),
            #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
            Resolved::Float(number) if number.fract() == 0.0 && number.abs() < 1e18 => Some(number as i128),
            _ => None,
        }
    }
}

impl Node {
    /// Whether it is a plain null.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.resolve() == Resolved::Null)
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that isn't null.
    pub fn text(&self) -> Option<&str> {
        self.scalar().filter(|_| !self.is_null()).map(|scalar| scalar.text.as_str())
    }

    /// The pairs of a mapping.
    pub fn pairs(&self) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.pairs()?.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar(_) if self.is_null() => "null",
            Data::Scalar(_) => "a scalar",
            Data::List(_) => "a sequence",
            Data::Map(_) => "a mapping",
        }
    }
}
