//! Making a VM what the spec says: one step at a time, each after a fresh look.
//!
//! Every call may have been carried out although its reply was lost, and every value that was sent may still wait for a
//! power cycle. So nothing is repeated from memory: after each step the VM is looked at again, and what differs then is
//! what is left to do. What the VM takes only while it is off is sent while it is off; if that fails, the VM is switched
//! on again before the failure is told.

use std::{collections::BTreeSet, time::Duration};

use patience::{Backoff, Deadline};
use pve_client::{answer::Config, request};
use record::{Change, Failure};
use rolling::quorum::Away;
use step::{Slot, Stop};
use tokio::time::Instant;

use crate::{
    changes::VmOperation,
    difference::{Act, Difference, Item, NOTES, Sight},
    error::Error,
    etcd::Permit,
    location::Busy,
    preflight::Intent,
    reconcile::{Allowed, Reconcile},
};

mod sending;

/// How far the work on a VM has come.
#[derive(Default)]
pub(crate) struct Progress<'a> {
    /// What was sent and taken, by [`Item::mark`].
    sent: BTreeSet<String>,
    /// What was changed.
    pub(crate) changes: Vec<Change>,
    /// Whether the VM was created in this run.
    pub(crate) is_new: bool,
    /// Whether the VM was switched off for its changes.
    is_stopped: bool,
    /// The config that it ran with before them.
    before: Option<Config>,
    /// The place to work at: kept from the first change until the VM runs again.
    pub(crate) slot: Option<Slot>,
    /// Whether the notes leave out a disk that is being given up.
    notes_are_behind: bool,
    /// Whether disks are moved to the storages that the file has them on.
    migrate: bool,
    /// The right to switch off a control plane: kept until it runs again.
    pub(crate) permit: Option<Permit<'a>>,
}

impl Progress<'_> {
    /// That at the beginning.
    pub(crate) fn new(allowed: &Allowed) -> Self {
        Self { migrate: allowed.migrate, ..Self::default() }
    }

    /// That on a VM that takes the place of one that was destroyed, after these changes.
    pub(crate) fn of_new(changes: Vec<Change>) -> Self {
        Self { changes, ..Self::default() }
    }

    /// Whether the VM was switched off for its changes.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The config that it ran with before its changes.
    pub(crate) fn before(&self) -> Option<&Config> {
        self.before.as_ref()
    }

    /// What was sent and taken.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &str> {
        self.sent.iter().map(String::as_str)
    }
}

/// What came of one step.
enum Step {
    /// There may be more to do.
    More,
    Done,
}

impl<'a> VmOperation<'a> {
    /// What differs, by the config and the power that were just seen.
    pub(crate) fn difference(&self, config: &Config, is_running: bool, progress: &Progress<'_>) -> Difference {
        let pool = self.fleet.pool_of(self.location.vmid);
        let Progress { sent, migrate, .. } = progress;
        let sight = Sight { location: &self.location, config, is_running, pool, sent, migrates: *migrate };
        Difference::between(self.machine, sight)
    }

    /// Why something can't be put right, whatever the user allows.
    pub(crate) fn hopeless(&self, difference: &Difference) -> Option<Failure> {
        let (vmid, host, node) = (self.location.vmid, self.location.host.clone(), self.machine.name.clone());
        if let Some(key) = difference.refused() {
            return Some(Error::RootOnly { node, key: key.to_owned() }.into());
        }
        let (slot, why) = difference.moved()?;
        Some(Error::Moved { vmid, host, slot: slot.to_owned(), why: why.to_owned() }.into())
    }

    /// Refuses changes that the user didn't allow, and those that nobody can make.
    pub(crate) fn guard(&self, difference: &Difference, running: bool, allowed: &Allowed) -> Result<(), Failure> {
        let (vmid, host, node) = (self.location.vmid, self.location.host.clone(), self.machine.name.clone());
        if let Some(failure) = self.hopeless(difference) {
            return Err(failure);
        }
        let recreate = difference.recreate();
        if !recreate.is_empty() {
            let why = recreate.join(", ");
            if !allowed.recreate {
                return Err(Error::NeedsRecreate { vmid, host, why }.into());
            }
            let lost = difference.lost().filter(|slot| !allowed.names(&node, slot));
            let disks: Vec<String> = lost.map(str::to_owned).collect();
            return if disks.is_empty() {
                Ok(())
            } else {
                Err(Error::NeedsDisks { vmid, host, node, why, disks }.into())
            };
        }
        if let Some((slot, why)) = difference.replaced().find(|(slot, _)| !allowed.names(&node, slot)) {
            let (slot, why) = (slot.to_owned(), why.to_owned());
            return Err(Error::NeedsDisk { vmid, host, node, slot, why }.into());
        }
        if running && !allowed.reboot && difference.needs_power_cycle() {
            return Err(Error::NeedsReboot { vmid, host, what: difference.texts().join(", ") }.into());
        }
        Ok(())
    }

