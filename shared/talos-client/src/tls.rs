//! The TLS side of a connection: what the node showed, and whether we continue.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rustls::{
    CertificateError, ClientConfig, SignatureScheme,
    client::{ResolvesClientCert, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use transport::Judge;

use crate::{Fingerprint, Identity};

/// What a certificate must be for the handshake to continue.
#[derive(Debug, Clone)]
pub(crate) enum Demand {
    /// Signed by the authority of our identity, for this address, valid now.
    OurAuthority,
    /// One of these, if any are given.
    Pinned(Vec<Fingerprint>),
    /// Anything: the caller only wants to know.
    Nothing,
}

/// How the node's certificate relates to the authority of our identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// We have no authority to compare it with.
    NoAuthority,
    /// Signed by our authority, for this address, valid now.
    Ours,
    /// Signed by our authority, but not for this address.
    OtherName,
    /// Signed by our authority, but not valid at our time.
    OtherTime,
    /// Not signed by our authority.
    Foreign,
}

/// Checks the node's certificate, records it, and continues if the demand is met.
#[derive(Debug)]
pub(crate) struct RecordingVerifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    demand: Demand,
    seen: Mutex<Option<(Fingerprint, Verdict)>>,
}

impl RecordingVerifier {
    /// The fingerprint and the verdict, once the node has shown its certificate.
    pub(crate) fn seen(&self) -> Option<(Fingerprint, Verdict)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn verdict(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Verdict {
        let Some(authority) = &self.authority else { return Verdict::NoAuthority };
        match authority.verify_server_cert(leaf, &[], name, &[], now) {
            Ok(_) => Verdict::Ours,
            Err(rustls::Error::InvalidCertificate(reason)) => of_reason(&reason),
            Err(_) => Verdict::Foreign,
        }
    }

    fn meets(&self, fingerprint: Fingerprint, verdict: &Verdict) -> bool {
        match &self.demand {
            Demand::OurAuthority => *verdict == Verdict::Ours,
            Demand::Pinned(pins) => pins.is_empty() || pins.contains(&fingerprint),
            Demand::Nothing => true,
        }
    }
}

/// webpki checks the signature before the time and the name, so these two mean a certificate signed by our authority.
fn of_reason(reason: &CertificateError) -> Verdict {
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Verdict::OtherName,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Verdict::OtherTime,
        _ => Verdict::Foreign,
    }
}

impl Judge for RecordingVerifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _stapled: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let fingerprint = Fingerprint::of(leaf).ok_or(CertificateError::BadEncoding)?;
        let verdict = self.verdict(leaf, name, now);
        let meets = self.meets(fingerprint, &verdict);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((fingerprint, verdict));
        if meets { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }
}

/// Sends our certificate when the node asks for one, and records that it asked.
///
/// A configured node asks and a node in maintenance mode doesn't, so one handshake distinguishes the two.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ClientCertificate {
    /// Whether the node asked for a client certificate.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    /// True also without a key: only then is [`resolve`](Self::resolve) asked at all.
    fn has_certs(&self) -> bool {
        true
    }
}

/// The configuration of one handshake, with its two observers.
pub(crate) struct Handshake {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) verifier: Arc<RecordingVerifier>,
    pub(crate) client_certificate: Arc<ClientCertificate>,
}

impl Handshake {
    /// Prepares a handshake as `identity`, if there is one, with a node whose certificate meets `demand`.
    pub(crate) fn new(identity: Option<&Identity>, demand: Demand) -> Result<Self, rustls::Error> {
        let authorities = identity.map(|identity| identity.authorities().iter().cloned());
        let authority = authorities.map(transport::authorities).transpose()?;
        let key = identity.map(|identity| certified_key(identity, &transport::provider())).transpose()?;
        let verifier = Arc::new(RecordingVerifier { authority, demand, seen: Mutex::new(None) });
        let client_certificate = Arc::new(ClientCertificate { key, asked: AtomicBool::new(false) });
        let mut config = transport::builder()
            .dangerous()
            .with_custom_certificate_verifier(transport::verifier(verifier.clone()))
            .with_client_cert_resolver(client_certificate.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config: Arc::new(config), verifier, client_certificate })
    }
}

fn certified_key(identity: &Identity, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, rustls::Error> {
    CertifiedKey::from_der(identity.chain(), identity.key(), provider).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};

    use super::*;

    struct Authority {
        params: CertificateParams,
        key: KeyPair,
    }

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self { params, key: KeyPair::generate_for(&PKCS_ED25519).expect("a key") }
        }

        fn pem(&self) -> String {
            self.params.self_signed(&self.key).expect("a certificate").pem()
        }

        fn leaf(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
            let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
            let issuer = Issuer::from_params(&self.params, &self.key);
            (params.signed_by(&key, &issuer).expect("a certificate").der().clone(), key)
        }

        fn identity(&self) -> Identity {
            let (certificate, key) = self.leaf(&CertificateParams::default());
            let chain = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.to_vec()));
            Identity::from_pem(&self.pem(), &chain, &key.serialize_pem()).expect("an identity")
        }
    }

    fn params(name: &str) -> CertificateParams {
        CertificateParams::new(vec![name.to_owned()]).expect("a name")
    }

    fn look(authority: &Authority, leaf: &CertificateDer<'_>, demand: Demand) -> (bool, Verdict) {
        let handshake = Handshake::new(Some(&authority.identity()), demand).expect("a configuration");
        let name = ServerName::try_from("10.0.0.11").expect("a name");
        let verified = handshake.verifier.judge(leaf, &[], &name, &[], UnixTime::now());
        (verified.is_ok(), handshake.verifier.seen().expect("seen").1)
    }

    #[test]
    fn a_certificate_of_our_authority_for_this_address_is_ours() {
        let authority = Authority::new();
        let (leaf, _) = authority.leaf(&params("10.0.0.11"));

        assert_eq!(look(&authority, &leaf, Demand::OurAuthority), (true, Verdict::Ours));
    }

    #[test]
    fn a_certificate_of_another_authority_is_foreign_and_only_refused_on_demand() {
        let (leaf, _) = Authority::new().leaf(&params("10.0.0.11"));

        assert_eq!(look(&Authority::new(), &leaf, Demand::OurAuthority), (false, Verdict::Foreign));
        assert_eq!(look(&Authority::new(), &leaf, Demand::Nothing), (true, Verdict::Foreign));
    }

    #[test]
    fn a_certificate_for_another_address_or_time_is_told_from_a_foreign_one() {
        let authority = Authority::new();
        let (elsewhere, _) = authority.leaf(&params("10.0.0.12"));
        let mut past = params("10.0.0.11");
        past.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let (expired, _) = authority.leaf(&past);

        assert_eq!(look(&authority, &elsewhere, Demand::OurAuthority), (false, Verdict::OtherName));
        assert_eq!(look(&authority, &expired, Demand::OurAuthority), (false, Verdict::OtherTime));
    }

    #[test]
    fn a_pinned_node_must_show_one_of_the_pinned_keys() {
        let authority = Authority::new();
        let (leaf, _) = authority.leaf(&params("10.0.0.11"));
        let (other, _) = authority.leaf(&params("10.0.0.11"));
        let right = Fingerprint::of(&leaf).expect("a certificate");
        let wrong = Fingerprint::of(&other).expect("a certificate");

        assert!(look(&authority, &leaf, Demand::Pinned(vec![wrong, right])).0);
        assert!(!look(&authority, &leaf, Demand::Pinned(vec![wrong])).0);
        assert!(look(&authority, &leaf, Demand::Pinned(Vec::new())).0);
    }
}
