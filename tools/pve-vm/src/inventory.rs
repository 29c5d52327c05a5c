//! The inventory of Proxmox VE: hosts, and the VMs that may be ours.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::{
    Client, Kind,
    answer::{Config, Resource, VmRow},
    request,
};
use record::{Failure, Roster};
use tokio::task::JoinSet;

use crate::{
    error::Error,
    identity::{Identity, Owner, has_tag},
    placement::Host,
};

/// Maximum number of configs read at once: the server has few workers.
const AT_ONCE: usize = 4;

/// A VM that may be ours: it has the name of a node, or our tag.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) vmid: u32,
    pub(crate) host: String,
    pub(crate) name: String,
    /// Its config, or why it can't be read.
    pub(crate) config: Result<Config, Failure>,
}

/// Hosts and VMs.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The name of the Proxmox VE cluster; a lone host has none.
    pub(crate) region: Option<String>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) known: Vec<Known>,
    /// All VM IDs that are taken, also those of other guests.
    pub(crate) taken: BTreeSet<u32>,
    /// The pools of VMs, as far as the token sees pools.
    pools: BTreeMap<u32, String>,
    /// VMs on hosts that are offline, with their last known names.
    offline: Vec<Resource>,
}

impl Inventory {
    /// Reads everything.
    pub(crate) async fn read(pve: &Client, identity: &Identity, roster: &Roster) -> Result<Self, pve_client::Error> {
        let hosts = pve.ask(&request::nodes()).await?;
        let guests = pve.ask(&request::guests()).await?;
        let region = match pve.ask(&request::cluster_status()).await {
            Ok(parts) => parts.into_iter().find(|part| part.kind == "cluster").map(|part| part.name),
            Err(error) if error.kind() == Some(Kind::Forbidden) => None,
            Err(error) => return Err(error),
        };
        let mut inventory = Self { region, ..Self::default() };
        inventory.taken = guests.iter().map(|guest| guest.vmid).collect();
        inventory.pools = guests.iter().filter_map(|guest| Some((guest.vmid, guest.pool.clone()?))).collect();
        let mut rows = Vec::new();
        for host in &hosts {
            inventory.hosts.push(described(host, &guests));
            if host.status == "offline" {
                inventory.offline.extend(guests.iter().filter(|guest| guest.node == host.node).cloned());
                continue;
            }
            let vms = pve.ask(&request::vms(&host.node)).await?;
            rows.extend(vms.into_iter().map(|row| (host.node.clone(), row)));
        }
        rows.retain(|(_, row)| may_be_ours(row, identity, roster));
        inventory.known = configs(pve, rows).await;
        inventory.count(identity, roster);
        Ok(inventory)
    }

    /// Counts the cluster's nodes on each host.
    fn count(&mut self, identity: &Identity, roster: &Roster) {
        let control_plane = |name: &str| roster.control_planes().any(|entry| &*entry.name == name);
        for known in &self.known {
            let ours = known.config.as_ref().is_ok_and(|config| identity.owner(config, &known.name) == Owner::Ours);
            if let Some(host) = self.hosts.iter_mut().find(|host| ours && host.name == known.host) {
                if control_plane(&known.name) { host.control_planes += 1 } else { host.workers += 1 }
            }
        }
    }

    /// The VM of a node, if it exists.
    pub(crate) fn find(&self, identity: &Identity, cluster: &str, node: &str) -> Result<Option<&Known>, Failure> {
        let uuid = identity.uuid(node);
        let is = |known: &&Known| known.config.as_ref().is_ok_and(|config| config.uuid().as_ref() == Some(&uuid));
        let mut same = self.known.iter().filter(is);
        if let Some(found) = same.next() {
            let (vmid, host) = (found.vmid, found.host.clone());
            if let Some(second) = same.next() {
                return Err(Error::Twice { first: vmid, second: second.vmid, node: node.into() }.into());
            }
            let marked = found.config.as_ref().is_ok_and(|config| identity.marks(config));
            return if marked {
                Ok(Some(found))
            } else {
                Err(Error::Unmarked { vmid, host, node: node.into() }.into())
            };
        }
        for known in self.known.iter().filter(|known| known.name == node) {
            let config = known.config.as_ref().map_err(Clone::clone)?;
            refuse_namesake(known, config, cluster)?;
        }
        match self.offline.iter().find(|row| row.name.as_deref() == Some(node) && tagged(row, identity)) {
            Some(row) => Err(Error::Offline { vmid: row.vmid, host: row.node.clone(), node: node.into() }.into()),
            None => Ok(None),
        }
    }

