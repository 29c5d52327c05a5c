//! The inventory of Proxmox VE: hosts, and the VMs that may be ours.
//!
//! What can't be seen is never taken for absent: a VM that may be a node's, and that can't be looked at, is the node's
//! error.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::{
    Rights,
    answer::{Config, Resource},
};
use record::{Failure, Roster};

use crate::{
    error::{Error, least},
    identity::{Identity, described, has_tag},
    placement::Host,
    trial::tried_node,
};

mod read;

pub(crate) use read::{Wanted, together, whereabouts};

/// A VM that may be ours: it has the name of a node, our tag, or no name yet.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) vmid: u32,
    pub(crate) host: String,
    pub(crate) name: String,
    /// Whether it runs, as its host reported.
    pub(crate) running: bool,
    pub(crate) is_tagged: bool,
    /// Its config, or why it can't be read.
    pub(crate) config: Result<Config, Failure>,
}

impl Known {
    /// Whether it has this SMBIOS UUID.
    pub(crate) fn has(&self, uuid: &str) -> bool {
        self.config.as_ref().is_ok_and(|config| config.uuid().as_deref() == Some(uuid))
    }
}

/// A VM on a host that can't be asked.
#[derive(Debug, Clone)]
pub(crate) struct Hidden {
    pub(crate) row: Resource,
    /// Why the host can't be asked: it is offline, or what it answered.
    pub(crate) why: Option<Failure>,
}

/// Hosts and VMs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inventory {
    /// The name of the Proxmox VE cluster; a lone host has none.
    pub(crate) region: Option<String>,
    /// Whether enough hosts are connected to change anything; unknown without Sys.Audit.
    pub(crate) quorate: Option<bool>,
    /// What the token may do.
    pub(crate) rights: Rights,
    pub(crate) hosts: Vec<Host>,
    pub(crate) known: Vec<Known>,
    /// All VMs that the token may see and that aren't among [`Self::known`]: others'.
    pub(crate) others: Vec<Resource>,
    /// All VM IDs that are taken, also those of other guests.
    pub(crate) taken: BTreeSet<u32>,
    /// The pools of VMs, as far as the token sees pools.
    pub(crate) pools: BTreeMap<u32, String>,
    /// VMs on hosts that can't be asked, with their last known names.
    pub(crate) hidden: Vec<Hidden>,
    /// Why a VM that may be a node's can't be looked at, though it has neither name nor tag of one.
    pub(crate) unread: Option<Failure>,
    /// Whether the cluster got its identity in this run, so that no VM can be its own yet.
    pub(crate) is_new: bool,
    /// The nodes whose new VM an earlier run tried, and maybe left.
    pub(crate) tried: BTreeSet<String>,
}

/// Whose VMs of a node's name stand in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namesakes {
    /// Anybody's: the node would get a second VM of its name.
    Refused,
    /// Only those of a cluster of this name: others' have nothing to do with what is looked for.
    Ignored,
}

impl Inventory {
    /// Counts the cluster's nodes on each host.
    fn count(&mut self, identity: &Identity, roster: &Roster) {
        let control_plane = |name: &str| roster.control_planes().any(|entry| &*entry.name == name);
        for known in &self.known {
            let Some(node) = known.config.as_ref().ok().and_then(|config| identity.node(config)) else { continue };
            if let Some(host) = self.hosts.iter_mut().find(|host| host.name == known.host) {
                if control_plane(node) { host.control_planes += 1 } else { host.workers += 1 }
            }
        }
    }

