//! Calls about etcd.

use talos_proto::machine::{
    Bootstrap, BootstrapRequest, BootstrapResponse, EtcdForfeitLeadership, EtcdForfeitLeadershipRequest,
    EtcdForfeitLeadershipResponse, EtcdLeaveCluster, EtcdLeaveClusterRequest, EtcdLeaveClusterResponse, EtcdMember,
    EtcdMemberListRequest, EtcdMemberListResponse, EtcdMemberStatus, EtcdMembers, EtcdRemoveMemberById,
    EtcdRemoveMemberByIdRequest, EtcdRemoveMemberByIdResponse, EtcdStatus, EtcdStatusResponse,
};
use tonic::Status;

use super::Call;
use crate::world::{Id, World};

/// A member's peer port.
const PEER: u16 = 2380;
const CLIENT: u16 = 2379;

pub(super) fn bootstrap(call: &Call<'_>, request: &BootstrapRequest) -> Result<BootstrapResponse, Status> {
    match request.recover_etcd {
        true => call.act(|world, id| world.recover(id, request.recover_skip_hash_check))?,
        false => call.act(World::bootstrap)?,
    }
    Ok(BootstrapResponse { messages: vec![Bootstrap::default()] })
}

/// Refuses workers.
pub(super) fn control_plane(call: &Call<'_>, what: &str) -> Result<(), Status> {
    match call.see(crate::node::Node::is_control_plane) {
        true => Ok(()),
        false => Err(Status::unimplemented(format!("{what} is only available on control plane nodes"))),
    }
}

/// The etcd of the node, by place; refuses nodes that run none or can't reach it.
pub(super) fn serving(call: &Call<'_>, what: &str) -> Result<usize, Status> {
    call.ask(|world, id| {
        if !world.nodes[id].is_control_plane() {
            return Err(Status::unimplemented(format!("{what} is only available on control plane nodes")));
        }
        let etcd = running(world, id)?;
        match world.has_quorum(etcd) {
            true => Ok(etcd),
            // After 3 s (seen on 1.13.9).
            false => Err(Status::unknown("etcdserver: no leader")),
        }
    })
}

/// The etcd of a node that runs it, by place.
fn running(world: &World, id: Id) -> Result<usize, Status> {
    let down =
        || Status::unknown("failed to create etcd client: error building etcd client: context deadline exceeded");
    world.etcd_of(id).filter(|_| world.nodes[id].has_etcd()).ok_or_else(down)
}

/// The calls that are never answered while etcd doesn't run (seen on 1.13.9).
const SILENT: [&str; 7] = [
    "EtcdAlarmList",
    "EtcdDefragment",
    "EtcdForfeitLeadership",
    "EtcdMemberList",
    "EtcdRemoveMemberByID",
    "EtcdSnapshot",
    "EtcdStatus",
];

/// Whether a call about etcd never gets an answer: on a control plane whose etcd doesn't run, and, if it is a question
/// about members that isn't only about the node's own one, on one whose way to the others leads nowhere (seen on 1.13.9).
pub(super) fn is_silent(call: &Call<'_>, method: &str) -> bool {
    let local =
        method != "EtcdMemberList" || call.request::<EtcdMemberListRequest>().is_ok_and(|request| request.query_local);
    let asked = SILENT.contains(&method);
    asked && call.see(|node| node.is_control_plane() && (!node.has_etcd() || (node.faults.lonely && !local)))
}

pub(super) fn members(call: &Call<'_>, _: &EtcdMemberListRequest) -> Result<EtcdMemberListResponse, Status> {
    let etcd = serving(call, "member list")?;
    let members: Vec<EtcdMember> = call.ask(|world, _| {
        let members = world.etcds[etcd].members.iter().map(|member| EtcdMember {
            id: member.id,
            // One that was added and hasn't started has no name (seen on 1.13.9).
            hostname: if member.started { member.hostname.clone() } else { String::new() },
            peer_urls: vec![format!("https://{}:{PEER}", member.address)],
            client_urls: member.started.then(|| format!("https://{}:{CLIENT}", member.address)).into_iter().collect(),
            is_learner: member.learner,
        });
        members.collect()
    });
    let legacy_members = members.iter().map(|member| member.hostname.clone()).collect();
    Ok(EtcdMemberListResponse { messages: vec![EtcdMembers { metadata: None, legacy_members, members }] })
}

pub(super) fn status(call: &Call<'_>, (): &()) -> Result<EtcdStatusResponse, Status> {
    control_plane(call, "etcd status")?;
    let place = call.ask(running)?;
    let member_status = call.ask(|world, id| {
        let etcd = &world.etcds[place];
        let has_leader = world.has_quorum(place);
        let own = etcd.members.iter().find(|member| member.node == id);
        let index = 1000 + world.now.as_secs();
        let release = world.nodes[id].version();
        EtcdMemberStatus {
            storage_version: match release.etcd().starts_with("3.5.") {
                // Databases of 3.5 don't name their version.
                true => String::new(),
                false => format!("{}.0", release.etcd_minor(0)),
            },
            member_id: own.map_or(0, |member| member.id),
            protocol_version: release.etcd().to_owned(),
            db_size: 5_242_880,
            db_size_in_use: 2_097_152,
            leader: if has_leader { etcd.leader } else { 0 },
            raft_index: index,
            raft_term: etcd.term,
            raft_applied_index: index,
            errors: (!has_leader).then(|| "etcdserver: no leader".to_owned()).into_iter().collect(),
            is_learner: own.is_some_and(|member| member.learner),
        }
    });
    Ok(EtcdStatusResponse { messages: vec![EtcdStatus { metadata: None, member_status: Some(member_status) }] })
}

pub(super) fn remove(
    call: &Call<'_>,
    request: &EtcdRemoveMemberByIdRequest,
) -> Result<EtcdRemoveMemberByIdResponse, Status> {
    let etcd = serving(call, "etcd remove member")?;
    match call.act(|world, _| world.remove_member(etcd, request.member_id)) {
        true => Ok(EtcdRemoveMemberByIdResponse { messages: vec![EtcdRemoveMemberById::default()] }),
        false => {
            let id = request.member_id;
            Err(Status::not_found(format!("failed to remove member {id}: etcdserver: member not found")))
        }
    }
}

pub(super) fn leave(call: &Call<'_>, _: &EtcdLeaveClusterRequest) -> Result<EtcdLeaveClusterResponse, Status> {
    serving(call, "etcd leave")?;
    call.act(World::leave_etcd);
    Ok(EtcdLeaveClusterResponse { messages: vec![EtcdLeaveCluster::default()] })
}

pub(super) fn forfeit(
    call: &Call<'_>,
    _: &EtcdForfeitLeadershipRequest,
) -> Result<EtcdForfeitLeadershipResponse, Status> {
    let place = serving(call, "etcd forfeit leadership")?;
    let member = call.act(|world, id| {
        let etcd = &mut world.etcds[place];
        let own = etcd.members.iter().find(|member| member.node == id).map(|member| member.id);
        if own != Some(etcd.leader) {
            return Ok(String::new());
        }
        let next = etcd.members.iter().find(|member| member.node != id && !member.learner).cloned();
        let alone = "failed to forfeit leadership: cannot forfeit leadership, only one member";
        let next = next.ok_or_else(|| Status::unknown(alone))?;
        etcd.leader = next.id;
        etcd.term += 1;
        Ok::<_, Status>(next.hostname)
    })?;
    Ok(EtcdForfeitLeadershipResponse { messages: vec![EtcdForfeitLeadership { metadata: None, member }] })
}
