//! Overloads of functions; types of tables as types of expressions.

use super::declared::Kind;
use super::infer::Known;
use super::types::{Plain, Type};

impl Kind {
    /// The type, with these for `A` and `B`.
    pub(super) fn with(self, a: &Type, b: &Type) -> Type {
        let with = |kind: &Self| kind.with(a, b);
        match self {
            Self::A => a.clone(),
            Self::B => b.clone(),
            Self::List(of) => Type::list(with(of)),
            Self::Map(key, value) => Type::map(with(key), with(value)),
            Self::Optional(of) => Type::optional(with(of)),
            Self::TypeOf(of) => Type::of_type(with(of)),
            Self::Message(message) => Type::Message(message),
            Self::Null => Type::NULL,
            Self::Bool => Type::BOOL,
            Self::Int => Type::INT,
            Self::Uint => Type::UINT,
            Self::Double => Type::DOUBLE,
            Self::Text => Type::TEXT,
            Self::Bytes => Type::BYTES,
            Self::Timestamp => Type::Plain(Plain::Timestamp),
            Self::Duration => Type::Plain(Plain::Duration),
            Self::Dyn => Type::DYN,
            Self::Type => Type::Plain(Plain::Type),
        }
    }

    /// The type, if it has no `A` or `B`.
    pub(super) fn fixed(self) -> Type {
        self.with(&Type::DYN, &Type::DYN)
    }

    fn is_open(self) -> bool {
        match self {
            Self::A | Self::B => true,
            Self::List(of) | Self::Optional(of) | Self::TypeOf(of) => of.is_open(),
            Self::Map(key, value) => key.is_open() || value.is_open(),
            _ => false,
        }
    }
}

/// One overload of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overload {
    /// Whether its first argument comes before the dot.
    pub(super) is_method: bool,
    pub(super) arguments: &'static [Kind],
    pub(super) result: Kind,
    /// The minors of Talos 1.x that have it, first and last.
    pub(super) minors: (u32, u32),
    /// Whether it compares numbers of two kinds. Talos allows that only from an expression's first loop on.
    pub(super) is_mixed: bool,
}

/// A call without a target.
pub(super) const fn global(arguments: &'static [Kind], result: Kind) -> Overload {
    Overload { is_method: false, arguments, result, minors: (0, u32::MAX), is_mixed: false }
}

/// A call with a target, which is the first of the arguments.
pub(super) const fn method(arguments: &'static [Kind], result: Kind) -> Overload {
    Overload { is_method: true, arguments, result, minors: (0, u32::MAX), is_mixed: false }
}

/// A comparison of numbers of two kinds.
pub(super) const fn mixed(numbers: &'static [Kind]) -> Overload {
    Overload { is_mixed: true, ..global(numbers, Kind::Bool) }
}

impl Overload {
    /// The types of its arguments and of its result, with fresh ones for those that are open.
    pub(super) fn types(&self, known: &mut Known) -> (Vec<Type>, Type) {
        let open = self.arguments.iter().chain([&self.result]).any(|kind| kind.is_open());
        let (a, b) = if open { (known.fresh(), known.fresh()) } else { (Type::DYN, Type::DYN) };
        (self.arguments.iter().map(|kind| kind.with(&a, &b)).collect(), self.result.with(&a, &b))
    }
}
