//! Asking the control planes about etcd.

use std::sync::Arc;

use futures_util::future::join_all;
use record::status::Applied;
use record::{Code, Exit, Failure, Node, chain};
use step::Hold;
use talos_access::{Answer, ask};
use talos_client::{Address, Error, Identity};

use crate::plan::{Etcd, Observation};

/// A control plane that must be asked.
#[derive(Debug, Clone)]
pub(crate) struct ControlPlane {
    pub(crate) name: String,
    /// Its address; `None` if it can't be asked any more.
    pub(crate) address: Option<Address>,
    /// Why it can't be asked, unless an error in the stream explains that.
    pub(crate) unexplained: Option<Failure>,
    /// Whether its config was only planned, so that it can't be asked yet.
    pub(crate) planned: bool,
}

impl ControlPlane {
    /// The control plane of this record. One with an error, or without an applied config (a planned one doesn't count),
    /// can't be asked.
    pub(crate) fn of(node: &Node) -> Self {
        let can_be_asked = !node.has_error() && node.has::<Applied>() && !node.is_planned::<Applied>();
        let address = node.address().filter(|_| can_be_asked).and_then(|address| address.parse().ok());
        let planned = !node.has_error() && node.is_planned::<Applied>();
        Self { name: node.name().to_owned(), address, unexplained: None, planned }
    }

    /// A control plane that is listed but missing from the input. `explained` if an error in the stream is about that.
    pub(crate) fn absent(name: &str, explained: bool) -> Self {
        let message = format!("{name} is listed but missing from the input: it may have etcd data");
        let failure = Failure::new(Exit::Guard, Code::NoAnswer, message)
            .hint(format!("if this control plane is gone for good, --without {name} continues without it"));
        Self { name: name.to_owned(), address: None, unexplained: (!explained).then_some(failure), planned: false }
    }

    /// Whether an error that is already in the stream is why it can't be asked.
    pub(crate) fn failed(&self) -> bool {
        self.address.is_none() && self.unexplained.is_none() && !self.planned
    }
}

/// Asks all of them at once.
pub(crate) async fn observe(control_planes: &[ControlPlane], identity: &Arc<Identity>) -> Vec<Observation> {
    let asked = control_planes.iter().map(|control_plane| async {
        let etcd = match &control_plane.address {
            Some(address) => etcd(address, identity).await.unwrap_or_else(|failure| Etcd::Refused(failure.into())),
            None => control_plane.unexplained.clone().map_or(Etcd::Never, |failure| Etcd::Refused(failure.into())),
        };
        Observation { name: control_plane.name.clone(), etcd }
    });
    join_all(asked).await
}

async fn etcd(address: &Address, identity: &Identity) -> Result<Etcd, Failure> {
    let looked = async {
        let Answer::Ours(found) = ask(address, Some(identity)).await? else {
            return Err(Hold::not_yet("it is in maintenance"));
        };
        match found.node.has_etcd_data().await? {
            true => Ok(members(found.node.local_etcd_members().await)),
            false => Ok(Etcd::Empty),
        }
    };
    match looked.await {
        Ok(etcd) => Ok(etcd),
        Err(Hold::NotYet(reason)) => Ok(Etcd::Unknown(reason)),
        Err(Hold::Failed(failure)) => Err(failure),
    }
}

/// What the node's own member reports. While etcd starts, the call fails with unspecific codes.
fn members(reported: Result<Vec<talos_client::Member>, Error>) -> Etcd {
    match reported {
        Ok(members) if members.is_empty() => Etcd::Silent("it reports no members".to_owned()),
        Ok(members) => Etcd::Members(members.into_iter().map(|member| (member.id, member.hostname)).collect()),
        Err(error) => Etcd::Silent(chain(&error)),
    }
}
