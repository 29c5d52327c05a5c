//! Why a configured node isn't ready yet, from its own resources.

use std::time::Duration;

use futures_util::join;
use prost_types::{Struct, Value, value::Kind as Is};
use talos_proto::definitions as spec;
use tokio::time::timeout;

use crate::{Error, EtcdService, ImagePull, Node, Service, cosi::Kind};

const TIME_STATUS: Kind = Kind { call: "TimeStatus", namespace: "runtime", name: "TimeStatuses.v1alpha1.talos.dev" };
const NODE_ADDRESS: Kind = Kind { call: "NodeAddress", namespace: "network", name: "NodeAddresses.net.talos.dev" };
const VOLUME_STATUS: Kind = Kind { call: "VolumeStatus", namespace: "runtime", name: "VolumeStatuses.block.talos.dev" };
const STATIC_POD_STATUS: Kind =
    Kind { call: "StaticPodStatus", namespace: "k8s", name: "StaticPodStatuses.kubernetes.talos.dev" };

/// What a node's resources show; what couldn't be asked is absent.
#[derive(Debug, Clone, Default)]
struct Evidence {
    services: Vec<Service>,
    /// The images of services that aren't there yet.
    pulls: Vec<(String, ImagePull)>,
    time: Option<spec::TimeStatusSpec>,
    addresses: Option<spec::NodeAddressSpec>,
    volumes: Vec<(String, spec::VolumeStatusSpec)>,
    pods: Vec<(String, spec::StaticPodStatusSpec)>,
}

impl Node {
    /// Why the node isn't ready yet, as far as its own resources say: time, addresses, volumes, services with the images
    /// that they can't pull, static pods. Whether it says anything is no condition for anything: what can't be asked, or
    /// not soon, is left out. Each is one line of the node's own words, which may hold anything.
    pub async fn troubles(&self) -> Vec<String> {
        let evidence = timeout(LIMIT, Box::pin(self.evidence())).await;
        told(&evidence.unwrap_or_default())
    }

    /// What is missing, and after it the troubles of the node that it doesn't name yet: whoever waits for a node says this.
    pub async fn because(&self, missing: &str) -> String {
        joined(missing, self.troubles().await)
    }

    async fn evidence(&self) -> Evidence {
        let (services, time, addresses, volumes, pods) = join!(
            self.services(),
            self.resource(&TIME_STATUS, "node"),
            self.resource(&NODE_ADDRESS, "current"),
            self.resources(&VOLUME_STATUS),
            self.resources(&STATIC_POD_STATUS),
        );
        let services = services.unwrap_or_default();
        let mut pulls = Vec::new();
        for service in services.iter().filter(|service| PULLED.contains(&service.id.as_str())) {
            if service.state == PULLING
                && let Ok(Some(pull)) = self.image_pull(&service.id).await
            {
                pulls.push((service.id.clone(), pull));
            }
        }
        Evidence {
            services,
            pulls,
            time: time.unwrap_or_default(),
            addresses: addresses.unwrap_or_default(),
            volumes: volumes.unwrap_or_default(),
            pods: pods.unwrap_or_default(),
        }
    }

    /// Whether a static pod of this component is ready; if not, why.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn static_pod(&self, component: &str) -> Result<Result<(), String>, Error> {
        let pods: Vec<(String, spec::StaticPodStatusSpec)> = self.resources(&STATIC_POD_STATUS).await?;
        let prefix = format!("kube-system/{component}-");
        let found = pods.iter().find(|(id, _)| id.starts_with(&prefix));
        let absent = || Err(format!("it reports no static pod of {component} yet"));
        Ok(found.map_or_else(absent, |(id, pod)| of_pod(id, pod).map_or(Ok(()), Err)))
    }
}

/// How long a node is asked for its troubles: they only explain.
const LIMIT: Duration = Duration::from_secs(10);
/// The state in which a service pulls its image.
const PULLING: &str = "Preparing";
/// The services whose images are pulled.
const PULLED: [&str; 2] = ["etcd", "kubelet"];
/// The services without which a node never gets ready, in the order in which they start.
const NEEDED: [&str; 7] = ["machined", "containerd", "apid", "cri", "trustd", "etcd", "kubelet"];

