//! Checking a condition until it holds.

use std::{convert::Infallible, future::Future, pin::pin, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Backoff, Deadline};

/// What one attempt found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt<T, E = Infallible> {
    /// The condition holds.
    Ready(T),
    /// Not yet; the text names what is missing.
    NotYet(String),
    /// It can't come true any more.
    Failed(E),
}

/// Why [`until`] ended without success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended<E: std::error::Error + 'static = Infallible> {
    /// The condition can't come true any more.
    #[error(transparent)]
    Failed(E),
    /// The deadline passed.
    #[error("gave up after {}: {}", Span(*waited), last.as_deref().unwrap_or("no answer"))]
    Expired {
        /// How long it waited.
        waited: Duration,
        /// What was missing at the last attempt, if one ever ended.
        last: Option<String>,
    },
    /// Somebody interrupted the waiting.
    #[error("interrupted while waiting: {}", last.as_deref().unwrap_or("no answer yet"))]
    Interrupted {
        /// What was missing at the last attempt, if one ever ended.
        last: Option<String>,
    },
}

/// Seconds for people: `0.4s`, `90s`.
struct Span(Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 < Duration::from_secs(10) {
            write!(f, "{:.1}s", self.0.as_secs_f64())
        } else {
            write!(f, "{}s", self.0.as_secs())
        }
    }
}

/// How long to wait and how often to ask.
#[derive(Debug, Clone)]
pub struct Patience {
    /// When to stop.
    pub deadline: Deadline,
    /// The pauses in between.
    pub backoff: Backoff,
}

impl Patience {
    /// Waits until `deadline` with the usual pauses.
    pub fn new(deadline: Deadline) -> Self {
        Self { deadline, backoff: Backoff::usual() }
    }

    /// The same with other pauses.
    #[must_use]
    pub fn paced(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

/// An interruption that never comes.
pub async fn never() {
    std::future::pending::<()>().await;
}

/// Repeats `attempt` until it is ready or fails, the deadline passes, or `interrupted` resolves.
///
/// The first attempt is made at once, even if the deadline has already passed: then it gets no time to wait, but a
/// condition that holds is still seen. An attempt that is under way when waiting ends is dropped, so it must only read,
/// not act.
///
/// # Errors
///
/// [`Ended`] is one of these three, with what was missing last.
pub async fn until<T, E, Asking>(
    mut patience: Patience,
    interrupted: impl Future<Output = ()>,
    mut attempt: impl FnMut() -> Asking,
) -> Result<T, Ended<E>>
where
    E: std::error::Error + 'static,
    Asking: Future<Output = Attempt<T, E>>,
{
    let mut last = None;
    let mut interrupted = pin!(interrupted);
    loop {
        let found = tokio::select! {
            found = bounded(patience.deadline, Box::pin(attempt())) => found,
            () = &mut interrupted => return Err(Ended::Interrupted { last }),
        };
        match found {
            Some(Attempt::Ready(value)) => return Ok(value),
            Some(Attempt::Failed(error)) => return Err(Ended::Failed(error)),
            Some(Attempt::NotYet(status)) => last = Some(status),
            None => return Err(expired(patience.deadline, last)),
        }
        let now = Instant::now();
        if patience.deadline.passed(now) {
            return Err(expired(patience.deadline, last));
        }
        let pause = patience.deadline.at_most(now, patience.backoff.pause());
        tokio::select! {
            () = sleep(pause) => {}
            () = &mut interrupted => return Err(Ended::Interrupted { last }),
        }
    }
}

/// What `attempt` found, or `None` when the deadline passed before it ended.
async fn bounded<T>(deadline: Deadline, attempt: impl Future<Output = T>) -> Option<T> {
    match deadline.end() {
        Some(end) => timeout_at(end, attempt).await.ok(),
        None => Some(attempt.await),
    }
}

fn expired<E: std::error::Error>(deadline: Deadline, last: Option<String>) -> Ended<E> {
    Ended::Expired { waited: deadline.waited(Instant::now()), last }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, PartialEq, Eq, thiserror::Error)]
    #[error("the disk is gone")]
    struct Gone;

    fn patience(seconds: u64) -> Patience {
        Patience::new(Deadline::within(Duration::from_secs(seconds)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_is_asked_again_until_it_holds() {
        let asked = Cell::new(0);

        let outcome = until::<_, Gone, _>(patience(60), never(), || {
            asked.set(asked.get() + 1);
            let count = asked.get();
            async move { if count < 4 { Attempt::NotYet("booting".to_owned()) } else { Attempt::Ready(count) } }
        })
        .await;

        assert_eq!(outcome, Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_for_good_ends_the_waiting_at_once() {
        let outcome = until(patience(60), never(), || async { Attempt::<(), _>::Failed(Gone) }).await;

        assert_eq!(outcome, Err(Ended::Failed(Gone)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_tells_what_was_missing_last() {
        let start = Instant::now();

        let outcome =
            until::<(), Gone, _>(patience(5), never(), || async { Attempt::NotYet("etcd is not running".to_owned()) })
                .await;

        let error = outcome.expect_err("the condition never holds");
        assert_eq!(error.to_string(), "gave up after 5.0s: etcd is not running");
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_ended_by_the_deadline() {
        let outcome = until::<(), Gone, _>(patience(5), never(), std::future::pending).await;

        assert_eq!(outcome, Err(Ended::Expired { waited: Duration::from_secs(5), last: None }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_ends_a_pause_and_an_attempt() {
        let soon = || sleep(Duration::from_secs(1));

        let pausing =
            until::<(), Gone, _>(patience(60), soon(), || async { Attempt::NotYet("booting".to_owned()) }).await;
        let asking = until::<(), Gone, _>(patience(60), soon(), std::future::pending).await;

        assert_eq!(pausing, Err(Ended::Interrupted { last: Some("booting".to_owned()) }));
        assert_eq!(asking, Err(Ended::Interrupted { last: None }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_still_sees_a_condition_that_holds() {
        let outcome = until::<_, Gone, _>(patience(0), never(), || async { Attempt::Ready(1) }).await;

        assert_eq!(outcome, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_does_not_wait_for_the_end_of_a_pause() {
        let (start, patience) = (Instant::now(), patience(600).paced(Backoff::steady(Duration::from_secs(60))));

        let outcome = until::<(), Gone, _>(patience, sleep(Duration::from_secs(1)), || async {
            Attempt::NotYet("booting".to_owned())
        })
        .await;

        assert_eq!(outcome, Err(Ended::Interrupted { last: Some("booting".to_owned()) }));
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }
}
