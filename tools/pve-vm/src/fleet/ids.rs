//! VM IDs: which are free, and which this run has taken.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::request;
use record::Failure;
use step::Run;

use super::Fleet;
use crate::{error::Error, inventory::Namesakes, machine::Machine};

impl Fleet {
    /// A VM ID that seems free, in the file's order. Call it with [`Self::claim`] held.
    pub(crate) async fn free_id(&self, run: &Run, machine: &Machine) -> Result<u32, Failure> {
        if let Some(wanted) = machine.vmid {
            return Ok(wanted);
        }
        if let Some((id, _)) = self.ledger().kept.iter().find(|(_, name)| **name == machine.name) {
            return Ok(*id);
        }
        let reserved = self.reserved.get_or_try_init(|| self.reserve(run)).await?;
        let is_taken = |id: &u32| self.ledger().taken.contains(id);
        if let Some(id) = reserved.get(&machine.name).copied().filter(|id| !is_taken(id)) {
            return Ok(id);
        }
        let others: BTreeSet<u32> = reserved.values().copied().collect();
        let mut free = self.free_ids(&others, 1).await?;
        free.pop().ok_or_else(|| self.none_free().into())
    }

    /// Reserves an ID for every node without a VM: that of its last one if it is free, which jobs may name.
    async fn reserve(&self, run: &Run) -> Result<BTreeMap<String, u32>, Failure> {
        let cluster = run.cluster();
        let roster = cluster.roster().cloned().unwrap_or_default();
        let absent = |name: &&str| {
            run.is_selected(name)
                && matches!(self.inventory.find(&self.identity, &self.cluster, name, Namesakes::Refused), Ok(None))
        };
        let names: Vec<&str> = roster.iter().map(|entry| &*entry.name).filter(absent).collect();
        let lock = run.dir()?.lock()?;
        let mut reserved = BTreeMap::new();
        for name in &names {
            let last = lock.as_ref().and_then(|lock| lock.vm(name)).filter(|id| !self.ledger().taken.contains(id));
            if let Some(last) = last.filter(|id| !reserved.values().any(|taken| taken == id))
                && self.is_in_range(last)?
            {
                reserved.insert((*name).to_owned(), last);
            }
        }
        let others = names.into_iter().filter(|name| !reserved.contains_key(*name)).map(str::to_owned);
        let others: Vec<String> = others.collect();
        let ids = self.free_ids(&reserved.values().copied().collect(), others.len()).await?;
        reserved.extend(others.into_iter().zip(ids));
        Ok(reserved)
    }

    /// So many free IDs, or as many as there are. Without a range in the file the server says where they begin.
    pub(crate) async fn free_ids(&self, besides: &BTreeSet<u32>, count: usize) -> Result<Vec<u32>, Failure> {
        let (first, last) = match self.range()? {
            Some(range) => range,
            None => (self.pve.ask(&request::next_id()).await?.0, u32::MAX),
        };
        let ledger = self.ledger();
        Ok((first..=last).filter(|id| !ledger.taken.contains(id) && !besides.contains(id)).take(count).collect())
    }

    pub(crate) fn none_free(&self) -> Error {
        let (first, last) = self.range().ok().flatten().unwrap_or_default();
        Error::RangeFull(first, last)
    }

    /// Whether the file's range, if it has one, has this ID.
    pub(crate) fn is_in_range(&self, vmid: u32) -> Result<bool, Error> {
        Ok(self.range()?.is_none_or(|(first, last)| (first..=last).contains(&vmid)))
    }

    fn range(&self) -> Result<Option<(u32, u32)>, Error> {
        let Some(text) = self.spec.proxmox.as_ref().and_then(|proxmox| proxmox.vmids.as_ref()) else { return Ok(None) };
        let parts = text.split_once('-').and_then(|(first, last)| Some((id(first)?, id(last)?)));
        parts.filter(|(first, last)| first <= last).map(Some).ok_or_else(|| Error::Range(text.clone()))
    }

    /// Takes this VM ID for the rest of the run.
    pub(crate) fn take(&self, vmid: u32) {
        let mut ledger = self.ledger();
        ledger.taken.insert(vmid);
        ledger.kept.remove(&vmid);
    }

    /// Keeps the ID of a VM that this run destroyed for the node's next one.
    pub(crate) fn keep(&self, vmid: u32, node: &str) {
        self.ledger().kept.insert(vmid, node.to_owned());
    }

    /// The pool of a VM, as far as the token sees pools; that of one that this run made isn't looked up.
    pub(crate) fn pool_of(&self, vmid: u32) -> Option<&str> {
        if self.has_made(vmid) { None } else { self.inventory.pool(vmid) }
    }

    /// Takes the ID of a VM that this run makes for a node.
    pub(crate) fn make(&self, vmid: u32, node: &str) {
        let mut ledger = self.ledger();
        ledger.taken.insert(vmid);
        ledger.made.insert(vmid, node.to_owned());
    }

    /// The VM IDs that this run made VMs with for a node.
    pub(crate) fn made_for(&self, node: &str) -> Vec<u32> {
        self.ledger().made.iter().filter(|(_, name)| *name == node).map(|(vmid, _)| *vmid).collect()
    }

    /// Whether this run made the VM with this ID.
    pub(crate) fn has_made(&self, vmid: u32) -> bool {
        self.ledger().made.contains_key(&vmid)
    }
}

fn id(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|id| (100..1_000_000_000).contains(id))
}
