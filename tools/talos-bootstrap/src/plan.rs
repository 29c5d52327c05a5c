//! The decision, from the state of etcd on each control plane. Pure.

use std::collections::BTreeSet;

use record::{Failure, LockedEtcd};
use talos_client::{Address, Member};

/// The state of etcd on one control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Etcd {
    /// It runs and reports these members.
    Members(Vec<Member>),
    /// It has data, but reports no members: it is starting, or has no leader.
    Silent(String),
    /// It has no data yet, and is on its way: the node was asked to bootstrap, or is joining; what the node says.
    OnItsWay(String),
    /// It has data, and was stopped for good.
    Stuck,
    /// It has no data.
    Empty,
    /// It has no data, and its service has ended; what the node says.
    Ended(String),
    /// Not known yet, and why.
    Unknown(String),
    /// The node refuses us: it belongs to another cluster, or doesn't accept our credentials.
    Refused(Box<Failure>),
    /// It will stay unknown: an earlier step failed on the node, or the node is missing from the input.
    Never,
}

/// A control plane and the state of its etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) name: String,
    /// Where it was asked.
    pub(crate) address: Option<Address>,
    pub(crate) etcd: Etcd,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// etcd runs, as this node reports.
    Runs {
        /// Who reported it.
        node: String,
        /// The hostnames of the members.
        members: Vec<String>,
        /// The IDs of all members that anyone reported.
        ids: BTreeSet<u64>,
    },
    /// etcd is to be started on this node.
    Start(String),
    /// etcd on this node was stopped for good: only a reboot starts it again.
    Stuck(String),
    /// It was bootstrapped before and none of it is left: an empty one could be started on this node.
    Lost(String),
    /// It runs, but has no member in common with the one that is remembered.
    Other {
        /// Who reported it.
        node: String,
        /// The IDs of its members.
        ids: BTreeSet<u64>,
        /// The IDs of those that are remembered.
        remembered: BTreeSet<u64>,
    },
    /// Wait: something is still unknown.
    Wait(String),
    /// Do nothing, because a control plane refuses us.
    Refused(Failure),
    /// Do nothing, because of an error that is already in the stream.
    Explained,
    /// Two nodes report clusters that have no member in common.
    Split(String, String),
}

/// What is known of the cluster's etcd from before, and what the user allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    /// What `ichor.lock` remembers.
    pub(crate) locked: LockedEtcd,
    /// Whether the remembered etcd is given up.
    pub(crate) fresh: bool,
}

impl Before {
    /// Whether an empty etcd may not be started.
    pub(crate) fn forbids_an_empty_one(&self) -> bool {
        self.locked.is_bootstrapped() && !self.fresh
    }

    /// The remembered members, if these are of another etcd. A member is never seen again under another ID, so one in
    /// common is enough.
    fn contradicts(&self, ids: &BTreeSet<u64>) -> Option<&BTreeSet<u64>> {
        match &self.locked {
            LockedEtcd::Bootstrapped { members } if !members.is_empty() && members.is_disjoint(ids) => Some(members),
            LockedEtcd::Bootstrapped { .. } | LockedEtcd::Never | LockedEtcd::Unknown => None,
        }
    }
}

/// Decides. `seen` is in file order and holds every control plane that must be asked.
pub(crate) fn decide(seen: &[Observation], before: &Before) -> Decision {
    match from_what_is_seen(seen) {
        Decision::Start(name) if before.forbids_an_empty_one() => Decision::Lost(name),
        Decision::Runs { node, members, ids } => match before.contradicts(&ids).filter(|_| !before.fresh) {
            Some(remembered) => Decision::Other { node, ids, remembered: remembered.clone() },
            None => Decision::Runs { node, members, ids },
        },
        decision => decision,
    }
}

fn from_what_is_seen(seen: &[Observation]) -> Decision {
    let mut reported = seen.iter().filter_map(|seen| match &seen.etcd {
        Etcd::Members(members) => Some((seen, members)),
        _ => None,
    });
    if let Some((first, members)) = reported.next() {
        let apart = |other: &[Member]| !other.iter().any(|member| members.iter().any(|own| own.id == member.id));
        if let Some((other, _)) = reported.find(|(_, other)| apart(other)) {
            return Decision::Split(first.name.clone(), other.name.clone());
        }
        // A member that was added and hasn't started yet has no name.
        let members = members.iter().map(|member| member.hostname.clone()).filter(|name| !name.is_empty()).collect();
        return Decision::Runs { node: first.name.clone(), members, ids: reported_ids(seen) };
    }
    let refused = seen.iter().find_map(|seen| match &seen.etcd {
        Etcd::Refused(failure) => Some(failure),
        _ => None,
    });
    if let Some(failure) = refused {
        return Decision::Refused(Failure::clone(failure));
    }
    if let Some(stuck) = seen.iter().find(|seen| seen.etcd == Etcd::Stuck) {
        return Decision::Stuck(stuck.name.clone());
    }
    if let Some(reason) = seen.iter().find_map(silent).or_else(|| seen.iter().find_map(on_its_way)) {
        return Decision::Wait(reason);
    }
    if seen.iter().any(|seen| seen.etcd == Etcd::Never) {
        return Decision::Explained;
    }
    match seen.iter().find_map(unknown) {
        Some(reason) => Decision::Wait(reason),
        None => first(seen).map_or(Decision::Explained, |first| Decision::Start(first.to_owned())),
    }
}

