//! The judge of resources: what a real node (1.13.9 in container mode) answered, type by type, against a node of the lab.
//!
//! Compared are the names, the owners, and every field of a spec with its type; values are each machine's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;

use super::tests::{bare, configured};
use super::{Selection, definition, query::Query, types};
use crate::world::World;

/// The resources of one type.
type Shape = BTreeSet<String>;

/// Adds each field below `value`, with its type.
fn fields(value: &Value, path: &str, found: &mut Shape) {
    let mut leaf = |kind: &str| {
        found.insert(format!("spec{path}: {kind}"));
    };
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                fields(value, &format!("{path}.{}", key.as_str().unwrap_or("?")), found);
            }
        }
        Value::Sequence(items) => {
            leaf("list");
            items.iter().for_each(|item| fields(item, &format!("{path}[]"), found));
        }
        Value::Null => leaf("null"),
        Value::Bool(_) => leaf("bool"),
        Value::Number(_) => leaf("number"),
        Value::String(_) => leaf("text"),
        Value::Tagged(_) => leaf("tagged"),
    }
}

fn add(shape: &mut Shape, (namespace, id, owner): (&str, &str, &str), spec: &Value) {
    shape.insert(format!("{namespace}/{id} by {owner}"));
    fields(spec, "", shape);
}

/// What the real node answered in this state.
fn real(folder: &Path) -> BTreeMap<String, Shape> {
    let mut found: BTreeMap<String, Shape> = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if !file.file_name().unwrap().to_string_lossy().starts_with("get-") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for document in text.split("\n---\n") {
            let Ok(document) = serde_yaml::from_str::<Value>(document) else { continue };
            let of = |key: &str| document["metadata"][key].as_str().unwrap_or_default().to_owned();
            if !of("type").is_empty() {
                let shape = found.entry(of("type")).or_default();
                add(shape, (&of("namespace"), &of("id"), &of("owner")), &document["spec"]);
            }
        }
    }
    found
}

/// What the node of the lab answers about one of these types.
fn ours(world: &World, kind: &str) -> Shape {
    let mut shape = Shape::new();
    let Some(definition) = definition(kind, world.nodes[0].version()) else { return shape };
    for resource in Selection::new(definition, definition.namespace, None, Query::default()).resources(world, 0) {
        let (metadata, spec) = (resource.metadata.unwrap(), resource.spec.unwrap());
        let spec = serde_yaml::from_str(&spec.yaml_spec).unwrap();
        add(&mut shape, (&metadata.namespace, &metadata.id, &metadata.owner), &spec);
    }
    shape
}

/// What differs, as `TYPE -real` and `TYPE +lab`.
fn differences(world: &World, folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (kind, real) in real(folder) {
        let ours = ours(world, &kind);
        found.extend(real.difference(&ours).map(|line| format!("{kind} -{line}")));
        found.extend(ours.difference(&real).map(|line| format!("{kind} +{line}")));
    }
    found
}

