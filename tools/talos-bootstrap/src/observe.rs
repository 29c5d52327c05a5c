//! Asking control planes about etcd.

use std::sync::Arc;

use futures_util::future::join_all;
use patience::Attempt;
use record::{Exit, Failure, Node};
use talos_access::{Met, attempt, meet};
use talos_client::{Address, Error, Identity};

use crate::plan::{Etcd, Seen};

/// A control plane that has to be heard from.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) name: String,
    /// Where it is; `None` if it can't be asked any more.
    pub(crate) address: Option<Address>,
    /// Why it can't be asked, if no error in the stream explains that.
    pub(crate) unexplained: Option<Failure>,
}

impl Voice {
    /// The control plane of this record: one with an error, or without a config, won't be heard from. A config that is
    /// only planned is none.
    pub(crate) fn of(node: &Node) -> Self {
        let applied = node.status().get("applied");
        let can_be_asked = !node.has_error() && applied.is_some_and(|applied| applied.get("pending").is_none());
        let address = node.address().filter(|_| can_be_asked).and_then(|address| address.parse().ok());
        Self { name: node.name().to_owned(), address, unexplained: None }
    }

    /// A control plane that is listed but never came. `explained` says whether the stream carries an error about that.
    pub(crate) fn absent(name: &str, explained: bool) -> Self {
        let message = format!("{name} is listed but never came: it may have etcd data");
        let failure = Failure::new(Exit::Guard, "not-heard-from", message)
            .hint(format!("a control plane that is gone for good: --without {name} goes on without it"));
        Self { name: name.to_owned(), address: None, unexplained: (!explained).then_some(failure) }
    }
}

/// Asks all of them at once.
pub(crate) async fn observe(voices: &[Voice], identity: &Arc<Identity>) -> Vec<Seen> {
    let asked = voices.iter().map(|voice| async {
        let etcd = match &voice.address {
            Some(address) => etcd(address, identity).await.unwrap_or_else(|failure| Etcd::Refused(failure.into())),
            None => voice.unexplained.clone().map_or(Etcd::Never, |failure| Etcd::Refused(failure.into())),
        };
        Seen { name: voice.name.clone(), etcd }
    });
    join_all(asked).await
}

async fn etcd(address: &Address, identity: &Identity) -> Result<Etcd, Failure> {
    let node = match meet(address, Some(identity)).await {
        Attempt::Ready(Met::Ours(found)) => found.node,
        Attempt::Ready(Met::Maintenance(_)) => return Ok(Etcd::Unknown("it is in maintenance".to_owned())),
        Attempt::NotYet(status) => return Ok(Etcd::Unknown(status)),
        Attempt::Failed(failure) => return Err(failure),
    };
    match attempt(node.has_etcd_data().await) {
        Attempt::Ready(false) => Ok(Etcd::Empty),
        Attempt::Ready(true) => Ok(members(node.local_etcd_members().await)),
        Attempt::NotYet(status) => Ok(Etcd::Unknown(status)),
        Attempt::Failed(failure) => Err(failure),
    }
}

/// What the node's own member says. While etcd starts, the call fails in ways that have no code of their own.
fn members(told: Result<Vec<talos_client::Member>, Error>) -> Etcd {
    match told {
        Ok(members) if members.is_empty() => Etcd::Silent("it knows no members".to_owned()),
        Ok(members) => Etcd::Members(members.into_iter().map(|member| (member.id, member.hostname)).collect()),
        Err(error) => Etcd::Silent(error.chain()),
    }
}