fn told(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    if evidence.time.as_ref().is_some_and(|time| !time.synced && !time.sync_disabled) {
        found.push("its time is not synced".to_owned());
    }
    if evidence.addresses.as_ref().is_some_and(|current| current.addresses.is_empty()) {
        found.push("it has no address".to_owned());
    }
    found.extend(evidence.volumes.iter().filter_map(|(id, volume)| of_volume(id, volume)));
    let needed = NEEDED.iter().filter_map(|id| evidence.services.iter().find(|service| service.id == *id));
    let etcd = EtcdService::of(&evidence.services);
    for service in needed {
        let pull = evidence.pulls.iter().find(|(id, _)| *id == service.id);
        let pull = pull.map(|(_, pull)| pull.clone());
        match (&etcd, pull) {
            // It pulls its image first; after that, what the log said about it is over.
            (Some(EtcdService::Joining), pull) if service.id == "etcd" => {
                found.extend(pull.filter(|pull| matches!(pull, ImagePull::Fails(_))).map(ImagePull::into_words));
                found.push(EtcdService::WAITS.to_owned());
            }
            (Some(EtcdService::StoppedToBootstrap), _) if service.id == "etcd" => {
                found.push("etcd was stopped to bootstrap".to_owned());
            }
            (_, Some(pull)) => found.push(pull.into_words()),
            (_, None) => found.extend(of_service(service)),
        }
    }
    found.extend(evidence.pods.iter().filter_map(|(id, pod)| of_pod(id, pod)));
    found
}

/// What is missing, and the troubles that these words don't hold.
fn joined(missing: &str, troubles: Vec<String>) -> String {
    let mut reasons = vec![missing.to_owned()];
    for trouble in troubles {
        // "service etcd is Preparing: …" says no more than "Preparing: …".
        let words = trouble.strip_prefix("service ").and_then(|words| words.split_once(" is ")).map(|(_, words)| words);
        if !reasons.iter().any(|reason| reason.contains(words.unwrap_or(&trouble))) {
            reasons.push(trouble);
        }
    }
    reasons.join("; ")
}

fn of_service(service: &Service) -> Option<String> {
    let (id, state, last) = (&service.id, &service.state, service.last());
    match (state.as_str(), &service.unhealthy) {
        ("Running", None) => None,
        ("Running", Some(why)) if why.is_empty() => Some(format!("service {id} is not healthy")),
        ("Running", Some(why)) => Some(format!("service {id} is not healthy: {why}")),
        _ if last.is_empty() => Some(format!("service {id} is {state}")),
        _ => Some(format!("service {id} is {state}: {last}")),
    }
}

fn of_volume(id: &str, volume: &spec::VolumeStatusSpec) -> Option<String> {
    let what = match volume.phase() {
        spec::VolumePhase::Failed => "failed",
        spec::VolumePhase::Missing => "was not found",
        _ => return None,
    };
    let why = if volume.error_message.is_empty() { String::new() } else { format!(": {}", volume.error_message) };
    Some(format!("volume {id} {what}{why}"))
}

/// Why a static pod isn't ready: what its first container that doesn't run waits for.
fn of_pod(id: &str, pod: &spec::StaticPodStatusSpec) -> Option<String> {
    let status = pod.pod_status.as_ref()?;
    let is_ready = |condition: &&Struct| text(condition, "type") == Some("Ready");
    if list(status, "conditions").find(is_ready).and_then(|ready| text(ready, "status")) == Some("True") {
        return None;
    }
    let waiting = list(status, "containerStatuses").find_map(|container| map(map(container, "state")?, "waiting"));
    let why = waiting.map(|waiting| [text(waiting, "reason"), text(waiting, "message")]);
    let why: Vec<&str> = why.into_iter().flatten().flatten().collect();
    let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(": ")) };
    Some(format!("static pod {id} is not ready{why}"))
}

fn get<'a>(map: &'a Struct, key: &str) -> Option<&'a Is> {
    map.fields.get(key)?.kind.as_ref()
}

fn text<'a>(map: &'a Struct, key: &str) -> Option<&'a str> {
    match get(map, key) {
        Some(Is::StringValue(text)) => Some(text.as_str()),
        _ => None,
    }
}

fn map<'a>(map: &'a Struct, key: &str) -> Option<&'a Struct> {
    match get(map, key) {
        Some(Is::StructValue(map)) => Some(map),
        _ => None,
    }
}

