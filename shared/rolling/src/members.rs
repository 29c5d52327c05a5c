//! Asking the control planes about etcd.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use step::Hold;
use talos_access::{Answer, ask};
use talos_client::{Address, Identity, Member, MemberHealth, Node};

use crate::{
    error::Refused,
    gate::Look,
    quorum::{Away, Voter, without},
    split::OneEtcd,
};

/// Why a control plane can't be spared or counted on.
pub const NO_MEMBER: &str = "it is not a healthy member of etcd";

/// The control plane that is to be taken down.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its host names, with or without a domain.
    pub names: &'a [&'a str],
    /// Its addresses, as far as they are known.
    pub addresses: &'a [Address],
    /// The SMBIOS UUID of its machine, in lower case.
    pub uuid: &'a str,
}

impl Target<'_> {
    /// Whether a member is this node's: by its address or its name.
    fn is(&self, member: &Member) -> bool {
        let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let same = |name: &&str| !member.hostname.is_empty() && short(name) == short(&member.hostname);
        self.names.iter().any(same) || member.address().is_some_and(|address| self.addresses.contains(&address))
    }

    /// Whether who answered at this address is this node.
    fn answers(&self, address: &Address, uuid: Option<&str>) -> bool {
        uuid.map_or_else(|| self.addresses.contains(address), |uuid| uuid == self.uuid)
    }
}

/// Whether the node is a voting member of an etcd cluster that has a leader.
///
/// # Errors
/// It isn't, or not yet.
pub async fn is_member(node: &Node) -> Result<(), Hold> {
    vote(node).await.map(drop)
}

/// The node's own member and the members that it knows, if it votes.
async fn vote(node: &Node) -> Result<(u64, Vec<Member>), Hold> {
    match node.etcd_health().await? {
        MemberHealth::Healthy { id, members } => Ok((id, members)),
        MemberHealth::Unhealthy(why) => Err(Hold::NotYet(node.because(&format!("{NO_MEMBER}: {why}")).await)),
    }
}

/// Whether etcd keeps its quorum while this member is away. `others` are where further control planes of the cluster may
/// answer, which this one's etcd needn't know.
///
/// # Errors
/// It doesn't, or not yet; or another control plane is a member of another etcd.
pub async fn can_be_spared(node: &Node, identity: Option<&Identity>, others: &[Address]) -> Result<(), Hold> {
    let (own, members) = vote(node).await?;
    let peers = members.iter().filter(|member| member.id != own).filter_map(Member::address);
    let asked: BTreeSet<Address> = peers.chain(others.iter().cloned()).collect();
    let reports = asked.into_iter().map(|address| async {
        let report = report(&address, identity).await;
        (address, report)
    });
    spared(own, node.address().host(), &members, &join_all(reports).await.into_iter().collect())
}

/// What a control plane reports of its own member, or why it reports none.
type Report = Result<(u64, Vec<Member>), String>;

async fn report(address: &Address, identity: Option<&Identity>) -> Report {
    let answer = async { vote(&ask(address, identity).await?.configured()?.node).await };
    answer.await.map_err(|hold| match hold {
        Hold::NotYet(why) => why,
        Hold::Failed(failure) => failure.message,
    })
}

