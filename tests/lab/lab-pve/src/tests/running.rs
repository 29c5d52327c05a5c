//! What the real code says and does when VMs are started, asked, managed and destroyed.

use super::changes::world;
use super::*;

const VM_PATH: &str = "/nodes/pve1/qemu/100";

impl World {
    async fn started(&self) -> String {
        self.post(&format!("{VM_PATH}/status/start"), &[]).await;
        self.exit()
    }
}

#[tokio::test]
async fn what_the_host_cannot_run_is_refused_at_the_start_only() {
    let world = World::start(Settings { cores: 2, ..Settings::default() }).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    let numa = [("numa", "1"), ("numa0", "cpus=0,memory=1")];
    let old =
        "Installed QEMU version '10.1.2' is too old to run machine type 'pc-q35-99.0+pve0', please upgrade node 'pve1'";
    for (form, text) in [
        (&[("cores", "3")][..], "MAX 2 vcpus allowed per VM on this node"),
        (&[("cores", "1"), ("machine", "pc-q35-99.0")], old),
        (&[("machine", "pc-q35-9.2")], "OK"),
        (&numa, "total memory for NUMA nodes must be equal to vm static memory"),
        (&[("numa0", "cpus=0,memory=4096")], "OK"),
    ] {
        world.send(Method::PUT, &format!("{VM_PATH}/config"), form).await;
        assert_eq!(world.started().await, text);
        world.post(&format!("{VM_PATH}/status/stop"), &[]).await;
    }
    let log = world.pve.tasks().into_iter().rfind(|task| task.kind == "qmstart").unwrap().log;
    assert_eq!(log, ["generating cloud-init ISO", "TASK OK"]);
}

#[tokio::test]
async fn guests_may_be_promised_more_memory_than_the_host_has() {
    let world = world().await;
    world.send(Method::PUT, &format!("{VM_PATH}/config"), &[("memory", "999999999")]).await;
    assert_eq!(world.started().await, "OK");
    let memory = world.get("/nodes/pve1/status").await.1["data"]["memory"].clone();
    assert_eq!((&memory["free"], &memory["used"]), (&0.into(), &memory["total"]));
}

