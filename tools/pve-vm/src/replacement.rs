//! What the trial of a new VM can't show: its ID, and the volumes that the file names. They are looked at before the old VM
//! is destroyed.

use std::collections::BTreeSet;

use pve_client::{property::Property, request};
use record::{Exit, Failure};

use crate::{
    creation::storages, difference::moved::owner, disks::Source, error::Error, fleet::Fleet, reconcile::Reconcile,
};

/// What it takes to have a drive of cloud-init written.
pub(crate) const WRITES_CLOUD_INIT: &str = "VM.Config.Cloudinit";

impl Fleet {
    /// Whether the token has a privilege on the VMs that it makes.
    pub(crate) fn may(&self, privilege: &str) -> bool {
        let rights = &self.inventory.rights;
        let by_pool = |pool: &str| rights.holds(&format!("/pool/{pool}"), privilege);
        rights.holds("/vms", privilege) || self.pool().is_some_and(by_pool)
    }
}

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
    /// storage only; for others, the trial finds out.
    fn named_volumes(&self) -> Vec<(String, String)> {
        let drives = self.machine.drives.iter().filter_map(|drive| match &drive.source {
            Source::Volume(volume) => Some((drive.slot.clone(), volume.clone())),
            _ => None,
        });
        let snippets = Property::parse(self.machine.setting("cicustom").unwrap_or_default());
        let is_due = |volume: &&str| self.sees_all(volume) || !self.fleet.may(WRITES_CLOUD_INIT);
        let snippets = snippets.pairs().map(|(_, volume)| volume).filter(is_due);
        drives.chain(snippets.map(|volume| ("cicustom".to_owned(), volume.to_owned()))).collect()
    }

    /// Whether the token sees all that is on the storage of a volume.
    fn sees_all(&self, volume: &str) -> bool {
        let storage = volume.split(':').next().unwrap_or_default();
        self.fleet.inventory.rights.holds(&format!("/storage/{storage}"), "Datastore.Allocate")
    }

    /// The server lists the volumes that the token may use.
    async fn check_volume(&self, host: &str, key: &str, volume: &str) -> Result<(), Failure> {
        let Some((storage, name)) = volume.split_once(':') else { return Ok(()) };
        let content = ["import", "iso", "snippets"].into_iter().find(|kind| name.starts_with(&format!("{kind}/")));
        let found = self.fleet.pve.ask(&request::contents(host, storage, content.unwrap_or("images"))).await?;
        if found.iter().any(|found| found.volid == volume) {
            return Ok(());
        }
        let sees_all = self.sees_all(volume);
        let rights = owner(volume).map(|owner| {
            format!("that of another VM takes Datastore.Audit on /storage/{storage} and VM.Config.Disk on /vms/{owner}")
        });
        let rights = rights.or_else(|| {
            let of = |content: &str| {
                format!("to see it takes Datastore.Allocate on /storage/{storage}, or {content} on /vms")
            };
            (content == Some("snippets")).then(|| of(WRITES_CLOUD_INIT))
        });
        let rights = rights.filter(|_| !sees_all);
        let (node, key, host) = (self.machine.name.clone(), key.to_owned(), host.to_owned());
        let exit = if sees_all { Exit::Failed } else { Exit::NotAllowed };
        Err(Error::NoVolume { node, key, volume: volume.to_owned(), host, exit, rights }.into())
    }
}
