//! Structures that several documents share.

use crate::schema::Type::{Bytes, Text};
use crate::schema::{Schema, must, opt};

/// A certificate and its key in the legacy document: PEM in base64.
pub(super) static CERTIFICATE_AND_KEY: Schema =
    Schema::new("PEMEncodedCertificateAndKey", &[must("crt", Bytes), must("key", Bytes).secret()]);

/// A certificate in the legacy document.
pub(super) static CERTIFICATE: Schema = Schema::new("PEMEncodedCertificate", &[must("crt", Bytes)]);

/// A key in the legacy document.
pub(super) static KEY: Schema = Schema::new("PEMEncodedKey", &[must("key", Bytes).secret()]);

/// A certificate and its key in the newer documents: plain PEM.
pub(super) static PEM_PAIR: Schema = Schema::new("CertificateAndKey", &[opt("cert", Text), opt("key", Text).secret()]);

/// A disk key derived from the node's identity: nothing to configure.
pub(super) static ENCRYPTION_KEY_NODE_ID: Schema = Schema::new("EncryptionKeyNodeID", &[]);

/// Ten seconds, in nanoseconds: the minimum for watchdogs and scrubbing.
pub(super) const TEN_SECONDS: i128 = 10_000_000_000;
