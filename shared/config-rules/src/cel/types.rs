//! The types of expressions.

use std::fmt::{self, Write as _};
use std::rc::Rc;

use super::declared::Message;

/// A type. Composed ones are shared, never copied.
#[derive(Clone, Debug)]
pub(super) enum Type {
    /// A type without parameters.
    Plain(Plain),
    /// A message.
    Message(&'static Message),
    /// A type with parameters.
    Composed(Rc<Composed>),
    /// A type that is not yet known, by its number.
    Unknown(usize),
}

/// Types without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    /// Known only when it is evaluated.
    Dyn,
    /// The type of a wrong expression, which has already been reported.
    Error,
    /// The type of a type.
    Type,
}

/// The constructor of a composed type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    List,
    Map,
    Optional,
    Type,
}

/// A type with parameters.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) head: Head,
    pub(super) parts: Vec<Type>,
    /// How many types it is made of, all in all.
    pub(super) size: usize,
}

impl Type {
    pub(super) const NULL: Self = Self::Plain(Plain::Null);
    pub(super) const BOOL: Self = Self::Plain(Plain::Bool);
    pub(super) const INT: Self = Self::Plain(Plain::Int);
    pub(super) const UINT: Self = Self::Plain(Plain::Uint);
    pub(super) const DOUBLE: Self = Self::Plain(Plain::Double);
    pub(super) const TEXT: Self = Self::Plain(Plain::Text);
    pub(super) const BYTES: Self = Self::Plain(Plain::Bytes);
    pub(super) const DYN: Self = Self::Plain(Plain::Dyn);
    pub(super) const ERROR: Self = Self::Plain(Plain::Error);

    /// A composed type of any size; the caller limits it.
    pub(super) fn composed(head: Head, parts: Vec<Self>) -> Self {
        let size = parts.iter().map(Self::size).fold(1, usize::saturating_add);
        Self::Composed(Rc::new(Composed { head, parts, size }))
    }

    pub(super) fn list(of: Self) -> Self {
        Self::composed(Head::List, vec![of])
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::composed(Head::Map, vec![key, value])
    }

    pub(super) fn optional(of: Self) -> Self {
        Self::composed(Head::Optional, vec![of])
    }

    /// The type of a type.
    pub(super) fn of_type(of: Self) -> Self {
        Self::composed(Head::Type, vec![of])
    }

    /// How many types it is made of.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Composed(composed) => composed.size,
            _ => 1,
        }
    }

    pub(super) fn is(&self, plain: Plain) -> bool {
        matches!(self, Self::Plain(found) if *found == plain)
    }

    pub(super) fn is_dyn_or_error(&self) -> bool {
        matches!(self, Self::Plain(Plain::Dyn | Plain::Error))
    }

    /// The parameters, if the type has this constructor.
    pub(super) fn parts(&self, head: Head) -> Option<&[Self]> {
        match self {
            Self::Composed(composed) if composed.head == head => Some(&composed.parts),
            _ => None,
        }
    }

    /// The type inside an optional, or the type itself; and whether it was an optional.
    pub(super) fn unwrapped(self) -> (Self, bool) {
        match self.parts(Head::Optional).and_then(<[Self]>::first) {
            Some(inner) => (inner.clone(), true),
            None => (self, false),
        }
    }

    /// The name of a result's type in messages.
    pub(super) fn runtime_name(&self) -> String {
        let plain = match self {
            Self::Plain(plain) => *plain,
            Self::Message(message) => return message.name.to_owned(),
            Self::Composed(composed) => {
                let parts: Vec<String> = composed.parts.iter().map(Self::runtime_name).collect();
                return format!("{}({})", composed.head.name(), parts.join(", "));
            }
            Self::Unknown(_) => Plain::Dyn,
        };
        match plain {
            Plain::Null => "null_type",
            Plain::Timestamp => "google.protobuf.Timestamp",
            Plain::Duration => "google.protobuf.Duration",
            Plain::Error => "error",
            other => other.name(),
        }
        .to_owned()
    }
}

impl Plain {
    /// The name of a type in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Dyn => "dyn",
            Self::Error => "!error!",
            Self::Type => "type",
        }
    }
}

impl Head {
    fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Map => "map",
            Self::Optional => "optional_type",
            Self::Type => "type",
        }
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(other)) => one == other,
            (Self::Message(one), Self::Message(other)) => one.name == other.name,
            (Self::Unknown(one), Self::Unknown(other)) => one == other,
            (Self::Composed(one), Self::Composed(other)) => {
                Rc::ptr_eq(one, other) || one.size == other.size && one.head == other.head && one.parts == other.parts
            }
            _ => false,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => f.write_str(plain.name()),
            Self::Message(message) => f.write_str(message.name),
            Self::Unknown(number) => write!(f, "_var{number}"),
            Self::Composed(composed) => {
                f.write_str(composed.head.name())?;
                for (at, part) in composed.parts.iter().enumerate() {
                    f.write_str(if at == 0 { "(" } else { ", " })?;
                    write!(f, "{part}")?;
                }
                f.write_char(')')
            }
        }
    }
}
