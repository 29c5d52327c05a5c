//! Asking a node who it is: one probe, and what the result means to a tool that waits.

use record::{Code, Exit, Failure, Node};
use step::{Hold, Run, Stop};
use talos_client::{Address, Error, Identity, Limits, Maintenance, NotOurs, Ours, Probe, probe};

/// A node that was found.
#[derive(Debug)]
pub enum Answer {
    /// It has no configuration.
    Maintenance(Box<Maintenance>),
    /// It is configured, and belongs to our cluster.
    Ours(Box<Ours>),
}

impl Answer {
    /// The node, if it is configured.
    ///
    /// # Errors
    /// It is in maintenance mode: worth another look.
    pub fn configured(self) -> Result<Box<Ours>, Hold> {
        match self {
            Self::Ours(found) => Ok(found),
            Self::Maintenance(_) => Err(Hold::not_yet("it is in maintenance mode")),
        }
    }
}

/// Where the node's API is, by its record.
///
/// # Errors
/// No address is known, or it can't be used.
pub fn address(run: &Run, node: &Node) -> Result<Address, Stop> {
    let text = run.address(node)?;
    let address =
        text.parse::<Address>().map_err(|error| Failure::new(Exit::Unusable, Code::NoAddress, error.to_string()))?;
    Ok(address)
}

/// Looks once who is at `address`.
///
/// # Errors
/// If nothing responds, or a machine boots, another look is worth it; with another cluster's node it isn't.
pub async fn ask(address: &Address, identity: Option<&Identity>) -> Result<Answer, Hold> {
    match probe(address, identity, Limits::default()).await? {
        Probe::Maintenance(node) => Ok(Answer::Maintenance(node)),
        Probe::Ours(node) => Ok(Answer::Ours(node)),
        Probe::Absent(error) | Probe::Booting(error) | Probe::Hanging(error) => Err(Hold::in_spite_of(&error)),
        Probe::NotOurs(found) => Err(unknown(address, &found).into()),
    }
}

/// The same for a step that does nothing without the role `os:admin`: whatever was refused first, no other role helps.
#[must_use]
pub fn for_admins(hold: Hold) -> Hold {
    const ADMIN: &str = "`os:admin`";
    match hold {
        Hold::Failed(failure) if failure.hint.as_deref().is_some_and(|hint| hint.contains(ADMIN)) => {
            Hold::Failed(failure.hint(format!("use credentials with the role {ADMIN}")))
        }
        hold => hold,
    }
}

/// The failure for a node that isn't known to be ours.
fn unknown(address: &Address, found: &NotOurs) -> Failure {
    match found {
        NotOurs::OtherCluster(seen) => Error::Foreign { address: address.clone(), seen: *seen }.into(),
        NotOurs::NoCredentials(_) => {
            let message = format!("{address} is configured, but there are no credentials for it");
            Failure::new(Exit::NotAllowed, Code::NotAllowed, message)
                .hint("pass a file with credentials: --talosconfig")
        }
    }
}
