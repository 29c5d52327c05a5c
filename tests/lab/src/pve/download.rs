//! Fetching a file over plain HTTP, as a host does for `download-url`.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::disk_image::{Found, Reader};

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// Fetches a file and says what it is; the lab talks to loopback only.
pub(crate) async fn fetch(url: &str) -> anyhow::Result<Found> {
    let mut uri: Uri = url.parse().with_context(|| format!("'{url}' is no URL"))?;
    for _ in 0..REDIRECTS {
        match one(&uri).await? {
            Answer::File(found) => return Ok(found),
            Answer::Moved(next) => uri = next,
        }
    }
    bail!("more than {REDIRECTS} redirects")
}

enum Answer {
    File(Found),
    Moved(Uri),
}

async fn one(uri: &Uri) -> anyhow::Result<Answer> {
    let authority = uri.authority().context("no host in the URL")?;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let address = tokio::net::lookup_host(&address).await?.next().context("the host has no address")?;
    ensure!(uri.scheme_str() == Some("http"), "the lab's hosts fetch over plain http only");
    ensure!(address.ip().is_loopback(), "the lab's hosts reach loopback only, not {address}");
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let (reply, _closed) = tokio::join!(async move { read(&mut sender, uri, authority.as_str()).await }, connection);
    reply
}

type Sender = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

async fn read(sender: &mut Sender, uri: &Uri, host: &str) -> anyhow::Result<Answer> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request =
        Request::get(path).header(header::HOST, host).header(header::CONNECTION, "close").body(Empty::new())?;
    let reply = sender.send_request(request).await?;
    let status = reply.status();
    if status.is_redirection() {
        let next = reply.headers().get(header::LOCATION).context("a redirect to nowhere")?.to_str()?;
        // A place on the same host may be named by its path alone (RFC 9110, section 10.2.2).
        let next = if next.starts_with('/') { format!("http://{host}{next}") } else { next.to_owned() };
        return Ok(Answer::Moved(next.parse()?));
    }
    ensure!(status.is_success(), "ERROR {}: {}.", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut reader = Reader::default();
    let mut body = reply.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            reader.write(&bytes);
        }
    }
    Ok(Answer::File(reader.finish()))
}
