//! Asks the factory.

use std::{fmt, time::Duration};

use http::header::{CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use patience::Backoff;
use reqwest::{RequestBuilder, Response, redirect::Policy};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

use schematic::{FactoryUrl, Image};
use talos_releases::Version;
use transport::{Cause, Timeouts, body};

use crate::{Error, Extension, Refusal, content::is_message, reply::Registered};

/// For calls that make the factory build nothing.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(15), call: Duration::from_secs(60) };
/// How long a build may take: the factory itself gives up after 20 minutes.
const BUILD: Duration = Duration::from_secs(22 * 60);
/// The longest pause that a factory may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of the longest list; real ones have some 10 KiB.
const LARGEST_LIST: usize = 4 << 20;
/// Bytes of the longest message of a refusal.
const LARGEST_MESSAGE: usize = 64 << 10;
/// Maximum number of redirects.
const REDIRECTS: usize = 5;
/// Maximum number of attempts of a call while the factory fails.
const TRIES: u32 = 4;

/// A connection to an Image Factory.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: FactoryUrl,
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

/// Only images are elsewhere, where the factory keeps them in an object store. What else a redirect leads to is not the
/// factory, and no redirect leads out of TLS.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let (from, to) = (attempt.previous().last(), attempt.url());
        let Some(from) = from.filter(|_| attempt.previous().len() <= REDIRECTS) else { return attempt.stop() };
        let is_image = attempt.previous()[0].path().starts_with("/image/");
        let same_host = from.host_str() == to.host_str();
        let stays_private = from.scheme() != "https" || to.scheme() == "https";
        if stays_private && (is_image || same_host) { attempt.follow() } else { attempt.stop() }
    })
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The system has no certificate authorities.
    pub fn new(base: FactoryUrl) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&base)?)
            .redirect(redirects())
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
        let call = format!("GET {path}");
        let known =
            |body: &[u8]| match body.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"customization:")) {
                true => Ok(()),
                false => Err("no schematic"),
            };
        match self.read_as(&call, get, known).await {
            Ok(()) => Ok(true),
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
        self.read(&format!("GET {path}"), get).await
    }

    /// Has an image built, if it isn't yet, and returns its size in bytes if the factory reports it. This can take
    /// minutes; a connection that breaks meanwhile doesn't stop the build.
    ///
    /// # Errors
    /// No answer, or a refusal: an extension that doesn't exist for this version.
    pub async fn prepare(&self, image: &Image) -> Result<Option<u64>, Error> {
        let path = image.path();
        let head = || self.http.head(self.base.url(&path)).timeout(BUILD);
        match self.announced(image, format!("HEAD {path}"), head).await {
            // A refused HEAD has no message; a GET has one, and is refused before any content is sent.
            Err(Error::Refused { source, .. }) if (400..500).contains(&source.status) => {
                let get = || self.http.get(self.base.url(&path)).timeout(BUILD);
                self.announced(image, format!("GET {path}"), get).await
            }
            prepared => prepared,
        }
    }

    /// The size of an image that a reply announces.
    async fn announced(
        &self,
        image: &Image,
        call: String,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Option<u64>, Error> {
        let mut tries = Tries::of(&call);
        loop {
            let error = match self.once(&call, request()).await {
                Ok(reply) => match content_type(&reply).filter(|kind| is_message(kind)) {
                    None => return Ok(length(&reply)),
                    Some(kind) => Error::NotTheImage { url: self.base.image(image), what: format!("it is {kind}") },
                },
                Err(error) => error,
            };
            tries.after(error).await?;
        }
    }

    /// Repeats a call until it is answered, or has failed too often or for good.
    pub(crate) async fn ask(&self, call: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        let mut tries = Tries::of(call);
        loop {
            match self.once(call, request()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    pub(crate) async fn once(&self, call: &str, request: RequestBuilder) -> Result<Response, Error> {
        let mut reply = request.send().await.map_err(|error| self.unanswered(error))?;
        let (status, kind) = (reply.status(), content_type(&reply));
        let is_page = kind.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        if status.is_success() && !is_page {
            return Ok(reply);
        }
        let text =
            |name: HeaderName| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_redirection() {
            let place: String = text(LOCATION).unwrap_or_default().chars().take(200).collect();
            return Err(self.foreign(format!("it redirects {call} to {place:?}")));
        }
        if is_page && !status.is_server_error() {
            return Err(self.foreign(format!("it returned status {} and text/html", status.as_u16())));
        }
        let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let request_id = text(HeaderName::from_static("x-request-id"));
        let body = body(&mut reply, LARGEST_MESSAGE).await.ok().flatten().unwrap_or_default();
        let message = String::from_utf8_lossy(&body).trim().chars().take(500).collect();
        let source = Refusal { status: status.as_u16(), message, request_id, retry_after };
        Err(Error::Refused { call: call.into(), source })
    }

    pub(crate) fn unanswered(&self, error: reqwest::Error) -> Error {
        let (base, source) = (self.base.clone(), Cause::innermost(&error.without_url()));
        match source.is_about_certificate() {
            true => Error::Untrusted { base, source },
            false => Error::Unreachable { base, source },
        }
    }

    async fn read<T: DeserializeOwned>(&self, call: &str, request: impl Fn() -> RequestBuilder) -> Result<T, Error> {
        // Lists come as text/plain, so only the body shows whether it is one.
        self.read_as(call, request, |body| serde_json::from_slice(body)).await
    }

    /// The body of a reply, as `parse` reads it. One that it can't read may come from something in between that answers
    /// for a moment.
    async fn read_as<T, E: fmt::Display>(
        &self,
        call: &str,
        request: impl Fn() -> RequestBuilder,
        parse: impl Fn(&[u8]) -> Result<T, E>,
    ) -> Result<T, Error> {
        let mut tries = Tries::of(call);
        loop {
            let body = match self.once(call, request()).await {
                Ok(mut reply) => self.whole(call, &mut reply).await,
                Err(error) => Err(error),
            };
            let parsed = body.and_then(|body| {
                parse(&body).map_err(|error| {
                    let why: String = error.to_string().chars().take(200).collect();
                    self.foreign(format!("its reply to {call} can't be read: {why}"))
                })
            });
            match parsed {
                Ok(parsed) => return Ok(parsed),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    async fn whole(&self, call: &str, reply: &mut Response) -> Result<Vec<u8>, Error> {
        let body = body(reply, LARGEST_LIST).await.map_err(|error| self.unanswered(error))?;
        body.ok_or_else(|| self.foreign(format!("its reply to {call} has more than {LARGEST_LIST} bytes")))
    }

    fn foreign(&self, what: String) -> Error {
        Error::Foreign { base: self.base.clone(), what }
    }
}

/// The announced length; a HEAD has it in the header only.
pub(crate) fn length(reply: &Response) -> Option<u64> {
    reply.headers().get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The attempts of a call. Every call here may be made twice.
struct Tries {
    left: u32,
    pauses: Backoff,
}

impl Tries {
    fn of(call: &str) -> Self {
        Self { left: TRIES, pauses: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)).seeded(call) }
    }

    /// Pauses before the next attempt, at least as long as the factory says.
    ///
    /// # Errors
    /// The error of the last attempt, if another one is of no use.
    async fn after(&mut self, error: Error) -> Result<(), Error> {
        self.left -= 1;
        if self.left == 0 || !error.is_worth_repeating() {
            return Err(error);
        }
        let asked = error.refusal().and_then(|refusal| refusal.retry_after).unwrap_or_default();
        tokio::time::sleep(self.pauses.pause().max(asked.min(LONGEST_PAUSE))).await;
        Ok(())
    }
}

/// The content type of a reply.
pub(crate) fn content_type(reply: &Response) -> Option<String> {
    reply.headers().get(CONTENT_TYPE)?.to_str().ok().map(|kind| kind.chars().take(100).collect())
}
