//! Sends calls, and waits for what they began.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use hyper::ext::ReasonPhrase;
use patience::{Attempt, Backoff, Deadline, Ended, Patience, never, until};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use transport::{Cause, Timeouts, body, found};

use crate::{
    BadTrust, Endpoint, Error, FailedTask, Fingerprint, Refusal, Request, Token, Trust, Untrusted, Upid,
    request::{self, Fault, Method, Reply},
    tls,
};

/// A host that doesn't answer another is given up by the server after 30 s, and a wrong token is answered after 3 s, so
/// less for a call would hide what is wrong.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(10), call: Duration::from_secs(45) };
/// How often a read is tried that the server, or the host behind it, is too busy to answer.
const TRIES: u32 = 4;
/// What a proxy in between answers to who asks too often.
const TOO_MANY: u16 = 429;
/// Bytes of the largest reply: ten thousand VMs are some 8 MiB.
const LARGEST: usize = 32 << 20;
/// How long a call waits at most until it is sent again.
const LONGEST: Duration = Duration::from_secs(30);
/// What is said of a task that runs.
const RUNS: &str = "it runs";
/// How many of the last lines of a failed task's log are kept.
const TAIL: usize = 5;

/// A connection to the API of a Proxmox VE cluster, through any of its hosts.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    endpoint: Endpoint,
    token: Arc<str>,
    /// With what it came in, for the other hosts of the cluster.
    credentials: Arc<(Token, Trust)>,
    warnings: Arc<Mutex<Vec<Warning>>>,
    silence: Arc<Mutex<Option<Silence>>>,
}

/// The server doesn't answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Since when: the first call without an answer after the last with one.
    pub since: Instant,
    /// Why, at the last call.
    pub why: String,
}

