//! TLS: the one cryptography provider, and whom to trust.

use std::fmt::Debug;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, WantsVerifier,
};

/// The one cryptography provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The beginning of a client's configuration: the provider, TLS 1.2 and 1.3.
pub fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
}

/// Verifies certificates that one of these authorities signed.
///
/// # Errors
/// No authority, or one that can't be read.
pub fn authorities(
    certificates: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    certificates.into_iter().try_for_each(|certificate| roots.add(certificate))?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

/// Verifies certificates as this system does.
///
/// # Errors
/// The system has no certificate authorities.
#[cfg(feature = "system")]
pub fn system() -> Result<Arc<dyn ServerCertVerifier>, Error> {
    Ok(Arc::new(rustls_platform_verifier::Verifier::new(provider())?))
}

/// Who decides about the certificate that a server shows.
pub trait Judge: Debug + Send + Sync {
    /// Accepts or refuses a certificate. Whether the server has its key is checked elsewhere.
    ///
    /// # Errors
    /// Why it is refused.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<(), Error>;
}

/// Verifies certificates with a judge, and that the server has the key of the certificate.
pub fn verifier<J: Judge + 'static>(judge: Arc<J>) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Judged { judge, provider: provider() })
}

#[derive(Debug)]
struct Judged<J> {
    judge: Arc<J>,
    provider: Arc<CryptoProvider>,
}

impl<J: Judge> ServerCertVerifier for Judged<J> {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.judge(leaf, intermediates, name, stapled, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_an_authority_signed_is_taken_and_nothing_else() {
        let (ours, other) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["a".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
        let name = ServerName::try_from("a").unwrap();
        let judged = |by: &CertifiedIssuer<'static, KeyPair>| {
            let verifier = authorities([by.der().clone()]).unwrap();
            verifier.verify_server_cert(leaf.der(), &[], &name, &[], UnixTime::now()).is_ok()
        };
        assert_eq!((judged(&ours), judged(&other)), (true, false));
        assert!(authorities([]).is_err());
        assert!(authorities([CertificateDer::from(vec![0])]).is_err());
    }
}
