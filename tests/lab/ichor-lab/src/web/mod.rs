//! A page that shows the lab live: hosts, VMs, nodes with their stages, and tasks.
//!
//! Plain HTML; the state comes as server-sent events whenever something has changed.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use lab_pve::Observer;
use lab_talos::{NodeHandle, Talos};

const PAGE: &str = include_str!("page.html");
/// Changes that come closer together than this are shown together.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long a change that nothing reports may stay unseen.
const GLANCE: Duration = Duration::from_secs(1);
/// Tasks that are shown.
const TASKS: usize = 25;

/// What the page looks at.
#[derive(Clone)]
struct View {
    name: Arc<str>,
    pve: Observer,
    /// Not held, so that a page that stays open keeps no lab alive.
    talos: Weak<Talos>,
}

/// A running page; dropping it stops it.
pub(crate) struct Web {
    address: SocketAddr,
    stopped: CancellationToken,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Web {
    /// Starts the page on the current runtime.
    pub(crate) fn start(address: IpAddr, name: &str, pve: Observer, talos: &Arc<Talos>) -> anyhow::Result<Self> {
        let wanted = SocketAddr::new(address, 8080);
        let listener = std::net::TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let view = View { name: name.into(), pve, talos: Arc::downgrade(talos) };
        let app = Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/state", get(|State(view): State<View>| async move { axum::Json(view.state()) }))
            .route("/events", get(events))
            .with_state(view);
        let stopped = CancellationToken::new();
        let stop = stopped.clone();
        let server = axum::serve(TcpListener::from_std(listener)?, app);
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                // It ends by itself only if its listener breaks; then its viewers notice.
                _ended = server => {}
            }
        });
        Ok(Self { address, stopped })
    }

    /// `http://address:port`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn events(State(view): State<View>) -> impl IntoResponse {
    Sse::new(changes(view)).keep_alive(KeepAlive::default())
}

/// The state now, and whenever it has become another.
fn changes(view: View) -> impl Stream<Item = Result<Event, Infallible>> {
    let nodes = view.talos.upgrade().map(|talos| talos.changes());
    let receivers = nodes.map(|nodes| (view.pve.changes(), nodes));
    stream::unfold((view, receivers, None), |(view, receivers, shown)| async move {
        let (mut pve, mut talos) = receivers?;
        loop {
            let state = view.state()?;
            if shown.as_ref() != Some(&state) {
                let event = Event::default().data(state.to_string());
                return Some((Ok(event), (view, Some((pve, talos)), Some(state))));
            }
            tokio::select! {
                _changed = pve.changed() => tokio::time::sleep(TOGETHER).await,
                _changed = talos.changed() => tokio::time::sleep(TOGETHER).await,
                () = tokio::time::sleep(GLANCE) => {}
            }
        }
    })
}

impl View {
    /// The state; `None` once the lab is gone.
    fn state(&self) -> Option<Value> {
        let talos = self.talos.upgrade()?;
        let vms: Vec<Value> = self
            .pve
            .vms()
            .into_iter()
            .map(|vm| {
                json!({
                    "id": vm.id, "name": vm.name, "host": vm.node, "running": vm.running, "lock": vm.config.get("lock"),
                    "cores": vm.config.get("cores"), "memory": vm.config.get("memory"), "obstacle": vm.obstacle,
                })
            })
            .collect();
        let tasks: Vec<Value> = self
            .pve
            .latest_tasks(TASKS)
            .into_iter()
            .map(|task| json!({"kind": task.kind, "id": task.id, "exit": task.exit, "line": task.log.last()}))
            .collect();
        Some(json!({
            "name": &*self.name,
            "hosts": self.pve.hosts().into_iter().map(|(name, online)| json!({"name": name, "online": online}))
                .collect::<Vec<_>>(),
            "vms": vms,
            "nodes": talos.nodes().iter().map(node).collect::<Vec<_>>(),
            "tasks": tasks,
        }))
    }
}

fn node(node: &NodeHandle) -> Value {
    let unmet: Vec<String> = node.unmet().into_iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    json!({
        "name": node.hostname(), "vm": node.name(), "address": node.address(), "role": node.role(),
        "stage": node.stage().name(), "version": node.version(), "unmet": unmet, "etcd": node.is_etcd_member(),
        "ready": node.is_ready(), "boots": node.counts().boots, "console": node.console().last(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::{Lab, Options};

    async fn read(lab: &Lab, path: &str, end: &str) -> String {
        let address = lab.web().trim_start_matches("http://").to_owned();
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
        let mut found = Vec::new();
        let wait = async {
            while !String::from_utf8_lossy(&found).contains(end) {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "ended after {:?}", String::from_utf8_lossy(&found));
                found.extend_from_slice(&buffer[..count]);
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.unwrap();
        String::from_utf8_lossy(&found).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_page_hears_of_what_happens_in_the_lab() {
        let lab = Lab::start(Options::default()).await.unwrap();
        assert!(read(&lab, "/", "</html>").await.contains("EventSource"));
        let id = lab.pve().add_foreign_vm("somebody");
        let seen = read(&lab, "/events", "somebody").await;
        assert!(seen.contains("text/event-stream") && seen.contains(&format!("\"id\":{id}")), "{seen}");
    }
}
