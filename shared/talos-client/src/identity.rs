//! Who we are to a node, and whom we trust.

use std::fmt;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

/// A context of a talosconfig: the cluster's authority, our client certificate, and its key.
pub struct Identity {
    authorities: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why PEM texts are not an identity. No text of a key is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A text is not PEM.
    #[error("the {0} of the talosconfig is not PEM")]
    NotPem(&'static str),
    /// A text is PEM but holds nothing of the right kind.
    #[error("the {0} of the talosconfig holds no certificate")]
    Missing(&'static str),
    /// The key has a kind that Talos never writes.
    #[error("the key of the talosconfig has the unknown type `{0}`")]
    UnknownKey(String),
}

impl Identity {
    /// Reads an identity from the PEM texts of a talosconfig.
    ///
    /// Talos labels an Ed25519 key `ED25519 PRIVATE KEY`, which only Talos knows; its content is PKCS#8.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] names which of the three texts can't be used.
    pub fn from_pem(authority: &str, certificate: &str, key: &str) -> Result<Self, IdentityError> {
        Ok(Self {
            authorities: certificates("certificate authority", authority)?,
            chain: certificates("client certificate", certificate)?,
            key: private_key(key)?,
        })
    }

    /// The certificates of the authorities that we trust.
    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Our certificate, as it is sent.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// The key of our certificate.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { authorities: self.authorities.clone(), chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

fn certificates(what: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let blocks = pem::parse_many(text).map_err(|_| IdentityError::NotPem(what))?;
    let found: Vec<_> = blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(|block| CertificateDer::from(block.into_contents()))
        .collect();
    if found.is_empty() { Err(IdentityError::Missing(what)) } else { Ok(found) }
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let blocks = pem::parse_many(text).map_err(|_| IdentityError::NotPem("key"))?;
    let block = blocks.into_iter().next().ok_or(IdentityError::Missing("key"))?;
    let kind = block.tag().to_owned();
    let der = block.into_contents();
    match kind.as_str() {
        "ED25519 PRIVATE KEY" | "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der).into()),
        _ => Err(IdentityError::UnknownKey(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["admin".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn an_ed25519_key_is_read_under_the_label_of_talos() {
        let (certificate, key) = made();
        let labelled = key.replace("PRIVATE KEY", "ED25519 PRIVATE KEY");

        let identity = Identity::from_pem(&certificate, &certificate, &labelled).expect("an identity");

        assert!(rustls::crypto::ring::sign::any_supported_type(&identity.key).is_ok());
    }

    #[test]
    fn nothing_secret_is_in_debug_output_or_errors() {
        let (certificate, key) = made();
        let identity = Identity::from_pem(&certificate, &certificate, &key).expect("an identity");
        let strange = key.replace("PRIVATE KEY", "SECRET SAUCE");

        let error = Identity::from_pem(&certificate, &certificate, &strange).expect_err("an unknown kind");

        assert_eq!(format!("{identity:?}"), "Identity(redacted)");
        assert_eq!(error, IdentityError::UnknownKey("SECRET SAUCE".to_owned()));
    }

    #[test]
    fn a_text_without_a_certificate_is_named() {
        let (certificate, key) = made();

        let wrong = Identity::from_pem(&key, &certificate, &key).expect_err("a key is no authority");

        assert_eq!(wrong.to_string(), "the certificate authority of the talosconfig holds no certificate");
    }
}