fn list<'a>(map: &'a Struct, key: &str) -> impl Iterator<Item = &'a Struct> {
    let values: &[Value] = match get(map, key) {
        Some(Is::ListValue(list)) => &list.values,
        _ => &[],
    };
    values.iter().filter_map(|value| match &value.kind {
        Some(Is::StructValue(map)) => Some(map),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ServiceEvent;

    fn service(id: &str, state: &str, last: &str) -> Service {
        let event = ServiceEvent { state: state.to_owned(), message: last.to_owned(), at: Duration::from_secs(1) };
        Service { id: id.to_owned(), state: state.to_owned(), events: vec![event], unhealthy: None }
    }

    fn string(text: &str) -> Value {
        Value { kind: Some(Is::StringValue(text.to_owned())) }
    }

    fn object(fields: &[(&str, Value)]) -> Value {
        let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Value { kind: Some(Is::StructValue(Struct { fields })) }
    }

    fn pod(ready: &str, waiting: &[(&str, Value)]) -> spec::StaticPodStatusSpec {
        let list = |value| Value { kind: Some(Is::ListValue(prost_types::ListValue { values: vec![value] })) };
        let condition = object(&[("type", string("Ready")), ("status", string(ready))]);
        let container = object(&[("state", object(&[("waiting", object(waiting))]))]);
        let Some(Is::StructValue(status)) =
            object(&[("conditions", list(condition)), ("containerStatuses", list(container))]).kind
        else {
            unreachable!("it was made as one");
        };
        spec::StaticPodStatusSpec { pod_status: Some(status) }
    }

    #[test]
    fn a_node_without_trouble_tells_none() {
        let evidence = Evidence {
            services: vec![service("kubelet", "Running", "Health check successful"), service("ext-a", "Failed", "x")],
            time: Some(spec::TimeStatusSpec { synced: false, sync_disabled: true, ..Default::default() }),
            volumes: vec![("EPHEMERAL".to_owned(), spec::VolumeStatusSpec { phase: 6, ..Default::default() })],
            pods: vec![("kube-system/kube-apiserver-cp-1".to_owned(), pod("True", &[]))],
            ..Evidence::default()
        };
        assert_eq!(told(&evidence), Vec::<String>::new());
        assert_eq!(told(&Evidence::default()), Vec::<String>::new(), "what couldn't be asked isn't told");
    }

    #[test]
    fn each_cause_is_told_in_the_nodes_own_words() {
        let unhealthy =
            Service { unhealthy: Some("context deadline exceeded".to_owned()), ..service("etcd", "Running", "") };
        let volume = spec::VolumeStatusSpec {
            phase: spec::VolumePhase::Failed as i32,
            error_message: "no disks matched selector for volume".to_owned(),
            ..Default::default()
        };
        let missing = spec::VolumeStatusSpec { phase: spec::VolumePhase::Missing as i32, ..Default::default() };
        let waiting = [("reason", string("ImagePullBackOff")), ("message", string("Back-off pulling image \"x\""))];
        let evidence = Evidence {
            services: vec![
                unhealthy,
                service("kubelet", "Preparing", "Running pre state"),
                service("trustd", "Waiting", "Waiting for time sync"),
            ],
            pulls: vec![(
                "kubelet".to_owned(),
                ImagePull::Fails("failed to pull image \"reg/kubelet:v1\": connection refused".to_owned()),
            )],
            time: Some(spec::TimeStatusSpec::default()),
            addresses: Some(spec::NodeAddressSpec::default()),
            volumes: vec![("u-data".to_owned(), volume), ("e-old".to_owned(), missing)],
            pods: vec![("kube-system/kube-apiserver-cp-1".to_owned(), pod("False", &waiting))],
        };
        assert_eq!(
            told(&evidence),
            [
                "its time is not synced",
                "it has no address",
                "volume u-data failed: no disks matched selector for volume",
                "volume e-old was not found",
                "service trustd is Waiting: Waiting for time sync",
                "service etcd is not healthy: context deadline exceeded",
                "failed to pull image \"reg/kubelet:v1\": connection refused",
                "static pod kube-system/kube-apiserver-cp-1 is not ready: ImagePullBackOff: Back-off pulling image \"x\"",
            ]
        );
    }

    #[test]
    fn an_etcd_that_waits_for_a_cluster_is_told_beside_its_image_and_one_that_is_asked_says_what_it_does() {
        let told_of = |etcd: Service, pull: ImagePull| {
            let pulls = vec![("etcd".to_owned(), pull)];
            told(&Evidence { services: vec![etcd], pulls, ..Evidence::default() })
        };
        let waits = || service("etcd", "Preparing", "Running pre state");
        let fails = || ImagePull::Fails("failed to pull image \"reg/etcd:v3\": refused".to_owned());
        let runs = || ImagePull::Runs("pulling image reg/etcd:v3: downloading".to_owned());
        assert_eq!(told_of(waits(), fails()), ["failed to pull image \"reg/etcd:v3\": refused", EtcdService::WAITS]);
        assert_eq!(
            told_of(waits(), runs()),
            [EtcdService::WAITS],
            "what it pulled before it looks for members is over"
        );
        let asked = || service("etcd", "Preparing", "Creating service runner");
        assert_eq!(told_of(asked(), runs()), ["pulling image reg/etcd:v3: downloading"]);
        let stopped = service("etcd", "Finished", "Bootstrap requested");
        let evidence = Evidence { services: vec![stopped], ..Evidence::default() };
        assert_eq!(told(&evidence), ["etcd was stopped to bootstrap"]);
    }

    #[test]
    fn what_is_missing_comes_first_and_no_trouble_is_told_twice() {
        let all = ["its time is not synced", "service etcd is Preparing: Running pre state", "volume x failed"];
        let joined = |missing: &str| joined(missing, all.map(str::to_owned).to_vec());
        assert_eq!(
            joined("etcd is starting: Preparing: Running pre state"),
            "etcd is starting: Preparing: Running pre state; its time is not synced; volume x failed"
        );
        assert_eq!(super::joined("it has not rebooted yet", Vec::new()), "it has not rebooted yet");
    }
}
