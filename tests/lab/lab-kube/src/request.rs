//! A request to the API, taken apart.

use std::collections::HashMap;

/// What a client asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// `GET`, `PATCH`, ...
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// The header `Accept`.
    pub(crate) accept: String,
    /// The header `Content-Type`.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// The part of the API that a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) plural: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) subresource: Option<&'a str>,
}

impl Request {
    /// A parameter that is set to true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the client wants a table made for it.
    pub(super) fn wants_table(&self) -> bool {
        self.accept.split(',').any(|kind| kind.contains("as=Table") && kind.contains("v=v1;"))
            || self
                .accept
                .split(',')
                .any(|kind| kind.contains("as=Table") && kind.contains("v=v1") && !kind.contains("v1beta1"))
    }

    /// The version of aggregated discovery that the client prefers, if it does.
    pub(super) fn aggregated(&self) -> Option<&'static str> {
        let kinds = || self.accept.split(',').filter(|kind| kind.contains("as=APIGroupDiscoveryList"));
        let asks =
            |version: &str| kinds().any(|kind| kind.split(';').any(|part| part.trim() == format!("v={version}")));
        ["v2", "v2beta1"].into_iter().find(|version| asks(version))
    }

    /// Takes the path of an object or a list apart; `None` for all other paths.
    pub(super) fn target(&self) -> Option<Target<'_>> {
        let mut parts = self.path.trim_matches('/').split('/');
        let (group, version) = match parts.next()? {
            "api" => ("", parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let rest: Vec<&str> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, plural, rest @ ..] if !matches!(*plural, "status" | "finalize") => {
                (Some(*namespace), [&[*plural], rest].concat())
            }
            other => (None, other.to_vec()),
        };
        let mut rest = rest.into_iter();
        Some(Target { group, version, namespace, plural: rest.next()?, name: rest.next(), subresource: rest.next() })
    }
}
