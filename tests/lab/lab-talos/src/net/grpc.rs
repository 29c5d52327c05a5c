//! gRPC on the wire: frames, trailers, and what tests make go wrong with calls.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::Talos;
use crate::rpc::{self, Caller, Reply};
use lab_core::fault::{Fault, GARBAGE};
use lab_core::kubernetes::Body;
use lab_core::scenario::Side;

/// Largest message in either direction: 32 MiB.
const LIMIT: usize = 32 * 1024 * 1024;

/// Answers one call.
pub(super) async fn respond(
    talos: &Arc<Talos>,
    caller: Caller,
    request: http::Request<Incoming>,
    cut: CancellationToken,
) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let method = path.rsplit('/').next().unwrap_or_default();
    let (delay, effect) = talos.update(|world| {
        let node = &mut world.nodes[caller.node];
        node.counts.calls += 1;
        (node.faults.delay, node.faults.take(method))
    });
    let effect = effect.or_else(|| talos.chosen(Side::Talos, caller.node, method));
    let begun = tokio::time::Instant::now();
    match effect {
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Garbage) => return garbage(),
        _ => {}
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if let Some(Fault::Fail { status, message }) = effect {
        return failed(&Status::new(Code::from(i32::from(status)), message));
    }
    let frames = match read(body).await {
        Ok(frames) => frames,
        Err(status) => return failed(&status),
    };
    let reply = rpc::call(talos, &caller, &path, &head.headers, &frames);
    if matches!(effect, Some(Fault::LoseReply)) {
        cut.cancel();
        // Nothing may be written any more; the connection drops this call with itself.
        return std::future::pending().await;
    }
    if let Some(Fault::Slow { by }) = effect {
        tokio::time::sleep(by.unwrap_or_else(|| begun.elapsed())).await;
    }
    match reply {
        Ok(Reply::One(message)) => replied(stream::iter([Ok(message)])),
        Ok(Reply::Many(messages)) => replied(messages),
        Ok(Reply::Never) => std::future::pending().await,
        Err(status) => failed(&status),
    }
}

/// What a proxy in the way might return.
fn garbage() -> http::Response<Body> {
    let body = http_body_util::Full::new(Bytes::from(GARBAGE));
    let mut response = http::Response::new(body.boxed_unsync());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// The messages of a request.
async fn read(body: Incoming) -> Result<Vec<Bytes>, Status> {
    let body = body.collect().await.map_err(|_| Status::new(Code::Internal, "the request broke off"))?;
    let mut rest = body.to_bytes();
    let mut messages = Vec::new();
    while rest.len() >= 5 {
        let header = rest.split_to(5);
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if length > LIMIT {
            let text = format!("grpc: received message larger than max ({length} vs. {LIMIT})");
            return Err(Status::resource_exhausted(text));
        }
        if header[0] != 0 {
            return Err(Status::unimplemented("grpc: compressed flag set with identity or empty encoding"));
        }
        if rest.len() < length {
            return Err(Status::internal("unexpected EOF"));
        }
        messages.push(rest.split_to(length));
    }
    Ok(messages)
}

fn response(body: Body) -> http::Response<Body> {
    let mut response = http::Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn failed(status: &Status) -> http::Response<Body> {
    let mut response = response(Empty::new().boxed_unsync());
    if status.add_header(response.headers_mut()).is_err() {
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("13"));
    }
    response
}

fn replied(messages: impl Stream<Item = Result<Vec<u8>, Status>> + Send + 'static) -> http::Response<Body> {
    let ended = stream::iter([Err(Status::ok(""))]);
    let frames = messages.chain(ended).scan(false, |done, message| {
        if *done {
            return std::future::ready(None);
        }
        *done = message.is_err();
        std::future::ready(Some(Ok(frame(message))))
    });
    response(BodyExt::boxed_unsync(StreamBody::new(frames)))
}

fn frame(message: Result<Vec<u8>, Status>) -> Frame<Bytes> {
    match message {
        Ok(message) => {
            let mut bytes = BytesMut::with_capacity(message.len() + 5);
            bytes.put_u8(0);
            bytes.put_u32(message.len() as u32);
            bytes.put_slice(&message);
            Frame::data(bytes.freeze())
        }
        Err(status) => {
            let mut trailers = HeaderMap::new();
            if status.add_header(&mut trailers).is_err() {
                trailers.insert("grpc-status", HeaderValue::from_static("13"));
            }
            Frame::trailers(trailers)
        }
    }
}
