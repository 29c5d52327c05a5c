//! The Talos API as a client sees it: TLS, gRPC, roles.

use std::sync::Arc;
use std::time::Duration;

use talos_proto::cosi::resource::state_client::StateClient;
use talos_proto::cosi::resource::{GetRequest, ListRequest, WatchOptions, WatchRequest};
use talos_proto::machine::machine_service_client::MachineServiceClient;
use talos_proto::machine::{ApplyConfigurationRequest, BootstrapRequest, EventsRequest, ReadRequest};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};

use super::testing::{Anything, Secrets, machine};
use super::{NodeHandle, Settings, Stage, Talos, pki};
use lab_core::delays::Delays;
use lab_core::machine::Machines;

pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A lab in a network of its own.
pub(crate) fn lab(subnet: &str) -> Arc<Talos> {
    let settings = Settings { subnet: subnet.parse().unwrap(), delays: Delays::ZERO };
    Talos::new(settings, Arc::new(lab_kube::Kube))
}

pub(crate) async fn boot(talos: &Arc<Talos>, name: &str, address: &str, version: &str) -> NodeHandle {
    talos.power_on(machine(name, address, version));
    assert!(talos.until(BOUND, |talos| talos.node(name).is_some_and(|n| n.stage() == Stage::Maintenance)).await);
    talos.node(name).unwrap()
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::from_shared(format!("https://{address}:50000")).unwrap().connect_timeout(BOUND)
}

