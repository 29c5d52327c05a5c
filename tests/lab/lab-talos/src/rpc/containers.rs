//! Containers and images of a node.

use prost_types::Timestamp;
use sha2::{Digest, Sha256};
use talos_proto::machine::image_service_pull_response::Response;
use talos_proto::machine::{
    Container, ContainerInfo, ContainersRequest, ContainersResponse, ImageListRequest, ImageListResponse, ImagePull,
    ImagePullRequest, ImagePullResponse, ImageServiceListRequest, ImageServiceListResponse, ImageServicePullRequest,
    ImageServicePullResponse, ImageServiceRemoveRequest, ImageServiceVerifyRequest, ImageServiceVerifyResponse,
    Restart, RestartRequest, RestartResponse, Stat, Stats, StatsRequest, StatsResponse,
};
use tonic::Status;

use super::Call;
use crate::node::Node;
use crate::world::{PodContainer, Service, World};
use lab_core::disk_image::hex;

/// The image of the containers that hold the namespaces of pods.
const PAUSE: &str = "registry.k8s.io/pause:3.10.1";

fn of_kubernetes(namespace: &str) -> bool {
    namespace == "k8s.io"
}

/// What runs in a namespace of containerd: services in `system`, pods with their containers in `k8s.io`.
fn running(call: &Call<'_>, namespace: &str) -> Vec<ContainerInfo> {
    match of_kubernetes(namespace) {
        true => call.ask(World::pod_containers).into_iter().flat_map(pod).collect(),
        false => services(call),
    }
}

fn services(call: &Call<'_>) -> Vec<ContainerInfo> {
    let own = |id: &str| ["apid", "trustd", "etcd", "kubelet"].contains(&id) || id.starts_with("ext-");
    let services = call.ask(World::services).into_iter().filter(|service| own(&service.id));
    let container = |service: Service| {
        let pid = call.ask(|world, id| world.pid_of(id, &service.id))?;
        Some(ContainerInfo {
            namespace: "system".to_owned(),
            image: call.see(|node| service_image(&service.id, node)),
            internal_id: service.id.clone(),
            pid: u32::try_from(pid).unwrap_or_default(),
            status: "RUNNING".to_owned(),
            pod_id: service.id.clone(),
            name: service.id.clone(),
            id: service.id,
            ..ContainerInfo::default()
        })
    };
    services.filter_map(container).collect()
}

/// A pod as the container that holds its namespaces, and the one that does its work.
fn pod(container: PodContainer) -> [ContainerInfo; 2] {
    let pod_id = format!("kube-system/{}", container.pod);
    let pid = u32::try_from(container.pid).unwrap_or_default();
    let sandbox = ContainerInfo {
        namespace: "k8s.io".to_owned(),
        id: pod_id.clone(),
        uid: container.uid,
        internal_id: container.sandbox,
        image: PAUSE.to_owned(),
        pid: pid - 1,
        status: "SANDBOX_READY".to_owned(),
        pod_id: pod_id.clone(),
        name: pod_id.clone(),
        ..ContainerInfo::default()
    };
    let own = ContainerInfo {
        namespace: "k8s.io".to_owned(),
        id: format!("{pod_id}:{}:{}", container.name, &container.internal[..12]),
        internal_id: container.internal,
        image: container.image,
        pid,
        status: "CONTAINER_RUNNING".to_owned(),
        pod_id,
        name: container.name,
        ..ContainerInfo::default()
    };
    [sandbox, own]
}

/// The image of a service; none for those that are part of Talos.
fn service_image(id: &str, node: &Node) -> String {
    match (id, &node.config) {
        ("kubelet", Some(config)) => config.kubelet_image.clone(),
        ("etcd", _) => node.version().etcd_image(),
        _ => String::new(),
    }
}

pub(super) fn list(call: &Call<'_>, request: &ContainersRequest) -> Result<ContainersResponse, Status> {
    let containers = running(call, &request.namespace);
    Ok(ContainersResponse { messages: vec![Container { metadata: None, containers }] })
}

pub(super) fn stats(call: &Call<'_>, request: &StatsRequest) -> Result<StatsResponse, Status> {
    let processes = call.ask(World::processes);
    let seconds = call.ask(|world, id| world.now.saturating_sub(world.nodes[id].booted_at).as_secs());
    let stat = |running: ContainerInfo| {
        let process = processes.iter().find(|process| u32::try_from(process.pid) == Ok(running.pid));
        Stat {
            namespace: running.namespace,
            memory_usage: process.map_or(0, |process| process.memory),
            cpu_usage: process.map_or(0, |process| process.memory / 16 + seconds * 13_000_000),
            pod_id: running.pod_id,
            name: running.name,
            id: running.id,
        }
    };
    let stats = running(call, &request.namespace).into_iter().map(stat).collect();
    Ok(StatsResponse { messages: vec![Stats { metadata: None, stats }] })
}

