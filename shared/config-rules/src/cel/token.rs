//! From characters to tokens: the longest match wins, as in the published grammar.

use super::fault::{Fault, Place};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// An operator or a bracket.
    Sign(&'static str),
    /// A word that the grammar doesn't reserve.
    Word(String),
    /// A name in backquotes, without them.
    Quoted(String),
    /// Digits, with `0x` before them when they are hexadecimal.
    Int(String),
    /// The same, without the `u` after them.
    Uint(String),
    /// A number with a point or an exponent.
    Double(String),
    /// A text; `Err` is what is wrong with its escapes.
    Text(Result<(), &'static str>),
    /// Bytes, likewise.
    Bytes(Result<(), &'static str>),
    True,
    False,
    Null,
    /// After the last token.
    End,
}

/// A token with its position.
#[derive(Clone, Debug)]
pub(super) struct SpannedToken {
    pub(super) token: Token,
    pub(super) place: Place,
    pub(super) end: Place,
}

/// Operators and brackets, longer ones first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*",
    "/", "%",
];

/// Cuts an expression into tokens, the last of which is [`Token::End`].
pub(super) fn tokens(source: &[char]) -> Result<Vec<SpannedToken>, Fault> {
    let mut out = Vec::new();
    let mut place = 0;
    while let Some(c) = source.get(place) {
        let rest = &source[place..];
        if matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            place += 1;
        } else if starts(rest, "//") {
            place += rest.iter().take_while(|c| **c != '\n').count();
        } else {
            let (token, length) = one(rest).ok_or_else(|| unreadable(place, rest))?;
            out.push(SpannedToken { token, place, end: place + length });
            place += length;
        }
    }
    out.push(SpannedToken { token: Token::End, place, end: place });
    Ok(out)
}

fn unreadable(place: Place, rest: &[char]) -> Fault {
    let line = rest.iter().take_while(|c| **c != '\n').count();
    Fault::at(place, format!("Syntax error: token recognition error at: '{}'", shown(&rest[..line])))
}

/// The first characters of a part of an expression, short enough for a message.
pub(super) fn shown(part: &[char]) -> String {
    part.iter().take(20).map(|c| if c.is_control() { ' ' } else { *c }).collect()
}

fn starts(rest: &[char], with: &str) -> bool {
    with.chars().enumerate().all(|(at, c)| rest.get(at) == Some(&c))
}

