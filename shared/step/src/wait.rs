//! Waits with a timeout, and reports about them.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use patience::{Attempt, Backoff, Deadline, Ended, Patience};
use record::{Code, Exit, Failure, Node, chain};
use tokio::time::Instant;

use crate::{Run, Stop};

/// Why one look failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Not yet; the text names what is missing.
    NotYet(String),
    /// It can't come true any more.
    Failed(Failure),
}

impl Hold {
    /// Not yet, for this reason.
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self::NotYet(reason.into())
    }

    /// Not yet, because of an error that may be temporary, whatever its own class; its causes are kept.
    pub fn in_spite_of(error: &dyn std::error::Error) -> Self {
        Self::NotYet(chain(error))
    }
}

/// An error that asks to run again is retried; any other one ends the wait. The causes are kept.
impl<E: Into<Failure>> From<E> for Hold {
    fn from(error: E) -> Self {
        let failure = error.into();
        if failure.exit.is_retryable() { Self::NotYet(failure.message) } else { Self::Failed(failure) }
    }
}

/// A wait whose time is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// How long it waited.
    pub waited: Duration,
    /// What was missing at the last look.
    pub last: String,
}

impl std::fmt::Display for Expired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "timed out after {}: {}", span(self.waited), self.last)
    }
}

/// A wait that is about to begin. Hold no slot meanwhile.
#[must_use]
pub struct Wait<'a> {
    run: &'a Run,
    node: Option<&'a Node>,
    deadline: Deadline,
    backoff: Backoff,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(run: &'a Run, node: Option<&'a Node>) -> Self {
        let backoff = Backoff::usual().seeded(node.map_or("", Node::name));
        Self { run, node, deadline: Deadline::within(run.wait_timeout()), backoff }
    }

    /// The same with this deadline instead of `--wait-timeout` from now on.
    pub fn deadline(self, deadline: Deadline) -> Self {
        Self { deadline, ..self }
    }

    /// The same with other pauses between two looks.
    pub fn paced(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Looks until the condition holds.
    ///
    /// # Errors
    /// A look failed for good, the time is up (exit 5), or the step was asked to stop.
    pub async fn until<T, Look>(self, look: impl FnMut() -> Look) -> Result<T, Stop>
    where
        Look: Future<Output = Result<T, Hold>>,
    {
        self.until_or(look, |expired| {
            Failure::new(Exit::Unreachable, Code::Timeout, expired.to_string())
                .hint("repair what it waits for, or set a longer timeout with --wait-timeout")
        })
        .await
    }

    /// Looks until the condition holds; `expired` makes the failure when the time is up.
    ///
    /// # Errors
    /// As [`Self::until`].
    pub async fn until_or<T, Look>(
        self,
        mut look: impl FnMut() -> Look,
        expired: impl FnOnce(Expired) -> Failure,
    ) -> Result<T, Stop>
    where
        Look: Future<Output = Result<T, Hold>>,
    {
        let waits = &self.run.context.waits;
        let entry = waits.begin(self.node.map(Node::name), self.deadline.limit(), Instant::now());
        let stopping = self.run.stopping();
        let patience = Patience { deadline: self.deadline, backoff: self.backoff };
        let ended = patience::until(patience, stopping.cancelled(), || {
            let (looking, entry) = (look(), &entry);
            async move {
                match looking.await {
                    Ok(found) => Attempt::Ready(found),
                    Err(Hold::NotYet(reason)) => {
                        entry.note(&reason);
                        Attempt::NotYet(reason)
                    }
                    Err(Hold::Failed(failure)) => Attempt::Failed(failure),
                }
            }
        });
        ended.await.map_err(|ended| match ended {
            Ended::Failed(failure) => failure.into(),
            Ended::Interrupted { .. } => Failure::interrupted().into(),
            Ended::Expired { waited, last } => {
                expired(Expired { waited, last: last.unwrap_or_else(|| "no answer".to_owned()) }).into()
            }
        })
    }
}

/// All current waits and work, so that one line can report them.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    list: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    node: Option<String>,
    since: Instant,
    limit: Option<Duration>,
    reason: Option<String>,
    /// Whether this is the whole work on a node, or on the cluster: it is reported while it has no wait of its own.
    work: bool,
}

