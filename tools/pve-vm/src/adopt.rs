//! Whether a node may have an existing VM, and what that changes. Pure.
//!
//! An adoption touches nothing that the guest or its disks notice: it writes the mark (description and tags) and remembers
//! the VM's UUID and MAC addresses in `ichor.lock`. The UUID stays what it is: Talos may have encrypted disks with it, and
//! nodes are known by it. What else differs from the file is shown, and left to `pve-vm`, with the flags that it needs. What
//! `pve-vm` could only get by recreating the VM or by giving up a disk is refused.

use std::collections::BTreeMap;

use pve_client::answer::Config;
use record::{Change, Impact, LockedMachine, Role, Roster};

use crate::{
    difference::{Act, Difference, Item},
    error::Error,
    identity::{Identity, described, other_mark},
    location::Location,
    orphans::macs,
    parameters::{Kind, find},
};

mod doing;
mod search;

pub(crate) use doing::{Adopting, Adoption};

/// What the mark of a VM is written to.
const MARK: [&str; 2] = ["description", "tags"];

/// Another VM, as far as two VMs must not share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) vmid: u32,
    pub(crate) name: String,
    pub(crate) uuid: Option<String>,
    pub(crate) macs: BTreeMap<usize, String>,
}

impl Neighbour {
    pub(crate) fn of(vmid: u32, name: &str, config: &Config) -> Self {
        Self { vmid, name: name.to_owned(), uuid: config.uuid(), macs: macs(config) }
    }

    fn told(&self) -> String {
        format!("VM {} ({})", self.vmid, self.name)
    }
}

/// Why a VM can't be adopted as it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) why: String,
    pub(crate) hint: String,
}

impl Objection {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }

    /// Another node of the same call gets the VM.
    fn taken(other: &str) -> Self {
        Self::new(format!("--vm gives it to node {other}, too"), "name each VM once")
    }

    /// The file says another role than Talos on the VM.
    fn of_role(found: Role, wanted: Role) -> Self {
        Self::new(
            format!("Talos on it is a {found}, and the file says {wanted}"),
            "correct the role in the file, or choose another VM",
        )
    }
}

/// The VM that a node is to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) location: &'a Location,
    pub(crate) name: &'a str,
    pub(crate) config: &'a Config,
}

impl Candidate<'_> {
    pub(crate) fn told(&self) -> String {
        format!("VM {} ({}) on {}", self.location.vmid, self.name, self.location.host)
    }

    /// The failure for these objections.
    pub(crate) fn refused(&self, node: &str, objections: &[Objection]) -> Error {
        let all = |part: fn(&Objection) -> &String| objections.iter().map(part).cloned().collect::<Vec<_>>();
        Error::NotAdoptable {
            vm: self.told(),
            node: node.to_owned(),
            why: all(|objection| &objection.why),
            hints: all(|objection| &objection.hint),
        }
    }

    /// Whether it is the node's VM already.
    pub(crate) fn is_adopted(&self, identity: &Identity, node: &str) -> bool {
        self.config.uuid() == Some(identity.uuid(node)) && identity.marks(self.config)
    }

    /// What the VM is known by.
    ///
    /// # Errors
    /// Why it can't be known by what it has.
    pub(crate) fn machine(&self, neighbours: &[Neighbour]) -> Result<LockedMachine, Vec<Objection>> {
        let (vmid, host) = (self.location.vmid, &self.location.host);
        let Some(uuid) = self.config.uuid() else {
            return Err(vec![Objection::new(
                "it has no SMBIOS UUID, by which a node is known",
                format!(
                    "give it one (`qm set {vmid} -smbios1 uuid=UUID` on {host}); its guest sees it after the next start"
                ),
            )]);
        };
        let machine = LockedMachine { uuid, macs: macs(self.config) };
        let objections: Vec<Objection> = neighbours
            .iter()
            .filter(|neighbour| neighbour.vmid != vmid)
            .flat_map(|neighbour| shared(&machine, neighbour))
            .collect();
        if objections.is_empty() { Ok(machine) } else { Err(objections) }
    }

    /// Whose the VM is, if not free for this node.
    pub(crate) fn owned(&self, identity: &Identity, node: &str, roster: &Roster) -> Vec<Objection> {
        let (vmid, config) = (self.location.vmid, self.config);
        let mut found = Vec::new();
        if config.is_set("template") {
            found.push(Objection::new("it is a template", "clone it, and adopt the clone"));
        }
        if let Some(mark) = other_mark(config, identity) {
            found.push(Objection::new(
                format!("it has the mark of another cluster, or of another ichor.lock of this one ({mark})"),
                "restore that ichor.lock; or, if nothing needs it any more, remove the mark from its description and tags",
            ));
        }
        let is_of = |other: &str| config.uuid() == Some(identity.uuid(other));
        let others = roster.iter().map(|entry| &*entry.name).filter(|name| *name != node);
        let proven = identity.node(config).filter(|name| *name != node);
        if let Some(other) = others.clone().find(|name| is_of(name)).or(proven) {
            found.push(Objection::new(format!("it is the VM of node {other} of this cluster"), "choose another VM"));
        } else if identity.marks(config)
            && let Some(other) = described(config).filter(|name| *name != node)
        {
            found.push(Objection::new(
                format!("its mark says that it is node {other} of this cluster, so it may be a copy of that VM"),
                format!("if it is to be node {node}, remove the mark from the description and the tags of VM {vmid}"),
            ));
        }
        found
    }
}

