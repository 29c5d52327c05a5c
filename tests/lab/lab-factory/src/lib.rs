//! The Image Factory over plain HTTP: schematics, versions, extensions and images.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use lab_core::delays::Delays;
use lab_core::fault::{Fault, GARBAGE};
use lab_core::scenario::{Call, Chooser, Side};

mod access;
mod answer;
mod catalog;
mod exchange;
mod extras;
mod mode;
mod packing;
mod profile;
#[cfg(test)]
mod tests;

use answer::World;
use exchange::{Answer, Ask};
pub use mode::Mode;

/// Bytes of the largest schematic.
const BODY_LIMIT: usize = 4 << 20;

/// What the factory is started with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 takes a free one.
    pub port: u16,
    /// How long things take.
    pub delays: Delays,
}

/// A running factory; dropping it stops it.
pub struct Factory {
    shared: Arc<Shared>,
    address: SocketAddr,
    stopped: CancellationToken,
}

struct Shared {
    world: Mutex<World>,
    delays: Delays,
    count: AtomicU64,
    chooser: OnceLock<Arc<Chooser>>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Factory {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Factory {
    /// Starts a factory on the current runtime.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let wanted = SocketAddr::new(settings.address, settings.port);
        let listener = std::net::TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            world: Mutex::default(),
            delays: settings.delays,
            count: AtomicU64::new(0),
            chooser: OnceLock::new(),
        });
        let stopped = CancellationToken::new();
        let app = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let server = axum::serve(TcpListener::from_std(listener)?, app);
        let stop = stopped.clone();
        tokio::spawn(async move {
            // The server ends by itself only if its listener breaks; then its clients notice.
            let _ended = server.with_graceful_shutdown(async move { stop.cancelled().await }).await;
        });
        Ok(Self { shared, address, stopped })
    }

    /// `http://address:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets a scenario decide what goes wrong from now on.
    pub fn set_chooser(&self, chooser: &Arc<Chooser>) {
        self.shared.chooser.get_or_init(|| Arc::clone(chooser));
    }

    /// Sets the factory up in another way.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.world().mode = mode;
    }

    /// Adds a user: an Enterprise factory with users asks everybody for a name, and keeps their schematics apart.
    pub fn add_user(&self, name: &str, password: &str) {
        self.shared.world().users.add(name, password);
    }

    /// Canonical texts of the schematics that were registered, by ID.
    pub fn schematics(&self) -> BTreeMap<String, String> {
        self.shared.world().schematics()
    }

    /// Every request so far: method and path.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.shared.world().requests.clone()
    }

    /// How many requests wanted to register something.
    pub fn writes(&self) -> u64 {
        self.requests().iter().map(|(method, _)| u64::from(method == "POST")).sum()
    }

    /// Fails the next request whose path holds this text.
    pub fn fail_next(&self, path: &str, status: u16, text: &str) {
        self.shared.world().failures.push((path.to_owned(), status, text.to_owned()));
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = format!("{} {}", request.method(), request.uri().path());
    let call = Call { side: Side::Factory, node: String::new(), call };
    let effect = shared.chooser.get().and_then(|chooser| chooser.choose(call));
    let begun = tokio::time::Instant::now();
    match effect {
        Some(Fault::Fail { status, message }) => {
            let mut response = plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            *response.body_mut() = Body::from(message + "\n");
            response
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Garbage) => {
            let mut response = plain(StatusCode::OK);
            *response.body_mut() = Body::from(GARBAGE);
            response
        }
        Some(Fault::LoseReply) => {
            let mut response = real(&shared, request).await;
            let lost = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
            *response.body_mut() = Body::from_stream(futures_util::stream::iter([Err::<Vec<u8>, _>(lost)]));
            response
        }
        Some(Fault::Slow { by }) => {
            let response = real(&shared, request).await;
            tokio::time::sleep(by.unwrap_or_else(|| begun.elapsed())).await;
            response
        }
        None => real(&shared, request).await,
    }
}

async fn real(shared: &Arc<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return plain(StatusCode::BAD_REQUEST) };
    let range = head.headers.get("range").and_then(|range| range.to_str().ok());
    let answer = match head.uri.path().starts_with("/objects/") {
        true => shared.world().object(head.method.as_str(), head.uri.path(), range),
        false => {
            let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
            let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok());
            let query = form(head.uri.query().unwrap_or_default());
            let base = format!("http://{host}");
            let ask = Ask::new(head.method.as_str(), head.uri.path(), &body).at(&base, query);
            shared.world().answer(ask.by(authorization))
        }
    };
    let server = shared.world().mode.server();
    if answer.built && !shared.delays.build.is_zero() {
        tokio::time::sleep(shared.delays.build).await;
    }
    let id = head.headers.get("x-request-id").cloned().or_else(|| {
        let count = shared.count.fetch_add(1, Ordering::Relaxed);
        HeaderValue::from_str(&format!("00000000-0000-4000-8000-{count:012x}")).ok()
    });
    response(answer, server, id, head.method == http::Method::HEAD)
}

fn form(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn response(answer: Answer, server: &'static str, id: Option<HeaderValue>, head: bool) -> Response {
    let mut response = plain(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let headers = response.headers_mut();
    headers.insert("server", HeaderValue::from_static(server));
    headers.extend(id.map(|id| (HeaderName::from_static("x-request-id"), id)));
    headers.insert("content-length", HeaderValue::from(answer.body.len()));
    for (name, value) in answer.headers {
        headers.extend(HeaderValue::from_str(&value).ok().map(|value| (HeaderName::from_static(name), value)));
    }
    *response.body_mut() = if head { Body::empty() } else { Body::from(answer.body) };
    response
}
