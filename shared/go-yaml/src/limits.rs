//! How much is read of a text that may come from anywhere.

/// The largest text that [`crate::read()`] takes: Talos itself refuses configs above a few MiB.
pub const BYTES: usize = 8 << 20;

/// Deeper than anything real is nested.
pub(crate) const DEPTH: usize = 100;

/// More values than anything real has.
pub(crate) const NODES: usize = 250_000;
