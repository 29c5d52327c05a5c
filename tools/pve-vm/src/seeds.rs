//! Seeds that are done with: a node that runs a config which it will find again doesn't need the one that it came from.

use std::collections::BTreeSet;

use pve_access::{
    Location,
    seed::{Kept, Mark, REMOVES, Removal, empty_size, node_of},
};
use pve_client::{answer::Config, request};
use record::{Change, Failure};
use step::{Run, Stop};
use talos_access::Credentials;
use talos_client::{Address, Limits, Probe, probe};

use crate::{changes::VmOperation, creation::may_be_twin, fleet::Fleet, inventory::Known, reconcile::Reconcile};

/// A seed of this cluster whose VM is gone: somebody deleted it by hand.
pub(crate) struct Stray {
    pub(crate) file: Kept,
    node: String,
}

impl Stray {
    /// What it is.
    pub(crate) fn told(&self) -> String {
        let Kept { host, volume, .. } = &self.file;
        format!("{volume} on {host} is the seed of a VM of node {} that is gone", self.node)
    }
}

/// The seeds on the file's storage that no VM has, and that this token can do something about.
pub(crate) async fn strays(run: &Run, fleet: &Fleet) -> Result<Vec<Stray>, Failure> {
    let Some(storage) = fleet.spec.proxmox.as_ref().and_then(|proxmox| proxmox.seeds.as_deref()) else {
        return Ok(Vec::new());
    };
    let removes = fleet.inventory.rights.holds(&format!("/storage/{storage}"), REMOVES);
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for host in fleet.inventory.hosts.iter().filter(|host| host.obstacle.is_none()) {
        let rows = fleet.storages(&host.name).await?;
        let Some(row) = rows.iter().find(|row| row.storage == storage && row.active && row.holds("iso")) else {
            continue;
        };
        let contents = fleet.pve.ask(&request::contents(&host.name, storage, "iso")).await?;
        for content in contents.into_iter().filter(|content| removes || content.size != Some(empty_size())) {
            let Some(node) = node_of(fleet.identity.uid(), &content.volid) else { continue };
            let is_new = !row.shared || seen.insert(content.volid.clone());
            if is_new && !fleet.needs(run, node, &content.volid).await? {
                let (host, sha256) = (host.name.clone(), String::from("?"));
                let file = Kept { host, volume: content.volid.clone(), sha256 };
                found.push(Stray { node: node.to_owned(), file });
            }
        }
    }
    Ok(found)
}

/// Removes them, or overwrites those that the token may not remove; a run that doesn't act only says so. What can't be seen or
/// removed ends no run.
pub(crate) async fn clear_strays(run: &Run, fleet: &Fleet, acts: bool) -> Result<(), Stop> {
    let strays = match strays(run, fleet).await {
        Ok(strays) => strays,
        Err(failure) => {
            run.warn(&format!("whether seeds of VMs are left that are gone can't be seen: {failure}"));
            return Ok(());
        }
    };
    for stray in strays {
        if !acts {
            run.announce(&format!("{}: a run would remove it", stray.told()));
            continue;
        }
        let location = Location { vmid: 0, host: stray.file.host.clone() };
        let removal = Removal { run, pve: &fleet.pve, location: &location, rights: &fleet.inventory.rights };
        match removal.remove_file(&stray.file).await {
            Ok(None) => run.announce(&format!("removed {}", stray.told())),
            Ok(Some(_)) => {}
            Err(Stop::Failed(failure)) => run.warn(&format!("{}, and stays: {failure}", stray.told())),
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

impl Fleet {
    /// Whether a VM may need this seed, asked anew: another run may just have handed it over. A VM is known by its UUID and
    /// its notes, for anybody may have given it another name; one that can't be seen is not taken for gone.
    async fn needs(&self, run: &Run, node: &str, volume: &str) -> Result<bool, Failure> {
        let uuid = self.identity.uuid(node);
        let names_it =
            |config: &Config| Mark::of(config).and_then(|mark| mark.file).is_some_and(|it| it.volume == volume);
        let may_have = |known: &&Known| known.has(&uuid) || known.config.as_ref().is_ok_and(names_it);
        if let Some(Known { vmid, host, .. }) = self.inventory.known.iter().find(may_have) {
            return match self.pve.ask(&request::pending(host, *vmid)).await {
                Ok(config) => Ok(names_it(&config)),
                Err(error) if error.is_no_vm() => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
        if self.inventory.hides_any() {
            return Ok(true);
        }
        if let Some(last) = run.dir()?.lock()?.and_then(|lock| lock.vm(node)) {
            match self.pve.ask(&request::is_free(last)).await {
                Ok(_) => {}
                Err(error) if error.refusal().is_none() || error.is_transient() => return Err(error.into()),
                Err(_) => return Ok(true),
            }
        }
        let vm_name = self.identity.vm_name(node);
        let guests = self.pve.ask(&request::guests()).await?;
        Ok(guests.iter().any(|guest| may_be_twin(self, guest, &vm_name)))
    }
}

impl<'a> Reconcile<'a> {
    /// Removes the seed of a node that has its config. One that can't be asked keeps it until the next run.
    pub(crate) async fn clear_seed(
        &self,
        operation: &VmOperation<'a>,
        addresses: &[String],
    ) -> Result<Option<Change>, Stop> {
        match self.has_needless_seed(operation, addresses).await {
            Some(change) => {
                let removed = operation.seed().remove().await?;
                self.run.say(self.node, &format!("{} has its config: its seed is removed", operation.location));
                Ok(removed.or(Some(change)))
            }
            None => Ok(None),
        }
    }

    /// The removal of a seed that is done with.
    pub(crate) async fn has_needless_seed(&self, operation: &VmOperation<'a>, addresses: &[String]) -> Option<Change> {
        let seen = self.found.and_then(|known| known.config.as_ref().ok());
        match seen.filter(|config| operation.seed().is_due(config)) {
            Some(config) if self.keeps_its_config(addresses).await => Removal::change(config),
            _ => None,
        }
    }

    /// Whether the node itself says that its config is on its disk.
    async fn keeps_its_config(&self, addresses: &[String]) -> bool {
        let Ok(Some(credentials)) = Credentials::at_hand(self.run) else { return false };
        let Some(Ok(address)) = addresses.first().map(|text| text.parse::<Address>()) else { return false };
        match probe(&address, Some(&credentials.identity), Limits::default()).await {
            Ok(Probe::Ours(found)) => {
                let is_this = found.uuid.as_deref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(&self.machine.uuid));
                is_this && found.node.keeps_machine_config().await.unwrap_or_default()
            }
            _ => false,
        }
    }
}
