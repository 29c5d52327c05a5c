//! Services: what runs, and starting, stopping and restarting them.

use prost::Message;
use prost_types::Timestamp;
use talos_proto::machine::{
    ServiceEvent, ServiceEvents, ServiceHealth, ServiceInfo, ServiceList, ServiceListResponse, ServiceRestart,
    ServiceRestartRequest, ServiceRestartResponse, ServiceStart, ServiceStartRequest, ServiceStartResponse,
    ServiceStateEvent, ServiceStop, ServiceStopRequest, ServiceStopResponse,
};
use tonic::Status;

use super::Call;
use crate::world::{Id, Service, World, pid_of_service};

pub(super) fn list(call: &Call<'_>, (): &()) -> Result<ServiceListResponse, Status> {
    let services = call.ask(|world, id| {
        let services = world.services(id).into_iter();
        services.map(|service| info(world, id, service)).collect()
    });
    Ok(ServiceListResponse { messages: vec![ServiceList { metadata: None, services }] })
}

/// The names of the states, in the order of the numbers of events.
const STATES: [&str; 9] =
    ["Initialized", "Preparing", "Waiting", "Running", "Stopping", "Finished", "Failed", "Skipped", "Starting"];

fn entry(state: &str, message: &str, at: Timestamp) -> ServiceEvent {
    ServiceEvent { state: state.to_owned(), msg: message.to_owned(), ts: Some(at) }
}

/// What a service does until it runs.
fn start(world: &World, id: Id, service: &str, at: Timestamp) -> [ServiceEvent; 4] {
    let started = match (pid_of_service(service), service) {
        (None, _) => "Service started as goroutine".to_owned(),
        (Some(pid), "containerd" | "cri" | "dashboard" | "udevd") => {
            let process = world.processes(id).into_iter().find(|process| process.pid == pid);
            let words = process.map(|process| process.arguments).unwrap_or_default();
            let words: Vec<String> = words.split(' ').map(|word| format!("\"{word}\"")).collect();
            format!("Process Process([{}]) started with PID {pid}", words.join(" "))
        }
        (Some(pid), name) => format!("Started task {name} (PID {pid}) for container {name}"),
    };
    [
        entry("Starting", "Starting service", at),
        entry("Preparing", "Running pre state", at),
        entry("Preparing", "Creating service runner", at),
        entry("Running", &started, at),
    ]
}

/// What the node has reported about a service since the boot.
fn reported(world: &World, id: Id, service: &str) -> Vec<ServiceEvent> {
    let events = world.nodes[id].events.iter().filter(|event| event.type_url.ends_with(".ServiceStateEvent"));
    let own = events.filter_map(|event| {
        let content = ServiceStateEvent::decode(&event.value[..]).ok().filter(|content| content.service == service)?;
        let state = STATES.get(usize::try_from(content.action).ok()?)?;
        Some(entry(state, &content.message, world.timestamp_at(event.at)))
    });
    own.collect()
}

/// What has happened to etcd since it began: with the boot, together with `cri`, or with the last Bootstrap, which no node
/// takes before `cri` is healthy; what was before is forgotten then (seen on 1.13.9).
fn history_of_etcd(world: &World, id: Id, service: &Service) -> Vec<ServiceEvent> {
    let boot = world.booted_at(id);
    let asked = world.nodes[id].etcd_asked.map(|at| world.timestamp_at(at));
    let at = match asked {
        Some(asked) => Timestamp { seconds: asked.seconds.max(boot.seconds + 2), nanos: 0 },
        None => Timestamp { nanos: 34_000_000, ..boot },
    };
    let all =
        "Waiting for volumes /var/lib, ETCD to be mounted, service \"cri\" to be \"up\", time sync, network, etcd spec";
    let mut events = vec![entry("Starting", "Starting service", at), entry("Waiting", all, at)];
    if asked.is_none() {
        let later = Timestamp { seconds: at.seconds + 1, ..at };
        events.push(entry("Waiting", "Waiting for service \"cri\" to be \"up\"", later));
    }
    events.push(entry("Preparing", "Running pre state", at));
    let [.., started] = start(world, id, "etcd", at);
    let runs = [entry("Preparing", "Creating service runner", at), started];
    match service.state {
        "Running" => events.extend(runs),
        "Finished" => {
            events.extend(runs);
            let stops = "Sending SIGTERM to task etcd (PID 212, container etcd)";
            events.push(entry("Stopping", stops, at));
            events.push(entry("Finished", "Service finished successfully", at));
        }
        _ => {}
    }
    if events.last().is_none_or(|last| last.msg != service.message) {
        events.push(entry(service.state, &service.message, at));
    }
    events
}

