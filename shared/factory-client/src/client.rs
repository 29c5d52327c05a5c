//! Asks the factory.

use std::time::Duration;

use http::{
    StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
};
use patience::Backoff;
use reqwest::{RequestBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use schematic::{FactoryUrl, Image};
use talos_releases::Version;
use transport::{Cause, Timeouts};

use crate::{Error, Extension, Refusal, reply::Registered};

/// For calls that make the factory build nothing.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(15), call: Duration::from_secs(60) };
/// How long a build may take: the factory itself gives up after 20 minutes.
const BUILD: Duration = Duration::from_secs(22 * 60);
/// How long a download may bring nothing.
const STALL: Duration = Duration::from_secs(60);
/// Maximum number of attempts of a call while the factory fails.
const TRIES: u32 = 4;

/// A connection to an Image Factory.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: FactoryUrl,
}

/// The digest and size of a downloaded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Trust in the system's certificate authorities.
fn tls(base: &FactoryUrl) -> Result<ClientConfig, Error> {
    let builder = transport::builder();
    match transport::system() {
        Ok(verifier) => Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()),
        Err(_) if !base.is_https() => Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
        Err(error) => Err(Error::NoRoots { base: base.clone(), source: Cause(error.to_string()) }),
    }
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The system has no certificate authorities.
    pub fn new(base: FactoryUrl) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&base)?)
            .connect_timeout(TIMEOUTS.connect)
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(concat!("ichor/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("a client with TLS already set up");
        Ok(Self { http, base })
    }

    /// The factory's URL.
    pub fn base(&self) -> &FactoryUrl {
        &self.base
    }

    /// Registers a schematic and returns the ID that the factory gives it. Doing so again changes nothing.
    ///
    /// # Errors
    /// No answer, or a refusal: a field that the factory doesn't know.
    pub async fn register(&self, text: &str) -> Result<String, Error> {
        let post = || {
            let request = self.http.post(self.base.url("/schematics")).timeout(TIMEOUTS.call);
            request.header(CONTENT_TYPE, "application/yaml").body(text.to_owned())
        };
        let registered: Registered = self.read("POST /schematics", post).await?;
        match schematic::is_id(&registered.id) {
            true => Ok(registered.id),
            false => Err(self.foreign(format!("its schematic ID is {:?}", registered.id))),
        }
    }

    /// Whether the factory knows a schematic by its ID.
    ///
    /// # Errors
    /// No answer, or a refusal other than not knowing it.
    pub async fn knows(&self, schematic: &str) -> Result<bool, Error> {
        let path = format!("/schematics/{schematic}");
        let get = || self.http.get(self.base.url(&path)).timeout(TIMEOUTS.call);
        match self.ask(&format!("GET {path}"), get).await {
            Ok(_) => Ok(true),
            Err(error) if error.refusal().is_some_and(Refusal::is_unknown_schematic) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The versions that it makes images of, oldest first.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn versions(&self) -> Result<Vec<String>, Error> {
        let get = || self.http.get(self.base.url("/versions")).timeout(TIMEOUTS.call);
        let list: Option<Vec<String>> = self.read("GET /versions", get).await?;
        Ok(list.unwrap_or_default())
    }

    /// The official extensions that exist for a version.
    ///
    /// # Errors
    /// No answer, or a version that the factory doesn't have.
    pub async fn extensions(&self, version: Version) -> Result<Vec<Extension>, Error> {
        let path = format!("/version/{version}/extensions/official");
        let get = || self.http.get(self.base.url(&path)).timeout(TIMEOUTS.call);
        let list: Option<Vec<Extension>> = self.read(&format!("GET {path}"), get).await?;
        Ok(list.unwrap_or_default())
    }

    /// Has an image built, if it isn't yet, and returns its size in bytes if the factory reports it. This can take
    /// minutes; a connection that breaks meanwhile doesn't stop the build.
    ///
    /// # Errors
    /// No answer, or a refusal: an extension that doesn't exist for this version.
    pub async fn prepare(&self, image: &Image) -> Result<Option<u64>, Error> {
        let path = image.path();
        let head = || self.http.head(self.base.url(&path)).timeout(BUILD);
        match self.ask(&format!("HEAD {path}"), head).await {
            // A refused HEAD has no message; a GET has one, and is refused before any content is sent.
            Err(Error::Refused { source, .. }) if (400..500).contains(&source.status) => {
                let get = || self.http.get(self.base.url(&path)).timeout(BUILD);
                self.ask(&format!("GET {path}"), get).await.map(|reply| length(&reply))
            }
            prepared => prepared.map(|reply| length(&reply)),
        }
    }

    /// Downloads an image into `sink`, and computes its digest; `moved` gets how many bytes came, and of how many. A broken
    /// download continues where it broke, if the server supports that; this factory doesn't when it serves the image itself.
    ///
    /// # Errors
    /// No answer, a refusal, a download that was cut off (begin again with an empty sink), or a sink that can't be written.
    pub async fn fetch(
        &self,
        url: &str,
        sink: &mut (impl AsyncWrite + Unpin),
        moved: impl Fn(u64, Option<u64>),
    ) -> Result<Fetched, Error> {
        let call = format!("GET {}", url.strip_prefix(&self.base.to_string()).unwrap_or(url));
        let mut reply = self.ask(&call, || self.http.get(url)).await?;
        let etag = reply.headers().get(ETAG).cloned();
        let whole = length(&reply);
        let (mut digest, mut received) = (Sha256::new(), 0);
        loop {
            let cause = match drain(&mut reply, sink, &mut digest, &mut received, |so_far| moved(so_far, whole)).await?
            {
                None if whole.is_none_or(|whole| whole == received) => break,
                None => Cause(format!("{} bytes were announced", whole.unwrap_or_default())),
                Some(cause) => cause,
            };
            let cut = || Error::Cut { url: url.into(), received, source: cause };
            let Some(etag) = etag.as_ref().filter(|_| received > 0) else { return Err(cut()) };
            let rest = self.http.get(url).header(RANGE, format!("bytes={received}-")).header(IF_RANGE, etag);
            reply = rest.send().await.ok().filter(|reply| continues(reply, received)).ok_or_else(cut)?;
        }
        sink.flush().await.map_err(|source| Error::Unwritten { source })?;
        let sha256 = base16ct::lower::encode_string(&digest.finalize());
        Ok(Fetched { sha256, bytes: received })
    }

    /// Retries until the factory answers or has failed too often. Every call here may be made twice.
    async fn ask(&self, call: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(5)).seeded(call);
        let mut tries = 1;
        loop {
            match self.once(call, request()).await {
                Err(error) if error.is_transient() && tries < TRIES => {
                    tokio::time::sleep(pauses.pause()).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn once(&self, call: &str, request: RequestBuilder) -> Result<Response, Error> {
        let unanswered = |error: reqwest::Error| {
            let (base, source) = (self.base.clone(), Cause::innermost(&error.without_url()));
            match source.is_about_certificate() {
                true => Error::Untrusted { base, source },
                false => Error::Unreachable { base, source },
            }
        };
        let reply = request.send().await.map_err(unanswered)?;
        if reply.status().is_success() {
            return Ok(reply);
        }
        let status = reply.status().as_u16();
        let text = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let request_id = text("x-request-id");
        if text("content-type").is_some_and(|kind| kind.starts_with("text/html")) && !(500..600).contains(&status) {
            return Err(self.foreign(format!("it returned status {status} and text/html")));
        }
        let message = reply.text().await.unwrap_or_default().trim().chars().take(500).collect();
        Err(Error::Refused { call: call.into(), source: Refusal { status, message, request_id } })
    }

    async fn read<T: DeserializeOwned>(&self, call: &str, request: impl Fn() -> RequestBuilder) -> Result<T, Error> {
        let reply = self.ask(call, request).await?;
        let unreachable = |error| Error::Unreachable { base: self.base.clone(), source: Cause::innermost(&error) };
        let body = reply.bytes().await.map_err(unreachable)?;
        // Lists come as text/plain, so only the body shows whether it is one.
        serde_json::from_slice(&body).map_err(|error| self.foreign(format!("its reply to {call} is no list: {error}")))
    }

    fn foreign(&self, what: String) -> Error {
        Error::Foreign { base: self.base.clone(), what }
    }
}

/// Reads until the end (`None`) or a break. A server that sends nothing for a while has broken, too.
async fn drain(
    reply: &mut Response,
    sink: &mut (impl AsyncWrite + Unpin),
    digest: &mut Sha256,
    received: &mut u64,
    moved: impl Fn(u64),
) -> Result<Option<Cause>, Error> {
    loop {
        match tokio::time::timeout(STALL, reply.chunk()).await {
            Ok(Ok(Some(piece))) => {
                digest.update(&piece);
                sink.write_all(&piece).await.map_err(|source| Error::Unwritten { source })?;
                *received += piece.len() as u64;
                moved(*received);
            }
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => return Ok(Some(Cause::innermost(&error))),
            Err(_) => return Ok(Some(Cause(format!("nothing came for {}s", STALL.as_secs())))),
        }
    }
}

/// The announced length; a HEAD has it in the header only.
fn length(reply: &Response) -> Option<u64> {
    reply.headers().get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether a reply continues at `offset`.
fn continues(reply: &Response, offset: u64) -> bool {
    let range = reply.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
    reply.status() == StatusCode::PARTIAL_CONTENT && from == Some(offset)
}
