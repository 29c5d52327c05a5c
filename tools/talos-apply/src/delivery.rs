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
    next::{Next, minds_a_try, next},
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
    /// It has the wanted config already, as far as the mode asks for that.
    Same(Box<Ours>, Has),
    /// It has another config; what differs.
    Differs(Box<Ours>, Vec<Difference>),
}

/// What a node that has its config already does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// It runs it, and keeps it.
    Applied,
    /// It boots with it.
    Staged,
    /// It runs it, and goes back to another one.
    Tried,
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
        let compared = match kept.filter(|_| runs || self.allowed.mode == Mode::Staged) {
            Some(kept) => read(&kept)?,
            None => config,
        };
        // What is to be applied for good may end a try; nothing else may, for then nothing takes it back any more.
        let tries = if minds_a_try(self.allowed.mode, runs, keeps) { tries(&found.node).await? } else { None };
        match next(self.allowed.mode, runs, keeps, tries) {
            Next::Nothing(has) => Ok(Observed::Same(found, has)),
            Next::Wait(why) => Err(Hold::not_yet(why)),
            Next::Send if runs && tries == Some(true) => Ok(Observed::Differs(found, vec![Difference::Reverted])),
            Next::Send => Ok(Observed::Differs(found, plan::differences(&compared, &self.wanted.config))),
        }
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
    pub(crate) fn unchanged(&self, has: Has) -> Written {
        let (outcome, said) = match has {
            Has::Applied => ("unchanged", None),
            Has::Staged => ("staged", Some("staged already: it takes effect with the next boot")),
            Has::Tried => ("tried", Some(TRIED)),
        };
        said.iter().for_each(|said| self.run.say(self.node, said));
        // For how long it still runs the node doesn't say.
        let applied = status::Applied { reverts: None, ..self.applied(outcome, has == Has::Applied) };
        Written::field(&applied, Effect::Unchanged)
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

/// A try of what is tried already.
const TRIED: &str = "tried already, and not sent: the node reverts it after the time of the first try, or with its next boot; a second try would only make it stay";

/// Whether the node's running config is only tried; `None` if it has no log that says so.
async fn tries(node: &talos_client::Node) -> Result<Option<bool>, Hold> {
    match node.tries_machine_config().await {
        Ok(tries) => Ok(Some(tries)),
        Err(error) if error.class() == Class::Retry => Err(error.into()),
        Err(_) => Ok(None),
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
