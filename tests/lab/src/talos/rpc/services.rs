//! Services: what runs, and starting, stopping and restarting them.

use prost_types::Timestamp;
use talos_proto::machine::{
    ServiceEvent, ServiceEvents, ServiceHealth, ServiceInfo, ServiceList, ServiceListResponse, ServiceRestart,
    ServiceRestartRequest, ServiceRestartResponse, ServiceStart, ServiceStartRequest, ServiceStartResponse,
    ServiceStop, ServiceStopRequest, ServiceStopResponse,
};
use tonic::Status;

use super::Call;
use crate::talos::world::{Service, World};

pub(super) fn list(call: &Call<'_>, (): &()) -> Result<ServiceListResponse, Status> {
    let at = call.ask(|world, _| world.timestamp());
    let services = call.ask(World::services);
    let services = services.iter().map(|service| info(service, at)).collect();
    Ok(ServiceListResponse { messages: vec![ServiceList { metadata: None, services }] })
}

fn info(service: &Service, at: Timestamp) -> ServiceInfo {
    let event = ServiceEvent { msg: service.message.clone(), state: service.state.to_owned(), ts: Some(at) };
    let health = ServiceHealth {
        unknown: service.unknown,
        healthy: service.healthy,
        last_message: String::new(),
        last_change: Some(at),
    };
    ServiceInfo {
        id: service.id.clone(),
        state: service.state.to_owned(),
        events: Some(ServiceEvents { events: vec![event] }),
        health: Some(health),
    }
}

/// What may be done with a service over the API: with those that Talos needs to live nothing, with kubelet and etcd a
/// restart, with extensions everything (internal/app/machined/pkg/system/services: `APIStartAllowed` and its like).
fn allowed(id: &str, operation: &str) -> bool {
    match id {
        "kubelet" | "trustd" => operation == "restart",
        "etcd" => operation == "restart",
        id => id.starts_with("ext-"),
    }
}

fn operate(call: &Call<'_>, id: &str, operation: &str) -> Result<(), Status> {
    if !call.ask(World::services).iter().any(|service| service.id == id) {
        return Err(Status::unknown(format!("service \"{id}\" not defined")));
    }
    if !allowed(id, operation) {
        return Err(Status::unknown(format!("service \"{id}\" doesn't support {operation} operation via API")));
    }
    call.act(|world, node| world.operate(node, id, operation));
    Ok(())
}

pub(super) fn start(call: &Call<'_>, request: &ServiceStartRequest) -> Result<ServiceStartResponse, Status> {
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
