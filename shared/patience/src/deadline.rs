//! The moment at which waiting ends.

use std::time::Duration;

use tokio::time::Instant;

/// The moment at which waiting ends, and how long it was when it began.
///
/// A deadline starts when the wait becomes necessary, not when the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    start: Instant,
    limit: Option<Duration>,
}

impl Deadline {
    /// Ends `limit` after `now`.
    pub fn after(now: Instant, limit: Duration) -> Self {
        Self { start: now, limit: Some(limit) }
    }

    /// Ends `limit` from now.
    pub fn within(limit: Duration) -> Self {
        Self::after(Instant::now(), limit)
    }

    /// Never ends; `now` is when the waiting began.
    pub fn never(now: Instant) -> Self {
        Self { start: now, limit: None }
    }

    /// The whole time allowed, or `None` without an end.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// The moment of the end, or `None` when there is none that a clock can represent.
    pub fn end(&self) -> Option<Instant> {
        self.limit.and_then(|limit| self.start.checked_add(limit))
    }

    /// The time left at `now`: zero when it has passed, `None` without an end.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.end().map(|end| end.saturating_duration_since(now))
    }

    /// Whether it has passed at `now`.
    pub fn passed(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// The time waited at `now`.
    pub fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    /// The shorter of what is left at `now` and `limit`: how long one attempt may take.
    pub fn at_most(&self, now: Instant, limit: Duration) -> Duration {
        self.remaining(now).map_or(limit, |left| left.min(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_deadline_passes_exactly_at_its_end() {
        let now = Instant::now();
        let deadline = Deadline::after(now, 2 * SECOND);

        assert!(!deadline.passed(now + SECOND));
        assert_eq!(deadline.remaining(now + SECOND), Some(SECOND));
        assert!(deadline.passed(now + 2 * SECOND));
        assert_eq!(deadline.remaining(now + 3 * SECOND), Some(Duration::ZERO));
        assert_eq!(deadline.waited(now + 3 * SECOND), 3 * SECOND);
    }

    #[test]
    fn a_deadline_without_an_end_never_passes() {
        let now = Instant::now();
        let deadline = Deadline::never(now);

        assert!(!deadline.passed(now + Duration::from_secs(86_400)));
        assert_eq!(deadline.remaining(now), None);
        assert_eq!(deadline.at_most(now, SECOND), SECOND);
    }

    #[test]
    fn one_attempt_gets_no_more_than_what_is_left() {
        let now = Instant::now();
        let deadline = Deadline::after(now, 3 * SECOND);

        assert_eq!(deadline.at_most(now, 2 * SECOND), 2 * SECOND);
        assert_eq!(deadline.at_most(now + 2 * SECOND, 2 * SECOND), SECOND);
    }

    #[test]
    fn a_limit_that_no_clock_can_express_is_no_end() {
        let deadline = Deadline::after(Instant::now(), Duration::MAX);

        assert!(!deadline.passed(Instant::now()));
    }
}
