//! The fingerprint of a node's certificate.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The fingerprint that a node in maintenance mode prints on its console: the SHA-256 of its certificate's public key
/// (the whole SubjectPublicKeyInfo in DER), written in standard base64 with padding.
///
/// It changes whenever the node reissues its certificate, as when an address or its hostname appears.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a certificate fingerprint: expected 44 characters of base64")]
pub struct FingerprintError(String);

impl Fingerprint {
    /// The fingerprint of a certificate in DER, or `None` when it can't be read.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        Some(Self(Sha256::digest(certificate.tbs_certificate.subject_pki.raw).into()))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| FingerprintError(text.to_owned()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_digest_of_the_public_key_with_its_header() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["node".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");

        let fingerprint = Fingerprint::of(certificate.der()).expect("a certificate can be read");

        // RFC 8410: twelve octets of header, then the key.
        let header = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let spki: Vec<u8> = header.iter().chain(key.public_key_raw()).copied().collect();
        assert_eq!(fingerprint.to_string(), STANDARD.encode(Sha256::digest(spki)));
    }

    #[test]
    fn what_a_node_prints_can_be_read_back() {
        let text = "pnduMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=";

        assert_eq!(text.parse::<Fingerprint>().expect("a fingerprint").to_string(), text);
        assert!("pnduMqbU".parse::<Fingerprint>().is_err());
        assert!("AA:BB:CC".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn what_is_no_certificate_has_no_fingerprint() {
        assert_eq!(Fingerprint::of(b"not a certificate"), None);
    }
}