/// Connects once the port is open: the lab opens it a moment after the node reports that it is.
async fn connected(endpoint: &Endpoint) -> Channel {
    let connect = async {
        loop {
            match endpoint.connect().await {
                Ok(channel) => return channel,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(BOUND, connect).await.unwrap()
}

pub(crate) async fn insecure(address: &str) -> Channel {
    let tls = endpoint(address).tls_config_with_verifier(ClientTlsConfig::new(), Arc::new(Anything)).unwrap();
    connected(&tls).await
}

async fn with_role(address: &str, secrets: &Secrets, role: &str) -> Channel {
    let roles = [role.to_owned()];
    let client = pki::Client { common: None, organizations: &roles, lifetime: Duration::from_secs(600) };
    let (certificate, key) = pki::client(&secrets.machine, &client).unwrap();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&secrets.machine.certificate))
        .identity(Identity::from_pem(certificate, key));
    connected(&endpoint(address).tls_config(tls).unwrap()).await
}

async fn apply(channel: Channel, text: &str) -> Result<talos_proto::machine::ApplyConfiguration, tonic::Status> {
    let request = ApplyConfigurationRequest { data: text.as_bytes().to_vec(), mode: 1, ..Default::default() };
    let reply = MachineServiceClient::new(channel).apply_configuration(request).await?;
    Ok(reply.into_inner().messages.remove(0))
}

fn get(namespace: &str, kind: &str, id: &str) -> GetRequest {
    GetRequest { namespace: namespace.into(), r#type: kind.into(), id: id.into(), options: None }
}

fn machine_status() -> GetRequest {
    get("runtime", "MachineStatuses.runtime.talos.dev", "machine")
}

#[tokio::test]
async fn a_config_goes_from_maintenance_to_mutual_tls() {
    let (talos, secrets) = (lab("127.81.1.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.81.1.11", "v1.13.9").await;
    let channel = insecure("127.81.1.11").await;
    let status = StateClient::new(channel.clone()).get(machine_status()).await.unwrap().into_inner();
    assert_eq!(
        status.resource.unwrap().spec.unwrap().yaml_spec,
        "stage: maintenance\nstatus:\n  ready: true\n  unmetConditions: []\n"
    );
    let denied = MachineServiceClient::new(channel.clone()).bootstrap(BootstrapRequest::default()).await.unwrap_err();
    assert_eq!((denied.code(), denied.message()), (Code::PermissionDenied, "not authorized"));

    let text = secrets.control_plane("cp-1", "https://127.81.1.11:6443");
    let applied = apply(channel, &text).await.unwrap();
    assert_eq!((applied.mode, applied.mode_details.as_str()), (2, "Applied configuration without a reboot"));

    let mut admin = MachineServiceClient::new(with_role("127.81.1.11", &secrets, "os:admin").await);
    let version = admin.version(()).await.unwrap().into_inner().messages.remove(0);
    assert_eq!(version.version.unwrap().tag, "v1.13.9");
    admin.bootstrap(BootstrapRequest::default()).await.unwrap();
    assert!(node.until(BOUND, NodeHandle::is_ready).await);
    assert_eq!(node.config().unwrap(), text);
    assert_eq!(talos.etcd_clusters("lab"), 1);
}

#[tokio::test]
async fn a_call_on_a_connection_of_maintenance_mode_is_cut_once_the_mode_is_over() {
    let (talos, secrets) = (lab("127.81.11.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.81.11.11", "v1.13.9").await;
    let mut client = MachineServiceClient::new(insecure("127.81.11.11").await);
    client.version(()).await.unwrap();

    node.apply(&secrets.control_plane("cp-1", "https://127.81.11.11:6443")).unwrap();
    let cut = client.version(()).await.unwrap_err();

    // The rules of mutual TLS would refuse it as not authorized; here no status comes from the node at all.
    assert_ne!(cut.code(), Code::PermissionDenied, "{cut}");
    assert!(std::error::Error::source(&cut).is_some(), "{cut}");
}

#[tokio::test]
async fn a_configured_node_wants_a_client_certificate_of_its_own_authority() {
    let (talos, secrets) = (lab("127.81.2.0/24"), Secrets::new());
    boot(&talos, "cp-1", "127.81.2.11", "v1.13.9").await;
    apply(insecure("127.81.2.11").await, &secrets.control_plane("cp-1", "https://127.81.2.11:6443")).await.unwrap();
    let _ = with_role("127.81.2.11", &secrets, "os:admin").await;

    let nobody = MachineServiceClient::new(insecure("127.81.2.11").await).version(()).await;
    let strangers = Secrets::new();
    let other = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&strangers.machine.certificate));
    let stranger = endpoint("127.81.2.11").tls_config(other).unwrap().connect().await;

    assert!(nobody.is_err());
    assert!(stranger.is_err());
}

#[tokio::test]
async fn roles_decide_what_a_client_may_do() {
    let (talos, secrets) = (lab("127.81.3.0/24"), Secrets::new());
    boot(&talos, "cp-1", "127.81.3.11", "v1.13.9").await;
    let text = secrets.control_plane("cp-1", "https://127.81.3.11:6443");
    apply(insecure("127.81.3.11").await, &text).await.unwrap();
    let reader = with_role("127.81.3.11", &secrets, "os:reader").await;
    let mut machine = MachineServiceClient::new(reader.clone());
    let mut state = StateClient::new(reader.clone());

    assert!(machine.hostname(()).await.is_ok());
    assert_eq!(machine.kubeconfig(()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(apply(reader, &text).await.unwrap_err().message(), "not authorized");
    let secret = state.get(get("config", "MachineConfigs.config.talos.dev", "v1alpha1")).await.unwrap_err();
    assert_eq!(secret.message(), "not authorized");
    let unknown = state.get(get("runtime", "Foos.talos.dev", "x")).await.unwrap_err();
    assert_eq!(unknown.message(), "resource type \"Foos.talos.dev\" is not supported");
    let missing = state.get(get("etcd", "EtcdMembers.etcd.talos.dev", "local")).await.unwrap_err();
    assert_eq!(missing.message(), "resource EtcdMembers.etcd.talos.dev(etcd/local@undefined) doesn't exist");
}

#[tokio::test]
async fn the_maintenance_service_of_1_12_offers_little() {
    let talos = lab("127.81.4.0/24");
    boot(&talos, "cp-1", "127.81.4.11", "v1.12.5").await;
    let channel = insecure("127.81.4.11").await;
    let mut machine = MachineServiceClient::new(channel.clone());

    let version = machine.version(()).await.unwrap_err();
    let bootstrap = machine.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    let status = StateClient::new(channel).get(machine_status()).await;

    assert_eq!(
        (version.code(), version.message()),
        (Code::Unimplemented, "API is not implemented in maintenance mode")
    );
    assert_eq!((bootstrap.code(), bootstrap.message()), (Code::Unimplemented, "method Bootstrap not implemented"));
    assert!(status.is_ok());
}

#[tokio::test]
async fn a_kubeconfig_is_a_tar_without_an_end() {
    use std::io::Read;
    let (talos, secrets) = (lab("127.81.5.0/24"), Secrets::new());
    boot(&talos, "cp-1", "127.81.5.11", "v1.13.9").await;
    apply(insecure("127.81.5.11").await, &secrets.control_plane("cp-1", "https://127.81.5.11:6443")).await.unwrap();
    let mut admin = MachineServiceClient::new(with_role("127.81.5.11", &secrets, "os:admin").await);

    let mut stream = admin.kubeconfig(()).await.unwrap().into_inner();
    let data = stream.message().await.unwrap().unwrap();

    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&data.bytes[..]));
    let mut entries = archive.entries().unwrap();
    let mut entry = entries.next().unwrap().unwrap();
    let mut text = String::new();
    entry.read_to_string(&mut text).unwrap();
    assert!(text.contains("server: https://127.81.5.11:6443\n"));
    assert!(text.contains("name: admin@lab\n"));
    drop(entry);
    assert!(entries.next().unwrap().is_err());
}

#[tokio::test]
async fn watches_begin_with_an_empty_frame_and_follow_the_node() {
    let (talos, secrets) = (lab("127.81.6.0/24"), Secrets::new());
    boot(&talos, "cp-1", "127.81.6.11", "v1.13.9").await;
    apply(insecure("127.81.6.11").await, &secrets.control_plane("cp-1", "https://127.81.6.11:6443")).await.unwrap();
    let channel = with_role("127.81.6.11", &secrets, "os:admin").await;
    let request = WatchRequest {
        namespace: "etcd".into(),
        r#type: "EtcdMembers.etcd.talos.dev".into(),
        api_version: 1,
        options: Some(WatchOptions { bootstrap_contents: true, ..Default::default() }),
        ..Default::default()
    };
    let mut watch = StateClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().event.len(), 0);
    assert_eq!(watch.message().await.unwrap().unwrap().event[0].event_type, 3);

    MachineServiceClient::new(channel).bootstrap(BootstrapRequest::default()).await.unwrap();

    let event = watch.message().await.unwrap().unwrap().event.remove(0);
    assert_eq!((event.event_type, event.resource.unwrap().metadata.unwrap().id.as_str()), (0, "local"));
}

#[tokio::test]
async fn a_rebooted_node_ends_its_streams_and_has_another_boot_id() {
    let (talos, secrets) = (lab("127.81.7.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.81.7.11", "v1.13.9").await;
    apply(insecure("127.81.7.11").await, &secrets.control_plane("cp-1", "https://127.81.7.11:6443")).await.unwrap();
    let mut admin = MachineServiceClient::new(with_role("127.81.7.11", &secrets, "os:admin").await);
    let request = ReadRequest { path: "/proc/sys/kernel/random/boot_id".into() };
    let mut read = admin.read(request).await.unwrap().into_inner();
    let before = String::from_utf8(read.message().await.unwrap().unwrap().bytes).unwrap();
    let mut events = admin.events(EventsRequest::default()).await.unwrap().into_inner();
    assert_eq!(events.message().await.unwrap().unwrap().data.unwrap().type_url, "");

    admin.reboot(talos_proto::machine::RebootRequest::default()).await.unwrap();

    while let Ok(Some(_)) = tokio::time::timeout(BOUND, events.message()).await.unwrap() {}
    assert_ne!(node.boot_id(), before.trim());
}

#[tokio::test]
async fn calls_are_routed_to_other_nodes_and_merged() {
    let (talos, secrets) = (lab("127.81.8.0/24"), Secrets::new());
    let text = |name: &str| secrets.control_plane(name, "https://127.81.8.11:6443");
    for (name, address) in [("cp-1", "127.81.8.11"), ("cp-2", "127.81.8.12"), ("w-1", "127.81.8.13")] {
        boot(&talos, name, address, "v1.13.9").await;
        let text = if name == "w-1" { secrets.worker(name, "https://127.81.8.11:6443") } else { text(name) };
        apply(insecure(address).await, &text).await.unwrap();
    }
    let mut admin = MachineServiceClient::new(with_role("127.81.8.11", &secrets, "os:admin").await);
    let ask = |key: &'static str, values: &[&str]| {
        let mut request = Request::new(());
        for value in values {
            request.metadata_mut().append(key, value.parse().unwrap());
        }
        request
    };

    let one = admin.hostname(ask("node", &["127.81.8.12"])).await.unwrap().into_inner();
    assert_eq!(one.messages[0].hostname, "cp-2");
    assert_eq!(one.messages[0].metadata, None);

    let many = admin.hostname(ask("nodes", &["127.81.8.11", "127.81.8.12", "127.81.8.99"])).await.unwrap().into_inner();
    let names: Vec<&str> = many.messages.iter().map(|m| m.hostname.as_str()).collect();
    assert_eq!(names, ["cp-1", "cp-2", ""]);
    let failed = many.messages[2].metadata.as_ref().unwrap();
    assert_eq!((failed.hostname.as_str(), failed.status.as_ref().unwrap().code), ("127.81.8.99", 14));

    let mut worker = MachineServiceClient::new(with_role("127.81.8.13", &secrets, "os:admin").await);
    let refused = worker.hostname(ask("node", &["127.81.8.11"])).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "no request forwarding"));
}