/// What a VM shares with another one.
fn shared(machine: &LockedMachine, other: &Neighbour) -> Vec<Objection> {
    let mut found = Vec::new();
    if other.uuid.as_ref() == Some(&machine.uuid) {
        found.push(Objection::new(
            format!("{} has the same SMBIOS UUID {}", other.told(), machine.uuid),
            "one is a copy of the other: remove it, or give it another UUID",
        ));
    }
    if let Some(mac) = machine.macs.values().find(|mac| other.macs.values().any(|theirs| theirs == *mac)) {
        found.push(Objection::new(
            format!("{} has the same MAC address {mac}", other.told()),
            "give the network card of one of them another address",
        ));
    }
    found
}

/// What `pve-vm` could only get by losing something.
pub(crate) fn losses(difference: &Difference, node: &str) -> Vec<Objection> {
    let as_it_is = || format!("write into the file what the VM has, under `vm` of node {node}");
    let recreated = difference.recreate().into_iter().map(|why| {
        Objection::new(format!("{why}: it would have to be recreated, and its data would be lost"), as_it_is())
    });
    let given_up = difference.replaced().map(|(slot, why)| {
        Objection::new(format!("its {slot} would be given up for an empty disk: {why}"), as_it_is())
    });
    let moved = difference
        .moved()
        .map(|(slot, why)| Objection::new(format!("its {slot} is in another slot: {why}"), as_it_is()));
    recreated.chain(given_up).chain(moved).collect()
}

/// What an adoption changes, and what it leaves to `pve-vm`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// The machine to remember, if what it is known by isn't derived.
    pub(crate) remembered: Option<LockedMachine>,
    /// The parameters that are the mark, with their values.
    pub(crate) mark: Vec<(String, String)>,
    /// The changes of the adoption.
    pub(crate) changes: Vec<Change>,
    /// What differs then.
    pub(crate) differs: Difference,
}

/// Plans an adoption: the lock's part by the identity without it, the VM's part by the difference from a spec with it.
pub(crate) fn plan(identity: &Identity, node: &str, machine: &LockedMachine, difference: Difference) -> Plan {
    let is_known =
        identity.uuid(node) == machine.uuid && machine.macs.iter().all(|(nic, mac)| identity.mac(node, *nic) == *mac);
    let mut changes = Vec::new();
    if !is_known {
        let to = format!("node {node} has the UUID {} and its MAC addresses", machine.uuid);
        changes
            .push(Change::live("ichor.lock").from(format!("node {node} has the UUID {}", identity.uuid(node))).to(to));
    }
    let (mark, items): (Vec<Item>, Vec<Item>) =
        difference.items.into_iter().partition(|item| MARK.contains(&item.key.as_str()));
    changes.extend(mark.iter().map(|item| item.change.clone()));
    Plan {
        remembered: (!is_known).then(|| machine.clone()),
        mark: written(&mark),
        changes,
        differs: Difference { items, told: difference.told },
    }
}

/// The parameters of a mark.
fn written(mark: &[Item]) -> Vec<(String, String)> {
    let value = |item: &Item| match &item.act {
        Act::Set(value) => Some((item.key.clone(), value.clone())),
        _ => None,
    };
    mark.iter().filter_map(value).collect()
}

/// What makes the file say what the VM has: the values of `vm` that differ and that only a power cycle would change.
pub(crate) fn as_it_is(differs: &Difference) -> Option<String> {
    let keeps = |item: &&Item| {
        let is_plain = matches!(item.act, Act::Set(_)) && !item.key.starts_with("net");
        is_plain
            && item.change.impact == Impact::PowerCycle
            && find(&item.key).is_some_and(|known| known.kind != Kind::Drive)
    };
    let value = |item: &Item| item.change.from.as_ref().and_then(|from| from.as_str().map(str::to_owned));
    let pairs =
        differs.items.iter().filter(keeps).filter_map(|item| Some(format!("{}: \"{}\"", item.key, value(item)?)));
    let pairs: Vec<String> = pairs.collect();
    (!pairs.is_empty()).then(|| format!("vm: {{{}}}", pairs.join(", ")))
}

#[cfg(test)]
mod tests;
