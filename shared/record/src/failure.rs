//! How a failure travels in the data.

use serde::{Deserialize, Serialize};

use crate::{Classify, Code, Exit};

/// `status.error` of a record: why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// The step that set it: program and verb.
    #[serde(default)]
    pub step: String,
    /// A stable word for scripts: one of [`Code`], or one that a user's script chose.
    pub code: String,
    /// What went wrong, naming the thing and its value.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Its exit status.
    #[serde(with = "status")]
    #[schemars(schema_with = "status::schema")]
    pub exit: Exit,
}

impl Failure {
    /// A failure that is not yet signed by a step; the engine does that when it writes the record.
    #[must_use]
    pub fn new(exit: Exit, code: Code, message: impl Into<String>) -> Self {
        Self { step: String::new(), code: code.as_str().to_owned(), message: message.into(), hint: None, exit }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure whose message is `message` followed by `error` and its causes, each once.
    #[must_use]
    pub fn caused(exit: Exit, code: Code, message: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self::new(exit, code, verdict::chained(message.into(), error))
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }

    /// The same with a hint, where there is one.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The failure of a node that was not changed because the step was asked to stop.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Exit::Unreachable, Code::Interrupted, "stopped before this was done")
            .hint("run the same command again")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A classified error with its causes: the one way from an error to a failure.
impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Self {
        let facts = error.facts();
        Self::new(facts.exit, facts.code, verdict::chain(&error)).maybe_hint(facts.hint)
    }
}

/// An exit status as its number.
mod status {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::Exit;

    pub(super) fn serialize<S: Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(exit.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Exit, D::Error> {
        let code = u8::deserialize(deserializer)?;
        Exit::from_code(code).ok_or_else(|| serde::de::Error::custom(format!("{code} is not an exit status of a step")))
    }

    pub(super) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "integer",
            "enum": Exit::ALL.map(Exit::code),
            "description": "The exit status that the error asks for.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;

    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Refused;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer from 10.0.0.11")]
    struct Transport(#[source] Refused);

    impl Classify for Transport {
        fn facts(&self) -> Facts {
            Facts::new(Exit::Unreachable, Code::Unreachable).hint("is it on?")
        }
    }

    #[test]
    fn a_classified_error_keeps_its_facts_and_the_whole_chain_of_causes() {
        let failure = Failure::from(Transport(Refused));
        assert_eq!(failure.message, "no answer from 10.0.0.11: connection refused");
        assert!(failure.is(Code::Unreachable) && failure.exit == Exit::Unreachable);
        assert_eq!(failure.hint.as_deref(), Some("is it on?"));
    }

    #[test]
    fn a_failure_travels_with_its_exit_status_as_a_number() {
        let failure = Failure::new(Exit::Guard, Code::Split, "two clusters");
        let json = serde_json::to_string(&failure).unwrap();
        assert_eq!(json, r#"{"step":"","code":"split","message":"two clusters","exit":7}"#);
        assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), failure);
        assert!(serde_json::from_str::<Failure>(&json.replace('7', "9")).is_err());
    }

    #[test]
    fn what_was_interrupted_asks_to_run_again() {
        assert_eq!(Failure::interrupted().exit, Exit::Unreachable);
    }
}
