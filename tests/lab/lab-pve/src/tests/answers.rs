//! The fields of the real code's answers, and states of the cluster that change them.

use super::changes::world;
use super::cluster::three;
use super::*;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_vm_shows_figures_of_its_disks_and_its_emulator_only_while_it_runs() {
    let of_emulator = ["diskread", "diskwrite", "nics", "proxmox-support", "running-machine", "running-qemu"];
    let world = world().await;
    world.send(Method::PUT, "/nodes/pve1/qemu/100/config", &[("serial0", "socket"), ("machine", "q35")]).await;
    let current = "/nodes/pve1/qemu/100/status/current";
    let off = world.get(current).await.1["data"].clone();
    for key in of_emulator.iter().chain(&["pid", "pressurecpufull"]) {
        assert!(!keys(&off).contains(key), "{key}: {off}");
    }
    assert_eq!((&off["serial"], &off["qmpstatus"]), (&1.into(), &"stopped".into()));
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    let on = world.get(current).await.1["data"].clone();
    let full = world.get("/nodes/pve1/qemu?full=1").await.1["data"][0].clone();
    for key in of_emulator.iter().chain(&["pid", "serial", "pressurecpufull", "pressurememorysome", "qmpstatus"]) {
        assert!(keys(&on).contains(key) && keys(&full).contains(key), "{key}: {on} {full}");
    }
    assert_eq!((&on["running-qemu"], &on["running-machine"]), (&"10.1.2".into(), &"pc-q35-10.1+pve0".into()));
    assert!(keys(&on["nics"]) == ["tap100i0"], "{on}");
    let row = world.get("/nodes/pve1/qemu").await.1["data"][0].clone();
    for key in of_emulator.iter().chain(&["qmpstatus"]) {
        assert!(!keys(&row).contains(key), "{key}: {row}");
    }
    assert!(keys(&row).contains(&"pid") && keys(&row).contains(&"serial"), "{row}");
}

#[tokio::test]
async fn release_8_has_an_older_emulator_no_pressure_and_its_own_line_for_paths() {
    let world = World::start(Settings { release: Release::V8_4, ..Settings::default() }).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    let on = world.get("/nodes/pve1/qemu/100/status/current").await.1["data"].clone();
    assert_eq!((&on["running-qemu"], on.get("pressurecpufull")), (&"9.2.0".into(), None));
    assert!(world.pve.vm(100).unwrap().config["meta"].starts_with("creation-qemu=9.2.0,"));
    let (_, body) = world.post("/nodes/pve1/qemu", &[("vmid", "101"), ("scsi0", "/dev/sda")]).await;
    let text = "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 581.\n";
    assert_eq!(body["message"], text);
    let rows = world.get("/cluster/resources?type=sdn").await.1["data"].clone();
    assert_eq!((&rows[0]["type"], &rows[0]["sdn"]), (&"sdn".into(), &"localnetwork".into()));
}

#[tokio::test]
async fn lists_of_the_cluster_have_the_fields_of_the_real_ones() {
    let world = world().await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    let rows = world.get("/cluster/resources").await.1["data"].clone();
    let row = |kind: &str| rows.as_array().unwrap().iter().find(|row| row["type"] == kind).unwrap().clone();
    for key in ["diskread", "diskwrite", "netin", "netout", "memhost"] {
        assert!(keys(&row("qemu")).contains(&key), "{key}");
    }
    assert_eq!((&row("network")["network"], &row("network")["network-type"]), (&"localnetwork".into(), &"zone".into()));
    assert!(keys(&row("node")).contains(&"cgroup-mode"));
    assert!(!keys(&world.get("/nodes").await.1["data"][0]).contains(&"cgroup-mode"));
    let storage = world.get("/storage").await.1["data"][0].clone();
    assert_eq!((&storage["path"], storage.get("shared")), (&"/var/lib/vz".into(), None));
    assert_eq!(storage["digest"].as_str().map(str::len), Some(40));
    let task = world.get("/cluster/tasks").await.1["data"][0].clone();
    assert_eq!((&task["saved"], task.get("pid"), task.get("pstart")), (&"1".into(), None, None));
}

#[tokio::test]
async fn the_next_id_is_text_and_the_upper_bound_is_none() {
    let world = World::start(Settings::default());
    assert_eq!(world.get("/cluster/nextid").await.1["data"], "100");
    world.pve.set_next_ids(1000, 1001);
    assert_eq!(world.get("/cluster/nextid").await.1["data"], "1000");
    world.pve.add_vm(1000, "pve1", &[]);
    let (status, body) = world.get("/cluster/nextid").await;
    assert_eq!(
        (status.as_u16(), &body["message"]),
        (500, &"unable to get any free VMID in range [1000, 1001]\n".into())
    );
}

