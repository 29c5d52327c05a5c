//! The connection of a terminal: a websocket with what a VM's console says.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::driver::{Driver, now};
use super::terminal::{self, Next};

/// How long the first message is waited for.
const LOGIN: Duration = Duration::from_secs(10);
/// How often the console is looked at.
const PACE: Duration = Duration::from_millis(20);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a terminal until it ends, or the driver.
pub(crate) async fn serve(driver: Arc<Driver>, port: u16, upgrade: OnUpgrade) {
    let stopped = driver.stopped.clone();
    let was_let_in = tokio::select! {
        () = stopped.cancelled() => true,
        was_let_in = connection(&driver, port, upgrade) => was_let_in,
    };
    driver.with(|state| terminal::close(state, port, was_let_in, now()));
}

/// Whether the reader was let in. One that goes away is no concern of the terminal.
async fn connection(driver: &Arc<Driver>, port: u16, upgrade: OnUpgrade) -> bool {
    let Ok(upgraded) = upgrade.await else { return false };
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let first = match tokio::time::timeout(LOGIN, socket.next()).await {
        Ok(Some(Ok(message))) => message.into_data(),
        _ => return false,
    };
    if !driver.look(|state| terminal::log_in(state, port, &first)) {
        return false;
    }
    let _gone = session(driver, port, &mut socket).await;
    true
}

async fn session(
    driver: &Arc<Driver>,
    port: u16,
    socket: &mut Socket,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    socket.send(Message::binary(b"OK".as_slice())).await?;
    match driver.look(|state| terminal::banner(state, port)) {
        Ok(banner) => socket.send(Message::binary(banner.into_bytes())).await?,
        Err(words) => {
            socket.send(Message::binary(words.into_bytes())).await?;
            return Ok(socket.close(None).await?);
        }
    }
    let mut place = None;
    let mut ticks = tokio::time::interval(PACE);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => driver.with(|state| terminal::take(state, port, &bytes)),
                Some(Ok(Message::Text(text))) => driver.with(|state| terminal::take(state, port, text.as_bytes())),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
            },
            _ = ticks.tick() => match next(driver, port, &mut place) {
                Next::Wait => {}
                Next::Say(bytes) => socket.send(Message::binary(bytes)).await?,
                Next::End => return Ok(socket.close(None).await?),
            },
        }
    }
}

fn next(driver: &Arc<Driver>, port: u16, place: &mut Option<terminal::Place>) -> Next {
    if place.is_none() {
        *place = driver.with(|state| terminal::attach(state, port, now()));
    }
    match place {
        Some(place) => driver.look(|state| terminal::next(state, port, place)),
        None if driver.look(|state| terminal::waits(state, port)) => Next::Wait,
        None => Next::End,
    }
}
