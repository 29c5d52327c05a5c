//! HTTP/1.1 over TLS: decodes requests, lets the state machine answer, and words the reply as Proxmox VE does.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::access::{Credentials, Token};
use super::content;
use super::dispatch;
use super::driver::{Driver, now};
use super::form;
use super::reply::{Refusal, Reply};
use super::state::{Call, Config};
use super::terminal_io;
use super::upload::{self, Unread};
use lab_core::fault::{Fault, GARBAGE};
use lab_core::scenario::{Call as Asked, Side};

/// Bytes of a body that is no upload.
const BODY_LIMIT: usize = 512 * 1024;
/// Requests that a connection may carry.
const KEEP_ALIVE: u32 = 100;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(5);

/// Serves until the driver is stopped.
pub(crate) async fn serve(driver: Arc<Driver>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let accepted = tokio::select! {
            () = driver.stopped.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            let (driver, acceptor) = (Arc::clone(&driver), acceptor.clone());
            tokio::spawn(async move {
                let stopped = driver.stopped.clone();
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = connection(driver, stream, acceptor) => {}
                }
            });
        }
    }
}

async fn connection(driver: Arc<Driver>, stream: TcpStream, acceptor: TlsAcceptor) {
    if driver.with(|state| state.faults.hanging) {
        pending::<()>().await;
    }
    // A client that gives up during the handshake or afterwards is no concern of the server.
    let _nodelay = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let served = Arc::new(AtomicU32::new(0));
    let service = service_fn(move |request| {
        let (driver, served) = (Arc::clone(&driver), Arc::clone(&served));
        async move {
            let reply = answer(&driver, request).await?;
            Ok::<_, Lost>(closing(reply, served.fetch_add(1, Ordering::Relaxed) + 1))
        }
    });
    let _ended = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// A reply that is lost on purpose: the connection breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the reply was lost on purpose")]
struct Lost;

pub(super) type Body = Full<Bytes>;

fn closing(mut reply: Response<Body>, count: u32) -> Response<Body> {
    if count >= KEEP_ALIVE {
        reply.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    reply
}

async fn answer(driver: &Arc<Driver>, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
    let method = request.method().as_str().to_owned();
    let path = request.uri().path().to_owned();
    driver.note(&method, &path);
    let fault = driver.with(|state| {
        state.arrive(&path);
        state.faults.of_request(&method, &path)
    });
    let fault = fault.or_else(|| chosen(driver, &method, &path));
    let begun = tokio::time::Instant::now();
    match fault {
        Some(Fault::Hang) => pending().await,
        Some(Fault::Garbage) => return Ok(page(GARBAGE)),
        // What the connection between two hosts says has no body.
        Some(Fault::Fail { status: status @ 595..=599, message }) => return Ok(status_line(status, &message)),
        Some(Fault::Fail { status, message }) => return Ok(refused(status, &message, None)),
        Some(Fault::LoseReply | Fault::Slow { .. }) | None => {}
    }
    let reply = real(driver, request, &method, &path).await;
    match fault {
        Some(Fault::LoseReply) => Err(Lost),
        Some(Fault::Slow { by }) => {
            tokio::time::sleep(by.unwrap_or_else(|| begun.elapsed())).await;
            Ok(reply)
        }
        _ => Ok(reply),
    }
}

/// What the lab's scenario says of a request.
fn chosen(driver: &Arc<Driver>, method: &str, path: &str) -> Option<Fault> {
    let path = path.strip_prefix("/api2/json").unwrap_or(path);
    let node = path.strip_prefix("/nodes/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let call = Asked { side: Side::Pve, node: node.to_owned(), call: format!("{method} {path}") };
    driver.chooser.get()?.choose(call)
}

async fn real(driver: &Arc<Driver>, request: Request<Incoming>, method: &str, path: &str) -> Response<Body> {
    let Some(path) = path.strip_prefix("/api2/json") else { return elsewhere(path) };
    let identity = driver.with(|state| state.access.identify(&credentials(&request), now()));
    let token = match (path, identity) {
        (_, Ok(token)) => token,
        ("/access/domains" | "/access/ticket" | "/access/vncticket", Err(_)) => {
            driver.with(|state| state.access.nobody())
        }
        (_, Err(error)) => {
            tarpit(driver).await;
            return status_line(401, error.reason());
        }
    };
    if !matches!(method, "GET" | "POST" | "PUT" | "DELETE") {
        return status_line(501, &format!("method '{method}' not available"));
    }
    if path.ends_with("/vncwebsocket") && request.headers().contains_key(header::UPGRADE) {
        return websocket(driver, request, &token, path).await;
    }
    let outcome = match path.ends_with("/upload") && method == "POST" {
        true => uploaded(driver, request, &token, path).await,
        false => called(driver, request, &token, method, path).await,
    };
    let outcome = match outcome {
        // The state machine has no network; what the file's server says is asked for here.
        Ok(Ok(reply)) if path.ends_with("/query-url-metadata") => {
            Ok(content::described(reply.data.as_str().unwrap_or_default()).await)
        }
        outcome => outcome,
    };
    match outcome {
        Ok(Ok(reply)) => success(reply),
        Ok(Err(refusal)) => {
            if refusal.is_held_back() {
                tarpit(driver).await;
            }
            refusal_page(&refusal)
        }
        Err(reply) => reply,
    }
}

fn credentials(request: &Request<Incoming>) -> Credentials<'_> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    Credentials {
        authorization: text("authorization"),
        cookie: text("cookie"),
        csrf: text("csrfpreventiontoken"),
        writes: request.method() != http::Method::GET,
    }
}

/// Proxmox VE holds back what it would rather not answer.
async fn tarpit(driver: &Arc<Driver>) {
    let delay = driver.with(|state| state.settings.delays.tarpit);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

type Outcome = Result<Result<Reply, Refusal>, Response<Body>>;

async fn called(driver: &Arc<Driver>, request: Request<Incoming>, token: &Token, method: &str, path: &str) -> Outcome {
    let mut params: Config = request.uri().query().map(|query| form::pairs(query).collect()).unwrap_or_default();
    let content_type = content_type(&request);
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return Err(status_line(501, "for data too large"));
    };
    if !body.is_empty() && matches!(method, "GET" | "DELETE") {
        let text = format!("Unexpected content for method '{method}'");
        let mut reply = status_line(501, &text);
        *reply.body_mut() = Full::new(text.into());
        return Err(reply);
    }
    match form::body(&content_type, &body) {
        Ok(more) => params.extend(more),
        Err(text) => {
            let mut reply = status_line(500, &text);
            *reply.body_mut() = Full::new(format!("{text}\n").into());
            return Err(reply);
        }
    }
    let request = dispatch::Request { method, path, params };
    Ok(patiently(driver, token, request).await)
}

/// Lets a request be answered; one that needs a lock which somebody holds waits for it, and not for ever.
async fn patiently(driver: &Arc<Driver>, token: &Token, request: dispatch::Request<'_>) -> Result<Reply, Refusal> {
    let begun = tokio::time::Instant::now();
    let mut changes = driver.changes();
    loop {
        let (reply, fetches) = driver.act(|state| dispatch::answer(state, token, request.clone(), now()));
        driver.fetch(fetches).await;
        let Err(Refusal::Busy { lock, seconds, .. }) = &reply else { return reply };
        let end = begun + driver.look(|state| state.patience(*seconds));
        while !driver.look(|state| state.locks.is_free(lock)) {
            if tokio::time::timeout_at(end, changes.changed()).await.is_err() {
                return reply;
            }
        }
    }
}

/// `/nodes/{node}/qemu/{vmid}/vncwebsocket`: the connection becomes that of a terminal.
async fn websocket(driver: &Arc<Driver>, mut request: Request<Incoming>, token: &Token, path: &str) -> Response<Body> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let Some(key) = key else { return status_line(500, "missing websocket-key") };
    let upgrade = hyper::upgrade::on(&mut request);
    let reply = match called(driver, request, token, "GET", path).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(refusal)) => return refusal_page(&refusal),
        Err(reply) => return reply,
    };
    let port = reply.data["port"].as_str().and_then(|port| port.parse().ok()).unwrap_or_default();
    tokio::spawn(terminal_io::serve(Arc::clone(driver), port, upgrade));
    let mut reply = status_line(101, "Switching Protocols");
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    if let Ok(accepted) = header::HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    }
    reply
}