/// The token that begins here, and its length.
fn one(rest: &[char]) -> Option<(Token, usize)> {
    let found = [text(rest), number(rest), word(rest), backquoted(rest), sign(rest)].into_iter().flatten();
    // Of equally long ones, the first in this order.
    found.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

fn sign(rest: &[char]) -> Option<(Token, usize)> {
    SIGNS.iter().find(|sign| starts(rest, sign)).map(|sign| (Token::Sign(sign), sign.len()))
}

fn word(rest: &[char]) -> Option<(Token, usize)> {
    let first = |c: &char| c.is_ascii_alphabetic() || *c == '_';
    rest.first().filter(|c| first(c))?;
    let text: String = rest.iter().take_while(|c| first(c) || c.is_ascii_digit()).collect();
    let length = text.len();
    let token = match text.as_str() {
        "in" => Token::Sign("in"),
        "true" => Token::True,
        "false" => Token::False,
        "null" => Token::Null,
        _ => Token::Word(text),
    };
    Some((token, length))
}

fn backquoted(rest: &[char]) -> Option<(Token, usize)> {
    let inner = rest.strip_prefix(&['`'])?;
    let fits = |c: &&char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
    let text: String = inner.iter().take_while(fits).collect();
    let closed = inner.get(text.len()) == Some(&'`') && !text.is_empty();
    let length = text.len() + 2;
    closed.then_some((Token::Quoted(text), length))
}

fn digits(rest: &[char]) -> usize {
    rest.iter().take_while(|c| c.is_ascii_digit()).count()
}

fn number(rest: &[char]) -> Option<(Token, usize)> {
    let take = |length: usize| rest[..length].iter().collect::<String>();
    let whole = digits(rest);
    let is_uint = |length: usize| matches!(rest.get(length), Some('u' | 'U'));
    if starts(rest, "0x") {
        let length = 2 + rest[2..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
        match length {
            2 => {}
            _ if is_uint(length) => return Some((Token::Uint(take(length)), length + 1)),
            _ => return Some((Token::Int(take(length)), length)),
        }
    }
    let fraction = match rest.get(whole) {
        Some('.') => digits(&rest[whole + 1..]),
        _ => 0,
    };
    let point = if fraction > 0 { whole + 1 + fraction } else { whole };
    let length = point + if point > 0 { exponent(&rest[point..]) } else { 0 };
    match length {
        0 => None,
        _ if length > whole => Some((Token::Double(take(length)), length)),
        _ if is_uint(whole) => Some((Token::Uint(take(whole)), whole + 1)),
        _ => Some((Token::Int(take(whole)), whole)),
    }
}

/// The length of `e`, a sign perhaps, and digits.
fn exponent(rest: &[char]) -> usize {
    if !matches!(rest.first(), Some('e' | 'E')) {
        return 0;
    }
    let signed = 1 + usize::from(matches!(rest.get(1), Some('+' | '-')));
    match digits(&rest[signed.min(rest.len())..]) {
        0 => 0,
        length => signed + length,
    }
}

/// A text or bytes, with the prefix before the quote.
fn text(rest: &[char]) -> Option<(Token, usize)> {
    let is_bytes = matches!(rest.first(), Some('b' | 'B'));
    let before = usize::from(is_bytes);
    let is_raw = matches!(rest.get(before), Some('r' | 'R'));
    let before = before + usize::from(is_raw);
    let body = &rest[before..];
    let quote = *body.first().filter(|c| matches!(c, '"' | '\''))?;
    let (length, inner) = match tripled(body, quote, is_raw) {
        Some(length) => (length, &body[3..length - 3]),
        None => single(body, quote, is_raw).map(|length| (length, &body[1..length - 1]))?,
    };
    let sound = if is_raw { Ok(()) } else { escapes(inner, is_bytes) };
    Some((if is_bytes { Token::Bytes(sound) } else { Token::Text(sound) }, before + length))
}

fn tripled(body: &[char], quote: char, is_raw: bool) -> Option<usize> {
    let ends = |at: usize| body.get(at..at + 3).is_some_and(|three| three.iter().all(|c| *c == quote));
    let mut at = if ends(0) { 3 } else { return None };
    while !ends(at) {
        at += character(&body[at.min(body.len())..], is_raw)?;
    }
    Some(at + 3)
}

fn single(body: &[char], quote: char, is_raw: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        match body.get(at)? {
            c if *c == quote => return Some(at + 1),
            '\n' | '\r' => return None,
            _ => at += character(&body[at..], is_raw)?,
        }
    }
}

/// The length of one character of a text; `None` when there is none, or no such escape.
fn character(rest: &[char], is_raw: bool) -> Option<usize> {
    let hex = |count: usize| {
        let digits = rest.get(2..2 + count)?;
        digits.iter().all(char::is_ascii_hexdigit).then_some(2 + count)
    };
    let octal = |at: usize| matches!(rest.get(at), Some('0'..='7'));
    match (rest.first()?, rest.get(1)) {
        ('\\', _) if is_raw => Some(1),
        ('\\', Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`')) => Some(2),
        ('\\', Some('x' | 'X')) => hex(2),
        ('\\', Some('u')) => hex(4),
        ('\\', Some('U')) => hex(8),
        ('\\', Some('0'..='3')) => (octal(2) && octal(3)).then_some(4),
        ('\\', _) => None,
        _ => Some(1),
    }
}

/// Whether well-formed escapes also encode valid characters.
fn escapes(inner: &[char], is_bytes: bool) -> Result<(), &'static str> {
    let mut at = 0;
    while at < inner.len() {
        let length = character(&inner[at..], false).unwrap_or(1);
        if inner[at] == '\\' && matches!(inner.get(at + 1), Some('u' | 'U')) {
            let code: String = inner[at + 2..at + length].iter().collect();
            let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
            match code {
                _ if is_bytes => return Err("unable to unescape string"),
                None => return Err("invalid unicode code point"),
                Some(_) => {}
            }
        }
        at += length;
    }
    Ok(())
}
