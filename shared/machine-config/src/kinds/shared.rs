//! Structures that several documents hold.

use crate::shape::Type::{Bytes, Text};
use crate::shape::{Shape, must, opt};

/// A certificate and its key in the legacy document: PEM in base64.
pub(super) static CERTIFICATE_AND_KEY: Shape =
    Shape::new("PEMEncodedCertificateAndKey", &[must("crt", Bytes), must("key", Bytes).secret()]);

/// A certificate in the legacy document.
pub(super) static CERTIFICATE: Shape = Shape::new("PEMEncodedCertificate", &[must("crt", Bytes)]);

/// A key in the legacy document.
pub(super) static KEY: Shape = Shape::new("PEMEncodedKey", &[must("key", Bytes).secret()]);

/// A certificate and its key in the newer documents: PEM as it is.
pub(super) static PEM_PAIR: Shape = Shape::new("CertificateAndKey", &[opt("cert", Text), opt("key", Text).secret()]);

/// A disk key derived from the node's identity: nothing to say.
pub(super) static ENCRYPTION_KEY_NODE_ID: Shape = Shape::new("EncryptionKeyNodeID", &[]);

/// Ten seconds, in nanoseconds: the least that watchdogs and scrubbing take.
pub(super) const TEN_SECONDS: i128 = 10_000_000_000;
