//! Type checking of expressions.

use super::declared::Kind;
use super::environment::Scope;
use super::fault::{Fault, Place};
use super::infer::{Known, most_general};
use super::signature::Overload;
use super::tree::{Expr, Field, Fold, Node};
use super::types::{Head, Plain, Type};

/// The type of an expression, or everything that is wrong with it.
pub(super) fn check(tree: &Expr, scope: &Scope) -> Result<Type, Vec<Fault>> {
    let mut checker = Checker { scope, known: Known::default(), locals: Vec::new(), looped: false, faults: Vec::new() };
    let found = checker.check(tree);
    let found = checker.known.settle(&found);
    if checker.known.is_lost() {
        return Err(vec![Fault::whole("the types of the expression are too large to be checked")]);
    }
    checker.faults.sort_by_key(|fault| fault.place);
    if checker.faults.is_empty() { Ok(found) } else { Err(checker.faults) }
}

struct Checker<'a> {
    scope: &'a Scope,
    known: Known,
    /// Variables of folds, the innermost last.
    locals: Vec<(String, Type)>,
    /// Whether a fold has been entered; from then on numbers of two kinds may be compared.
    looped: bool,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, place: Place, text: String) -> Type {
        self.faults.push(Fault::at(place, text));
        Type::ERROR
    }

    fn undeclared(&mut self, place: Place, name: &str) -> Type {
        self.fault(place, format!("undeclared reference to '{name}'"))
    }

    fn check(&mut self, expr: &Expr) -> Type {
        match expr.node.as_ref() {
            Node::Literal(kind) => kind.clone(),
            Node::Name(name) => self.name(expr.place, name),
            Node::Select { operand, field, tested } => self.select(expr, operand, field, *tested),
            Node::SelectOptional { operand, field } => {
                let found = self.field(expr.place, operand, field, true);
                self.known.resolve(&found)
            }
            Node::Call { function, target, arguments } => self.call(expr, function, target.as_ref(), arguments),
            Node::Logic(terms) => self.logic(terms),
            Node::List(elements) => self.list(elements),
            Node::Map(entries) => self.map(entries),
            Node::Message { name, fields } => self.message(expr.place, name, fields),
            Node::Fold(fold) => self.fold(fold),
        }
    }

    /// A variable of a fold. A name that begins with a dot never is one.
    fn local(&self, name: &str) -> Option<&Type> {
        let name = if name.starts_with('.') { "" } else { name };
        self.locals.iter().rev().find(|(known, _)| known == name).map(|(_, kind)| kind)
    }

    fn name(&mut self, place: Place, name: &str) -> Type {
        if let Some(found) = self.local(name) {
            return found.clone();
        }
        let global = self.scope.global(name.strip_prefix('.').unwrap_or(name));
        global.unwrap_or_else(|| self.undeclared(place, name))
    }

    fn select(&mut self, expr: &Expr, operand: &Expr, field: &str, tested: bool) -> Type {
        if !tested && let Some(found) = self.qualified(expr) {
            return found;
        }
        let found = self.field(expr.place, operand, field, false);
        if tested { Type::BOOL } else { self.known.resolve(&found) }
    }

    /// The type of a name with dots, unless it begins with a local variable.
    fn qualified(&self, expr: &Expr) -> Option<Type> {
        let path = expr.as_path()?;
        let first = path.split('.').next().unwrap_or_default();
        let is_local = self.local(first).is_some();
        if is_local { None } else { self.scope.global(path.strip_prefix('.').unwrap_or(&path)) }
    }

    fn field(&mut self, place: Place, operand: &Expr, field: &str, optional: bool) -> Type {
        let found = self.check(operand);
        let (target, unwrapped) = self.known.resolve(&found).unwrapped();
        let found = match &target {
            Type::Message(message) => match message.field(field, self.scope.minor) {
                Some(kind) => kind.fixed(),
                None => self.fault(place, format!("undefined field '{field}'")),
            },
            Type::Unknown(_) => {
                self.known.assign(&Type::DYN, &target);
                Type::DYN
            }
            _ => match target.parts(Head::Map) {
                Some(parts) => parts.last().cloned().unwrap_or(Type::DYN),
                None if target.is_dyn_or_error() => Type::DYN,
                None => {
                    self.fault(place, format!("type '{target}' does not support field selection"));
                    Type::DYN
                }
            },
        };
        if unwrapped || optional { self.known.compose(Head::Optional, vec![found]) } else { found }
    }

    fn call(&mut self, expr: &Expr, function: &str, target: Option<&Expr>, arguments: &[Expr]) -> Type {
        let mut given: Vec<Type> = arguments.iter().map(|argument| self.check(argument)).collect();
        let Some(target) = target else {
            return self.resolved(expr.place, function, &given, false);
        };
        // What looks like a target may be part of the function's name.
        if let Some(path) = target.as_path() {
            let qualified = format!("{path}.{function}");
            if !self.scope.overloads(&qualified).is_empty() {
                return self.resolved(expr.place, &qualified, &given, false);
            }
        }
        given.insert(0, self.check(target));
        self.resolved(expr.place, function, &given, true)
    }

    /// The type of a call: that of the first overload that fits, or dynamic if the fitting ones have different types.
    fn resolved(&mut self, place: Place, function: &str, given: &[Type], is_method: bool) -> Type {
        let overloads = self.scope.overloads(function);
        if overloads.is_empty() {
            return self.undeclared(place, function);
        }
        let mut found: Option<Type> = None;
        let looped = self.looped;
        let fits = |overload: &&Overload| overload.is_method == is_method && (looped || !overload.is_mixed);
        for overload in overloads.iter().filter(fits) {
            let (arguments, result) = overload.types(&mut self.known);
            if !self.known.assign_all(given, &arguments) {
                continue;
            }
            let result = self.known.resolve(&result);
            found = Some(match found {
                None => result,
                Some(first) if first.is(Plain::Dyn) || first == result => first,
                Some(_) => Type::DYN,
            });
        }
        found.unwrap_or_else(|| self.no_overload(place, function, given, is_method))
    }

    fn no_overload(&mut self, place: Place, function: &str, given: &[Type], is_method: bool) -> Type {
        let mut shown: Vec<String> = given.iter().map(|kind| self.known.settle(kind).to_string()).collect();
        let target = if is_method { format!("{}.", shown.remove(0)) } else { String::new() };
        let function = function.strip_prefix('.').unwrap_or(function);
        let applied = format!("{target}({})", shown.join(", "));
        self.fault(place, format!("found no matching overload for '{function}' applied to '{applied}'"))
    }

    fn mismatch(&mut self, place: Place, wanted: &Type, found: &Type) {
        self.fault(place, format!("expected type '{wanted}' but found '{found}'"));
    }

    fn logic(&mut self, terms: &[Expr]) -> Type {
        let mut out = Type::BOOL;
        for term in terms {
            let found = self.check(term);
            if !self.known.assign(&found, &Type::BOOL) {
                self.mismatch(term.place, &Type::BOOL, &found);
                out = Type::ERROR;
            }
        }
        out
    }

    /// The common type of several values.
    fn joined(&mut self, before: Option<Type>, next: Type) -> Type {
        match before {
            None => next,
            Some(before) if self.known.assign(&before, &next) => most_general(before, next),
            Some(_) => Type::DYN,
        }
    }

    /// The type of a value that may be optional.
    fn given(&mut self, place: Place, optional: bool, found: Type) -> Type {
        if !optional {
            return found;
        }
        let (inner, unwrapped) = found.unwrapped();
        if !unwrapped && !inner.is(Plain::Dyn) {
            self.mismatch(place, &Type::optional(inner.clone()), &inner);
        }
        inner
    }

    fn list(&mut self, elements: &[(bool, Expr)]) -> Type {
        let mut of = None;
        for (optional, element) in elements {
            let found = self.check(element);
            let found = self.given(element.place, *optional, found);
            of = Some(self.joined(of, found));
        }
        let of = of.unwrap_or_else(|| self.known.fresh());
        self.known.compose(Head::List, vec![of])
    }

    fn map(&mut self, entries: &[(bool, Expr, Expr)]) -> Type {
        let mut of = None;
        for (optional, key, value) in entries {
            let (keys, values) = of.unzip();
            let found = self.check(key);
            let keys = self.joined(keys, found);
            let found = self.check(value);
            let found = self.given(value.place, *optional, found);
            of = Some((keys, self.joined(values, found)));
        }
        let (keys, values) = of.unwrap_or_else(|| (self.known.fresh(), self.known.fresh()));
        self.known.compose(Head::Map, vec![keys, values])
    }

    fn message(&mut self, place: Place, name: &str, fields: &[Field]) -> Type {
        let full = name.strip_prefix('.').unwrap_or(name);
        let Some(kind) = self.scope.named_type(full) else {
            return self.undeclared(place, name);
        };
        let is_plain = !full.contains('.') && !matches!(full, "list" | "null_type");
        let kind = if is_plain { self.fault(place, format!("'{full}' is not a message type")) } else { kind };
        for field in fields {
            self.written(full, &kind, field);
        }
        kind
    }

    /// Checks a field of a message literal.
    fn written(&mut self, message: &str, of: &Type, field: &Field) {
        let found = self.check(&field.value);
        let wanted = match of {
            Type::Message(message) => message.field(&field.name, self.scope.minor).map(Kind::fixed),
            _ if message.starts_with("google.protobuf.") => Scope::well_known_field(message, &field.name),
            _ => Some(Type::DYN),
        };
        let name = &field.name;
        let wanted = wanted.unwrap_or_else(|| self.fault(field.place, format!("undefined field '{name}'")));
        let found = self.given(field.value.place, field.optional, found);
        if !self.known.assign(&wanted, &found) {
            self.fault(
                field.place,
                format!("expected type of field '{name}' is '{wanted}' but provided type is '{found}'"),
            );
        }
    }

    fn fold(&mut self, fold: &Fold) -> Type {
        let range = self.check(&fold.range);
        let start = self.check(&fold.start);
        let range = self.known.resolve(&range);
        let element = match (&range, range.parts(Head::List).or_else(|| range.parts(Head::Map))) {
            (_, Some(parts)) => parts.first().cloned().unwrap_or(Type::DYN),
            (Type::Unknown(_) | Type::Plain(Plain::Dyn | Plain::Error), _) => {
                self.known.assign(&Type::DYN, &range);
                Type::DYN
            }
            _ => self.fault(
                fold.range.place,
                format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                ),
            ),
        };
        self.looped = true;
        let outer = self.locals.len();
        self.locals.push((fold.gathered.clone(), start.clone()));
        self.locals.push((fold.variable.clone(), element));
        let step = self.check(&fold.step);
        if !self.known.assign(&start, &step) {
            self.mismatch(fold.step.place, &start, &step);
        }
        self.locals.truncate(outer + 1);
        let result = self.check(&fold.result);
        self.locals.truncate(outer);
        self.known.resolve(&result)
    }
}
