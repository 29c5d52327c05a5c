//! The identity of a Talos cluster: its secrets bundle, certificate authorities and talosconfig, in the forms that
//! talosctl reads and writes.
//!
//! The crate is pure: time and randomness are passed in. (The signature algorithm of P-256 draws its own nonces.)
//! Private keys are [`Secret`]s, which are wiped when dropped and never shown.

mod authority;
mod bundle;
mod certificate;
mod keys;
mod primes;
mod random;
mod secret;
mod subject;
mod talosconfig;
mod validate;

pub use authority::{Authority, Leaf};
pub use bundle::{Bundle, Error as BundleError, Kubernetes};
pub use certificate::{ca256, fingerprint, not_after};
pub use keys::service_account;
pub use random::Random;
pub use secret::Secret;
pub use talosconfig::{Context, Error as TalosconfigError, Identity, Talosconfig};

/// Why keys or certificates can't be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No PEM, or none of the kind that is needed.
    #[error("{0} isn't a PEM block that can be read here")]
    Pem(&'static str),
    /// A key of a kind or form that isn't known.
    #[error("a private key in PEM type {0:?} can't be read")]
    Key(String),
    /// A certificate that can't be read.
    #[error("a certificate can't be read: {0}")]
    Certificate(String),
    /// Signing failed.
    #[error("a certificate can't be made: {0}")]
    Sign(String),
}