#[tokio::test]
async fn vms_of_a_host_that_is_offline_have_no_names_after_the_one_that_answers_was_restarted() {
    let world = World::start(three());
    world.pve.add_vm(101, "pve2", &[("name", "c-2"), ("tags", "ichor")]);
    world.pve.add_vm(102, "pve1", &[("name", "c-1")]);
    let path = "/cluster/resources?type=vm";
    assert_eq!(world.get(path).await.1["data"][0]["name"], "c-2");
    world.pve.take_offline("pve2");
    assert_eq!(world.get(path).await.1["data"][0]["name"], "c-2", "what it said last is known");
    world.pve.forget_broadcasts();
    let rows = world.get(path).await.1["data"].clone();
    let row = serde_json::json!({
        "id": "qemu/101", "node": "pve2", "status": "unknown", "tags": "ichor", "type": "qemu", "vmid": 101,
    });
    assert_eq!((&rows[0], &rows[1]["name"]), (&row, &"c-1".into()));
    world.pve.bring_online("pve2");
    assert_eq!(world.get(path).await.1["data"][0]["name"], "c-2");
}

#[tokio::test]
async fn a_host_without_quorum_makes_no_vm_and_changes_no_configuration() {
    let world = World::start(three()).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    let quorate = async || world.get("/cluster/status").await.1["data"][0]["quorate"].clone();
    assert_eq!(quorate().await, 1);
    world.pve.cut_off("pve1", true);
    assert_eq!(quorate().await, 0);
    let (status, body) = world.post("/nodes/pve1/qemu", &[("vmid", "101")]).await;
    assert_eq!((status.as_u16(), &body["message"]), (500, &"cluster not ready - no quorum?\n".into()));
    let denied = |text: &str| {
        text.starts_with("unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp.")
            && text.trim_end().ends_with("' - Permission denied")
    };
    let config = "/nodes/pve1/qemu/100/config";
    let (status, body) = world.send(Method::PUT, config, &[("cores", "2")]).await;
    assert!(status.as_u16() == 500 && denied(body["message"].as_str().unwrap()), "{body}");
    world.post(config, &[("cores", "2")]).await;
    assert!(denied(&world.exit()), "{}", world.exit());
    world.send(Method::DELETE, "/nodes/pve1/qemu/100", &[]).await;
    assert!(denied(&world.exit()) && world.pve.vm(100).is_some(), "{}", world.exit());
    world.pve.cut_off("pve1", false);
    world.post(config, &[("cores", "2")]).await;
    assert_eq!(world.exit(), "OK");
}

#[tokio::test]
async fn without_rights_of_its_own_a_token_sees_nothing_and_is_told_nothing() {
    let world = world().await;
    world.pve.add_token("ichor@pve!lab", "00000000-1111-4222-8333-444444444444", &[]);
    for path in ["/cluster/resources", "/nodes/pve1/qemu", "/nodes/pve1/storage", "/storage"] {
        let (status, body) = world.get(path).await;
        let rows = body["data"].as_array().unwrap().iter().filter(|row| row["type"] != "node");
        assert_eq!((status, rows.count()), (StatusCode::OK, 0), "{path}: {body}");
    }
    assert_eq!(world.get("/access/permissions").await.1["data"], serde_json::json!({}));
    let (status, body) = world.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!((status.as_u16(), &body["message"]), (403, &"Permission check failed (/vms/100, VM.Audit)\n".into()));
}

#[tokio::test]
async fn what_lies_between_two_hosts_answers_without_a_body() {
    let world = World::start(Settings::default());
    world.pve.fault("GET", "/version", Fault::Fail { status: 596, message: "Broken pipe".to_owned() });
    let (status, body) = world.get("/version").await;
    assert_eq!((status.as_u16(), body), (596, Value::Null));
}

const DOWNLOAD: &str = "/nodes/pve1/storage/local/download-url";

#[tokio::test]
async fn a_file_that_is_there_is_verified_by_the_host_when_a_digest_is_given() {
    let world = World::start(Settings::default());
    world.pve.add_image("pve1", "local", "import", "talos.qcow2", 1 << 20);
    let got = disk_image::Found::unknown("talos.qcow2", 1).sha256;
    let wrong = "0".repeat(64);
    let form = |digest| {
        let file = [("url", "http://127.0.0.1:1/x"), ("content", "import"), ("filename", "talos.qcow2")];
        [&file[..], &[("checksum", digest), ("checksum-algorithm", "sha256")]].concat()
    };
    world.post(DOWNLOAD, &form(&got)).await;
    let log = world.pve.tasks().pop().unwrap().log;
    let line = "calculating checksum of existing file...OK, got correct file already, no need to download";
    assert_eq!(log, [line, "TASK OK"]);
    world.post(DOWNLOAD, &form(&wrong)).await;
    assert_eq!(world.exit(), format!("checksum mismatch: got '{got}' != expect '{wrong}', aborting"));
    world.post(DOWNLOAD, &form(&got)[..3]).await;
    assert_eq!(world.exit(), "refusing to override existing file '/var/lib/vz/import/talos.qcow2'");
}

