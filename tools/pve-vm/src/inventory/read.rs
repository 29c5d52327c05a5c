//! Reading the inventory: three calls, one a host, and one for each VM that may be ours.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::{
    Client, Kind, Rights,
    answer::{ClusterPart, Config, Resource, VmRow},
    request,
};
use record::{Classify, Code, Exit, Failure, Roster};
use tokio::task::JoinSet;

use super::{Hidden, Inventory, Known, allowed, is_nascent, tagged};
use crate::{identity::Identity, placement::Host};

/// Maximum number of reads at once: the server has three workers a host, and each read takes it some milliseconds.
const AT_ONCE: usize = 16;
/// How often a VM is looked for again that isn't where it just was.
const MOVES: usize = 3;

/// What is read, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) roster: &'a Roster,
    /// The pool that the file names.
    pub(crate) pool: Option<&'a str>,
    /// Whether VMs may be made or destroyed.
    pub(crate) creates: bool,
    /// Whether the cluster got its identity in this run.
    pub(crate) is_new: bool,
    /// Whether VMs of the cluster are looked for that the roster doesn't list, whatever their names and tags are.
    pub(crate) orphans: bool,
    /// The nodes whose new VM an earlier run tried.
    pub(crate) tried: &'a BTreeSet<String>,
}

/// Where a VM is, and what is known of it without its config.
struct Candidate {
    vmid: u32,
    host: String,
    name: String,
    running: bool,
    is_tagged: bool,
}

impl Inventory {
    /// Reads everything. A token that can't see the cluster's VMs is refused before anything else.
    pub(crate) async fn read(pve: &Client, wanted: Wanted<'_>) -> Result<Self, Failure> {
        let rights = Rights::from(pve.ask(&request::permissions()).await?);
        allowed(&rights, pve.token(), wanted.pool, wanted.creates)?;
        let rows = pve.ask(&request::resources()).await?;
        let (hosts, guests): (Vec<Resource>, Vec<Resource>) = rows
            .into_iter()
            .filter(|row| ["node", "qemu", "lxc"].contains(&row.kind.as_str()))
            .partition(|row| row.kind == "node");
        let parts = cluster_status(pve, &rights).await?;
        let cluster = parts.into_iter().find(|part| part.kind == "cluster");
        let mut inventory = Self {
            quorate: cluster.as_ref().and_then(|cluster| cluster.quorate),
            region: cluster.map(|cluster| cluster.name),
            rights,
            hosts: hosts.iter().map(|host| described(host, &guests)).collect(),
            taken: guests.iter().map(|guest| guest.vmid).collect(),
            pools: guests.iter().filter_map(|guest| Some((guest.vmid, guest.pool.clone()?))).collect(),
            is_new: wanted.is_new,
            tried: wanted.tried.clone(),
            ..Self::default()
        };
        let asked = hosts.iter().filter(|host| host.status != "offline").map(|host| host.node.clone());
        let lists = lists(pve, asked).await?;
        let candidates = inventory.sort_out(&guests, &lists, wanted);
        inventory.known = configs(pve, candidates).await;
        if !wanted.is_new && (wanted.orphans || !wanted.tried.is_empty() || inventory.lacks_any(wanted)) {
            inventory.look_closer(pve, wanted).await;
        }
        inventory.count(wanted.identity, wanted.roster);
        Ok(inventory)
    }

    /// Whether a node has no VM among those that names and tags lead to.
    fn lacks_any(&self, wanted: Wanted<'_>) -> bool {
        wanted.roster.iter().any(|entry| self.known.iter().all(|known| !known.has(&wanted.identity.uuid(&entry.name))))
    }

    /// Looks for the mark in the configs of all other VMs before a node is said to have none: names and tags are changed
    /// by people, and the mark stays.
    async fn look_closer(&mut self, pve: &Client, wanted: Wanted<'_>) {
        if let Some(vmid) = self.rights.unseen_vms().first() {
            self.unread = Some(unseen(*vmid));
        }
        let guests = self.others.iter().filter(|guest| guest.kind == "qemu" && !guest.template);
        let candidates = guests.map(|guest| Candidate {
            vmid: guest.vmid,
            host: guest.node.clone(),
            name: guest.name.clone().unwrap_or_default(),
            running: guest.status == "running",
            is_tagged: false,
        });
        let uuids: BTreeSet<String> = wanted.roster.iter().map(|entry| wanted.identity.uuid(&entry.name)).collect();
        for known in configs(pve, candidates.collect()).await {
            let is_ours = |config: &Config| {
                let has_uuid = config.uuid().is_some_and(|uuid| uuids.contains(&uuid));
                has_uuid || wanted.identity.marks(config) || is_nascent(config)
            };
            match &known.config {
                Ok(config) if is_ours(config) => {
                    self.others.retain(|other| other.vmid != known.vmid);
                    self.known.push(known);
                }
                Ok(_) => {}
                Err(failure) => self.unread = Some(failure.clone()),
            }
        }
        self.known.sort_by_key(|known| known.vmid);
    }

