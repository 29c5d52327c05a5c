//! The first contact: TCP and TLS, each within its limit.

use std::{io, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Address, Error, Fingerprint, Identity,
    error::{about_certificate, alert},
    tls::{Demand, Handshake, Verdict},
};

/// How long one attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For TCP and for TLS, each.
    pub dial: Duration,
    /// For one call, with all of its answer.
    pub call: Duration,
}

impl Default for Limits {
    /// 5 s to dial, 20 s for a call.
    fn default() -> Self {
        Self { dial: Duration::from_secs(5), call: Duration::from_secs(20) }
    }
}

/// Our identity for a node, and how the node must prove its own.
#[derive(Debug, Clone)]
pub enum Trust {
    /// For a node in maintenance mode, without credentials. It must show one of these fingerprints, if any are given.
    Maintenance(Vec<Fingerprint>),
    /// For a node of our cluster, with a client certificate. Its certificate must be signed by our authority.
    Cluster(Identity),
}

/// A connection with TLS, and what was seen while it was made.
pub(crate) struct Contact {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) verdict: Verdict,
    pub(crate) wants_certificate: bool,
}

impl Contact {
    /// Connects for calls under `trust`, and refuses a server that doesn't match it.
    pub(crate) async fn trusted(address: &Address, trust: &Trust, limits: Limits) -> Result<Self, Error> {
        match trust {
            Trust::Maintenance(pins) => {
                let contact = Self::make(address, None, Demand::Pinned(pins.clone()), limits).await?;
                if contact.wants_certificate {
                    return Err(Error::WantsCertificate { address: address.clone() });
                }
                Ok(contact)
            }
            Trust::Cluster(identity) => Self::make(address, Some(identity), Demand::OurAuthority, limits).await,
        }
    }

    /// Connects to any server, only to identify it. A client certificate is shown if the server requests one.
    pub(crate) async fn any(address: &Address, identity: Option<&Identity>, limits: Limits) -> Result<Self, Error> {
        Self::make(address, identity, Demand::Nothing, limits).await
    }

    async fn make(
        address: &Address,
        identity: Option<&Identity>,
        demand: Demand,
        limits: Limits,
    ) -> Result<Self, Error> {
        let handshake = Handshake::new(identity, demand.clone()).map_err(Error::Identity)?;
        let tcp = dial(address, limits.dial).await?;
        match shake_hands(address, &handshake, tcp, limits.dial).await? {
            Ok(stream) => Self::of(address, stream, &handshake),
            Err(error) => Err(broken(address, &demand, &handshake, error)),
        }
    }

    fn of(address: &Address, stream: TlsStream<TcpStream>, handshake: &Handshake) -> Result<Self, Error> {
        let (fingerprint, verdict) = handshake.verifier.seen().ok_or_else(|| unseen(address))?;
        Ok(Self { stream, fingerprint, verdict, wants_certificate: handshake.client_certificate.asked() })
    }
}

/// Without resumption every handshake shows a certificate, so this is a server that doesn't follow TLS.
fn unseen(address: &Address) -> Error {
    let source = Arc::new(io::Error::other("it showed no certificate"));
    Error::NotTalos { address: address.clone(), source }
}

async fn dial(address: &Address, limit: Duration) -> Result<TcpStream, Error> {
    let stream = timeout(limit, TcpStream::connect((address.host(), address.port())))
        .await
        .map_err(|_| Error::Silent { address: address.clone(), limit })?
        .map_err(|error| Error::of_dial(address, error))?;
    stream.set_nodelay(true).map_err(|error| Error::of_dial(address, error))?;
    Ok(stream)
}

async fn shake_hands(
    address: &Address,
    handshake: &Handshake,
    stream: TcpStream,
    limit: Duration,
) -> Result<io::Result<TlsStream<TcpStream>>, Error> {
    let call = "the TLS handshake";
    let name = address.server_name().ok_or_else(|| unseen(address))?;
    timeout(limit, TlsConnector::from(handshake.config.clone()).connect(name, stream))
        .await
        .map_err(|_| Error::Hanging { address: address.clone(), call, limit })
}

/// What a handshake that failed means: our refusal of its certificate, its refusal of ours, or the end of the line.
fn broken(address: &Address, demand: &Demand, handshake: &Handshake, error: io::Error) -> Error {
    if let Some(refusal) = refusal(address, demand, handshake) {
        return refusal;
    }
    let address = address.clone();
    match alert(&error) {
        Some(_) if handshake.client_certificate.asked() && matches!(demand, Demand::Pinned(_)) => {
            Error::WantsCertificate { address }
        }
        Some(alert) if about_certificate(alert) => Error::CertificateRefused { address, alert },
        Some(_) => Error::NotTalos { address, source: Arc::new(error) },
        None if error.kind() == io::ErrorKind::InvalidData => Error::NotTalos { address, source: Arc::new(error) },
        None => Error::Lost { address, call: "the TLS handshake", source: None },
    }
}

/// Our refusal of the certificate that was seen, if it was refused.
fn refusal(address: &Address, demand: &Demand, handshake: &Handshake) -> Option<Error> {
    let (seen, verdict) = handshake.verifier.seen()?;
    let address = address.clone();
    match (demand, verdict) {
        (Demand::Pinned(pins), _) if !pins.is_empty() && !pins.contains(&seen) => {
            Some(Error::OtherFingerprint { address, seen })
        }
        // In TLS 1.3 a server asks for a certificate before it shows its own, so this is known by now.
        (Demand::OurAuthority, Verdict::Foreign) if !handshake.client_certificate.asked() => {
            Some(Error::InMaintenance { address })
        }
        (Demand::OurAuthority, Verdict::Foreign) => Some(Error::Foreign { address, seen }),
        (Demand::OurAuthority, Verdict::OtherName) => Some(Error::OtherName { address }),
        (Demand::OurAuthority, Verdict::OtherTime) => Some(Error::OtherTime { address }),
        _ => None,
    }
}