#[tokio::test]
async fn a_download_that_fails_ends_with_the_last_words_of_its_program() {
    let world = World::start(Settings::default());
    let form = [("url", "http://127.0.0.1:1/x"), ("content", "import"), ("filename", "x.qcow2")];
    world.post(DOWNLOAD, &form).await;
    let text = "download failed: Connecting to 127.0.0.1:1... failed: Connection refused.";
    let log = world.pve.tasks().pop().unwrap().log;
    assert_eq!(
        (world.exit().as_str(), log[0].as_str()),
        (text, "downloading http://127.0.0.1:1/x to /var/lib/vz/import/x.qcow2")
    );
    assert!(log[1].starts_with("--20") && log[1].ends_with("--  http://127.0.0.1:1/x") && log.len() == 3, "{log:?}");
}

/// Sends a file with fields before it.
async fn uploaded(world: &World, fields: &[(&'static str, String)], bytes: Vec<u8>) -> (u16, String) {
    let part = |name: &str| reqwest::multipart::Part::bytes(name.as_bytes().to_vec());
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in fields {
        form = form.part(*name, part(value));
    }
    form = form.part("filename", reqwest::multipart::Part::bytes(bytes).file_name("up.raw"));
    let url = format!("{}/api2/json/nodes/pve1/storage/local/upload", world.pve.endpoint());
    let token = format!("PVEAPIToken={}", world.pve.token());
    let reply = world.client.post(url).header("authorization", token).multipart(form).send().await.unwrap();
    (reply.status().as_u16(), reply.text().await.unwrap())
}

#[tokio::test]
async fn an_upload_may_be_of_any_size_and_names_the_algorithm_before_the_digest() {
    use sha2::Digest as _;
    let world = World::start(Settings::default());
    let bytes = vec![7_u8; 9 << 20];
    let digest = disk_image::hex(&sha2::Sha256::digest(&bytes));
    let content = ("content", "import".to_owned());
    let (algorithm, sum) = (("checksum-algorithm", "sha256".to_owned()), ("checksum", digest));
    let (status, body) = uploaded(&world, &[content.clone(), sum.clone(), algorithm.clone()], vec![7]).await;
    assert_eq!((status, body.as_str()), (400, ""));
    let (status, body) = uploaded(&world, &[content, algorithm, sum], bytes).await;
    assert_eq!(status, 200, "{body}");
    let task = world.pve.tasks().pop().unwrap();
    assert!(task.upid.contains(":imgcopy::ichor@pve!lab:"), "{}", task.upid);
    assert_eq!(task.exit.as_deref(), Some("OK"));
    assert_eq!(task.log[1], "calculating checksum...OK, checksum verified");
    assert_eq!(task.log[6..], ["finished file import successfully", "TASK OK"]);
}

#[tokio::test]
async fn an_upload_is_refused_in_words_of_its_own() {
    let storages = vec![Storage::new("local", super::super::StorageKind::Dir, &["iso"])];
    let world = World::start(Settings { storages, ..Settings::default() });
    let (status, body) = uploaded(&world, &[("content", "import".to_owned())], vec![7]).await;
    assert_eq!(status, 500);
    assert!(body.contains("storage 'local' does not support 'import' content"), "{body}");
}

#[tokio::test]
async fn a_file_of_garbage_under_the_right_name_fails_where_it_is_imported() {
    let world = World::start(Settings::default()).with_image().await;
    assert!(world.pve.spoil_image("pve1", "local:import/talos.qcow2", 12));
    world.post("/nodes/pve1/qemu", &VM).await;
    assert!(world.exit().ends_with("Image is not in qcow2 format"), "{}", world.exit());
    assert_eq!(world.pve.vms(), []);
    let rows = world.get("/nodes/pve1/storage/local/content?content=import").await.1["data"].clone();
    assert_eq!(rows[0]["size"], 12);
}

#[tokio::test]
async fn an_imported_file_keeps_its_format_in_a_folder() {
    let dir = Storage::new("dir", super::super::StorageKind::Dir, &["images"]);
    let world =
        World::start(Settings { storages: vec![Storage::local(), dir], ..Settings::default() }).with_image().await;
    world.post("/nodes/pve1/qemu", &[("vmid", "100"), ("scsi0", "dir:0,import-from=local:import/talos.qcow2")]).await;
    let disk = world.pve.vm(100).unwrap().config["scsi0"].clone();
    assert!(disk.starts_with("dir:100/vm-100-disk-0.qcow2,"), "{disk}");
}
