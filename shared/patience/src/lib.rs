//! Patience: how long to wait, how often to ask, and when to stop.
//!
//! Ichor waits for everything (a task, a node, a cluster) in the same way: it checks a condition repeatedly, at growing
//! intervals, until the condition holds or fails for good, the deadline passes, or somebody interrupts. Deadlines and
//! schedules are plain values that take the current time as an argument; only [`until()`] sleeps, on tokio's clock,
//! which tests can pause.

mod backoff;
mod deadline;
mod until;

pub use backoff::Backoff;
pub use deadline::Deadline;
pub use until::{Attempt, Ended, Patience, never, until};
