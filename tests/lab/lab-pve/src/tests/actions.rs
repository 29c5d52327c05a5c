//! Snapshots, suspending, moving disks, backups, and what happens to managed VMs when a host is gone.

use super::cluster::{three, world};
use super::*;

const VM_PATH: &str = "/nodes/pve1/qemu/100";

async fn done(world: &World, path: &str, form: &[(&str, &str)]) {
    let (status, body) = world.post(path, form).await;
    assert_eq!((status, world.exit().as_str()), (StatusCode::OK, "OK"), "{path}: {body}");
}

#[tokio::test]
async fn a_snapshot_keeps_the_options_and_going_back_brings_them_again() {
    let world = world().await;
    let snapshots = format!("{VM_PATH}/snapshot");
    done(&world, &snapshots, &[("snapname", "one"), ("description", "first")]).await;
    world.send(Method::PUT, &format!("{VM_PATH}/config"), &[("memory", "8192")]).await;
    done(&world, &snapshots, &[("snapname", "two")]).await;
    let rows = world.get(&snapshots).await.1["data"].clone();
    let parents: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["parent"])).collect();
    assert_eq!(
        parents,
        [(&"one".into(), &Value::Null), (&"two".into(), &"one".into()), (&"current".into(), &"two".into())]
    );
    assert_eq!(world.get(&format!("{snapshots}/one/config")).await.1["data"]["memory"], "4096");
    done(&world, &format!("{snapshots}/one/rollback"), &[("start", "1")]).await;
    let vm = world.pve.vm(100).unwrap();
    assert_eq!((vm.config["memory"].as_str(), vm.running, vm.config.get("lock")), ("4096", true, None));
    world.send(Method::DELETE, &format!("{snapshots}/one"), &[]).await;
    let rows = world.get(&snapshots).await.1["data"].clone();
    assert_eq!((rows[0]["name"].as_str(), rows[0].get("parent")), (Some("two"), None));
    world.send(Method::DELETE, &format!("{snapshots}/one"), &[]).await;
    assert_eq!(world.exit(), "snapshot 'one' does not exist");
    world.post(&snapshots, &[("snapname", "two")]).await;
    assert_eq!(world.exit(), "snapshot name 'two' already used");
    let (_, body) = world.post(&format!("{VM_PATH}/template"), &[]).await;
    assert_eq!(body["message"], "unable to create template, because VM contains snapshots\n");
}

#[tokio::test]
async fn a_raw_file_keeps_no_earlier_state_and_no_snapshot_is_taken() {
    let world = world().await;
    world.send(Method::PUT, &format!("{VM_PATH}/config"), &[("scsi1", "nfs:1")]).await;
    world.post(&format!("{VM_PATH}/snapshot"), &[("snapname", "one")]).await;
    assert_eq!(world.exit(), "snapshot feature is not available");
    assert_eq!(world.get(&format!("{VM_PATH}/feature?feature=snapshot")).await.1["data"]["hasFeature"], 0);
}

#[tokio::test]
async fn a_vm_pauses_and_goes_on_or_goes_to_disk_until_it_is_started() {
    let world = world().await;
    let status = |command: &str| format!("{VM_PATH}/status/{command}");
    let (_, body) = world.post(&status("suspend"), &[]).await;
    assert_eq!(body["message"], "VM 100 not running\n");
    done(&world, &status("start"), &[]).await;
    done(&world, &status("suspend"), &[]).await;
    assert_eq!(world.get(&status("current")).await.1["data"]["qmpstatus"], "paused");
    let (_, body) = world.post(&status("shutdown"), &[]).await;
    assert_eq!(body["message"], "VM is paused - cannot shutdown\n");
    done(&world, &status("resume"), &[]).await;
    assert_eq!(world.get(&status("current")).await.1["data"]["qmpstatus"], "running");
    done(&world, &status("suspend"), &[("todisk", "1")]).await;
    let vm = world.pve.vm(100).unwrap();
    assert_eq!((vm.running, vm.config["lock"].as_str()), (false, "suspended"));
    assert!(vm.config["vmstate"].starts_with("local-lvm:vm-100-state-suspend"), "{}", vm.config["vmstate"]);
    done(&world, &status("resume"), &[]).await;
    let vm = world.pve.vm(100).unwrap();
    assert_eq!((vm.running, vm.config.get("lock"), vm.config.get("vmstate")), (true, None, None));
}