    /// The pool of a VM, as far as the token sees pools.
    pub(crate) fn pool(&self, vmid: u32) -> Option<&str> {
        self.pools.get(&vmid).map(String::as_str)
    }

    /// The cluster's VMs that the file doesn't list.
    pub(crate) fn unlisted(&self, identity: &Identity, roster: &Roster) -> impl Iterator<Item = &Known> {
        let listed = |name: &str| roster.iter().any(|entry| &*entry.name == name);
        let ours = |known: &&Known| known.config.as_ref().is_ok_and(|config| identity.marks(config));
        self.known.iter().filter(move |known| !listed(&known.name)).filter(ours)
    }
}

/// Checks a VM of the same name. One of another cluster is allowed. One without a mark, or with this cluster's name and
/// another identity, is refused, so that the node doesn't get a second VM.
fn refuse_namesake(known: &Known, config: &Config, cluster: &str) -> Result<(), Failure> {
    let (vmid, host, node) = (known.vmid, known.host.clone(), known.name.clone());
    let description = config.get("description").unwrap_or_default();
    if description.contains(&format!("of the Talos cluster {cluster}.")) {
        return Err(Error::OtherLock { vmid, host, node, cluster: cluster.to_owned() }.into());
    }
    if description.contains("ichor-uid: ") { Ok(()) } else { Err(Error::Foreign { vmid, host, node }.into()) }
}

fn tagged(row: &Resource, identity: &Identity) -> bool {
    row.tags.as_deref().is_some_and(|tags| has_tag(tags, &identity.tag()))
}

fn may_be_ours(row: &VmRow, identity: &Identity, roster: &Roster) -> bool {
    let tagged = row.tags.as_deref().is_some_and(|tags| has_tag(tags, &identity.tag()));
    tagged || row.name.as_deref().is_some_and(|name| roster.iter().any(|entry| &*entry.name == name))
}

/// A host with the memory and cores that its guests may use together.
fn described(host: &pve_client::answer::Host, guests: &[Resource]) -> Host {
    let guests = guests.iter().filter(|guest| guest.node == host.node && !guest.template);
    let (memory, cores) = guests.fold((0, 0), |(memory, cores), guest| {
        (memory + guest.maxmem.unwrap_or_default(), cores + guest.maxcpu.unwrap_or_default())
    });
    Host {
        name: host.node.clone(),
        obstacle: (host.status == "offline").then(|| "it is offline".to_owned()),
        memory: host.maxmem,
        assigned: memory,
        cpus: host.maxcpu.unwrap_or_default(),
        cores_assigned: cores,
        ..Host::default()
    }
}

/// Reads the configs of these VMs, a few at a time.
async fn configs(pve: &Client, rows: Vec<(String, VmRow)>) -> Vec<Known> {
    let (mut rows, mut work, mut known) = (rows.into_iter(), JoinSet::new(), Vec::new());
    loop {
        while work.len() < AT_ONCE {
            let Some((host, row)) = rows.next() else { break };
            let pve = pve.clone();
            work.spawn(async move {
                let config = pve.ask(&request::pending(&host, row.vmid)).await.map_err(Failure::from);
                Known { vmid: row.vmid, host, name: row.name.unwrap_or_default(), config }
            });
        }
        match work.join_next().await {
            Some(found) => known.extend(found),
            None => break,
        }
    }
    known.sort_by_key(|known| known.vmid);
    known
}