/// What the member `own` that answers at `at` and the other reports come to.
fn spared(own: u64, at: &str, members: &[Member], reports: &BTreeMap<Address, Report>) -> Result<(), Hold> {
    let one = OneEtcd::default();
    one.check(at, members)?;
    for (address, report) in reports {
        if let Ok((_, members)) = report {
            one.check(address.host(), members)?;
        }
    }
    let healthy: BTreeSet<u64> = reports.values().flatten().map(|(id, _)| *id).collect();
    let trouble = |member: &Member| match member.address().map(|address| reports.get(&address)) {
        _ if member.id == own || healthy.contains(&member.id) => None,
        Some(Some(Err(why))) => Some(why.clone()),
        Some(Some(Ok(_))) => Some("another member answers at its address".to_owned()),
        Some(None) | None => Some("its address is not known".to_owned()),
    };
    let voters = members.iter().filter(|member| !member.learner);
    let voters = voters.map(|member| (member, trouble(member)));
    let (voters, troubles): (Vec<_>, Vec<_>) =
        voters.map(|(member, trouble)| (voter(member, member.id == own, trouble.is_none()), trouble)).unzip();
    without(&voters, Away::ForAWhile).map_err(|loss| {
        let troubles = voters.iter().zip(troubles).filter_map(|(voter, trouble)| Some((&voter.name, trouble?)));
        let troubles = troubles.map(|(name, trouble)| format!("; {name}: {trouble}"));
        Hold::not_yet(format!("{loss}{}", troubles.collect::<String>()))
    })
}

fn voter(member: &Member, own: bool, healthy: bool) -> Voter {
    Voter { id: member.id, name: member.name(), healthy, own }
}

/// What one control plane answered.
enum Seen {
    /// It is the node that is to be taken down, and has no etcd data.
    Bare,
    /// It votes, and reports these members.
    Votes { id: u64, own: bool, members: Vec<Member>, at: Address },
    /// No members; why.
    Nothing(String),
}

/// Looks once at a cluster's etcd, before `target` is taken down: asks whoever is at `addresses`, and all members that
/// these report.
pub async fn look(target: Target<'_>, addresses: &[Address], identity: Option<&Identity>) -> Look {
    let asked: BTreeSet<&Address> = target.addresses.iter().chain(addresses).collect();
    let mut seen = join_all(asked.iter().map(|address| see(&target, address, identity))).await;
    // Members whose addresses nobody named.
    let further: BTreeSet<Address> = reported(&seen).values().filter_map(Member::address).collect();
    let further = further.iter().filter(|address| !asked.contains(address));
    let further = join_all(further.map(|address| see(&target, address, identity))).await;
    seen.extend(further);
    gathered(&target, seen)
}

/// All members that anyone reported, by their numbers.
fn reported(seen: &[Seen]) -> BTreeMap<u64, Member> {
    let mut all: BTreeMap<u64, Member> = BTreeMap::new();
    for seen in seen {
        let Seen::Votes { members, .. } = seen else { continue };
        for member in members {
            // Who votes for one of them votes: a quorum is never taken for smaller than it is.
            let known = all.entry(member.id).or_insert_with(|| member.clone());
            known.learner &= member.learner;
        }
    }
    all
}

/// What the answers come to.
fn gathered(target: &Target<'_>, seen: Vec<Seen>) -> Look {
    if seen.iter().any(|seen| matches!(seen, Seen::Bare)) {
        return Look::Bare;
    }
    let all = reported(&seen);
    if all.is_empty() {
        let why = seen.into_iter().filter_map(|seen| match seen {
            Seen::Nothing(why) => Some(why),
            Seen::Bare | Seen::Votes { .. } => None,
        });
        return Look::Unanswered(why.collect());
    }
    let one = OneEtcd::default();
    for seen in &seen {
        if let Seen::Votes { at, members, .. } = seen
            && let Err(Refused::Split(one, other)) = one.check(at.host(), members)
        {
            return Look::Split(one, other);
        }
    }
    let (mut healthy, mut answered, mut via) = (BTreeSet::new(), BTreeSet::new(), None);
    for seen in &seen {
        let Seen::Votes { id, own, at, .. } = seen else { continue };
        healthy.insert(*id);
        if *own {
            answered.insert(*id);
        } else {
            via.get_or_insert_with(|| at.clone());
        }
    }
    // Who answers from another machine is another member, whatever its name.
    let is_own =
        |member: &Member| answered.contains(&member.id) || (!healthy.contains(&member.id) && target.is(member));
    let voters = all.values().filter(|member| !member.learner);
    let voters = voters.map(|member| voter(member, is_own(member), healthy.contains(&member.id))).collect();
    let own = all.values().filter(|member| is_own(member)).cloned().collect();
    Look::Members { voters, own, members: all.into_values().collect(), via }
}

