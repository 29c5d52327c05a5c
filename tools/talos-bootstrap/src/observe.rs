//! Asking control planes about etcd.

use std::sync::Arc;

use futures_util::future::join_all;
use patience::Attempt;
use record::{Failure, Node};
use talos_access::{Met, attempt, meet};
use talos_client::{Address, Error, Identity};

use crate::plan::{Etcd, Seen};

/// A control plane that has to be heard from.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) name: String,
    /// Where it is; `None` if it can't be asked any more.
    pub(crate) address: Option<Address>,
}

impl Voice {
    /// The control plane of this record: one with an error, or without a config, won't be heard from.
    pub(crate) fn of(node: &Node) -> Self {
        let can_be_asked = !node.has_error() && node.status().contains_key("applied");
        let address = node.address().filter(|_| can_be_asked).and_then(|address| address.parse().ok());
        Self { name: node.name().to_owned(), address }
    }
}

/// Asks all of them at once.
pub(crate) async fn observe(voices: &[Voice], identity: &Arc<Identity>) -> Result<Vec<Seen>, Failure> {
    let asked = voices.iter().map(|voice| async {
        let etcd = match &voice.address {
            Some(address) => etcd(address, identity).await?,
            None => Etcd::Never,
        };
        Ok(Seen { name: voice.name.clone(), etcd })
    });
    join_all(asked).await.into_iter().collect()
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
