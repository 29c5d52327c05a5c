//! Client credentials of Talos as files: the talosconfig and the PEM in it.
//!
//! Credentials are read, checked by the contents of their certificates, and written as talosctl writes them. No key is
//! made and nothing is signed here. Private keys are [`Secret`]s, which are wiped when dropped and never shown. The
//! crate is pure: time is passed in.

pub mod certificate;
mod file;
pub mod kept;
pub mod key;
mod secret;

pub use certificate::{ca256, fingerprint, not_after};
pub use file::{Context, Error, Identity, Talosconfig};
pub use secret::Secret;

/// Why a PEM text can't be used. No text of a key is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Not PEM, or not of the kind that is needed.
    #[error("{0} isn't a PEM block that can be read here")]
    Pem(&'static str),
    /// A key of an unknown kind.
    #[error("a private key in PEM type {0:?} can't be read")]
    Key(String),
    /// A certificate that can't be read.
    #[error("a certificate can't be read: {0}")]
    Certificate(String),
}
