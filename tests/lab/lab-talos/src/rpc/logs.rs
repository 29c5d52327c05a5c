//! The logs of services and of the kernel.

use prost::Message;
use talos_proto::machine::{DmesgRequest, LogsContainer, LogsContainersResponse, LogsRequest};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use super::{Call, Reply, files, watch};
use crate::world::{Id, PodContainer, World};

/// The kernel's messages since the boot, and further ones for those who follow.
pub(super) fn dmesg(call: &Call<'_>) -> Result<Reply, Status> {
    let request: DmesgRequest = call.request()?;
    let seen = if request.follow && request.tail { call.see(|node| node.console.len()) } else { 0 };
    let read = move |world: &World, id: Id| {
        let lines = world.nodes[id].console.iter().map(|line| line_of_kernel(world, id, line));
        lines.collect::<Vec<_>>()
    };
    Ok(lines(call, seen, request.follow, read))
}

/// Lines as frames, one each: those that a caller has not seen, and with `follow` also those to come.
fn lines(
    call: &Call<'_>,
    seen: usize,
    follow: bool,
    read: impl Fn(&World, Id) -> Vec<String> + Clone + Send + 'static,
) -> Reply {
    let now = call.ask(|world, id| read(world, id));
    let count = now.len();
    let ready = now.into_iter().skip(seen).flat_map(|line| files::chunks(line.as_bytes()));
    let ready: Vec<Vec<u8>> = ready.map(|frame| frame.encode_to_vec()).collect();
    if !follow {
        return watch::ended(ready);
    }
    watch::feed(watch::begin(call, ready, count), move |talos, id, seen| {
        let lines = talos.read(|world| read(world, id));
        // A reboot clears the console.
        *seen = if lines.len() < *seen { 0 } else { *seen };
        let fresh = lines[*seen..].iter().flat_map(|line| files::chunks(line.as_bytes()));
        let fresh = fresh.map(|frame| frame.encode_to_vec()).collect();
        *seen = lines.len();
        fresh
    })
}

/// `user: warning: [2026-11-25T17:00:00.5Z]: [talos] …` and a line feed, from a line of the console.
fn line_of_kernel(world: &World, id: Id, line: &str) -> String {
    let (at, text) = moment(world, id, line);
    format!("user: warning: [{}]: {text}\n", at.format(&Rfc3339).unwrap_or_default())
}

/// When a line of the console was written, and its text.
fn moment<'a>(world: &World, id: Id, line: &'a str) -> (OffsetDateTime, &'a str) {
    let (since, text) = line.trim_start_matches('[').split_once("] ").unwrap_or(("0", line));
    let since = since.trim().parse::<f64>().unwrap_or_default();
    let at: OffsetDateTime = world.time() + time::Duration::seconds_f64(since);
    (at - (world.now.saturating_sub(world.nodes[id].booted_at)), text)
}

/// A line of the console as Talos's own log has it: the time of the log, and then the line with its own (seen on 1.13.9).
fn line_of_log(world: &World, id: Id, line: &str) -> String {
    let (at, text) = moment(world, id, line);
    let micros = at.microsecond();
    let at = at.format(time::macros::format_description!("[year]/[month]/[day] [hour]:[minute]:[second]"));
    let (at, words) = (at.unwrap_or_default(), text.strip_prefix("[talos] ").unwrap_or(text));
    format!("{at}.{micros:06} [talos] {at} {words}\n")
}

pub(super) fn logs(call: &Call<'_>) -> Result<Reply, Status> {
    let request: LogsRequest = call.request()?;
    if request.namespace.is_empty() {
        return Err(Status::invalid_argument("namespace can't be empty"));
    }
    if !call.ask(|world, id| known(world, id, &request)) {
        let id = &request.id;
        return Err(Status::unknown(match is_service(&request) {
            true => format!("log \"{id}\" was not registered"),
            false => format!("container \"{id}\" not found"),
        }));
    }
    let id = request.id.clone();
    let read = move |world: &World, node: Id| content(world, node, &id);
    let all = call.ask(|world, node| read(world, node)).len();
    let wanted = usize::try_from(request.tail_lines).unwrap_or(usize::MAX).min(all);
    Ok(lines(call, all - wanted, request.follow, read))
}

/// Whether the log of a service is asked for; the kubelet is one, wherever it runs.
fn is_service(request: &LogsRequest) -> bool {
    request.namespace == "system" || request.id == "kubelet"
}

