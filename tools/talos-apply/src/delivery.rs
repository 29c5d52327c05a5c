//! Applying one config to one node: what is needed for it, and the current state of the node.

use std::sync::{Arc, OnceLock};

use record::{Change, Effect, Node, status};
use step::{Hold, Run, Stop, Written};
use talos_access::{Answer, ask, for_admins};
use talos_client::{Address, Class, Fingerprint, Identity, Mode, Ours};

use crate::{
    change::Allowed,
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
    /// Whether it works without a stream.
    pub(crate) is_alone: bool,
    pub(crate) vm: Option<status::Vm>,
    pub(crate) wanted: Wanted,
    pub(crate) versions: Versions,
    pub(crate) allowed: Allowed,
    /// In a plan: the config names another machine, which a flag allows.
    pub(crate) other: OnceLock<()>,
}

/// The state of a node that is known to be the right machine.
pub(crate) enum Observed {
    /// It has no config yet.
    Bare(Box<talos_client::Maintenance>),
    /// It has the wanted config already: runs and keeps it, or keeps it if it is only to be staged.
    Same {
        /// The node.
        found: Box<Ours>,
        /// Whether it runs it already.
        runs: bool,
    },
    /// It has another config; what differs.
    Differs(Box<Ours>, Vec<Difference>),
}

