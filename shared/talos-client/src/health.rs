//! The one answer to "is this node a healthy member of etcd".

use futures_util::join;
use talos_proto::machine;

use crate::{Class, Error, EtcdService, Member, Node};

/// What a control plane's own etcd member is to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberHealth {
    /// It votes, and sees a leader.
    Healthy {
        /// Its number.
        id: u64,
        /// The members that it knows, itself among them.
        members: Vec<Member>,
    },
    /// It doesn't (yet), and why.
    Unhealthy(String),
}

impl Node {
    /// Whether the node's own etcd votes in a cluster with a leader, asked of nobody but the node itself: where its way to
    /// other control planes leads nowhere (a VIP endpoint, no discovery, no Kubernetes API), a question about the cluster is
    /// never answered. Its services are asked first: a node whose etcd doesn't run never answers a question about members.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call; what etcd itself answers is never one, for it fails with unspecific codes.
    pub async fn etcd_health(&self) -> Result<MemberHealth, Error> {
        let service = EtcdService::of(&self.services().await?);
        if service != Some(EtcdService::Running) {
            return Ok(MemberHealth::Unhealthy(not_running(service)));
        }
        let Some(id) = self.etcd_member_id().await? else {
            return Ok(MemberHealth::Unhealthy("its health check hasn't succeeded yet".to_owned()));
        };
        let (leader, members) = join!(self.etcd_leader(), self.local_etcd_members());
        match (leader, members) {
            (Ok(leader), Ok(members)) => Ok(judged(id, leader, members)),
            (Err(error), _) | (_, Err(error)) => match error.class() {
                Class::Forbidden | Class::WrongMachine => Err(error),
                Class::Retry | Class::Final => Ok(MemberHealth::Unhealthy(error.chain())),
            },
        }
    }

    /// The number of the leader that the node's etcd sees, 0 if it sees none.
    async fn etcd_leader(&self) -> Result<u64, Error> {
        let call = "EtcdStatus";
        let reply = self.looked(call, || async { self.machine().etcd_status(()).await }).await?;
        let message: machine::EtcdStatus = self.only(call, reply.messages)?;
        Ok(message.member_status.map_or(0, |status| status.leader))
    }
}

fn not_running(service: Option<EtcdService>) -> String {
    match service {
        None => "its service was not started yet".to_owned(),
        Some(EtcdService::Joining) => EtcdService::WAITS.to_owned(),
        Some(EtcdService::Running) => "it runs".to_owned(),
        Some(EtcdService::StoppedToBootstrap) => "it was stopped to bootstrap".to_owned(),
        Some(EtcdService::OnItsWay(message) | EtcdService::Ended(message)) => message,
    }
}

fn judged(id: u64, leader: u64, members: Vec<Member>) -> MemberHealth {
    let unhealthy = |why: &str| MemberHealth::Unhealthy(why.to_owned());
    match members.iter().find(|member| member.id == id) {
        _ if leader == 0 => unhealthy("it sees no leader"),
        None => unhealthy("its cluster doesn't list it"),
        Some(own) if own.learner => unhealthy("it is a learner, which doesn't vote yet"),
        Some(_) => MemberHealth::Healthy { id, members },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, learner: bool) -> Member {
        Member { id, hostname: format!("cp-{id}"), peer_urls: Vec::new(), learner }
    }

    /// vectors/talos-real/no-quorum and three-cps-etcd: without a leader the status is answered with leader 0.
    #[test]
    fn a_member_is_healthy_if_it_votes_and_sees_a_leader() {
        let members = || vec![member(1, false), member(2, true)];
        assert_eq!(judged(1, 1, members()), MemberHealth::Healthy { id: 1, members: members() });
        for (id, leader, why) in [(1, 0, "no leader"), (2, 1, "learner"), (3, 1, "doesn't list it")] {
            let MemberHealth::Unhealthy(said) = judged(id, leader, members()) else { panic!("{id} is healthy") };
            assert!(said.contains(why), "{said}");
        }
    }
}
