//! Macros: calls that are rewritten before types are checked.

use super::environment::Scope;
use super::fault::{Fault, Place};
use super::tree::{Expr, Fold, Node};
use super::types::Type;

/// The name of a fold's result; no expression can contain it.
const GATHERED: &str = "@result";
/// The former name of `GATHERED`, still forbidden for variables.
const FORMERLY: &str = "__result__";
/// The name of a mapped value that has none.
const TARGET: &str = "@target";
/// The name of an unused variable.
const UNUSED: &str = "#unused";

/// A call without a target: `has`, or a function.
pub(super) fn function(place: Place, name: &str, mut arguments: Vec<Expr>) -> Result<Expr, Fault> {
    match (name, arguments.pop()) {
        ("has", Some(only)) if arguments.is_empty() => has(place, only),
        (_, Some(last)) => {
            arguments.push(last);
            Ok(Expr::call(place, name, arguments))
        }
        (_, None) => Ok(Expr::call(place, name, arguments)),
    }
}

fn has(place: Place, argument: Expr) -> Result<Expr, Fault> {
    let depth = argument.depth;
    match *argument.node {
        Node::Select { operand, field, tested: false } => {
            Ok(Expr { place, depth, node: Box::new(Node::Select { operand, field, tested: true }) })
        }
        _ => Err(Fault::at(argument.place, "invalid argument to has() macro")),
    }
}

/// A call of a method: a loop over its target, or a method indeed.
pub(super) fn method(
    scope: &Scope,
    place: Place,
    name: &str,
    target: Expr,
    arguments: Vec<Expr>,
) -> Result<Expr, Fault> {
    let optionals = scope.has_optionals();
    let looped = match (name, arguments.len()) {
        ("all" | "exists" | "exists_one" | "filter", 2) | ("map", 2 | 3) => true,
        ("optMap" | "optFlatMap", 2) => optionals,
        _ => false,
    };
    let mut rest = arguments.into_iter();
    match rest.next() {
        None => Ok(Expr::method(place, name, target, Vec::new())),
        Some(first) if !looped => Ok(Expr::method(place, name, target, std::iter::once(first).chain(rest).collect())),
        Some(first) => {
            let variable = variable(name, &first)?;
            let (second, third) = (rest.next(), rest.next());
            let maker = Maker { place };
            Ok(match (name, second, third) {
                ("map", Some(when), Some(element)) => maker.map(target, variable, Some(when), element),
                ("map", Some(element), None) => maker.map(target, variable, None, element),
                ("filter", Some(when), _) => maker.map(target, variable, Some(when), first),
                ("optMap" | "optFlatMap", Some(value), _) => maker.unwrapped(name, target, &variable, value),
                ("exists_one", Some(when), _) => maker.once(target, variable, when),
                (_, Some(when), _) => maker.quantified(target, variable, when),
                (_, None, _) => Expr::method(place, name, target, vec![first]),
            })
        }
    }
}

fn variable(name: &str, argument: &Expr) -> Result<String, Fault> {
    let wrong = |why: String| Fault::at(argument.place, why);
    match (argument.as_name(), name) {
        (Some(name), _) if name == FORMERLY => {
            Err(wrong("iteration variable overwrites accumulator variable".to_owned()))
        }
        (Some(name), _) => Ok(name.to_owned()),
        (None, "map" | "filter") => Err(wrong("argument is not an identifier".to_owned())),
        (None, "optMap" | "optFlatMap") => Err(wrong(format!("{name}() variable name must be a simple identifier"))),
        (None, _) => Err(wrong("argument must be a simple name".to_owned())),
    }
}

/// Makes the expansions of macros, all at the place of the call.
struct Maker {
    place: Place,
}

impl Maker {
    fn literal(&self, kind: Type) -> Expr {
        Expr::new(self.place, Node::Literal(kind))
    }

    fn list(&self, elements: Vec<Expr>) -> Expr {
        Expr::new(self.place, Node::List(elements.into_iter().map(|element| (false, element)).collect()))
    }

    fn gathered(&self) -> Expr {
        Expr::name(self.place, GATHERED)
    }

    fn call(&self, function: &str, arguments: Vec<Expr>) -> Expr {
        Expr::call(self.place, function, arguments)
    }

    fn fold(&self, fold: Fold) -> Expr {
        Expr::new(self.place, Node::Fold(fold))
    }

    /// `all` and `exists`.
    fn quantified(&self, range: Expr, variable: String, when: Expr) -> Expr {
        let start = self.literal(Type::BOOL);
        let step = Expr::new(self.place, Node::Logic(vec![self.gathered(), when]));
        let (gathered, result) = (GATHERED.to_owned(), self.gathered());
        self.fold(Fold { range, variable, gathered, start, step, result })
    }

    /// `exists_one`, which counts.
    fn once(&self, range: Expr, variable: String, when: Expr) -> Expr {
        let start = self.literal(Type::INT);
        let more = self.call("_+_", vec![self.gathered(), self.literal(Type::INT)]);
        let step = self.call("_?_:_", vec![when, more, self.gathered()]);
        let (gathered, result) = (GATHERED.to_owned(), self.literal(Type::BOOL));
        self.fold(Fold { range, variable, gathered, start, step, result })
    }

    /// `map` and `filter`.
    fn map(&self, range: Expr, variable: String, when: Option<Expr>, element: Expr) -> Expr {
        let mut step = self.call("_+_", vec![self.gathered(), self.list(vec![element])]);
        if let Some(when) = when {
            step = self.call("_?_:_", vec![when, step, self.gathered()]);
        }
        let (start, gathered, result) = (self.list(Vec::new()), GATHERED.to_owned(), self.gathered());
        self.fold(Fold { range, variable, gathered, start, step, result })
    }

    /// `optMap` and `optFlatMap`: the value of an optional, if it has one, bound to a name.
    fn unwrapped(&self, name: &str, target: Expr, variable: &str, value: Expr) -> Expr {
        let named = target.as_name().unwrap_or(TARGET).to_owned();
        let inner = Expr::name(self.place, &named);
        let given = Expr::method(self.place, "hasValue", inner.clone(), Vec::new());
        let bound = self.bound(variable, Expr::method(self.place, "value", inner, Vec::new()), value);
        let found = if name == "optMap" { self.call("optional.of", vec![bound]) } else { bound };
        let whole = self.call("_?_:_", vec![given, found, self.call("optional.none", Vec::new())]);
        match target.as_name() {
            Some(_) => whole,
            None => self.bound(TARGET, target, whole),
        }
    }

    /// A value with a variable bound in it.
    fn bound(&self, variable: &str, to: Expr, result: Expr) -> Expr {
        let step = Expr::name(self.place, variable);
        let (range, unused) = (self.list(Vec::new()), UNUSED.to_owned());
        self.fold(Fold { range, variable: unused, gathered: variable.to_owned(), start: to, step, result })
    }
}
