//! Machine configs of Talos Linux: generated, read, patched, compared and written, byte for byte as
//! Talos's own tools do.
//!
//! One table ([`kinds`]) holds every document kind with its fields; reading, writing, merging and comparing are
//! driven by it. One list of gates ([`Gate`]) records what changed with which Talos release. The crate is pure: it
//! reads no file, clock, environment or randomness.

mod config;
mod conflict;
mod contract;
mod decode;
mod diff;
mod encode;
mod explain;
pub mod generate;
pub mod kinds;
pub mod labels;
mod load;
pub mod node;
pub mod patch;
mod redact;
mod scalar;
pub mod schema;
mod secret_detection;
pub mod size;
pub mod suggest;
mod version_gates;

pub use config::{Config, Document, Identity, MachineType};
pub use conflict::Conflict;
pub use contract::{Contract, Error as ContractError};
pub use decode::Error as DecodeError;
pub use diff::{diff, is_same};
pub use explain::{Unknown, explain};
pub use generate::generate;
pub use load::{Error as LoadError, load};
pub use redact::{Found, redact, secret_values, secrets};
/// The placeholder for a private key that was removed from a config.
pub use redaction::REDACTED;
pub use talos_releases::Gate;
pub use version_gates::{contract_of, unknown_to};