#[tokio::test]
async fn starting_a_vm_that_is_not_there_is_a_task_that_fails() {
    let world = World::start(Settings { nodes: vec!["pve1".to_owned(), "pve2".to_owned()], ..Settings::default() });
    let (status, body) = world.post("/nodes/pve2/qemu/910/status/start", &[]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(world.exit(), "Configuration file 'nodes/pve2/qemu-server/910.conf' does not exist");
}

#[tokio::test]
async fn an_agent_that_is_switched_off_is_not_running_and_only_a_missing_one_is_not_configured() {
    let world = world().await;
    let (agent, config) = (format!("{VM_PATH}/agent/network-get-interfaces"), format!("{VM_PATH}/config"));
    world.send(Method::PUT, &config, &[("agent", "0")]).await;
    assert_eq!(world.get(&agent).await.1["message"], "VM 100 is not running\n");
    world.started().await;
    assert_eq!(world.get(&agent).await.1["message"], "QEMU guest agent is not running\n");
    world.send(Method::PUT, &config, &[("agent", "1")]).await;
    assert_eq!(world.get(&agent).await.1["message"], "QEMU guest agent is not running\n");
    world.pve.set_option(100, "agent", None);
    assert_eq!(world.get(&agent).await.1["message"], "No QEMU guest agent configured\n");
}

/// A managed VM that runs.
async fn managed() -> World {
    let world = world().await;
    world.pve.grant_everything();
    world.started().await;
    world.post("/cluster/ha/resources", &[("sid", "vm:100")]).await;
    world
}

async fn is_running(world: &World) -> bool {
    world.get(&format!("{VM_PATH}/status/current")).await.1["data"]["status"] == "running"
}

#[tokio::test]
async fn a_managed_vm_runs_on_after_its_stop_is_done_and_cannot_be_destroyed_meanwhile() {
    for command in ["stop", "shutdown"] {
        let world = managed().await;
        let (_, body) = world.post(&format!("{VM_PATH}/status/{command}"), &[]).await;
        assert!(body["data"].as_str().unwrap().contains(":hastop:100:") && world.exit() == "OK", "{body}");
        assert_eq!(world.pve.tasks().pop().unwrap().log, ["Requesting HA stop for VM 100", "TASK OK"]);
        assert!(world.pve.vm(100).unwrap().running);
        let (_, body) = world.send(Method::DELETE, &format!("{VM_PATH}?purge=1"), &[]).await;
        assert_eq!(body["message"], "VM 100 is running - destroy failed\n");
        assert!(is_running(&world).await, "it runs on for a while");
        assert!(!is_running(&world).await, "the manager has seen the request");
        let row = world.get(&format!("{VM_PATH}/status/current")).await.1["data"]["ha"].clone();
        assert_eq!(row, serde_json::json!({"managed": 1, "state": "stopped"}));
        world.send(Method::DELETE, &format!("{VM_PATH}?purge=1"), &[]).await;
        assert_eq!((world.exit().as_str(), world.pve.vms().len()), ("OK", 0));
    }
}

#[tokio::test]
async fn a_volume_that_cannot_be_removed_stays_with_a_warning_and_is_in_the_way_later() {
    let dir = Storage::new("dir", super::super::StorageKind::Dir, &["images"]);
    let world = World::start(Settings { storages: vec![Storage::local(), dir], ..Settings::default() });
    let form = [("vmid", "158"), ("scsi0", "dir:1"), ("ide0", "dir:cloudinit")];
    world.post("/nodes/pve1/qemu", &form).await;
    assert_eq!(world.exit(), "OK");
    let lock = super::super::Lock::Local { node: "pve1".to_owned(), storage: "dir".to_owned() };
    world.pve.take_lock(&lock);
    world.send(Method::DELETE, "/nodes/pve1/qemu/158", &[]).await;
    let task = world.pve.tasks().pop().unwrap();
    assert_eq!(task.exit.as_deref(), Some("WARNINGS: 2"));
    let line = "WARN: Could not remove disk 'dir:158/vm-158-cloudinit.qcow2', check manually: can't lock file '/var/lock/pve-manager/pve-storage-dir' - got timeout";
    assert!(task.log.iter().any(|said| said == line), "{:?}", task.log);
    assert_eq!(task.log.last().map(String::as_str), Some("TASK WARNINGS: 2"));
    assert_eq!((world.pve.vms().len(), world.pve.volumes("pve1", "dir").len()), (0, 2));
    world.pve.give_lock(&lock);
    world.post("/nodes/pve1/qemu", &form).await;
    let text = "unable to create VM 158 - disk image '/var/lib/vz/images/158/vm-158-cloudinit.qcow2' already exists";
    assert_eq!(world.exit(), text);
    assert_eq!((world.pve.vms().len(), world.pve.volumes("pve1", "dir").len()), (0, 2), "what was there stays");
    world.post("/nodes/pve1/qemu", &form[..2]).await;
    assert_eq!(world.pve.vm(158).unwrap().config["scsi0"], "dir:158/vm-158-disk-1.raw,size=1G");
    world.send(Method::DELETE, "/nodes/pve1/qemu/158?destroy-unreferenced-disks=1", &[]).await;
    assert!(world.pve.volumes("pve1", "dir").is_empty());
}

#[tokio::test]
async fn a_protected_vm_is_not_removed_and_one_in_a_backup_not_stopped() {
    let world = world().await;
    world.started().await;
    world.pve.set_option(100, "lock", Some("backup"));
    world.post(&format!("{VM_PATH}/status/stop"), &[]).await;
    assert_eq!(world.pve.tasks().pop().unwrap().log, ["TASK ERROR: VM is locked (backup)"]);
    assert!(world.pve.vm(100).unwrap().running);
    world.pve.set_option(100, "lock", None);
    world.pve.set_option(100, "protection", Some("1"));
    let (_, body) = world.send(Method::DELETE, VM_PATH, &[]).await;
    assert_eq!(body["message"], "can't remove VM 100 - protection mode enabled\n", "running or not");
}

#[tokio::test]
async fn only_a_disk_of_a_vm_that_is_off_is_resized_with_a_word() {
    let world = world().await;
    let resize = format!("{VM_PATH}/resize");
    world.send(Method::PUT, &resize, &[("disk", "scsi0"), ("size", "20G")]).await;
    assert_eq!(world.pve.tasks().pop().unwrap().log, ["Image resized.", "TASK OK"]);
    world.started().await;
    world.send(Method::PUT, &resize, &[("disk", "scsi0"), ("size", "21G")]).await;
    assert_eq!(world.pve.tasks().pop().unwrap().log, ["TASK OK"]);
}