/// Restarting a container leaves no trace but its name must be right.
pub(super) fn restart(call: &Call<'_>, request: &RestartRequest) -> Result<RestartResponse, Status> {
    let known =
        |running: &ContainerInfo| running.id == request.id || running.id.starts_with(&format!("{}:", request.id));
    match running(call, &request.namespace).iter().any(known) {
        true => Ok(RestartResponse { messages: vec![Restart::default()] }),
        false => Err(Status::unknown(format!("container \"{}\" not found", request.id))),
    }
}

fn images(call: &Call<'_>, namespace: &str) -> Vec<(String, String, i64)> {
    let pulled = call.see(|node| node.pulled.clone());
    let used = running(call, namespace).into_iter().map(|running| running.image);
    let mut names: Vec<String> = used.chain(pulled).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    let image = |name: String| {
        let digest = format!("sha256:{}", hex(&Sha256::digest(&name)));
        (name, digest, 30 << 20)
    };
    names.into_iter().map(image).collect()
}

/// `k8s.io` for the images of Kubernetes, `system` for those of Talos; the numbers are those of the API.
fn namespace(number: i32) -> &'static str {
    if number == 2 { "k8s.io" } else { "system" }
}

/// When images came: with the boot.
fn at(call: &Call<'_>) -> Option<Timestamp> {
    Some(call.ask(World::booted_at))
}

pub(super) fn image_list(call: &Call<'_>, request: &ImageListRequest) -> Result<Vec<ImageListResponse>, Status> {
    let created_at = at(call);
    let row = |(name, digest, size)| ImageListResponse { metadata: None, name, digest, size, created_at };
    Ok(images(call, namespace(request.namespace)).into_iter().map(row).collect())
}

pub(super) fn image_pull(call: &Call<'_>, request: &ImagePullRequest) -> Result<ImagePullResponse, Status> {
    pull(call, &request.reference)?;
    Ok(ImagePullResponse { messages: vec![ImagePull::default()] })
}

fn pull(call: &Call<'_>, reference: &str) -> Result<(), Status> {
    if !reference.contains('/') || reference.ends_with(':') {
        return Err(Status::not_found(format!("error pulling image: failed to resolve reference \"{reference}\"")));
    }
    call.act(|world, id| {
        world.nodes[id].pulled.insert(reference.to_owned());
        world.touch(id);
    });
    Ok(())
}

pub(super) fn service_list(
    call: &Call<'_>,
    request: &ImageServiceListRequest,
) -> Result<Vec<ImageServiceListResponse>, Status> {
    let instance = request.containerd.ok_or_else(|| Status::invalid_argument("containerd instance is required"))?;
    let created_at = at(call);
    let row =
        |(name, digest, size)| ImageServiceListResponse { name, digest, size, created_at, labels: Default::default() };
    Ok(images(call, namespace(instance.namespace)).into_iter().map(row).collect())
}

/// The last frame names the image.
pub(super) fn service_pull(
    call: &Call<'_>,
    request: &ImageServicePullRequest,
) -> Result<Vec<ImageServicePullResponse>, Status> {
    if request.containerd.is_none() {
        return Err(Status::invalid_argument("containerd instance is required"));
    }
    pull(call, &request.image_ref)?;
    Ok(vec![ImageServicePullResponse { response: Some(Response::Name(request.image_ref.clone())) }])
}

pub(super) fn service_remove(call: &Call<'_>, request: &ImageServiceRemoveRequest) -> Result<(), Status> {
    match call.act(|world, id| world.nodes[id].pulled.remove(&request.image_ref)) {
        true => Ok(()),
        false => Err(Status::not_found(format!("image \"{}\": not found", request.image_ref))),
    }
}

pub(super) fn service_verify(
    _: &Call<'_>,
    request: &ImageServiceVerifyRequest,
) -> Result<ImageServiceVerifyResponse, Status> {
    Ok(ImageServiceVerifyResponse {
        verified: false,
        message: "no verification rule matches".to_owned(),
        digested_image_ref: format!("{}@sha256:{}", request.image_ref, hex(&Sha256::digest(&request.image_ref))),
    })
}
