//! The operands of operators: names, calls, lists, maps, messages, and what follows a dot or a bracket.

use super::fault::{Fault, Place};
use super::macros;
use super::parse::{Parser, nested};
use super::token::Token;
use super::tree::{Expr, Field, Node};

impl Parser<'_> {
    /// Something with selections, calls and indices after it.
    pub(super) fn member(&mut self) -> Result<Expr, Fault> {
        let mut expr = self.primary()?;
        loop {
            expr = match self.token() {
                Token::Sign(".") => self.selection(expr)?,
                Token::Sign("[") => self.index(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    fn selection(&mut self, operand: Expr) -> Result<Expr, Fault> {
        let dot = self.pass();
        let optional = self.optional(dot, "unsupported syntax '.?'")?;
        let (field, quoted) = match self.token() {
            Token::Word(word) => (word.clone(), false),
            Token::Quoted(word) if self.scope.quotes_names() => (word.clone(), true),
            Token::Quoted(_) => return Err(Fault::at(self.place(), "unsupported syntax: '`'")),
            _ => return Err(self.unexpected("IDENTIFIER")),
        };
        self.pass();
        if optional {
            return nested(Expr::new(dot, Node::SelectOptional { operand, field }));
        }
        if !quoted && self.is_at("(") {
            let place = self.pass();
            let arguments = self.arguments()?;
            return macros::method(self.scope, place, &field, operand, arguments).and_then(nested);
        }
        nested(Expr::new(dot, Node::Select { operand, field, tested: false }))
    }

    fn index(&mut self, operand: Expr) -> Result<Expr, Fault> {
        let place = self.pass();
        let function = if self.optional(place, "unsupported syntax '[?'")? { "_[?_]" } else { "_[_]" };
        let index = self.expression()?;
        self.expect("]")?;
        nested(Expr::call(place, function, vec![operand, index]))
    }

    /// Consumes a `?`, which not every environment supports.
    fn optional(&mut self, place: Place, unknown: &str) -> Result<bool, Fault> {
        let found = self.passes("?");
        if found && !self.scope.has_optionals() {
            return Err(Fault::at(place, unknown));
        }
        Ok(found)
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        match self.token() {
            Token::Sign("(") => {
                self.pass();
                let expr = self.expression()?;
                self.expect(")")?;
                Ok(expr)
            }
            Token::Sign("[") => self.list(),
            Token::Sign("{") => self.map(),
            Token::Sign(".") | Token::Word(_) => self.named(),
            _ => self.literal(),
        }
    }

    /// A name, a call by name, or a message.
    fn named(&mut self) -> Result<Expr, Fault> {
        if let Some(words) = self.message_ahead() {
            return self.message(words);
        }
        let dot = if self.passes(".") { "." } else { "" };
        let Token::Word(word) = self.token() else { return Err(self.unexpected("IDENTIFIER")) };
        self.unreserved(word)?;
        let name = format!("{dot}{word}");
        let place = self.pass();
        if !self.is_at("(") {
            return Ok(Expr::name(place, &name));
        }
        let place = self.pass();
        let arguments = self.arguments()?;
        macros::function(place, &name, arguments)
    }

    /// How many words with dots between them come before a `{`.
    fn message_ahead(&self) -> Option<usize> {
        let mut at = usize::from(self.is_at("."));
        let mut words = 0;
        while let Token::Word(_) = self.ahead(at) {
            words += 1;
            match self.ahead(at + 1) {
                Token::Sign("{") => return Some(words),
                Token::Sign(".") => at += 2,
                _ => return None,
            }
        }
        None
    }

    fn message(&mut self, words: usize) -> Result<Expr, Fault> {
        let mut name = String::new();
        for _ in 0..words {
            name.push_str(if self.passes(".") { "." } else { "" });
            if let Token::Word(word) = self.token() {
                name.push_str(word);
            }
            self.pass();
        }
        let place = self.pass();
        let mut fields = Vec::new();
        while !self.closes("}", fields.is_empty())? {
            let optional = self.optional(self.place(), "unsupported syntax '?'")?;
            let name = match self.token() {
                Token::Word(word) => word.clone(),
                Token::Quoted(word) if self.scope.quotes_names() => word.clone(),
                _ => return Err(self.unexpected("IDENTIFIER")),
            };
            self.pass();
            let place = self.expect(":")?;
            fields.push(Field { place, optional, name, value: self.expression()? });
        }
        Ok(Expr::new(place, Node::Message { name, fields }))
    }

    fn list(&mut self) -> Result<Expr, Fault> {
        let place = self.pass();
        let mut elements = Vec::new();
        while !self.closes("]", elements.is_empty())? {
            let optional = self.optional(self.place(), "unsupported syntax '?'")?;
            elements.push((optional, self.expression()?));
        }
        Ok(Expr::new(place, Node::List(elements)))
    }

    fn map(&mut self) -> Result<Expr, Fault> {
        let place = self.pass();
        let mut entries = Vec::new();
        while !self.closes("}", entries.is_empty())? {
            let optional = self.optional(self.place(), "unsupported syntax '?'")?;
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((optional, key, self.expression()?));
        }
        Ok(Expr::new(place, Node::Map(entries)))
    }

    /// Consumes the separator or the end of elements; a comma may come before the end, even alone.
    fn closes(&mut self, end: &str, first: bool) -> Result<bool, Fault> {
        let comma = self.passes(",");
        if self.passes(end) {
            return Ok(true);
        }
        match comma == first {
            true => Err(self.unexpected(&format!("'{end}'"))),
            false => Ok(false),
        }
    }

    /// The arguments of a call, after its opening bracket.
    fn arguments(&mut self) -> Result<Vec<Expr>, Fault> {
        let mut out = Vec::new();
        if self.passes(")") {
            return Ok(out);
        }
        loop {
            out.push(self.expression()?);
            if !self.passes(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(out)
    }
}
