//! What all nodes of a run share: the connection, the inventory, and what is taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pve_client::{Client, request};
use record::{Failure, Roster, spec::ClusterSpec, status};
use step::{Claim, Slot, Slots};

use crate::{
    error::Error,
    etcd::EtcdGate,
    identity::Identity,
    inventory::{Inventory, Known},
    machine::Machine,
    placement::{Host, Request, place},
};

/// Maximum number of VMs created at once on one host: each allocation holds the storage's lock, and a task that waits
/// for it longer than 10 s fails.
const CREATIONS: usize = 2;
/// Maximum number of guest agents asked at once on one host: a silent one occupies one of three workers for 3 s.
const AGENTS: usize = 2;

/// What all nodes of a run share.
pub(crate) struct Fleet {
    pub(crate) pve: Client,
    pub(crate) identity: Identity,
    pub(crate) cluster: String,
    pub(crate) spec: ClusterSpec,
    pub(crate) inventory: Inventory,
    pub(crate) image: status::Image,
    ledger: Mutex<Ledger>,
    /// Held from choosing a VM ID until the server has claimed it.
    pub(crate) claim: tokio::sync::Mutex<()>,
    gates: Mutex<BTreeMap<(Gate, String), Arc<Slots>>>,
    /// Passed before a control plane is switched off or destroyed.
    pub(crate) etcd: EtcdGate,
    /// Held by a run that changes anything: two at the same time would both create what is missing.
    _claim: Option<Claim>,
}

/// What is limited on each host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    Create,
    Agent,
}

/// What is in use, by others or by this run.
struct Ledger {
    hosts: Vec<Host>,
    taken: BTreeSet<u32>,
}

impl Fleet {
    pub(crate) fn new(
        pve: Client,
        identity: Identity,
        cluster: &str,
        spec: ClusterSpec,
        inventory: Inventory,
        image: status::Image,
        claim: Option<Claim>,
    ) -> Self {
        let ledger = Ledger { hosts: inventory.hosts.clone(), taken: inventory.taken.clone() };
        Self {
            pve,
            identity,
            cluster: cluster.to_owned(),
            spec,
            inventory,
            image,
            ledger: Mutex::new(ledger),
            claim: tokio::sync::Mutex::default(),
            gates: Mutex::default(),
            etcd: EtcdGate::default(),
            _claim: claim,
        }
    }

    /// Finds out which hosts have the storage for disks and the image.
    pub(crate) async fn survey(&self) -> Result<(), Failure> {
        let storage = self.spec.proxmox.as_ref().and_then(|it| it.storage.clone()).ok_or(Error::Unset("storage"))?;
        let hosts: Vec<Host> = self.ledger().hosts.clone();
        for host in hosts.iter().filter(|host| host.obstacle.is_none()) {
            let obstacle = self.obstacle(&host.name, &storage).await?;
            let mut ledger = self.ledger();
            ledger.hosts.iter_mut().filter(|it| it.name == host.name).for_each(|it| it.obstacle.clone_from(&obstacle));
        }
        Ok(())
    }

