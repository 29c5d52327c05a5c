//! VMs of the cluster that the file doesn't list: nodes that left it.
//!
//! Which node an orphan was is proven by its UUID. Its role is in its mark; VMs of earlier releases have a mark without
//! one, and then Talos is asked on the VM itself. Nothing is guessed: an orphan whose role nobody knows is refused.

use std::collections::BTreeSet;

use pve_client::answer::{Config, Resource};
use record::{Entry, Failure, Map, Node, Role, Roster};
use step::Run;

use crate::{
    error::Error,
    identity::{self, Identity},
    inventory::{Inventory, Known, is_trial, tagged},
    nic::Nic,
    parameters::index,
};

mod asking;

pub(crate) use asking::{Machine, Search, announce, list};

/// A VM of the cluster whose node the file doesn't list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orphan<'a> {
    pub(crate) known: &'a Known,
    pub(crate) config: &'a Config,
    /// The name of its node.
    pub(crate) node: &'a str,
    /// Its node's role, if its mark says it.
    pub(crate) role: Option<Role>,
}

impl Orphan<'_> {
    /// What it is, for messages: `VM 104 (w-2) on pve1`.
    pub(crate) fn told(&self) -> String {
        told(self.known)
    }

    /// Its node as a record: what the file would say of it, as far as the VM holds it.
    fn record(&self, cluster: &str, role: Role) -> Node {
        let mut spec = Map::new();
        spec.insert("role".into(), role.as_str().into());
        if let Some(address) = address(self.config) {
            spec.insert("address".into(), address.into());
        }
        Node::new(self.node, cluster, spec)
    }
}

/// A VM for messages.
pub(crate) fn told(known: &Known) -> String {
    format!("VM {} ({}) on {}", known.vmid, known.name, known.host)
}

/// The static address of the first NIC, with its prefix length.
fn address(config: &Config) -> Option<String> {
    let network = config.property("ipconfig0")?;
    let addresses = ["ip", "ip6"].into_iter().filter_map(|key| network.get(key));
    addresses.filter(|text| text.contains('/')).map(str::to_owned).next()
}

/// The hardware addresses of a VM's NICs by their number, upper case.
pub(crate) fn macs(config: &Config) -> std::collections::BTreeMap<usize, String> {
    let mac = |(key, value): (&str, &str)| Some((index(key, "net")?, Nic::parse(value).mac?.to_ascii_uppercase()));
    config.values().filter_map(mac).collect()
}

impl Inventory {
    /// The VMs of nodes that the roster lacks, in the order of their VM IDs. A VM that somebody renamed and described anew
    /// is known only to who asks for its node by name.
    pub(crate) fn orphans<'a>(
        &'a self,
        identity: &'a Identity,
        roster: &Roster,
        asked: &'a [String],
    ) -> Vec<Orphan<'a>> {
        let orphan = |known: &'a Known| {
            let config =
                known.config.as_ref().ok().filter(|config| identity.marks(config) && !is_trial(known, identity))?;
            let is_it = |name: &&'a str| config.uuid() == Some(identity.uuid(name));
            let node = identity.node(config).or_else(|| asked.iter().map(String::as_str).find(is_it));
            let node = node.filter(|node| roster.position(node).is_none())?;
            Some(Orphan { known, config, node, role: identity::role(config) })
        };
        self.known.iter().filter_map(orphan).collect()
    }

    /// Refuses to take the orphans that are seen for all there are.
    pub(crate) fn sees_orphans(&self, identity: &Identity, roster: &Roster) -> Result<(), Failure> {
        let listed = |name: &str| roster.iter().any(|entry| identity.vm_name(&entry.name) == name);
        // A VM with the name of a listed node is that node's error.
        let unread =
            self.known.iter().filter(|known| !listed(&known.name)).filter_map(|known| known.config.as_ref().err());
        if let Some(failure) = unread.chain(&self.unread).next() {
            return Err(failure.clone());
        }
        let Some(hidden) = self.hidden.iter().find(|hidden| self.may_be_orphan(&hidden.row, identity, roster)) else {
            return Ok(());
        };
        let (vmid, host, name) = (hidden.row.vmid, hidden.row.node.clone(), hidden.row.name.clone());
        Err(Error::OfflineOrphan { vmid, host, name, why: hidden.why.as_ref().map(|failure| failure.message.clone()) }
            .into())
    }

    /// Whether a VM on a host that can't be asked may be an orphan. Tags are known also of hosts that are offline; where
    /// policy reserves them, our VMs have none.
    fn may_be_orphan(&self, row: &Resource, identity: &Identity, roster: &Roster) -> bool {
        let is_marked = |known: &&Known| known.config.as_ref().is_ok_and(|config| identity.marks(config));
        let lacks_tags = || self.known.iter().filter(is_marked).any(|known| !known.is_tagged);
        match row.name.as_deref() {
            Some(name) if roster.iter().any(|entry| identity.vm_name(&entry.name) == name) => false,
            _ if tagged(row.tags.as_deref(), identity) => true,
            Some(_) => lacks_tags(),
            None => !self.is_new && (lacks_tags() || !self.known.iter().any(|known| is_marked(&known))),
        }
    }
}

