//! Moving a VM to the host that the file names, and its disks to their storages: only when the user asks for it.

use std::collections::BTreeSet;

use pve_client::{answer::Config, request};
use record::{Change, Failure};
use step::{Hold, Stop};

use crate::{
    apply::Progress,
    changes::VmOperation,
    error::Error,
    inventory::whereabouts,
    location::{Busy, Location},
    preflight::{Found, Intent, failure},
    reconcile::Allowed,
};

impl<'a> VmOperation<'a> {
    /// The host that the file names, if the VM is on another one and may be moved.
    pub(crate) fn target(&self, allowed: &Allowed) -> Option<&'a str> {
        let target = self.machine.host.as_deref().filter(|target| *target != self.location.host);
        target.filter(|_| allowed.migrate)
    }

    /// Refuses a move that the VM, its target or the token's rights forbid: nothing has been done then.
    pub(crate) async fn check_target(&self, target: &str, config: &Config) -> Result<(), Failure> {
        let node = || self.machine.name.clone();
        let refused = |reason: String| Error::Host { node: node(), host: target.to_owned(), reason, right: None };
        let Some(host) = self.fleet.inventory.hosts.iter().find(|host| host.name == target) else {
            let hosts: Vec<&str> = self.fleet.inventory.hosts.iter().map(|host| host.name.as_str()).collect();
            return Err(refused(format!("no such host; hosts: {}", hosts.join(", "))).into());
        };
        if let Some(obstacle) = &host.obstacle {
            return Err(refused(obstacle.clone()).into());
        }
        let vm = Found { vmid: self.location.vmid, config, power: None };
        let leaves = Intent { migrates: true, ..Intent::default() };
        let mut found = self.fleet.refusals(&self.location.host, &leaves, Some(vm)).await?;
        found.extend(self.fleet.refusals(target, &Intent::arrival(self.machine, target), None).await?);
        failure(found).map_or(Ok(()), Err)
    }

    /// Moves the VM; with high availability, the task only requests it, so the VM itself is looked for.
    pub(crate) async fn migrated(self, target: &str, progress: &mut Progress<'a>) -> Result<Self, Stop> {
        let Location { vmid, host } = self.location.clone();
        let config = self.config().await?;
        self.check_target(target, &config).await?;
        let slot = self.run.slot(self.node).await?;
        let is_running = self.is_running().await?;
        let (own, there) = (self.machine.storage(&host), self.machine.storage(target));
        let storage = there.filter(|_| own != there);
        self.run.say(self.node, &format!("moving VM {vmid} from {host} to {target}"));
        let request = request::migrate(&host, vmid, target, is_running, storage);
        let moved = self.fleet.pve.run(&request, self.run.wait_timeout()).await;
        if let Err(error) = moved.as_ref()
            && !error.is_transient()
            && whereabouts(&self.fleet.pve, vmid).await?.as_deref() != Some(target)
        {
            moved?;
        }
        drop(slot);
        let look = || async {
            match whereabouts(&self.fleet.pve, vmid).await? {
                Some(now) if now == target => Ok(()),
                Some(now) => Err(Hold::not_yet(format!("it is still on {now}"))),
                None => Err(Hold::not_yet("no host has it")),
            }
        };
        self.run.wait(self.node).until_or(look, |expired| self.location.still_busy(expired.last).into()).await?;
        self.run.say(self.node, &format!("moved VM {vmid} to {target}"));
        progress.changes.push(moved_to(&host, target));
        Ok(VmOperation { location: Location { vmid, host: target.to_owned() }, ..self })
    }

    /// Moves a disk to another storage, and removes the old volume.
    pub(crate) async fn move_disk(&self, slot: &str, from: &str, storage: &str) -> Result<(), pve_client::Error> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        self.run.say(self.node, &format!("moving {slot} of VM {vmid} from {from} to {storage}"));
        let request = request::move_disk(host, vmid, slot, storage, None);
        self.fleet.pve.run(&request, self.run.wait_timeout()).await
    }

    /// Places at both storages of a move.
    pub(crate) async fn places_of_move(&self, from: &str, storage: &str) -> Result<Vec<step::Slot>, Failure> {
        let storages: BTreeSet<String> = [from, storage].map(str::to_owned).into();
        self.fleet.turn_on(self.run, self.node, &self.location.host, &storages, self.machine).await
    }
}

/// The move of a VM as a change.
pub(crate) fn moved_to(host: &str, target: &str) -> Change {
    Change::live("host").from(host).to(target)
}
