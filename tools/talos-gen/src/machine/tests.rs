//! From specs to configs, for contracts that the pipe runs and for future ones.

use machine_config::Contract;
use serde_json::{Value, json};

use super::*;
use crate::plan;

fn bundle() -> Bundle {
    let mut state = 1_u64;
    let mut rng = move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 33) as u8;
        }
    };
    let old = Contract::parse("v1.6").unwrap();
    let key = cluster_pki::service_account(old, &mut rng).unwrap();
    let now = time::macros::datetime!(2026-11-23 12:00:00 UTC);
    Bundle::generate_around(old, key, now, &mut rng).unwrap()
}

fn cluster(talos: &str) -> Value {
    json!({
        "endpoint": "https://lab.lan:6443",
        "talos": {"version": talos},
        "network": {"gateway": "10.0.0.1", "nameservers": ["10.0.0.1"], "ntp": ["time.lan"], "vip": "10.0.0.10"},
        "certSANs": ["api.lab.lan"],
        "registryMirrors": {"docker.io": ["https://mirror.lan"]},
    })
}

fn node(role: &str) -> Value {
    json!({
        "role": role,
        "address": "10.0.0.11/24",
        "network": {"gateway": "10.0.0.1", "nameservers": ["10.0.0.1"], "ntp": ["time.lan"]},
        "labels": {"rack": "7"},
    })
}

fn made(talos: &str, spec: Value, found: Found<'_>) -> Result<String, Error> {
    let plan = plan::plan("lab", serde_json::from_value(cluster(talos)).unwrap(), None, None)?;
    let spec: NodeSpec = serde_json::from_value(spec).unwrap();
    let made = config(&plan, &bundle(), "n-1", &spec, found, &|path| Err(path.to_owned()))?;
    Ok(made.config.text(plan.contract.dialect()))
}

fn with(role: &str, more: &Value) -> Value {
    let mut spec = node(role);
    let more = more.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(more);
    spec
}

#[test]
fn every_contract_gives_a_valid_config_of_both_roles() {
    for minor in 3..=15 {
        for role in ["controlplane", "worker"] {
            let text = made(&format!("v1.{minor}.0"), node(role), Found::default());
            let text = text.unwrap_or_else(|error| panic!("v1.{minor} {role}: {error}"));
            assert!(text.contains("hostname: n-1\n") && text.contains("10.0.0.11/24"), "{text}");
            assert!(text.contains("mirror.lan"), "{text}");
            assert!(text.contains("validSubnets:"), "{text}");
            assert_eq!(text.contains("10.0.0.10"), role == "controlplane", "v1.{minor} {role}");
            let etcd = text.contains("advertisedSubnets:");
            assert_eq!(etcd, role == "controlplane");
        }
    }
}

