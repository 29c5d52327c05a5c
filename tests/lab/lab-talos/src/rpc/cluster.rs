//! The health check that a control plane runs on its cluster.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use prost::Message;
use talos_proto::cluster::{ClusterInfo, HealthCheckProgress, HealthCheckRequest};
use tonic::Status;

use super::health::{self, Scope};
use super::{Call, Reply};
use crate::node::Node;
use crate::world::{Id, World};

pub(super) fn health_check(call: &Call<'_>) -> Result<Reply, Status> {
    let request: HealthCheckRequest = call.request()?;
    if call.see(|node| node.config.is_none()) {
        return Err(Status::unimplemented("machine type is not set, cannot use cluster health check API"));
    }
    if !call.see(Node::is_control_plane) {
        return Err(Status::unimplemented("cluster health check is only available on control plane nodes"));
    }
    let timeout = request.wait_timeout.map_or(Duration::ZERO, |t| Duration::new(t.seconds.unsigned_abs(), 0));
    let scope = call.ask(|world, id| scope(world, id, &request.cluster_info.unwrap_or_default()));
    let first = format!("discovered nodes: {}", call.ask(|world, _| health::quoted(&addresses(world, &scope))));
    let state = Progressing { changes: call.talos.changes(), scope, at: 0, lines: vec![first], last: String::new() };
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
                let (description, check) = health::CHECKS.get(state.at)?;
                if state.last.is_empty() {
                    state.last = format!("waiting for {description}: ...");
                    state.lines.push(state.last.clone());
                    continue;
                }
                let outcome = talos.upgrade()?.read(|world| check(world, &state.scope));
                let why = match outcome {
                    Err(why) if why != health::SKIP => why,
                    done => {
                        state.at += 1;
                        state.last.clear();
                        let word = done.err().unwrap_or_else(|| "OK".to_owned());
                        state.lines.push(format!("waiting for {description}: {word}"));
                        continue;
                    }
                };
                let line = format!("waiting for {description}: {why}").trim().to_owned();
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
    scope: Scope,
    at: usize,
    lines: Vec<String>,
    /// The last line that was sent about what is waited for.
    last: String,
}

impl Progressing {
    /// Waits for the lab to change; returns whether there was still time to.
    async fn until_change(&mut self, deadline: tokio::time::Instant) -> bool {
        let now = tokio::time::Instant::now();
        if now < deadline {
            let _ = tokio::time::timeout_at(deadline, self.changes.changed()).await;
        }
        now < deadline
    }
}

/// The nodes that the caller named, else the members of the cluster.
fn scope(world: &World, id: Id, wanted: &ClusterInfo) -> Scope {
    let named = [&wanted.control_plane_nodes, &wanted.worker_nodes].map(|addresses| {
        let found = addresses.iter().map(|text| text.parse().ok().and_then(|address| world.at_address(address)));
        found.zip(addresses).collect::<Vec<_>>()
    });
    if named.iter().any(|nodes| !nodes.is_empty()) {
        let strangers = named.iter().flatten().filter(|(found, _)| found.is_none());
        let strangers = strangers.map(|(_, address)| (*address).clone()).collect();
        let [control_planes, workers] = named.map(|nodes| nodes.into_iter().filter_map(|(found, _)| found).collect());
        return Scope { control_planes, workers, strangers };
    }
    let key = |id: Id| world.nodes[id].config.as_ref().map(|config| config.trust_key());
    let members = (0..world.nodes.len()).filter(|other| world.nodes[*other].on && key(*other) == key(id));
    let (control_planes, workers) = members.partition(|id| world.nodes[*id].is_control_plane());
    Scope { control_planes, workers, strangers: Vec::new() }
}

fn addresses(world: &World, scope: &Scope) -> Vec<String> {
    let nodes = scope.control_planes.iter().chain(&scope.workers).filter_map(|id| world.nodes[*id].address());
    nodes.map(|address| address.to_string()).chain(scope.strangers.iter().cloned()).collect()
}
