//! What all nodes of a run share: the connection, the inventory, and what is taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pve_access::{Gates, Sources};
use pve_client::{
    Client,
    answer::{Config, HaResource, Resource},
    request,
};
use record::{Exit, Failure, Node, Roster, spec::ClusterSpec, status};
use step::{Claim, Run, Slot};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until},
};

use crate::{
    creation::storages,
    error::Error,
    etcd::EtcdGate,
    ha::Rules,
    identity::Identity,
    inventory::Inventory,
    machine::Machine,
    newcomers::Newcomers,
    occupied::Holder,
    placement::{Host, Request, place},
    preflight::{bridges, storage_finding},
    survey::Survey,
};

mod ids;

/// Maximum number of VMs created or destroyed at once on one storage of a host: each allocation and each removal holds the
/// storage's lock, and a task that waits for it longer than 10 s fails, or leaves a volume.
const VOLUMES: usize = 2;
/// The same on a storage that all hosts share, whose lock is the whole cluster's.
const SHARED: usize = 1;

/// Looks at all guests take at most this part of the time in which VMs are made.
const LOOKS_PART: u32 = 10;

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
    gates: Gates,
    pub(crate) survey: Survey,
    /// VM IDs for nodes without a VM, in the file's order.
    reserved: OnceCell<BTreeMap<String, u32>>,
    /// The last look at all guests.
    looked: tokio::sync::Mutex<Option<Look>>,
    /// The static addresses of all VMs.
    pub(crate) addresses: OnceCell<Vec<Holder>>,
    /// The VMs that the manager of high availability has.
    pub(crate) ha: OnceCell<Vec<HaResource>>,
    /// Where it keeps them.
    pub(crate) rules: Rules,
    /// What the searches for VMs share.
    pub(crate) sources: Sources,
    /// Passed before a control plane is switched off or destroyed.
    pub(crate) etcd: EtcdGate,
    pub(crate) newcomers: Newcomers,
    /// Held by a run that changes anything: two at the same time would both create what is missing.
    _claim: Option<Claim>,
}

/// A look at all guests.
struct Look {
    begun: Instant,
    took: Duration,
    guests: Arc<Vec<Resource>>,
}