    /// The VM of a node, if it exists.
    pub(crate) fn find(
        &self,
        identity: &Identity,
        cluster: &str,
        node: &str,
        namesakes: Namesakes,
    ) -> Result<Option<&Known>, Failure> {
        let uuid = identity.uuid(node);
        let mut same = self.known.iter().filter(|known| known.has(&uuid));
        if let Some(found) = same.next() {
            let (vmid, host) = (found.vmid, found.host.clone());
            if let Some(second) = same.next() {
                return Err(Error::Twice { first: vmid, second: second.vmid, node: node.into() }.into());
            }
            let marked = found.config.as_ref().is_ok_and(|config| identity.marks(config));
            if namesakes == Namesakes::Refused {
                self.check_namesakes(found, identity, cluster, node)?;
            }
            return if marked {
                Ok(Some(found))
            } else {
                Err(Error::Unmarked { vmid, host, node: node.into() }.into())
            };
        }
        let name = identity.vm_name(node);
        for known in self.known.iter().filter(|known| known.name == name) {
            let config = known.config.as_ref().map_err(Clone::clone)?;
            // One of ours that has this name is another node's, or a copy.
            if identity.marks(config) {
                continue;
            }
            match refuse_namesake(known, config, cluster) {
                Err(Error::Foreign { .. }) if namesakes == Namesakes::Ignored => {}
                checked => checked?,
            }
        }
        let is_marked = |known: &&Known| {
            let config = known.config.as_ref().ok().filter(|config| identity.marks(config));
            config.is_some_and(|config| described(config) == Some(node))
        };
        if let Some(known) = self.known.iter().find(is_marked).filter(|_| namesakes == Namesakes::Refused) {
            return Err(Error::OtherUuid { vmid: known.vmid, host: known.host.clone(), node: node.into() }.into());
        }
        self.unseen(identity, node)
    }