    async fn obstacle(&self, host: &str, storage: &str) -> Result<Option<String>, pve_client::Error> {
        let storages = self.pve.ask(&request::storages(host)).await?;
        Ok(match storages.iter().find(|row| row.storage == storage) {
            None => Some(format!("it has no storage {storage}")),
            Some(row) if !row.active => Some(format!("storage {storage} is not active")),
            Some(row) if !row.holds("images") => Some(format!("storage {storage} doesn't allow content `images`")),
            Some(_) if !self.image.volumes.contains_key(host) => Some("it doesn't have the image".into()),
            Some(_) => None,
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host that a new VM goes to; it is counted there from now on.
    pub(crate) fn place(&self, machine: &Machine) -> Result<String, Error> {
        let request = Request { memory: machine.memory, cores: machine.cores, control_plane: machine.control_plane };
        let mut ledger = self.ledger();
        let name = match &machine.host {
            Some(wanted) => self.wanted(&ledger, machine, wanted)?,
            None => place(&ledger.hosts, request)
                .map_err(|reasons| Error::NoRoom { node: machine.name.clone(), reasons })?
                .to_owned(),
        };
        ledger.hosts.iter_mut().filter(|host| host.name == name).for_each(|host| host.take(request));
        Ok(name)
    }

    /// A host that the user chose is used whatever its load, unless an obstacle prevents it.
    fn wanted(&self, ledger: &Ledger, machine: &Machine, wanted: &str) -> Result<String, Error> {
        let host = ledger.hosts.iter().find(|host| host.name == wanted);
        let reason = match host {
            None => Some(format!("no such host; hosts: {}", self.host_names().join(", "))),
            Some(host) => host.obstacle.clone(),
        };
        match reason {
            None => Ok(wanted.to_owned()),
            Some(reason) => Err(Error::Host { node: machine.name.clone(), host: wanted.to_owned(), reason }),
        }
    }

    fn host_names(&self) -> Vec<&str> {
        self.inventory.hosts.iter().map(|host| host.name.as_str()).collect()
    }

    /// The volume of the image on a host.
    pub(crate) fn volume(&self, host: &str) -> Result<&str, Error> {
        self.image.volumes.get(host).map(String::as_str).ok_or_else(|| Error::NoImageOn(host.into()))
    }

    /// A VM ID that seems free. Call it with [`Self::claim`] held.
    pub(crate) async fn free_id(&self, machine: &Machine) -> Result<u32, Failure> {
        if let Some(wanted) = machine.vmid {
            return Ok(wanted);
        }
        if let Some((first, last)) = self.range()? {
            let ledger = self.ledger();
            let free = (first..=last).find(|id| !ledger.taken.contains(id));
            return free.ok_or_else(|| Error::RangeFull(first, last).into());
        }
        let next = self.pve.ask(&request::next_id()).await?;
        let ledger = self.ledger();
        let free = (next.0..).find(|id| !ledger.taken.contains(id));
        Ok(free.unwrap_or(next.0))
    }

    fn range(&self) -> Result<Option<(u32, u32)>, Error> {
        let Some(text) = self.spec.proxmox.as_ref().and_then(|proxmox| proxmox.vmids.as_ref()) else { return Ok(None) };
        let parts = text.split_once('-').and_then(|(first, last)| Some((id(first)?, id(last)?)));
        parts.filter(|(first, last)| first <= last).map(Some).ok_or_else(|| Error::Range(text.clone()))
    }

    /// Refuses an address of a VM of ours that the file doesn't list: two machines would have it.
    pub(crate) fn free_address(&self, roster: &Roster, address: Option<&str>) -> Result<(), Error> {
        let Some(address) = address else { return Ok(()) };
        let has_it = |known: &&Known| {
            let config = known.config.as_ref().ok().and_then(|config| config.property("ipconfig0"));
            config.is_some_and(|config| [config.get("ip"), config.get("ip6")].contains(&Some(address)))
        };
        match self.inventory.unlisted(&self.identity, roster).find(has_it) {
            Some(Known { vmid, host, name, .. }) => Err(Error::AddressTaken {
                vmid: *vmid,
                host: host.clone(),
                name: name.clone(),
                address: address.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Takes this VM ID for the rest of the run.
    pub(crate) fn take(&self, vmid: u32) {
        self.ledger().taken.insert(vmid);
    }

    /// Waits for a free slot of a host; control planes first.
    pub(crate) async fn pass(&self, gate: Gate, host: &str, machine: &Machine) -> Slot {
        let places = if gate == Gate::Create { CREATIONS } else { AGENTS };
        let slots = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(gates.entry((gate, host.to_owned())).or_insert_with(|| Slots::new(places)))
        };
        slots.take(machine.control_plane).await
    }

    /// The topology region of a host: the Proxmox VE cluster, or the lone host itself.
    pub(crate) fn region(&self, host: &str) -> String {
        self.inventory.region.clone().unwrap_or_else(|| host.to_owned())
    }
}

/// Refuses MAC addresses that two nodes would share: they are derived from names, and 24 bits can collide.
pub(crate) fn distinct(identity: &Identity, roster: &Roster) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for entry in roster.iter() {
        if let Some(other) = seen.insert(identity.mac(&entry.name, 0), entry.name.to_string()) {
            return Err(Error::SameMac(other, entry.name.to_string()));
        }
    }
    Ok(())
}

fn id(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|id| (100..1_000_000_000).contains(id))
}
