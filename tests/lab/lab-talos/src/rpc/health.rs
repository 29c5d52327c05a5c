//! What a health check asks of a cluster, in order, and its message for what does not hold.
//!
//! The checks and their texts are those of pkg/cluster/check at v1.13.9.

use serde_json::Value;

use crate::node::{Api, Node, Stage};
use crate::resources;
use crate::world::{Id, World};
use lab_core::kubernetes::Objects;

/// The nodes that are checked: by their roles, and addresses that belong to none.
pub(super) struct Scope {
    pub(super) control_planes: Vec<Id>,
    pub(super) workers: Vec<Id>,
    pub(super) strangers: Vec<String>,
}

/// The message for something that this cluster has no part of; nobody waits for it.
pub(super) const SKIP: &str = "SKIP";

/// Why something does not hold yet.
type Outcome = Result<(), String>;

/// A description, and what keeps it from holding.
pub(super) type Check = (&'static str, fn(&World, &Scope) -> Outcome);

pub(super) const CHECKS: &[Check] = &[
    ("etcd to be healthy", |world, scope| service_healthy(world, scope, "etcd")),
    ("etcd members to be consistent across nodes", etcd_consistent),
    ("etcd members to be control plane nodes", etcd_members),
    ("apid to be ready", |world, scope| reachable(world, scope, &scope.nodes())),
    ("all nodes memory sizes", memory),
    ("all nodes disk sizes", disks),
    ("no diagnostics", diagnostics),
    ("kubelet to be healthy", |world, scope| service_healthy(world, scope, "kubelet")),
    ("all nodes to finish boot sequence", booted),
    ("all k8s nodes to report", |world, scope| {
        let store = kubernetes(world, scope)?;
        nodes_match(world, &scope.nodes(), store.list("nodes", None).collect())
    }),
    ("all control plane static pods to be running", static_pods),
    ("all control plane components to be ready", control_plane),
    ("all k8s nodes to report ready", |world, scope| {
        let store = kubernetes(world, scope)?;
        let unready = store.list("nodes", None).filter(|node| !is_ready(node)).map(name);
        named("some nodes are not ready", unready)
    }),
    ("kube-proxy to report ready", |world, scope| {
        let store = kubernetes(world, scope)?;
        let set = store.list("daemonsets", Some("kube-system")).find(|set| app(set) == "kube-proxy");
        let wanted = set.map(|set| set["status"]["desiredNumberScheduled"].as_u64().unwrap_or_default());
        wanted.map_or(Err(SKIP.to_owned()), |wanted| pods_ready(store, "kube-proxy", wanted))
    }),
    ("coredns to report ready", |world, scope| {
        let store = kubernetes(world, scope)?;
        let deployment =
            store.list("deployments", Some("kube-system")).find(|deployment| app(deployment) == "kube-dns");
        let wanted = deployment.map(|deployment| deployment["spec"]["replicas"].as_u64().unwrap_or_default());
        wanted.map_or(Err(SKIP.to_owned()), |wanted| pods_ready(store, "kube-dns", wanted))
    }),
    ("all k8s nodes to report schedulable", |world, scope| {
        let store = kubernetes(world, scope)?;
        let cordoned = store.list("nodes", None).filter(|node| node["spec"]["unschedulable"] == true).map(name);
        // The check stops at the first.
        named("some nodes are not schedulable", cordoned.take(1))
    }),
];

impl Scope {
    fn nodes(&self) -> Vec<Id> {
        self.control_planes.iter().chain(&self.workers).copied().collect()
    }
}

fn address(world: &World, id: Id) -> String {
    world.nodes[id].address().map(|address| address.to_string()).unwrap_or_default()
}

/// Texts as Go prints a list of them, in quotes.
pub(super) fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(" "))
}

fn named<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Outcome {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { Ok(()) } else { Err(format!("{text}: [{}]", names.join(" "))) }
}

/// Several errors as one, or none.
fn all(mut errors: Vec<String>) -> Outcome {
    errors.sort();
    let lines: String = errors.iter().map(|error| format!("\t* {error}\n")).collect();
    match errors.len() {
        0 => Ok(()),
        1 => Err(format!("1 error occurred:\n{lines}\n")),
        count => Err(format!("{count} errors occurred:\n{lines}\n")),
    }
}

fn reachable(world: &World, scope: &Scope, nodes: &[Id]) -> Outcome {
    let talks = |id: Id| {
        let node = &world.nodes[id];
        node.on && node.api == Api::Secured && !node.faults.refuse
    };
    let silent = nodes.iter().filter(|id| !talks(**id)).map(|id| address(world, *id));
    let error = |address: String| {
        format!(
            "{address}: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial \
             tcp {address}:50000: connect: connection refused\""
        )
    };
    all(silent.chain(scope.strangers.iter().cloned()).map(error).collect())
}

