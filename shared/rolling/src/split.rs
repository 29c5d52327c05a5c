//! Two etcds in one cluster: two bootstraps at the same time start them, and each of them answers as if it were the only one.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use talos_client::Member;

use crate::error::Refused;

/// What the control planes of a cluster have reported, to each look of a run.
#[derive(Debug, Default)]
pub struct OneEtcd(Mutex<Vec<(String, BTreeSet<u64>)>>);

impl OneEtcd {
    /// Notes who the members are by this control plane. A member in common is enough: some may have joined since.
    ///
    /// # Errors
    /// [`Refused::Split`] if another one reported others.
    pub fn check(&self, reporter: &str, members: &[Member]) -> Result<(), Refused> {
        let ids: BTreeSet<u64> = members.iter().map(|member| member.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(name, _)| name != reporter);
        let other = seen.iter().find(|(_, others)| others.is_disjoint(&ids)).map(|(name, _)| name.clone());
        seen.push((reporter.to_owned(), ids));
        match other {
            Some(other) => Err(Refused::Split(other, reporter.to_owned())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: &[u64]) -> Vec<Member> {
        let member = |id: &u64| Member { id: *id, hostname: String::new(), peer_urls: Vec::new(), learner: false };
        ids.iter().map(member).collect()
    }

    #[test]
    fn reports_without_a_member_in_common_are_two_etcds() {
        let one = OneEtcd::default();
        for (reporter, ids) in [("a", &[1][..]), ("b", &[1, 2]), ("a", &[1, 2, 3]), ("c", &[3, 2]), ("d", &[])] {
            assert_eq!(one.check(reporter, &members(ids)), Ok(()), "{reporter}");
        }
        assert_eq!(one.check("e", &members(&[9])), Err(Refused::Split("b".to_owned(), "e".to_owned())));
    }
}