fn known(world: &World, id: Id, request: &LogsRequest) -> bool {
    if is_service(request) {
        return names(world, id).contains(&request.id);
    }
    let name = world.nodename(id);
    let pods = world.kubernetes_of(id).map(|etcd| world.etcds[etcd].store.pods_on(&name)).unwrap_or_default();
    let known = |(pod, container, _): &(String, String, _)| request.id.contains(pod) || request.id == *container;
    request.namespace == "k8s.io" && pods.iter().any(known)
}

/// The lines of a log, each with its line feed.
fn content(world: &World, node: Id, id: &str) -> Vec<String> {
    let console = || world.nodes[node].console.iter();
    match id {
        "machined" | "controller-runtime" => console().map(|line| line_of_log(world, node, line)).collect(),
        "kernel" => console().map(|line| format!("kern:    info: {line}\n")).collect(),
        id => {
            let booted = (world.time() - world.now + world.nodes[node].booted_at).format(&Rfc3339).unwrap_or_default();
            match of_pod(world, node, id) {
                Some(container) => pod_lines(&booted, &container),
                None => service_lines(world, node, id, &booted),
            }
        }
    }
}

/// The container of a pod, by the name that the list of containers has for it.
fn of_pod(world: &World, node: Id, id: &str) -> Option<PodContainer> {
    let containers = world.pod_containers(node).into_iter();
    let mut named = containers.filter(|container| id.contains(&container.pod) || id == container.name);
    named.next()
}

/// A container's log as its runtime writes it.
fn pod_lines(booted: &str, container: &PodContainer) -> Vec<String> {
    let version = container.image.rsplit(':').next().unwrap_or_default();
    let lines = [format!("\"Starting\" version=\"{version}\""), "\"Serving\"".to_owned()];
    let line =
        |text: String| format!("{booted} stderr F I0101 00:00:00.000000       1 {}.go:1] {text}\n", container.name);
    lines.map(line).into()
}

/// A service's log: JSON from etcd and kubelet, plain lines from the others.
fn service_lines(world: &World, node: Id, id: &str, booted: &str) -> Vec<String> {
    let service = world.services(node).into_iter().find(|service| service.id == id);
    let state = service.as_ref().map_or("Running", |service| service.state);
    let texts = [format!("starting {id}"), format!("{id} is {}", state.to_lowercase())];
    let line = |text: String| match id {
        "etcd" => format!(
            "{{\"level\":\"info\",\"ts\":\"{booted}\",\"caller\":\"etcdmain/etcd.go:64\",\"msg\":\"{text}\"}}\n"
        ),
        "kubelet" => format!("{{\"ts\":\"{booted}\",\"caller\":\"app/server.go:212\",\"msg\":\"{text}\",\"v\":0}}\n"),
        _ => format!("{booted} {text}\n"),
    };
    texts.map(line).into()
}

fn names(world: &World, id: Id) -> Vec<String> {
    let services = world.services(id).into_iter().map(|service| service.id);
    let mut names: Vec<String> =
        services.chain(["controller-runtime", "dns-resolve-cache", "kernel"].map(str::to_owned)).collect();
    names.sort_unstable();
    names
}

pub(super) fn containers(call: &Call<'_>, (): &()) -> Result<LogsContainersResponse, Status> {
    let ids = call.ask(names);
    Ok(LogsContainersResponse { messages: vec![LogsContainer { metadata: None, ids }] })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::machine;

    /// Seen on 1.13.9: `Logs` of `machined`.
    #[test]
    fn the_log_of_talos_itself_has_the_lines_of_the_console_with_the_time_twice() {
        let (net, kube) = ("127.80.5.0/24".parse().unwrap(), std::sync::Arc::new(lab_kube::Kube));
        let mut world = World::new(lab_core::delays::Delays::ZERO, net, 7, OffsetDateTime::UNIX_EPOCH, kube);
        world.power_on(machine("cp-1", "127.80.5.11", "v1.13.9"));
        world.advance(Duration::from_secs(1));
        world.print(0, "bootstrap request received");
        world.advance(Duration::from_secs(9));

        let lines = content(&world, 0, "machined");

        let expected = "1970/01/01 00:00:01.000000 [talos] 1970/01/01 00:00:01 bootstrap request received\n";
        assert!(lines.iter().any(|line| line == expected), "{lines:?}");
    }
}
