//! States that a scenario file brings about.

use lab_core::fault::State;
use lab_core::scenario::Scenario;

use super::*;

impl World {
    /// Brings about the state that an entry of a scenario names, or takes it back.
    fn set(&self, entry: &str, wrong: bool) {
        let text = format!("apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nfaults: [{entry}]\n");
        let trouble = Scenario::parse(&text).unwrap().troubles.remove(0);
        let State::Proxmox(state) = trouble.state else { panic!("{entry} is of a node") };
        assert!(self.pve.set_state(state, &trouble.target, wrong), "{entry} has no target");
    }

    async fn change(&self) -> Answer {
        self.send(Method::PUT, "/nodes/pve1/qemu/100/config", &[("memory", "1024")]).await
    }
}

async fn world() -> World {
    let world = World::start(cluster::three()).with_image().await;
    world.pve.grant_everything();
    world.post("/nodes/pve1/qemu", &VM).await;
    world
}

#[tokio::test]
async fn hosts_are_off_the_network_or_late() {
    let (world, offline) = (world().await, "{state: host-offline, host: pve2}");
    world.set(offline, true);
    assert_eq!(world.get("/nodes/pve2/qemu").await.0.as_u16(), 595);
    world.set(offline, false);
    assert_eq!(world.get("/nodes/pve2/qemu").await.0, StatusCode::OK);
    let late = "{state: host-late, host: pve1}";
    world.set(late, true);
    assert_eq!(world.change().await.0.as_u16(), 596);
    assert_eq!(world.pve.vm(100).unwrap().config["memory"], "1024");
    world.set(late, false);
    assert_eq!(world.change().await.0, StatusCode::OK);
}

#[tokio::test]
async fn hosts_have_no_quorum_or_know_nothing_of_those_that_are_offline() {
    let (world, cut) = (world().await, "{state: no-quorum, host: pve1}");
    world.set(cut, true);
    assert_eq!(world.change().await.0, StatusCode::INTERNAL_SERVER_ERROR);
    world.set(cut, false);
    assert_eq!(world.change().await.0, StatusCode::OK);
    let name = async || world.get("/cluster/resources?type=vm").await.1["data"][0]["name"].clone();
    assert_eq!(name().await, "cp-1");
    world.set("{state: host-offline, host: pve1}", true);
    world.set("{state: host-restarted, host: pve2}", true);
    assert_eq!(name().await, Value::Null);
}

#[tokio::test]
async fn locks_of_vms_and_storages_are_held() {
    let (world, of_vm) = (world().await, "{state: vm-locked, vm: cp-1}");
    world.set(of_vm, true);
    let (_, body) = world.change().await;
    assert!(
        body["message"].as_str().unwrap().contains("can't lock file '/var/lock/qemu-server/lock-100.conf'"),
        "{body}"
    );
    world.set(of_vm, false);
    assert_eq!(world.change().await.0, StatusCode::OK);
    let (of_storage, disk) =
        ("{state: storage-locked, storage: local-lvm}", [("vmid", "101"), ("scsi0", "local-lvm:1")]);
    world.set(of_storage, true);
    world.post("/nodes/pve1/qemu", &disk).await;
    assert!(world.exit().contains("pve-storage-local-lvm"), "{}", world.exit());
    world.set(of_storage, false);
    world.post("/nodes/pve1/qemu", &disk).await;
    assert_eq!(world.exit(), "OK");
}

#[tokio::test]
async fn tasks_are_held_and_guests_ignore_requests_to_shut_down() {
    let (world, held) = (world().await, "{state: tasks-held, vm: cp-1}");
    world.set(held, true);
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    assert_eq!(world.exit(), "");
    world.set(held, false);
    let done = world.pve.until(|pve| pve.tasks().iter().all(|task| task.exit.is_some()));
    tokio::time::timeout(Duration::from_secs(10), done).await.unwrap();
    assert_eq!(world.exit(), "OK");
    let ignored = "{state: shutdown-ignored, vm: '100'}";
    world.set(ignored, true);
    world.post("/nodes/pve1/qemu/100/status/shutdown", &[]).await;
    assert!(world.exit().contains("timeout") && world.pve.vm(100).unwrap().running, "{}", world.exit());
    world.set(ignored, false);
    world.post("/nodes/pve1/qemu/100/status/shutdown", &[]).await;
    assert!(world.exit() == "OK" && !world.pve.vm(100).unwrap().running);
}