/// What is in use, by others or by this run.
struct Ledger {
    hosts: Vec<Host>,
    taken: BTreeSet<u32>,
    /// The VM IDs that this run made VMs with, and for which node.
    made: BTreeMap<u32, String>,
    /// The VM IDs that nodes keep whose VMs this run destroyed.
    kept: BTreeMap<u32, String>,
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
        let ledger = Ledger {
            hosts: inventory.hosts.clone(),
            taken: inventory.taken.clone(),
            made: BTreeMap::new(),
            kept: BTreeMap::new(),
        };
        Self {
            pve,
            identity,
            cluster: cluster.to_owned(),
            spec,
            inventory,
            image,
            ledger: Mutex::new(ledger),
            claim: tokio::sync::Mutex::default(),
            gates: Gates::default(),
            survey: Survey::default(),
            reserved: OnceCell::new(),
            looked: tokio::sync::Mutex::default(),
            addresses: OnceCell::new(),
            ha: OnceCell::new(),
            rules: Rules::default(),
            sources: Sources::default(),
            etcd: EtcdGate::default(),
            newcomers: Newcomers::default(),
            _claim: claim,
        }
    }

    /// Finds out which hosts have the storage for disks, the image and which bridges, once.
    async fn surveyed(&self) -> Result<(), Failure> {
        let survey = async {
            let hosts: Vec<Host> = self.ledger().hosts.clone();
            for host in hosts.iter().filter(|host| host.obstacle.is_none()) {
                // A plan may not know where the image is.
                let has_image = self.image.volumes.is_empty() || self.image.volumes.contains_key(&host.name);
                let obstacle = (!has_image).then(|| "it doesn't have the image".to_owned());
                let bridges = self.bridges(&host.name).await?;
                let mut ledger = self.ledger();
                for it in ledger.hosts.iter_mut().filter(|it| it.name == host.name) {
                    it.obstacle.clone_from(&obstacle);
                    it.bridges.clone_from(&bridges);
                }
            }
            Ok::<(), Failure>(())
        };
        self.survey.done.get_or_try_init(|| survey).await.map(|_| ())
    }

    /// Why a host can't hold the drives of a machine: each may have a storage of its own. If a right is missing, how it is
    /// given.
    async fn obstacle(&self, host: &str, machine: &Machine) -> Result<Option<(String, Option<String>)>, Failure> {
        let kept = machine.managed.hosts();
        if !kept.is_empty() && !kept.contains(host) {
            return Ok(Some(("spec.vm.ha.nodes doesn't name it".to_owned(), None)));
        }
        if machine.storage(host).is_none() {
            return Ok(Some(("spec.proxmox.storage names no storage for it".to_owned(), None)));
        }
        let parameters = machine.creation(host, "-");
        let wanted = storages(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let rows = self.storages(host).await?;
        let mut lacks =
            wanted.iter().filter_map(|storage| storage_finding(&rows, storage, "images", &self.inventory.rights));
        Ok(lacks.next().map(|(exit, why, hint)| (why, hint.filter(|_| exit == Exit::NotAllowed))))
    }

    /// The hosts, with what each lacks for this machine.
    async fn obstacles(&self, machine: &Machine) -> Result<BTreeMap<String, (String, Option<String>)>, Failure> {
        let hosts: Vec<Host> = self.ledger().hosts.clone();
        let mut obstacles = BTreeMap::new();
        for host in hosts.into_iter().filter(|host| host.obstacle.is_none()) {
            let obstacle = self.obstacle(&host.name, machine).await?;
            obstacles.extend(obstacle.map(|why| (host.name, why)));
        }
        Ok(obstacles)
    }

    /// The host with what is known of it by now.
    pub(crate) fn host(&self, name: &str) -> Host {
        let found = self.ledger().hosts.iter().find(|host| host.name == name).cloned();
        found.unwrap_or_else(|| Host { name: name.to_owned(), ..Host::default() })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host that a new VM goes to; it is counted there from now on.
    pub(crate) async fn place(&self, machine: &Machine) -> Result<String, Failure> {
        self.surveyed().await?;
        let obstacles = self.obstacles(machine).await?;
        let bridges = bridges(machine.pairs());
        let request = Request {
            memory: machine.memory,
            cores: machine.cores,
            bridges: &bridges,
            control_plane: machine.control_plane,
        };
        let mut ledger = self.ledger();
        let mut hosts = ledger.hosts.clone();
        for host in &mut hosts {
            host.obstacle = host.obstacle.take().or_else(|| Some(obstacles.get(&host.name)?.0.clone()));
        }
        let right = |host: &String| obstacles.get(host)?.1.clone();
        let name = match &machine.host {
            Some(wanted) => self.wanted(&hosts, machine, request, wanted, right(wanted))?,
            None => place(&hosts, request)
                .map_err(|reasons| {
                    let right = reasons.keys().find_map(right);
                    Error::NoRoom { node: machine.name.clone(), reasons, right }
                })?
                .to_owned(),
        };
        ledger.hosts.iter_mut().filter(|host| host.name == name).for_each(|host| host.take(request));
        Ok(name)
    }

    /// Gives back what a VM takes that is about to be destroyed.
    pub(crate) fn release(&self, host: &str, config: &Config, machine: &Machine) {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
        let memory = config.property("memory").unwrap_or_default();
        let memory = number(memory.get("current").or(memory.bare())).unwrap_or_default() << 20;
        let cores = number(config.get("cores")).unwrap_or(1) * number(config.get("sockets")).unwrap_or(1);
        let mut ledger = self.ledger();
        for it in ledger.hosts.iter_mut().filter(|it| it.name == host) {
            it.give(memory, cores, machine.control_plane);
        }
    }

    /// A host that the user chose is used whatever its load, unless an obstacle prevents it.
    fn wanted(
        &self,
        hosts: &[Host],
        machine: &Machine,
        request: Request<'_>,
        wanted: &str,
        right: Option<String>,
    ) -> Result<String, Error> {
        let host = hosts.iter().find(|host| host.name == wanted);
        let reason = match host {
            None => Some(format!("no such host; hosts: {}", self.host_names().join(", "))),
            Some(host) => host.refusal(request),
        };
        match reason {
            None => Ok(wanted.to_owned()),
            Some(reason) => Err(Error::Host { node: machine.name.clone(), host: wanted.to_owned(), reason, right }),
        }
    }

    fn host_names(&self) -> Vec<&str> {
        self.inventory.hosts.iter().map(|host| host.name.as_str()).collect()
    }

    /// The volume of the image on a host.
    pub(crate) fn volume(&self, host: &str) -> Result<&str, Error> {
        self.image.volumes.get(host).map(String::as_str).ok_or_else(|| Error::NoImageOn(host.into()))
    }

    /// All guests, as a look shows that began after `since`; nodes that wait for one share it.
    pub(crate) async fn guests(&self, since: Instant) -> Result<Arc<Vec<Resource>>, pve_client::Error> {
        let mut looked = self.looked.lock().await;
        if let Some(look) = looked.as_ref().filter(|look| look.begun > since) {
            return Ok(Arc::clone(&look.guests));
        }
        let begun = Instant::now();
        let guests = Arc::new(self.pve.ask(&request::guests()).await?);
        *looked = Some(Look { begun, took: begun.elapsed(), guests: Arc::clone(&guests) });
        Ok(guests)
    }

    /// Waits until the next look at all guests is due, unless one that began after `since` is there: with many VMs each look
    /// is long, and one after each new VM would cost more than the VMs.
    pub(crate) async fn look_is_due(&self, since: Instant) {
        loop {
            let next = match self.looked.lock().await.as_ref() {
                Some(look) if look.begun <= since => look.begun + look.took * LOOKS_PART,
                _ => return,
            };
            if next <= Instant::now() {
                return;
            }
            sleep_until(next).await;
        }
    }

    /// Waits until volumes of a node may be allocated or freed on these storages of a host; control planes first. Whatever
    /// makes or destroys VMs holds one for each storage.
    pub(crate) async fn turn_on(
        &self,
        run: &Run,
        node: &Node,
        host: &str,
        storages: &BTreeSet<String>,
        machine: &Machine,
    ) -> Result<Vec<Slot>, Failure> {
        let names: Vec<&str> = storages.iter().map(String::as_str).collect();
        let _shown = run.progress(Some(node), format!("waits for its turn on storage {} of {host}", names.join(", ")));
        self.storage_slots(host, storages, machine).await
    }

    async fn storage_slots(
        &self,
        host: &str,
        storages: &BTreeSet<String>,
        machine: &Machine,
    ) -> Result<Vec<Slot>, Failure> {
        let rows = self.storages(host).await?;
        let mut slots = Vec::new();
        // In the same order by everybody, so that nobody waits for who waits for it.
        for name in storages {
            let is_shared = rows.iter().any(|row| row.storage == *name && row.shared);
            let (gate, places) = match is_shared {
                true => (format!("storage {name}"), SHARED),
                false => (format!("storage {name} of {host}"), VOLUMES),
            };
            slots.push(self.gates.take(gate, places, machine.control_plane).await);
        }
        Ok(slots)
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
