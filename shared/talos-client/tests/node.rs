//! The client against a node of the lab: from maintenance mode to a running control plane.

use std::{sync::Arc, time::Duration};

use cluster_pki::Bundle;
use lab_core::delays::Delays;
use lab_core::machine::{Image, Machine, Machines, NicConfig};
use lab_talos::{Settings, Talos};
use machine_config::{Contract, MachineType, generate::Input};
use talos_client::{
    Address, Bootstrap, Delivery, Generation, Identity, Limits, Mode, Node, NotOurs, Probe, Trust, probe,
};
use time::OffsetDateTime;

const BOUND: Duration = Duration::from_secs(20);

fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random numbers");
}

struct Secrets {
    config: String,
    identity: Identity,
}

fn secrets(address: &str) -> Secrets {
    let contract = Contract::parse("v1.13").expect("a contract");
    let now = OffsetDateTime::now_utc();
    let bundle = Bundle::generate(contract, now, &mut random).expect("a bundle");
    let input = Input {
        cluster: "lab",
        endpoint: &format!("https://{address}:6443"),
        contract,
        kubernetes: "1.36.3",
        secrets: bundle.secrets(),
        options: machine_config::generate::Options::default(),
    };
    let config = machine_config::generate(&input, MachineType::ControlPlane).text(contract.dialect());
    let context =
        bundle.client(&["os:admin"], Vec::new(), now, time::Duration::days(1), &mut random).expect("a context");
    let ours = context.identity().expect("an identity");
    let authority = context.ca_pem().expect("an authority");
    let identity = Identity::from_pem(&authority, &ours.crt, ours.key.expose()).expect("an identity");
    Secrets { config, identity }
}

fn booted(subnet: &str, address: &str, version: &str) -> Arc<Talos> {
    let subnet = subnet.parse().expect("a network");
    let talos = Talos::new(Settings { subnet, delays: Delays::ZERO }, Arc::new(lab_kube::Kube));
    talos.power_on(Machine {
        uuid: "8a2b6c1e-0000-4000-8000-000000000001".to_owned(),
        name: "cp-1".to_owned(),
        host: "pve1".to_owned(),
        macs: vec!["BC:24:11:00:00:01".to_owned()],
        disk: "local-lvm:vm-100-disk-0".to_owned(),
        image: Some(Image {
            schematic: "0".repeat(64),
            version: version.to_owned(),
            platform: "nocloud".to_owned(),
            extensions: Vec::new(),
        }),
        iso: None,
        network: vec![NicConfig::Static { address: address.parse().expect("an address"), prefix: 24, gateway: None }],
        nameservers: Vec::new(),
        agent: true,
        cores: 2,
        memory: 4096,
        disk_size: 20 << 30,
        user_data: None,
    });
    talos
}