/// Refuses two VMs of one node.
fn distinct(orphans: &[Orphan<'_>]) -> Result<(), Error> {
    let mut nodes = BTreeSet::new();
    match orphans.iter().find(|orphan| !nodes.insert(orphan.node)) {
        Some(twin) => {
            let first = orphans.iter().find(|orphan| orphan.node == twin.node).unwrap_or(twin);
            Err(Error::Twice { first: first.known.vmid, second: twin.known.vmid, node: twin.node.to_owned() })
        }
        None => Ok(()),
    }
}

/// Picks the orphans of these nodes. Of one that is in the file something else is said than of one that is nowhere.
fn named<'a>(orphans: Vec<Orphan<'a>>, names: &[String], roster: &Roster) -> Result<Vec<Orphan<'a>>, Error> {
    if let Some(name) = names.iter().find(|name| roster.position(name).is_some()) {
        return Err(Error::Listed { node: name.clone() });
    }
    Ok(orphans.into_iter().filter(|orphan| names.iter().any(|name| name == orphan.node)).collect())
}

/// The orphans among the nodes of a stream that the step acts on.
pub(crate) fn listed(run: &Run) -> Vec<String> {
    let roster = run.listed();
    let orphans = roster.iter().filter(|entry: &&Entry| entry.orphan && run.is_selected(&entry.name));
    orphans.map(|entry| entry.name.to_string()).collect()
}

/// The command that destroys the VM of a node that left the file.
pub(crate) fn removal(run: &Run, node: &str) -> String {
    let file = run.flags().file.clone().filter(|file| run.is_first() && file != "-");
    let input = match file {
        Some(file) => format!(" -f {}", step::quoted(&file)),
        None if step::variable("ICHOR_CLUSTER").is_some() => String::new(),
        None => " -f FILE".to_owned(),
    };
    format!("`pve-vm destroy{input} --orphan {node}`")
}

/// What is said of a VM of the cluster that the file doesn't list, and that stays.
pub(crate) fn kept(run: &Run, identity: &Identity, known: &Known) -> String {
    let node = known.config.as_ref().ok().and_then(|config| identity.node(config));
    match node {
        Some(node) => format!(
            "{} belongs to this cluster but isn't in the file: kept. To remove it: {}",
            told(known),
            removal(run, node)
        ),
        None => format!("{}: kept", copy(known)),
    }
}

/// What is said of a VM with our mark whose UUID is no node's.
pub(crate) fn copy(known: &Known) -> String {
    let node = known.config.as_ref().ok().and_then(identity::described);
    let whose = node.map_or_else(|| "any node".to_owned(), |node| format!("node {node}"));
    format!("{} has the mark of this cluster, but not the UUID of {whose}, so it may be a copy", told(known))
}

#[cfg(test)]
mod tests;
