//! The health check that a control plane runs on its cluster.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use prost::Message;
use talos_proto::cluster::{HealthCheckProgress, HealthCheckRequest};
use tonic::Status;

use super::{Call, Reply};
use crate::talos::node::{Node, Progress, Stage};
use crate::talos::world::{Id, World};

/// What is checked, in order: description, and what keeps it from holding.
type Check = (&'static str, fn(&World, &[Id]) -> Option<String>);

const CHECKS: &[Check] = &[
    ("etcd to be healthy", |world, nodes| {
        waits(world, nodes, |id| world.nodes[id].is_control_plane() && !world.etcd_healthy(id))
    }),
    ("etcd members to be consistent across nodes", |_, _| None),
    ("etcd members to be control plane nodes", |_, _| None),
    ("apid to be ready", |world, nodes| waits(world, nodes, |id| !world.nodes[id].on)),
    ("all nodes memory sizes", |world, nodes| {
        waits(world, nodes, |id| {
            let node = &world.nodes[id];
            node.machine.memory < if node.is_control_plane() { 1848 - 150 } else { 1024 - 150 }
        })
    }),
    ("all nodes disk sizes", |_, _| None),
    ("no diagnostics", |world, nodes| {
        let of = |id: &Id| {
            let (name, node) = (world.nodes[*id].full_name(), &world.nodes[*id]);
            node.diagnostics.values().map(move |message| format!("{name}: {message}")).collect::<Vec<_>>()
        };
        let active: Vec<String> = nodes.iter().flat_map(of).collect();
        (!active.is_empty()).then(|| format!("active diagnostics: {}", active.join(", ")))
    }),
    ("kubelet to be healthy", |world, nodes| waits(world, nodes, |id| !world.nodes[id].api_due)),
    ("all nodes to finish boot sequence", |world, nodes| {
        waits(world, nodes, |id| world.nodes[id].stage != Stage::Running)
    }),
    ("all k8s nodes to report", |world, nodes| waits(world, nodes, |id| world.nodes[id].kubelet == Progress::Off)),
    ("all control plane static pods to be running", |world, nodes| {
        waits(world, nodes, |id| world.nodes[id].is_control_plane() && world.nodes[id].apiserver != Progress::Up)
    }),
    ("all control plane components to be ready", |world, nodes| {
        waits(world, nodes, |id| world.nodes[id].is_control_plane() && !world.serves_kubernetes(id))
    }),
    ("all k8s nodes to report ready", |world, nodes| waits(world, nodes, |id| world.nodes[id].kubelet != Progress::Up)),
    ("kube-proxy to report ready", |_, _| None),
    ("coredns to report ready", |_, _| None),
    ("all k8s nodes to report schedulable", |world, nodes| {
        waits(world, nodes, |id| {
            let store = world.kubernetes_of(id).map(|etcd| &world.etcds[etcd].store);
            let node = store.and_then(|store| store.node(&world.nodename(id)));
            node.is_some_and(|node| node["spec"]["unschedulable"] == serde_json::json!(true))
        })
    }),
];

/// The nodes that something still keeps waiting.
fn waits(world: &World, nodes: &[Id], wait: impl Fn(Id) -> bool) -> Option<String> {
    let waiting: Vec<String> = nodes.iter().filter(|id| wait(**id)).map(|id| world.nodes[*id].full_name()).collect();
    (!waiting.is_empty()).then(|| format!("nodes {waiting:?} are not ready yet"))
}

pub(super) fn health_check(call: &Call<'_>) -> Result<Reply, Status> {
    let request: HealthCheckRequest = call.request()?;
    if call.see(|node| node.config.is_none()) {
        return Err(Status::unimplemented("machine type is not set, cannot use cluster health check API"));
    }
    if !call.see(Node::is_control_plane) {
        return Err(Status::unimplemented("cluster health check is only available on control plane nodes"));
    }
    let timeout = request.wait_timeout.map_or(Duration::ZERO, |t| Duration::new(t.seconds.unsigned_abs(), 0));
    let nodes = call.ask(members);
    let first = format!("discovered nodes: {:?}", call.ask(|world, _| addresses(world, &nodes)));
    let state = Progressing { changes: call.talos.changes(), nodes, at: 0, lines: vec![first], last: String::new() };
    let (talos, deadline) = (std::sync::Arc::downgrade(call.talos), tokio::time::Instant::now() + timeout);
    let lines = stream::unfold(Some(state), move |state| {
        let talos = talos.clone();
        async move {
            let mut state = state?;
            loop {
                if !state.lines.is_empty() {
                    let line = state.lines.remove(0);
                    return Some((Ok(line), Some(state)));
                }
                let (description, check) = CHECKS.get(state.at)?;
                let waiting = talos.upgrade()?.read(|world| check(world, &state.nodes));
                let Some(why) = waiting else {
                    state.at += 1;
                    state.lines.push(format!("waiting for {description}: OK"));
                    continue;
                };
                let line = format!("waiting for {description}: {why}");
                if state.last != line {
                    state.last.clone_from(&line);
                    state.lines.push(line);
                    continue;
                }
                if !state.until_change(deadline).await {
                    return Some((Err(Status::deadline_exceeded("context deadline exceeded")), None));
                }
            }
        }
    });
    let frames = lines.map(|line| line.map(|message| HealthCheckProgress { metadata: None, message }.encode_to_vec()));
    Ok(Reply::Many(frames.boxed()))
}

/// How far a check has come.
struct Progressing {
    changes: tokio::sync::watch::Receiver<u64>,
    nodes: Vec<Id>,
    at: usize,
    lines: Vec<String>,
    /// The line that was last said of what is waited for.
    last: String,
}

impl Progressing {
    /// Waits for the lab to change; says whether there was still time to.
    async fn until_change(&mut self, deadline: tokio::time::Instant) -> bool {
        let now = tokio::time::Instant::now();
        if now < deadline {
            let _ = tokio::time::timeout_at(deadline, self.changes.changed()).await;
        }
        now < deadline
    }
}

fn members(world: &World, id: Id) -> Vec<Id> {
    let key = |id: Id| world.nodes[id].config.as_ref().map(|config| config.trust_key());
    (0..world.nodes.len()).filter(|other| world.nodes[*other].on && key(*other) == key(id)).collect()
}

fn addresses(world: &World, nodes: &[Id]) -> Vec<String> {
    nodes.iter().filter_map(|id| world.nodes[*id].address()).map(|address| address.to_string()).collect()
}