/// A current wait, or work; it is over when this is dropped.
pub(crate) struct Entry<'a> {
    waits: &'a Waits,
    id: u64,
}

/// How many waits one line names.
const SHOWN: usize = 8;

impl Waits {
    pub(crate) fn begin(&self, node: Option<&str>, limit: Option<Duration>, since: Instant) -> Entry<'_> {
        self.add(node, limit, since, false)
    }

    /// Work on a node, or on the cluster, begins: one call of it may last, too.
    pub(crate) fn work(&self, node: Option<&str>, since: Instant) -> Entry<'_> {
        self.add(node, None, since, true)
    }

    fn add(&self, node: Option<&str>, limit: Option<Duration>, since: Instant, work: bool) -> Entry<'_> {
        let mut entries = self.lock();
        let id = entries.next;
        entries.next += 1;
        let node = node.map(str::to_owned);
        entries.list.push(Waiting { id, node, since, limit, reason: None, work });
        Entry { waits: self, id }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the oldest wait has lasted, if there is any.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Duration> {
        let entries = self.lock();
        let first = entries.list.iter().find(|waiting| !waiting.work)?;
        Some(now.saturating_duration_since(first.since))
    }

    fn is_empty(&self) -> bool {
        self.lock().list.is_empty()
    }

    /// For whom, since when and why: `waiting: cp-2 kubelet not ready (40 s of 10 m), w-1 booting (12 s of 10 m)`.
    pub(crate) fn line(&self, now: Instant) -> Option<String> {
        let entries = self.lock();
        let list = &entries.list;
        let is_named = |work: &Waiting| list.iter().any(|other| !other.work && other.node == work.node);
        let lines: Vec<_> =
            list.iter().filter(|it| !it.work || !is_named(it)).map(|waiting| waiting.text(now)).collect();
        if lines.is_empty() {
            return None;
        }
        let more = lines.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown: Vec<_> = lines.into_iter().take(SHOWN).collect();
        Some(format!("waiting: {}{more}", shown.join(", ")))
    }
}

impl Waiting {
    fn text(&self, now: Instant) -> String {
        let who = match &self.node {
            Some(node) => format!("{node} "),
            None if self.work => "cluster ".to_owned(),
            None => String::new(),
        };
        let reason = self.reason.as_deref().unwrap_or(if self.work { "in progress" } else { "no answer yet" });
        let limit = self.limit.map(|limit| format!(" of {}", span(limit))).unwrap_or_default();
        format!("{who}{reason} ({}{limit})", span(now.saturating_duration_since(self.since)))
    }
}

impl Entry<'_> {
    pub(crate) fn note(&self, reason: &str) {
        let mut entries = self.waits.lock();
        if let Some(waiting) = entries.list.iter_mut().find(|waiting| waiting.id == self.id) {
            waiting.reason = Some(reason.to_owned());
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.waits.lock().list.retain(|waiting| waiting.id != self.id);
    }
}

/// A span of time for people: `40 s`, `10 m`, `1 m 30 s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} m"),
        (minutes, seconds) => format!("{minutes} m {seconds} s"),
    }
}

/// When waits are reported: nothing is silent for longer than 10 s, and a wait that lasts is reported every 10 s.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    reported: Instant,
}

/// How often the heartbeat looks whether there is something to report.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// How long the program may print nothing while it waits; one look before the 10 s are over.
const SILENCE: Duration = Duration::from_secs(9);
/// How long between two lines about waits, and how old the oldest is by then.
const AGAIN: Duration = Duration::from_secs(10);

impl Heartbeat {
    pub(crate) fn new(now: Instant) -> Self {
        Self { reported: now }
    }

