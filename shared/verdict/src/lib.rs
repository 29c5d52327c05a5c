//! What an error means to a script: an exit status, a stable code, and what to do about it.
//!
//! An error classifies itself where it is made ([`Classify`]), in one `match` without a wildcard, so that a caller that
//! passes it on with `?` adds nothing and loses nothing. Clients know this crate and nothing of records; `record` turns
//! every classified error into the failure that a record carries.

mod code;
mod exit;

use std::error::Error;

pub use code::Code;
pub use exit::Exit;

/// What an error means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its exit status.
    pub exit: Exit,
    /// The word that scripts read.
    pub code: Code,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Facts {
    /// An error without a hint.
    #[must_use]
    pub const fn new(exit: Exit, code: Code) -> Self {
        Self { exit, code, hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint, where there is one.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// An error that knows what it means to a script.
pub trait Classify: Error {
    /// Exit status, code and hint.
    fn facts(&self) -> Facts;
}

/// The error and its causes, outermost first, each only if the text does not contain it already.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    chained(String::new(), error)
}

/// `message`, followed by the error and its causes, each only if the text does not contain it already.
#[must_use]
pub fn chained(mut message: String, error: &dyn Error) -> String {
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !text.is_empty() && !message.contains(&text) {
            message.push_str(if message.is_empty() { "" } else { ": " });
            message.push_str(&text);
        }
        next = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|layer| layer as _)
        }
    }

    #[test]
    fn the_chain_holds_every_cause_once() {
        let error = Layer("transport error", Some(Box::new(Layer("connection refused", None))));
        assert_eq!(chain(&error), "transport error: connection refused");
        assert_eq!(
            chained("node cp-1: connection refused".to_owned(), &error),
            "node cp-1: connection refused: transport error"
        );
    }
}
