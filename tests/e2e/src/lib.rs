//! Whole pipes, as processes: see `tests/e2e`. What is measured is in `benches`.
