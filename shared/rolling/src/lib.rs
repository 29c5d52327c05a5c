//! The engine under everything that takes nodes down: who is a healthy member of etcd, and is there a quorum without
//! this node?
//!
//! The decisions are pure and tested as data ([`quorum`], [`judge`]); the asking over Talos's API is in one place
//! ([`look`]). Whoever takes a control plane down asks right before the act, each time: nothing is counted within one
//! process, for another run doesn't know of it.

mod error;
mod gate;
mod members;
mod queue;
pub mod quorum;
mod split;

pub use error::{Halted, Refused};
pub use gate::{Look, judge};
pub use members::{NO_MEMBER, Target, can_be_spared, is_member, look};
pub use queue::{Permit, Queue};
pub use split::OneEtcd;
