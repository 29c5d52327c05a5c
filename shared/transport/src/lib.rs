//! What every client over TLS needs: the cryptography provider, whom to trust, why a call failed, how long it may take.
//!
//! A client decides with a [`Judge`] which certificates it accepts; the [`verifier`] around it always checks that the
//! other side has the certificate's key. [`Cause`] is the innermost reason of a failure; [`Timeouts`] are the time
//! limits, and the wording of their errors.

#[cfg(feature = "http")]
mod body;
mod cause;
mod timeouts;
mod tls;

#[cfg(feature = "http")]
pub use body::body;
pub use cause::{Cause, found};
pub use timeouts::Timeouts;
#[cfg(feature = "system")]
pub use tls::system;
pub use tls::{Judge, authorities, builder, provider, verifier};