#[tokio::test]
async fn a_moved_disk_is_the_same_disk_to_the_guest() {
    let world = world().await;
    done(&world, &format!("{VM_PATH}/status/start"), &[]).await;
    let before = world.guests.on.lock().unwrap()[UUID].disk.clone();
    done(&world, &format!("{VM_PATH}/move_disk"), &[("disk", "scsi0"), ("storage", "nfs"), ("delete", "1")]).await;
    assert!(world.pve.vm(100).unwrap().config["scsi0"].starts_with("nfs:100/vm-100-disk-0"));
    assert_eq!(world.pve.volumes("pve1", "local-lvm"), ["local-lvm:vm-100-cloudinit"]);
    done(&world, &format!("{VM_PATH}/status/reset"), &[]).await;
    assert_eq!(world.guests.on.lock().unwrap()[UUID].disk, before);
    assert!(!world.guests.removed.lock().unwrap().contains(&before));
    let (_, body) = world.post(&format!("{VM_PATH}/move_disk"), &[("disk", "scsi0"), ("storage", "nfs")]).await;
    assert_eq!(body["message"], "you can't move to the same storage with same format\n");
}

#[tokio::test]
async fn a_disk_goes_to_another_vm_and_leaves_the_boot_order() {
    let world = world().await;
    world.pve.add_vm(101, "pve1", &[("name", "other")]);
    let form = [("disk", "scsi0"), ("target-vmid", "101"), ("target-disk", "virtio3")];
    done(&world, &format!("{VM_PATH}/move_disk"), &form).await;
    let (one, two) = (world.pve.vm(100).unwrap(), world.pve.vm(101).unwrap());
    assert!(!one.config.contains_key("scsi0") && !one.config["boot"].contains("scsi0"), "{:?}", one.config);
    assert!(two.config["virtio3"].starts_with("local-lvm:vm-101-disk-0"), "{:?}", two.config);
}

#[tokio::test]
async fn a_backup_leaves_an_archive_that_outlives_its_vm() {
    let mut settings = three();
    settings.storages.push(Storage::new("dump", super::super::StorageKind::Dir, &["backup"]));
    let world = World::start(settings).with_image().await;
    world.pve.grant_everything();
    world.post("/nodes/pve1/qemu", &VM).await;
    world.pve.add_vm(101, "pve1", &[("lock", "migrate")]);
    let form =
        [("vmid", "100"), ("storage", "dump"), ("compress", "zstd"), ("notes-template", "{{guestname}} of {{node}}")];
    done(&world, "/nodes/pve1/vzdump", &form).await;
    world.send(Method::DELETE, VM_PATH, &[]).await;
    let rows = world.get("/nodes/pve1/storage/dump/content?content=backup&vmid=100").await.1["data"].clone();
    assert!(rows[0]["volid"].as_str().unwrap().starts_with("dump:backup/vzdump-qemu-100-"), "{rows}");
    assert_eq!((rows[0]["format"].as_str(), rows[0]["notes"].as_str()), (Some("vma.zst"), Some("cp-1 of pve1")));
    world.post("/nodes/pve1/vzdump", &[("all", "1"), ("storage", "dump")]).await;
    assert_eq!(world.exit(), "job errors");
    let log = world.pve.tasks().last().unwrap().log.join("\n");
    assert!(log.contains("ERROR: Backup of VM 101 failed - VM is locked (migrate)"), "{log}");
}