    /// Tells the VMs that may be ours from the others, and from those that can't be seen.
    fn sort_out(
        &mut self,
        guests: &[Resource],
        lists: &BTreeMap<String, Result<Vec<VmRow>, Failure>>,
        wanted: Wanted<'_>,
    ) -> Vec<Candidate> {
        let mut live: BTreeMap<u32, (&str, &VmRow)> = BTreeMap::new();
        for (host, list) in lists {
            live.extend(list.iter().flatten().map(|row| (row.vmid, (host.as_str(), row))));
        }
        let ours = |name: Option<&str>, is_tagged: bool| {
            is_tagged
                || name
                    .is_none_or(|name| wanted.roster.iter().any(|entry| wanted.identity.vm_name(&entry.name) == name))
        };
        let mut candidates = Vec::new();
        // A VM that was made since is in its host's list only, one that is being moved in no list at all.
        let listed: BTreeSet<u32> = live.keys().copied().collect();
        for (vmid, (host, row)) in live {
            let is_tagged = tagged(row.tags.as_deref(), wanted.identity);
            self.taken.insert(vmid);
            if ours(row.name.as_deref(), is_tagged) {
                let (host, name) = (host.to_owned(), row.name.clone().unwrap_or_default());
                candidates.push(Candidate { vmid, host, name, running: row.status == "running", is_tagged });
            } else {
                let known = guests.iter().find(|guest| guest.vmid == vmid).cloned().unwrap_or_default();
                self.others.push(as_listed(host, row, known));
            }
        }
        for guest in guests.iter().filter(|guest| guest.kind == "qemu" && !listed.contains(&guest.vmid)) {
            let is_tagged = tagged(guest.tags.as_deref(), wanted.identity);
            match lists.get(&guest.node) {
                Some(Ok(_)) if ours(guest.name.as_deref(), is_tagged) => candidates.push(Candidate {
                    vmid: guest.vmid,
                    host: guest.node.clone(),
                    name: guest.name.clone().unwrap_or_default(),
                    running: guest.status == "running",
                    is_tagged,
                }),
                Some(Ok(_)) => self.others.push(guest.clone()),
                Some(Err(failure)) => self.hidden.push(Hidden { row: guest.clone(), why: Some(failure.clone()) }),
                None => self.hidden.push(Hidden { row: guest.clone(), why: None }),
            }
        }
        candidates
    }
}

/// A VM as its host lists it: its row among the resources of the cluster may be some seconds old, or not there yet.
fn as_listed(host: &str, row: &VmRow, known: Resource) -> Resource {
    Resource {
        vmid: row.vmid,
        node: host.to_owned(),
        kind: "qemu".to_owned(),
        name: row.name.clone(),
        status: row.status.clone(),
        tags: row.tags.clone(),
        lock: row.lock.clone(),
        template: row.template,
        ..known
    }
}

fn unseen(vmid: u32) -> Failure {
    let message = format!("the token may not see VM {vmid}, which may be a node's");
    let hint = format!("give it VM.Audit on /vms/{vmid}, or remove the ACL entry there");
    Failure::new(Exit::NotAllowed, Code::NotAllowed, message).hint(hint)
}

/// The cluster's name and quorum, for who may know them.
async fn cluster_status(pve: &Client, rights: &Rights) -> Result<Vec<ClusterPart>, pve_client::Error> {
    if !rights.holds("/", pve_client::rights::USEFUL) {
        return Ok(Vec::new());
    }
    match pve.ask(&request::cluster_status()).await {
        Err(error) if error.kind() == Some(Kind::Forbidden) => Ok(Vec::new()),
        parts => parts,
    }
}