fn service_healthy(world: &World, scope: &Scope, name: &str) -> Outcome {
    reachable(world, scope, &scope.control_planes)?;
    let services = scope.control_planes.iter().filter_map(|id| {
        let service = world.services(*id).into_iter().find(|service| service.id == name)?;
        Some((address(world, *id), service))
    });
    let services: Vec<_> = services.collect();
    let (wanted, count) = (scope.control_planes.len(), services.len());
    if count == 0 {
        return Err("service not found".to_owned());
    }
    if count != wanted {
        return Err(format!("expected a response with {wanted} node(s), got {count}"));
    }
    let error = |(address, service): (String, crate::world::Service)| match service.state {
        "Running" if service.healthy => None,
        "Running" => Some(format!("{address}: service is not healthy: {name}")),
        state => Some(format!(
            "{address}: service {name:?} not in expected state \"Running\": current state [{state}] {}",
            service.message
        )),
    };
    all(services.into_iter().filter_map(error).collect())
}

/// The names of the members that a node's etcd knows.
fn members(world: &World, id: Id) -> Vec<String> {
    let etcd = world.etcd_of(id).map(|etcd| &world.etcds[etcd]);
    let mut names: Vec<String> =
        etcd.iter().flat_map(|etcd| &etcd.members).map(|member| member.hostname.clone()).collect();
    names.sort_unstable();
    names
}

fn etcd_consistent(world: &World, scope: &Scope) -> Outcome {
    let [first, others @ ..] = &scope.control_planes[..] else { return Err("no messages returned".to_owned()) };
    let expected = members(world, *first);
    for id in others {
        let (own, at) = (members(world, *id), address(world, *id));
        if own.len() != expected.len() {
            let (expected, own) = (expected.join(" "), own.join(" "));
            return Err(format!("{at}: expected to have [{expected}] members, got [{own}]"));
        }
        if let Some(stranger) = own.iter().find(|name| !expected.contains(name)) {
            return Err(format!("{at}: found unexpected etcd member {stranger}"));
        }
    }
    Ok(())
}

fn etcd_members(world: &World, scope: &Scope) -> Outcome {
    let etcd = scope.control_planes.first().and_then(|id| world.etcd_of(*id)).map(|etcd| &world.etcds[etcd]);
    let members: Vec<String> =
        etcd.iter().flat_map(|etcd| &etcd.members).map(|member| member.address.clone()).collect();
    let own = scope.control_planes.iter().flat_map(|id| &world.nodes[*id].addresses);
    let own: Vec<String> = own.map(|own| own.addr().to_string()).collect();
    match members.iter().all(|member| own.contains(member)) {
        true => Ok(()),
        false => Err(format!(
            "etcd member ips {} are not subset of control plane node ips {}",
            quoted(&members),
            quoted(&own)
        )),
    }
}

fn memory(world: &World, scope: &Scope) -> Outcome {
    // What the kernel takes is left out.
    let least = |id: Id| if world.nodes[id].is_control_plane() { 1848 - 150 } else { 1024 - 150 };
    let poor = scope.nodes().into_iter().filter(|id| world.nodes[*id].machine.memory < least(*id));
    let error = |id: Id| {
        format!(
            "node {:?} does not meet memory requirements: expected at least {} MiB, actual {} MiB",
            address(world, id),
            least(id),
            world.nodes[id].machine.memory
        )
    };
    all(poor.map(error).collect())
}

fn disks(world: &World, scope: &Scope) -> Outcome {
    const MEBIBYTE: u64 = 1 << 20;
    /// 6 GiB less the other partitions: EFI, META, STATE, and the table.
    const LEAST: u64 = (6144 - 2101 - 1 - 100 - 10) * MEBIBYTE;
    let size = |id: Id| resources::ephemeral(world, id);
    let error = |id: Id| match size(id) {
        None => Some(format!(
            "error getting volume status for node {:?}: rpc error: code = NotFound desc = resource \
             VolumeStatuses.block.talos.dev(runtime/EPHEMERAL@undefined) doesn't exist",
            address(world, id)
        )),
        Some((place, size)) if size < LEAST => Some(format!(
            "ephemeral partition {place:?} for node {:?} is too small, expected at least {}, actual {}",
            address(world, id),
            binary(LEAST),
            binary(size)
        )),
        Some(_) => None,
    };
    all(scope.nodes().into_iter().filter_map(error).collect())
}