/// The control plane that begins: of two runs whose files list them in another order, both choose the same one. It is the
/// first by name, numbers counting as such: `cp-2` before `cp-10`.
fn first(seen: &[Observation]) -> Option<&str> {
    let in_order = |name: &str| -> Vec<(String, u64)> {
        let mut parts = Vec::new();
        let mut rest = name;
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
            let (word, number) = rest.split_at(digits);
            let end = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
            parts.push((word.to_owned(), number[..end].parse().unwrap_or(u64::MAX)));
            rest = &number[end..];
        }
        parts
    };
    seen.iter().map(|seen| seen.name.as_str()).min_by_key(|name| (in_order(name), (*name).to_owned()))
}

/// Why it isn't yet sure that there is one etcd only, after this run has started it: every control plane must show itself a
/// member of it, or be one by its word, for another run may have started one of its own.
pub(crate) fn unsure(seen: &[Observation]) -> Option<String> {
    let members = seen.iter().filter_map(|seen| match &seen.etcd {
        Etcd::Members(members) => Some(members),
        _ => None,
    });
    let joined: BTreeSet<Address> = members.flatten().filter_map(Member::address).collect();
    let others = seen.iter().filter(|seen| seen.address.as_ref().is_none_or(|address| !joined.contains(address)));
    others.into_iter().find_map(|seen| {
        let what = match &seen.etcd {
            Etcd::Members(_) | Etcd::Never | Etcd::Refused(_) => return None,
            Etcd::Silent(why) | Etcd::OnItsWay(why) | Etcd::Ended(why) | Etcd::Unknown(why) => why.as_str(),
            Etcd::Stuck => "it was stopped for good",
            Etcd::Empty => "it waits to join",
        };
        Some(format!("etcd runs, and {} isn't a member of it yet: {what}", seen.name))
    })
}

/// The same for one that was started alone. The control planes elsewhere are nobody's of this call: only what has begun on
/// them counts.
///
/// # Errors
/// Another etcd runs on this one.
pub(crate) fn unsure_elsewhere(own: &BTreeSet<u64>, elsewhere: &[Observation]) -> Result<Option<String>, String> {
    let mut unsure = None;
    for Observation { name, etcd, .. } in elsewhere {
        match etcd {
            Etcd::Members(members) if !members.iter().any(|member| own.contains(&member.id)) => {
                return Err(name.clone());
            }
            Etcd::OnItsWay(what) | Etcd::Silent(what) => {
                unsure.get_or_insert_with(|| format!("etcd has begun on {name}, too: {what}"));
            }
            _ => {}
        }
    }
    Ok(unsure)
}

fn reported_ids(seen: &[Observation]) -> BTreeSet<u64> {
    let ids = seen.iter().filter_map(|seen| match &seen.etcd {
        Etcd::Members(members) => Some(members.iter().map(|member| member.id)),
        _ => None,
    });
    ids.flatten().collect()
}

/// IDs as etcd prints them.
pub(crate) fn shown(ids: &BTreeSet<u64>) -> String {
    ids.iter().map(|id| format!("{id:016x}")).collect::<Vec<_>>().join(", ")
}

/// What is still unknown about a control plane that should have been asked, for a plan.
pub(crate) fn doubt(seen: &[Observation]) -> Option<String> {
    seen.iter().find_map(silent).or_else(|| seen.iter().find_map(on_its_way)).or_else(|| seen.iter().find_map(unknown))
}

/// What the node says of an etcd that has ended without data.
pub(crate) fn ended<'a>(seen: &'a [Observation], node: &str) -> Option<&'a str> {
    seen.iter().find(|seen| seen.name == node).and_then(|seen| match &seen.etcd {
        Etcd::Ended(why) => Some(why.as_str()),
        _ => None,
    })
}

fn on_its_way(seen: &Observation) -> Option<String> {
    match &seen.etcd {
        Etcd::OnItsWay(what) => Some(format!("etcd is starting on {}: {what}", seen.name)),
        _ => None,
    }
}

fn silent(seen: &Observation) -> Option<String> {
    match &seen.etcd {
        Etcd::Silent(why) => Some(format!("etcd on {} has data but doesn't respond: {why}", seen.name)),
        _ => None,
    }
}

fn unknown(seen: &Observation) -> Option<String> {
    match &seen.etcd {
        Etcd::Unknown(why) => Some(format!("{}: {why}", seen.name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
