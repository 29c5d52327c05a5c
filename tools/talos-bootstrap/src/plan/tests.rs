use super::*;

fn seen(name: &str, etcd: Etcd) -> Observation {
    Observation { name: name.to_owned(), address: None, etcd }
}

fn members(ids: &[u64]) -> Etcd {
    Etcd::Members(ids.iter().map(|id| member(*id, &format!("cp-{id}"))).collect())
}

fn member(id: u64, hostname: &str) -> Member {
    let peer_urls = vec![format!("https://10.0.0.{id}:2380")];
    Member { id, hostname: hostname.to_owned(), peer_urls, learner: false }
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
fn whatever_the_order_of_the_file_the_same_control_plane_starts_etcd() {
    let start = |names: &[&str]| decide(&names.iter().map(|name| seen(name, Etcd::Empty)).collect::<Vec<_>>());
    for (names, chosen) in [
        (["cp-3", "cp-1", "cp-2"], "cp-1"),
        (["cp-10", "cp-9", "cp-11"], "cp-9"),
        (["b1", "a20", "a3"], "a3"),
        (["10.0.0.12", "10.0.0.9", "10.0.0.110"], "10.0.0.9"),
        (["x", "x1", "w99999999999999999999999"], "w99999999999999999999999"),
    ] {
        let mut turned = names;
        turned.reverse();
        let wanted = Decision::Start(chosen.to_owned());
        assert_eq!((start(&names), start(&turned)), (wanted.clone(), wanted));
    }
}

#[test]
fn one_etcd_is_sure_only_when_every_control_plane_is_a_member() {
    let with = |etcd| unsure(&[seen("cp-1", members(&[1, 2])), seen("cp-2", etcd)]);
    for etcd in [members(&[1, 2]), Etcd::Never] {
        assert_eq!(with(etcd), None);
    }
    for etcd in [Etcd::Empty, unknown(), Etcd::OnItsWay("x".to_owned()), Etcd::Silent("x".to_owned()), Etcd::Stuck] {
        let told = with(etcd.clone()).unwrap_or_else(|| panic!("{etcd:?}"));
        assert!(told.starts_with("etcd runs, and cp-2 isn't a member of it yet: "), "{told}");
    }
    // One that was added has joined this one, and can have none of its own.
    let at =
        |address: &str| Observation { address: address.parse().ok(), ..seen("cp-2", Etcd::Silent("x".to_owned())) };
    assert_eq!(unsure(&[seen("cp-1", members(&[1, 2])), at("10.0.0.2")]), None);
    assert!(unsure(&[seen("cp-1", members(&[1, 2])), at("10.0.0.3")]).is_some());
}

#[test]
fn beside_one_that_was_started_alone_no_other_may_have_begun() {
    let own = BTreeSet::from([1, 2]);
    let beside = |etcd| unsure_elsewhere(&own, &[seen("b", etcd)]);
    assert_eq!(beside(members(&[3])), Err("b".to_owned()));
    for etcd in [Etcd::OnItsWay("x".to_owned()), Etcd::Silent("x".to_owned())] {
        assert!(matches!(beside(etcd), Ok(Some(_))));
    }
    for etcd in [members(&[2, 9]), Etcd::Empty, unknown(), Etcd::Never] {
        assert_eq!(beside(etcd), Ok(None));
    }
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
    let joining = Etcd::Members(vec![member(1, "cp-1"), member(2, "")]);
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
