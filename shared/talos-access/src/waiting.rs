//! Waiting for a node, with a bound, saying what for.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use patience::{Attempt, Backoff, Deadline, Ended, Patience};
use record::{Exit, Failure, Node};
use step::{Run, Stop};
use tokio::time::Instant;

/// How long a wait stays silent, and how long each thing that is said stands.
const SILENCE: Duration = Duration::from_secs(5);

/// Asks until it is so, for at most `--wait-timeout` from now on. Hold no slot meanwhile.
///
/// # Errors
/// `ask` failed, the time ran out (exit 5), or the step was asked to stop.
pub async fn until<T, Asking>(run: &Run, node: &Node, ask: impl FnMut() -> Asking) -> Result<T, Stop>
where
    Asking: Future<Output = Attempt<T, Failure>>,
{
    until_for(run, Some(node), Deadline::within(run.wait_timeout()), ask).await
}

/// Asks until it is so, or the deadline passes; about a node, or about the cluster.
///
/// # Errors
/// `ask` failed, the time ran out (exit 5), or the step was asked to stop.
pub async fn until_for<T, Asking>(
    run: &Run,
    node: Option<&Node>,
    deadline: Deadline,
    mut ask: impl FnMut() -> Asking,
) -> Result<T, Stop>
where
    Asking: Future<Output = Attempt<T, Failure>>,
{
    let teller = Teller::new();
    let seed = node.map_or("", Node::name);
    let patience = Patience::new(deadline).paced(Backoff::usual().seeded(seed));
    let stopping = run.stopping();
    let ended = patience::until(patience, stopping.cancelled(), || {
        let (asking, teller) = (ask(), &teller);
        async move {
            let found = asking.await;
            if let Attempt::NotYet(status) = &found {
                teller.tell(run, node, status);
            }
            found
        }
    })
    .await;
    ended.map_err(|ended| match ended {
        Ended::Failed(failure) => failure.into(),
        Ended::Interrupted { .. } => Failure::interrupted().into(),
        expired @ Ended::Expired { .. } => Failure::new(Exit::Unreachable, "timeout", expired.to_string())
            .hint("--wait-timeout gives it more time")
            .into(),
    })
}

/// Says what is waited for: not at once, and not the same thing twice.
struct Teller {
    state: Mutex<(Instant, String)>,
}

impl Teller {
    fn new() -> Self {
        Self { state: Mutex::new((Instant::now(), String::new())) }
    }

    fn tell(&self, run: &Run, node: Option<&Node>, status: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.elapsed() < SILENCE || state.1 == status {
            return;
        }
        *state = (Instant::now(), status.to_owned());
        let what = format!("waiting: {status}");
        match node {
            Some(node) => run.say(node, &what),
            None => run.announce(&what),
        }
    }
}

/// What a call's outcome is to one who waits: an error that may pass is worth another try.
pub fn attempt<T>(outcome: Result<T, talos_client::Error>) -> Attempt<T, Failure> {
    match outcome {
        Ok(value) => Attempt::Ready(value),
        Err(error) if error.class() == talos_client::Class::Retry => Attempt::NotYet(error.chain()),
        Err(error) => Attempt::Failed(crate::failure(&error)),
    }
}
