//! What hosts have, asked when first needed and then kept: storages and bridges.

use std::{collections::BTreeMap, sync::Arc};

use pve_client::{answer::Storage, request};
use record::Failure;
use tokio::sync::{Mutex, OnceCell};

use crate::fleet::Fleet;

/// What hosts have.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Whether every host was asked for what a new VM needs.
    pub(crate) done: OnceCell<()>,
    storages: Mutex<BTreeMap<String, Arc<Vec<Storage>>>>,
    bridges: Mutex<BTreeMap<String, Option<Vec<String>>>>,
    machines: Mutex<BTreeMap<String, Option<Vec<String>>>>,
    cpu_types: Mutex<BTreeMap<String, Option<Vec<String>>>>,
    release: OnceCell<(u32, u32)>,
    pools: OnceCell<Vec<String>>,
}

impl Fleet {
    /// The release of Proxmox VE, by the host that answers.
    pub(crate) async fn pve_release(&self) -> Result<(u32, u32), Failure> {
        let read = || async { self.pve.ask(&request::version()).await.map(|release| release.minor()) };
        Ok(*self.survey.release.get_or_try_init(read).await?)
    }

    /// Whether there is a pool of this name; `None` if the token may not know.
    pub(crate) async fn has_pool(&self, pool: &str) -> Result<Option<bool>, Failure> {
        let path = format!("/pool/{pool}");
        let rights = &self.inventory.rights;
        if self.inventory.pools.values().any(|known| known == pool) {
            return Ok(Some(true));
        }
        if !rights.holds(&path, "Pool.Audit") {
            // Somebody gave the token rights on it.
            return Ok(rights.lists(&path).then_some(true));
        }
        let read = || async {
            let pools = self.pve.ask(&request::pools()).await?;
            Ok::<_, pve_client::Error>(pools.into_iter().map(|row| row.poolid).collect())
        };
        Ok(Some(self.survey.pools.get_or_try_init(read).await?.iter().any(|known| known == pool)))
    }

    /// The names of a VM's snapshots.
    pub(crate) async fn snapshots(&self, host: &str, vmid: u32) -> Result<Vec<String>, Failure> {
        let rows = self.pve.ask(&request::snapshots(host, vmid)).await?;
        Ok(rows.into_iter().map(|row| row.name).filter(|name| name != "current").collect())
    }

    /// The storages of a host.
    pub(crate) async fn storages(&self, host: &str) -> Result<Arc<Vec<Storage>>, Failure> {
        let mut known = self.survey.storages.lock().await;
        if let Some(rows) = known.get(host) {
            return Ok(Arc::clone(rows));
        }
        let rows = Arc::new(self.pve.ask(&request::storages(host)).await?);
        known.insert(host.to_owned(), Arc::clone(&rows));
        Ok(rows)
    }

    /// The bridges and virtual networks of a host; `None` if the token may not know them all.
    pub(crate) async fn bridges(&self, host: &str) -> Result<Option<Vec<String>>, Failure> {
        let mut known = self.survey.bridges.lock().await;
        if let Some(names) = known.get(host) {
            return Ok(names.clone());
        }
        let rows = self.pve.ask(&request::bridges(host)).await?;
        // Without this right the list is shorter, or empty, and nobody says so.
        let sees_all = self.inventory.rights.holds_below("/sdn/zones/localnetwork", "SDN.Use");
        let names = sees_all.then(|| rows.into_iter().map(|row| row.iface).collect());
        known.insert(host.to_owned(), names.clone());
        Ok(names)
    }

    /// The kinds of machine that a host can run; `None` if it doesn't say.
    pub(crate) async fn machines(&self, host: &str) -> Result<Option<Vec<String>>, Failure> {
        let mut known = self.survey.machines.lock().await;
        if let Some(names) = known.get(host) {
            return Ok(names.clone());
        }
        let plain = |id: String| id.split_once('+').map_or(id.clone(), |(id, _)| id.to_owned());
        let names = match self.pve.ask(&request::machines(host)).await {
            Err(error) if !error.is_transient() => None,
            rows => Some(rows?.into_iter().map(|row| plain(row.id)).collect()),
        };
        known.insert(host.to_owned(), names.clone());
        Ok(names)
    }

    /// The models of CPU that a host can run; `None` if it doesn't say.
    pub(crate) async fn cpu_types(&self, host: &str) -> Result<Option<Vec<String>>, Failure> {
        let mut known = self.survey.cpu_types.lock().await;
        if let Some(names) = known.get(host) {
            return Ok(names.clone());
        }
        let names = match self.pve.ask(&request::cpu_types(host)).await {
            Err(error) if !error.is_transient() => None,
            rows => Some(rows?.into_iter().map(|row| row.name).collect()),
        };
        known.insert(host.to_owned(), names.clone());
        Ok(names)
    }
}
