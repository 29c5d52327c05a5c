//! How a failure travels in the data.

use serde::{Deserialize, Serialize};

use crate::Exit;

/// `status.error` of a record: why a step could not do its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// The step that set it.
    #[serde(default)]
    pub step: String,
    /// A short, stable word for scripts: `unreachable`, `interrupted`, `missing-need`.
    pub code: String,
    /// What went wrong, naming the thing and its value.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit status that it asks for.
    pub exit: Exit,
}

impl Failure {
    /// A failure that is not yet signed by a step; the engine does that when it writes the record.
    #[must_use]
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { step: String::new(), code: code.to_owned(), message: message.into(), hint: None, exit }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure that appends the causes of `error` to `message`, outermost first, each once.
    #[must_use]
    pub fn caused(exit: Exit, code: &str, message: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self::new(exit, code, chain(message.into(), error))
    }

    /// The failure that an error amounts to, with its causes.
    #[must_use]
    pub fn of(exit: Exit, code: &str, error: &dyn std::error::Error) -> Self {
        Self::caused(exit, code, String::new(), error)
    }

    /// The same with a hint, where there is one.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The failure of a node that was not touched because the step was asked to stop.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Exit::Unreachable, "interrupted", "stopped before this was done").hint("run the same command again")
    }
}

/// `message`, followed by `error` and its sources, each only if the text does not say it already.
fn chain(mut message: String, error: &dyn std::error::Error) -> String {
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

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Refused;

    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Transport(#[source] Refused);

    #[test]
    fn a_failure_tells_the_whole_chain_of_causes_once() {
        let failure =
            Failure::caused(Exit::Unreachable, "unreachable", "node cp-1 did not answer", &Transport(Refused));
        assert_eq!(failure.message, "node cp-1 did not answer: transport error: connection refused");
    }
}
