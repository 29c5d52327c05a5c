//! What an exit status means.

/// The exit status of a step; see [`Exit::meaning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already so.
    Done = 0,
    /// Failed for good.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// A dry run found changes to make.
    Pending = 3,
    /// Some nodes are done, the others may succeed when run again.
    Partial = 4,
    /// Timed out or unreachable.
    Unreachable = 5,
    /// Not allowed.
    NotAllowed = 6,
    /// Refused by a guard.
    Guard = 7,
    /// Unusable input.
    Unusable = 8,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// The reader of the output went away.
    PipeClosed = 141,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Every status, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Pending,
        Self::Partial,
        Self::Unreachable,
        Self::NotAllowed,
        Self::Guard,
        Self::Unusable,
        Self::Interrupted,
        Self::PipeClosed,
        Self::Terminated,
    ];

    /// The number that the process exits with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The status with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// What the status means, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or already so",
            Self::Failed => "failed, and trying again won't help",
            Self::Usage => "wrong usage",
            Self::Pending => "`--dry-run`: changes are pending",
            Self::Partial => "some nodes are done, others may succeed when run again",
            Self::Unreachable => "timed out or unreachable",
            Self::NotAllowed => "not allowed (credentials, privileges)",
            Self::Guard => "refused: continuing could destroy data; the hint names the flag that allows it",
            Self::Unusable => "unusable input",
            Self::Interrupted => "stopped by Ctrl-C (SIGINT)",
            Self::PipeClosed => "the reader of the output went away",
            Self::Terminated => "stopped by SIGTERM",
        }
    }

    /// What a script does about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Done => "continue",
            Self::Failed => "read the message",
            Self::Usage => "fix the call",
            Self::Pending => "decide",
            Self::NotAllowed => "ask for the right",
            Self::Guard => "ask a person",
            Self::Unusable => "look at the step before",
            Self::Partial | Self::Unreachable | Self::Interrupted | Self::PipeClosed | Self::Terminated => "run again",
        }
    }

    /// The table of exit statuses as Markdown.
    #[must_use]
    pub fn markdown() -> String {
        let row = |exit: Self| format!("| {} | {} | {} |\n", exit.code(), exit.meaning(), exit.advice());
        let rows: String = Self::ALL.into_iter().map(row).collect();
        format!("| exit | meaning | a script should |\n|---|---|---|\n{rows}")
    }

    /// The severity of an error with this status: of several errors the most severe one decides.
    ///
    /// 0 for a temporary error. A status that no error has (0, 3) counts as [`Exit::Failed`]: a user's script wrote it,
    /// and it is still an error.
    #[must_use]
    pub fn severity(self) -> u8 {
        match self {
            Self::Unusable => 5,
            Self::Guard => 4,
            Self::NotAllowed => 3,
            Self::Usage => 2,
            Self::Failed | Self::Done | Self::Pending => 1,
            Self::Partial | Self::Unreachable | Self::Interrupted | Self::PipeClosed | Self::Terminated => 0,
        }
    }

    /// Whether the same command may succeed when run again, without any other action.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Partial | Self::Unreachable | Self::Interrupted | Self::PipeClosed | Self::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_runs_again_exactly_after_what_may_pass() {
        let again = Exit::ALL.into_iter().filter(|exit| exit.is_retryable()).map(Exit::code);
        assert_eq!(again.collect::<Vec<_>>(), [4, 5, 130, 141, 143]);
        for exit in Exit::ALL {
            assert_eq!(exit.advice() == "run again", exit.is_retryable(), "{exit:?}");
            assert_eq!(exit.severity() == 0, exit.is_retryable(), "{exit:?}");
            assert_eq!(Exit::from_code(exit.code()), Some(exit));
        }
    }
}