    /// Refuses a VM of a node's name beside its own: that of another set of VMs for this cluster, and where its own has
    /// another name, anybody's.
    fn check_namesakes(&self, found: &Known, identity: &Identity, cluster: &str, node: &str) -> Result<(), Failure> {
        let name = identity.vm_name(node);
        for known in self.known.iter().filter(|known| known.name == name && known.vmid != found.vmid) {
            match &known.config {
                Ok(config) if identity.marks(config) => {}
                Ok(config) if is_of_namesake(config, cluster) => {
                    let (own, other, cluster) = (found.vmid, known.vmid, cluster.to_owned());
                    return Err(Error::TwoSets { own, other, node: node.to_owned(), cluster }.into());
                }
                // A name that the pattern gives may be somebody else's already.
                Ok(config) if found.name != name => refuse_namesake(known, config, cluster)?,
                Err(failure) if found.name != name => return Err(failure.clone()),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Refuses to take a node's VM for absent while one that may be it can't be looked at.
    pub(crate) fn unseen(&self, identity: &Identity, node: &str) -> Result<Option<&Known>, Failure> {
        let unread = self.known.iter().filter(|known| known.is_tagged || known.name.is_empty());
        if let Some(failure) = unread.filter_map(|known| known.config.as_ref().err()).next() {
            return Err(failure.clone());
        }
        if let Some(failure) = &self.unread {
            return Err(failure.clone());
        }
        let Some(hidden) = self.hidden.iter().find(|hidden| self.may_be(&hidden.row, identity, node)) else {
            return Ok(None);
        };
        let (vmid, host, name) = (hidden.row.vmid, hidden.row.node.clone(), hidden.row.name.clone());
        let why = hidden.why.as_ref().map(|failure| failure.message.clone());
        Err(Error::Offline { vmid, host, name, node: node.into(), why }.into())
    }

    /// Whether a VM on a host that can't be asked may be this node's. After the host that answers was restarted, the
    /// rows of hosts that are offline have no names.
    fn may_be(&self, row: &Resource, identity: &Identity, node: &str) -> bool {
        match row.name.as_deref() {
            Some(name) => name == identity.vm_name(node),
            None => tagged(row.tags.as_deref(), identity) || (!self.is_new && !self.has_tags(identity)),
        }
    }

    /// Whether our tag is on a VM of ours: where policy reserves tags, our VMs have none.
    fn has_tags(&self, identity: &Identity) -> bool {
        self.known.iter().any(|known| known.is_tagged && known.config.as_ref().is_ok_and(|it| identity.marks(it)))
    }

    /// The pool of a VM, as far as the token sees pools.
    pub(crate) fn pool(&self, vmid: u32) -> Option<&str> {
        self.pools.get(&vmid).map(String::as_str)
    }

    /// Whether some VM can't be looked at.
    pub(crate) fn hides_any(&self) -> bool {
        self.unread.is_some() || !self.hidden.is_empty()
    }

    /// Trials that a run which was cut off left: the next one removes them. One that somebody switched on is none any more.
    pub(crate) fn trials(&self, identity: &Identity) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|known| is_trial(known, identity))
    }

    /// VMs in creation that don't show yet whose they are, if a node has none or an earlier run tried one.
    pub(crate) fn nascent(&self, identity: &Identity, roster: &Roster) -> Vec<&Known> {
        let lacks = |name: &str| self.known.iter().all(|known| !known.has(&identity.uuid(name)));
        if self.is_new || (self.tried.is_empty() && !roster.iter().any(|entry| lacks(&entry.name))) {
            return Vec::new();
        }
        self.known.iter().filter(|known| known.config.as_ref().is_ok_and(is_nascent)).collect()
    }

    /// The cluster's VMs that the file doesn't list.
    pub(crate) fn unlisted(&self, identity: &Identity, roster: &Roster) -> impl Iterator<Item = &Known> {
        // A VM that somebody renamed is still its node's.
        let names: BTreeSet<String> = roster.iter().map(|entry| identity.vm_name(&entry.name)).collect();
        let uuids: BTreeSet<String> = roster.iter().map(|entry| identity.uuid(&entry.name)).collect();
        let is_left = |known: &Known| known.config.as_ref().is_ok_and(|config| identity.node(config).is_some());
        let listed = move |known: &Known| {
            uuids.iter().any(|uuid| known.has(uuid)) || (names.contains(&known.name) && !is_left(known))
        };
        let ours = |known: &&Known| {
            known.config.as_ref().is_ok_and(|config| identity.marks(config)) && !is_trial(known, identity)
        };
        self.known.iter().filter(move |known| !listed(known)).filter(ours)
    }
}

/// Whether this is a VM that only was tried.
pub(crate) fn is_trial(known: &Known, identity: &Identity) -> bool {
    let config = known.config.as_ref().ok().filter(|config| !known.running && identity.marks(config));
    config.is_some_and(|config| tried_node(config).is_some())
}

/// Checks a VM of the same name. One of another cluster is allowed. One without a mark, or with this cluster's name and
/// another identity, is refused, so that the node doesn't get a second VM.
fn refuse_namesake(known: &Known, config: &Config, cluster: &str) -> Result<(), Error> {
    let (vmid, host, node) = (known.vmid, known.host.clone(), known.name.clone());
    if is_of_namesake(config, cluster) {
        return Err(Error::OtherLock { vmid, host, node, cluster: cluster.to_owned() });
    }
    if is_described(config, "ichor-uid: ") { Ok(()) } else { Err(Error::Foreign { vmid, host, node }) }
}

/// Whether a VM that isn't ours is one of a cluster of this name: two folders made a set of VMs each.
pub(crate) fn is_of_namesake(config: &Config, cluster: &str) -> bool {
    is_described(config, &format!("of the Talos cluster {cluster}."))
}

fn is_described(config: &Config, text: &str) -> bool {
    config.get("description").is_some_and(|description| description.contains(text))
}

/// Whether a VM is in creation and shows nothing yet: neither name nor UUID nor mark.
fn is_nascent(config: &Config) -> bool {
    config.lock() == Some("create") && config.uuid().is_none()
}

pub(crate) fn tagged(tags: Option<&str>, identity: &Identity) -> bool {
    tags.is_some_and(|tags| has_tag(tags, &identity.tag()))
}

/// Refuses to work without the rights to see the cluster's VMs: those that the token can't see would be made again.
pub(crate) fn allowed(rights: &Rights, token: &str, pool: Option<&str>, creates: bool) -> Result<(), Error> {
    let token = token.to_owned();
    if rights.is_empty() {
        return Err(Error::NoRights { token });
    }
    let pool = pool.map(|pool| format!("/pool/{pool}"));
    let holds = |privilege: &&str| {
        rights.holds_below("/vms", privilege) || pool.as_ref().is_some_and(|pool| rights.holds(pool, privilege))
    };
    let needed = if creates { &["VM.Audit", "VM.Allocate"][..] } else { &["VM.Audit"] };
    let missing: Vec<&'static str> = needed.iter().copied().filter(|privilege| !holds(privilege)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let path = pool.unwrap_or_else(|| "/vms".into());
    let commands = rights.commands(&token, &[&path], &least());
    Err(Error::Privileges { token, missing, path, commands })
}

#[cfg(test)]
mod tests;
