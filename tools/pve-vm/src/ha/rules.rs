//! Asking for the rules of high availability, and changing ours.

use std::collections::BTreeSet;

use pve_client::{Kind, answer::HaRule, request};
use record::{Change, Failure};
use step::{Expired, Hold, Stop};
use tokio::sync::Mutex;

use super::{
    Managed,
    affinity::{Affinity, Members, Owner, RuleCall, crowded, foreign, forgetting, others, sid},
};
use crate::{changes::VmOperation, error::Error, fleet::Fleet, reconcile::Reconcile};

/// The rules as they were last seen, and who wishes what. Only one node at a time changes rules.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// `None` if they must be read again.
    known: Option<Vec<HaRule>>,
    members: Members,
    /// The VMs that this run has put under high availability.
    managed: BTreeSet<String>,
    /// Those that it has destroyed: what was seen of them before doesn't hold for a new VM of the same ID.
    gone: BTreeSet<String>,
}

impl Fleet {
    /// The names of all VMs that high availability has.
    async fn managed_vms(&self, book: &Book) -> Result<BTreeSet<String>, Failure> {
        let at_first = self.ha_resources().await?.iter().map(|resource| resource.sid.clone());
        let now = at_first.filter(|sid| !book.gone.contains(sid));
        Ok(now.chain(book.managed.iter().cloned()).collect())
    }

    /// Whether this run has destroyed the VM that had this ID.
    pub(super) async fn has_destroyed(&self, vmid: u32) -> bool {
        self.rules.book.lock().await.gone.contains(&sid(vmid))
    }

    /// Sends a call about a rule. Without an answer, the rules are read again before anything else is decided.
    async fn send_rule(&self, call: &RuleCall, digest: Option<&str>) -> Result<(), pve_client::Error> {
        match call {
            RuleCall::Add(rule, options) => self.pve.ask(&request::add_ha_rule(rule, options.clone())).await,
            RuleCall::Change(rule, options) => {
                self.pve.ask(&request::change_ha_rule(rule, digest, options.clone())).await
            }
            RuleCall::Remove(rule) => self.pve.ask(&request::remove_ha_rule(rule)).await,
        }
    }
}

/// Whether a refusal may pass: high availability learns which hosts there are some seconds after its first VM.
fn is_early(error: &pve_client::Error, hosts: usize, call: &RuleCall) -> bool {
    let text = error.refusal().map(ToString::to_string).unwrap_or_default();
    let count = match call {
        RuleCall::Add(_, sent) | RuleCall::Change(_, sent) => {
            let resources = sent.iter().find(|(name, _)| name == "resources");
            resources.map_or(0, |(_, value)| value.split(',').count())
        }
        RuleCall::Remove(_) => 0,
    };
    text.contains("more resources than available nodes") && count <= hosts
}

