//! Destroying a VM of ours.

use pve_client::{Kind, answer::Config, request};
use record::Failure;
use step::{Hold, Stop};

use crate::{
    changes::VmOperation,
    creation::storages,
    error::Error,
    etcd::Permit,
    identity::Owner,
    inventory::whereabouts,
    leftovers,
    location::{Busy, Location, until_unlocked},
    preflight::Intent,
    reconcile::Reconcile,
    ties::Id,
};

impl VmOperation<'_> {
    /// Stops the VM and destroys it with its disks. Everything that can refuse that is asked first: a VM that stays is not
    /// switched off. `guard` is the node whose etcd is asked once more when it is off, and what it was allowed by; without
    /// an answer that allows the destruction, the VM is switched on again.
    pub(crate) async fn destroy(&self, guard: Option<(&Reconcile<'_>, &Permit<'_>)>, id: Id) -> Result<(), Stop> {
        let Some((location, config)) = self.found().await? else { return Ok(()) };
        let operation = VmOperation { location, ..*self };
        operation.destroy_here(&config, guard, id).await
    }

    /// The same, and takes the VM out of our rules of high availability, also if it left volumes: then it is gone all the
    /// same. `is_replaced` is whether another one takes its place in this run.
    pub(crate) async fn destroy_for_good(
        &self,
        guard: Option<(&Reconcile<'_>, &Permit<'_>)>,
        is_replaced: bool,
        id: Id,
    ) -> Result<(), Stop> {
        let destroyed = self.destroy(guard, id).await;
        if leftovers::is_gone(&destroyed) {
            self.leave_rules(is_replaced).await?;
        }
        destroyed
    }

    /// Where the VM is now, and its config: it may have been moved, or destroyed. Once more it is checked to be ours.
    async fn found(&self) -> Result<Option<(Location, Config)>, Stop> {
        let mut location = self.location.clone();
        let config = loop {
            match self.fleet.pve.ask(&request::pending(&location.host, location.vmid)).await {
                Err(error) if error.is_no_vm() => match whereabouts(&self.fleet.pve, location.vmid).await? {
                    None => return Ok(None),
                    Some(host) if host == location.host => return Err(error.into()),
                    Some(host) => location.host = host,
                },
                config => break config?,
            }
        };
        if self.fleet.identity.owner(&config, &self.machine.name) != Owner::Ours {
            let Location { vmid, host } = location;
            return Err(Error::Unmarked { vmid, host, node: self.machine.name.clone() }.into());
        }
        Ok(Some((location, config)))
    }

    async fn destroy_here(
        &self,
        config: &Config,
        guard: Option<(&Reconcile<'_>, &Permit<'_>)>,
        id: Id,
    ) -> Result<(), Stop> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        self.checked(config, &Intent::destruction()).await?;
        let drives = storages(config.values());
        let stopping = self.run.stopping();
        let _places = tokio::select! {
            places = self.fleet.turn_on(self.run, self.node, host, &drives, self.machine) => places?,
            () = stopping.cancelled() => return Err(Failure::interrupted().into()),
        };
        self.tell_rules().await?;
        let slot = self.run.slot(self.node).await?;
        let was_running = guard.is_some() && self.is_running().await?;
        self.switch_off().await?;
        if let Some((reconcile, permit)) = guard
            && let Err(stop) = self.fleet.etcd.confirm(reconcile, permit).await
        {
            if was_running {
                self.run.say(self.node, "etcd doesn't agree that it goes: it isn't destroyed, and switched on again");
                self.switch_on(Some(slot)).await?;
            }
            return Err(stop);
        }
        // After the VM nobody would know of it.
        self.seed().remove_for_good(config).await?;
        let destroy = request::destroy(host, vmid, id == Id::Free);
        let removed = self.persist(|| async {
            match self.fleet.pve.run(&destroy, self.run.wait_timeout()).await {
                // The reply of a success may have been lost.
                Err(error) if error.is_no_vm() => Ok(()),
                ended => ended,
            }
        });
        removed.await?;
        drop(slot);
        self.run.say(self.node, &format!("destroyed VM {vmid} on {host}"));
        Ok(leftovers::after(self.run, self.fleet, self.node, &self.location).await?)
    }

    /// Cuts the power, and waits until it is off: with high availability, the task only requests that.
    async fn switch_off(&self) -> Result<(), Stop> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        let stop = request::stop(host, vmid);
        loop {
            match self.fleet.pve.run(&stop, self.run.wait_timeout()).await {
                Ok(()) => break,
                Err(error) if error.is_no_vm() => return Ok(()),
                // One failed task is enough to know that.
                Err(error) if error.kind() == Some(Kind::Locked) => {
                    until_unlocked(self.fleet, self.run, self.node, &self.location, |_| false).await?;
                }
                Err(error) if error.is_transient() => {
                    self.persist(|| self.fleet.pve.run(&stop, self.run.wait_timeout())).await?;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.until_off().await
    }

    /// Waits until the VM doesn't run any more.
    pub(crate) async fn until_off(&self) -> Result<(), Stop> {
        let look = || async {
            let power = self.fleet.pve.ask(&request::power(&self.location.host, self.location.vmid)).await?;
            let state = power.ha.state.as_deref().filter(|_| power.ha.managed);
            match (power.is_running(), state) {
                (false, _) => Ok(()),
                (true, Some(state)) => Err(Hold::not_yet(format!("VM is still on (HA state {state})"))),
                (true, None) => Err(Hold::not_yet("VM is still on")),
            }
        };
        self.run.wait(self.node).until_or(look, |expired| self.location.still_busy(expired.last).into()).await
    }
}
