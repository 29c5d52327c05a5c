//! Where high availability keeps a VM: what the file says, the rules that Proxmox VE has, and what makes them alike.
//!
//! A rule of ours is known by its name. Each node looks after its own place in it only, so a run for one node never undoes
//! what another node has, and nobody else's rule is ever touched.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::{answer::HaRule, request::Parameters};
use record::Change;

use crate::values::words;

/// What the file says about where a VM is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Affinity {
    /// The hosts that it should be on, with their priorities; any if empty.
    pub(crate) hosts: BTreeMap<String, u32>,
    /// Whether it may be on no other one.
    pub(crate) strict: bool,
    /// The groups whose VMs are kept on different hosts, or on the same one.
    pub(crate) groups: BTreeSet<Group>,
}

/// VMs that are kept together, or apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) relation: Relation,
    pub(crate) name: String,
}

/// What the VMs of a group are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    Separate,
    Together,
}

impl Relation {
    pub(crate) const ALL: [Self; 2] = [Self::Separate, Self::Together];

    /// Its key in the file, which is part of the names of its rules.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Together => "together",
        }
    }

    fn affinity(self) -> &'static str {
        match self {
            Self::Separate => "negative",
            Self::Together => "positive",
        }
    }
}

/// Whose place in the rules it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// What the names of the cluster's rules begin with.
    pub(crate) tag: &'a str,
    pub(crate) cluster: &'a str,
    pub(crate) node: &'a str,
    /// The VM; a plan may be for one that isn't made yet.
    pub(crate) vmid: Option<u32>,
    /// Whether nothing is sent: then VMs that aren't managed yet count as if they were.
    pub(crate) plans: bool,
}

/// A call about a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RuleCall {
    Add(String, Parameters),
    Change(String, Parameters),
    Remove(String),
}

/// What the file says of each node that was seen so far, with its VM where it has one.
pub(crate) type Members = BTreeMap<String, (Affinity, Option<u32>)>;

/// Why the VMs of a group that is kept apart can't all be: there are so many hosts.
pub(crate) fn crowded(members: &Members, group: &Group, hosts: usize) -> Option<String> {
    let wishes = || members.values().map(|(wish, _)| wish).filter(|wish| wish.groups.contains(group));
    let bound: Vec<&Affinity> = wishes().filter(|wish| !wish.hosts.is_empty()).collect();
    let allowed: BTreeSet<&String> = bound.iter().flat_map(|wish| wish.hosts.keys()).collect();
    let (name, all) = (&group.name, wishes().count());
    match group.relation {
        Relation::Together => None,
        Relation::Separate if all > hosts => {
            Some(format!("{all} VMs are kept apart as {name}, and there are {hosts} hosts"))
        }
        Relation::Separate if bound.len() > allowed.len() => {
            Some(format!("{} VMs are kept apart as {name}, and their `nodes` are {} hosts", bound.len(), allowed.len()))
        }
        Relation::Separate => None,
    }
}

/// The hosts of a list as Proxmox VE writes it: `pve1:2,pve2`.
pub(crate) fn hosts(text: &str) -> Option<BTreeMap<String, u32>> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let host = |entry: &str| {
        let (name, priority) = entry.split_once(':').unwrap_or((entry, "0"));
        Some((name.to_owned(), priority.parse().ok()?)).filter(|(name, _)| is_name(name))
    };
    let hosts: BTreeMap<String, u32> = words(text).map(host).collect::<Option<_>>()?;
    (!hosts.is_empty()).then_some(hosts)
}

/// The name of a VM among the resources of high availability.
pub(crate) fn sid(vmid: u32) -> String {
    format!("vm:{vmid}")
}

impl Affinity {
    /// Whether nothing is said.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the hosts have different priorities: Proxmox VE then refuses every group.
    pub(crate) fn is_ranked(&self) -> bool {
        let priorities: BTreeSet<&u32> = self.hosts.values().collect();
        priorities.len() > 1
    }

