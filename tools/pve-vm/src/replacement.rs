//! What the trial of a new VM can't show: its ID, and the volumes that the file names. They are looked at before the old VM
//! is destroyed.

use std::collections::BTreeSet;

use pve_client::{property::Property, request};
use record::{Exit, Failure};

use crate::{creation::storages, difference::moved::owner, disks::Source, error::Error, reconcile::Reconcile};

impl Reconcile<'_> {
    /// Refuses an ID that the new VM can't have, where the old one has another; and to try a VM for which there is no ID.
    pub(crate) async fn check_id(&self, old: u32) -> Result<(), Failure> {
        let Some(vmid) = self.machine.vmid.filter(|vmid| *vmid != old) else {
            // The trial has one of its own.
            let free = self.fleet.free_ids(&BTreeSet::new(), 1).await?;
            return if free.is_empty() { Err(self.fleet.none_free().into()) } else { Ok(()) };
        };
        match self.fleet.pve.ask(&request::is_free(vmid)).await {
            Ok(_) => Ok(()),
            Err(error) if error.refusal().is_none() || error.is_transient() => Err(error.into()),
            Err(_) => {
                let (holder, node) = (format!("a guest {vmid}"), self.machine.name.clone());
                Err(Error::Taken { vmid, holder, node }.into())
            }
        }
    }

    /// Refuses volumes that the file names and this host doesn't have, and those that are in the way of the new VM's own.
    pub(crate) async fn check_replacement(&self, host: &str, old: u32) -> Result<(), Failure> {
        if let Some(vmid) = self.machine.vmid.filter(|vmid| *vmid != old) {
            let parameters = self.machine.creation(host, "-");
            for storage in storages(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
                let volumes = self.fleet.pve.ask(&request::disks(host, &storage)).await?;
                if let Some(volume) = volumes.into_iter().find(|volume| volume.vmid == Some(vmid)) {
                    return Err(Error::InTheWay { vmid, host: host.to_owned(), volume: volume.volid }.into());
                }
            }
        }
        for (key, volume) in self.named_volumes() {
            self.check_volume(host, &key, &volume).await?;
        }
        Ok(())
    }

    /// The volumes that the file names, with their keys. Which snippets there are shows itself to administrators of the
    /// storage only.
    fn named_volumes(&self) -> Vec<(String, String)> {
        let drives = self.machine.drives.iter().filter_map(|drive| match &drive.source {
            Source::Volume(volume) => Some((drive.slot.clone(), volume.clone())),
            _ => None,
        });
        let snippets = Property::parse(self.machine.setting("cicustom").unwrap_or_default());
        let is_seen = |volume: &&str| {
            let storage = volume.split(':').next().unwrap_or_default();
            self.fleet.inventory.rights.holds(&format!("/storage/{storage}"), "Datastore.Allocate")
        };
        let snippets = snippets.pairs().map(|(_, volume)| volume).filter(is_seen);
        drives.chain(snippets.map(|volume| ("cicustom".to_owned(), volume.to_owned()))).collect()
    }

    /// The server lists the volumes that the token may use.
    async fn check_volume(&self, host: &str, key: &str, volume: &str) -> Result<(), Failure> {
        let Some((storage, name)) = volume.split_once(':') else { return Ok(()) };
        let content = ["import", "iso", "snippets"].into_iter().find(|kind| name.starts_with(&format!("{kind}/")));
        let found = self.fleet.pve.ask(&request::contents(host, storage, content.unwrap_or("images"))).await?;
        if found.iter().any(|found| found.volid == volume) {
            return Ok(());
        }
        let sees_all = self.fleet.inventory.rights.holds(&format!("/storage/{storage}"), "Datastore.Allocate");
        let rights = owner(volume).filter(|_| !sees_all).map(|owner| {
            format!("that of another VM takes Datastore.Audit on /storage/{storage} and VM.Config.Disk on /vms/{owner}")
        });
        let (node, key, host) = (self.machine.name.clone(), key.to_owned(), host.to_owned());
        let exit = if sees_all { Exit::Failed } else { Exit::NotAllowed };
        Err(Error::NoVolume { node, key, volume: volume.to_owned(), host, exit, rights }.into())
    }
}
