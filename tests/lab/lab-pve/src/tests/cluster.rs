//! Several hosts: tickets, high availability, clones, migration, and hosts that don't answer.

use super::*;

pub(super) fn three() -> Settings {
    let nodes = ["pve1", "pve2", "pve3"].map(str::to_owned).to_vec();
    let shared = Storage { shared: true, ..Storage::new("nfs", super::super::StorageKind::Dir, &["images", "import"]) };
    Settings { nodes, storages: vec![Storage::local(), Storage::local_lvm(), shared], ..Settings::default() }
}

pub(super) async fn world() -> World {
    let world = World::start(three()).with_image().await;
    world.pve.grant_everything();
    world.post("/nodes/pve1/qemu", &VM).await;
    world
}

#[tokio::test]
async fn a_user_logs_in_and_changes_things_with_both_halves_of_the_ticket() {
    let world = world().await;
    world.pve.add_user("root@pam", "pw", &[]);
    let url = |path: &str| format!("{}/api2/json{path}", world.pve.endpoint());
    let form = [("username", "root"), ("realm", "pam"), ("password", "pw")];
    let reply: Value = world.client.post(url("/access/ticket")).form(&form).send().await.unwrap().json().await.unwrap();
    let cookie = format!("PVEAuthCookie={}", reply["data"]["ticket"].as_str().unwrap());
    let csrf = reply["data"]["CSRFPreventionToken"].as_str().unwrap();
    let request = || world.client.put(url("/nodes/pve1/qemu/100/config")).form(&[("args", "-x")]);
    let without = request().header("cookie", &cookie).send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    let with = request().header("cookie", &cookie).header("CSRFPreventionToken", csrf).send().await.unwrap();
    assert_eq!(with.status(), StatusCode::OK, "only root itself may set `args`");
    assert_eq!(world.pve.vm(100).unwrap().config["args"], "-x");
}

#[tokio::test]
async fn starting_a_managed_vm_is_a_request_and_removing_it_takes_purge() {
    let world = world().await;
    assert_eq!(world.post("/cluster/ha/resources", &[("sid", "vm:100"), ("state", "stopped")]).await.0, StatusCode::OK);
    let upid = world.post("/nodes/pve1/qemu/100/status/start", &[]).await.1["data"].to_string();
    assert!(upid.contains(":hastart:100:"), "{upid}");
    world.until_on(100, true).await;
    world.post("/nodes/pve1/qemu/100/status/stop", &[]).await;
    world.until_on(100, false).await;
    let (_, body) = world.send(Method::DELETE, "/nodes/pve1/qemu/100", &[]).await;
    let text = "unable to remove VM 100 - used in HA resources and purge parameter not set.\n";
    assert_eq!(body["message"], text);
    world.send(Method::DELETE, "/nodes/pve1/qemu/100?purge=1", &[]).await;
    assert_eq!(world.pve.vms(), []);
}

#[tokio::test]
async fn a_clone_has_disks_and_an_identity_of_its_own() {
    let world = world().await;
    let form = [("newid", "101"), ("name", "w-1"), ("full", "1"), ("storage", "nfs")];
    world.post("/nodes/pve1/qemu/100/clone", &form).await;
    assert_eq!(world.exit(), "OK");
    let (one, two) = (world.pve.vm(100).unwrap(), world.pve.vm(101).unwrap());
    assert_eq!((two.name.as_str(), two.node.as_str()), ("w-1", "pve1"));
    assert_ne!(one.uuid, two.uuid);
    assert_ne!(one.config["net0"], two.config["net0"]);
    assert!(two.config["scsi0"].starts_with("nfs:101/vm-101-disk-"), "{}", two.config["scsi0"]);
}

#[tokio::test]
async fn a_clone_on_another_host_needs_disks_that_both_hosts_see() {
    let world = world().await;
    let clone = "/nodes/pve1/qemu/100/clone";
    let (_, body) = world.post(clone, &[("newid", "101"), ("target", "pve2")]).await;
    assert_eq!(body["message"], "can't clone VM to node 'pve2' (VM uses local storage)\n");
    let (_, body) = world.post(clone, &[("newid", "101"), ("target", "pve2"), ("storage", "local-lvm")]).await;
    assert_eq!(body["message"], "can't clone to non-shared storage 'local-lvm'\n");
    let (_, body) = world.post(clone, &[("newid", "101"), ("storage", "local")]).await;
    assert_eq!(body["errors"]["storage"], "storage 'local' does not support vm images");
    world.post("/nodes/pve1/qemu", &[("vmid", "102"), ("scsi0", "nfs:4")]).await;
    world.post("/nodes/pve1/qemu/102/clone", &[("newid", "103"), ("target", "pve2")]).await;
    assert_eq!((world.exit().as_str(), world.pve.vm(103).unwrap().node.as_str()), ("OK", "pve2"));
}