    /// What differs, and the calls that make it so; the first must have been sent before the next is decided. `managed`
    /// are the names of the VMs that high availability has: a rule may name no others.
    pub(crate) fn differences(
        &self,
        owner: Owner<'_>,
        rules: &[HaRule],
        members: &Members,
        managed: &BTreeSet<String>,
    ) -> Vec<(Change, RuleCall)> {
        let mut found: Vec<(Change, RuleCall)> = self.of_hosts(owner, rules).into_iter().collect();
        for rule in rules {
            let is_wished = |group: &&Group| group.rule(owner.tag) == rule.rule;
            if let Some((relation, name)) = group_of(owner.tag, &rule.rule)
                && !self.groups.iter().any(|group| is_wished(&group))
            {
                found.extend(owner.vmid.and_then(|vmid| left(rule, vmid, relation, name)));
            }
        }
        for group in &self.groups {
            found.extend(group.difference(owner, rules, members, managed));
        }
        found
    }

    fn of_hosts(&self, owner: Owner<'_>, rules: &[HaRule]) -> Option<(Change, RuleCall)> {
        let name = owner.vmid.map(|vmid| of_hosts(owner.tag, vmid)).unwrap_or_default();
        let rule = rules.iter().find(|rule| rule.rule == name);
        let now = rule.map(|rule| (hosts(rule.nodes.as_deref().unwrap_or_default()).unwrap_or_default(), rule.strict));
        let change = || {
            let change = Change::live("ha.nodes");
            match &now {
                Some((hosts, strict)) => change.from(told(hosts, *strict)),
                None => change,
            }
        };
        match (&now, self.hosts.is_empty()) {
            (None, true) => None,
            (Some(_), true) => Some((change(), RuleCall::Remove(name))),
            (Some(now), false) if *now == (self.hosts.clone(), self.strict) => None,
            (_, false) => {
                let mut sent: Parameters = vec![
                    ("type".into(), "node-affinity".into()),
                    ("resources".into(), owner.vmid.map(sid).unwrap_or_default()),
                    ("nodes".into(), written(&self.hosts)),
                    ("strict".into(), u8::from(self.strict).to_string()),
                ];
                let call = if rule.is_some() {
                    RuleCall::Change(name, sent)
                } else {
                    sent.push(("comment".into(), format!("node {} of cluster {}", owner.node, owner.cluster)));
                    RuleCall::Add(name, sent)
                };
                Some((change().to(told(&self.hosts, self.strict)), call))
            }
        }
    }
}

impl Group {
    /// The name of its rule.
    pub(crate) fn rule(&self, tag: &str) -> String {
        format!("{tag}-{}-{}", self.relation.key(), self.name)
    }

    /// A rule takes two: the first VM of a group waits for the second, which makes the rule for both.
    fn difference(
        &self,
        owner: Owner<'_>,
        rules: &[HaRule],
        members: &Members,
        managed: &BTreeSet<String>,
    ) -> Option<(Change, RuleCall)> {
        let name = self.rule(owner.tag);
        let own = owner.vmid.map(sid);
        let rule = rules.iter().find(|rule| rule.rule == name);
        let now: BTreeSet<String> = rule.map(resources).unwrap_or_default();
        let affinity = self.relation.affinity();
        let is_right = rule.is_none_or(|rule| rule.affinity.as_deref() == Some(affinity));
        if is_right && own.as_ref().is_some_and(|own| now.contains(own)) {
            return None;
        }
        let others = members.iter().filter(|(node, (wish, _))| *node != owner.node && wish.groups.contains(self));
        let others: Vec<Option<String>> = others.map(|(_, (_, vmid))| vmid.map(sid)).collect();
        let mut all: BTreeSet<String> = now.iter().chain(others.iter().flatten()).cloned().collect();
        all.retain(|member| managed.contains(member));
        all.extend(own);
        let takes_two = if owner.plans { others.is_empty() } else { all.len() < 2 };
        if rule.is_none() && takes_two {
            return None;
        }
        let mut sent: Parameters = vec![
            ("type".into(), "resource-affinity".into()),
            ("resources".into(), joined(&all)),
            ("affinity".into(), affinity.into()),
        ];
        let change = Change::live(format!("ha.{}", self.relation.key())).to(self.name.as_str());
        Some(match rule {
            Some(_) => (change, RuleCall::Change(name, sent)),
            None => {
                sent.push(("comment".into(), format!("{} of cluster {}", self.name, owner.cluster)));
                (change, RuleCall::Add(name, sent))
            }
        })
    }
}