#[tokio::test]
async fn faults_happen_to_the_call_they_are_meant_for() {
    let (talos, secrets) = (lab("127.81.9.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.81.9.11", "v1.13.9").await;
    let text = secrets.control_plane("cp-1", "https://127.81.9.11:6443");
    apply(insecure("127.81.9.11").await, &text).await.unwrap();
    let mut admin = MachineServiceClient::new(with_role("127.81.9.11", &secrets, "os:admin").await);
    node.fail_next(Some("Bootstrap"), Code::FailedPrecondition, "bootstrap is not available yet");
    node.lose_reply(Some("Bootstrap"));

    assert!(admin.version(()).await.is_ok());
    let failed = admin.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    let lost = admin.bootstrap(BootstrapRequest::default()).await;

    assert_eq!(failed.code(), Code::FailedPrecondition);
    assert!(lost.is_err());
    assert_eq!(node.counts().bootstrapped, 1);
}

#[tokio::test]
async fn every_type_lists_with_both_forms_of_its_spec() {
    let (talos, secrets) = (lab("127.81.10.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.81.10.11", "v1.13.9").await;
    apply(insecure("127.81.10.11").await, &secrets.control_plane("cp-1", "https://127.81.10.11:6443")).await.unwrap();
    let channel = with_role("127.81.10.11", &secrets, "os:admin").await;
    MachineServiceClient::new(channel.clone()).bootstrap(BootstrapRequest::default()).await.unwrap();
    assert!(node.until(BOUND, NodeHandle::is_ready).await);
    let mut state = StateClient::new(channel);
    let list =
        |namespace: &str, kind: &str| ListRequest { namespace: namespace.into(), r#type: kind.into(), options: None };

    let mut types = state.list(list("meta", "ResourceDefinitions.meta.cosi.dev")).await.unwrap().into_inner();
    let mut seen = 0;
    while let Some(found) = types.message().await.unwrap() {
        let spec = found.resource.unwrap().spec.unwrap();
        let yaml: serde_yaml::Value = serde_yaml::from_str(&spec.yaml_spec).unwrap();
        let text = |key: &str| yaml[key].as_str().unwrap().to_owned();
        let mut items = state.list(list(&text("defaultNamespace"), &text("type"))).await.unwrap().into_inner();
        while let Some(item) = items.message().await.unwrap() {
            let spec = item.resource.unwrap().spec.unwrap();
            assert!(serde_yaml::from_str::<serde_yaml::Value>(&spec.yaml_spec).is_ok());
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen} types");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_nodes_fit_into_one_lab() {
    const WORKERS: usize = 299;
    let (talos, secrets) = (lab("127.84.0.0/22"), Secrets::new());
    let endpoint = "https://127.84.0.11:6443";
    talos.power_on(machine("cp-1", "127.84.0.11", "v1.13.9"));
    for number in 0..WORKERS {
        let mut worker = machine("w", "", "v1.13.9");
        worker.uuid = format!("00000000-0000-4000-8000-{number:012}");
        (worker.name, worker.disk) = (format!("w-{number}"), format!("disk-{number}"));
        worker.macs = vec![format!("BC:24:11:01:{:02X}:{:02X}", number / 256, number % 256)];
        talos.power_on(worker);
    }
    apply(insecure("127.84.0.11").await, &secrets.control_plane("cp-1", endpoint)).await.unwrap();
    talos.update(|world| world.bootstrap(0)).unwrap();
    for node in talos.nodes().into_iter().skip(1) {
        let address = node.address().unwrap().to_string();
        apply(insecure(&address).await, &secrets.worker(&node.name(), endpoint)).await.unwrap();
    }

    assert!(talos.until(BOUND, |talos| talos.nodes().iter().all(NodeHandle::is_ready)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_at_once_all_get_their_answers() {
    let talos = lab("127.84.8.0/24");
    let secrets = Secrets::new();
    boot(&talos, "cp-1", "127.84.8.11", "v1.13.9").await;
    let node = talos.node("cp-1").unwrap();
    node.apply(&secrets.control_plane("cp-1", "https://127.84.8.11:6443")).unwrap();
    node.bootstrap().unwrap();
    assert!(node.until(BOUND, NodeHandle::is_ready).await);
    let channel = |_| with_role("127.84.8.11", &secrets, "os:admin");
    let clients = futures_util::future::join_all((0..100).map(channel)).await;
    let calls = clients.into_iter().map(|channel| async move {
        let mut client = MachineServiceClient::new(channel);
        for _ in 0..3 {
            client.version(()).await?;
            client.service_list(()).await?;
        }
        Ok::<_, tonic::Status>(())
    });
    let outcomes = futures_util::future::join_all(calls).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}