fn content_type(request: &Request<Incoming>) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// `/nodes/{node}/storage/{storage}/upload`.
async fn uploaded(driver: &Arc<Driver>, request: Request<Incoming>, token: &Token, path: &str) -> Outcome {
    let parts: Vec<String> = path.split('/').skip(1).map(form::decode).collect();
    let ["nodes", node, "storage", storage, "upload"] = *parts.iter().map(String::as_str).collect::<Vec<_>>() else {
        return Err(refused(501, &format!("Method 'POST {path}' not implemented"), None));
    };
    let (params, found) = match upload::read(request).await {
        Ok(read) => read,
        Err(error @ Unread::Order) => return Err(status_line(400, &error.to_string())),
        Err(error) => return Err(status_line(501, &error.to_string())),
    };
    let path = [("node", node.to_owned()), ("storage", storage.to_owned())].into();
    let call = Call { token, path, params, now: now() };
    let (reply, _none) = driver.act(|state| content::upload(state, &call, found));
    Ok(reply)
}

fn success(reply: Reply) -> Response<Body> {
    let mut body = Map::from_iter([("data".to_owned(), reply.data)]);
    if let Some(total) = reply.total {
        body.insert("total".to_owned(), total.into());
    }
    json(200, "OK", body)
}

fn refusal_page(refusal: &Refusal) -> Response<Body> {
    let (status, reason) = refusal.status();
    match refusal {
        Refusal::Unreachable(_) | Refusal::TimedOut => status_line(status, reason),
        Refusal::Parameters(errors) => refused(status, reason, Some(errors)),
        _ => refused(status, reason, None),
    }
}

