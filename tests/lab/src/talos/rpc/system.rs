//! What a node says of itself: version, name, services, memory, time.

use prost_types::Timestamp;
use talos_proto::machine::{
    FeaturesInfo, Hostname, HostnameResponse, LoadAvg, LoadAvgResponse, MemInfo, Memory, MemoryResponse, PlatformInfo,
    ServiceEvent, ServiceEvents, ServiceHealth, ServiceInfo, ServiceList, ServiceListResponse, Version, VersionInfo,
    VersionResponse,
};
use talos_proto::time::{Time, TimeRequest, TimeResponse};
use time::OffsetDateTime;
use tonic::Status;

use super::Call;
use crate::talos::world::{Service, World};

pub(super) fn version(call: &Call<'_>, (): &()) -> Result<VersionResponse, Status> {
    let (tag, platform, configured) = call.see(|node| {
        let platform = node.image.as_ref().map(|image| image.platform.clone()).unwrap_or_default();
        (node.tag(), platform, node.config.is_some())
    });
    let mode = if platform == "metal" { "metal" } else { "cloud" };
    let version = VersionInfo {
        tag,
        sha: "1a2b3c4d".to_owned(),
        built: String::new(),
        go_version: "go1.26.4".to_owned(),
        os: "linux".to_owned(),
        arch: "amd64".to_owned(),
    };
    let message = Version {
        metadata: None,
        version: Some(version),
        platform: Some(PlatformInfo { name: platform, mode: mode.to_owned() }),
        features: configured.then_some(FeaturesInfo { rbac: true }),
    };
    Ok(VersionResponse { messages: vec![message] })
}

pub(super) fn hostname(call: &Call<'_>, (): &()) -> Result<HostnameResponse, Status> {
    let hostname = call.see(|node| node.hostname().0);
    Ok(HostnameResponse { messages: vec![Hostname { metadata: None, hostname }] })
}

pub(super) fn services(call: &Call<'_>, (): &()) -> Result<ServiceListResponse, Status> {
    let at = timestamp(OffsetDateTime::now_utc());
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

pub(super) fn memory(call: &Call<'_>, (): &()) -> Result<MemoryResponse, Status> {
    let total = call.see(|node| node.machine.memory) * 1024;
    let meminfo = MemInfo {
        memtotal: total,
        memfree: total / 2,
        memavailable: total / 4 * 3,
        buffers: 4096,
        cached: total / 5,
        ..MemInfo::default()
    };
    Ok(MemoryResponse { messages: vec![Memory { metadata: None, meminfo: Some(meminfo) }] })
}

pub(super) fn load(_: &Call<'_>, (): &()) -> Result<LoadAvgResponse, Status> {
    Ok(LoadAvgResponse { messages: vec![LoadAvg { metadata: None, load1: 0.25, load5: 0.5, load15: 0.25 }] })
}

pub(super) fn time(call: &Call<'_>, (): &()) -> Result<TimeResponse, Status> {
    time_check(call, &TimeRequest { server: String::new() })
}

pub(super) fn time_check(call: &Call<'_>, request: &TimeRequest) -> Result<TimeResponse, Status> {
    let configured = call.see(|node| node.config.as_ref().and_then(|c| c.network.time_servers.first().cloned()));
    let asked = Some(request.server.clone()).filter(|server| !server.is_empty());
    let server = asked.or(configured).unwrap_or_else(|| "time.cloudflare.com".to_owned());
    let now = Some(timestamp(OffsetDateTime::now_utc()));
    Ok(TimeResponse { messages: vec![Time { metadata: None, server, localtime: now, remotetime: now }] })
}

pub(super) fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: at.unix_timestamp(), nanos: at.nanosecond() as i32 }
}