async fn see(target: &Target<'_>, address: &Address, identity: Option<&Identity>) -> Seen {
    let nothing = |why: &str| Seen::Nothing(format!("{}: {why}", address.host()));
    let found = match ask(address, identity).await {
        Ok(Answer::Ours(found)) => found,
        Ok(Answer::Maintenance(found)) if found.uuid.as_deref() == Some(target.uuid) => return Seen::Bare,
        Ok(Answer::Maintenance(_)) => return nothing("it is in maintenance mode"),
        Err(Hold::NotYet(why)) => return nothing(&why),
        Err(Hold::Failed(failure)) => return nothing(&failure.message),
    };
    let own = target.answers(address, found.uuid.as_deref());
    if own && matches!(found.node.has_etcd_data().await, Ok(false)) {
        return Seen::Bare;
    }
    match vote(&found.node).await {
        Ok((id, members)) => Seen::Votes { id, own, members, at: address.clone() },
        Err(Hold::NotYet(why)) => nothing(&why),
        Err(Hold::Failed(failure)) => nothing(&failure.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "bb1889c0-91c6-8088-ae07-234519abd3db";

    fn member(id: u64) -> Member {
        let peer_urls = vec![format!("https://10.0.0.{id}:2380")];
        Member { id, hostname: format!("cp-{id}"), peer_urls, learner: false }
    }

    fn address(id: u64) -> Address {
        format!("10.0.0.{id}").parse().unwrap()
    }

    /// The node `id` votes, and reports these members.
    fn votes(id: u64, own: bool, members: &[u64]) -> Seen {
        Seen::Votes { id, own, members: members.iter().map(|id| member(*id)).collect(), at: address(id) }
    }

    fn off() -> Seen {
        Seen::Nothing("10.0.0.9: refuses connections".to_owned())
    }

    /// What is seen before cp-1 is taken down: `id`, capital `H` if it is healthy, `*` if it is its own.
    fn before_cp_1(names: &[&str], addresses: &[Address], seen: Vec<Seen>) -> String {
        match gathered(&Target { names, addresses, uuid: UUID }, seen) {
            Look::Bare => "bare".to_owned(),
            Look::Unanswered(why) => why.join("; "),
            Look::Split(one, other) => format!("split {one} {other}"),
            Look::Members { voters, own, via, .. } => {
                let letter = |voter: &Voter| {
                    format!("{}{}{}", voter.id, if voter.healthy { "H" } else { "d" }, if voter.own { "*" } else { "" })
                };
                let voters: Vec<_> = voters.iter().map(letter).collect();
                let own: Vec<_> = own.iter().map(|member| member.id.to_string()).collect();
                let via = via.map(|via| via.host().to_owned()).unwrap_or_default();
                format!("{} own {} via {via}", voters.join(" "), own.join(","))
            }
        }
    }

    #[test]
    fn a_node_is_known_by_its_own_answer_else_by_its_address_or_its_name() {
        let others = || vec![votes(2, false, &[1, 2, 3]), votes(3, false, &[1, 2, 3])];
        let answered = vec![votes(1, true, &[1, 2, 3]), votes(2, false, &[1, 2, 3]), off()];

        assert_eq!(before_cp_1(&[], &[], answered), "1H* 2H 3d own 1 via 10.0.0.2");
        assert_eq!(before_cp_1(&[], &[address(1)], others()), "1d* 2H 3H own 1 via 10.0.0.2");
        assert_eq!(before_cp_1(&["x", "cp-1.lab.lan"], &[], others()), "1d* 2H 3H own 1 via 10.0.0.2");
        assert_eq!(before_cp_1(&["x"], &[address(9)], others()), "1d 2H 3H own  via 10.0.0.2");
    }

    #[test]
    fn a_member_that_answers_from_another_machine_is_another_one_whatever_its_name() {
        let seen = vec![votes(2, false, &[2, 3]), votes(3, false, &[2, 3])];

        assert_eq!(before_cp_1(&["cp-2"], &[address(3)], seen), "2H 3H own  via 10.0.0.2");
    }

    #[test]
    fn members_that_only_some_report_count_and_who_is_no_learner_for_one_votes() {
        let mut learner = member(3);
        learner.learner = true;
        let one = Seen::Votes { id: 1, own: true, members: vec![member(1), learner.clone()], at: address(1) };
        let other = votes(2, false, &[1, 2, 3]);
        assert_eq!(before_cp_1(&[], &[], vec![one, other]), "1H* 2H 3d own 1 via 10.0.0.2");

        let alone = Seen::Votes { id: 2, own: false, members: vec![member(2), learner], at: address(2) };
        assert_eq!(before_cp_1(&["cp-3"], &[], vec![alone]), "2H own 3 via 10.0.0.2");
    }

    #[test]
    fn two_etcds_are_no_quorum_of_anything() {
        let seen = vec![votes(1, true, &[1, 2]), votes(2, false, &[1, 2]), votes(3, false, &[3])];

        assert_eq!(before_cp_1(&[], &[], seen), "split 10.0.0.1 10.0.0.3");
    }

    /// What keeps cp-1 from being changed: it reports the members 1 to 3, the others what is given.
    fn spares_cp_1(reports: Vec<(u64, Report)>) -> Result<(), Hold> {
        let members: Vec<_> = (1..=3).map(member).collect();
        let reports = reports.into_iter().map(|(id, report)| (address(id), report)).collect();
        spared(1, "10.0.0.1", &members, &reports)
    }

    fn reports(id: u64, members: &[u64]) -> Report {
        Ok((id, members.iter().map(|id| member(*id)).collect()))
    }

    #[test]
    fn a_control_plane_is_spared_by_members_of_its_own_etcd_only() {
        let of_three = |id| (id, reports(id, &[1, 2, 3]));
        assert_eq!(spares_cp_1(vec![of_three(2), of_three(3)]), Ok(()));
        // One that is elsewhere than its peers say is still that member.
        assert_eq!(spares_cp_1(vec![of_three(2), (9, reports(3, &[1, 2, 3]))]), Ok(()));
        for (report, why) in [(Err("refuses connections".to_owned()), "refuses"), (reports(4, &[1, 2, 4]), "another")] {
            let Err(Hold::NotYet(held)) = spares_cp_1(vec![of_three(2), (3, report)]) else { panic!("{why}") };
            assert!(held.contains("unhealthy: cp-3") && held.contains(&format!("cp-3: {why}")), "{held}");
        }
    }

    /// Also one whose address the own etcd takes for a member's: the machine was recreated and bootstrapped.
    #[test]
    fn a_control_plane_beside_another_etcd_is_not_spared_whatever_its_own_etcd_knows_of_it() {
        for at in [3, 7] {
            let others = vec![(2, reports(2, &[1, 2, 3])), (at, reports(70, &[70]))];
            let Err(Hold::Failed(failure)) = spares_cp_1(others) else { panic!("no split at {at}") };
            assert_eq!((failure.exit, failure.code), (record::Exit::Guard, record::Code::Split.to_string()));
        }
    }

    #[test]
    fn without_a_report_it_is_said_what_was_answered_and_a_bare_node_needs_none() {
        assert_eq!(before_cp_1(&[], &[], vec![off()]), "10.0.0.9: refuses connections");
        assert_eq!(before_cp_1(&[], &[], Vec::new()), "");
        assert_eq!(before_cp_1(&[], &[], vec![off(), Seen::Bare, votes(2, false, &[2])]), "bare");
    }
}