fn refused(status: u16, reason: &str, errors: Option<&Config>) -> Response<Body> {
    let end = if status == 501 { "" } else { "\n" };
    let mut body = Map::from_iter([("data".to_owned(), Value::Null)]);
    if let Some(errors) = errors {
        body.insert(
            "errors".to_owned(),
            errors.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect(),
        );
    }
    body.insert("message".to_owned(), format!("{reason}{end}").into());
    json(status, reason, body)
}

fn json(status: u16, reason: &str, body: Map<String, Value>) -> Response<Body> {
    let mut reply = status_line(status, reason);
    *reply.body_mut() = Full::new(Value::Object(body).to_string().into());
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json;charset=UTF-8"));
    reply
}

/// A reply without a body: the message stands in the reason phrase only.
fn status_line(status: u16, reason: &str) -> Response<Body> {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let first_line = reason.lines().next().unwrap_or_default().as_bytes();
    if let Ok(reason) = ReasonPhrase::try_from(first_line) {
        reply.extensions_mut().insert(reason);
    }
    let headers = reply.headers_mut();
    headers.insert(header::SERVER, header::HeaderValue::from_static("pve-api-daemon/3.0"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("max-age=0"));
    headers.insert(header::PRAGMA, header::HeaderValue::from_static("no-cache"));
    reply
}

fn elsewhere(path: &str) -> Response<Body> {
    match path {
        "/" => page("<!DOCTYPE html><html><head><title>Proxmox Virtual Environment</title></head></html>"),
        _ => status_line(404, &format!("No such file '{path}'")),
    }
}

fn page(text: &'static str) -> Response<Body> {
    let mut reply = status_line(200, "OK");
    *reply.body_mut() = Full::new(Bytes::from_static(text.as_bytes()));
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    reply
}
