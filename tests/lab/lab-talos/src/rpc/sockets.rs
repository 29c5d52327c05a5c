//! The network of a node from inside: its sockets and the packets on its links.

use prost::Message;
use talos_proto::common::Data;
use talos_proto::machine::connect_record::{Process, State};
use talos_proto::machine::netstat_request::Filter;
use talos_proto::machine::{ConnectRecord, Netstat, NetstatRequest, NetstatResponse, PacketCaptureRequest};
use tonic::Status;

use super::{Call, Reply, watch};
use crate::world::{Id, World};

/// A socket: the service that holds it, its port, and the service and port at the other end, on the same node.
type Connection = (&'static str, u32, Option<(&'static str, u32)>);

const LISTENING: &[Connection] = &[
    ("apid", 50_000, None),
    ("trustd", 50_001, None),
    ("etcd", 2379, None),
    ("etcd", 2380, None),
    ("kubelet", 10_248, None),
    ("kubelet", 10_250, None),
    ("kube-apiserver", 6443, None),
    ("init", 7445, None),
    ("kubelet", 41_022, Some(("init", 7445))),
    ("init", 7445, Some(("kubelet", 41_022))),
    ("kube-apiserver", 52_310, Some(("etcd", 2379))),
    ("etcd", 2379, Some(("kube-apiserver", 52_310))),
];

/// The process that holds a socket, if it runs.
fn holder(world: &World, id: Id, service: &str) -> Option<i32> {
    match service {
        "init" => world.nodes[id].config.as_ref().map(|_| 1),
        "kube-apiserver" if !world.serves_kubernetes(id) => None,
        "kube-apiserver" => {
            world.pod_containers(id).into_iter().find(|container| container.name == service).map(|found| found.pid)
        }
        service => world.pid_of(id, service),
    }
}

fn record(world: &World, id: Id, connection: &Connection, with_process: bool) -> Option<ConnectRecord> {
    let (service, port, other) = *connection;
    let pid = holder(world, id, service)?;
    other.map_or(Some(0), |(peer, _)| holder(world, id, peer))?;
    let (local, state) = match other {
        None => ("::", State::Listen),
        Some(_) => ("127.0.0.1", State::Established),
    };
    let process = Process { pid: u32::try_from(pid).unwrap_or_default(), name: service.to_owned() };
    Some(ConnectRecord {
        l4proto: if other.is_none() { "tcp6" } else { "tcp" }.to_owned(),
        localip: local.to_owned(),
        localport: port,
        remoteip: local.to_owned(),
        remoteport: other.map_or(0, |(_, port)| port),
        state: state as i32,
        inode: 20_000 + u64::from(port),
        process: Some(if with_process { process } else { Process::default() }),
        ..ConnectRecord::default()
    })
}

/// Sockets of the node, as far as the caller asked for their kinds.
pub(super) fn netstat(call: &Call<'_>, request: &NetstatRequest) -> Result<NetstatResponse, Status> {
    let protocols = request.l4proto.unwrap_or_default();
    let with_process = request.feature.is_some_and(|feature| feature.pid);
    let filter = Filter::try_from(request.filter)
        .map_err(|_| Status::invalid_argument(format!("invalid filter: {}", request.filter)))?;
    let wanted = |record: &ConnectRecord| {
        let listens = record.remoteport == 0;
        let asked = if record.l4proto == "tcp6" { protocols.tcp6 } else { protocols.tcp };
        asked && (filter == Filter::All || listens == (filter == Filter::Listening))
    };
    let found = call.ask(|world, id| {
        let records = LISTENING.iter().filter_map(|connection| record(world, id, connection, with_process));
        records.filter(wanted).collect()
    });
    let host = request.netns.as_ref().is_none_or(|netns| netns.hostnetwork);
    let connectrecord = if host { found } else { Vec::new() };
    Ok(NetstatResponse { messages: vec![Netstat { metadata: None, connectrecord }] })
}

/// The beginning of a capture file, little-endian with times in nanoseconds.
fn header(snap: u32) -> Vec<u8> {
    const ETHERNET: u32 = 1;
    let (magic, major, minor) = (0xa1b2_3c4d_u32, 2_u16, 4_u16);
    let rest = [0, 0, snap, ETHERNET].into_iter().flat_map(u32::to_le_bytes);
    let begin = magic.to_le_bytes().into_iter().chain(major.to_le_bytes()).chain(minor.to_le_bytes());
    begin.chain(rest).collect()
}

/// Captures packets until the caller has enough: no packets go over the links of a lab, so the file only begins.
pub(super) fn capture(call: &Call<'_>) -> Result<Reply, Status> {
    let request: PacketCaptureRequest = call.request()?;
    let cards = call.see(|node| node.machine.macs.len());
    let known = request.interface == "lo" || (0..cards).any(|index| request.interface == format!("eth{index}"));
    if !known {
        return Err(Status::not_found(format!("interface \"{}\" not found", request.interface)));
    }
    let snap = if request.snap_len == 0 { 4096 } else { request.snap_len };
    let first = Data { metadata: None, bytes: header(snap) }.encode_to_vec();
    Ok(watch::feed(watch::begin(call, vec![first], ()), |_, _, ()| Vec::new()))
}
