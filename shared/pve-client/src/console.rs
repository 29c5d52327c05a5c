//! Reading the serial console of a VM.
//!
//! A terminal belongs to one host: its ticket and its port are good on the host that handed them out, so both calls have
//! to reach the same one (see [`crate::Endpoint::of_host`]). Nothing is ever typed into it.

mod packet;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderMap, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::Role,
    },
};
use transport::Cause;

use self::packet::{LOGIN, PING, PINGS, Welcome};
use crate::{Client, Error, answer::Ticket, client::received, request};

/// A terminal that was handed out and is connected, and waits to be told who reads: [`Terminal::begin`]. Until then it
/// doesn't look at the VM, which may still be off.
pub struct Terminal {
    host: String,
    vmid: u32,
    ticket: Ticket,
    socket: WebSocketStream<reqwest::Upgraded>,
}

/// A serial console that is being read. What it shows is what the VM prints while it is read: nothing is kept for who
/// comes later, and while somebody else reads it, it shows nothing.
pub struct Console {
    host: String,
    vmid: u32,
    socket: WebSocketStream<reqwest::Upgraded>,
    /// What came with the welcome.
    first: Option<Bytes>,
    ping: Instant,
}

/// How long a terminal that was handed out waits for [`Terminal::begin`] at most, before its server closes it.
pub const TERMINAL_WAITS: Duration = Duration::from_secs(8);

impl Client {
    /// Has a terminal handed out on the serial console of a VM, and connects to it. The host of the VM must be the one that
    /// this client talks to. Needs VM.Console; an API token can begin to read from Proxmox VE 9.1 on.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn terminal(&self, host: &str, vmid: u32) -> Result<Terminal, Error> {
        let ticket = self.ask(&request::terminal(host, vmid)).await?;
        let key = generate_key();
        let sending = self
            .get(&request::websocket_target(host, vmid, &ticket))
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, key.as_str());
        let response = sending.send().await.map_err(|error| self.failure(&error.without_url()))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let reply = received(response).await.map_err(|error| self.failure(&error.without_url()))?;
            self.read(&request::websocket(host, vmid), &reply)?;
            return Err(self.foreign("it doesn't switch to a websocket"));
        }
        if !accepts(response.headers(), &key) {
            return Err(self.foreign("it doesn't speak the protocol of a websocket"));
        }
        let stream = response.upgrade().await.map_err(|error| self.failure(&error.without_url()))?;
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(packet::limits())).await;
        Ok(Terminal { host: host.to_owned(), vmid, ticket, socket })
    }
}

/// Whether the server understood the handshake: it answers with a digest of our key.
fn accepts(headers: &HeaderMap, key: &str) -> bool {
    let is = |name, wanted: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(http::HeaderValue::as_bytes);
    is(UPGRADE, "websocket") && accepted == Some(derive_accept_key(key.as_bytes()).as_bytes())
}

impl Terminal {
    /// Says who reads, and begins. The server looks at the VM now.
    ///
    /// # Errors
    /// The server doesn't let us in.
    pub async fn begin(mut self) -> Result<Console, Error> {
        let login = packet::login(&self.ticket);
        let begun = timeout(LOGIN, async {
            self.socket.send(Message::text(login.as_str())).await.map_err(|error| why(&error))?;
            let mut welcome = Welcome::default();
            loop {
                let Some(bytes) = next(&mut self.socket).await? else {
                    return Err(Cause("it was closed before our ticket was taken".into()));
                };
                if let Some(rest) = welcome.take(&bytes).map_err(|why| Cause(why.into()))? {
                    return Ok(rest);
                }
            }
        });
        let rest = match begun.await {
            Ok(rest) => rest,
            Err(_) => Err(Cause(format!("our ticket was not taken within {}s", LOGIN.as_secs()))),
        };
        let Self { host, vmid, socket, .. } = self;
        match rest {
            Ok(rest) => {
                let first = (!rest.is_empty()).then(|| rest.into());
                Ok(Console { host, vmid, socket, first, ping: Instant::now() + PINGS })
            }
            Err(source) => Err(Error::Console { host, vmid, source }),
        }
    }
}

impl Console {
    /// The next bytes, `None` once it is closed. At most 256 KiB at a time.
    ///
    /// # Errors
    /// A connection that broke, or one that doesn't keep to the protocol.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            let read = tokio::select! {
                read = next(&mut self.socket) => Some(read),
                () = sleep_until(self.ping) => None,
            };
            let outcome = match read {
                Some(read) => read.map(Some),
                None => {
                    self.ping = Instant::now() + PINGS;
                    self.socket.send(Message::binary(PING)).await.map(|()| None).map_err(|error| why(&error))
                }
            };
            match outcome {
                Ok(Some(read)) => return Ok(read),
                Ok(None) => {}
                Err(source) => return Err(Error::Console { host: self.host.clone(), vmid: self.vmid, source }),
            }
        }
    }
}

/// The next bytes; pings of the websocket itself are answered on the way.
async fn next(socket: &mut WebSocketStream<reqwest::Upgraded>) -> Result<Option<Bytes>, Cause> {
    loop {
        match socket.next().await {
            None | Some(Ok(Message::Close(_))) => return Ok(None),
            Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes)),
            Some(Ok(Message::Text(text))) => return Ok(Some(text.into())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            // A server that ends doesn't take leave.
            Some(Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed)) => return Ok(None),
            Some(Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ))) => return Ok(None),
            Some(Err(error)) => return Err(why(&error)),
        }
    }
}

/// Why a websocket broke, in words that repeat nothing of what was sent.
fn why(error: &tungstenite::Error) -> Cause {
    match error {
        tungstenite::Error::Io(error) => Cause::innermost(error),
        tungstenite::Error::Capacity(_) => Cause("it sent a message that is too long".into()),
        _ => Cause("it doesn't speak the protocol of a websocket".into()),
    }
}
