//! Operations on an existing VM: switching it on and off, and its config.

use std::time::Duration;

use patience::{Backoff, Deadline};
use pve_access::{Finder, console::PORT, seed::Removal};
use pve_client::{Kind, answer::Config, request};
use record::Node;
use step::{Hold, Run, Slot, Stop};

use crate::{
    fleet::Fleet,
    location::{Busy, Location, settled},
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
    /// What finds the VM.
    pub(crate) fn finder(&self) -> Finder<'_> {
        let Fleet { pve, inventory, sources, .. } = self.fleet;
        let pool = self.fleet.pool_of(self.location.vmid).or(self.machine.pool.as_deref());
        let has_port = self.machine.setting(PORT.0) == Some(PORT.1);
        let (location, macs, rights) = (&self.location, &self.machine.macs, &inventory.rights);
        Finder { run: self.run, node: self.node, pve, location, macs, has_port, rights, pool, sources }
    }

    /// What removes the VM's seed.
    pub(crate) fn seed(&self) -> Removal<'_> {
        Removal { run: self.run, pve: &self.fleet.pve, location: &self.location, rights: &self.fleet.inventory.rights }
    }

    /// Whether the VM runs.
    pub(crate) async fn is_running(&self) -> Result<bool, pve_client::Error> {
        let power = self.fleet.pve.ask(&request::power(&self.location.host, self.location.vmid)).await;
        power.map(|power| power.is_running())
    }

    /// Starts a VM that is off.
    pub(crate) async fn switch_on(&self, held: Option<Slot>) -> Result<(), Stop> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        let slot = match held {
            Some(slot) => slot,
            None => self.run.slot(self.node).await?,
        };
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
        Ok(())
    }

    /// Shuts the guest down, and waits until the VM is off: with high availability, the task only requests it.
    pub(crate) async fn shut_down(&self) -> Result<(), Stop> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        self.run.say(self.node, &format!("shutting down VM {vmid} for its changes"));
        let request = request::shutdown(host, vmid, SHUTDOWN);
        self.persist(|| self.fleet.pve.run(&request, self.run.wait_timeout())).await?;
        let deadline = Deadline::within(self.run.wait_timeout());
        let mut pauses = Backoff::new(Duration::from_millis(100), Duration::from_secs(2)).seeded(&self.machine.name);
        while self.is_running().await? {
            let now = tokio::time::Instant::now();
            if deadline.passed(now) {
                return Err(self.location.still_busy("it was asked to shut down, and still runs".to_owned()).into());
            }
            tokio::time::sleep(deadline.at_most(now, pauses.pause())).await;
        }
        Ok(())
    }

    /// With high availability, the task only requests the start.
    async fn until_running(&self) -> Result<(), Stop> {
        let look = || async {
            let power = self.fleet.pve.ask(&request::power(&self.location.host, self.location.vmid)).await?;
            if power.is_running() { Ok(()) } else { Err(Hold::not_yet(format!("VM is {}", power.status))) }
        };
        self.run.wait(self.node).until_or(look, |expired| self.location.still_busy(expired.last).into()).await
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
