//! Machine configs of Talos Linux: generated, read, patched, checked, compared and written, byte for byte as
//! Talos's own tools do.
//!
//! One table ([`kinds`]) holds every document kind with its fields; reading, writing, merging and comparing are
//! driven by it. One list of gates ([`Contract`]) says what changed with which Talos release. The crate is pure: it
//! reads no file, clock, environment or randomness.

mod cel;
mod clash;
mod config;
mod contract;
mod decode;
mod diff;
mod encode;
mod explain;
pub mod generate;
pub mod kinds;
pub mod labels;
mod load;
pub mod near;
pub mod node;
pub mod patch;
mod redact;
mod scalar;
pub mod schematic;
pub mod shape;
mod size;
mod telling;
pub mod validate;

pub use clash::Clash;
pub use config::{Config, Document, Identity, MachineType};
pub use contract::{Contract, Error as ContractError, Gate};
pub use decode::Error as DecodeError;
pub use diff::{diff, is_same};
pub use explain::{Unknown, explain};
pub use generate::generate;
pub use load::{Error as LoadError, load};
pub use redact::{Found, redact, secrets};
pub use scalar::REDACTED;
pub use validate::endpoint;
