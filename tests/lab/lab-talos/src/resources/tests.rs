//! Resources as a real node has them (1.13.9 in container mode, without an API server).

use std::time::Duration;

use serde_json::{Value, json};

use super::{Selection, definition, query::Query};
use crate::testing::{Secrets, machine};
use crate::world::{Apply, Mode, World};
use lab_core::delays::Delays;

const TALOS: &str = "v1.13.9";
const ADDRESS: &str = "127.80.6.11";
/// An address that the control planes share.
const SHARED: &str = "127.80.6.10";

/// A control plane in maintenance mode.
pub(super) fn bare(talos: &str) -> World {
    let (net, kube) = ("127.80.6.0/24".parse().unwrap(), std::sync::Arc::new(lab_kube::Kube));
    let mut world = World::new(Delays::ZERO, net, 7, time::OffsetDateTime::UNIX_EPOCH, kube);
    world.power_on(machine("cp-1", ADDRESS, talos));
    world.advance(Duration::from_secs(1));
    world
}

/// The same with its config, a shared address, and with etcd's addresses bound to a network.
pub(super) fn configured(talos: &str) -> World {
    let mut world = bare(talos);
    let text = Secrets::new().control_plane("cp-1", &format!("https://{ADDRESS}:6443"));
    let text = text.replace("    etcd: {", "    etcd: {advertisedSubnets: [127.80.6.0/24], ");
    let text = format!("{text}---\napiVersion: v1alpha1\nkind: Layer2VIPConfig\nname: {SHARED}\nlink: eth0\n");
    let apply = Apply { data: text.into_bytes(), mode: Mode::Auto, dry_run: false, try_timeout: None, admin: true };
    world.apply(0, &apply).unwrap();
    world.advance(world.now);
    world
}

/// The resources of a type: name, owner and spec.
fn all(world: &World, kind: &str) -> Vec<(String, String, Value)> {
    let definition = definition(kind, world.nodes[0].version()).unwrap();
    let found = Selection::new(definition, definition.namespace, None, Query::default()).resources(world, 0);
    let shown = found.into_iter().map(|resource| {
        let metadata = resource.metadata.unwrap();
        (metadata.id, metadata.owner, serde_yaml::from_str(&resource.spec.unwrap().yaml_spec).unwrap())
    });
    shown.collect()
}

fn ids(world: &World, kind: &str) -> Vec<String> {
    all(world, kind).into_iter().map(|(id, ..)| id).collect()
}

#[test]
fn a_node_in_maintenance_has_a_machine_type_and_an_identity_and_knows_of_no_pods() {
    let world = bare(TALOS);
    assert_eq!(all(&world, "MachineTypes.config.talos.dev")[0].2, json!("unknown"));
    assert_eq!(ids(&world, "APIServiceConfigs.runtime.talos.dev"), ["apid"]);
    assert_eq!(ids(&world, "NodeAddresses.net.talos.dev"), ["accumulative", "current", "default", "routed"]);
    assert_eq!(ids(&world, "Endpoints.kubernetes.talos.dev"), ["discovery"]);
    let identity = all(&world, "Identities.cluster.talos.dev")[0].2["nodeId"].as_str().unwrap().to_owned();
    assert!((40..=43).contains(&identity.len()), "{identity}");
    assert!(identity.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{identity}");
}

#[test]
fn a_configured_node_has_the_sets_endpoints_and_addresses_of_a_real_one() {
    let world = configured(TALOS);
    let sets = all(&world, "NodeAddresses.net.talos.dev");
    let names: Vec<&str> = sets.iter().map(|(id, ..)| id.as_str()).collect();
    let expected = ["accumulative", "accumulative-no-k8s", "accumulative-only-k8s", "current", "current-no-k8s"];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5..], ["current-only-k8s", "default", "routed", "routed-no-k8s", "routed-only-k8s"]);
    for (id, _, spec) in &sets {
        let none = id.ends_with("-only-k8s");
        assert_eq!(spec["addresses"].as_array().unwrap().len(), usize::from(!none), "{id}: {spec}");
    }

    let endpoints = all(&world, "Endpoints.kubernetes.talos.dev");
    let shown: Vec<_> = endpoints.iter().map(|(id, owner, _)| (id.as_str(), owner.as_str())).collect();
    let expected = [("controlplane", "k8s.StaticEndpointController"), ("discovery", "cluster.EndpointController")];
    assert_eq!(shown, expected);
    assert_eq!(endpoints[0].2["addresses"], json!([ADDRESS]));

    let spec = &all(&world, "EtcdSpecs.etcd.talos.dev")[0].2;
    assert_eq!(spec["listenPeerAddresses"], json!([ADDRESS]));
    assert_eq!(spec["listenClientAddresses"], json!(["127.0.0.1", ADDRESS]));
}

#[test]
fn what_has_not_run_yet_is_no_service_and_is_missing_in_the_order_of_talos() {
    let mut world = configured(TALOS);
    world.hold_kubelet_pull(0, Some("connection refused"));
    let services = ids(&world, "Services.v1alpha1.talos.dev");
    assert!(services.contains(&"cri".to_owned()), "{services:?}");
    assert!(!services.iter().any(|id| id == "etcd" || id == "kubelet"), "{services:?}");

    let status = &all(&world, "MachineStatuses.runtime.talos.dev")[0].2["status"]["unmetConditions"];
    let missing = status.as_array().unwrap().iter().find(|unmet| unmet["name"] == "services").unwrap();
    assert_eq!(missing["reason"], "kubelet not running, etcd not running");
}

#[test]
fn a_shared_address_takes_a_kubelet_that_has_started_beside_etcd() {
    let mut world = configured(TALOS);
    let is_held = |world: &World| all(world, "NodeAddresses.net.talos.dev")[0].2.to_string().contains(SHARED);
    world.hold_kubelet_pull(0, Some("connection refused"));
    world.bootstrap(0).unwrap();
    world.advance(world.now + Duration::from_secs(60));
    assert!(!is_held(&world), "seen for 60 s");

    world.hold_kubelet_pull(0, None);
    world.advance(world.now + Duration::from_secs(1));

    assert!(is_held(&world));
    assert!(world.nodes[0].console.iter().any(|line| line.contains("\"operator\": \"vip\", \"link\": \"eth0\"")));
}
