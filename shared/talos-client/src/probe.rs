//! What is at an address?

use futures_util::join;

use crate::{
    Address, Error, Fingerprint, Identity, Limits, MachineStatus, Node, SystemInformation, VersionInfo,
    contact::Contact, tls::Verdict,
};

/// What was found at an address.
#[derive(Debug)]
pub enum Probe {
    /// Nothing: connections are refused, or there is no answer or no route.
    Absent(Error),
    /// A machine whose API isn't up, or is stopping or changing its state at this moment.
    Booting(Error),
    /// Something that accepts connections and then doesn't respond.
    Hanging(Error),
    /// A node that waits for a configuration.
    Maintenance(Box<Maintenance>),
    /// A configured node of the cluster that our credentials are for.
    Ours(Box<Ours>),
    /// A configured node that isn't known to belong to our cluster.
    NotOurs(NotOurs),
}

/// Which maintenance server a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generation {
    /// Up to 1.12: only configurations, disks and resources; no version.
    Limited,
    /// From 1.13 on: the whole API with a reader's rights.
    Unified(VersionInfo),
}

/// A node in maintenance mode.
#[derive(Debug)]
pub struct Maintenance {
    /// Connected without credentials.
    pub node: Node,
    /// Of the certificate that it showed.
    pub fingerprint: Fingerprint,
    /// Which server it has.
    pub generation: Generation,
    /// What it is doing: `maintenance`, or still or again `booting`.
    pub status: MachineStatus,
    /// The SMBIOS UUID of the machine in lower case, if it is known yet.
    pub uuid: Option<String>,
}

/// A configured node of our cluster.
#[derive(Debug)]
pub struct Ours {
    /// Connected with our credentials.
    pub node: Node,
    /// Of the certificate that it showed.
    pub fingerprint: Fingerprint,
    /// What it is doing.
    pub status: MachineStatus,
    /// Which Talos it runs, if it reported that.
    pub version: Option<VersionInfo>,
    /// The SMBIOS UUID of the machine in lower case, if it is known yet.
    pub uuid: Option<String>,
}

/// A configured node that isn't known to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOurs {
    /// Its certificate is signed by another authority.
    OtherCluster(Fingerprint),
    /// We have no credentials to compare with.
    NoCredentials(Fingerprint),
}

/// Finds out what is at `address`, within the limits of a dial and a few calls.
///
/// One handshake distinguishes a node in maintenance mode, which asks for no client certificate, from a configured one,
/// and shows whether that one belongs to the cluster of `identity`.
///
/// # Errors
///
/// Anything else: a node of ours that doesn't accept our certificate or whose own isn't valid here or now, a server
/// that isn't Talos, a refused call.
pub async fn probe(address: &Address, identity: Option<&Identity>, limits: Limits) -> Result<Probe, Error> {
    let found = match Contact::any(address, identity, limits).await {
        Ok(contact) => meet(contact, address, limits).await,
        Err(error) => Err(error),
    };
    found.or_else(unanswered)
}

async fn meet(contact: Contact, address: &Address, limits: Limits) -> Result<Probe, Error> {
    let address_error = |make: fn(Address) -> Error| Err(make(address.clone()));
    // A node that has just taken its first config shows the certificate of its cluster for a moment while it is still
    // asking for none (seen on 1.13.9).
    if !contact.wants_certificate && matches!(contact.verdict, Verdict::Ours | Verdict::OtherName | Verdict::OtherTime)
    {
        return Ok(Probe::Booting(Error::Lost {
            address: address.clone(),
            call: "the end of maintenance mode",
            source: None,
        }));
    }
    if !contact.wants_certificate {
        let node = Node::over(contact, address, limits).await?;
        return maintenance(node).await;
    }
    match contact.verdict {
        Verdict::NoAuthority => Ok(Probe::NotOurs(NotOurs::NoCredentials(contact.fingerprint))),
        Verdict::Foreign => Ok(Probe::NotOurs(NotOurs::OtherCluster(contact.fingerprint))),
        Verdict::OtherName => address_error(|address| Error::OtherName { address }),
        Verdict::OtherTime => address_error(|address| Error::OtherTime { address }),
        Verdict::Ours => ours(Node::over(contact, address, limits).await?).await,
    }
}

/// The result for an error on the way to a node.
fn unanswered(error: Error) -> Result<Probe, Error> {
    match error {
        Error::Refused { .. } | Error::Unreachable { .. } | Error::Silent { .. } => Ok(Probe::Absent(error)),
        Error::Hanging { .. } => Ok(Probe::Hanging(error)),
        Error::Lost { .. } => Ok(Probe::Booting(error)),
        error => Err(error),
    }
}

type Answers = (Result<MachineStatus, Error>, Result<Option<SystemInformation>, Error>, Result<VersionInfo, Error>);

/// The calls that are made on every node, at once. Boxed: three calls under way are large, and the caller holds them.
async fn answers(node: &Node) -> Answers {
    Box::pin(async { join!(node.machine_status(), node.system_information(), node.version()) }).await
}

async fn maintenance(node: Node) -> Result<Probe, Error> {
    let (status, information, version) = answers(&node).await;
    let generation = match version {
        Ok(version) => Generation::Unified(version),
        Err(Error::NotOffered { .. }) => Generation::Limited,
        Err(error) => return Err(error),
    };
    Ok(Probe::Maintenance(Box::new(Maintenance {
        fingerprint: node.fingerprint(),
        generation,
        status: status?,
        uuid: information?.map(|information| information.uuid).filter(|uuid| !uuid.is_empty()),
        node,
    })))
}

async fn ours(node: Node) -> Result<Probe, Error> {
    let (status, information, version) = answers(&node).await;
    let version = match version {
        Ok(version) => Some(version),
        Err(Error::NotAuthorized { .. } | Error::NotOffered { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Probe::Ours(Box::new(Ours {
        fingerprint: node.fingerprint(),
        status: status?,
        version,
        uuid: information?.map(|information| information.uuid).filter(|uuid| !uuid.is_empty()),
        node,
    })))
}
