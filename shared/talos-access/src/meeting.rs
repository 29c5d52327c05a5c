//! Meeting a node: one probe, and what it means to a tool that waits.

use patience::Attempt;
use record::{Exit, Failure, Node};
use step::{Run, Stop};
use talos_client::{Address, Class, Error, Identity, Limits, Maintenance, Ours, Probe, Stranger, probe};

use crate::failure;

/// A node that answered.
#[derive(Debug)]
pub enum Met {
    /// One without configuration.
    Maintenance(Box<Maintenance>),
    /// A configured one of our cluster.
    Ours(Box<Ours>),
}

/// Where the node's API is, by its record.
///
/// # Errors
/// No address is known, or it is none.
pub fn address(run: &Run, node: &Node) -> Result<Address, Stop> {
    let text = run.address(node)?;
    let address =
        text.parse::<Address>().map_err(|error| Failure::new(Exit::Unusable, "address", error.to_string()))?;
    Ok(address)
}

/// Looks once who is at `address`. Nobody, or one who boots, is worth another look; another cluster's node isn't.
pub async fn meet(address: &Address, identity: Option<&Identity>) -> Attempt<Met, Failure> {
    match probe(address, identity, Limits::default()).await {
        Ok(Probe::Maintenance(node)) => Attempt::Ready(Met::Maintenance(node)),
        Ok(Probe::Ours(node)) => Attempt::Ready(Met::Ours(node)),
        Ok(Probe::Absent(error) | Probe::Booting(error) | Probe::Hanging(error)) => Attempt::NotYet(error.chain()),
        Ok(Probe::SomeoneElses(stranger)) => Attempt::Failed(strange(address, &stranger)),
        Err(error) if error.class() == Class::Retry => Attempt::NotYet(error.chain()),
        Err(error) => Attempt::Failed(failure(&error)),
    }
}

fn strange(address: &Address, stranger: &Stranger) -> Failure {
    let address = address.clone();
    match stranger {
        Stranger::OtherCluster(seen) => failure(&Error::Foreign { address, seen: *seen }),
        Stranger::NoCredentials(_) => {
            let message = format!("{address} is configured, and there are no credentials to talk to it");
            Failure::new(Exit::NotAllowed, "not-allowed", message).hint("--talosconfig names a file with credentials")
        }
    }
}
