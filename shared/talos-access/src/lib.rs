//! From records, or from talosctl's flags, to a connected node: what the tools that talk to nodes share.
//!
//! Each of these tools finds credentials and an address in the stream ([`Credentials`], [`address`]) or makes a stream
//! from flags that mean what they mean to talosctl ([`TalosFlags`], [`alone()`]), asks what is there ([`meet`]), and waits
//! with a bound ([`until`]). What goes wrong on the way becomes a failure of the contract in one place ([`failure()`]).

mod alone;
mod credentials;
mod failure;
mod flags;
mod meeting;
mod waiting;

pub use alone::{Alone, alone};
pub use credentials::Credentials;
pub use failure::failure;
pub use flags::{InsecureFlags, TalosFlags};
pub use meeting::{Met, address, meet};
pub use waiting::{attempt, until, until_for};
