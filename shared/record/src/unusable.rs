//! Input that cannot be used.

use crate::{Classify, Code, Exit, Facts};

/// Why input cannot be used (exit status 8): what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong, naming the thing, its value and its place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The word that scripts read.
    pub code: Code,
}

impl Unusable {
    /// Unusable input, for this reason.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Code::UnusableInput }
    }

    /// The same with another code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Refuses a name in a record that could be more than a name: it becomes a file, a VM and a word on the terminal.
///
/// In records that are made from flags names are addresses, so this is wider than the cluster file's RFC 1123 label.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Unusable> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:[]%".contains(c);
    if (1..=253).contains(&name.len()) && name.chars().all(fits) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Unusable::new(format!("{what} {shown:?} is not a valid name")).hint("a name is an RFC 1123 label"))
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unusable {}

impl Classify for Unusable {
    fn facts(&self) -> Facts {
        Facts::new(Exit::Unusable, self.code).maybe_hint(self.hint.clone())
    }
}
