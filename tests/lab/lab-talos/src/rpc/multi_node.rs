//! One call to several nodes, its replies merged: each message names the node that it comes from.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use talos_proto::{common, google};
use tonic::Status;

use super::{Caller, Reply, local};
use crate::Talos;
use crate::world::Id;

/// The field `messages` of a reply, and the field `metadata` of a message.
const FIRST: u32 = 1;

type Target = (String, Result<Id, Status>);
type Frames = BoxStream<'static, Result<Vec<u8>, Status>>;

pub(super) fn call(
    talos: &Arc<Talos>,
    caller: &Caller,
    path: &str,
    messages: &[Bytes],
    targets: Vec<Target>,
) -> Result<Reply, Status> {
    let replies: Vec<(String, Result<Reply, Status>)> = targets
        .into_iter()
        .map(|(name, node)| {
            let reply = node.and_then(|node| local(talos, &Caller { node, ..caller.clone() }, path, messages));
            (name, reply)
        })
        .collect();
    if replies.iter().any(|(_, reply)| matches!(reply, Ok(Reply::Never))) {
        return Ok(Reply::Never);
    }
    match replies.iter().any(|(_, reply)| matches!(reply, Ok(Reply::Many(_)))) || streams(path) {
        true => Ok(Reply::Many(stream::select_all(replies.into_iter().map(streamed)).boxed())),
        false => Ok(Reply::One(replies.into_iter().flat_map(unary).collect())),
    }
}

/// Whether a method answers with a stream, also when it fails.
fn streams(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    const STREAMED: [&str; 12] = [
        "Copy",
        "DiskUsage",
        "Dmesg",
        "EtcdSnapshot",
        "Events",
        "ImageList",
        "Kubeconfig",
        "List",
        "Logs",
        "PacketCapture",
        "Read",
        "HealthCheck",
    ];
    STREAMED.contains(&method)
}

fn metadata(node: &str, failure: Option<&Status>) -> Vec<u8> {
    let status = failure.map(|status| google::rpc::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    });
    let error = failure.map(|status| format!("rpc error: code = {:?} desc = {}", status.code(), status.message()));
    let metadata = common::Metadata { hostname: node.to_owned(), error: error.unwrap_or_default(), status };
    field(&metadata.encode_to_vec())
}

/// Field 1 with some bytes.
fn field(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(FIRST, WireType::LengthDelimited, &mut out);
    encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

fn unary((node, reply): (String, Result<Reply, Status>)) -> Vec<u8> {
    match reply {
        Ok(Reply::One(bytes)) => {
            let own = metadata(&node, None);
            entries(&bytes).into_iter().flat_map(|entry| field(&[entry, own.clone()].concat())).collect()
        }
        Ok(Reply::Many(_) | Reply::Never) => Vec::new(),
        Err(status) => field(&metadata(&node, Some(&status))),
    }
}

/// The messages of a reply, each as its bytes.
fn entries(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let Ok((FIRST, WireType::LengthDelimited)) = decode_key(&mut rest) else { break };
        let Ok(length) = decode_varint(&mut rest) else { break };
        let Some((entry, after)) = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)) else {
            break;
        };
        found.push(entry.to_vec());
        rest = after;
    }
    found
}

fn streamed((node, reply): (String, Result<Reply, Status>)) -> Frames {
    let frames = match reply {
        Ok(Reply::Many(frames)) => frames,
        Ok(Reply::One(bytes)) => stream::iter([Ok(bytes)]).boxed(),
        Ok(Reply::Never) => stream::pending().boxed(),
        Err(status) => stream::iter([Err(status)]).boxed(),
    };
    let own = metadata(&node, None);
    let tag = move |frame: Result<Vec<u8>, Status>| match frame {
        Ok(bytes) => Ok([bytes, own.clone()].concat()),
        Err(status) => Ok(metadata(&node, Some(&status))),
    };
    frames.map(tag).boxed()
}