/// The rule of a node affinity of another one than us that a VM is in: Proxmox VE takes no second one.
pub(crate) fn foreign<'a>(tag: &str, vmid: u32, rules: &'a [HaRule]) -> Option<&'a HaRule> {
    let own = of_hosts(tag, vmid);
    rules.iter().find(|rule| {
        rule.kind == "node-affinity" && !rule.disable && rule.rule != own && resources(rule).contains(&sid(vmid))
    })
}

/// The rules of others that a VM is in: it leaves them when it is destroyed.
pub(crate) fn others<'a>(tag: &str, vmid: u32, rules: &'a [HaRule]) -> Vec<&'a str> {
    let is_ours = |rule: &&HaRule| rule.rule == of_hosts(tag, vmid) || group_of(tag, &rule.rule).is_some();
    let theirs = rules.iter().filter(|rule| !is_ours(rule) && resources(rule).contains(&sid(vmid)));
    theirs.map(|rule| rule.rule.as_str()).collect()
}

/// What takes a VM that is gone, or managed no longer, out of our rules. Proxmox VE takes it out itself, and leaves a rule
/// that is about one VM, which may wait for the one that takes its place.
pub(crate) fn forgetting(tag: &str, vmid: u32, rules: &[HaRule], is_replaced: bool) -> Option<RuleCall> {
    let call = |rule: &HaRule| {
        if rule.rule == of_hosts(tag, vmid) {
            return Some(RuleCall::Remove(rule.rule.clone()));
        }
        let (relation, name) = group_of(tag, &rule.rule)?;
        let mut rest = resources(rule);
        rest.remove(&sid(vmid));
        match rest.len() {
            0 | 1 if is_replaced => None,
            0 | 1 => Some(RuleCall::Remove(rule.rule.clone())),
            _ => left(rule, vmid, relation, name).map(|(_, call)| call),
        }
    };
    rules.iter().find_map(call)
}

/// What takes a VM out of a rule of ours; a rule about a single VM goes.
fn left(rule: &HaRule, vmid: u32, relation: Relation, name: &str) -> Option<(Change, RuleCall)> {
    let mut rest = resources(rule);
    if !rest.remove(&sid(vmid)) {
        return None;
    }
    let change = Change::live(format!("ha.{}", relation.key())).from(name);
    Some(match rest.len() {
        0 | 1 => (change, RuleCall::Remove(rule.rule.clone())),
        _ => {
            let sent = vec![("type".into(), "resource-affinity".into()), ("resources".into(), joined(&rest))];
            (change, RuleCall::Change(rule.rule.clone(), sent))
        }
    })
}

fn of_hosts(tag: &str, vmid: u32) -> String {
    format!("{tag}-hosts-{vmid}")
}

/// The group that a rule of ours is about.
fn group_of<'a>(tag: &str, rule: &'a str) -> Option<(Relation, &'a str)> {
    let rest = rule.strip_prefix(tag)?.strip_prefix('-')?;
    let named = |relation: Relation| Some((relation, rest.strip_prefix(relation.key())?.strip_prefix('-')?));
    Relation::ALL.into_iter().find_map(named)
}

fn resources(rule: &HaRule) -> BTreeSet<String> {
    words(&rule.resources).map(str::to_owned).collect()
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Hosts as Proxmox VE writes them: without the priority 0.
fn written(hosts: &BTreeMap<String, u32>) -> String {
    let one = |(name, priority): (&String, &u32)| match priority {
        0 => name.clone(),
        priority => format!("{name}:{priority}"),
    };
    hosts.iter().map(one).collect::<Vec<_>>().join(",")
}

fn told(hosts: &BTreeMap<String, u32>, strict: bool) -> String {
    format!("{}{}", written(hosts), if strict { " (strict)" } else { "" })
}

#[cfg(test)]
mod tests;