/// What the kubelet waits for (seen on 1.13.9).
const KUBELET_WAITS: [&str; 2] = [
    "Waiting for volumes /var/lib, /var/lib/kubelet, /var/log, /var/log/audit, /var/log/containers, /var/log/pods, \
     /var/lib/kubelet/seccomp, /var/lib/kubelet/seccomp/profiles, /var/log/audit/kube, /var/mnt to be mounted, service \
     \"cri\" to be \"up\", time sync, network",
    "Waiting for service \"cri\" to be \"up\"",
];

/// What has happened to a service since the boot: its start, and what the node reported.
fn history(world: &World, id: Id, service: &Service) -> Vec<ServiceEvent> {
    if service.id == "etcd" {
        return history_of_etcd(world, id, service);
    }
    let mut reported = reported(world, id, &service.id);
    let mut at = world.booted_at(id);
    if reported.first().is_some_and(|first| first.state == "Starting") {
        at = reported.remove(0).ts.unwrap_or(at);
    }
    let mut events = match service.state {
        "Running" | "Finished" if service.id == "kubelet" => {
            let [first, rest @ ..] = start(world, id, &service.id, at);
            let waits = KUBELET_WAITS.map(|message| entry("Waiting", message, at));
            std::iter::once(first).chain(waits).chain(rest).collect()
        }
        "Running" | "Finished" => start(world, id, &service.id, at).into(),
        "Starting" => start(world, id, &service.id, at)[..3].to_vec(),
        _ => Vec::new(),
    };
    events.extend(reported);
    let reported = |event: &ServiceEvent| event.state == service.state && event.msg == service.message;
    if !service.message.is_empty() && !events.iter().rev().take(1).any(reported) {
        let last = events.last().and_then(|event| event.ts);
        events.push(entry(service.state, &service.message, last.unwrap_or(at)));
    }
    events
}

fn info(world: &World, id: Id, service: Service) -> ServiceInfo {
    let mut events = history(world, id, &service);
    if let Some(says) = &world.nodes[id].faults.says {
        events.push(entry(service.state, says, world.timestamp_at(world.now)));
    }
    let health = ServiceHealth {
        unknown: service.unknown,
        healthy: service.healthy,
        last_message: if service.healthy || service.unknown { String::new() } else { service.message },
        last_change: events.last().and_then(|event| event.ts),
    };
    ServiceInfo {
        id: service.id,
        state: service.state.to_owned(),
        events: Some(ServiceEvents { events }),
        health: Some(health),
    }
}

/// What may be done with a service over the API: kubelet starts and restarts, extensions do everything, all others are
/// left alone (internal/app/machined/pkg/system/services: `APIStartAllowed` and its like).
fn allowed(id: &str, operation: &str) -> bool {
    match id {
        "kubelet" => operation != "stop",
        id => id.starts_with("ext-"),
    }
}

fn operate(call: &Call<'_>, id: &str, operation: &str) -> Result<(), Status> {
    let Some(service) = call.ask(World::services).into_iter().find(|service| service.id == id) else {
        return Err(Status::unknown(format!("service \"{id}\" not defined")));
    };
    let runs = !["Finished", "Failed", "Skipped"].contains(&service.state);
    let operation = match (operation, runs) {
        // What has stopped has nothing more to stop, and a restart of it is a start.
        ("stop", false) => return Ok(()),
        ("restart", false) => "start",
        (operation, _) => operation,
    };
    if !allowed(id, operation) {
        return Err(Status::unknown(format!("service \"{id}\" doesn't support {operation} operation via API")));
    }
    if operation != "start" || !runs {
        call.act(|world, node| world.operate(node, id, operation));
    }
    Ok(())
}

pub(super) fn begin(call: &Call<'_>, request: &ServiceStartRequest) -> Result<ServiceStartResponse, Status> {
    operate(call, &request.id, "start")?;
    let resp = format!("Service \"{}\" started", request.id);
    Ok(ServiceStartResponse { messages: vec![ServiceStart { metadata: None, resp }] })
}

pub(super) fn stop(call: &Call<'_>, request: &ServiceStopRequest) -> Result<ServiceStopResponse, Status> {
    operate(call, &request.id, "stop")?;
    let resp = format!("Service \"{}\" stopped", request.id);
    Ok(ServiceStopResponse { messages: vec![ServiceStop { metadata: None, resp }] })
}

pub(super) fn restart(call: &Call<'_>, request: &ServiceRestartRequest) -> Result<ServiceRestartResponse, Status> {
    operate(call, &request.id, "restart")?;
    let resp = format!("Service \"{}\" restarted", request.id);
    Ok(ServiceRestartResponse { messages: vec![ServiceRestart { metadata: None, resp }] })
}
