//! Input that cannot be used.

use crate::{Exit, Failure};

/// Why input cannot be used (exit status 8): what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong, naming the thing, its value and its place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Unusable {
    /// Input that is unusable for this reason.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unusable {}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        Self::new(Exit::Unusable, "unusable-input", unusable.message).maybe_hint(unusable.hint)
    }
}
