//! Whole pipes, as processes: see `tests/e2e`. The measurements are in `benches`.
