//! Type inference: what types that are unknown at first turn out to be.

use super::types::{Composed, Head, Plain, Type};

/// Maximum size of a type.
const LARGEST: usize = 1000;

/// Maximum depth of a type.
const DEEPEST: usize = 400;

/// Maximum number of inference steps for an expression.
const STEPS: usize = 5_000_000;

/// The types that unknown types are bound to.
#[derive(Debug, Default)]
pub(super) struct Known {
    bound: Vec<Option<Type>>,
    /// Earlier bindings, to restore them.
    before: Vec<(usize, Option<Type>)>,
    steps: usize,
    depth: usize,
    too_large: bool,
}

impl Known {
    /// A new unknown type.
    pub(super) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Unknown(self.bound.len() - 1)
    }

    /// Whether the types are too large or too many to check.
    pub(super) fn is_lost(&self) -> bool {
        self.too_large || self.steps > STEPS
    }

    /// Goes one step deeper, unless it is too deep or took too many steps.
    fn step<T>(&mut self, otherwise: T, go: impl FnOnce(&mut Self) -> T) -> T {
        self.steps += 1;
        self.depth += 1;
        self.too_large |= self.depth > DEEPEST;
        let out = if self.is_lost() { otherwise } else { go(self) };
        self.depth -= 1;
        out
    }

    /// A composed type, unless it is too large.
    pub(super) fn compose(&mut self, head: Head, parts: Vec<Type>) -> Type {
        let composed = Type::composed(head, parts);
        if composed.size() > LARGEST {
            self.too_large = true;
            return Type::ERROR;
        }
        composed
    }

    fn binding(&self, of: &Type) -> Option<Type> {
        match of {
            Type::Unknown(number) => self.bound.get(*number).cloned().flatten(),
            _ => None,
        }
    }

    fn bind(&mut self, unknown: &Type, to: Type) {
        if let Type::Unknown(number) = unknown
            && let Some(place) = self.bound.get_mut(*number)
        {
            self.before.push((*number, place.replace(to)));
        }
    }

    /// Whether each of the types is assignable; new bindings are kept only if all are.
    pub(super) fn assign_all(&mut self, from: &[Type], to: &[Type]) -> bool {
        self.before.clear();
        let fits = self.all(from, to);
        if !fits {
            while let Some((number, before)) = self.before.pop() {
                self.bound[number] = before;
            }
        }
        fits
    }

    /// Whether a type is assignable to another.
    pub(super) fn assign(&mut self, from: &Type, to: &Type) -> bool {
        self.assign_all(std::slice::from_ref(from), std::slice::from_ref(to))
    }

    fn all(&mut self, from: &[Type], to: &[Type]) -> bool {
        from.len() == to.len() && from.iter().zip(to).all(|(from, to)| self.step(false, |known| known.one(from, to)))
    }

    fn one(&mut self, from: &Type, to: &Type) -> bool {
        if matches!(to, Type::Unknown(_)) {
            match self.stands_for(to, from) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if matches!(from, Type::Unknown(_)) {
            return self.stands_for(from, to).0;
        }
        if from.is_dyn_or_error() || to.is_dyn_or_error() {
            return true;
        }
        match (from, to) {
            (Type::Plain(Plain::Null), other) | (other, Type::Plain(Plain::Null)) => takes_null(other),
            (Type::Composed(one), Type::Composed(other)) if one.head == Head::Type => other.head == Head::Type,
            (Type::Composed(one), Type::Composed(other)) => {
                one.head == other.head && self.all(&one.parts, &other.parts)
            }
            (Type::Composed(one), Type::Plain(Plain::Type)) | (Type::Plain(Plain::Type), Type::Composed(one)) => {
                one.head == Head::Type
            }
            _ => from == to,
        }
    }

    /// Whether an unknown type can be bound to another, and whether it was bound before.
    fn stands_for(&mut self, unknown: &Type, other: &Type) -> (bool, bool) {
        if unknown == other {
            return (true, true);
        }
        let Some(bound) = self.binding(unknown) else {
            let free = self.is_free(unknown, other);
            if free {
                self.bind(unknown, other.clone());
            }
            return (free, false);
        };
        if *other == bound {
            return (true, true);
        }
        if !self.step(false, |known| known.one(other, &bound)) {
            return (false, true);
        }
        let general = if is_less_specific(other, &bound) { other.clone() } else { bound };
        if self.is_free(unknown, &general) {
            self.bind(unknown, general);
        }
        (true, true)
    }

    /// Whether an unknown type doesn't occur within another.
    fn is_free(&mut self, unknown: &Type, within: &Type) -> bool {
        if unknown == within {
            return false;
        }
        let bound = self.binding(within);
        let mut free = |part: &Type| self.step(false, |known| known.is_free(unknown, part));
        match within {
            Type::Composed(composed) => composed.parts.iter().all(free),
            Type::Unknown(_) => bound.is_none_or(|bound| free(&bound)),
            _ => true,
        }
    }

    /// The type with all known bindings substituted.
    pub(super) fn resolve(&mut self, of: &Type) -> Type {
        match of {
            Type::Unknown(_) => match self.binding(of) {
                Some(bound) => self.step(Type::ERROR, |known| known.resolve(&bound)),
                None => of.clone(),
            },
            Type::Composed(composed) => {
                let Composed { head, parts, .. } = composed.as_ref();
                let mut resolved = |part| self.step(Type::ERROR, |known| known.resolve(part));
                let parts = parts.iter().map(&mut resolved).collect();
                self.compose(*head, parts)
            }
            _ => of.clone(),
        }
    }

    /// The same; what is still unknown becomes dynamic.
    pub(super) fn settle(&mut self, of: &Type) -> Type {
        let resolved = self.resolve(of);
        settled(&resolved)
    }
}

fn settled(of: &Type) -> Type {
    match of {
        Type::Unknown(_) => Type::DYN,
        Type::Composed(composed) => Type::composed(composed.head, composed.parts.iter().map(settled).collect()),
        _ => of.clone(),
    }
}

/// Whether a type accepts null.
fn takes_null(of: &Type) -> bool {
    match of {
        Type::Plain(plain) => matches!(plain, Plain::Null | Plain::Duration | Plain::Timestamp),
        Type::Message(_) => true,
        Type::Composed(composed) => composed.head == Head::Optional,
        Type::Unknown(_) => false,
    }
}

/// The more general one of two types that fit each other.
pub(super) fn most_general(one: Type, other: Type) -> Type {
    if is_less_specific(&one, &other) { one } else { other }
}

fn is_less_specific(one: &Type, other: &Type) -> bool {
    let open = |of: &Type| of.is(Plain::Dyn) || matches!(of, Type::Unknown(_));
    match (one, other) {
        _ if open(one) => true,
        _ if open(other) => false,
        (Type::Composed(one), Type::Composed(other)) => {
            let pairs = || one.parts.iter().zip(&other.parts);
            one.head == other.head
                && (one.head == Head::Type || pairs().all(|(one, other)| is_less_specific(one, other)))
        }
        (Type::Composed(one), Type::Plain(Plain::Type)) | (Type::Plain(Plain::Type), Type::Composed(one)) => {
            one.head == Head::Type
        }
        _ => one == other,
    }
}
