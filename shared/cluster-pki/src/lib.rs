//! The identity of a Talos cluster: its secrets bundle, certificate authorities and what they sign, in the forms that
//! talosctl reads and writes.
//!
//! The crate is pure: time and randomness are passed in. (The signature algorithm of P-256 draws its own nonces.)
//! Private keys are [`Secret`]s, which are wiped when dropped and never shown.

mod authority;
mod bundle;
mod client;
mod keys;
mod random;
mod reading;
mod subject;
mod validate;

pub use authority::{Authority, Leaf};
pub use bundle::Bundle;
pub use keys::service_account;
pub use random::Random;
pub use reading::{Error as BundleError, Kubernetes};
pub use talosconfig::{Context, Secret};

/// Why keys or certificates can't be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A certificate or key in PEM that can't be read.
    #[error(transparent)]
    Pem(#[from] talosconfig::PemError),
    /// A key in an unknown form.
    #[error("a private key in PEM type {0:?} can't be read")]
    Key(String),
    /// Signing failed.
    #[error("a certificate can't be made: {0}")]
    Sign(String),
}