/// Probes until the result is the wanted one.
async fn until(address: &Address, identity: Option<&Identity>, wanted: impl Fn(&Probe) -> bool) -> Probe {
    let asking = async {
        loop {
            match probe(address, identity, Limits::default()).await {
                Ok(found) if wanted(&found) => return found,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(BOUND, asking).await.expect("the node gets there in time")
}

async fn maintenance(address: &Address) -> Box<talos_client::Maintenance> {
    match until(address, None, |found| matches!(found, Probe::Maintenance(node) if node.uuid.is_some())).await {
        Probe::Maintenance(found) => found,
        other => panic!("{other:?}"),
    }
}

const AUTO: Delivery = Delivery { mode: Mode::Auto, dry_run: false };

async fn configured(version: &str, subnet: &str, ip: &str) -> (Arc<Talos>, Address, Secrets, Node) {
    let (talos, address) = (booted(subnet, ip, version), ip.parse::<Address>().expect("an address"));
    let secrets = secrets(ip);
    let bare = maintenance(&address).await;
    bare.node.apply_configuration(secrets.config.as_bytes(), AUTO).await.expect("the config is taken");
    let found = until(&address, Some(&secrets.identity), |found| matches!(found, Probe::Ours(_))).await;
    let Probe::Ours(found) = found else { panic!("{found:?}") };
    (talos, address, secrets, found.node)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_maintenance_shows_its_generation_uuid_and_fingerprint() {
    let address: Address = "127.91.1.11".parse().expect("an address");
    let talos = booted("127.91.1.0/24", "127.91.1.11", "v1.13.9");

    let found = maintenance(&address).await;

    assert!(matches!(&found.generation, Generation::Unified(version) if version.tag == "v1.13.9"));
    assert_eq!(found.uuid.as_deref(), Some("8a2b6c1e-0000-4000-8000-000000000001"));
    let printed = talos.node("cp-1").and_then(|node| node.fingerprint());
    assert_eq!(printed, Some(found.fingerprint.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_maintenance_server_is_told_by_what_it_lacks() {
    let address: Address = "127.91.2.11".parse().expect("an address");
    let _talos = booted("127.91.2.0/24", "127.91.2.11", "v1.12.6");

    assert_eq!(maintenance(&address).await.generation, Generation::Limited);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_is_configured_bootstrapped_once_and_gives_a_kubeconfig() {
    let (talos, _, secrets, node) = configured("v1.13.9", "127.91.3.0/24", "127.91.3.11").await;

    assert_eq!(node.machine_config().await.expect("readable").as_deref(), Some(secrets.config.as_str()));
    assert!(!node.has_etcd_data().await.expect("readable"));
    let bootstrapped = async {
        while !matches!(node.bootstrap().await.expect("bootstrap answers"), Bootstrap::Done | Bootstrap::Already) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, bootstrapped).await.expect("bootstrap in time");
    assert!(talos.until(BOUND, |talos| talos.node("cp-1").is_some_and(|node| node.is_etcd_member())).await);

    assert_eq!(node.bootstrap().await.expect("bootstrap answers"), Bootstrap::Already);
    assert!(node.has_etcd_data().await.expect("readable"));
    assert_eq!(node.local_etcd_members().await.expect("members").len(), 1);
    assert!(node.kubeconfig().await.expect("a kubeconfig").contains("kind: Config"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_node_is_ours_or_another_clusters_or_wants_credentials() {
    let (_talos, address, _, _) = configured("v1.13.9", "127.91.4.0/24", "127.91.4.11").await;
    let other = secrets("127.91.4.11");

    let foreign = probe(&address, Some(&other.identity), Limits::default()).await.expect("an answer");
    let unknown = probe(&address, None, Limits::default()).await.expect("an answer");
    let insecure = Node::connect(&address, &Trust::Maintenance(Vec::new()), Limits::default()).await;

    assert!(matches!(foreign, Probe::NotOurs(NotOurs::OtherCluster(_))), "{foreign:?}");
    assert!(matches!(unknown, Probe::NotOurs(NotOurs::NoCredentials(_))), "{unknown:?}");
    assert!(matches!(insecure, Err(talos_client::Error::WantsCertificate { .. })), "{insecure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_accepts_and_hangs_ends_in_bounded_time() {
    let address: Address = "127.91.5.11".parse().expect("an address");
    let talos = booted("127.91.5.0/24", "127.91.5.11", "v1.13.9");
    maintenance(&address).await;
    talos.node("cp-1").expect("a node").hang(true);
    let limits = Limits { dial: Duration::from_millis(200), call: Duration::from_millis(200) };

    let found = tokio::time::timeout(BOUND, probe(&address, None, limits)).await.expect("in bounded time");

    assert!(matches!(found, Ok(Probe::Hanging(_))), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_listens_there_is_nothing() {
    let address: Address = "127.91.6.11".parse().expect("an address");

    let found = probe(&address, None, Limits::default()).await.expect("an answer");

    assert!(matches!(found, Probe::Absent(_)), "{found:?}");
}
