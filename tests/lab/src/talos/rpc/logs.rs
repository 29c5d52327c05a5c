//! The logs of services and of the kernel.

use futures_util::stream::StreamExt;
use prost::Message;
use talos_proto::common::Data;
use talos_proto::machine::{DmesgRequest, LogsContainer, LogsContainersResponse, LogsRequest};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use super::{Call, Reply, files};
use crate::talos::world::World;

/// Frames, and after them nothing more for those who follow.
fn frames(data: &[Data], follow: bool) -> Reply {
    let ready: Vec<_> = data.iter().map(|frame| Ok(frame.encode_to_vec())).collect();
    let ready = futures_util::stream::iter(ready);
    match follow {
        true => Reply::Many(ready.chain(futures_util::stream::pending()).boxed()),
        false => Reply::Many(ready.boxed()),
    }
}

pub(super) fn dmesg(call: &Call<'_>) -> Result<Reply, Status> {
    let request: DmesgRequest = call.request()?;
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let lines = call.see(|node| node.console.clone());
    let data: Vec<Data> = lines.iter().map(|line| line_of_kernel(line, &now)).collect();
    let history = if request.follow && request.tail { &[] } else { &data[..] };
    Ok(frames(history, request.follow))
}

fn line_of_kernel(line: &str, now: &str) -> Data {
    let text = line.split_once("] ").map_or(line, |(_, text)| text);
    Data { metadata: None, bytes: format!("user: warning: [{now}]: {text}").into_bytes() }
}

pub(super) fn logs(call: &Call<'_>) -> Result<Reply, Status> {
    let request: LogsRequest = call.request()?;
    if request.namespace.is_empty() {
        return Err(Status::invalid_argument("namespace can't be empty"));
    }
    let known = names(call);
    if !known.contains(&request.id) {
        return Err(Status::unknown(format!("container \"{}\" not found", request.id)));
    }
    let lines: Vec<String> = match request.id.as_str() {
        "machined" | "controller-runtime" | "kernel" => call.see(|node| node.console.clone()),
        id => vec![format!("{id}: started")],
    };
    let wanted = usize::try_from(request.tail_lines).unwrap_or(usize::MAX).min(lines.len());
    let text: String = lines[lines.len() - wanted..].iter().map(|line| format!("{line}\n")).collect();
    Ok(frames(&files::chunks(text.as_bytes()), request.follow))
}

fn names(call: &Call<'_>) -> Vec<String> {
    let services = call.ask(World::services).into_iter().map(|service| service.id);
    let mut names: Vec<String> = services.chain(["controller-runtime", "kernel"].map(str::to_owned)).collect();
    names.sort_unstable();
    names
}

pub(super) fn containers(call: &Call<'_>, (): &()) -> Result<LogsContainersResponse, Status> {
    Ok(LogsContainersResponse { messages: vec![LogsContainer { metadata: None, ids: names(call) }] })
}