impl Reconcile<'_> {
    fn affinity(&self) -> Affinity {
        match &self.machine.managed {
            Managed::Yes(_, affinity) => affinity.clone(),
            Managed::Unset | Managed::No => Affinity::default(),
        }
    }

    fn owner<'b>(&'b self, tag: &'b str, vmid: Option<u32>, plans: bool) -> Owner<'b> {
        Owner { tag, cluster: &self.fleet.cluster, node: &self.machine.name, vmid, plans }
    }

    /// What differs between the rules and the file. Refuses what Proxmox VE would, and what would end where the file
    /// doesn't want the VM.
    pub(super) async fn rule_differences(&self, vmid: Option<u32>) -> Result<Vec<Change>, Failure> {
        let (wish, tag) = (self.affinity(), self.fleet.identity.tag());
        self.check_hosts(&wish)?;
        let others = self.wishes_of_others(&wish).await?;
        let mut book = self.fleet.rules.book.lock().await;
        book.members.insert(self.machine.name.clone(), (wish.clone(), vmid));
        let hosts = self.fleet.inventory.hosts.len();
        let mut all = book.members.clone();
        for (node, wish) in others {
            all.entry(node).or_insert((wish, None));
        }
        if let Some(why) = wish.groups.iter().find_map(|group| crowded(&all, group, hosts)) {
            return Err(Error::Crowded { node: self.machine.name.clone(), why }.into());
        }
        // A VM that isn't there yet is in no rule; and before there are rules, nobody has one.
        if (wish.is_none() && vmid.is_none()) || self.fleet.pve_release().await? < super::RULES_SINCE {
            return Ok(Vec::new());
        }
        let rules = self.rules_in(&mut book).await?;
        if let Some(vmid) = vmid.filter(|_| !wish.hosts.is_empty())
            && let Some(rule) = foreign(&tag, vmid, &rules)
        {
            return Err(Error::ForeignRule { vmid, node: self.machine.name.clone(), rule: rule.rule.clone() }.into());
        }
        let managed = self.fleet.managed_vms(&book).await?;
        let found = wish.differences(self.owner(&tag, vmid, true), &rules, &book.members, &managed);
        Ok(found.into_iter().map(|(change, _)| change).collect())
    }

    /// What the other control planes wish, if this is one and is in a group: what there is no room for is refused before the
    /// first of them is made.
    async fn wishes_of_others(&self, wish: &Affinity) -> Result<Vec<(String, Affinity)>, Failure> {
        if !self.machine.control_plane || wish.groups.is_empty() {
            return Ok(Vec::new());
        }
        let mut wishes = Vec::new();
        // It ends early only where the step was asked to stop.
        let others = self.run.control_planes().await.map_err(|_| Failure::interrupted())?;
        for node in others {
            let Some(value) = node.typed_spec()?.vm.get("ha").cloned() else { continue };
            // What is wrong with its wish is that node's own error.
            if let Ok(Managed::Yes(_, affinity)) = Managed::read(&value) {
                wishes.push((node.name().to_owned(), affinity));
            }
        }
        Ok(wishes)
    }

    fn check_hosts(&self, wish: &Affinity) -> Result<(), Error> {
        let node = || self.machine.name.clone();
        let known: Vec<&str> = self.fleet.inventory.hosts.iter().map(|host| host.name.as_str()).collect();
        match wish.hosts.keys().find(|host| !known.contains(&host.as_str())) {
            None => Ok(()),
            Some(host) => {
                let hosts = known.join(", ");
                Err(Error::HaHost { node: node(), host: host.clone(), hosts })
            }
        }
    }

    async fn rules_in(&self, book: &mut Book) -> Result<Vec<HaRule>, pve_client::Error> {
        if let Some(known) = &book.known {
            return Ok(known.clone());
        }
        let read = self.fleet.pve.ask(&request::ha_rules()).await?;
        book.known = Some(read.clone());
        Ok(read)
    }

    /// Makes the rules about the VM what the file says. It is managed by now, if the file says so.
    pub(super) async fn keep_rules(&self, vmid: u32) -> Result<Vec<Change>, Stop> {
        let (wish, tag) = (self.affinity(), self.fleet.identity.tag());
        if self.fleet.pve_release().await? < super::RULES_SINCE {
            return Ok(Vec::new());
        }
        let book = Mutex::new(self.fleet.rules.book.lock().await);
        {
            let mut book = book.lock().await;
            book.members.insert(self.machine.name.clone(), (wish.clone(), Some(vmid)));
            if self.machine.managed != Managed::No {
                book.managed.insert(sid(vmid));
            }
        }
        let done = Mutex::new(Vec::new());
        let look = || async {
            let mut book = book.lock().await;
            loop {
                let rules = self.rules_in(&mut book).await?;
                let managed = self.fleet.managed_vms(&book).await?;
                let owner = self.owner(&tag, Some(vmid), false);
                let found = wish.differences(owner, &rules, &book.members, &managed);
                let Some((change, call)) = found.into_iter().next() else { return Ok(()) };
                book.known = None;
                let digest = rules.first().and_then(|rule| rule.digest.as_deref());
                match self.fleet.send_rule(&call, digest).await {
                    Ok(()) => {
                        self.run.say(self.node, &format!("changed VM {vmid}: {}", told(&change)));
                        done.lock().await.push(change);
                    }
                    // The reply to an earlier try was lost, or somebody was faster.
                    Err(error) if error.kind() == Some(Kind::Exists) => {}
                    Err(error) if is_early(&error, self.fleet.inventory.hosts.len(), &call) => {
                        return Err(Hold::not_yet("high availability doesn't know all hosts yet"));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let expired =
            |expired: Expired| Error::RulesBusy { node: self.machine.name.clone(), last: expired.last }.into();
        self.run.wait(self.node).until_or(look, expired).await?;
        Ok(done.into_inner())
    }
}

fn told(change: &Change) -> String {
    let text = |value: &Option<serde_json::Value>| match value.as_ref().and_then(serde_json::Value::as_str) {
        Some(text) => text.to_owned(),
        None => "(none)".to_owned(),
    };
    format!("{} {} -> {}", change.what, text(&change.from), text(&change.to))
}

impl VmOperation<'_> {
    /// Says in which rules of others the VM is that is about to be destroyed: Proxmox VE takes it out of them, and a rule
    /// about it alone goes.
    pub(crate) async fn tell_rules(&self) -> Result<(), Stop> {
        let rights = &self.fleet.inventory.rights;
        if !rights.holds("/", "Sys.Audit") || self.fleet.pve_release().await? < super::RULES_SINCE {
            return Ok(());
        }
        let vmid = self.location.vmid;
        let is_managed = self.fleet.ha_resources().await?.iter().any(|resource| resource.sid == sid(vmid));
        if !is_managed {
            return Ok(());
        }
        let rules = self.fleet.pve.ask(&request::ha_rules()).await?;
        let theirs = others(&self.fleet.identity.tag(), vmid, &rules);
        if !theirs.is_empty() {
            let text = format!("Proxmox VE takes VM {vmid} out of the HA rules of others, too: {}", theirs.join(", "));
            self.run.say(self.node, &text);
        }
        Ok(())
    }

    /// Takes a VM that was destroyed out of our rules: Proxmox VE leaves one that is about a single VM, and the next VM of
    /// this ID must not be in one. If another one takes its place, such a rule stays for it.
    pub(crate) async fn leave_rules(&self, is_replaced: bool) -> Result<(), Stop> {
        let (vmid, rights) = (self.location.vmid, &self.fleet.inventory.rights);
        let mut book = self.fleet.rules.book.lock().await;
        book.known = None;
        book.managed.remove(&sid(vmid));
        book.gone.insert(sid(vmid));
        book.members.remove(&self.machine.name);
        if !rights.holds("/", "Sys.Console") || !rights.holds("/", "Sys.Audit") {
            return Ok(());
        }
        if self.fleet.pve_release().await? < super::RULES_SINCE {
            return Ok(());
        }
        let tag = self.fleet.identity.tag();
        let look = || async {
            loop {
                let rules = self.fleet.pve.ask(&request::ha_rules()).await?;
                let Some(call) = forgetting(&tag, vmid, &rules, is_replaced) else { return Ok(()) };
                self.fleet.send_rule(&call, rules.first().and_then(|rule| rule.digest.as_deref())).await?;
            }
        };
        let expired =
            |expired: Expired| Error::RulesBusy { node: self.machine.name.clone(), last: expired.last }.into();
        self.run.wait(self.node).until_or(look, expired).await
    }
}
