//! What a test makes go wrong on a node.

use std::collections::VecDeque;
use std::time::Duration;

use tonic::Code;

/// How the node treats those who call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The system does not come up until this is lifted.
    pub(crate) hold_boot: bool,
    /// A boot that is over except for that.
    pub(crate) boot_held: bool,
    /// Port 50000 is closed.
    pub(crate) refuse: bool,
    /// Connections are accepted, and then nothing.
    pub(crate) hang: bool,
    /// How long each call takes in addition.
    pub(crate) delay: Duration,
    /// What happens to the next calls, in order.
    pub(crate) next: VecDeque<Fault>,
}

/// What happens to one call.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Name of the method as in `Bootstrap`; any if `None`.
    pub(crate) method: Option<String>,
    pub(crate) effect: Effect,
}

#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// The call acts, but its reply gets lost with the connection.
    LoseReply,
    /// The call does nothing and fails.
    Fail(Code, String),
    /// Nothing is done and nothing is answered.
    Hang,
    /// The call acts, and its reply takes so much longer; twice as long, if it isn't said.
    Slow(Option<Duration>),
    /// The answer is not gRPC.
    Garbage,
}

impl Faults {
    /// Takes the next fault that is meant for a method.
    pub(crate) fn take(&mut self, method: &str) -> Option<Effect> {
        let meant = |fault: &Fault| fault.method.as_ref().is_none_or(|name| name == method);
        let at = self.next.iter().position(meant)?;
        self.next.remove(at).map(|fault| fault.effect)
    }
}
