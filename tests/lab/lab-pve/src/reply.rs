//! Replies and refusals, as the state machine gives them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::locks::Lock;

/// A reply with status 200.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// What stands under `data`.
    pub(crate) data: Value,
    /// The number of lines in all, beside a part of a log.
    pub(crate) total: Option<usize>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Self {
        Self { data, total: None }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400, with a text for each parameter.
    Parameters(BTreeMap<String, String>),
    /// 403.
    Forbidden(String),
    /// 500, which is everything else.
    Failed(String),
    /// 501.
    NotImplemented(String),
    /// 500 after a while: the guest agent was asked and did not answer.
    AgentSilent,
    /// 500 after ten seconds: a lock was not to be had.
    Slow(String),
    /// A lock is held: 500 with this text when it still is after so many seconds.
    Busy {
        /// The lock.
        lock: Lock,
        /// Seconds of a real cluster.
        seconds: u32,
        /// What is said then.
        text: String,
    },
    /// 401 after a while: wrong name or password.
    Unauthenticated,
    /// 596 after a while: the host took the call and did not answer; it may act on it all the same.
    TimedOut,
    /// 595: the host in the path does not answer the one that was asked.
    Unreachable(String),
}

impl Refusal {
    /// One bad parameter.
    pub(crate) fn parameter(name: &str, text: impl Into<String>) -> Self {
        Self::Parameters(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    /// A missing privilege.
    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::Forbidden(text.into())
    }

    /// Anything else that went wrong.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Status and reason phrase.
    pub(crate) fn status(&self) -> (u16, &str) {
        match self {
            Self::Parameters(_) => (400, "Parameter verification failed."),
            Self::Forbidden(text) => (403, text),
            Self::Failed(text) | Self::Slow(text) | Self::Busy { text, .. } => (500, text),
            Self::NotImplemented(text) => (501, text),
            Self::AgentSilent => (500, "QEMU guest agent is not running"),
            Self::Unauthenticated => (401, "authentication failure"),
            Self::TimedOut => (596, "Connection timed out"),
            Self::Unreachable(text) => (595, text),
        }
    }

    /// Whether it comes only after a while: somebody was waited for.
    pub(crate) fn is_held_back(&self) -> bool {
        matches!(self, Self::AgentSilent | Self::Slow(_) | Self::Unauthenticated | Self::TimedOut)
    }

    /// The text as a task would end with it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Parameters(errors) => {
                let lines: String = errors.iter().map(|(name, text)| format!("{name}: {text}\n")).collect();
                format!("400 Parameter verification failed.\n{}", lines.strip_suffix('\n').unwrap_or_default())
            }
            Self::Forbidden(text) => format!("403 {text}"),
            other => other.status().1.to_owned(),
        }
    }
}
