//! Server certificates, and whom a server lets in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Face;
use crate::Talos;
use crate::config::{Authority, Config};
use crate::node::Api;
use crate::pki::{self, Identity, Names};
use crate::world::{Id, World};
use lab_core::tls::provider;

/// Server configurations that are still good, by node and face.
#[derive(Default)]
pub(crate) struct Certificates {
    made: Mutex<HashMap<(Id, Face), Made>>,
}

/// What a certificate was made for; another value asks for another certificate.
type Stamp = (u64, u64);

type Made = (Stamp, Arc<ServerConfig>);

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the node has no identity to show")]
    NoIdentity,
    #[error(transparent)]
    Pki(#[from] pki::Error),
    #[error(transparent)]
    Tls(#[from] Error),
    #[error(transparent)]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// How a server identifies itself.
enum Plan {
    /// In maintenance: the identity itself.
    Ready(Identity),
    /// Signed by an authority, for callers that the trusted ones vouch for.
    Signed { issuer: Authority, names: Names, trusted: Vec<String> },
}

impl Talos {
    /// The TLS configuration of one of a node's APIs, made when first needed.
    pub(super) fn server_config(&self, id: Id, face: Face) -> Result<Arc<ServerConfig>, Refused> {
        let stamp = self.read(|world| (world.nodes[id].generation, world.nodes[id].names));
        let mut made = self.certificates.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, config)) = made.get(&(id, face)).filter(|(of, _)| *of == stamp) {
            debug_assert_eq!(*of, stamp);
            return Ok(Arc::clone(config));
        }
        let plan = self.read(|world| plan(world, id, face))?;
        let config = Arc::new(build(plan, face)?);
        made.insert((id, face), (stamp, Arc::clone(&config)));
        Ok(config)
    }
}

fn plan(world: &World, id: Id, face: Face) -> Result<Plan, Refused> {
    let node = &world.nodes[id];
    if face == Face::Talos && node.api == Api::Maintenance {
        return Ok(Plan::Ready(node.maintenance_identity()?.clone()));
    }
    let config = node.config.as_ref().ok_or(Refused::NoIdentity)?;
    Ok(match face {
        Face::Talos => Plan::Signed {
            issuer: issuer(world, config).ok_or(Refused::NoIdentity)?,
            names: node.certificate_names(),
            trusted: std::iter::once(&config.authority.certificate).chain(&config.accepted).cloned().collect(),
        },
        Face::Kubernetes => Plan::Signed {
            issuer: config.kubernetes.clone(),
            names: kubernetes_names(world, id, config),
            trusted: vec![config.kubernetes.certificate.clone()],
        },
    })
}

/// The authority with its key: a worker has it signed by a control plane of its cluster.
fn issuer(world: &World, config: &Config) -> Option<Authority> {
    if !config.authority.key.is_empty() {
        return Some(config.authority.clone());
    }
    let others = world.nodes.iter().filter(|node| node.on && node.is_control_plane());
    let mut others = others.filter_map(|node| node.config.as_ref());
    others.find(|other| other.trust_key() == config.trust_key()).map(|other| other.authority.clone())
}

fn kubernetes_names(world: &World, id: Id, config: &Config) -> Names {
    let node = &world.nodes[id];
    let mut names = node.certificate_names();
    "kube-apiserver".clone_into(&mut names.common);
    names.addresses.extend(config.network.shared.iter().copied());
    names.addresses.push([10, 96, 0, 1].into());
    names.addresses.sort_unstable();
    names.addresses.dedup();
    let local = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    names.names = local.map(str::to_owned).to_vec();
    let endpoint = config.endpoint.parse::<http::Uri>().ok();
    let endpoint = endpoint.and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()));
    names.names.extend(endpoint);
    names.names.extend(config.server_names.iter().cloned());
    names.names.push(node.hostname().0);
    names
}

fn build(plan: Plan, face: Face) -> Result<ServerConfig, Refused> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = match plan {
        Plan::Ready(identity) => {
            let key = identity.key();
            builder.with_no_client_auth().with_single_cert(vec![identity.certificate], key)?
        }
        Plan::Signed { issuer, names, trusted } => {
            let identity = pki::machine(&issuer, &names)?;
            let key = identity.key();
            let verifier = verifier(&trusted, face, &provider)?;
            builder.with_client_cert_verifier(verifier).with_single_cert(vec![identity.certificate], key)?
        }
    };
    config.send_tls13_tickets = 0;
    config.alpn_protocols = match face {
        Face::Talos => vec![b"h2".to_vec()],
        Face::Kubernetes => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

fn verifier(
    trusted: &[String],
    face: Face,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Refused> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted.iter().flat_map(|text| pki::certificates(text)) {
        roots.add(certificate)?;
    }
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
    Ok(Arc::new(Gate { inner, face }))
}

/// Talos wants a client certificate with clientAuth as its only purpose; Kubernetes lets everybody in and decides later.
#[derive(Debug)]
struct Gate {
    inner: Arc<dyn ClientCertVerifier>,
    face: Face,
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.face == Face::Talos
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(leaf, intermediates, now);
        match (self.face, verified) {
            (Face::Kubernetes, _) => Ok(ClientCertVerified::assertion()),
            (Face::Talos, Ok(_)) if !is_for_clients_only(leaf) => Err(CertificateError::InvalidPurpose.into()),
            (Face::Talos, verified) => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_for_clients_only(leaf: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return false };
    let Ok(Some(usage)) = certificate.extended_key_usage() else { return false };
    let usage = usage.value;
    let others = usage.any || usage.server_auth || usage.code_signing || usage.email_protection;
    usage.client_auth && !others && !usage.time_stamping && !usage.ocsp_signing && usage.other.is_empty()
}

/// Organizations and common name of a certificate.
pub(super) fn subject(leaf: &CertificateDer<'_>) -> (Vec<String>, String) {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return Default::default() };
    let subject = certificate.subject();
    let organizations = subject.iter_organization().filter_map(|o| o.as_str().ok()).filter(|o| !o.is_empty());
    let organizations = organizations.map(str::to_owned).collect();
    let common = subject.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
    (organizations, common.to_owned())
}

/// Whether a client certificate is signed by an authority and good at the moment.
pub(super) fn is_signed_by(leaf: &CertificateDer<'_>, authority: &str) -> bool {
    let mut roots = RootCertStore::empty();
    for certificate in pki::certificates(authority) {
        if roots.add(certificate).is_err() {
            return false;
        }
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    verifier.is_ok_and(|verifier| verifier.verify_client_cert(leaf, &[], UnixTime::now()).is_ok())
}
