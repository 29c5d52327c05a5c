//! From records, or from talosctl's flags, to a connected node: what the tools that talk to nodes share.
//!
//! Each of these tools finds credentials and an address in the stream ([`Credentials`], [`address`]) or makes a stream
//! from flags that mean what they mean to talosctl ([`TalosFlags`], [`alone()`]), and asks what is there ([`ask`]).

mod alone;
mod answer;
mod credentials;
mod flags;

pub use alone::{Alone, alone};
pub use answer::{Answer, address, ask};
pub use credentials::{AtHand, Credentials};
pub use flags::{ALONE, InsecureFlags, TalosFlags};
