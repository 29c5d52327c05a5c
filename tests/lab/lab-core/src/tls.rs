//! The one cryptography provider.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The provider that everything in the lab uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
