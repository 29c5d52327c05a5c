//! The API on the wire.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Answer, Request, User, answer, events, status};
use crate::talos::{Id, Talos};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The header by which clients tell their user's identity in the server's log; sent back on every answer.
const AUDIT: &str = "audit-id";

/// Answers a request that came to the API server of a node.
pub(crate) async fn respond(
    talos: &Arc<Talos>,
    node: Id,
    user: User,
    request: http::Request<Incoming>,
    cut: CancellationToken,
) -> http::Response<Body> {
    use crate::scenario::{Effect, Side};
    let request = take(request).await;
    let begun = tokio::time::Instant::now();
    let effect = talos.chosen(Side::Kubernetes, node, &format!("{} {}", request.method, request.path));
    match effect {
        Some(Effect::Fail { status, message }) => {
            return answered(talos, node, request, status::failed(status, &message));
        }
        Some(Effect::Hang) => return std::future::pending().await,
        Some(Effect::Garbage) => return whole(200, "text/html", b"<html><body>Bad Gateway</body></html>".to_vec()),
        Some(Effect::LoseReply | Effect::Slow(_)) | None => {}
    }
    let now = OffsetDateTime::now_utc();
    let reply = talos.update(|world| {
        let server = world.server_version(node);
        let etcd = world.etcd_of(node)?;
        let store = &mut world.etcds[etcd].store;
        let before = store.revision();
        store.pass(now);
        let reply = answer(store, &user, &request, &server, now);
        if store.revision() != before {
            // Those who watch hear of what was written.
            world.touch(node);
        }
        Some(reply)
    });
    match effect {
        Some(Effect::LoseReply) => {
            cut.cancel();
            // Nothing may be written any more; the connection drops this call with itself.
            return std::future::pending().await;
        }
        Some(Effect::Slow(by)) => tokio::time::sleep(by.unwrap_or_else(|| begun.elapsed())).await,
        _ => {}
    }
    answered(talos, node, request, reply.unwrap_or_else(status::unknown_path))
}

fn answered(talos: &Arc<Talos>, node: Id, request: Request, answer: Answer) -> http::Response<Body> {
    match answer {
        Answer::Whole { code, content_type, body } => whole(code, content_type, body),
        Answer::Watch { first, after } => watching(talos, node, request, first, after),
        Answer::Log { text, uid } => following(talos, node, text, uid),
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

/// What a watcher has been told so far.
struct Watcher {
    talos: Weak<Talos>,
    node: Id,
    generation: u64,
    request: Request,
    ready: Vec<Value>,
    after: u64,
    changes: tokio::sync::watch::Receiver<u64>,
    deadline: tokio::time::Instant,
}

/// A watch without a limit of its own ends after this.
const LONGEST: Duration = Duration::from_secs(3600);

fn watching(talos: &Arc<Talos>, node: Id, request: Request, first: Vec<Value>, after: u64) -> http::Response<Body> {
    let limit = request.text("timeoutSeconds").and_then(|text| text.parse().ok()).map_or(LONGEST, Duration::from_secs);
    let watcher = Watcher {
        talos: Arc::downgrade(talos),
        node,
        generation: talos.read(|world| world.nodes[node].generation),
        request,
        ready: first,
        after,
        changes: talos.changes(),
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
fn following(talos: &Arc<Talos>, node: Id, text: String, uid: String) -> http::Response<Body> {
    let (weak, generation) = (Arc::downgrade(talos), talos.read(|world| world.nodes[node].generation));
    let mut changes = talos.changes();
    let ended = async move {
        while let Some(talos) = weak.upgrade() {
            changes.mark_unchanged();
            let goes_on = talos.read(|world| {
                let etcd = world.etcd_of(node).filter(|_| world.nodes[node].generation == generation)?;
                let mut pods = world.etcds[etcd].store.list("pods", None);
                pods.find(|pod| pod["metadata"]["uid"] == *uid && pod["status"]["phase"] == "Running").map(|_| ())
            });
            drop(talos);
            if goes_on.is_none() || changes.changed().await.is_err() {
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
            let talos = self.talos.upgrade()?;
            if talos.read(|world| world.nodes[self.node].generation) != self.generation {
                return None;
            }
            self.changes.mark_unchanged();
            let (ready, after) = talos.read(|world| {
                let etcd = world.etcd_of(self.node)?;
                Some(events(&world.etcds[etcd].store, &self.request, self.after, OffsetDateTime::now_utc()))
            })?;
            (self.ready, self.after) = (ready, after);
            drop(talos);
            if self.ready.is_empty() {
                tokio::time::timeout_at(self.deadline, self.changes.changed()).await.ok()?.ok()?;
            }
        }
        Some(self.ready.remove(0))
    }
}
