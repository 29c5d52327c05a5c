//! What Terraform's provider for Proxmox VE asks for, and finds again afterwards.

use super::*;

async fn world() -> World {
    let world = World::start(cluster::three()).with_image().await;
    world.pve.grant_everything();
    world
}

impl World {
    async fn put(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::PUT, path, form).await
    }

    async fn done(&self, method: Method, path: &str, form: &[(&str, &str)]) {
        let (status, body) = self.send(method, path, form).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
    }
}

#[tokio::test]
async fn a_file_behind_a_url_is_described_before_it_is_downloaded() {
    let world = world().await;
    let images = images().await;
    let about = |path: &str| {
        let url = format!("{images}/{path}");
        format!("/nodes/pve1/query-url-metadata?verify-certificates=1&url={}", url.replace(':', "%3A"))
    };
    let (status, body) = world.get(&about("nocloud-amd64.qcow2")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let stored = world.get("/nodes/pve1/storage/local/content").await.1["data"][0]["size"].clone();
    assert_eq!((&body["data"]["size"], body["data"]["filename"].as_str()), (&stored, Some("nocloud-amd64.qcow2")));
    let (_, body) = world.get(&about("nothing")).await;
    assert_eq!(body["message"], "invalid server response: '404 Not Found'\n");
}

#[tokio::test]
async fn a_parameter_may_repeat_a_part_of_the_path_but_not_contradict_it() {
    let world = world().await;
    let repeated = [("node", "pve1"), ("vmid", "100"), ("cores", "2")];
    world.done(Method::POST, "/nodes/pve1/qemu", &repeated).await;
    let (status, body) = world.post("/nodes/pve1/qemu", &[("node", "pve2"), ("vmid", "101")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let text = "duplicate parameter (already defined in URI) with conflicting values!";
    assert_eq!(body["errors"]["node"], text);
}

#[tokio::test]
async fn a_volume_is_described_alone_and_only_on_its_own_storage() {
    let world = world().await;
    world.done(Method::POST, "/nodes/pve1/qemu", &VM).await;
    let content = "/nodes/pve1/storage/local-lvm/content";
    let disk = world.get(&format!("{content}/local-lvm:vm-100-disk-0")).await.1["data"].clone();
    assert_eq!((&disk["format"], &disk["path"]), (&"raw".into(), &"/dev/pve/vm-100-disk-0".into()));
    assert_eq!(world.get(&format!("{content}/vm-100-disk-0")).await.1["data"], disk);
    let (_, body) = world.get(&format!("{content}/vm-100-disk-9")).await;
    let text = "can't get size of '/dev/pve/vm-100-disk-9':   Failed to find logical volume \"pve/vm-100-disk-9\"\n";
    assert_eq!(body["message"], text);
    let (_, body) = world.get(&format!("{content}/local:import%2Ftalos.qcow2")).await;
    assert_eq!(body["errors"]["volume"], "storage ID mismatch (local != local-lvm)\n");
    let image = world.get("/nodes/pve1/storage/local/content/local:import%2Ftalos.qcow2").await.1;
    assert_eq!(image["data"]["path"], "/var/lib/vz/import/talos.qcow2");
}

#[tokio::test]
async fn a_pool_keeps_its_comment_and_its_storages() {
    let world = world().await;
    world.done(Method::POST, "/pools", &[("poolid", "k8s"), ("comment", "Kubernetes")]).await;
    world.done(Method::PUT, "/pools?poolid=k8s", &[("storage", "local-lvm")]).await;
    let pool = world.get("/pools?poolid=k8s").await.1["data"][0].clone();
    assert_eq!((&pool["comment"], &pool["poolid"]), (&"Kubernetes".into(), &"k8s".into()));
    assert_eq!((&pool["members"][0]["storage"], &pool["members"][0]["type"]), (&"local-lvm".into(), &"storage".into()));
    assert_eq!(world.get("/pools").await.1["data"][0]["comment"], "Kubernetes");
    let (_, body) = world.send(Method::DELETE, "/pools?poolid=k8s", &[]).await;
    assert_eq!(body["message"], "delete pool failed: pool 'k8s' is not empty (contains storage 'local-lvm')\n");
    world.done(Method::PUT, "/pools?poolid=k8s", &[("storage", "local-lvm"), ("delete", "1")]).await;
    world.done(Method::DELETE, "/pools?poolid=k8s", &[]).await;
    let (_, body) = world.get("/pools?poolid=k8s").await;
    assert_eq!(body["message"], "pool 'k8s' does not exist\n");
}

#[tokio::test]
async fn what_is_said_of_a_managed_vm_is_kept_and_what_is_not_said_is_not_made_up() {
    let world = world().await;
    world.done(Method::POST, "/nodes/pve1/qemu", &VM).await;
    let all = "/cluster/ha/resources";
    world.done(Method::POST, all, &[("sid", "vm:100"), ("comment", "x"), ("max_restart", "3")]).await;
    let one = format!("{all}/vm:100");
    let row = world.get(&one).await.1["data"].clone();
    assert_eq!((&row["comment"], &row["max_restart"]), (&"x".into(), &3.into()));
    assert!(row["state"].is_null() && row["max_relocate"].is_null(), "{row}");
    world.done(Method::PUT, &one, &[("state", "stopped"), ("delete", "comment")]).await;
    let changed = world.get(&one).await.1["data"].clone();
    assert!(changed["comment"].is_null() && changed["state"] == "stopped", "{changed}");
    let (_, body) = world.put(&one, &[("max_restart", "1"), ("digest", row["digest"].as_str().unwrap())]).await;
    let text = "detected modified configuration - file changed by other user? Try again.";
    assert_eq!(body["message"], format!("update resources config failed: {text}\n"));
    let (_, body) = world.put(&one, &[("group", "gg")]).await;
    assert_eq!(body["message"], "invalid parameter 'group': ha groups have been migrated to rules\n");
    world.done(Method::DELETE, &one, &[]).await;
    let (_, body) = world.send(Method::DELETE, &one, &[]).await;
    assert_eq!(body["message"], "cannot delete service 'vm:100', not HA managed!\n");
}

#[tokio::test]
async fn a_rule_is_read_and_changed_and_forgets_a_vm_that_is_not_managed_any_more() {
    let world = world().await;
    for vmid in ["100", "101"] {
        world.done(Method::POST, "/nodes/pve1/qemu", &[("vmid", vmid)]).await;
        world.done(Method::POST, "/cluster/ha/resources", &[("sid", vmid), ("state", "stopped")]).await;
    }
    let (rules, resources) = ("/cluster/ha/rules", ("resources", "vm:101,vm:100"));
    let rule = [("rule", "near"), ("type", "node-affinity"), ("nodes", "pve2,pve1:2"), resources, ("disable", "0")];
    world.done(Method::POST, rules, &rule).await;
    let row = world.get(&format!("{rules}/near")).await.1["data"].clone();
    assert_eq!((&row["resources"], &row["nodes"]), (&"vm:100,vm:101".into(), &"pve1:2,pve2".into()));
    assert_eq!((&row["order"], &row["disable"]), (&1.into(), &Value::Null));
    let kind = ("type", "node-affinity");
    let (_, body) = world.put(&format!("{rules}/near"), &[kind, ("nodes", "pve9")]).await;
    let locked = "error during cfs-locked 'domain-ha' operation";
    assert_eq!(body["message"], format!("update HA rules failed: {locked}: cannot use non-existent node(s) pve9.\n"));
    world.done(Method::PUT, &format!("{rules}/near"), &[kind, ("strict", "1"), ("delete", "comment")]).await;
    assert_eq!(world.get(&format!("{rules}/near")).await.1["data"]["strict"], 1);
    world.done(Method::DELETE, "/cluster/ha/resources/vm:101", &[]).await;
    assert_eq!(world.get(rules).await.1["data"][0]["resources"], "vm:100");
    world.done(Method::DELETE, "/nodes/pve1/qemu/100?purge=1", &[]).await;
    let (_, body) = world.get(&format!("{rules}/near")).await;
    assert_eq!(body["message"], "no such ha rule 'near'\n");
}

#[tokio::test]
async fn options_of_firewalls_are_kept_and_copied_with_a_vm() {
    let world = world().await;
    world.done(Method::POST, "/nodes/pve1/qemu", &[("vmid", "100")]).await;
    let options = |vmid: u32| format!("/nodes/pve1/qemu/{vmid}/firewall/options");
    let empty = world.get(&options(100)).await.1["data"].clone();
    assert_eq!(empty, serde_json::json!({"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}));
    world.done(Method::PUT, &options(100), &[("enable", "1"), ("policy_in", "ACCEPT"), ("dhcp", "0")]).await;
    world.done(Method::PUT, &options(100), &[("delete", "dhcp")]).await;
    world.done(Method::POST, "/nodes/pve1/qemu/100/clone", &[("newid", "101")]).await;
    let copied = world.get(&options(101)).await.1["data"].clone();
    assert_eq!((&copied["enable"], &copied["policy_in"]), (&1.into(), &"ACCEPT".into()));
    assert!(copied["dhcp"].is_null(), "{copied}");
    let stale = [("enable", "0"), ("digest", empty["digest"].as_str().unwrap())];
    let (_, body) = world.put(&options(100), &stale).await;
    let text = "detected modified configuration - file changed by other user? Try again.\n";
    assert_eq!(body["message"], text);
    let (_, body) = world.put(&options(100), &[("delete", "ebtables")]).await;
    assert_eq!(body["errors"]["delete"], "no such option 'ebtables'");
    let limit = ("log_ratelimit", "enable=1,burst=10,rate=5/second");
    world.done(Method::PUT, "/cluster/firewall/options", &[("enable", "1"), limit]).await;
    let cluster = world.get("/cluster/firewall/options").await.1["data"].clone();
    assert_eq!((&cluster["enable"], cluster["log_ratelimit"].as_str()), (&1.into(), Some(limit.1)));
}

#[tokio::test]
async fn what_is_said_of_a_vm_is_read_as_its_file_has_it_and_its_password_never() {
    let world = world().await;
    let form =
        [("vmid", "100"), ("description", "one\ntwo\n\n"), ("cipassword", "s3cret"), ("ide2", "local-lvm:cloudinit")];
    world.done(Method::POST, "/nodes/pve1/qemu", &form).await;
    let config = "/nodes/pve1/qemu/100/config";
    let read = world.get(config).await.1["data"].clone();
    assert_eq!((&read["description"], &read["boot"]), (&"one\ntwo".into(), &" ".into()));
    assert_eq!(read["cipassword"], "**********");
    world.done(Method::POST, config, &[("cipassword", "0ther-s3cret"), ("description", "\n")]).await;
    assert!(world.get(config).await.1["data"]["description"].is_null());
    world.done(Method::PUT, "/nodes/pve1/qemu/100/cloudinit", &[]).await;
    world.done(Method::POST, "/nodes/pve1/qemu/100/snapshot", &[("snapname", "before")]).await;
    let snapshot = world.get(&format!("{config}?snapshot=before")).await.1["data"]["cipassword"].clone();
    let pending = world.get("/nodes/pve1/qemu/100/pending").await.1.to_string();
    assert_eq!(snapshot, "**********");
    let seen = format!("{pending} {:?} {:?}", world.pve.tasks(), world.pve.vms());
    assert!(!seen.contains("s3cret"), "{seen}");
}
