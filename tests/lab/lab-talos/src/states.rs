//! States that a scenario file brings about, as tests.

use std::sync::Arc;

use lab_core::fault::State;
use lab_core::scenario::Scenario;
use tokio::net::TcpStream;

use crate::testing::Secrets;
use crate::tests::{BOUND, boot, insecure, lab};
use crate::{NodeHandle, Stage, Talos};

/// Brings about the state of `cp-1` that a scenario names, or takes it back.
fn set(talos: &Arc<Talos>, word: &str, wrong: bool) {
    let text = format!("apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nfaults: [{{state: {word}, node: cp-1}}]\n");
    let trouble = Scenario::parse(&text).unwrap().troubles.remove(0);
    let State::Node(state) = trouble.state else { panic!("{word} is not of a node") };
    assert!(talos.node(&trouble.target).unwrap().set_state(state, wrong), "{word} was not possible");
}

/// Waits until the port of the Talos API is open, or closed.
async fn port(address: &str, open: bool) {
    let wait = async {
        while TcpStream::connect((address, 50000)).await.is_ok() != open {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, wait).await.unwrap();
}

#[tokio::test]
async fn a_port_is_closed_or_silent() {
    let talos = lab("127.76.1.0/24");
    boot(&talos, "cp-1", "127.76.1.11", "v1.13.9").await;
    port("127.76.1.11", true).await;
    set(&talos, "port-closed", true);
    port("127.76.1.11", false).await;
    set(&talos, "port-closed", false);
    port("127.76.1.11", true).await;

    set(&talos, "silent", true);
    let mut connected = std::pin::pin!(insecure("127.76.1.11"));
    let moment = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(moment, &mut connected).await.is_err());
    set(&talos, "silent", false);
    tokio::time::timeout(BOUND, connected).await.unwrap();
}

#[tokio::test]
async fn a_boot_is_held_and_a_node_reboots_by_itself() {
    let talos = lab("127.76.2.0/24");
    let node = boot(&talos, "cp-1", "127.76.2.11", "v1.13.9").await;
    set(&talos, "reboot", true);
    assert!(node.until(BOUND, |node| node.counts().boots == 2 && node.listens()).await);
    set(&talos, "boot-held", true);
    set(&talos, "reboot", true);
    let held = |talos: &Arc<Talos>| talos.read(|world| world.nodes[0].faults.boot_held);
    assert!(talos.until(BOUND, held).await);
    assert_eq!(node.counts().boots, 2);
    set(&talos, "boot-held", false);
    assert!(node.until(BOUND, |node| node.counts().boots == 3 && node.stage() == Stage::Maintenance).await);
}

#[tokio::test]
async fn a_clock_is_wrong_and_etcd_raises_alarms() {
    let (talos, secrets) = (lab("127.76.3.0/24"), Secrets::new());
    let node = boot(&talos, "cp-1", "127.76.3.11", "v1.13.9").await;
    node.apply(&secrets.control_plane("cp-1", "https://127.76.3.11:6443")).unwrap();
    assert!(node.until(BOUND, |node| node.listens() && node.stage() == Stage::Booting).await);
    set(&talos, "clock-wrong", true);
    assert_eq!(node.bootstrap().unwrap_err().message(), "time is not in sync yet");
    set(&talos, "clock-wrong", false);
    node.bootstrap().unwrap();
    assert!(node.until(BOUND, NodeHandle::is_etcd_member).await);
    set(&talos, "etcd-full", true);
    set(&talos, "etcd-corrupt", true);
    let kinds = talos.read(|world| world.etcds[0].alarms.iter().map(|(_, kind)| *kind).collect::<Vec<_>>());
    assert_eq!(kinds, [1, 2]);
}
