//! What a node's delivery needs to know, and looking at the node.

use std::sync::Arc;

use patience::Attempt;
use record::{Failure, Node, status};
use step::{Run, Stop};
use talos_access::{Met, attempt, meet};
use talos_client::{Address, Fingerprint, Identity, Ours};

use crate::{
    error::Error,
    machine::{self, Match},
    plan::{self, Versions, Wanted},
};

/// One config and the node that it is for.
pub(crate) struct Delivery<'a> {
    pub(crate) run: &'a Run,
    pub(crate) node: &'a Node,
    pub(crate) address: Address,
    /// `None` if the node may only be met in maintenance.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) pins: Vec<Fingerprint>,
    pub(crate) vm: Option<status::Vm>,
    pub(crate) wanted: Wanted,
    pub(crate) versions: Versions,
}

/// A node that is known to be the one.
pub(crate) enum Sight {
    /// It has no config yet.
    Bare(Box<talos_client::Maintenance>),
    /// It runs the wanted config.
    Same,
    /// It runs another config; what differs.
    Differs(Box<Ours>, Vec<String>),
}

impl Delivery<'_> {
    /// Looks at the node once, and refuses a machine, role, cluster or version that isn't the one.
    pub(crate) async fn look(&self) -> Attempt<Sight, Failure> {
        match meet(&self.address, self.identity.as_deref()).await {
            Attempt::Ready(Met::Maintenance(found)) => self.bare(found).await,
            Attempt::Ready(Met::Ours(found)) => self.configured(found).await,
            Attempt::NotYet(status) => Attempt::NotYet(status),
            Attempt::Failed(failure) => Attempt::Failed(failure),
        }
    }

    async fn bare(&self, found: Box<talos_client::Maintenance>) -> Attempt<Sight, Failure> {
        if let Err(error) = machine::by_fingerprint(&self.pins, found.fingerprint) {
            return Attempt::Failed(error.into());
        }
        match self.is_meant(&found.node, found.uuid.as_deref()).await {
            Attempt::Ready(()) if found.status.stage == talos_client::Stage::Maintenance => {
                Attempt::Ready(Sight::Bare(found))
            }
            Attempt::Ready(()) => Attempt::NotYet(format!("in stage {}", found.status)),
            Attempt::NotYet(status) => Attempt::NotYet(status),
            Attempt::Failed(failure) => Attempt::Failed(failure),
        }
    }

    async fn configured(&self, found: Box<Ours>) -> Attempt<Sight, Failure> {
        match self.is_meant(&found.node, found.uuid.as_deref()).await {
            Attempt::Ready(()) => {}
            Attempt::NotYet(status) => return Attempt::NotYet(status),
            Attempt::Failed(failure) => return Attempt::Failed(failure),
        }
        match attempt(found.node.machine_config().await) {
            Attempt::Ready(Some(running)) => self.compare(found, &running),
            Attempt::Ready(None) => Attempt::NotYet("its configuration is not active yet".to_owned()),
            Attempt::NotYet(status) => Attempt::NotYet(status),
            Attempt::Failed(failure) => Attempt::Failed(failure),
        }
    }

    fn compare(&self, found: Box<Ours>, running: &str) -> Attempt<Sight, Failure> {
        let compared = || -> Result<Sight, Error> {
            let config = machine_config::load(running).map_err(Error::Running)?;
            let talos = found.version.as_ref().map(|version| version.tag.as_str());
            plan::may_change(&self.wanted, &config, &self.versions, talos)?;
            if self.wanted.is_run_by(running) {
                return Ok(Sight::Same);
            }
            Ok(Sight::Differs(found, plan::differences(&config, &self.wanted.config)))
        };
        compared().map_or_else(|error| Attempt::Failed(error.into()), Attempt::Ready)
    }

    /// Whether it is the machine that the VM is.
    async fn is_meant(&self, node: &talos_client::Node, uuid: Option<&str>) -> Attempt<(), Failure> {
        match machine::by_uuid(self.vm.as_ref(), uuid) {
            Match::Same => Attempt::Ready(()),
            Match::NotYet => Attempt::NotYet("the machine doesn't say yet who it is".to_owned()),
            Match::AskCards => match attempt(node.link_statuses().await) {
                Attempt::Ready(links) => self.by_cards(uuid.unwrap_or_default(), &links),
                Attempt::NotYet(status) => Attempt::NotYet(status),
                Attempt::Failed(failure) => Attempt::Failed(failure),
            },
        }
    }

    fn by_cards(&self, uuid: &str, links: &[talos_client::Link]) -> Attempt<(), Failure> {
        let compared = self.vm.as_ref().map_or(Ok(()), |vm| machine::by_cards(vm, uuid, links));
        compared.map_or_else(|error| Attempt::Failed(error.into()), Attempt::Ready)
    }

    /// Waits until the node has been seen.
    pub(crate) async fn until_seen(&self) -> Result<Sight, Stop> {
        talos_access::until(self.run, self.node, || self.look()).await
    }

    /// What the record says after this outcome.
    pub(crate) fn applied(&self, outcome: &str, verified: bool) -> status::Applied {
        let address = self.node.address().unwrap_or_default().to_owned();
        status::Applied { address, fingerprint: None, outcome: outcome.to_owned(), verified }
    }
}