/// The states in which the real node was asked, and a node of the lab in each: its kubelet has no image, either.
fn states(talos: &str) -> [(&'static str, World); 3] {
    let waiting = || {
        let mut world = configured(talos);
        world.hold_kubelet_pull(0, Some("connection refused"));
        world
    };
    let mut up = waiting();
    up.bootstrap(0).unwrap();
    up.advance(up.now + Duration::from_secs(60));
    [("maintenance", bare(talos)), ("configured-before-bootstrap", waiting()), ("after-bootstrap-no-kubelet", up)]
}

const OWN: &str = "the addresses are each machine's own, and those of the lab's nodes are of IPv4 alone";
const UNREAD: &str = "no program of ours reads it";
const NIC: &str = "the NIC of a virtual machine; the real node's was one end of a container's pair";
const METAL: &str = "a machine has it; the real node was a container";

/// What may differ, by how the difference begins, and why.
const LISTED: [(&str, &str); 20] = [
    ("AddressStatuses.net.talos.dev +network/eth0/", OWN),
    ("AddressStatuses.net.talos.dev -network/eth0/", OWN),
    ("AddressStatuses.net.talos.dev -network/lo/::1/128 ", OWN),
    (
        "AddressStatuses.net.talos.dev -network/lo/169.254.116.108/32 ",
        "the lab's nodes have no DNS server of their own",
    ),
    ("ApiCertificates.secrets.talos.dev -", UNREAD),
    ("CertSANs.secrets.talos.dev -", "no program of ours reads it; the certificate itself has the real one's names"),
    ("KubeletSpecs.kubernetes.talos.dev -spec.config.", UNREAD),
    ("LinkStatuses.net.talos.dev +spec.altNames", NIC),
    ("LinkStatuses.net.talos.dev +spec.busPath: text", NIC),
    ("LinkStatuses.net.talos.dev -spec.driverVersion: text", NIC),
    ("LinkStatuses.net.talos.dev -spec.speedMbit: number", NIC),
    ("MountStatuses.block.talos.dev -", UNREAD),
    ("OSRootSecrets.secrets.talos.dev -spec.certSANIPs[]: text", "the config of the real node named further addresses"),
    ("PlatformMetadatas.talos.dev -spec.instanceType: text", UNREAD),
    ("Services.v1alpha1.talos.dev +runtime/auditd ", METAL),
    ("Services.v1alpha1.talos.dev +runtime/dashboard ", METAL),
    ("Services.v1alpha1.talos.dev +runtime/ext-qemu-guest-agent ", "the lab's images have that extension"),
    ("Services.v1alpha1.talos.dev +runtime/syslogd ", METAL),
    ("Services.v1alpha1.talos.dev +runtime/udevd ", METAL),
    ("VolumeStatuses.block.talos.dev +spec.", METAL),
];

/// Of 1.14 no real node was asked: of the types that 1.13 has, too, its node has the resources of that one.
#[test]
fn every_resource_of_a_real_node_is_there_with_its_fields_or_listed_with_the_reason() {
    let Some(folder) = judges::vectors("talos-real") else { return };
    for talos in ["v1.13.9", "v1.14.1"] {
        let found: BTreeSet<String> =
            states(talos).iter().flat_map(|(state, world)| differences(world, &folder.join(state))).collect();
        let is_listed = |line: &&String| LISTED.iter().any(|(listed, _)| line.starts_with(listed));
        let unlisted: Vec<_> = found.iter().filter(|line| !is_listed(line)).collect();
        assert!(unlisted.is_empty(), "{talos}: {unlisted:#?}");
        for (listed, _) in LISTED {
            assert!(found.iter().any(|line| line.starts_with(listed)), "{talos}: {listed} differs no more");
        }
    }
}

/// The types that a release registers, in lower case, as their definitions are called.
fn registered(talos: &str) -> BTreeSet<String> {
    let world = bare(talos);
    types::definitions(world.nodes[0].version()).into_iter().map(|item| item.id).collect()
}

#[test]
fn the_types_are_those_of_a_real_1_13_9() {
    let Some(folder) = judges::vectors("talos-real") else { return };
    let listed = std::fs::read_to_string(folder.join("maintenance/rd.txt")).unwrap();
    let words = listed.lines().filter_map(|line| line.split_once("ResourceDefinition")?.1.split_whitespace().next());
    let real: BTreeSet<String> = words.map(str::to_owned).collect();
    assert!(real.len() > 100, "{}", real.len());
    assert_eq!(registered("v1.13.9"), real);
}

/// The types that 1.14.1 registers and 1.13.9 doesn't (`pkg/machinery/resources`); none is gone.
#[test]
fn the_types_of_1_14_are_those_of_1_13_and_35_more() {
    const NEW: [(&str, &[&str]); 9] = [
        ("kubernetes.talos.dev", &["authenticationconfigs", "etcdencryptionconfigs", "kubeletstatuses"]),
        ("net.talos.dev", &["bgpinstanceconfigs", "bgppeerstatuses", "statichosts"]),
        ("cri.talos.dev", &["baseruntimespecconfigs", "customizationconfigs"]),
        (
            "runtime.talos.dev",
            &[
                "bootids",
                "imagefactoryschematics",
                "kernelmodulestatuses",
                "rebootrequests",
                "unattendedinstallstatuses",
            ],
        ),
        ("hardware.talos.dev", &["cpucores"]),
        (
            "containers.talos.dev",
            &[
                "containerspecs",
                "containerimagestatuses",
                "containerinstancespecs",
                "containerinstancestatuses",
                "containerlifecycles",
                "containermountstatuses",
            ],
        ),
        ("block.talos.dev", &["fsscrubschedules", "fsscrubstatuses", "volumetrimschedules"]),
        (
            "storage.talos.dev",
            &[
                "lvmlogicalvolumespecs",
                "lvmlogicalvolumestatuses",
                "lvmphysicalvolumespecs",
                "lvmphysicalvolumestatuses",
                "lvmrefreshrequests",
                "lvmvalidationerrors",
                "lvmvolumegroupspecs",
                "lvmvolumegroupstatuses",
                "mdarrayspecs",
                "mdarraystatuses",
                "mdrefreshrequests",
            ],
        ),
        ("v1alpha1.talos.dev", &["ntpstatuses"]),
    ];
    let (older, newer) = (registered("v1.13.9"), registered("v1.14.1"));
    let new: BTreeSet<String> =
        NEW.iter().flat_map(|(group, names)| names.iter().map(move |name| format!("{name}.{group}"))).collect();
    assert_eq!(newer.difference(&older).cloned().collect::<BTreeSet<_>>(), new);
    assert_eq!(older.difference(&newer).cloned().collect::<Vec<_>>(), [""; 0]);
}