#[tokio::test]
async fn a_linked_clone_begins_with_the_disks_of_a_template() {
    let world = world().await;
    let clone = "/nodes/pve1/qemu/100/clone";
    let (_, body) = world.post(clone, &[("newid", "101"), ("full", "0")]).await;
    let text = "Linked clone feature is not supported for 'local-lvm:vm-100-disk-0' (scsi0)\n";
    assert_eq!(body["message"], text);
    world.post("/nodes/pve1/qemu/100/template", &[]).await;
    let (_, body) = world.post(clone, &[("newid", "101"), ("storage", "nfs")]).await;
    assert_eq!(body["message"], "parameter 'storage' not allowed for linked clones\n");
    world.post(clone, &[("newid", "101"), ("description", "a copy")]).await;
    let log = world.pve.tasks().pop().unwrap().log;
    let line = "create linked clone of drive scsi0 (local-lvm:base-100-disk-0)";
    assert!(log.iter().any(|said| said == line), "{log:?}");
    assert_eq!(world.pve.vm(101).unwrap().config["description"], "a copy");
}

#[tokio::test]
async fn what_only_its_host_has_keeps_a_vm_from_moving() {
    let world = world().await;
    world.pve.add_image("pve1", "local", "iso", "x.iso", 1 << 20);
    world.send(Method::PUT, "/nodes/pve1/qemu/100/config", &[("ide3", "local:iso/x.iso,media=cdrom")]).await;
    let migrate = "/nodes/pve1/qemu/100/migrate";
    world.post(migrate, &[("target", "pve2")]).await;
    let task = world.pve.tasks().pop().unwrap();
    assert_eq!(task.exit.as_deref(), Some("migration aborted"));
    let line = "can't migrate local disk 'local:iso/x.iso': local cdrom image";
    assert!(task.log.iter().any(|said| said == line), "{:?}", task.log);
    world.send(Method::PUT, "/nodes/pve1/qemu/100/config", &[("delete", "ide3")]).await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    world.post(migrate, &[("target", "pve2"), ("online", "1")]).await;
    assert_eq!(world.exit(), "migration aborted");
    world.post(migrate, &[("target", "pve2"), ("online", "1"), ("with-local-disks", "1")]).await;
    assert_eq!((world.exit().as_str(), world.pve.vm(100).unwrap().node.as_str()), ("OK", "pve2"));
}

#[tokio::test]
async fn a_vm_that_migrates_takes_its_local_disks_along() {
    let world = world().await;
    world.post("/nodes/pve1/qemu/100/migrate", &[("target", "pve2"), ("with-local-disks", "1")]).await;
    assert_eq!(world.exit(), "OK");
    assert!(world.pve.volumes("pve1", "local-lvm").is_empty());
    assert_eq!(world.pve.volumes("pve2", "local-lvm").len(), 2);
    let (_, body) = world.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!(body["message"], "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist\n");
}

#[tokio::test]
async fn a_host_that_answers_too_late_has_acted_all_the_same() {
    let world = world().await;
    world.pve.answer_late("pve1", true);
    let (status, body) = world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    assert_eq!((status.as_u16(), body), (596, Value::Null));
    assert!(world.pve.vm(100).unwrap().running);
    world.pve.take_offline("pve1");
    assert_eq!(world.get("/nodes/pve1/qemu").await.0.as_u16(), 595);
}

#[tokio::test]
async fn release_8_knows_monitor_and_keeps_new_tags_as_they_were_given() {
    let world = World::start(Settings { release: Release::V8_4, ..Settings::default() }).with_image().await;
    world.post("/nodes/pve1/qemu", &[&VM[..], &[("tags", "Zed;a")]].concat()).await;
    assert_eq!(world.pve.vm(100).unwrap().config["tags"], "Zed;a");
    assert_eq!(world.get("/version").await.1["data"]["release"], "8.4");
    world.pve.add_token("ichor@pve!lab", "00000000-1111-4222-8333-444444444444", &[("/", &["VM.GuestAgent.Audit"])]);
    let (_, body) = world.post("/nodes/pve1/qemu/100/agent/ping", &[]).await;
    assert_eq!(body["message"], "Permission check failed (/vms/100, VM.Monitor)\n");
}

#[tokio::test]
async fn a_pool_with_members_stays_and_locks_of_the_cluster_time_out() {
    let world = world().await;
    world.post("/pools", &[("poolid", "p")]).await;
    world.send(Method::PUT, "/pools/p", &[("vms", "100")]).await;
    assert_eq!(world.get("/pools/p").await.1["data"]["members"][0]["vmid"], 100);
    let (_, body) = world.send(Method::DELETE, "/pools/p", &[]).await;
    assert_eq!(body["message"], "delete pool failed: pool 'p' is not empty (contains VM 100)\n");
    world.pve.lock_cluster("file-user_cfg", 1);
    let (_, body) = world.post("/pools", &[("poolid", "q")]).await;
    assert_eq!(body["message"], "create pool failed: cfs-lock 'file-user_cfg' error: got lock request timeout\n");
}
