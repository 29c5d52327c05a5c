//! Finds the texts in Rust sources: string literals and documentation of flags, both outside of tests.

/// A lexer that knows just enough of Rust: comments, literals, and where a test module ends.
struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<(usize, String)>,
    /// Whether documentation is help text.
    documents: bool,
}

/// Each text with its line. Documentation counts in files that define command lines with clap.
pub(crate) fn texts(source: &str) -> Vec<(usize, String)> {
    let documents = ["clap::Args", "clap::Parser", "clap::Subcommand", "clap::ValueEnum", "use clap::"];
    let documents = documents.iter().any(|derive| source.contains(derive));
    let mut scanner = Scanner { rest: source, line: 1, found: Vec::new(), documents };
    while !scanner.rest.is_empty() {
        scanner.step(true);
    }
    scanner.found
}

impl<'a> Scanner<'a> {
    /// Takes the next piece: a comment, a literal, a test item, or one character, which is returned.
    fn step(&mut self, keep: bool) -> Option<char> {
        let rest = self.rest;
        if rest.starts_with("//") {
            let comment = self.take(rest.find('\n').unwrap_or(rest.len()));
            if let Some(text) = comment.strip_prefix("///").filter(|_| keep && self.documents) {
                self.found.push((self.line, text.trim().to_owned()));
            }
        } else if rest.starts_with("/*") {
            self.take(rest.find("*/").map_or(rest.len(), |end| end + 2));
        } else if rest.starts_with("#[cfg(test)]") {
            self.take("#[cfg(test)]".len());
            self.skip_item();
        } else if let Some(hashes) = raw_string(rest) {
            let quote = format!("\"{}", "#".repeat(hashes));
            let start = rest.find('"').unwrap_or_default() + 1;
            let end = rest[start..].find(&quote).map_or(rest.len(), |end| start + end);
            self.text(&rest[start..end], keep);
            self.take((end + quote.len()).min(rest.len()));
        } else if rest.starts_with('"') {
            let end = closing_quote(rest);
            self.text(&unescaped(&rest[1..end]), keep);
            self.take((end + 1).min(rest.len()));
        } else if let Some(length) = character(rest) {
            self.take(length);
        } else {
            // A name is taken whole: its last letter is no prefix of a literal.
            let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let first = rest.chars().next();
            self.take(name.max(first.map_or(0, char::len_utf8)));
            return first;
        }
        None
    }

    fn text(&mut self, text: &str, keep: bool) {
        if keep {
            self.found.push((self.line, text.to_owned()));
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Skips an item: up to its semicolon, or to the end of its braces.
    fn skip_item(&mut self) {
        let mut depth = 0_usize;
        while !self.rest.is_empty() {
            match self.step(false) {
                Some('{') => depth += 1,
                Some('}') if depth <= 1 => return,
                Some('}') => depth -= 1,
                Some(';') if depth == 0 => return,
                _ => {}
            }
        }
    }
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or(rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal that begins here; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        let skipped = escaped.chars().next()?.len_utf8();
        return Some(2 + skipped + escaped[skipped..].find('\'')? + 1);
    }
    let c = inner.chars().next()?;
    inner[c.len_utf8()..].starts_with('\'').then(|| 2 + c.len_utf8())
}

/// Where a string that begins with a quote ends.
fn closing_quote(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(end, _)| end)
}

/// The text of a literal: `\"` is a quote, and a line that ends in `\` continues without the next one's indentation.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut chars = literal.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n' | 't' | 'r')) => {
                chars.next();
                text.push(' ');
            }
            ('\\', Some(_)) => text.extend(chars.next()),
            _ => text.push(c),
        }
    }
    text
}

#[test]
fn texts_are_literals_and_help_outside_of_tests() {
    let source = r###"
        use clap::Args;
        // "a comment"
        /// Help of a flag.
        fn one<'a>(c: &'a str) -> bool { c == '"' || c == "two \"three\" \
            four" || c == r#"fi"ve"# }
        #[cfg(test)]
        mod tests { fn six() { "}"; '}'; "six" } }
        #[cfg(test)]
        mod tests;
        const SEVEN: &[u8] = b"seven";
    "###;

    let found: Vec<_> = texts(source).into_iter().map(|(_, text)| text).collect();

    assert_eq!(found, ["Help of a flag.", "two \"three\" four", "fi\"ve", "seven"]);
    assert_eq!(texts("\n\n\"x\"")[0].0, 3);
}
