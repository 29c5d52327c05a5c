//! What a node reports about itself: version, name, services, memory, time.

use prost_types::Timestamp;
use talos_proto::inspect::{
    ControllerDependencyEdge, ControllerRuntimeDependenciesResponse, ControllerRuntimeDependency, DependencyEdgeType,
};
use talos_proto::machine::{
    FeaturesInfo, Hostname, HostnameResponse, PlatformInfo, Version, VersionInfo, VersionResponse,
};
use talos_proto::time::{Time, TimeRequest, TimeResponse};
use time::OffsetDateTime;
use tonic::Status;

use super::Call;

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

/// A few of the controllers of a node with what they read and write, enough to draw a graph.
pub(super) fn dependencies(_: &Call<'_>, (): &()) -> Result<ControllerRuntimeDependenciesResponse, Status> {
    let edge =
        |controller: &str, edge_type: DependencyEdgeType, namespace: &str, kind: &str| ControllerDependencyEdge {
            controller_name: controller.to_owned(),
            edge_type: edge_type as i32,
            resource_namespace: namespace.to_owned(),
            resource_type: kind.to_owned(),
            resource_id: String::new(),
        };
    use DependencyEdgeType::{InputWeak, OutputExclusive};
    let edges = vec![
        edge("runtime.MachineStatusController", OutputExclusive, "runtime", "MachineStatuses.runtime.talos.dev"),
        edge("runtime.MachineStatusController", InputWeak, "runtime", "Services.v1alpha1.talos.dev"),
        edge("cluster.MemberController", OutputExclusive, "cluster", "Members.cluster.talos.dev"),
        edge("config.MachineTypeController", OutputExclusive, "config", "MachineTypes.config.talos.dev"),
        edge("config.MachineTypeController", InputWeak, "config", "MachineConfigs.config.talos.dev"),
    ];
    Ok(ControllerRuntimeDependenciesResponse { messages: vec![ControllerRuntimeDependency { metadata: None, edges }] })
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