async fn managed(world: &World, vmid: &str, storage: &str) {
    let disk = format!("{storage}:1");
    let smbios = format!("uuid=11111111-2222-4333-8444-000000000{vmid}");
    let form = [("vmid", vmid), ("scsi0", disk.as_str()), ("smbios1", smbios.as_str())];
    done(world, "/nodes/pve2/qemu", &form).await;
    world.post("/cluster/ha/resources", &[("sid", &format!("vm:{vmid}"))]).await;
    world.until_on(vmid.parse().unwrap(), true).await;
}

fn state_of(rows: &Value, sid: &str) -> (String, String) {
    let row = rows.as_array().unwrap().iter().find(|row| row["sid"] == sid).unwrap();
    (row["node"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn managed_vms_of_a_host_that_is_gone_run_elsewhere_if_their_disks_are_there() {
    let world = world().await;
    managed(&world, "200", "nfs").await;
    managed(&world, "201", "local-lvm").await;
    done(&world, "/nodes/pve2/qemu", &[("vmid", "202"), ("scsi0", "nfs:1")]).await;
    done(&world, "/nodes/pve2/qemu/202/status/start", &[]).await;
    world.pve.take_offline("pve2");
    let rows = world.get("/cluster/ha/status/current").await.1["data"].clone();
    assert_eq!(state_of(&rows, "vm:200"), ("pve1".to_owned(), "started".to_owned()), "{rows}");
    assert_eq!(state_of(&rows, "vm:201"), ("pve3".to_owned(), "error".to_owned()), "{rows}");
    let (managed, other) = (world.pve.vm(200).unwrap(), world.pve.vm(202).unwrap());
    assert!(managed.running && managed.node == "pve1");
    assert!(!other.running && other.node == "pve2", "the watchdog takes the others down as well");
    let dead = rows.as_array().unwrap().iter().find(|row| row["id"] == "lrm:pve2").unwrap();
    assert!(dead["status"].as_str().unwrap().contains("old timestamp - dead?"), "{dead}");
}

#[tokio::test]
async fn a_silent_host_is_fenced_only_after_a_while() {
    let delays = Delays { fence: Duration::from_millis(40), ..Delays::ZERO };
    let world = World::start(Settings { delays, ..three() }).with_image().await;
    world.pve.grant_everything();
    managed(&world, "200", "nfs").await;
    world.pve.take_offline("pve2");
    assert_eq!(world.pve.vm(200).unwrap().node, "pve2");
    let fenced = world.pve.until(|pve| pve.vm(200).unwrap().node == "pve1");
    tokio::time::timeout(Duration::from_secs(10), fenced).await.unwrap();
    assert!(world.pve.vm(200).unwrap().running);
}

#[tokio::test]
async fn a_host_that_comes_back_in_time_keeps_its_vms() {
    let delays = Delays { fence: Duration::from_millis(200), ..Delays::ZERO };
    let world = World::start(Settings { delays, ..three() }).with_image().await;
    world.pve.grant_everything();
    managed(&world, "200", "nfs").await;
    world.pve.take_offline("pve2");
    let marked = |pve: &Pve| pve.driver.look(|state| state.service_state(200) == "fence");
    tokio::time::timeout(Duration::from_secs(10), world.pve.until(marked)).await.unwrap();
    world.pve.bring_online("pve2");
    assert_eq!(world.pve.driver.look(|state| state.service_state(200)), "started");
    world.pve.driver.with(|state| state.fence("pve2", 0));
    assert_eq!(world.pve.vm(200).unwrap().node, "pve2");
}

#[tokio::test]
async fn without_a_majority_nothing_is_recovered() {
    let world = world().await;
    managed(&world, "200", "nfs").await;
    world.pve.take_offline("pve3");
    world.pve.take_offline("pve2");
    assert_eq!(world.pve.vm(200).unwrap().node, "pve2");
    let rows = world.get("/cluster/ha/status/current").await.1["data"].clone();
    assert_eq!((rows[0]["quorate"].as_u64(), rows[0]["status"].as_str()), (Some(0), Some("No quorum on node 'pve1'!")));
}
