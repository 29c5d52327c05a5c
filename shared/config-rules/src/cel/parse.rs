//! From tokens to a tree, with the grammar and the limits of Talos's parser.

use super::environment::Scope;
use super::fault::{Fault, Place};
use super::token::{SpannedToken, Token, shown, tokens};
use super::tree::{Expr, Node};
use super::types::Type;

/// How deep rules of the grammar, and operators of the tree, may nest.
const DEEPEST: usize = 250;

/// Words that can't be names, because other languages reserve them.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Parses an expression, up to the first error.
pub(super) fn parse(source: &[char], scope: &Scope) -> Result<Expr, Fault> {
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens: &tokens, source, scope, next: 0, rules: Rules::default() };
    let tree = parser.expression()?;
    match parser.token() {
        Token::End => Ok(tree),
        _ => Err(parser.unexpected("the end")),
    }
}

/// The parser and its position.
pub(super) struct Parser<'a> {
    tokens: &'a [SpannedToken],
    source: &'a [char],
    pub(super) scope: &'a Scope,
    next: usize,
    rules: Rules,
}

/// How many of the grammar's rules are open at once.
#[derive(Clone, Copy, Default)]
struct Rules {
    expressions: usize,
    relations: usize,
    sums: usize,
}

/// An operator between two operands: how tight it binds, and its function.
fn binary(token: &Token) -> Option<(u8, &'static str)> {
    let Token::Sign(sign) = token else { return None };
    Some(match *sign {
        "||" => (OR, "_||_"),
        "&&" => (AND, "_&&_"),
        "<" => (RELATION, "_<_"),
        "<=" => (RELATION, "_<=_"),
        ">=" => (RELATION, "_>=_"),
        ">" => (RELATION, "_>_"),
        "==" => (RELATION, "_==_"),
        "!=" => (RELATION, "_!=_"),
        "in" => (RELATION, "@in"),
        "+" => (SUM, "_+_"),
        "-" => (SUM, "_-_"),
        "*" => (PRODUCT, "_*_"),
        "/" => (PRODUCT, "_/_"),
        "%" => (PRODUCT, "_%_"),
        _ => return None,
    })
}

const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;

