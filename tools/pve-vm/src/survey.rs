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
}

impl Fleet {
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
