//! Credentials in URLs.

use crate::{REDACTED, is_value, names_a_secret};

/// A text without the credentials in its URLs.
#[must_use]
pub fn without_password(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'')).unwrap_or(part.len());
        out.push_str("://");
        match part[..end].rfind('@') {
            Some(at) => out.extend([REDACTED, &part[at..]]),
            None => out.push_str(part),
        }
    }
    out
}

/// A URL without its query, in which tokens travel.
#[must_use]
pub fn without_query(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.to_owned(), |(before, _)| format!("{before}?{REDACTED}"))
}

/// A text without the values of secret query parameters in its URLs.
#[must_use]
pub fn without_secret_query(text: &str) -> String {
    let Some((before, query)) = text.split_once("://").and_then(|_| text.split_once('?')) else {
        return text.to_owned();
    };
    let end = query.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(query.len());
    let shown = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if names_a_secret(name) && is_value(value) => format!("{name}={REDACTED}"),
        _ => pair.to_owned(),
    };
    let pairs: Vec<String> = query[..end].split('&').map(shown).collect();
    format!("{before}?{}{}", pairs.join("&"), &query[end..])
}

/// Whether the query of a URL holds a secret.
#[must_use]
pub fn has_secret_query(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| names_a_secret(name) && is_value(value))
}
