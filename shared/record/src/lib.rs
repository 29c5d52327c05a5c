//! The contract between the steps: what flows through the pipe, and who may write what.
//!
//! Steps exchange JSON Lines. A [`Cluster`] record comes first and lists the nodes that follow; each [`Node`] comes
//! once; the last line is the Cluster again with `"end":true`. This crate holds the records, the state machine that
//! reads a stream of them ([`stream::Stream`]), the table of who needs and writes what ([`table`]), the cluster file
//! that a person writes ([`document`]), and the JSON Schema of it all ([`schema`]).
//!
//! It is pure: it has no I/O, no clock and no environment; `step` has them.

mod change;
mod cluster;
pub mod document;
mod failure;
mod fields;
mod framer;
mod lock;
mod node;
mod roster;
pub mod schema;
pub mod spec;
pub mod status;
pub mod stream;
pub mod table;
mod tally;
mod unusable;

pub use change::{Change, Effect, Impact};
pub use cluster::Cluster;
pub use document::nearest;
pub use failure::Failure;
pub use fields::marked;
pub use framer::{Frame, Framer, MAX_RECORD};
pub use lock::{Contact, Lock, LockedEtcd, LockedMachine};
pub use node::Node;
pub use roster::{Entry, Roster};
pub use spec::Role;
pub use tally::Tally;
pub use unusable::Unusable;
pub use verdict::{Classify, Code, Exit, Facts, chain, chained};

/// The version of the contract, in every record and cluster file.
pub const API_VERSION: &str = "ichor/v1";

/// A JSON object with its keys in the order in which they were written.
pub type Map = serde_json::Map<String, serde_json::Value>;
