//! Whose certificates to trust: Proxmox VE signs its own, so the user says how to know the server.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, OtherError,
    client::danger::ServerCertVerifier,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use transport::Judge;

/// How a server is known.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// By a certificate that the system's roots vouch for.
    #[default]
    System,
    /// By a certificate of this authority, as PEM text: `/etc/pve/pve-root-ca.pem`. It survives renewals.
    Authority(String),
    /// By its certificate itself. Each host has its own, and a renewal changes it.
    Pinned(Fingerprint),
    /// Not at all: whoever answers gets the token.
    Anyone,
}

/// The SHA-256 digest of a certificate, written as Proxmox VE does: upper-case hexadecimal with colons.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Trust that can't be set up as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTrust {
    /// The text is no SHA-256 fingerprint.
    #[error("{0:?} is not a SHA-256 fingerprint of 32 hexadecimal pairs")]
    Fingerprint(String),
    /// The text holds no certificate.
    #[error("the certificate authority's file holds no certificate in PEM form")]
    NoCertificate,
    /// A certificate in it can't be read.
    #[error("certificate {0} of the certificate authority's file can't be read")]
    Certificate(usize),
}

/// A certificate that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; its SHA-256 fingerprint is {fingerprint}")]
pub struct Untrusted {
    /// The refused certificate.
    pub fingerprint: Fingerprint,
    /// Why it was refused.
    pub reason: String,
}

impl Untrusted {
    /// The two ways to go on.
    pub(crate) fn hint(&self) -> String {
        format!(
            "copy /etc/pve/pve-root-ca.pem from a host and name that file as `ca`; or compare the fingerprint with \
             `openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem` there and pin it: \
             `fingerprint: \"{}\"`",
            self.fingerprint
        )
    }
}

impl Fingerprint {
    /// Reads 32 hexadecimal pairs of any case, with colons or blanks between them or nothing.
    ///
    /// # Errors
    /// Text of another shape.
    pub fn parse(text: &str) -> Result<Self, BadTrust> {
        let bad = || BadTrust::Fingerprint(text.into());
        let plain = text.trim();
        let plain = plain.get(..7).filter(|word| word.eq_ignore_ascii_case("sha256:")).map_or(plain, |_| &plain[7..]);
        let digits: String = plain.chars().filter(|c| *c != ':' && *c != ' ').collect();
        let mut bytes = [0; 32];
        match base16ct::mixed::decode(&digits, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Ok(Self(bytes)),
            _ => Err(bad()),
        }
    }

    /// The fingerprint of a certificate in DER form.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the HTTP client needs to trust as told.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, BadTrust> {
    let verifier = transport::verifier(Arc::new(policy(trust)?));
    Ok(transport::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn policy(trust: &Trust) -> Result<Policy, BadTrust> {
    Ok(match trust {
        Trust::Anyone => Policy::Anyone,
        Trust::Pinned(fingerprint) => Policy::Pinned(*fingerprint),
        Trust::System => match transport::system() {
            Ok(verifier) => Policy::Chain(verifier),
            Err(error) => Policy::Nobody(error.to_string()),
        },
        Trust::Authority(text) => Policy::Chain(authority(text)?),
    })
}

/// Trust in each certificate of a file; the first that can't be read is named.
fn authority(text: &str) -> Result<Arc<dyn ServerCertVerifier>, BadTrust> {
    let blocks = pem::parse_many(text).map_err(|_| BadTrust::NoCertificate)?;
    let certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    let certificates: Vec<_> = certificates.map(|block| CertificateDer::from(block.into_contents())).collect();
    if certificates.is_empty() {
        return Err(BadTrust::NoCertificate);
    }
    let broken = certificates.iter().position(|one| transport::authorities([one.clone()]).is_err());
    match (broken, transport::authorities(certificates)) {
        (None, Ok(verifier)) => Ok(verifier),
        (index, _) => Err(BadTrust::Certificate(index.unwrap_or_default() + 1)),
    }
}

/// Whom to trust, ready for use.
#[derive(Debug)]
enum Policy {
    Chain(Arc<dyn ServerCertVerifier>),
    Pinned(Fingerprint),
    Anyone,
    /// There is nothing to verify with; the text says why.
    Nobody(String),
}

/// Tells the fingerprint of what it refuses.
impl Judge for Policy {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let seen = Fingerprint::of(leaf);
        match self {
            Self::Anyone => Ok(()),
            Self::Pinned(pin) if *pin == seen => Ok(()),
            Self::Pinned(pin) => Err(refused(seen, format!("it is not the one that was pinned, {pin}"))),
            Self::Nobody(why) => Err(refused(seen, format!("there is nothing to check it against ({why})"))),
            Self::Chain(verifier) => verifier
                .verify_server_cert(leaf, intermediates, name, stapled, now)
                .map(drop)
                .map_err(|error| refused(seen, reason(&error, name))),
        }
    }
}

fn refused(fingerprint: Fingerprint, reason: String) -> rustls::Error {
    let untrusted = Untrusted { fingerprint, reason };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(untrusted))))
}

fn reason(error: &rustls::Error, name: &ServerName<'_>) -> String {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(error) = error else { return error.to_string() };
    match error {
        E::UnknownIssuer => "no authority that is trusted has signed it".into(),
        E::Expired | E::ExpiredContext { .. } => "it has expired".into(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet, or this machine's clock is wrong".into(),
        E::NotValidForName | E::NotValidForNameContext { .. } => format!("it is not for {}", name.to_str()),
        other => other.to_string(),
    }
}

/// The certificate that was refused, if that is what ended the connection.
pub(crate) fn untrusted(error: &rustls::Error) -> Option<&Untrusted> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "D4:A9:6E:44:38:57:30:B2:02:AE:ED:95:E8:EF:AA:72:5C:27:45:7C:19:4D:97:C3:33:71:7C:E2:44:36:29:76";

    #[test]
    fn a_fingerprint_is_read_in_every_usual_form() {
        let lower = PIN.to_ascii_lowercase();
        for text in [PIN, &lower, &PIN.replace(':', ""), &format!("SHA256:{PIN}"), &format!(" {PIN}\n")] {
            assert_eq!(Fingerprint::parse(text).unwrap().to_string(), PIN, "{text}");
        }
        for text in ["", "AA:BB", &format!("{PIN}:00"), &PIN.replace('D', "X"), &PIN[..PIN.len() - 1]] {
            assert!(Fingerprint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let config = |text: &str| config(&Trust::Authority(text.into())).err();

        assert_eq!(config(""), Some(BadTrust::NoCertificate));
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(config(key), Some(BadTrust::NoCertificate));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(config(broken), Some(BadTrust::Certificate(1)));
    }
}
