//! The decision, from the state of etcd on each control plane. Pure.

use record::Failure;

/// The state of etcd on one control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Etcd {
    /// It runs and reports these members: their IDs and hostnames.
    Members(Vec<(u64, String)>),
    /// It has data, but reports no members: it is starting, or has no leader.
    Silent(String),
    /// It has no data.
    Empty,
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
    },
    /// etcd is to be started on this node.
    Start(String),
    /// Wait: something is still unknown.
    Wait(String),
    /// Do nothing, because a control plane refuses us.
    Refused(Failure),
    /// Do nothing, because of an error that is already in the stream.
    Explained,
    /// Two nodes report clusters that have no member in common.
    Split(String, String),
}

/// Decides. `seen` is in file order and holds every control plane that must be asked.
pub(crate) fn decide(seen: &[Observation]) -> Decision {
    let mut reported = seen.iter().filter_map(|seen| match &seen.etcd {
        Etcd::Members(members) => Some((seen, members)),
        _ => None,
    });
    if let Some((first, members)) = reported.next() {
        let apart = |other: &[(u64, String)]| !other.iter().any(|(id, _)| members.iter().any(|(own, _)| own == id));
        if let Some((other, _)) = reported.find(|(_, other)| apart(other)) {
            return Decision::Split(first.name.clone(), other.name.clone());
        }
        let members = members.iter().map(|(_, hostname)| hostname.clone()).collect();
        return Decision::Runs { node: first.name.clone(), members };
    }
    let refused = seen.iter().find_map(|seen| match &seen.etcd {
        Etcd::Refused(failure) => Some(failure),
        _ => None,
    });
    if let Some(failure) = refused {
        return Decision::Refused(Failure::clone(failure));
    }
    if let Some(reason) = seen.iter().find_map(silent) {
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

        let runs = Decision::Runs { node: "cp-2".to_owned(), members: vec!["cp-2".to_owned()] };
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
    fn without_any_control_plane_nothing_is_done() {
        assert_eq!(decide(&[]), Decision::Explained);
    }
}
