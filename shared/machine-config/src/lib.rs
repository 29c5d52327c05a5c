//! Machine configs of Talos Linux: generated, read, patched, checked, compared and written, byte for byte as
//! Talos's own tools do.
//!
//! One table ([`kinds`]) holds every document kind with its fields; reading, writing, merging and comparing are
//! driven by it. One list of gates ([`Contract`]) says what changed with which Talos release. The crate is pure: it
//! reads no file, clock, environment or randomness.

mod clash;
mod config;
mod decode;
mod encode;
pub mod kinds;
mod load;
pub mod near;
mod scalar;
pub mod shape;
pub mod value;
pub mod yaml;

pub use clash::Clash;
pub use config::{Config, Document, Identity, MachineType};
pub use decode::Error as DecodeError;
pub use load::{Error as LoadError, load};
pub use scalar::REDACTED;
mod contract;
pub use contract::{Contract, Error as ContractError, Gate};
pub mod generate;
pub mod patch;
pub mod schematic;
pub use generate::generate;

/// A node of no type as a value, as Go's `any` takes it.
pub fn free_value(node: &yaml::Node) -> value::Value {
    decode::anything(node)
}
mod diff;
pub mod labels;
pub mod node;
mod redact;
pub use diff::{diff, is_same};
pub use redact::{Found, redact, secrets};
pub mod validate;
