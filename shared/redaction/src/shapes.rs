//! What looks like a secret although nothing names it one: tokens, keys in base64, credentials of a header.

use crate::REDACTED;

/// The shortest base64 that is hidden; 32 bytes have 43 characters.
const LONG: usize = 40;
/// The length of a UUID.
const UUID: usize = 36;
/// How a fingerprint of Talos looks: 32 bytes in base64. A key looks the same, so only the word before tells.
const FINGERPRINT: usize = 44;

/// The text without what looks like a secret.
pub(crate) fn hide(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    // Whether the line has called something a fingerprint.
    let mut fingerprint = false;
    while let Some(first) = text.as_bytes().get(at) {
        let end = run(text, at);
        if end == at {
            fingerprint &= *first != b'\n';
            let next = text[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&text[at..at + next]);
            at += next;
            continue;
        }
        let hidden = secret(text, at, end, fingerprint);
        fingerprint |= text[at..end].to_ascii_lowercase().contains("fingerprint");
        match hidden {
            Some((from, to)) => {
                out.extend([&text[at..from], REDACTED]);
                at = to;
            }
            None => {
                out.push_str(&text[at..end]);
                at = end;
            }
        }
    }
    out
}

/// The part to hide of the run of characters between these two bytes, or after it.
fn secret(text: &str, at: usize, end: usize, fingerprint: bool) -> Option<(usize, usize)> {
    let word = &text[at..end];
    if word.starts_with("eyJ") && word.len() >= 16 && text[end..].starts_with('.') {
        return Some((at, end + matching(&text[end..], |byte| is_base64(byte) || byte == b'.')));
    }
    if let Some(token) = bootstrap_token(text, at, end) {
        return Some(token);
    }
    if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") {
        return credentials(text, end);
    }
    if is_api_token(text, at, word) {
        return Some((at, end));
    }
    let is_fingerprint = fingerprint && word.len() == FINGERPRINT && word.ends_with('=') && !word.ends_with("==");
    (!is_fingerprint && looks_random(word)).then_some((at, end))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}

/// The ways in which `+`, `/` and `=` are written in URLs and in JSON.
const ESCAPED: [&str; 10] = ["%2b", "%2B", "%2f", "%2F", "%3d", "%3D", "\\/", "\\u002b", "\\u002f", "\\u003d"];

/// The end of the run of characters of base64 that begins at this byte.
fn run(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut end = at;
    loop {
        end += matching(&text[end..], is_base64);
        let rest = &bytes[end..];
        match ESCAPED.iter().find(|escaped| end > at && rest.starts_with(escaped.as_bytes())) {
            Some(escaped) => end += escaped.len(),
            None => break,
        }
    }
    let padding = matching(&text[end..], |byte| byte == b'=');
    if end > at && padding <= 2 && end - at >= LONG - 2 { end + padding } else { end }
}

/// How many bytes at the beginning are of this kind.
fn matching(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

/// `abcdef.0123456789abcdef`, as machines join a cluster with.
fn bootstrap_token(text: &str, at: usize, end: usize) -> Option<(usize, usize)> {
    let is_of_token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = text[at..end].bytes().rev().take_while(|byte| is_of_token(*byte)).count();
    let from = end - first;
    let rest = text[end..].strip_prefix('.')?;
    let second = matching(rest, is_of_token);
    let mut next = rest[second..].bytes();
    let goes_on = match next.next() {
        Some(b'.') => next.next().is_some_and(|byte| byte.is_ascii_alphanumeric()),
        Some(byte) => is_base64(byte),
        None => false,
    };
    let to = end + 1 + second;
    let has_digit = text[from..to].bytes().any(|byte| byte.is_ascii_digit());
    let is_part = from == at && at > 0 && text.as_bytes()[at - 1] == b'.';
    (first == 6 && second == 16 && has_digit && !goes_on && !is_part).then_some((from, to))
}

/// The word after `Bearer` or `Basic`, if it can be credentials.
fn credentials(text: &str, end: usize) -> Option<(usize, usize)> {
    let from = end + matching(&text[end..], |byte| byte == b' ');
    let length = matching(&text[from..], |byte| is_base64(byte) || matches!(byte, b'.' | b'~' | b'=' | b':'));
    // No word of a sentence: those have no digits, and a large letter at most at the beginning.
    let is_opaque = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || byte == b'=';
    let is_opaque = text[from..from + length].bytes().skip(1).any(is_opaque);
    (from > end && length >= 8 && (is_opaque || length >= 20)).then_some((from, from + length))
}

/// The secret of `USER@REALM!NAME=UUID`, a token of Proxmox VE.
fn is_api_token(text: &str, at: usize, word: &str) -> bool {
    let is_uuid = |word: &str| {
        let digit = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        word.len() == UUID && word.bytes().enumerate().all(digit)
    };
    let before = &text.as_bytes()[at.saturating_sub(64)..at];
    let Some((b'=', name)) = before.split_last() else { return false };
    let name = name.iter().rev().position(|byte| !is_base64(*byte)).map(|after| name[name.len() - 1 - after]);
    is_uuid(word) && name == Some(b'!')
}

/// Whether a run is base64 of something random: long, with letters of both cases and digits that change often. Names and
/// paths don't, and digests are in hexadecimal.
fn looks_random(run: &str) -> bool {
    is_random(run) || run.contains('/') && run.split('/').any(is_random)
}

fn is_random(run: &str) -> bool {
    if run.len() < LONG {
        return false;
    }
    let class = |byte: u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let (mut pairs, mut changes, mut seen) = (0, 0, [false; 3]);
    let mut last = None;
    for byte in run.bytes() {
        let now = class(byte);
        if let (Some(last), Some(now)) = (last, now) {
            pairs += 1;
            changes += usize::from(last != now);
        }
        now.into_iter().for_each(|now: usize| seen[now] = true);
        last = now;
    }
    seen.iter().all(|seen| *seen) && changes * 20 >= pairs * 7
}
