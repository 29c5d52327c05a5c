//! The contents of certificates.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::PemError;

/// The DER of the first certificate of a PEM text.
pub fn der(text: &str) -> Result<Vec<u8>, PemError> {
    let block = pem::parse(text).map_err(|_| PemError::Pem("the certificate"))?;
    if block.tag() == "CERTIFICATE" { Ok(block.into_contents()) } else { Err(PemError::Pem("the certificate")) }
}

/// Parses a certificate.
pub fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PemError> {
    let parsed = X509Certificate::from_der(der);
    parsed.map(|(_, certificate)| certificate).map_err(|error| PemError::Certificate(error.to_string()))
}

/// When a certificate in PEM expires.
pub fn not_after(text: &str) -> Result<OffsetDateTime, PemError> {
    Ok(parse(&der(text)?)?.validity().not_after.to_datetime())
}

/// SHA-256 of a certificate's DER in small hexadecimal digits: how records name a cluster's CA.
pub fn ca256(text: &str) -> Result<String, PemError> {
    Ok(base16ct::lower::encode_string(&Sha256::digest(der(text)?)))
}

/// SHA-256 of a DER certificate as `AA:BB:…`, how people compare fingerprints.
pub fn fingerprint(der: &[u8]) -> String {
    let digits = base16ct::upper::encode_string(&Sha256::digest(der));
    let pairs: Vec<&str> = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]).collect();
    pairs.join(":")
}

/// The identifier that a certificate gives its own key.
pub fn subject_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    use x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier;
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

/// The identifier of the key that signed a certificate.
pub fn authority_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    use x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier;
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}
