//! Asking for a file over plain HTTP, as a host does for `download-url` and `query-url-metadata`.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use lab_core::disk_image::{Found, Reader};

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// Fetches a file and says what it is; the lab talks to loopback only.
pub(crate) async fn fetch(url: &str) -> anyhow::Result<Found> {
    let answer = follow(&Method::GET, url).await?;
    let status = answer.status;
    ensure!(status.is_success(), "ERROR {}: {}.", status.as_u16(), status.canonical_reason().unwrap_or_default());
    Ok(answer.found)
}

/// What a server says of a file without sending it.
pub(crate) async fn head(url: &str) -> anyhow::Result<(StatusCode, HeaderMap)> {
    let answer = follow(&Method::HEAD, url).await?;
    Ok((answer.status, answer.headers))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    found: Found,
}

async fn follow(method: &Method, url: &str) -> anyhow::Result<Answer> {
    let mut uri: Uri = url.parse().with_context(|| format!("'{url}' is no URL"))?;
    for _ in 0..REDIRECTS {
        let answer = one(method, &uri).await?;
        if !answer.status.is_redirection() {
            return Ok(answer);
        }
        let next = answer.headers.get(header::LOCATION).context("a redirect to nowhere")?.to_str()?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        // A place on the same host may be named by its path alone (RFC 9110, section 10.2.2).
        uri = if next.starts_with('/') { format!("http://{host}{next}") } else { next.to_owned() }.parse()?;
    }
    bail!("more than {REDIRECTS} redirects")
}

async fn one(method: &Method, uri: &Uri) -> anyhow::Result<Answer> {
    let authority = uri.authority().context("no host in the URL")?;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let address = tokio::net::lookup_host(&address).await?.next().context("the host has no address")?;
    ensure!(uri.scheme_str() == Some("http"), "the lab's hosts fetch over plain http only");
    ensure!(address.ip().is_loopback(), "the lab's hosts reach loopback only, not {address}");
    let stream =
        TcpStream::connect(address).await.map_err(|error| refused(authority.host(), address.port(), &error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder().method(method).uri(path).header(header::HOST, authority.as_str());
    let request = request.header(header::CONNECTION, "close").body(Empty::new())?;
    let (reply, _closed) = tokio::join!(async move { read(&mut sender, request).await }, connection);
    reply
}

/// The words of the program that downloads.
fn refused(host: &str, port: u16, error: &std::io::Error) -> anyhow::Error {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    anyhow::anyhow!("Connecting to {host}:{port}... failed: {reason}.")
}

type Sender = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

async fn read(sender: &mut Sender, request: Request<Empty<Bytes>>) -> anyhow::Result<Answer> {
    let (head, mut body) = sender.send_request(request).await?.into_parts();
    let mut reader = Reader::default();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            reader.write(&bytes);
        }
    }
    Ok(Answer { status: head.status, headers: head.headers, found: reader.finish() })
}