    /// Warns of what differs and stays so.
    pub(crate) fn tell(&self, difference: &Difference) {
        difference.told.iter().for_each(|told| self.run.warn(told));
    }

    /// Makes the changes, until nothing differs or something must be recreated. If they needed a power cycle, the VM is
    /// off afterwards.
    pub(crate) async fn apply(
        &self,
        reconcile: &Reconcile<'a>,
        allowed: &Allowed,
        progress: &mut Progress<'a>,
    ) -> Result<Option<Difference>, Stop> {
        let deadline = Deadline::within(self.run.wait_timeout());
        let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(15)).seeded(&self.machine.name);
        loop {
            let step = self.look_and_act(reconcile, allowed, progress).await;
            let failure = match step {
                Ok((Step::More, _)) => continue,
                Ok((Step::Done, difference)) => return Ok(difference),
                Err(Failed::Later(failure)) => failure,
                Err(Failed::Now(stop)) => return Err(self.switched_on_again(progress, stop).await),
            };
            let now = Instant::now();
            if deadline.passed(now) || self.run.stopping().is_cancelled() {
                return Err(self.switched_on_again(progress, failure.into()).await);
            }
            tokio::time::sleep(deadline.at_most(now, pauses.pause())).await;
        }
    }

    /// A VM that was switched off for changes that fail then is not left off.
    async fn switched_on_again(&self, progress: &mut Progress<'a>, stop: Stop) -> Stop {
        if progress.is_stopped
            && let Err(Stop::Failed(failure)) = self.start_changed(progress).await
        {
            let (vmid, host) = (self.location.vmid, &self.location.host);
            self.run.warn(&format!(
                "VM {vmid} on {host} was switched off for its changes and can't be started again: {failure}"
            ));
        }
        stop
    }

    async fn look_and_act(
        &self,
        reconcile: &Reconcile<'a>,
        allowed: &Allowed,
        progress: &mut Progress<'a>,
    ) -> Result<(Step, Option<Difference>), Failed> {
        // Between switching it off and on there is no safe point to stop at, so nothing waits there.
        let config = match progress.is_stopped {
            true => self.fleet.pve.ask(&request::pending(&self.location.host, self.location.vmid)).await?,
            false => self.config().await.map_err(Failed::Now)?,
        };
        let is_running = !progress.is_new && self.is_running().await?;
        let difference = self.difference(&config, is_running, progress);
        if difference.is_none() {
            self.tell(&difference);
            return Ok((Step::Done, None));
        }
        self.guard(&difference, is_running, allowed).map_err(|failure| Failed::Now(failure.into()))?;
        if !difference.recreate().is_empty() {
            return Ok((Step::Done, Some(difference)));
        }
        if progress.slot.is_none() && !progress.is_new {
            let intent = Intent::change(self.machine, &difference, is_running);
            self.checked(&config, &intent).await.map_err(Failed::Now)?;
            self.address_is_free(&difference).await.map_err(|failure| Failed::Now(failure.into()))?;
            if is_running {
                self.rehearse(&difference).await?;
            }
        }
        if is_running && difference.needs_power_cycle() && progress.permit.is_none() {
            // Who waits for the permit holds no slot, which its holder may need.
            progress.slot = None;
            progress.permit = Some(self.fleet.etcd.pass(reconcile, Away::ForAWhile).await.map_err(Failed::Now)?);
        }
        if progress.slot.is_none() {
            progress.slot = Some(self.run.slot(self.node).await.map_err(Failed::Now)?);
        }
        if is_running && progress.before.is_none() {
            progress.before = Some(config.clone());
        }
        let step = self.act(&config, &difference, is_running, progress).await?;
        if matches!(step, Step::Done) {
            self.tell(&difference);
        }
        Ok((step, None))
    }

    /// Sends what can be sent now: an allocation alone, else everything that the VM takes or keeps for its next start, and
    /// then switches it off if something waits for that. A VM that is off takes everything.
    async fn act(
        &self,
        config: &Config,
        difference: &Difference,
        is_running: bool,
        progress: &mut Progress<'a>,
    ) -> Result<Step, Failed> {
        // Volumes that are freed give their names to new ones, so what the notes know is true before one is made.
        if let Some(notes) = difference.items.iter().find(|item| item.key == NOTES)
            && difference.items.iter().any(Item::makes_a_volume)
            && !progress.notes_are_behind
        {
            self.send(config.digest(), &[notes]).await?;
            self.note(&[notes], is_running, progress);
            return Ok(Step::More);
        }
        // A disk in place of another comes last: the other one is told from those that may be the missing ones.
        let made = difference.items.iter().find(|item| matches!(item.act, Act::Allocate(_) | Act::Beside(..)));
        let replaced = difference.items.iter().find(|item| matches!(item.act, Act::Replace(..)) && !is_running);
        if let Some(item) = made.or(replaced) {
            match item.forgetting(config) {
                Some(notes) => {
                    progress.notes_are_behind = true;
                    self.send(config.digest(), &[&notes]).await?;
                }
                None => self.allocate(config, item, is_running, progress).await?,
            }
            return Ok(Step::More);
        }
        if let Some((item, from, storage)) = difference.first_move(is_running) {
            self.nothing_at_work().await?;
            let _places = self.places_of_move(from, storage).await.map_err(|failure| Failed::Now(failure.into()))?;
            self.move_disk(&item.key, from, storage).await?;
            self.note(&[item], is_running, progress);
            return Ok(Step::More);
        }
        let is_due = |item: &&Item| match item.act {
            Act::Set(_) | Act::Revert => true,
            Act::SetOff(_) => !is_running,
            _ => false,
        };
        let due: Vec<&Item> = difference.items.iter().filter(is_due).collect();
        if !due.is_empty() {
            self.send_due(config.digest(), due, is_running, progress).await?;
        }
        for item in &difference.items {
            if let Act::Grow(size) = item.act {
                let size = crate::sizes::written(size);
                let request = request::grow(&self.location.host, self.location.vmid, &item.key, &size);
                self.fleet.pve.settle(&request, self.run.wait_timeout()).await?;
                self.note(&[item], is_running, progress);
            }
        }
        if is_running && difference.needs_power_cycle() {
            let cycled: Vec<&Item> = difference.items.iter().filter(|item| item.act == Act::Cycle).collect();
            self.note(&cycled, is_running, progress);
            self.shut_down().await.map_err(Failed::Now)?;
            progress.is_stopped = true;
        }
        Ok(if is_running { Step::More } else { Step::Done })
    }

    /// Makes a disk. A call whose reply was lost may still be at work on it, so its end is waited for first.
    async fn allocate(
        &self,
        config: &Config,
        item: &Item,
        is_running: bool,
        progress: &mut Progress<'a>,
    ) -> Result<(), Failed> {
        self.nothing_at_work().await?;
        self.send(config.digest(), &[item]).await?;
        self.note(&[item], is_running, progress);
        Ok(())
    }

    /// Fails while a task is at work on the VM.
    async fn nothing_at_work(&self) -> Result<(), Failed> {
        let tasks = self.fleet.pve.ask(&request::at_work(&self.location.host, self.location.vmid)).await?;
        match tasks.iter().find(|task| task.is_at_work()) {
            Some(task) => {
                let last = format!("a task ({}) is at work on it", task.kind);
                Err(Failed::Later(self.location.still_busy(last).into()))
            }
            None => Ok(()),
        }
    }

    /// Notes and says what was changed.
    fn note(&self, items: &[&Item], is_running: bool, progress: &mut Progress<'a>) {
        progress.sent.extend(items.iter().filter_map(|item| item.mark()));
        // The notes of a new VM are part of its creation.
        let told = items.iter().filter(|item| !(progress.is_new && item.key == NOTES));
        let done = Difference { items: told.map(|item| (*item).clone()).collect(), told: Vec::new() };
        let texts: Vec<String> = done.texts();
        if !texts.is_empty() {
            self.run.say(self.node, &format!("changed VM {}: {}", self.location.vmid, texts.join(", ")));
        }
        for (change, item) in done.costs(is_running).into_iter().zip(&done.items) {
            // What only waits for the power cycle was noted when it was sent.
            let is_known =
                |known: &Change| known.what == change.what && (known.to == change.to || item.act == Act::Cycle);
            if !progress.changes.iter().any(is_known) {
                progress.changes.push(change);
            }
        }
    }
}

/// Why a step didn't succeed.
enum Failed {
    /// It may succeed after another look.
    Later(Failure),
    Now(Stop),
}

impl From<pve_client::Error> for Failed {
    fn from(error: pve_client::Error) -> Self {
        if error.is_transient() { Self::Later(error.into()) } else { Self::Now(error.into()) }
    }
}
