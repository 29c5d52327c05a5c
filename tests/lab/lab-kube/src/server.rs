//! The API on the wire.

use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use lab_core::fault::{Fault, GARBAGE};
use lab_core::kubernetes::{Body, Nodes, User};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Answer, Request, Store, answer, events, status};

/// The header by which clients send their user's identity to the server's log; sent back on every answer.
const AUDIT: &str = "audit-id";

/// Answers a request that came to the API server of a node.
pub(crate) async fn respond(
    nodes: Arc<dyn Nodes>,
    node: usize,
    user: User,
    request: http::Request<Incoming>,
    cut: CancellationToken,
) -> http::Response<Body> {
    let request = take(request).await;
    let begun = tokio::time::Instant::now();
    let effect = nodes.chosen(node, &format!("{} {}", request.method, request.path));
    match effect {
        Some(Fault::Fail { status, message }) => {
            return answered(&nodes, node, request, status::failed(status, &message));
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Garbage) => return whole(200, "text/html", GARBAGE.into()),
        Some(Fault::LoseReply | Fault::Slow { .. }) | None => {}
    }
    let now = OffsetDateTime::now_utc();
    let mut reply = None;
    nodes.update(node, &mut |objects, server| {
        let Some(store) = (objects as &mut dyn Any).downcast_mut::<Store>() else { return };
        store.pass(now);
        reply = Some(answer(store, &user, &request, server, now));
    });
    match effect {
        Some(Fault::LoseReply) => {
            cut.cancel();
            // Nothing may be written any more; the connection drops this call with itself.
            return std::future::pending().await;
        }
        Some(Fault::Slow { by }) => tokio::time::sleep(by.unwrap_or_else(|| begun.elapsed())).await,
        _ => {}
    }
    answered(&nodes, node, request, reply.unwrap_or_else(status::unknown_path))
}

fn answered(nodes: &Arc<dyn Nodes>, node: usize, request: Request, answer: Answer) -> http::Response<Body> {
    match answer {
        Answer::Whole { code, content_type, body } => whole(code, content_type, body),
        Answer::Watch { first, after } => watching(nodes, node, request, first, after),
        Answer::Log { text, uid } => following(nodes, node, text, uid),
    }
}

async fn take(request: http::Request<Incoming>) -> Request {
    let (head, body) = request.into_parts();
    let header = |name: http::HeaderName| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    Request {
        method: head.method.to_string(),
        path: decode(head.uri.path()),
        query: query(head.uri.query().unwrap_or_default()),
        accept: header(http::header::ACCEPT).replace(' ', ""),
        content_type: header(http::header::CONTENT_TYPE),
        body,
    }
}

fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(&value.replace('+', " ")))
    };
    pairs.map(pair).collect()
}

/// Resolves `%41`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn head(code: u16, content_type: &str, body: Body) -> http::Response<Body> {
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = content_type.parse() {
        headers.insert(http::header::CONTENT_TYPE, value);
    }
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache, private"));
    headers.insert(AUDIT, http::HeaderValue::from_static("00000000-0000-4000-8000-000000000000"));
    response
}

fn whole(code: u16, content_type: &str, body: Vec<u8>) -> http::Response<Body> {
    head(code, content_type, Full::new(Bytes::from(body)).boxed_unsync())
}

/// What a watcher has received so far.
struct Watcher {
    nodes: Weak<dyn Nodes>,
    node: usize,
    generation: u64,
    request: Request,
    ready: Vec<Value>,
    after: u64,
    changes: tokio::sync::watch::Receiver<u64>,
    deadline: tokio::time::Instant,
}

/// A watch without a limit of its own ends after this.
const LONGEST: Duration = Duration::from_secs(3600);

fn watching(
    nodes: &Arc<dyn Nodes>,
    node: usize,
    request: Request,
    first: Vec<Value>,
    after: u64,
) -> http::Response<Body> {
    let limit = request.text("timeoutSeconds").and_then(|text| text.parse().ok()).map_or(LONGEST, Duration::from_secs);
    let watcher = Watcher {
        nodes: Arc::downgrade(nodes),
        node,
        generation: nodes.generation(node),
        request,
        ready: first,
        after,
        changes: nodes.changes(),
        deadline: tokio::time::Instant::now() + limit,
    };
    let frames = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        let frame = Frame::data(Bytes::from(format!("{event}\n")));
        Some((Ok::<_, Infallible>(frame), watcher))
    });
    head(200, "application/json", BodyExt::boxed_unsync(StreamBody::new(frames.boxed())))
}

/// Sends a log, and ends when its pod does.
fn following(nodes: &Arc<dyn Nodes>, node: usize, text: String, uid: String) -> http::Response<Body> {
    let (weak, generation) = (Arc::downgrade(nodes), nodes.generation(node));
    let mut changes = nodes.changes();
    let ended = async move {
        while let Some(nodes) = weak.upgrade() {
            changes.mark_unchanged();
            let mut runs = false;
            if nodes.generation(node) == generation {
                let is_it = |pod: &Value| pod["metadata"]["uid"] == *uid && pod["status"]["phase"] == "Running";
                nodes.read(node, &mut |objects| runs = objects.list("pods", None).any(is_it));
            }
            drop(nodes);
            if !runs || changes.changed().await.is_err() {
                return;
            }
        }
    };
    let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(text)))]);
    let rest = stream::once(ended).filter_map(|()| std::future::ready(None));
    head(200, "text/plain", BodyExt::boxed_unsync(StreamBody::new(first.chain(rest).boxed())))
}

impl Watcher {
    async fn next(&mut self) -> Option<Value> {
        while self.ready.is_empty() {
            let nodes = self.nodes.upgrade()?;
            if nodes.generation(self.node) != self.generation {
                return None;
            }
            self.changes.mark_unchanged();
            let mut found = None;
            nodes.read(self.node, &mut |objects| {
                let store = (objects as &dyn Any).downcast_ref::<Store>();
                found = store.map(|store| events(store, &self.request, self.after, OffsetDateTime::now_utc()));
            });
            (self.ready, self.after) = found?;
            drop(nodes);
            if self.ready.is_empty() {
                tokio::time::timeout_at(self.deadline, self.changes.changed()).await.ok()?.ok()?;
            }
        }
        Some(self.ready.remove(0))
    }
}
