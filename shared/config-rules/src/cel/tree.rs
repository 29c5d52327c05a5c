//! The syntax tree of an expression.

use super::fault::Place;
use super::types::Type;

/// An expression and its place: that of its operator, if it has one.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) place: Place,
    pub(super) node: Box<Node>,
    /// How many operators, selections and calls of methods are nested in it.
    pub(super) depth: usize,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A literal: its value does not matter to its type.
    Literal(Type),
    /// A name; it may begin with a dot.
    Name(String),
    /// `operand.field`; in `has(operand.field)` it is only tested.
    Select { operand: Expr, field: String, tested: bool },
    /// `operand.?field`
    SelectOptional { operand: Expr, field: String },
    /// A function or an operator, with its target before the dot.
    Call { function: String, target: Option<Expr>, arguments: Vec<Expr> },
    /// Terms with `&&` or `||` between them.
    Logic(Vec<Expr>),
    /// Elements; `true` for those that are optional.
    List(Vec<(bool, Expr)>),
    /// Entries; `true` for those that are optional.
    Map(Vec<(bool, Expr, Expr)>),
    /// A message by its name.
    Message { name: String, fields: Vec<Field> },
    /// The expansion of a macro.
    Fold(Fold),
}

/// A field of a message literal.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) place: Place,
    pub(super) optional: bool,
    pub(super) name: String,
    pub(super) value: Expr,
}

/// A loop over a list or a map that gathers a result.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) range: Expr,
    pub(super) variable: String,
    pub(super) gathered: String,
    pub(super) start: Expr,
    pub(super) step: Expr,
    pub(super) result: Expr,
}

impl Expr {
    pub(super) fn new(place: Place, node: Node) -> Self {
        let depth = node.parts().map(|part| part.depth).max().unwrap_or(0);
        Self { place, node: Box::new(node), depth }
    }

    /// A call of a function without a target.
    pub(super) fn call(place: Place, function: &str, arguments: Vec<Self>) -> Self {
        Self::new(place, Node::Call { function: function.to_owned(), target: None, arguments })
    }

    /// A call of a method.
    pub(super) fn method(place: Place, function: &str, target: Self, arguments: Vec<Self>) -> Self {
        Self::new(place, Node::Call { function: function.to_owned(), target: Some(target), arguments })
    }

    /// A name.
    pub(super) fn name(place: Place, name: &str) -> Self {
        Self::new(place, Node::Name(name.to_owned()))
    }

    /// The name, if this is only a name.
    pub(super) fn as_name(&self) -> Option<&str> {
        match self.node.as_ref() {
            Node::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The name with dots, if this is nothing else.
    pub(super) fn as_path(&self) -> Option<String> {
        let mut parts = Vec::new();
        let mut at = self;
        loop {
            match at.node.as_ref() {
                Node::Name(name) => {
                    parts.push(name.as_str());
                    parts.reverse();
                    return Some(parts.join("."));
                }
                Node::Select { operand, field, tested: false } => {
                    parts.push(field);
                    at = operand;
                }
                _ => return None,
            }
        }
    }
}

impl Node {
    /// The expressions that it is directly made of.
    fn parts(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Self::Literal(_) | Self::Name(_) => Box::new(std::iter::empty()),
            Self::Select { operand, .. } | Self::SelectOptional { operand, .. } => Box::new(std::iter::once(operand)),
            Self::Call { target, arguments, .. } => Box::new(arguments.iter().chain(target.as_ref())),
            Self::Logic(terms) => Box::new(terms.iter()),
            Self::List(elements) => Box::new(elements.iter().map(|(_, element)| element)),
            Self::Map(entries) => Box::new(entries.iter().flat_map(|(_, key, value)| [key, value])),
            Self::Message { fields, .. } => Box::new(fields.iter().map(|field| &field.value)),
            Self::Fold(fold) => Box::new([&fold.range, &fold.start, &fold.step, &fold.result].into_iter()),
        }
    }
}
