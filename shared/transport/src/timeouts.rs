//! How long to wait for the other side.

use std::error::Error;
use std::time::Duration;

use crate::Cause;

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the reply to one call.
    pub call: Duration,
}

impl Timeouts {
    /// Why a call got no reply. An HTTP library's own error names no time, so the caller passes in what it knows:
    /// whether the call timed out, and whether that was while it connected.
    pub fn unanswered(self, error: &(dyn Error + 'static), timed_out: bool, connecting: bool) -> Cause {
        match timed_out {
            true if connecting => Cause(format!("no connection within {}s", self.connect.as_secs())),
            true => Cause(format!("no reply within {}s", self.call.as_secs())),
            false => Cause::innermost(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_for_is_named_with_its_time() {
        let timeouts = Timeouts { connect: Duration::from_secs(5), call: Duration::from_secs(15) };
        let error = std::io::Error::other("reset");
        let cause = |timed_out, connecting| timeouts.unanswered(&error, timed_out, connecting).0;
        assert_eq!(cause(true, true), "no connection within 5s");
        assert_eq!(cause(true, false), "no reply within 15s");
        assert_eq!(cause(false, true), "reset");
    }
}
