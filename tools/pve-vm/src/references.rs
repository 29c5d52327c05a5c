//! What the file names, and Proxmox VE must have: hosts, storages, pools, and what only some releases know. It is asked
//! before anything is done, most of all before a VM is destroyed to be made again.

use std::collections::BTreeSet;

use record::{Code, Exit, Failure};

use crate::{
    creation::storages,
    disks::Source,
    error::Error,
    inventory::Known,
    parameters::keys::{depends_on_release, unknown_to},
    preflight::storage_finding,
    reconcile::Reconcile,
};

impl Reconcile<'_> {
    /// Refuses what the file names and Proxmox VE doesn't have, also in the management by HA.
    pub(crate) async fn check_all_references(&self) -> Result<(), Failure> {
        if let Some(key) = self.machine.root_only.as_ref().filter(|_| self.found.is_none()) {
            return Err(Error::RootOnly { node: self.machine.name.clone(), key: key.clone() }.into());
        }
        self.check_references().await?;
        self.ha_differences(self.found.map(|known| known.vmid)).await.map(drop)
    }

    /// Refuses what the file names and Proxmox VE doesn't have.
    pub(crate) async fn check_references(&self) -> Result<(), Failure> {
        self.check_host()?;
        self.check_release().await?;
        let moves =
            || self.found.and_then(|known| self.fleet.inventory.pool(known.vmid)) != self.machine.pool.as_deref();
        // Where no pool of a VM is seen, the token doesn't see pools, and the VM stays in its own.
        let is_seen = |vmid: u32| self.fleet.inventory.pool(vmid).is_some();
        if self.found.is_none_or(|known| is_seen(known.vmid) && moves()) {
            self.check_pool(false).await?;
        }
        self.check_storages().await
    }

    fn check_host(&self) -> Result<(), Error> {
        let hosts: Vec<&str> = self.fleet.inventory.hosts.iter().map(|host| host.name.as_str()).collect();
        let Some(host) = self.machine.host.as_ref().filter(|host| !hosts.contains(&host.as_str())) else {
            return Ok(());
        };
        let reason = format!("no such host; hosts: {}", hosts.join(", "));
        Err(Error::Host { node: self.machine.name.clone(), host: host.clone(), reason, right: None })
    }

    /// Refuses parameters and keys that this release doesn't have.
    async fn check_release(&self) -> Result<(), Failure> {
        let parameters = self.machine.creation("-", "-");
        let bound: Vec<_> = parameters.iter().filter(|(name, value)| depends_on_release(name, value)).collect();
        if bound.is_empty() {
            return Ok(());
        }
        let release = self.fleet.pve_release().await?;
        match bound.iter().find_map(|(name, value)| Some((name, unknown_to(release, name, value)?))) {
            None => Ok(()),
            Some((name, key)) => {
                let why = format!("Proxmox VE {}.{} has no {key}", release.0, release.1);
                Err(Error::Key { node: self.machine.name.clone(), key: name.clone(), why }.into())
            }
        }
    }

    /// Refuses a pool that isn't there. Where the token can't see whether it is, a creation is refused by the server before
    /// anything is made; but no VM is destroyed for one.
    pub(crate) async fn check_pool(&self, destroys: bool) -> Result<(), Failure> {
        let Some(pool) = &self.machine.pool else { return Ok(()) };
        let node = self.machine.name.clone();
        match self.fleet.has_pool(pool).await? {
            Some(true) => Ok(()),
            Some(false) => Err(Error::NoPool { node, pool: pool.clone() }.into()),
            None if destroys => {
                let token = self.fleet.pve.token().to_owned();
                Err(Error::UnseenPool { node, pool: pool.clone(), token }.into())
            }
            None => Ok(()),
        }
    }

    /// Refuses storages that the host of an existing VM doesn't have for disks. Those that it has a disk on are there.
    async fn check_storages(&self) -> Result<(), Failure> {
        let Some(known) = self.found else { return Ok(()) };
        let unknown = self.unknown_storages(known);
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = self.fleet.storages(&known.host).await?;
        let finding = |storage: &String| storage_finding(&rows, storage, "images", &self.fleet.inventory.rights);
        match unknown.iter().find_map(finding) {
            None => Ok(()),
            Some((exit, why, hint)) => {
                let code = if exit == Exit::NotAllowed { Code::NotAllowed } else { Code::Storage };
                let failure = Failure::new(exit, code, format!("on {}, {why}", known.host));
                Err(hint.into_iter().fold(failure, Failure::hint))
            }
        }
    }

    /// The storages of the file on which the VM has no disk yet.
    fn unknown_storages(&self, known: &Known) -> BTreeSet<String> {
        let Ok(config) = &known.config else { return BTreeSet::new() };
        let used = storages(config.values());
        let makes = |source: &Source| matches!(source, Source::New(_) | Source::Import(_) | Source::CloudInit);
        let drives = self.machine.drives.iter().filter(|drive| makes(&drive.source));
        let own = self.machine.storage(&known.host);
        let wanted = drives.filter_map(|drive| drive.storage.as_deref().or(own));
        wanted.filter(|storage| !used.contains(*storage)).map(str::to_owned).collect()
    }
}