/// `3.8 GiB`
#[expect(clippy::cast_precision_loss, reason = "two digits of it are shown")]
fn binary(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 && unit > 0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

fn diagnostics(world: &World, scope: &Scope) -> Outcome {
    let of = |id: Id| {
        let messages: Vec<&str> = world.nodes[id].diagnostics.values().map(String::as_str).collect();
        (!messages.is_empty()).then(|| format!("{}: {}", address(world, id), messages.join(", ")))
    };
    let mut active: Vec<String> = scope.nodes().into_iter().filter_map(of).collect();
    active.sort_unstable();
    if active.is_empty() { Ok(()) } else { Err(format!("active diagnostics: {}", active.join("; "))) }
}

fn booted(world: &World, scope: &Scope) -> Outcome {
    let mut stages: std::collections::BTreeMap<i32, Vec<Id>> = Default::default();
    for id in scope.nodes().into_iter().filter(|id| world.nodes[*id].stage != Stage::Running) {
        stages.entry(world.nodes[id].stage as i32).or_default().push(id);
    }
    let waiting = stages.into_values().map(|nodes| {
        let mut addresses: Vec<String> = nodes.iter().map(|id| address(world, *id)).collect();
        addresses.sort_unstable();
        format!("{}: [{}]", world.nodes[nodes[0]].stage.name(), addresses.join(" "))
    });
    let waiting: Vec<String> = waiting.collect();
    if waiting.is_empty() { Ok(()) } else { Err(format!("nodes are not running: {}", waiting.join(", "))) }
}

/// The objects of the cluster's Kubernetes, if its API answers.
fn kubernetes<'a>(world: &'a World, scope: &Scope) -> Result<&'a dyn Objects, String> {
    let serving = scope.control_planes.iter().find(|id| world.serves_kubernetes(**id));
    match serving.and_then(|id| world.kubernetes_of(*id)) {
        Some(etcd) => Ok(world.etcds[etcd].store.as_ref()),
        None => {
            let config = scope.control_planes.first().and_then(|id| world.nodes[*id].config.as_ref());
            let endpoint = config.map(|config| config.endpoint.clone()).unwrap_or_default();
            let host = endpoint.trim_start_matches("https://");
            Err(format!("Get \"{endpoint}/api/v1/nodes\": dial tcp {host}: connect: connection refused"))
        }
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn app(object: &Value) -> &str {
    object["metadata"]["labels"]["k8s-app"].as_str().unwrap_or_default()
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|condition| condition["type"] == "Ready").all(|condition| condition["status"] == "True")
}

/// The addresses of a node in Kubernetes.
fn addresses(node: &Value) -> Vec<String> {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let routed = addresses.filter(|address| address["type"] == "InternalIP" || address["type"] == "ExternalIP");
    routed.map(|address| address["address"].as_str().unwrap_or_default().to_owned()).collect()
}

fn nodes_match(world: &World, expected: &[Id], actual: Vec<&Value>) -> Outcome {
    let mut rest: Vec<Vec<String>> = actual.into_iter().map(addresses).collect();
    for id in expected {
        let node: &Node = &world.nodes[*id];
        let own: Vec<String> = node.addresses.iter().map(|address| address.addr().to_string()).collect();
        match rest.iter().position(|other| other.iter().any(|address| own.contains(address))) {
            Some(place) => drop(rest.remove(place)),
            None => return Err(format!("can't find expected node with IPs {}", quoted(&own))),
        }
    }
    let mut unexpected: Vec<String> = rest.into_iter().flatten().collect();
    unexpected.sort_unstable();
    if unexpected.is_empty() { Ok(()) } else { Err(format!("unexpected nodes with IPs {}", quoted(&unexpected))) }
}

fn static_pods(world: &World, scope: &Scope) -> Outcome {
    use crate::node::Progress;
    let lacks = |id: &&Id| world.nodes[**id].apiserver == Progress::Off;
    match scope.control_planes.iter().find(lacks) {
        None => Ok(()),
        Some(id) => Err(format!(
            "missing static pods on node {}: [kube-system/kube-apiserver kube-system/kube-controller-manager \
             kube-system/kube-scheduler]",
            address(world, *id)
        )),
    }
}

fn control_plane(world: &World, scope: &Scope) -> Outcome {
    let store = kubernetes(world, scope)?;
    let labelled = |node: &&Value| node["metadata"]["labels"].get("node-role.kubernetes.io/control-plane").is_some();
    let nodes: Vec<&Value> = store.list("nodes", None).filter(labelled).collect();
    let count = nodes.len();
    nodes_match(world, &scope.control_planes, nodes)?;
    for component in ["kube-apiserver", "kube-scheduler", "kube-controller-manager"] {
        let pods: Vec<&Value> = store.list("pods", Some("kube-system")).filter(|pod| app(pod) == component).collect();
        if pods.len() != count {
            return Err(format!("expected number of pods for {component} to be {count}, got {}", pods.len()));
        }
        let unready = pods.into_iter().filter(|pod| !is_ready(pod)).map(name);
        named(&format!("some pods are not ready for {component}"), unready)?;
    }
    Ok(())
}

fn pods_ready(store: &dyn Objects, label: &str, wanted: u64) -> Outcome {
    let pods = store.list("pods", Some("kube-system")).filter(|pod| app(pod) == label);
    let pods: Vec<&Value> = pods.collect();
    let selector = format!("for namespace \"kube-system\" and label selector \"k8s-app={label}\"");
    if pods.is_empty() {
        return Err(format!("no pods found {selector}"));
    }
    let (ready, unready): (Vec<&Value>, Vec<&Value>) = pods.into_iter().partition(|pod| is_ready(pod));
    if ready.is_empty() {
        return Err(format!("no ready pods found {selector}"));
    }
    named("some pods are not ready", unready.into_iter().map(name))?;
    match ready.len() as u64 == wanted {
        true => Ok(()),
        false => Err(format!("expected {wanted} ready pods, got {}", ready.len())),
    }
}
