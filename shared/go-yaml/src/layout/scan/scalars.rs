//! Scalars: in quotes, plain, and in blocks.

use super::{Scanner, Stop};

impl Scanner<'_> {
    pub(super) fn quoted(&mut self, quote: u8) -> Result<(), Stop> {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => return Err(Stop::Broken),
                Some(b'\'') if quote == b'\'' && self.peek(1) == Some(b'\'') => self.at += 2,
                Some(c) if c == quote => break,
                Some(b'\\') if quote == b'"' && self.peek(1) == Some(b'/') => {
                    return Err(self.refuse("found unknown escape character"));
                }
                Some(b'\\') if quote == b'"' && !matches!(self.peek(1), Some(b'\n' | b'\r')) => self.at += 2,
                Some(b'\n' | b'\r') => {
                    self.line_break();
                    self.margin(self.inner());
                    if self.is_document_mark() {
                        return Err(Stop::Broken);
                    }
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn plain(&mut self) -> Result<(), Stop> {
        let inner = self.inner();
        let mut broken = false;
        while !self.is_document_mark() && self.peek(0) != Some(b'#') {
            while !self.gap(0) && !self.ends_plain() {
                self.character()?;
            }
            if self.peek(0).is_none() || !self.gap(0) {
                break;
            }
            broken |= self.fold(inner)?;
            if self.flow == 0 && self.column() < inner && broken {
                break;
            }
        }
        self.key_allowed |= broken;
        Ok(())
    }

    fn ends_plain(&self) -> bool {
        match self.peek(0) {
            Some(b':') => self.gap(1),
            Some(b'?') => self.flow > 0 && self.gap(1),
            Some(b',' | b'[' | b']' | b'{' | b'}') => self.flow > 0,
            _ => false,
        }
    }

    /// The blanks and line ends within or after a plain scalar; returns whether there was a line end.
    fn fold(&mut self, inner: usize) -> Result<bool, Stop> {
        let mut broken = false;
        while self.peek(0).is_some() && self.gap(0) {
            if self.line_break() {
                broken = true;
                if self.flow > 0 && !self.tab_before(inner) {
                    self.margin(inner);
                }
            } else if broken && self.column() < inner && self.peek(0) == Some(b'\t') {
                return Err(self.refuse("found a tab character that violates indentation"));
            } else {
                self.at += 1;
            }
        }
        Ok(broken)
    }

    fn tab_before(&self, inner: usize) -> bool {
        let blanks = self.bytes[self.at..].iter().take(inner).take_while(|c| matches!(c, b' ' | b'\t'));
        blanks.into_iter().any(|c| *c == b'\t')
    }

    pub(super) fn block(&mut self) -> Result<(), Stop> {
        self.at += 1;
        let header = [self.peek(0), self.peek(1)];
        let digit = header.into_iter().flatten().find(u8::is_ascii_digit);
        let mut empty = !header.contains(&Some(b'+'));
        let line = self.line;
        self.skip_line()?;
        self.line_break();
        let mut indent = digit.map(|digit| usize::from(digit - b'0') + self.inner().saturating_sub(1));
        loop {
            let found = self.block_margin(indent)?;
            let indent = *indent.get_or_insert(found.max(self.inner()));
            if self.column() != indent || self.peek(0).is_none() {
                self.layout.ends_in_block = self.column() == indent && indent > 0;
                break;
            }
            if self.is_document_mark() {
                return Err(Stop::Broken);
            }
            empty = false;
            self.skip_line()?;
            if !self.line_break() {
                self.layout.ends_in_block = true;
                break;
            }
        }
        if empty {
            self.layout.empty.push(line);
        }
        self.key_allowed = true;
        Ok(())
    }

    /// Skips empty lines and the spaces before a line of a block; returns the most spaces seen.
    fn block_margin(&mut self, indent: Option<usize>) -> Result<usize, Stop> {
        let mut most = 0;
        loop {
            while indent.is_none_or(|indent| self.column() < indent) && self.peek(0) == Some(b' ') {
                self.at += 1;
            }
            most = most.max(self.column());
            if indent.is_none_or(|indent| self.column() < indent) && self.peek(0) == Some(b'\t') {
                return Err(self.refuse("found a tab character where an indentation space is expected"));
            }
            if !self.line_break() {
                return Ok(most);
            }
        }
    }
}
