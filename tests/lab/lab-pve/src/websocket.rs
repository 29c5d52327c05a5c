//! The websocket on a serial console, after RFC 6455.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::console::Session;
use super::driver::Driver;
use super::server::Body;

/// RFC 6455, section 1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How often a quiet console is looked at.
const GLANCE: Duration = Duration::from_millis(100);

const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Whether a request wants to become a websocket.
pub(super) fn is_wanted(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Switches protocols and shows the console from then on.
pub(super) fn accept(driver: &Arc<Driver>, mut request: Request<Incoming>, session: Session) -> Response<Body> {
    let mut response = Response::new(Body::default());
    let key = request.headers().get("sec-websocket-key").map(|key| key.as_bytes().to_vec());
    let Some(key) = key else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let accepted = STANDARD.encode(Sha1::digest([&key[..], MAGIC.as_bytes()].concat()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.extend(accepted.parse().ok().map(|value| (header::SEC_WEBSOCKET_ACCEPT, value)));
    if request.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static("binary"));
    }
    let driver = Arc::clone(driver);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stopped = driver.stopped.clone();
        let Ok(upgraded) = upgrade.await else { return };
        tokio::select! {
            () = stopped.cancelled() => {}
            // A viewer that goes away ends its console, which is no failure.
            _ended = show(&driver, TokioIo::new(upgraded), &session) => {}
        }
    });
    response
}

/// Asks for the ticket, then shows what the VM prints for as long as it runs.
async fn show(
    driver: &Arc<Driver>,
    mut stream: TokioIo<hyper::upgrade::Upgraded>,
    session: &Session,
) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    let hello = format!("{}:{}", session.user, session.ticket);
    let first = next(&mut stream, &mut buffer).await?;
    if first.is_none_or(|(_, data)| data.trim_ascii_end() != hello.as_bytes()) {
        return stream.write_all(&frame(CLOSE, &[])).await;
    }
    stream.write_all(&frame(BINARY, b"OK")).await?;
    let mut shown = 0;
    loop {
        let Some(lines) = driver.with(|state| state.printed(session.vmid)) else {
            return stream.write_all(&frame(CLOSE, &[])).await;
        };
        // The console is cleared when the VM is switched on again.
        shown = if lines.len() < shown { 0 } else { shown };
        if shown < lines.len() {
            let text: String = lines[shown..].iter().map(|line| format!("{line}\r\n")).collect();
            stream.write_all(&frame(BINARY, text.as_bytes())).await?;
            shown = lines.len();
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            message = next(&mut stream, &mut buffer) => match message? {
                Some((PING, data)) => stream.write_all(&frame(PONG, &data)).await?,
                Some((CLOSE, _)) | None => return Ok(()),
                // Talos reads nothing from its console.
                Some(_) => {}
            },
        }
    }
}

/// The next message; `None` at the end. Nothing is lost when this is dropped while it waits.
async fn next(
    stream: &mut TokioIo<hyper::upgrade::Upgraded>,
    buffer: &mut BytesMut,
) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    loop {
        if let Some(message) = take(buffer) {
            return Ok(Some(message));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Takes one whole frame from what has arrived.
fn take(buffer: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    let (head, second) = (*buffer.first()?, *buffer.get(1)?);
    let (length, start) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])), 4),
        127 => (usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)).ok()?, 10),
        length => (usize::from(length), 2),
    };
    let masked = second & 0x80 != 0;
    let key: [u8; 4] = if masked { buffer.get(start..start + 4)?.try_into().ok()? } else { [0; 4] };
    let start = start + if masked { 4 } else { 0 };
    let data = buffer.get(start..start.checked_add(length)?)?;
    let data = data.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    buffer.advance(start + length);
    Some((head & 0x0f, data))
}

/// A frame of the server, which is never masked.
fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | kind];
    match data.len() {
        length @ 0..126 => out.push(length as u8),
        length @ 126..0x1_0000 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_read_as_they_were_written() {
        for length in [0, 5, 125, 126, 65_535, 65_536] {
            let data = vec![7; length];
            let mut buffer = BytesMut::from(&frame(BINARY, &data)[..]);
            assert_eq!(take(&mut buffer), Some((BINARY, data)));
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_masked_frame_is_read_once_it_is_whole() {
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let mut buffer = BytesMut::from(&bytes[..7]);
        assert_eq!(take(&mut buffer), None);
        buffer.extend_from_slice(&bytes[7..]);
        assert_eq!(take(&mut buffer), Some((1, b"Hello".to_vec())));
    }
}
