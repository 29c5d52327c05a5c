//! Secrets in texts that others wrote: found, and hidden before anyone sees them.
//!
//! A node's refusal can hold its whole machine config, a server's log the command line of a task. [`Redaction::shown`]
//! is what such a text passes before it reaches stderr, a record or a log. It hides the values that it has learned, in
//! the encodings in which they travel; PEM blocks; the values of keys that name a secret; passwords and tokens in URLs;
//! and what merely looks like a secret. Digests, fingerprints, UUIDs, names and paths stay readable.
//!
//! The crate is pure. The time that a text takes grows with its length, whatever its content.

mod assignments;
mod known;
mod names;
mod pem;
mod shapes;
mod urls;

pub use known::Known;
pub use names::{is_value, names_a_secret};
pub use urls::{has_secret_query, without_password, without_query, without_secret_query};

/// What is shown in place of a secret; talosctl shows the same.
pub const REDACTED: &str = "******";

/// The one redaction of texts that others wrote.
#[derive(Debug, Default)]
pub struct Redaction {
    known: Known,
}

impl Redaction {
    /// A redaction that has learned no value yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns a value that must never be shown. A short one, or one that could be an ordinary word or number, is not
    /// learned: it would make other texts unreadable.
    pub fn learn(&mut self, value: &str) {
        self.known.learn(value);
    }

    /// The text without secrets.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        let text = self.known.hide(text);
        let text = pem::hide(&text);
        let text = assignments::hide(&text);
        shapes::hide(&without_password(&text))
    }

    /// The text without the values that were learned; what only looks like a secret stays. For values that a program
    /// chose to show: a fingerprint looks like a key.
    #[must_use]
    pub fn without_known(&self, text: &str) -> String {
        self.known.hide(text)
    }
}

/// Whether a key's value is a secret, as texts show it: the names of secrets, and those of headers and of credentials
/// that aren't called a secret.
fn is_secret_key(name: &str) -> bool {
    const MORE: [&str; 9] = [
        "auth",
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "headers",
        "extramanifestheaders",
        "client-key-data",
        "pveauthcookie",
    ];
    names_a_secret(name) || MORE.iter().any(|more| name.eq_ignore_ascii_case(more))
}

#[cfg(test)]
mod tests;