#[test]
fn names_in_certificates_are_the_users_and_on_control_planes_the_endpoint_and_the_vip() {
    let names = |role| {
        let text = made("v1.13.9", node(role), Found::default()).unwrap();
        let config = machine_config::load(&text).unwrap();
        let list = config.legacy(&["machine", "certSANs"]).unwrap().as_list().unwrap().to_vec();
        list.iter().map(|name| name.as_text().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("controlplane"), ["api.lab.lan", "lab.lan", "10.0.0.10"]);
    assert_eq!(names("worker"), ["api.lab.lan"]);
}

#[test]
fn a_machine_says_where_it_is_unless_its_user_says_otherwise() {
    let found = Found { zone: Some("pve1"), region: Some("home"), ..Found::default() };
    let text = made("v1.13.9", node("worker"), found).unwrap();
    assert!(
        text.contains("topology.kubernetes.io/region: home\n") && text.contains("topology.kubernetes.io/zone: pve1\n")
    );
    let spec = with("worker", &json!({"labels": {"topology.kubernetes.io/zone": "attic"}}));
    let text = made("v1.14.0", spec, found).unwrap();
    assert!(text.contains("topology.kubernetes.io/zone: attic\n") && !text.contains("pve1"), "{text}");
    let odd = Found { zone: Some("no label!"), ..Found::default() };
    assert!(!made("v1.13.9", node("worker"), odd).unwrap().contains("topology"));
}

#[test]
fn the_installer_stands_in_configs_up_to_1_13_and_disk_images_need_none_later() {
    let old = made("v1.13.9", node("worker"), Found::default()).unwrap();
    assert!(
        old.contains("    install:\n        disk: /dev/sda\n        image: factory.talos.dev/nocloud-installer/"),
        "{old}"
    );
    let older = made("v1.9.0", node("worker"), Found::default()).unwrap();
    assert!(older.contains("image: factory.talos.dev/installer/"));
    let new = made("v1.14.0", node("worker"), Found::default()).unwrap();
    assert!(!new.contains("install"), "{new}");
}

#[test]
fn what_boots_from_an_iso_is_told_to_install_itself_with_the_installer_of_its_image() {
    let secrets = bundle();
    let from = |talos: &str, images: Value| {
        let mut cluster = cluster(talos);
        cluster["proxmox"] = json!({"images": images});
        let plan = plan::plan("lab", serde_json::from_value(cluster).unwrap(), None, None).unwrap();
        let spec: NodeSpec = serde_json::from_value(node("worker")).unwrap();
        let found = Found { installer: Some("factory.lan/nocloud-installer/ab:v1.14.0"), ..Found::default() };
        let made = config(&plan, &secrets, "n-1", &spec, found, &|path| Err(path.to_owned())).unwrap();
        made.config.text(plan.contract.dialect())
    };
    let (iso, disk) = (json!({"storage": "local", "via": "iso"}), json!("local"));
    let new = from("v1.14.0", iso.clone());
    assert!(new.contains("kind: UnattendedInstallConfig") && new.contains("factory.lan/nocloud-installer/ab"), "{new}");
    assert!(!from("v1.14.0", disk.clone()).contains("install"));
    assert_eq!(from("v1.13.9", iso), from("v1.13.9", disk), "up to 1.13 the section stands there in any case");
}

#[test]
fn links_are_found_by_mac_and_wired_as_the_spec_says() {
    let macs = ["BC:24:11:00:00:01", "BC:24:11:00:00:02", "BC:24:11:00:00:03"].map(str::to_owned);
    let network = json!({"network": {
        "gateway": "10.0.0.1", "mtu": 9000, "bond": {"mode": "active-backup"},
        "vlans": [{"id": 7, "address": "10.7.0.11/24"}],
        "routes": [{"to": "10.9.0.0/16", "via": "10.0.0.254"}],
    }});
    let text = made("v1.13.9", with("worker", &network), Found { macs: &macs, ..Found::default() }).unwrap();
    for part in [
        "kind: BondConfig\nname: bond0\nlinks:\n    - net0\n    - net1\n",
        "kind: VLANConfig\nname: vlan7\n",
        "kind: DHCPv4Config\nname: net2\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let one = Found { macs: &macs[..1], ..Found::default() };
    let error = made("v1.13.9", with("worker", &network), one).unwrap_err();
    let failure: record::Failure = error.into();
    assert_eq!(failure.exit.code(), 8);
}

#[test]
fn values_that_cannot_be_read_are_named() {
    for (more, message) in [
        (json!({"address": "10.0.0.11"}), "address: \"10.0.0.11\" is not an IP address with a prefix length"),
        (
            json!({"network": {"routes": [{"to": "x", "via": "10.0.0.1"}]}}),
            "network.routes: \"x\" is not an IP address with a prefix length",
        ),
        (
            json!({"network": {"bond": {"mode": "a", "nics": ["eth0"]}}}),
            "network.bond.nics: \"eth0\" is not a NIC such as net0",
        ),
    ] {
        assert_eq!(made("v1.13.9", with("worker", &more), Found::default()).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_users_own_patch_comes_last_and_wins() {
    let patch =
        json!({"patches": [{"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "off", "hostname": "mine"}]});
    let text = made("v1.13.9", with("worker", &patch), Found::default()).unwrap();
    assert!(text.contains("hostname: mine\n") && !text.contains("hostname: n-1"), "{text}");
}

#[test]
fn what_a_worker_may_not_say_of_itself_is_refused_in_patches_too() {
    let role = json!({"node-role.kubernetes.io/worker": ""});
    let taint = json!({"dedicated": "NoSchedule"});
    let legacy = |set: &str, value: &Value| json!({"machine": {set: value}});
    let node = |set: &str, value: &Value| json!({"apiVersion": "v1alpha1", "kind": "KubeNodeConfig", set: value});
    for (talos, patch, said) in [
        ("v1.13.9", legacy("nodeLabels", &role), "node-role.kubernetes.io/worker"),
        ("v1.13.9", legacy("nodeTaints", &taint), "dedicated"),
        ("v1.14.0", node("labels", &role), "node-role.kubernetes.io/worker"),
        ("v1.14.0", node("taints", &taint), "dedicated"),
    ] {
        let patch = json!({"patches": [patch]});
        let failure: record::Failure = made(talos, with("worker", &patch), Found::default()).unwrap_err().into();
        assert!(failure.message.contains(said) && failure.message.contains("NodeRestriction"), "{}", failure.message);
        assert!(failure.hint.is_some());
        made(talos, with("controlplane", &patch), Found::default()).unwrap();
    }
}

#[test]
fn volumes_of_the_spec_are_made() {
    let volumes = json!({"volumes": [{"name": "data", "match": "disk.size > 100u * GiB", "minSize": "50GiB", "filesystem": "xfs"}]});
    let text = made("v1.13.9", with("worker", &volumes), Found::default()).unwrap();
    assert!(
        text.contains("kind: UserVolumeConfig\nname: data\n") && text.contains("match: disk.size > 100u * GiB\n"),
        "{text}"
    );
    let bad = json!({"volumes": [{"name": "my data"}]});
    let error = made("v1.13.9", with("worker", &bad), Found::default()).unwrap_err();
    assert!(error.to_string().contains("UserVolumeConfig/my data: name can only contain"), "{error}");
}
