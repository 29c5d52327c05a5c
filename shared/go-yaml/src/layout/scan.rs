mod scalars;

use super::{Edit, Layout, Moved};
use crate::node::Place;

/// Why a scanner stops before the end.
pub(crate) enum Stop {
    /// The text is broken in a way that only the parser can describe.
    Broken,
    /// go-yaml refuses it.
    Refused {
        /// Where.
        place: Place,
        /// Its message.
        text: String,
    },
}

/// Follows a text to its end.
pub(crate) fn scan(text: &str) -> Result<Layout, Stop> {
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        line_start: 0,
        indents: Vec::new(),
        key: None,
        key_allowed: true,
        flow: 0,
        entry: false,
        layout: Layout::default(),
    };
    while scanner.token()? {}
    if scanner.flow > 0 { Err(Stop::Broken) } else { Ok(scanner.layout) }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
    /// The columns of the open block collections.
    indents: Vec<usize>,
    /// The column of a possible key.
    key: Option<usize>,
    key_allowed: bool,
    /// How many brackets are open.
    flow: usize,
    /// Whether the last token was `[` or `,`.
    entry: bool,
    layout: Layout,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// Whether a blank, a line end or the end of the text comes next.
    fn gap(&self, ahead: usize) -> bool {
        matches!(self.peek(ahead), None | Some(b' ' | b'\t' | b'\n' | b'\r'))
    }

    fn column(&self) -> usize {
        self.at - self.line_start
    }

    /// The minimum column of what belongs to the innermost block collection.
    fn inner(&self) -> usize {
        self.indents.last().map_or(0, |indent| indent + 1)
    }

    fn is_document_mark(&self) -> bool {
        let rest = &self.bytes[self.at..];
        self.column() == 0 && (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.gap(3)
    }

    fn refuse(&self, text: &str) -> Stop {
        let column = self.text.get(self.line_start..self.at).map_or(0, |before| before.chars().count()) + 1;
        Stop::Refused { place: Place { line: self.line, column }, text: text.to_owned() }
    }

    /// Skips a line end, if one comes next.
    fn line_break(&mut self) -> bool {
        let width = match (self.peek(0), self.peek(1)) {
            (Some(b'\r'), Some(b'\n')) => 2,
            (Some(b'\r' | b'\n'), _) => 1,
            _ => return false,
        };
        self.at += width;
        self.line += 1;
        self.line_start = self.at;
        self.key = None;
        true
    }

    fn skip_line(&mut self) -> Result<(), Stop> {
        while !matches!(self.peek(0), None | Some(b'\n' | b'\r')) {
            self.character()?;
        }
        Ok(())
    }

    /// Skips a byte outside of quotes; go-yaml reads some as line ends that the parser doesn't.
    fn character(&mut self) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with("\u{2028}".as_bytes()) || rest.starts_with("\u{2029}".as_bytes()) {
            return Err(self.refuse("the line separators U+2028 and U+2029 need quotes around them"));
        }
        self.at += 1;
        Ok(())
    }

    /// Skips insignificant blanks.
    fn blanks(&mut self, tabs: bool) {
        let start = self.at;
        let mut tab = false;
        while let Some(c @ (b' ' | b'\t')) = self.peek(0).filter(|c| tabs || *c == b' ') {
            tab |= c == b'\t';
            self.at += 1;
        }
        let old = self.at - start;
        if tab {
            self.layout.edits.push(Edit { at: start, old, new: old });
        }
    }

    /// The blanks before a line that continues brackets or quotes, of which `inner` is the least that the parser takes.
    fn margin(&mut self, inner: usize) {
        let start = self.at;
        while let Some(b' ' | b'\t') = self.peek(0) {
            self.at += 1;
        }
        let old = self.at - start;
        let stays = matches!(self.peek(0), None | Some(b'\n' | b'\r')) || self.is_document_mark();
        let new = if stays { old } else { old.max(inner) };
        if new > old {
            self.layout.lines.push(Moved { line: self.line, old, new });
        }
        if new > old || self.bytes[start..self.at].contains(&b'\t') {
            self.layout.edits.push(Edit { at: start, old, new });
        }
    }

    /// A comment needs no blank before it when a quote or a bracket stands there.
    fn comment(&mut self) -> Result<(), Stop> {
        let before = &self.bytes[self.line_start..self.at];
        if before.last().is_some_and(|c| !matches!(c, b' ' | b'\t')) {
            self.layout.edits.push(Edit { at: self.at, old: 0, new: 1 });
        }
        let alone = before.iter().all(|c| matches!(c, b' ' | b'\t'));
        self.skip_line()?;
        if alone {
            self.next_comment();
        }
        Ok(())
    }

    /// After a line that is a comment, go-yaml looks for the next one through tabs too.
    fn next_comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let ahead = rest.iter().take_while(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')).count();
        if self.flow > 0 || rest.get(ahead) != Some(&b'#') {
            return;
        }
        let comment = self.at + ahead;
        while self.at < comment {
            if !self.line_break() {
                self.at += 1;
            }
        }
        self.key_allowed = true;
    }

    fn next_token(&mut self) -> Result<(), Stop> {
        loop {
            self.blanks(self.flow > 0 || !self.key_allowed);
            while self.peek(0) == Some(b'#') {
                self.comment()?;
            }
            if !self.line_break() {
                return Ok(());
            }
            if self.flow > 0 {
                if self.peek(0) != Some(b'%') {
                    self.margin(self.inner());
                }
            } else {
                self.key_allowed = true;
            }
        }
    }

    /// One token; false at the end.
    fn token(&mut self) -> Result<bool, Stop> {
        self.next_token()?;
        let Some(c) = self.peek(0) else { return Ok(false) };
        let column = self.column();
        if self.flow == 0 {
            self.close(column);
        }
        if column == 0 && c == b'%' {
            self.directive()?;
            return Ok(true);
        }
        if self.is_document_mark() {
            self.document_mark()?;
            return Ok(true);
        }
        let entry = std::mem::replace(&mut self.entry, matches!(c, b'[' | b','));
        match c {
            b'[' | b'{' => self.open(column),
            b']' | b'}' if self.flow == 0 => return Err(Stop::Broken),
            b']' | b'}' => {
                self.flow -= 1;
                self.step(false);
            }
            b',' if self.flow > 0 => self.step(true),
            b'-' | b'?' if self.gap(1) => self.indicator(column),
            b':' if self.gap(1) || self.flow > 0 && !entry => self.value(column),
            b'&' | b'*' => {
                self.scalar_starts(column);
                self.anchor()?;
            }
            b'!' => {
                self.scalar_starts(column);
                self.tag()?;
            }
            b'|' | b'>' if self.flow == 0 => self.block()?,
            b'"' | b'\'' => {
                self.scalar_starts(column);
                self.quoted(c)?;
            }
            b'\t' | b'@' | b'`' | b'%' | b'|' | b'>' => {
                return Err(self.refuse("found character that cannot start any token"));
            }
            _ => {
                self.scalar_starts(column);
                self.plain()?;
            }
        }
        Ok(true)
    }

    fn close(&mut self, column: usize) {
        while self.indents.last().is_some_and(|indent| *indent > column) {
            self.indents.pop();
        }
    }

    fn nest(&mut self, column: usize) {
        if self.flow == 0 && self.indents.last().is_none_or(|indent| *indent < column) {
            self.indents.push(column);
        }
    }

    fn step(&mut self, key_allowed: bool) {
        self.at += 1;
        self.key_allowed = key_allowed;
    }

    fn document_mark(&mut self) -> Result<(), Stop> {
        if self.flow > 0 {
            return Err(Stop::Broken);
        }
        self.indents.clear();
        self.key = None;
        self.at += 2;
        self.step(false);
        Ok(())
    }

    /// A directive that go-yaml knows.
    fn directive(&mut self) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|c| matches!(c, b'\n' | b'\r')).unwrap_or(rest.len());
        let mut words = rest[1..end].split(|c| matches!(c, b' ' | b'\t')).filter(|word| !word.is_empty());
        match (words.next(), words.next()) {
            (Some(b"YAML"), Some(b"1.1")) | (Some(b"TAG"), _) => self.at += end,
            (Some(b"YAML"), _) => return Err(self.refuse("found incompatible YAML document")),
            _ => return Err(self.refuse("found unknown directive name")),
        }
        Ok(())
    }

    fn anchor(&mut self) -> Result<(), Stop> {
        let rest = &self.bytes[self.at + 1..];
        let name = rest.iter().take_while(|c| c.is_ascii_graphic() && !b":,[]{}".contains(c)).count();
        let after = rest.get(name);
        let ends = after.is_none_or(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r'))
            || self.flow > 0 && matches!(after, Some(b',' | b']' | b'}'));
        if name == 0 || !ends {
            return Err(self.refuse("did not find expected alphabetic or numeric character"));
        }
        self.at += 1 + name;
        Ok(())
    }

    fn tag(&mut self) -> Result<(), Stop> {
        if self.bytes[self.at..].starts_with(b"!<>") {
            return Err(self.refuse("did not find expected tag URI"));
        }
        while !(self.gap(0) || self.flow > 0 && matches!(self.peek(0), Some(b',' | b'[' | b']' | b'{' | b'}'))) {
            self.at += 1;
        }
        Ok(())
    }

    fn scalar_starts(&mut self, column: usize) {
        if self.flow == 0 && self.key_allowed {
            self.key = Some(column);
        }
        self.key_allowed = false;
    }

    fn open(&mut self, column: usize) {
        self.scalar_starts(column);
        self.flow += 1;
        self.step(true);
    }

    fn indicator(&mut self, column: usize) {
        self.nest(column);
        self.key = None;
        self.step(true);
    }

    fn value(&mut self, column: usize) {
        let key = self.key.take().filter(|_| self.flow == 0);
        self.nest(key.unwrap_or(column));
        self.step(key.is_none());
    }
}