/// The VMs of each host. One that doesn't answer is no failure of the others.
async fn lists(
    pve: &Client,
    hosts: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, Result<Vec<VmRow>, Failure>>, Failure> {
    let asked = |host: String| {
        let pve = pve.clone();
        async move {
            let mut rows = pve.ask(&request::vms(&host)).await;
            // The server reads the VMs' configs one by one, and one that is just being destroyed fails them all.
            for _ in 0..MOVES {
                if rows.as_ref().is_err_and(pve_client::Error::is_no_vm) {
                    rows = pve.ask(&request::vms(&host)).await;
                }
            }
            (host, rows)
        }
    };
    let mut lists = BTreeMap::new();
    for (host, rows) in together(hosts.map(asked)).await {
        let rows = match rows {
            Ok(rows) => Ok(rows),
            Err(error) if error.facts().exit.is_retryable() => Err(Failure::from(error)),
            Err(error) => return Err(error.into()),
        };
        lists.insert(host, rows);
    }
    Ok(lists)
}

/// Reads the configs of these VMs. One that vanishes meanwhile is left out.
async fn configs(pve: &Client, candidates: Vec<Candidate>) -> Vec<Known> {
    let work = candidates.into_iter().map(|candidate| config(pve.clone(), candidate));
    let mut known: Vec<Known> = together(work).await.into_iter().flatten().collect();
    known.sort_by_key(|known| known.vmid);
    known
}

/// Reads the config of a VM; one that isn't where it was a moment ago is looked for again. `None` if it is gone.
async fn config(pve: Client, candidate: Candidate) -> Option<Known> {
    let Candidate { vmid, mut host, name, running, is_tagged } = candidate;
    for _ in 0..MOVES {
        let config = match pve.ask(&request::pending(&host, vmid)).await {
            Err(error) if error.is_no_vm() => match whereabouts(&pve, vmid).await {
                Ok(Some(moved)) => {
                    host = moved;
                    continue;
                }
                Ok(None) => return None,
                Err(error) => Err(error),
            },
            config => config,
        };
        let config = config.map_err(Failure::from);
        // The config has the name of a VM whose row came without one.
        let own = config.as_ref().ok().and_then(|config| config.get("name"));
        let name = own.map_or(name, str::to_owned);
        return Some(Known { vmid, host, name, running, is_tagged, config });
    }
    let message = format!("VM {vmid} was on {host} a moment ago, and isn't there now: it is being moved");
    let failure = Failure::new(Exit::Unreachable, Code::Unreachable, message);
    Some(Known { vmid, host, name, running, is_tagged, config: Err(failure) })
}

/// The host that a VM is on now; `None` if there is none of this ID any more.
pub(crate) async fn whereabouts(pve: &Client, vmid: u32) -> Result<Option<String>, pve_client::Error> {
    let guests = pve.ask(&request::guests()).await?;
    Ok(guests.into_iter().find(|guest| guest.vmid == vmid && guest.kind == "qemu").map(|guest| guest.node))
}

/// Runs this work, a few at a time, in any order.
pub(crate) async fn together<T: Send + 'static>(
    work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let (mut waiting, mut running, mut done) = (work, JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE {
            let Some(next) = waiting.next() else { break };
            running.spawn(next);
        }
        match running.join_next().await {
            Some(Ok(found)) => done.push(found),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => return done,
        }
    }
}

/// A host with the memory and cores that its guests may use together.
fn described(host: &Resource, guests: &[Resource]) -> Host {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_is_named_as_its_host_lists_it_also_while_the_cluster_does_not_know_it_yet() {
        let row = |vmid: u32, name: Option<&str>| VmRow { vmid, name: name.map(Into::into), ..VmRow::default() };
        let lists = BTreeMap::from([("pve1".to_owned(), Ok(vec![row(300, Some("hand")), row(301, Some("new"))]))]);
        let old = Resource { vmid: 300, node: "pve1".into(), kind: "qemu".into(), ..Resource::default() };
        let (identity, roster) = (Identity::new("00112233445566778899aabbccddeeff"), Roster::default());
        let wanted = Wanted {
            identity: &identity,
            roster: &roster,
            pool: None,
            creates: true,
            is_new: false,
            orphans: false,
            tried: &BTreeSet::new(),
        };
        let mut inventory = Inventory::default();

        assert!(inventory.sort_out(&[old], &lists, wanted).is_empty());

        let named: Vec<(u32, Option<&str>)> =
            inventory.others.iter().map(|other| (other.vmid, other.name.as_deref())).collect();
        assert_eq!(named, [(300, Some("hand")), (301, Some("new"))]);
        assert!(inventory.others.iter().all(|other| other.kind == "qemu" && other.node == "pve1"));
    }
}
