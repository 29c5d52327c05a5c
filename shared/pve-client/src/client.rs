//! Sends calls, and waits for what they began.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use hyper::ext::ReasonPhrase;
use patience::{Attempt, Backoff, Deadline, Ended, Patience, never, until};
use serde::de::DeserializeOwned;
use transport::{Cause, Timeouts, found};

use crate::{
    BadTrust, Endpoint, Error, FailedTask, Refusal, Request, Token, Trust, Untrusted, Upid,
    request::{self, Fault, Method, Reply},
    tls,
};

/// A host that doesn't answer another is given up by the server after 30 s, and a wrong token is answered after 3 s, so
/// less for a call would hide what is wrong.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(10), call: Duration::from_secs(45) };
/// How many of the last lines of a failed task's log are kept.
const TAIL: usize = 5;

/// A connection to the API of a Proxmox VE cluster, through any of its hosts.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// Trust that can't be set up.
    pub fn new(endpoint: Endpoint, token: &Token, trust: &Trust) -> Result<Self, BadTrust> {
        let mut secret = HeaderValue::from_str(&token.header()).expect("a token holds visible ASCII only");
        secret.set_sensitive(true);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(trust)?)
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, secret)]))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .http1_only()
            .connect_timeout(TIMEOUTS.connect)
            // The server lets go of idle connections after 5 s.
            .pool_idle_timeout(Duration::from_secs(3))
            .build()
            .expect("a client with TLS already set up");
        Ok(Self { http, endpoint })
    }

    /// Whom it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a call and reads its reply. A read that the server dropped the connection on is sent once more.
    ///
    /// # Errors
    /// No answer, a certificate that isn't trusted, something that isn't Proxmox VE, or a refusal.
    pub async fn ask<T: DeserializeOwned>(&self, request: &Request<T>) -> Result<T, Error> {
        let reply = match self.send(request).await {
            Err(error) if request.method() == Method::Get && was_dropped(&error) => self.send(request).await,
            sent => sent,
        };
        let reply = reply.map_err(|error| self.failure(&error))?;
        self.read(request, &reply)
    }

    /// Sends a call that begins a task, and waits for the task to end.
    ///
    /// # Errors
    /// As [`Self::ask`] and [`Self::finish`].
    pub async fn run(&self, request: &Request<Upid>, limit: Duration) -> Result<(), Error> {
        let upid = self.ask(request).await?;
        self.finish(&upid, limit).await
    }

    /// The same for a call that may be done before its reply.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn settle(&self, request: &Request<Option<Upid>>, limit: Duration) -> Result<(), Error> {
        match self.ask(request).await? {
            Some(upid) => self.finish(&upid, limit).await,
            None => Ok(()),
        }
    }

    /// Waits for a task to end, for `limit` at most. A host that doesn't answer meanwhile is no failure of the task.
    ///
    /// # Errors
    /// The task's own failure with the end of its log, or that it still runs.
    pub async fn finish(&self, upid: &Upid, limit: Duration) -> Result<(), Error> {
        let schedule = Backoff::new(Duration::from_millis(50), Duration::from_secs(2)).seeded(&upid.to_string());
        let patience = Patience::new(Deadline::within(limit)).paced(schedule);
        match until(patience, never(), || self.outcome(upid)).await {
            Ok(()) => Ok(()),
            Err(Ended::Failed(error)) => Err(error),
            Err(Ended::Expired { waited, .. }) => Err(Error::TaskRuns { upid: upid.clone(), waited }),
            Err(Ended::Interrupted { .. }) => unreachable!("never() never resolves"),
        }
    }

    async fn outcome(&self, upid: &Upid) -> Attempt<(), Error> {
        let state = match self.ask(&request::task(upid)).await {
            Ok(state) => state,
            Err(error) if error.is_transient() => return Attempt::NotYet(error.to_string()),
            Err(error) => return Attempt::Failed(error),
        };
        match state.outcome() {
            None => Attempt::NotYet("it runs".into()),
            Some(Ok(())) => Attempt::Ready(()),
            Some(Err(exit)) => Attempt::Failed(self.failed(upid, exit).await),
        }
    }

    async fn failed(&self, upid: &Upid, exit: &str) -> Error {
        let log = self.ask(&request::task_log(upid)).await.unwrap_or_default();
        let lines: Vec<String> = log.into_iter().map(|line| line.t).filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].to_vec();
        Error::Task(Box::new(FailedTask { upid: upid.clone(), refusal: Refusal::of_task(exit), log: tail }))
    }

    fn url<T>(&self, request: &Request<T>) -> String {
        self.endpoint.base() + &request.target()
    }

    async fn send<T>(&self, request: &Request<T>) -> Result<Reply, reqwest::Error> {
        let method = match request.method() {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        let mut sending = self.http.request(method, self.url(request)).timeout(TIMEOUTS.call);
        if let Some(body) = request.body() {
            sending = sending.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        received(sending).await
    }

    fn read<T: DeserializeOwned>(&self, request: &Request<T>, reply: &Reply) -> Result<T, Error> {
        let call = request.call();
        request.read(reply).map_err(|fault| match fault {
            Fault::Refused(source) => Error::Refused { call, source },
            Fault::Foreign(what) => Error::Foreign { endpoint: self.endpoint.clone(), what },
            Fault::Misread(error) => Error::Misread { call, source: Cause(error.to_string()) },
        })
    }

    fn failure(&self, error: &reqwest::Error) -> Error {
        let endpoint = self.endpoint.clone();
        let tls = found::<rustls::Error>(error);
        if let Some(untrusted) = tls.and_then(tls::untrusted) {
            return Error::Untrusted { endpoint, source: Untrusted::clone(untrusted) };
        }
        if let Some(rustls::Error::InvalidMessage(_)) = tls {
            return Error::Foreign { endpoint, what: "it does not speak TLS".into() };
        }
        let source = TIMEOUTS.unanswered(error, error.is_timeout(), error.is_connect());
        Error::Unreachable { endpoint, source }
    }
}

async fn received(sending: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
    let response = sending.send().await?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let reason = response.extensions().get::<ReasonPhrase>();
    Ok(Reply {
        status: response.status().as_u16(),
        reason: reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned()),
        content_type: header(CONTENT_TYPE),
        location: header(LOCATION),
        body: response.bytes().await?.to_vec(),
    })
}

/// Whether the connection was open and the server let go of it.
fn was_dropped(error: &reqwest::Error) -> bool {
    !error.is_connect() && !error.is_timeout() && (error.is_request() || error.is_body() || error.is_decode())
}