impl Delivery<'_> {
    /// Looks at the node once; refuses the wrong machine, role, cluster or version.
    pub(crate) async fn look(&self) -> Result<Observed, Hold> {
        let look = async {
            match ask(&self.address, self.identity.as_deref()).await? {
                Answer::Maintenance(found) => self.bare(found).await,
                Answer::Ours(found) => self.configured(found).await,
            }
        };
        look.await.map_err(for_admins)
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
        let known = machine::by_fingerprint(&self.pins, found.fingerprint, self.is_wary);
        known.map_err(|error| self.fitting(error))?;
        self.is_meant(&found.node, found.uuid.as_deref()).await
    }

    async fn configured(&self, found: Box<Ours>) -> Result<Observed, Hold> {
        self.is_meant(&found.node, found.uuid.as_deref()).await?;
        let Some(running) = found.node.machine_config().await? else {
            return Err(Hold::NotYet(found.node.because("its configuration is not active yet").await));
        };
        let config = read(&running)?;
        let talos = found.version.as_ref().map(|version| version.tag.as_str());
        plan::is_known(self.allowed.mode, talos)?;
        plan::may_change(&self.wanted, &config, &self.versions, talos).map_err(|error| self.fitting(error))?;
        if self.is_alone {
            self.allow(machine::by_hostname(config.hostname(), self.wanted.config.hostname()))?;
        }
        let kept = found.node.kept_machine_config().await?;
        let (runs, keeps) = (self.wanted.is_run_by(&running), kept.as_deref().map(|kept| self.wanted.is_run_by(kept)));
        if plan::is_done(self.allowed.mode, runs, keeps) {
            // One that is kept, too, may be tried over another: then that one comes back.
            let stays = !runs || matches!(self.allowed.mode, Mode::Staged | Mode::Try(_));
            if stays {
                return Ok(Observed::Same { found, runs });
            }
            return match found.node.tries_machine_config().await {
                Ok(true) => Ok(Observed::Differs(found, vec![Difference::Reverted])),
                Err(error) if error.class() == Class::Retry => Err(error.into()),
                // A node without that log says nothing about it.
                Ok(false) | Err(_) => Ok(Observed::Same { found, runs }),
            };
        }
        let compared = match kept.filter(|_| runs || self.allowed.mode == Mode::Staged) {
            Some(kept) => read(&kept)?,
            None => config,
        };
        Ok(Observed::Differs(found, plan::differences(&compared, &self.wanted.config)))
    }

    /// Whether the node is the VM of its record; without one, whether it has the NICs that the config selects.
    async fn is_meant(&self, node: &talos_client::Node, uuid: Option<&str>) -> Result<(), Hold> {
        match (machine::by_uuid(self.vm.as_ref(), uuid), &self.vm) {
            (Match::NotYet, _) => Err(Hold::not_yet("the node hasn't reported its UUID yet")),
            (Match::CompareNics, Some(vm)) => {
                let links = node.link_statuses().await?;
                Ok(machine::by_nics(vm, uuid.unwrap_or_default(), &links)?)
            }
            (_, None) => {
                let selected = machine::selected_macs(&self.wanted.config);
                if selected.is_empty() || self.allowed.other_machine {
                    return Ok(());
                }
                let links = node.link_statuses().await?;
                if !links.iter().any(|link| link.physical) {
                    return Err(Hold::not_yet("the node hasn't reported its NICs yet"));
                }
                self.allow(machine::by_selectors(&selected, &links))
            }
            (Match::Same, Some(_)) => Ok(()),
        }
    }

    /// An error with the hint that fits: a pipe's helps nobody who works without a stream.
    pub(crate) fn fitting(&self, error: Error) -> Error {
        if self.is_alone { error.alone() } else { error }
    }

    /// Refuses a config that names another machine, unless that is allowed. In a plan, it is a change that names the flag.
    fn allow(&self, named: Result<(), Error>) -> Result<(), Hold> {
        match named {
            Err(error) if self.run.is_dry_run() && !self.allowed.other_machine => {
                if self.other.set(()).is_ok() {
                    self.run.say(self.node, &format!("needs --other-machine: {error}"));
                }
                Ok(())
            }
            Err(error) if !self.allowed.other_machine => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The changes of a plan, with the flag that they need if the config names another machine.
    pub(crate) fn needing(&self, changes: Vec<Change>) -> Vec<Change> {
        match self.other.get() {
            Some(()) => changes.into_iter().map(with_other_machine).collect(),
            None => changes,
        }
    }

    /// Waits until the node has been seen.
    pub(crate) async fn until_seen(&self) -> Result<Observed, Stop> {
        self.run.wait(self.node).until(|| self.look()).await
    }

    /// Says what the config asks for and the node doesn't run: only an upgrade installs another image.
    pub(crate) async fn warn_of_what_does_not_run(&self, found: &Ours) {
        let Some(image) = self.wanted.config.install_image() else { return };
        // Whether the node reports its schematic is no condition for anything.
        let schematic = found.node.schematic().await.ok().flatten();
        let talos = found.version.as_ref().map(|version| version.tag.as_str());
        for (what, runs, wanted) in plan::not_installed(image, talos, schematic.as_deref()) {
            let name = self.node.name();
            self.run.warn(&format!(
                "node {name} runs {what} {runs}, and its config asks for {wanted}: that takes an upgrade (`talosctl upgrade --image {image}`)"
            ));
        }
    }

    /// The record of a node that has its config already.
    pub(crate) fn unchanged(&self, runs: bool) -> Written {
        if !runs {
            self.run.say(self.node, "staged already: it takes effect with the next boot");
        }
        let outcome = if runs { "unchanged" } else { "staged" };
        Written::field(&self.applied(outcome, runs), Effect::Unchanged)
    }

    /// The field that is written after this outcome.
    pub(crate) fn applied(&self, outcome: &str, verified: bool) -> status::Applied {
        let address = self.node.address().unwrap_or_default().to_owned();
        let reverts = match self.allowed.mode {
            Mode::Try(time) if outcome == "tried" => Some(humantime::format_duration(time).to_string()),
            _ => None,
        };
        status::Applied { address, fingerprint: None, outcome: outcome.to_owned(), verified, reverts }
    }
}

/// A change that takes this flag, beside the one that it takes anyway.
fn with_other_machine(change: Change) -> Change {
    const FLAG: &str = "--other-machine";
    match change.needs.clone() {
        Some(other) => change.needs(&format!("{other} {FLAG}")),
        None => change.needs(FLAG),
    }
}

/// A config that a node has. Whatever the node says about a change may quote it.
fn read(text: &str) -> Result<machine_config::Config, Error> {
    step::protect_keys(text);
    let config = machine_config::load(text).map_err(Error::Running)?;
    step::protect(machine_config::secret_values(&config));
    Ok(config)
}
