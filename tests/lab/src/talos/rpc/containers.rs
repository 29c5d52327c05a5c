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
use crate::disk_image::hex;
use crate::talos::resources::ETCD_IMAGE;
use crate::talos::world::World;

/// A container: its name, the image, and the pod if it is one of Kubernetes.
struct Running {
    id: String,
    image: String,
    pod: Option<String>,
}

fn of_kubernetes(namespace: &str) -> bool {
    namespace == "k8s.io"
}

/// What runs in a namespace of containerd: services in `system`, pods in `k8s.io`.
fn running(call: &Call<'_>, namespace: &str) -> Vec<Running> {
    if !of_kubernetes(namespace) {
        let own = ["apid", "trustd", "etcd", "kubelet"];
        let services = call.ask(World::services).into_iter();
        let services = services.filter(|service| own.contains(&service.id.as_str()) && service.state == "Running");
        let image = |id: &str| call.see(|node| service_image(id, node.config.as_deref(), &node.tag()));
        return services.map(|service| Running { image: image(&service.id), pod: None, id: service.id }).collect();
    }
    call.ask(|world, id| {
        let name = world.nodename(id);
        let Some(etcd) = world.kubernetes_of(id) else { return Vec::new() };
        world.etcds[etcd]
            .store
            .pods_on(&name)
            .into_iter()
            .map(|(pod, container, image)| Running { id: container, image, pod: Some(pod) })
            .collect()
    })
}

fn service_image(id: &str, config: Option<&crate::talos::config::Config>, tag: &str) -> String {
    match id {
        "kubelet" => config.map(|config| config.kubelet_image.clone()).unwrap_or_default(),
        "etcd" => ETCD_IMAGE.to_owned(),
        id => format!("ghcr.io/siderolabs/{id}:{tag}"),
    }
}

fn number(text: &str) -> u32 {
    let digest = Sha256::digest(text);
    1000 + (u32::from(digest[0]) << 8 | u32::from(digest[1]))
}

pub(super) fn list(call: &Call<'_>, request: &ContainersRequest) -> Result<ContainersResponse, Status> {
    let info = |running: Running| {
        let pod = running.pod.map(|pod| format!("kube-system/{pod}"));
        ContainerInfo {
            namespace: request.namespace.clone(),
            id: match &pod {
                Some(pod) => format!("{pod}:{}", running.id),
                None => running.id.clone(),
            },
            uid: hex(&Sha256::digest(&running.id))[..32].to_owned(),
            internal_id: hex(&Sha256::digest(&running.id)),
            image: running.image,
            pid: number(&running.id),
            status: if pod.is_some() { "CONTAINER_RUNNING" } else { "RUNNING" }.to_owned(),
            pod_id: pod.unwrap_or_else(|| running.id.clone()),
            name: running.id,
            network_namespace: String::new(),
        }
    };
    let containers = running(call, &request.namespace).into_iter().map(info).collect();
    Ok(ContainersResponse { messages: vec![Container { metadata: None, containers }] })
}

pub(super) fn stats(call: &Call<'_>, request: &StatsRequest) -> Result<StatsResponse, Status> {
    let stat = |running: Running| Stat {
        namespace: request.namespace.clone(),
        memory_usage: 20 << 20,
        cpu_usage: 1_000_000_000,
        pod_id: running.pod.unwrap_or_else(|| running.id.clone()),
        name: running.id.clone(),
        id: running.id,
    };
    let stats = running(call, &request.namespace).into_iter().map(stat).collect();
    Ok(StatsResponse { messages: vec![Stats { metadata: None, stats }] })
}

/// Restarting a container leaves no trace but its name must be right.
pub(super) fn restart(call: &Call<'_>, request: &RestartRequest) -> Result<RestartResponse, Status> {
    match running(call, &request.namespace).iter().any(|running| request.id.ends_with(&running.id)) {
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

fn at(call: &Call<'_>) -> Option<Timestamp> {
    Some(call.ask(|world, _| world.timestamp()))
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
