//! What survives what: upgrades, rollbacks, resets, snapshots.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use prost::Message;
use talos_proto::common::Data;
use talos_proto::machine::*;

use super::{Caller, Reply, call};
use crate::node::Stage;
use crate::testing::Secrets;
use crate::tests::{BOUND, boot, lab};
use crate::{NodeHandle, Talos};

const NEW: &str =
    "factory.talos.dev/nocloud-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.13.10";

/// A control plane that runs and is ready.
async fn ready(subnet: &str) -> (Arc<Talos>, NodeHandle, Secrets) {
    let (talos, secrets) = (lab(&format!("{subnet}.0/24")), Secrets::new());
    let node = boot(&talos, "cp-1", &format!("{subnet}.11"), "v1.13.9").await;
    node.apply(&secrets.control_plane("cp-1", &format!("https://{subnet}.11:6443"))).unwrap();
    node.bootstrap().unwrap();
    assert!(node.until(BOUND, NodeHandle::is_ready).await);
    (talos, node, secrets)
}

/// Makes a call as an administrator; gives all frames of the answer.
async fn answers(talos: &Arc<Talos>, method: &str, requests: &[impl Message]) -> Vec<Vec<u8>> {
    let caller = Caller { node: 0, roles: vec!["os:admin".to_owned()], maintenance: false };
    let path = if method.contains('/') { format!("/{method}") } else { format!("/machine.MachineService/{method}") };
    let messages: Vec<Bytes> = requests.iter().map(|request| request.encode_to_vec().into()).collect();
    match call(talos, &caller, &path, &HeaderMap::new(), &messages).unwrap() {
        Reply::One(bytes) => vec![bytes],
        Reply::Many(frames) => frames.map(Result::unwrap).collect().await,
        Reply::Never => panic!("{path} is never answered"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_boots_another_system_and_a_rollback_the_one_before() {
    let (talos, node, _) = ready("127.73.1").await;
    let before = node.boot_id();
    answers(&talos, "Upgrade", &[UpgradeRequest { image: NEW.to_owned(), ..Default::default() }]).await;
    assert!(node.until(BOUND, |node| node.is_ready() && node.stage() == Stage::Running).await);
    assert_eq!(node.version(), "v1.13.10");
    assert_ne!(node.boot_id(), before);

    answers(&talos, "Rollback", &[RollbackRequest {}]).await;
    assert!(node.until(BOUND, |node| node.version() == "v1.13.9" && node.is_ready()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lifecycle_service_upgrades_what_was_pulled_and_leaves_the_reboot_to_its_caller() {
    let (talos, node, _) = ready("127.73.2").await;
    let containerd = Some(talos_proto::common::ContainerdInstance { driver: 0, namespace: 1 });
    let pull = ImageServicePullRequest { containerd, image_ref: NEW.to_owned() };
    answers(&talos, "machine.ImageService/Pull", &[pull]).await;
    let source = Some(InstallArtifactsSource { image_name: NEW.to_owned() });
    let upgrade = LifecycleServiceUpgradeRequest { containerd, source };
    let frames = answers(&talos, "machine.LifecycleService/Upgrade", &[upgrade]).await;
    let last = LifecycleServiceUpgradeResponse::decode(&frames.last().unwrap()[..]).unwrap();
    let code = last.progress.and_then(|progress| progress.response);
    assert_eq!(code, Some(lifecycle_service_install_progress::Response::ExitCode(0)));
    assert_eq!(node.version(), "v1.13.9", "nothing happens before the reboot");
    answers(&talos, "Reboot", &[RebootRequest::default()]).await;
    assert!(node.until(BOUND, |node| node.version() == "v1.13.10" && node.is_ready()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_the_state_leads_to_maintenance_and_one_of_the_disk_to_nothing() {
    let (talos, node, _) = ready("127.73.3").await;
    let labels = ["STATE", "EPHEMERAL"].map(|label| ResetPartitionSpec { label: label.to_owned(), wipe: true });
    let reset = ResetRequest { reboot: true, system_partitions_to_wipe: labels.to_vec(), ..Default::default() };
    answers(&talos, "Reset", &[reset]).await;
    assert!(node.until(BOUND, |node| node.stage() == Stage::Maintenance).await);
    assert_eq!(talos.etcd_clusters("talos-test"), 0);

    answers(&talos, "Reset", &[ResetRequest { reboot: true, ..Default::default() }]).await;
    let empty = |node: &NodeHandle| node.console().iter().any(|line| line == "No bootable device.");
    assert!(node.until(BOUND, empty).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_etcd_brings_a_cluster_back() {
    let (talos, node, secrets) = ready("127.73.4").await;
    let store = |talos: &Arc<Talos>| talos.read(|world| world.etcds[0].store.revision());
    let revision = store(&talos);
    let frames = answers(&talos, "EtcdSnapshot", &[EtcdSnapshotRequest {}]).await;
    let frames: Vec<Data> = frames.iter().map(|frame| Data::decode(&frame[..]).unwrap()).collect();
    let labels = ["STATE", "EPHEMERAL"].map(|label| ResetPartitionSpec { label: label.to_owned(), wipe: true });
    let reset = ResetRequest { reboot: true, system_partitions_to_wipe: labels.to_vec(), ..Default::default() };
    answers(&talos, "Reset", &[reset]).await;
    assert!(node.until(BOUND, |node| node.stage() == Stage::Maintenance).await);

    node.apply(&secrets.control_plane("cp-1", "https://127.73.4.11:6443")).unwrap();
    assert!(node.until(BOUND, |node| node.listens() && node.stage() == Stage::Booting).await);
    answers(&talos, "EtcdRecover", &frames).await;
    answers(&talos, "Bootstrap", &[BootstrapRequest { recover_etcd: true, ..Default::default() }]).await;
    assert!(node.until(BOUND, NodeHandle::is_ready).await);
    assert!(store(&talos) >= revision, "the objects are those of the snapshot, and newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_without_a_snapshot_is_accepted_and_fails_later() {
    let (talos, secrets) = (lab("127.73.5.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.73.5.11", "v1.13.9").await;
    node.apply(&secrets.control_plane("cp-1", "https://127.73.5.11:6443")).unwrap();
    assert!(node.until(BOUND, |node| node.listens() && node.stage() == Stage::Booting).await);
    answers(&talos, "Bootstrap", &[BootstrapRequest { recover_etcd: true, ..Default::default() }]).await;
    let frames = answers(&talos, "ServiceList", &[()]).await;
    let list = ServiceListResponse::decode(&frames[0][..]).unwrap();
    let etcd = list.messages[0].services.iter().find(|service| service.id == "etcd").unwrap();
    assert_eq!(etcd.state, "Failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_etcd_stands_until_it_is_disarmed() {
    let (talos, node, _) = ready("127.73.6").await;
    node.raise_etcd_alarm(false);
    let count = |frames: Vec<Vec<u8>>| {
        let reply = EtcdAlarmListResponse::decode(&frames[0][..]).unwrap();
        reply.messages[0].member_alarms.iter().filter(|alarm| alarm.alarm == 1).count()
    };
    assert_eq!(count(answers(&talos, "EtcdAlarmList", &[()]).await), 1);
    answers(&talos, "EtcdAlarmDisarm", &[()]).await;
    assert_eq!(count(answers(&talos, "EtcdAlarmList", &[()]).await), 0);
}
