//! Values that are assigned to the name of a secret: `token: x`, `TOKEN=x`, `"token":"x"`, also in a diff.

use crate::{REDACTED, is_secret_key, is_value};

/// The longest name that is looked at.
const NAME: usize = 64;
/// Words that say of a secret what is the matter with it.
const ORDINARY: [&str; 16] = [
    "changed",
    "denied",
    "disabled",
    "empty",
    "enabled",
    "expired",
    "invalid",
    "malformed",
    "missing",
    "mismatch",
    "none",
    "redacted",
    "required",
    "unknown",
    "unset",
    "wrong",
];

/// The text without values that are assigned to the name of a secret.
pub(crate) fn hide(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The indentation of the key whose block is being hidden.
    let mut block: Option<usize> = None;
    for line in Lines(text) {
        let indentation = indentation(line.text);
        if block.is_some_and(|key| indentation > key || line.text.trim().is_empty()) {
            out.push_str(&line.text[..indentation.min(line.text.len())]);
            out.push_str(if line.text.trim().is_empty() { "" } else { REDACTED });
        } else {
            block = None;
            match head(line.text, indentation) {
                Head::Value(at) => out.extend([&line.text[..at], REDACTED]),
                Head::Block => {
                    block = Some(indentation);
                    out.push_str(line.text);
                }
                Head::Other => within(line.text, &mut out),
            }
        }
        out.push_str(line.end);
    }
    out
}

/// A line, and what ends it: a line feed, or one that was escaped.
struct Line<'a> {
    text: &'a str,
    end: &'a str,
}

struct Lines<'a>(&'a str);

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = self.0.as_bytes();
        let ends = |at: usize| bytes[at] == b'\n' || bytes[at..].starts_with(b"\\n");
        let at = (0..bytes.len()).find(|at| ends(*at)).unwrap_or(bytes.len());
        let length = match bytes.get(at) {
            Some(b'\n') => 1,
            Some(_) => 2,
            None => 0,
        };
        let line = Line { text: &self.0[..at], end: &self.0[at..at + length] };
        self.0 = &self.0[at + length..];
        Some(line)
    }
}

/// How far a line is indented; the sign of a diff and the dash of a list count as space.
fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '+', '-']).len()
}

/// What begins a line of YAML.
enum Head {
    /// A secret's key, with its value from this byte on.
    Value(usize),
    /// A secret's key, with its value in the lines that are indented deeper.
    Block,
    /// Anything else.
    Other,
}

fn head(line: &str, indentation: usize) -> Head {
    let Some(colon) = line.bytes().take(indentation + NAME).position(|byte| byte == b':') else { return Head::Other };
    let Some(name) = line.get(indentation..colon) else { return Head::Other };
    let name = name.trim_matches(['"', '\'']);
    let rest = &line[colon + 1..];
    let value = rest.trim();
    let is_key = name.bytes().all(is_of_name) && (value.is_empty() || rest.starts_with([' ', '\t']));
    // A file's content may be anything; in one line, it is looked at like any other text.
    let is_file = matches!(name, "content" | "contents") && value.starts_with(['|', '>']);
    if !is_key || !(is_secret_key(name) || is_file) {
        return Head::Other;
    }
    if value.is_empty() || value.starts_with(['|', '>']) {
        return Head::Block;
    }
    let is_prose = indentation == 0 && value.contains(' ') && !value.starts_with(['"', '\'', '{', '[']);
    match is_value(value) && !is_prose && !is_ordinary(value) {
        true => Head::Value(colon + 1 + rest.len() - rest.trim_start().len()),
        false => Head::Other,
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Appends a line without the values that are assigned within it.
fn within(line: &str, out: &mut String) {
    let bytes = line.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        if matches!(bytes[at], b':' | b'=')
            && is_secret_key(name_before(line, copied, at))
            && let Some((from, to)) = value_after(line, at)
        {
            out.push_str(&line[copied..from]);
            out.push_str(REDACTED);
            (copied, at) = (to, to);
        } else {
            at += 1;
        }
    }
    out.push_str(&line[copied..]);
}

/// The name that ends before this byte, without its quotes.
fn name_before(line: &str, from: usize, at: usize) -> &str {
    let bytes = &line.as_bytes()[from.max(at.saturating_sub(NAME))..at];
    let is_between = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\' | b' ');
    let end = at - bytes.iter().rev().take_while(|byte| is_between(byte)).count();
    let length = bytes[..bytes.len() - (at - end)].iter().rev().take_while(|byte| is_of_name(**byte)).count();
    &line[end - length..end]
}

/// Where the value after the sign at this byte begins and ends, if it can be a secret.
fn value_after(line: &str, sign: usize) -> Option<(usize, usize)> {
    let after = line[sign + 1..].trim_start_matches(' ');
    let start = line.len() - after.len();
    // Before its end is searched: what isn't hidden is looked at again, and that must not take long.
    if after.starts_with(['/', '$']) {
        return None;
    }
    let quote = ["\\\"", "\"", "'"].into_iter().find(|quote| after.starts_with(quote));
    let (from, to) = match quote {
        Some(quote) => {
            let from = start + quote.len();
            (from, closing(line, from, quote))
        }
        None => {
            let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '}' | '"' | '\'' | '`');
            (start, after.find(ends).map_or(line.len(), |end| start + end))
        }
    };
    let value = &line[from..to];
    if !is_value(value) || is_placeholder(value) {
        return None;
    }
    let is_colon = line.as_bytes()[sign] == b':';
    let is_secret = quote.is_some() || !is_colon || !is_prose(value, &line[to..]);
    is_secret.then_some((from, to))
}

/// Where the quoted text that begins at this byte ends.
fn closing(line: &str, from: usize, quote: &str) -> usize {
    let (bytes, mut at) = (line.as_bytes(), from);
    while at < bytes.len() {
        match bytes[at] {
            _ if bytes[at..].starts_with(quote.as_bytes()) => return at,
            b'\\' if quote == "\"" => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether a word after `token:` belongs to a sentence.
fn is_prose(word: &str, rest: &str) -> bool {
    let is_opaque = word.len() >= 24 || word.len() >= 8 && word.bytes().any(|byte| byte.is_ascii_digit());
    let goes_on = rest.trim_start().starts_with(|c: char| c.is_alphanumeric());
    is_ordinary(word) || goes_on && !is_opaque
}

fn is_ordinary(word: &str) -> bool {
    ORDINARY.contains(&word.trim_end_matches('.'))
}

/// Whether a value only stands for one, as in `TOKEN=USER@REALM!NAME=SECRET`.
fn is_placeholder(value: &str) -> bool {
    if value.len() > NAME {
        return false;
    }
    let shown = |c: char| c.is_ascii_uppercase() || "@!=_-<>.".contains(c);
    value.contains(|c: char| c.is_ascii_uppercase()) && value.chars().all(shown)
}
