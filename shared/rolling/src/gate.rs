//! May this control plane be taken down? Pure.

use record::LockedEtcd;
use talos_client::{Address, Member};

use crate::{
    error::Refused,
    quorum::{Away, Voter, without},
};

/// What was seen of a cluster's etcd before one of its control planes is taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The node itself has no etcd data.
    Bare,
    /// Healthy members reported who the members are.
    Members {
        /// Those that vote.
        voters: Vec<Voter>,
        /// All of them, learners too.
        members: Vec<Member>,
        /// The members of the node itself, learners too; more than one if it was recreated.
        own: Vec<Member>,
        /// Where another healthy member answers, if any does.
        via: Option<Address>,
    },
    /// Two of them report members of two etcds.
    Split(String, String),
    /// Nobody reported any members; what each one answered instead.
    Unanswered(Vec<String>),
}

/// Whether a control plane may be taken down, from what `ichor.lock` remembers and what was seen.
///
/// What can't be seen is never taken for absent: without an answer only a cluster that was never bootstrapped may lose a
/// control plane. Members that are seen count whatever the lock says, for others may have bootstrapped it.
///
/// # Errors
/// It must stay.
pub fn judge(locked: &LockedEtcd, look: &Look, away: Away) -> Result<(), Refused> {
    match look {
        Look::Bare => Ok(()),
        Look::Members { voters, .. } => Ok(without(voters, away)?),
        Look::Split(one, other) => Err(Refused::Split(one.clone(), other.clone())),
        Look::Unanswered(why) => match locked {
            LockedEtcd::Never => Ok(()),
            LockedEtcd::Unknown | LockedEtcd::Bootstrapped { .. } => Err(Refused::NoAnswer(why.clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use record::{Classify, Code, Exit};

    use super::*;

    fn members(healthy: &[bool]) -> Look {
        let voter = |(at, healthy): (usize, &bool)| Voter {
            id: at as u64 + 1,
            name: format!("cp-{}", at + 1),
            healthy: *healthy,
            own: at == 0,
        };
        let voters = healthy.iter().enumerate().map(voter).collect();
        Look::Members { voters, members: Vec::new(), own: Vec::new(), via: None }
    }

    #[test]
    fn what_is_seen_decides_and_what_is_not_seen_is_allowed_only_if_there_never_was_an_etcd() {
        let bootstrapped = LockedEtcd::Bootstrapped { members: [7].into() };
        let unanswered = || Look::Unanswered(vec!["cp-2: refuses connections".to_owned()]);
        let table = [
            (Look::Bare, [true, true, true]),
            (members(&[true, true, true]), [true, true, true]),
            (members(&[true, true, false]), [false, false, false]),
            (members(&[true]), [false, false, false]),
            (unanswered(), [true, false, false]),
            (Look::Split("cp-1".to_owned(), "cp-2".to_owned()), [false, false, false]),
        ];
        for (look, wanted) in table {
            let locks = [&LockedEtcd::Never, &LockedEtcd::Unknown, &bootstrapped];
            assert_eq!(locks.map(|lock| judge(lock, &look, Away::ForGood).is_ok()), wanted, "{look:?}");
        }
    }

    #[test]
    fn every_refusal_is_a_guards_and_says_what_allows_it() {
        let refused = [
            (judge(&LockedEtcd::Unknown, &members(&[true]), Away::ForGood), Code::OneAtATime),
            (judge(&LockedEtcd::Unknown, &members(&[true, false]), Away::ForAWhile), Code::OneAtATime),
            (judge(&LockedEtcd::Unknown, &Look::Unanswered(Vec::new()), Away::ForAWhile), Code::NoAnswer),
        ];
        let split = judge(&LockedEtcd::Unknown, &Look::Split("a".to_owned(), "b".to_owned()), Away::ForAWhile);
        assert_eq!(split.unwrap_err().facts().code, Code::Split);
        for (refused, code) in refused {
            let facts = refused.unwrap_err().facts();
            assert_eq!((facts.exit, facts.code), (Exit::Guard, code));
            assert!(facts.hint.unwrap().contains("--ignore-etcd"));
        }
    }
}
