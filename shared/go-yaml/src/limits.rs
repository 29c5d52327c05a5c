//! Limits for texts from any source.

/// The largest text that [`crate::read()`] takes: Talos itself refuses configs above a few MiB.
pub const BYTES: usize = 8 << 20;

/// Maximum depth: deeper than anything real.
pub(crate) const DEPTH: usize = 100;

/// Maximum number of values: more than anything real.
pub(crate) const NODES: usize = 250_000;
