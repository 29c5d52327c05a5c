//! Whose VMs a run is about, and what there is of them.

use std::sync::atomic::{AtomicBool, Ordering};

use pve_client::{Client, answer::AtWork, request};
use record::{Code, Failure};
use step::{Hold, Run, Step, Stop};

use super::PveVm;
use crate::{
    args::Verb,
    fleet::distinct,
    identity::Identity,
    inventory::{Inventory, Known, Namesakes, Wanted},
    naming::Naming,
};

impl PveVm {
    pub(super) async fn inventory(
        &self,
        run: &Run,
        pve: &Client,
        identity: &Identity,
        is_new: bool,
    ) -> Result<Inventory, Failure> {
        let roster = run.cluster().roster().cloned().unwrap_or_default();
        distinct(identity, &roster)?;
        let spec = run.cluster().typed_spec()?;
        let lock = run.dir()?.lock()?;
        let tried = lock.as_deref().into_iter().flat_map(record::Lock::trials).map(str::to_owned).collect();
        let wanted = Wanted {
            identity,
            roster: &roster,
            pool: spec.proxmox.as_ref().and_then(|proxmox| proxmox.pool.as_deref()),
            creates: !matches!(self.verb, Verb::List | Verb::Adopt | Verb::Doctor),
            is_new,
            orphans: self.adds() && run.is_first(),
            tried: &tried,
        };
        Inventory::read(pve, wanted).await
    }

    /// The inventory, once no VM is being created that may be a node's: an earlier run may have been killed a moment ago,
    /// and until its creation has ended a VM doesn't show whose it is.
    pub(super) async fn settled_inventory(
        &self,
        run: &Run,
        pve: &Client,
        identity: &Identity,
        is_new: bool,
    ) -> Result<Inventory, Stop> {
        // A creation may end between the look at a VM and the one at its tasks: then all is looked at once more.
        let again = AtomicBool::new(true);
        let look = || async {
            let read = self.inventory(run, pve, identity, is_new).await;
            let Ok(inventory) = &read else { return Ok(read) };
            let roster = run.cluster().roster().cloned().unwrap_or_default();
            for Known { vmid, host, .. } in inventory.nascent(identity, &roster) {
                let tasks = pve.ask(&request::at_work(host, *vmid)).await?;
                if tasks.iter().any(AtWork::is_at_work) {
                    return Err(Hold::not_yet(format!("VM {vmid} on {host} is being created, and may be a node's")));
                }
            }
            let is_sure = inventory.nascent(identity, &roster).is_empty();
            match !is_sure && again.swap(false, Ordering::Relaxed) {
                true => Err(Hold::not_yet("a VM was just created")),
                false => Ok(read),
            }
        };
        Ok(run.wait_for_cluster().until(look).await??)
    }

    /// The cluster's identity, and whether it is new. A dry run creates none: without one, no VM belongs to the cluster
    /// yet.
    pub(super) async fn identity(&self, run: &Run, pve: &Client) -> Result<(Identity, bool), Failure> {
        let dir = run.dir()?;
        let proxmox = run.cluster().typed_spec()?.proxmox.unwrap_or_default();
        let naming = Naming::read(proxmox.names.as_deref(), run.cluster().name())?;
        let known = dir.lock()?.as_deref().and_then(Identity::of);
        match known {
            Some(identity) => Ok((identity.named(naming), false)),
            None if run.is_dry_run() || !matches!(self.verb, Verb::Ensure | Verb::Adopt) => {
                Ok((Identity::new("(none)").named(naming), true))
            }
            None => {
                // If ichor.lock was lost, the cluster's VMs still exist: they must not get a new identity.
                let nobody = Identity::new("(none)").named(naming.clone());
                let roster = run.cluster().roster().cloned().unwrap_or_default();
                let inventory = self.inventory(run, pve, &nobody, true).await?;
                let find = |name: &str| inventory.find(&nobody, run.cluster().name(), name, Namesakes::Refused);
                let found = roster.iter().map(|entry| find(&entry.name));
                let lost = found.filter_map(Result::err).find(|failure| failure.is(Code::OtherLock));
                if let Some(failure) = lost {
                    return Err(failure);
                }
                self.seen.get_or_init(|| inventory);
                Ok((Identity::new(&dir.uid()?).named(naming), true))
            }
        }
    }
}
