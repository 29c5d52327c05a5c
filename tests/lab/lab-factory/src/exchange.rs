//! A request to the factory, and its answer.

use std::collections::BTreeMap;

/// A request.
pub(crate) struct Ask<'a> {
    /// `GET`, `HEAD` or `POST`.
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    /// `http://` and the name by which the factory was called.
    pub(super) base: &'a str,
    pub(super) query: BTreeMap<String, String>,
    pub(super) authorization: Option<&'a str>,
    /// Who asks, once that is known.
    pub(super) caller: Option<String>,
    /// Name and password as a URL has them.
    pub(super) credentials: Option<String>,
}

impl<'a> Ask<'a> {
    /// A request of nobody in particular.
    pub(crate) fn new(method: &'a str, path: &'a str, body: &'a [u8]) -> Self {
        let (query, base) = (BTreeMap::new(), "http://factory");
        Self { method, path, body, base, query, authorization: None, caller: None, credentials: None }
    }

    /// Sent to this place, with these parameters.
    pub(crate) fn at(self, base: &'a str, query: BTreeMap<String, String>) -> Self {
        Self { base, query, ..self }
    }

    /// With a header that authenticates the caller.
    pub(crate) fn by(self, authorization: Option<&'a str>) -> Self {
        Self { authorization, ..self }
    }
}

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: u16,
    /// Headers beside those that every answer has.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Body, which a HEAD request gets only the length of.
    pub(crate) body: Vec<u8>,
    /// Whether an image had to be built first.
    pub(crate) built: bool,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), built: false }
    }

    pub(super) fn text(status: u16, text: impl AsRef<str>) -> Self {
        let mut answer = Self::new(status, "text/plain; charset=utf-8", format!("{}\n", text.as_ref()));
        answer.headers.push(("x-content-type-options", "nosniff".to_owned()));
        answer
    }

    /// JSON whose type the handler does not set, so that Go takes it for text.
    pub(super) fn sniffed(value: &serde_json::Value) -> Self {
        Self::new(200, "text/plain; charset=utf-8", format!("{value}\n"))
    }

    pub(super) fn internal() -> Self {
        Self::text(500, "internal server error")
    }

    pub(super) fn not_allowed(allowed: &str) -> Self {
        let mut answer = Self::text(405, "Method Not Allowed");
        answer.headers.push(("allow", allowed.to_owned()));
        answer
    }
}