    /// The line to print now, if one is due. `printed` is when the program last printed anything.
    pub(crate) fn due(&mut self, waits: &Waits, printed: Option<Instant>, now: Instant) -> Option<String> {
        if waits.is_empty() {
            return None;
        }
        let oldest = waits.oldest(now).unwrap_or_default();
        let silent = now.saturating_duration_since(printed.map_or(self.reported, |printed| printed.max(self.reported)))
            >= SILENCE;
        let again = now.saturating_duration_since(self.reported) >= AGAIN && oldest >= AGAIN;
        if !silent && !again {
            return None;
        }
        self.reported = now;
        waits.line(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_line_says_for_whom_since_when_and_why() {
        let (waits, begun) = (Waits::default(), Instant::now());
        let now = begun + 40 * SECOND;
        let node = waits.begin(Some("cp-2"), Some(600 * SECOND), begun);
        node.note("kubelet not ready");
        let cluster = waits.begin(None, Some(90 * SECOND), now);
        cluster.note("the API at 10.0.0.10 refuses connections");

        let line = waits.line(now);

        let expected = "waiting: cp-2 kubelet not ready (40 s of 10 m), the API at 10.0.0.10 refuses connections (0 s of 1 m 30 s)";
        assert_eq!(line.as_deref(), Some(expected));
        drop((node, cluster));
        assert_eq!(waits.line(now), None, "a wait that is over is not reported");
    }

    #[test]
    fn nothing_is_silent_for_longer_than_ten_seconds_and_what_lasts_is_reported_again() {
        let (waits, begun) = (Waits::default(), Instant::now());
        let mut heartbeat = Heartbeat::new(begun);
        let _entry = waits.begin(Some("w-1"), None, begun);
        let mut reported = Vec::new();
        for second in 0..35 {
            if heartbeat.due(&waits, None, begun + second * SECOND).is_some() {
                reported.push(second);
            }
        }
        assert_eq!(reported, [9, 18, 27]);
        let now = begun + 40 * SECOND;
        assert!(heartbeat.due(&waits, Some(now), now).is_some(), "others' lines don't hide a wait that lasts");
        assert!(heartbeat.due(&waits, Some(now), now + SECOND).is_none());
    }

    #[test]
    fn work_that_is_silent_is_named_unless_it_waits() {
        let (waits, begun) = (Waits::default(), Instant::now());
        let mut heartbeat = Heartbeat::new(begun);
        let _whole = waits.work(None, begun);
        let _node = waits.work(Some("w-1"), begun);
        let expected = "waiting: cluster in progress (9 s), w-1 in progress (9 s)";
        assert_eq!(heartbeat.due(&waits, None, begun + 9 * SECOND).as_deref(), Some(expected));
        let later = begun + 30 * SECOND;
        assert_eq!(heartbeat.due(&waits, Some(later), later), None, "it is not silent");
        let wait = waits.begin(Some("w-1"), None, later);
        wait.note("booting");
        assert_eq!(waits.line(later).as_deref(), Some("waiting: cluster in progress (30 s), w-1 booting (0 s)"));
    }

    #[test]
    fn who_does_not_wait_is_not_reported() {
        let (waits, begun) = (Waits::default(), Instant::now());
        assert_eq!(Heartbeat::new(begun).due(&waits, None, begun + 60 * SECOND), None);
    }

    #[test]
    fn an_error_that_may_pass_holds_and_keeps_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("Proxmox VE refused GET /nodes")]
        struct Outer(#[source] std::io::Error, Exit);
        impl record::Classify for Outer {
            fn facts(&self) -> record::Facts {
                record::Facts::new(self.1, Code::Unreachable)
            }
        }
        let error = |exit| Outer(std::io::Error::other("can't lock file"), exit);

        let expected = "Proxmox VE refused GET /nodes: can't lock file";
        assert_eq!(Hold::from(error(Exit::Unreachable)), Hold::NotYet(expected.to_owned()));
        assert!(matches!(Hold::from(error(Exit::Guard)), Hold::Failed(failure) if failure.message == expected));
        assert_eq!(Hold::in_spite_of(&error(Exit::Guard)), Hold::NotYet(expected.to_owned()));
    }

    #[test]
    fn spans_are_short() {
        assert_eq!([0, 40, 60, 90, 600].map(|s| span(s * SECOND)), ["0 s", "40 s", "1 m", "1 m 30 s", "10 m"]);
    }

    #[test]
    fn of_many_waits_a_line_names_a_few() {
        let (waits, begun) = (Waits::default(), Instant::now());
        let names: Vec<_> = (0..11).map(|at| format!("w-{at}")).collect();
        let _entries: Vec<_> = names.iter().map(|name| waits.begin(Some(name), None, begun)).collect();
        let line = waits.line(begun).unwrap();
        assert!(line.contains("w-7 ") && !line.contains("w-8") && line.ends_with(" and 3 more"), "{line}");
    }
}
