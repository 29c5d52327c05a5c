//! The whole pipe on the lab.

pub(crate) fn print() {}
