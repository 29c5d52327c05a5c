//! From records, or from talosctl's flags, to a connected node: what the tools that talk to nodes share.
//!
//! Each of these tools finds credentials and an address in the stream ([`Credentials`], [`address`]), or makes a stream
//! from flags with talosctl's meaning ([`TalosFlags`], [`alone()`]), and asks what is at the address ([`ask`]).

mod alone;
mod answer;
mod config;
mod credentials;
mod flags;

pub use alone::{Alone, alone};
pub use answer::{Answer, address, ask, for_admins};
pub use config::config_bytes;
pub use credentials::{AtHand, Credentials};
pub use flags::{InsecureFlags, TalosFlags};
