//! Applying one config to one node: what is needed for it, and the current state of the node.

use std::sync::Arc;

use record::{Node, status};
use step::{Hold, Run, Stop};
use talos_access::{Answer, ask};
use talos_client::{Address, Fingerprint, Identity, Ours};

use crate::{
    error::Error,
    machine::{self, Match},
    plan::{self, Difference, Versions, Wanted},
};

/// One config and its node.
pub(crate) struct Delivery<'a> {
    pub(crate) run: &'a Run,
    pub(crate) node: &'a Node,
    pub(crate) address: Address,
    /// `None`: only a node in maintenance mode can be reached.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) pins: Vec<Fingerprint>,
    /// Whether a machine that no fingerprint is known of is refused.
    pub(crate) is_wary: bool,
    pub(crate) vm: Option<status::Vm>,
    pub(crate) wanted: Wanted,
    pub(crate) versions: Versions,
}

/// The state of a node that is known to be the right machine.
pub(crate) enum Observed {
    /// It has no config yet.
    Bare(Box<talos_client::Maintenance>),
    /// It runs the wanted config.
    Same,
    /// It runs another config; what differs.
    Differs(Box<Ours>, Vec<Difference>),
}

impl Delivery<'_> {
    /// Looks at the node once; refuses the wrong machine, role, cluster or version.
    pub(crate) async fn look(&self) -> Result<Observed, Hold> {
        match ask(&self.address, self.identity.as_deref()).await? {
            Answer::Maintenance(found) => self.bare(found).await,
            Answer::Ours(found) => self.configured(found).await,
        }
    }

    async fn bare(&self, found: Box<talos_client::Maintenance>) -> Result<Observed, Hold> {
        self.is_known(&found).await?;
        match found.status.stage {
            talos_client::Stage::Maintenance => Ok(Observed::Bare(found)),
            _ => Err(Hold::not_yet(format!("in stage {}", found.status))),
        }
    }

    /// Whether a node in maintenance mode is the one that the config is for; asked each time before it is sent.
    pub(crate) async fn is_known(&self, found: &talos_client::Maintenance) -> Result<(), Hold> {
        machine::by_fingerprint(&self.pins, found.fingerprint, self.is_wary)?;
        self.is_meant(&found.node, found.uuid.as_deref()).await
    }

    async fn configured(&self, found: Box<Ours>) -> Result<Observed, Hold> {
        self.is_meant(&found.node, found.uuid.as_deref()).await?;
        let inactive = || Hold::not_yet("its configuration is not active yet");
        let running = found.node.machine_config().await?.ok_or_else(inactive)?;
        // Whatever the node says about the change may quote either config.
        step::protect_keys(&running);
        let config = machine_config::load(&running).map_err(Error::Running)?;
        step::protect(machine_config::secret_values(&config));
        let talos = found.version.as_ref().map(|version| version.tag.as_str());
        plan::may_change(&self.wanted, &config, &self.versions, talos)?;
        if self.wanted.is_run_by(&running) {
            return Ok(Observed::Same);
        }
        Ok(Observed::Differs(found, plan::differences(&config, &self.wanted.config)))
    }

    /// Whether the node is the VM of its record.
    async fn is_meant(&self, node: &talos_client::Node, uuid: Option<&str>) -> Result<(), Hold> {
        match (machine::by_uuid(self.vm.as_ref(), uuid), &self.vm) {
            (Match::NotYet, _) => Err(Hold::not_yet("the node hasn't reported its UUID yet")),
            (Match::CompareNics, Some(vm)) => {
                let links = node.link_statuses().await?;
                Ok(machine::by_nics(vm, uuid.unwrap_or_default(), &links)?)
            }
            (Match::Same | Match::CompareNics, _) => Ok(()),
        }
    }

    /// Waits until the node has been seen.
    pub(crate) async fn until_seen(&self) -> Result<Observed, Stop> {
        self.run.wait(self.node).until(|| self.look()).await
    }

    /// The field that is written after this outcome.
    pub(crate) fn applied(&self, outcome: &str, verified: bool) -> status::Applied {
        let address = self.node.address().unwrap_or_default().to_owned();
        status::Applied { address, fingerprint: None, outcome: outcome.to_owned(), verified }
    }
}
