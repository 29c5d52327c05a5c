//! Patience: how long to wait, how often to ask, and when to stop.
//!
//! Whatever Ichor waits for (a task, a node, a cluster) is waited for in the same way: a condition is asked again and
//! again, at growing intervals, until it holds, fails for good, its deadline passes, or somebody interrupts. Deadlines
//! and schedules are plain values that take the present as an argument; only [`until()`] sleeps, on tokio's clock, which
//! tests can pause.

mod backoff;
mod deadline;
mod until;

pub use backoff::Backoff;
pub use deadline::Deadline;
pub use until::{Attempt, Ended, Patience, never, until};
