//! Operations on an existing VM: changing it to match the spec, and starting it.

use std::time::Duration;

use patience::{Backoff, Deadline};
use pve_client::{Kind, answer::Config, request};
use record::{Failure, Node};
use step::{Hold, Run, Stop};

use crate::{
    addresses,
    difference::Difference,
    error::Error,
    fleet::Fleet,
    location::{Location, settled},
    machine::Machine,
};

/// Seconds that a guest gets to shut down before its power is cut.
const SHUTDOWN: u32 = 60;

/// Operations on a node's VM.
pub(crate) struct VmOperation<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) run: &'a Run,
    pub(crate) node: &'a Node,
    pub(crate) machine: &'a Machine,
    pub(crate) location: Location,
}

impl VmOperation<'_> {
    /// Refuses changes that the user didn't allow, and warns about those that are not made.
    pub(crate) fn guard(&self, difference: &Difference, running: bool, reboot: bool) -> Result<(), Failure> {
        self.warn_of_storage(difference);
        let (vmid, host) = (self.location.vmid, self.location.host.clone());
        if !difference.recreate.is_empty() {
            return Err(Error::NeedsRecreate { vmid, host, why: difference.recreate.join(", ") }.into());
        }
        if running && !reboot && !difference.reboot.is_empty() {
            return Err(Error::NeedsReboot { vmid, host, what: difference.texts().join(", ") }.into());
        }
        Ok(())
    }

    /// Warns that the disk is not on the storage that the file names, and stays there.
    pub(crate) fn warn_of_storage(&self, difference: &Difference) {
        if let Some(storage) = &difference.elsewhere {
            let (Location { vmid, host }, wanted) = (&self.location, &self.machine.storage);
            self.run.warn(&format!(
                "VM {vmid} has its disk on {storage}, the file says {wanted}: the disk is not moved (to move it, run `qm disk move {vmid} scsi0 {wanted}` on {host})"
            ));
        }
    }

    /// Makes the changes. If they need a power cycle, the VM is off afterwards.
    pub(crate) async fn apply(&self, config: Config, difference: Difference, running: bool) -> Result<(), Stop> {
        if difference.is_none() {
            return Ok(());
        }
        let _slot = self.run.slot(self.node).await?;
        let has_to_be_off = running && !difference.reboot.is_empty();
        self.configure(config, &difference).await?;
        if let Some(gib) = difference.grow {
            let request = request::resize(&self.location.host, self.location.vmid, "scsi0", gib);
            self.persist(|| self.fleet.pve.settle(&request, self.run.wait_timeout())).await?;
        }
        if has_to_be_off {
            self.run.say(self.node, &format!("shutting down VM {} for its changes", self.location.vmid));
            let request = request::shutdown(&self.location.host, self.location.vmid, SHUTDOWN);
            self.persist(|| self.fleet.pve.run(&request, self.run.wait_timeout())).await?;
            self.until_off().await?;
        }
        let texts = difference.texts();
        if !texts.is_empty() {
            self.run.say(self.node, &format!("changed VM {}: {}", self.location.vmid, texts.join(", ")));
        }
        Ok(())
    }

    /// Sends the changed parameters; the digest protects changes that somebody else makes meanwhile.
    async fn configure(&self, config: Config, difference: &Difference) -> Result<(), Stop> {
        let changes = difference.live.iter().chain(&difference.reboot);
        let (tags, others): (Vec<_>, Vec<_>) = changes.cloned().partition(|(key, _)| key == "tags");
        let mut config = Some(config);
        if !others.is_empty() {
            self.send(config.take(), others).await?;
        }
        if tags.is_empty() {
            return Ok(());
        }
        match self.send(config.take(), tags).await {
            // The mark in the description is enough; tags may be reserved for others.
            Err(error) if error.kind() == Some(Kind::Forbidden) => {
                let why = error.refusal().map(ToString::to_string).unwrap_or_default();
                self.run.warn(&format!("VM {}: its tags can't be set: {why}", self.location.vmid));
                Ok(())
            }
            sent => Ok(sent?),
        }
    }

    async fn send(&self, config: Option<Config>, parameters: Vec<(String, String)>) -> Result<(), pve_client::Error> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        let digest = config.as_ref().and_then(Config::digest);
        let request = request::set_config(host, vmid, digest, parameters.clone());
        match self.fleet.pve.settle(&request, self.run.wait_timeout()).await {
            // Somebody changed another parameter meanwhile: send ours without a digest.
            Err(error) if error.is_transient() => {
                let request = request::set_config(host, vmid, None, parameters);
                self.tried(|| self.fleet.pve.settle(&request, self.run.wait_timeout())).await
            }
            sent => sent,
        }
    }

    /// Starts the VM, unless it is running.
    pub(crate) async fn start(&self) -> Result<bool, Stop> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        let power = self.fleet.pve.ask(&request::power(host, vmid)).await?;
        if power.is_running() {
            return Ok(false);
        }
        let slot = self.run.slot(self.node).await?;
        let request = request::start(host, vmid);
        let started = self.tried(|| async {
            match self.fleet.pve.run(&request, self.run.wait_timeout()).await {
                Err(error) if error.kind() == Some(Kind::Running) => Ok(()),
                ended => ended,
            }
        });
        started.await?;
        drop(slot);
        self.until_running().await?;
        self.run.say(self.node, &format!("started VM {vmid} on {host}"));
        Ok(true)
    }

    /// With high availability, the task only requests the start.
    async fn until_running(&self) -> Result<(), Stop> {
        let look = || async {
            let power = self.fleet.pve.ask(&request::power(&self.location.host, self.location.vmid)).await?;
            if power.is_running() { Ok(()) } else { Err(Hold::not_yet(format!("VM is {}", power.status))) }
        };
        self.run.wait(self.node).until_or(look, |expired| self.location.still_busy(expired.last).into()).await
    }

    /// The addresses that the VM got from DHCP, as its guest agent reports them.
    pub(crate) async fn addresses(&self) -> Result<Vec<String>, Stop> {
        let look = || async {
            let _place = self.fleet.agent_slot(&self.location.host, self.machine).await;
            match self.fleet.pve.ask(&request::nics(&self.location.host, self.location.vmid)).await {
                Ok(nics) => match addresses::of(&nics, &self.machine.macs) {
                    none if none.is_empty() => Err(Hold::not_yet("its guest agent reports no address")),
                    found => Ok(found),
                },
                Err(error) if matches!(error.kind(), Some(Kind::NoAgent | Kind::Stopped)) => {
                    Err(Hold::in_spite_of(&error))
                }
                Err(error) => Err(error.into()),
            }
        };
        let pauses = Backoff::new(Duration::from_millis(100), Duration::from_secs(4)).seeded(&self.machine.name);
        let Location { vmid, host } = self.location.clone();
        self.run
            .wait(self.node)
            .paced(pauses)
            .until_or(look, |expired| Error::NoAddress { vmid, host, last: expired.last }.into())
            .await
    }

    /// The config, once the VM is unlocked.
    pub(crate) async fn config(&self) -> Result<Config, Stop> {
        settled(self.fleet, self.run, self.node, &self.location).await
    }

    /// Retries until it succeeds, fails for good, or times out.
    pub(crate) async fn persist<F>(&self, work: impl FnMut() -> F) -> Result<(), Stop>
    where
        F: Future<Output = Result<(), pve_client::Error>>,
    {
        Ok(self.tried(work).await?)
    }

    async fn tried<F>(&self, mut work: impl FnMut() -> F) -> Result<(), pve_client::Error>
    where
        F: Future<Output = Result<(), pve_client::Error>>,
    {
        let deadline = Deadline::within(self.run.wait_timeout());
        let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(15)).seeded(&self.machine.name);
        let stopping = self.run.stopping();
        loop {
            let now = tokio::time::Instant::now();
            match work().await {
                Err(error) if error.is_transient() && !deadline.passed(now) && !stopping.is_cancelled() => {
                    tokio::select! {
                        () = tokio::time::sleep(deadline.at_most(now, pauses.pause())) => {}
                        () = stopping.cancelled() => {}
                    }
                }
                ended => return ended,
            }
        }
    }
}
