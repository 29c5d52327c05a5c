//! The decision, from the state of etcd on each control plane. Pure.

use std::collections::BTreeSet;

use record::{Failure, LockedEtcd};

/// The state of etcd on one control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Etcd {
    /// It runs and reports these members: their IDs and hostnames.
    Members(Vec<(u64, String)>),
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
        let apart = |other: &[(u64, String)]| !other.iter().any(|(id, _)| members.iter().any(|(own, _)| own == id));
        if let Some((other, _)) = reported.find(|(_, other)| apart(other)) {
            return Decision::Split(first.name.clone(), other.name.clone());
        }
        // A member that was added and hasn't started yet has no name.
        let members = members.iter().map(|(_, hostname)| hostname.clone()).filter(|name| !name.is_empty()).collect();
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
        None => seen.first().map_or(Decision::Explained, |first| Decision::Start(first.name.clone())),
    }
}

fn reported_ids(seen: &[Observation]) -> BTreeSet<u64> {
    let ids = seen.iter().filter_map(|seen| match &seen.etcd {
        Etcd::Members(members) => Some(members.iter().map(|(id, _)| *id)),
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
mod tests {
    use super::*;

    fn seen(name: &str, etcd: Etcd) -> Observation {
        Observation { name: name.to_owned(), etcd }
    }

    fn members(ids: &[u64]) -> Etcd {
        Etcd::Members(ids.iter().map(|id| (*id, format!("cp-{id}"))).collect())
    }

    /// Decides for a cluster that the lock knows nothing of.
    fn decide(seen: &[Observation]) -> Decision {
        super::decide(seen, &before(LockedEtcd::Unknown, false))
    }

    fn before(locked: LockedEtcd, fresh: bool) -> Before {
        Before { locked, fresh }
    }

    fn remembered(ids: &[u64]) -> LockedEtcd {
        LockedEtcd::Bootstrapped { members: ids.iter().copied().collect() }
    }

    fn unknown() -> Etcd {
        Etcd::Unknown("refuses connections".to_owned())
    }

    #[test]
    fn the_first_control_plane_starts_etcd_if_no_other_has_any() {
        let all = [seen("cp-1", Etcd::Empty), seen("cp-2", Etcd::Empty)];

        assert_eq!(decide(&all), Decision::Start("cp-1".to_owned()));
    }

    #[test]
    fn members_on_any_control_plane_are_the_answer_even_if_others_are_unknown() {
        let all = [seen("cp-1", Etcd::Never), seen("cp-2", members(&[2])), seen("cp-3", unknown())];

        let runs = Decision::Runs { node: "cp-2".to_owned(), members: vec!["cp-2".to_owned()], ids: [2].into() };
        assert_eq!(decide(&all), runs);
    }

    #[test]
    fn a_control_plane_that_refuses_us_means_no_unless_another_one_reports_members() {
        let failure = Failure::new(record::Exit::Guard, record::Code::OtherCluster, "belongs to another cluster");
        let refused = seen("cp-1", Etcd::Refused(failure.clone().into()));

        assert_eq!(decide(&[refused.clone(), seen("cp-2", Etcd::Empty)]), Decision::Refused(failure));
        assert!(matches!(decide(&[refused, seen("cp-2", members(&[2]))]), Decision::Runs { .. }));
    }

    #[test]
    fn an_unknown_control_plane_means_no() {
        let all = [seen("cp-1", Etcd::Empty), seen("cp-2", unknown())];

        assert_eq!(decide(&all), Decision::Wait("cp-2: refuses connections".to_owned()));
    }

    #[test]
    fn a_control_plane_that_failed_before_means_no_at_once() {
        let all = [seen("cp-1", Etcd::Empty), seen("cp-2", Etcd::Never), seen("cp-3", unknown())];

        assert_eq!(decide(&all), Decision::Explained);
    }

    #[test]
    fn an_etcd_that_is_on_its_way_is_waited_for_whatever_the_others_are() {
        let way = || seen("cp-2", Etcd::OnItsWay("Preparing: Running pre state".to_owned()));
        let wait = Decision::Wait("etcd is starting on cp-2: Preparing: Running pre state".to_owned());
        for other in [Etcd::Empty, Etcd::Never, unknown(), Etcd::Ended("Failed: x".to_owned())] {
            assert_eq!(decide(&[seen("cp-1", other), way()]), wait);
        }
        assert!(matches!(decide(&[seen("cp-1", members(&[1])), way()]), Decision::Runs { .. }));
    }

    #[test]
    fn an_etcd_that_was_stopped_for_good_is_told_unless_etcd_runs_elsewhere() {
        let stuck = || seen("cp-2", Etcd::Stuck);
        for other in [Etcd::Empty, Etcd::Never, unknown(), Etcd::Silent("x".to_owned())] {
            assert_eq!(decide(&[seen("cp-1", other), stuck()]), Decision::Stuck("cp-2".to_owned()));
        }
        assert!(matches!(decide(&[seen("cp-1", members(&[1])), stuck()]), Decision::Runs { .. }));
    }

    #[test]
    fn an_etcd_that_ended_without_data_may_be_started() {
        let all = [seen("cp-1", Etcd::Ended("Failed: no image".to_owned())), seen("cp-2", Etcd::Empty)];
        assert_eq!(decide(&all), Decision::Start("cp-1".to_owned()));
        assert_eq!((ended(&all, "cp-1"), ended(&all, "cp-2")), (Some("Failed: no image"), None));
    }

    #[test]
    fn a_member_that_has_not_started_has_no_name_and_is_not_listed() {
        let joining = Etcd::Members(vec![(1, "cp-1".to_owned()), (2, String::new())]);
        let runs = Decision::Runs { node: "cp-1".to_owned(), members: vec!["cp-1".to_owned()], ids: [1, 2].into() };
        assert_eq!(decide(&[seen("cp-1", joining)]), runs);
    }

    #[test]
    fn data_without_an_answer_is_waited_for_and_never_bootstrapped_over() {
        let all = [seen("cp-1", Etcd::Empty), seen("cp-2", Etcd::Silent("no leader".to_owned()))];

        assert_eq!(decide(&all), Decision::Wait("etcd on cp-2 has data but doesn't respond: no leader".to_owned()));
    }

    #[test]
    fn two_clusters_without_a_common_member_are_a_split() {
        let all = [seen("cp-1", members(&[1])), seen("cp-2", members(&[2]))];

        assert_eq!(decide(&all), Decision::Split("cp-1".to_owned(), "cp-2".to_owned()));
        let joined = [seen("cp-1", members(&[1, 2])), seen("cp-2", members(&[2]))];
        assert!(matches!(decide(&joined), Decision::Runs { .. }));
    }

    #[test]
    fn no_empty_etcd_is_started_in_the_place_of_one_that_is_remembered_unless_it_is_given_up() {
        let empty = [seen("cp-1", Etcd::Empty), seen("cp-2", Etcd::Empty)];
        let (start, lost) = (Decision::Start("cp-1".to_owned()), Decision::Lost("cp-1".to_owned()));
        let table = [
            (LockedEtcd::Unknown, false, &start),
            (LockedEtcd::Never, false, &start),
            (remembered(&[7]), false, &lost),
            (remembered(&[]), false, &lost),
            (remembered(&[7]), true, &start),
        ];
        for (locked, fresh, wanted) in table {
            assert_eq!(super::decide(&empty, &before(locked.clone(), fresh)), *wanted, "{locked:?} {fresh}");
        }
        let doubtful = [seen("cp-1", Etcd::Empty), seen("cp-2", unknown())];
        let decision = super::decide(&doubtful, &before(remembered(&[7]), true));
        assert!(matches!(decision, Decision::Wait(_)), "what can't be seen is never taken for absent: {decision:?}");
    }

    #[test]
    fn an_etcd_without_a_member_in_common_with_the_remembered_one_is_another_one() {
        let running = [seen("cp-1", members(&[1, 2])), seen("cp-2", members(&[1, 2, 3]))];
        let other = Decision::Other { node: "cp-1".to_owned(), ids: [1, 2, 3].into(), remembered: [8, 9].into() };
        assert_eq!(super::decide(&running, &before(remembered(&[8, 9]), false)), other);
        for (locked, fresh) in [
            (remembered(&[8, 9]), true),
            (remembered(&[3, 9]), false),
            (remembered(&[]), false),
            (LockedEtcd::Never, false),
            (LockedEtcd::Unknown, false),
        ] {
            let decision = super::decide(&running, &before(locked.clone(), fresh));
            assert!(matches!(decision, Decision::Runs { .. }), "{locked:?} {fresh}: {decision:?}");
        }
        assert_eq!(shown(&[0x8e9e_05c5_2164_694d, 7].into()), "0000000000000007, 8e9e05c52164694d");
    }

    #[test]
    fn without_any_control_plane_nothing_is_done() {
        assert_eq!(decide(&[]), Decision::Explained);
    }
}