/// The warnings of a task that did its work all the same: a volume that was left, for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which task.
    pub upid: Upid,
    /// The lines of its log that warn.
    pub lines: Vec<String>,
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
        let credentials = Arc::new((token.clone(), trust.clone()));
        Ok(Self {
            http,
            endpoint,
            token: token.id().into(),
            credentials,
            warnings: Arc::default(),
            silence: Arc::default(),
        })
    }

    /// A client of another host of the same cluster, which is known the same way. Where the user pinned a certificate, or
    /// trusts anyone, that host must show its own `certificate`, as the cluster tells it.
    ///
    /// # Errors
    /// Trust that can't be set up.
    pub fn at(&self, endpoint: Endpoint, certificate: Option<Fingerprint>) -> Result<Self, BadTrust> {
        let (token, trust) = &*self.credentials;
        match (trust, certificate) {
            (Trust::Pinned(_) | Trust::Anyone, Some(seen)) if endpoint != self.endpoint => {
                Self::new(endpoint, token, &Trust::Pinned(seen))
            }
            _ => Self::new(endpoint, token, trust),
        }
    }

    /// Whom the token speaks for: `USER@REALM!TOKENID`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Takes the warnings of the tasks about this VM ID that have ended. None is lost to who only asks for success.
    pub fn warnings(&self, vmid: u32) -> Vec<Warning> {
        let id = vmid.to_string();
        let mut kept = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, left) = kept.drain(..).partition(|warning| warning.upid.id() == id);
        *kept = left;
        taken
    }

    /// Whom it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a call and reads its reply. A read is sent again a few times if the connection was dropped, or if the server
    /// or the host behind it was too busy, and once if what came back isn't Proxmox VE's. Any call is sent again if it came
    /// too often.
    ///
    /// # Errors
    /// No answer, a certificate that isn't trusted, something that isn't Proxmox VE, or a refusal.
    pub async fn ask<T: DeserializeOwned>(&self, request: &Request<T>) -> Result<T, Error> {
        let answer = self.asked(request).await;
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = match &answer {
            Err(Error::Unreachable { source, .. }) => {
                let since = silence.as_ref().map_or_else(Instant::now, |silence| silence.since);
                Some(Silence { since, why: source.to_string() })
            }
            _ => None,
        };
        answer
    }

    /// Whether the server left the last call of anybody unanswered.
    pub fn silence(&self) -> Option<Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn asked<T: DeserializeOwned>(&self, request: &Request<T>) -> Result<T, Error> {
        let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(3)).seeded(&request.target());
        let (is_read, mut tries, mut is_odd) = (request.method() == Method::Get, TRIES, false);
        loop {
            tries -= 1;
            let mut pause = pauses.pause();
            match self.send(request).await {
                Err(error) if is_read && tries > 0 && was_dropped(&error) => {}
                Err(error) => return Err(self.failure(&error)),
                Ok(reply) if is_read && tries > 0 && matches!(reply.status, 502..=504 | 595..=599) => {}
                Ok(reply) if tries > 0 && reply.status == TOO_MANY => {
                    pause = reply.retry_after.unwrap_or(pause).min(LONGEST);
                }
                Ok(reply) => match self.read(request, &reply) {
                    Err(Error::Foreign { .. } | Error::Misread { .. }) if is_read && !is_odd => is_odd = true,
                    // Something in the way answered; the call may be done all the same.
                    Err(Error::Foreign { what, .. }) if !is_read => return Err(self.unanswered(what)),
                    Err(Error::Misread { source, .. }) if !is_read => {
                        return Err(self.unanswered(format!("its reply can't be read: {source}")));
                    }
                    answer => return answer,
                },
            }
            tokio::time::sleep(pause).await;
        }
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
            Err(Ended::Expired { waited, last }) => {
                let unseen = last.filter(|last| last != RUNS);
                Err(Error::TaskRuns { upid: Box::new(upid.clone()), waited, unseen })
            }
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
            None => Attempt::NotYet(RUNS.into()),
            Some(Ok(())) => {
                if state.has_warnings() {
                    self.keep_warnings(upid).await;
                }
                Attempt::Ready(())
            }
            Some(Err(exit)) => Attempt::Failed(self.failed(upid, exit).await),
        }
    }

    async fn failed(&self, upid: &Upid, exit: &str) -> Error {
        let lines = self.log(upid).await;
        let tail = lines[lines.len().saturating_sub(TAIL)..].to_vec();
        let refusal = Refusal { token: upid.user().into(), ..Refusal::of_task(exit) };
        Error::Task(Box::new(FailedTask { upid: upid.clone(), refusal, log: tail }))
    }

    async fn keep_warnings(&self, upid: &Upid) {
        let warns = |line: &String| line.to_ascii_uppercase().starts_with("WARN");
        let mut lines: Vec<String> = self.log(upid).await.into_iter().filter(warns).collect();
        if lines.is_empty() {
            lines.push("it ended with warnings, and its log can't be read".into());
        }
        let warning = Warning { upid: upid.clone(), lines };
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    /// The lines of a task's log, as far as they can be had.
    async fn log(&self, upid: &Upid) -> Vec<String> {
        let log = self.ask(&request::task_log(upid)).await.unwrap_or_default();
        log.into_iter().map(|line| line.t).filter(|line| !line.trim().is_empty()).collect()
    }

    pub(crate) fn url<T>(&self, request: &Request<T>) -> String {
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
        received(sending.send().await?).await
    }

    /// A call whose target nobody else may see.
    pub(crate) fn get(&self, target: &str) -> reqwest::RequestBuilder {
        self.http.get(self.endpoint.base() + target).timeout(TIMEOUTS.call)
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, request: &Request<T>, reply: &Reply) -> Result<T, Error> {
        let call = request.call();
        request.read(reply).map_err(|fault| match fault {
            Fault::Refused(source) => {
                Error::Refused { call, source: Refusal { token: self.token.to_string(), ..source } }
            }
            Fault::Foreign(what) => Error::Foreign { endpoint: self.endpoint.clone(), what },
            Fault::Misread(error) => Error::Misread { call, source: Cause(error.to_string()) },
        })
    }

    fn unanswered(&self, why: String) -> Error {
        Error::Unreachable { endpoint: self.endpoint.clone(), source: Cause(why) }
    }

    /// Something that isn't Proxmox VE.
    pub(crate) fn foreign(&self, what: &str) -> Error {
        Error::Foreign { endpoint: self.endpoint.clone(), what: what.to_owned() }
    }

    pub(crate) fn failure(&self, error: &reqwest::Error) -> Error {
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

pub(crate) async fn received(mut response: reqwest::Response) -> Result<Reply, reqwest::Error> {
    let body = body(&mut response, LARGEST).await?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let reason = response.extensions().get::<ReasonPhrase>();
    let seconds = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok());
    Ok(Reply {
        retry_after: seconds.map(Duration::from_secs),
        status: response.status().as_u16(),
        reason: reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned()),
        content_type: header(CONTENT_TYPE),
        location: header(LOCATION),
        is_endless: body.is_none(),
        body: body.unwrap_or_default(),
    })
}

/// Whether the connection was open and the server let go of it.
fn was_dropped(error: &reqwest::Error) -> bool {
    !error.is_connect() && !error.is_timeout() && (error.is_request() || error.is_body() || error.is_decode())
}