impl<'a> Parser<'a> {
    /// The token that comes next.
    pub(super) fn token(&self) -> &'a Token {
        self.ahead(0)
    }

    /// A token further on.
    pub(super) fn ahead(&self, by: usize) -> &'a Token {
        self.tokens.get(self.next + by).map_or(&Token::End, |spot| &spot.token)
    }

    /// Where the next token is.
    pub(super) fn place(&self) -> Place {
        self.tokens.get(self.next).map_or(self.source.len(), |spot| spot.place)
    }

    /// Consumes the next token.
    pub(super) fn pass(&mut self) -> Place {
        let place = self.place();
        self.next += 1;
        place
    }

    /// Whether a sign comes next.
    pub(super) fn is_at(&self, sign: &str) -> bool {
        matches!(self.token(), Token::Sign(found) if *found == sign)
    }

    /// Consumes a sign if it comes next.
    pub(super) fn passes(&mut self, sign: &str) -> bool {
        let found = self.is_at(sign);
        self.next += usize::from(found);
        found
    }

    /// Consumes a sign that must come next.
    pub(super) fn expect(&mut self, sign: &str) -> Result<Place, Fault> {
        if self.is_at(sign) { Ok(self.pass()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    /// The fault for an unexpected token.
    pub(super) fn unexpected(&self, wanted: &str) -> Fault {
        let found = match self.tokens.get(self.next) {
            Some(SpannedToken { token: Token::End, .. }) | None => "<EOF>".to_owned(),
            Some(spot) => shown(&self.source[spot.place..spot.end]),
        };
        Fault::at(self.place(), format!("Syntax error: mismatched input '{found}' expecting {wanted}"))
    }

    fn open(&mut self, count: impl Fn(&mut Rules) -> &mut usize) -> Result<(), Fault> {
        let open = count(&mut self.rules);
        *open += 1;
        if *open > DEEPEST {
            return Err(Fault::whole(format!("expression recursion limit exceeded: {DEEPEST}")));
        }
        Ok(())
    }

    /// A whole expression, perhaps with `? :`.
    pub(super) fn expression(&mut self) -> Result<Expr, Fault> {
        let before = self.rules;
        self.open(|rules| &mut rules.expressions)?;
        let mut expr = self.choice()?;
        if self.is_at("?") {
            let place = self.pass();
            let then = self.choice()?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            expr = nested(Expr::call(place, "_?_:_", vec![expr, then, otherwise]))?;
        }
        self.rules = before;
        Ok(expr)
    }

    fn choice(&mut self) -> Result<Expr, Fault> {
        let before = self.rules;
        self.open(|rules| &mut rules.relations)?;
        self.open(|rules| &mut rules.sums)?;
        let expr = self.operation(OR);
        self.rules = before;
        expr
    }

    /// Operands with operators between them that bind at least so tight.
    fn operation(&mut self, least: u8) -> Result<Expr, Fault> {
        let mut left = self.operand()?;
        while let Some((binds, function)) = binary(self.token()).filter(|(binds, _)| *binds >= least) {
            let place = self.pass();
            let before = self.rules;
            match binds {
                RELATION => self.open(|rules| &mut rules.relations)?,
                SUM | PRODUCT => self.open(|rules| &mut rules.sums)?,
                _ => {}
            }
            let right = self.operation(binds + 1)?;
            self.rules = before;
            left = match binds {
                OR | AND => joined(place, left, right),
                _ => nested(Expr::call(place, function, vec![left, right]))?,
            };
        }
        Ok(left)
    }

    /// A literal, a name or more, with its prefix and postfix operators.
    fn operand(&mut self) -> Result<Expr, Fault> {
        let Token::Sign(sign @ ("!" | "-")) = self.token() else { return self.member() };
        let place = self.place();
        let number = matches!(self.ahead(1), Token::Int(_) | Token::Double(_));
        if *sign == "-" && number {
            return self.member();
        }
        let mut count = 0;
        while self.passes(sign) {
            count += 1;
        }
        let operand = self.member()?;
        let function = if *sign == "!" { "!_" } else { "-_" };
        Ok(if count % 2 == 0 { operand } else { Expr::call(place, function, vec![operand]) })
    }

    /// Refuses a reserved name.
    pub(super) fn unreserved(&self, name: &str) -> Result<(), Fault> {
        if RESERVED.contains(&name) {
            return Err(Fault::at(self.place(), format!("reserved identifier: {name}")));
        }
        Ok(())
    }

    /// A literal, with its sign if it has one.
    pub(super) fn literal(&mut self) -> Result<Expr, Fault> {
        let place = self.place();
        let minus = self.passes("-");
        let wrong = |why: &str| Err(Fault::at(place, why));
        let kind = match self.token() {
            Token::Int(text) if integer(text, minus).is_none() => return wrong("invalid int literal"),
            Token::Uint(text) if unsigned(text).is_none() => return wrong("invalid uint literal"),
            Token::Double(text) if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
                return wrong("invalid double literal");
            }
            Token::Text(Err(why)) | Token::Bytes(Err(why)) => return wrong(why),
            Token::Int(_) => Type::INT,
            Token::Double(_) => Type::DOUBLE,
            _ if minus => return Err(self.unexpected("a number")),
            Token::Uint(_) => Type::UINT,
            Token::Text(_) => Type::TEXT,
            Token::Bytes(_) => Type::BYTES,
            Token::True | Token::False => Type::BOOL,
            Token::Null => Type::NULL,
            _ => return Err(self.unexpected("an expression")),
        };
        self.pass();
        Ok(Expr::new(place, Node::Literal(kind)))
    }
}

/// An operator of the tree, unless too many are nested in it.
pub(super) fn nested(mut expr: Expr) -> Result<Expr, Fault> {
    expr.depth += 1;
    if expr.depth > DEEPEST { Err(Fault::whole("max recursion depth exceeded")) } else { Ok(expr) }
}

fn integer(text: &str, minus: bool) -> Option<i64> {
    let sign = if minus { "-" } else { "" };
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(&format!("{sign}{digits}"), 16).ok(),
        None => format!("{sign}{text}").parse().ok(),
    }
}

fn unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Adds a term. All terms must be booleans, so it doesn't matter which operator joins them.
fn joined(place: Place, mut left: Expr, right: Expr) -> Expr {
    match left.node.as_mut() {
        Node::Logic(terms) => {
            left.depth = left.depth.max(right.depth);
            terms.push(right);
            left
        }
        _ => Expr::new(place, Node::Logic(vec![left, right])),
    }
}
