//! The protocol, over real TLS with a client that knows nothing of the lab.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::{Fault, Pve, Release, Settings, Storage};
use lab_core::delays::Delays;
use lab_core::disk_image::{self, Format};
use lab_core::machine::{Image, Interface, Machine, Machines, NicConfig};

mod access;
mod actions;
mod answers;
mod changes;
mod cluster;
mod locks;
mod provider;
mod running;
mod states;
mod terminal;

/// Machines that only note what happens to them.
#[derive(Default)]
struct Guests {
    on: Mutex<BTreeMap<String, Machine>>,
    removed: Mutex<Vec<String>>,
    lines: Mutex<Vec<String>>,
}

impl Machines for Guests {
    fn power_on(&self, machine: Machine) {
        self.on.lock().unwrap().insert(machine.uuid.clone(), machine);
    }

    fn power_off(&self, uuid: &str) {
        self.on.lock().unwrap().remove(uuid);
    }

    fn is_on(&self, uuid: &str) -> bool {
        self.on.lock().unwrap().contains_key(uuid)
    }

    fn disk_removed(&self, disk: &str) {
        self.removed.lock().unwrap().push(disk.to_owned());
    }

    fn agent(&self, _uuid: &str) -> Option<Vec<Interface>> {
        None
    }

    fn console(&self, _uuid: &str, seen: usize) -> Vec<String> {
        self.lines.lock().unwrap().get(seen..).unwrap_or_default().to_vec()
    }
}

struct World {
    pve: Pve,
    guests: Arc<Guests>,
    client: Client,
}

/// Status, reason phrase as the message has it, and the body.
type Answer = (StatusCode, Value);

impl World {
    fn start(settings: Settings) -> Self {
        let guests = Arc::new(Guests::default());
        let pve = Pve::start(settings, Arc::clone(&guests) as _).unwrap();
        let client = client(&pve);
        Self { pve, guests, client }
    }

    async fn send(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let url = format!("{}/api2/json{path}", self.pve.endpoint());
        let mut request = self.client.request(method, url);
        request = request.header("authorization", format!("PVEAPIToken={}", self.pve.token()));
        if !form.is_empty() {
            request = request.form(form);
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        (status, reply.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, form).await
    }

    /// Looks at a VM until it is on or off.
    async fn until_on(&self, vmid: u32, on: bool) {
        let node = self.pve.vm(vmid).unwrap().node;
        let (path, wanted) =
            (format!("/nodes/{node}/qemu/{vmid}/status/current"), if on { "running" } else { "stopped" });
        for _ in 0..100 {
            if self.get(&path).await.1["data"]["status"] == wanted {
                return;
            }
        }
        panic!("VM {vmid} is never {wanted}");
    }

    /// How the last task ended.
    fn exit(&self) -> String {
        self.pve.tasks().last().and_then(|task| task.exit.clone()).unwrap_or_default()
    }

    /// Has an image on `local`, fetched from somewhere.
    async fn with_image(self) -> Self {
        let url = format!("{}/nocloud-amd64.qcow2", images().await);
        let form = [("url", url.as_str()), ("content", "import"), ("filename", "talos.qcow2")];
        let (status, body) = self.post("/nodes/pve1/storage/local/download-url", &form).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(self.exit(), "OK");
        self
    }
}

/// A server with one image of Talos, at `/nocloud-amd64.qcow2` of the URL that this gives.
async fn images() -> String {
    let image = Image {
        schematic: "ab".repeat(32),
        version: "v1.13.9".to_owned(),
        platform: "nocloud".to_owned(),
        extensions: Vec::new(),
    };
    let file = disk_image::make(Format::Qcow2, &image);
    let app = axum::Router::new().route("/nocloud-amd64.qcow2", axum::routing::get(|| async { file }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

fn client(pve: &Pve) -> Client {
    let ca = pem::parse(pve.ca_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.into_contents().into()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(lab_core::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}

const UUID: &str = "11111111-2222-4333-8444-555555555555";
const VM: [(&str, &str); 10] = [
    ("vmid", "100"),
    ("name", "cp-1"),
    ("cpu", "host"),
    ("memory", "4096"),
    ("agent", "1"),
    ("smbios1", "uuid=11111111-2222-4333-8444-555555555555"),
    ("scsi0", "local-lvm:0,import-from=local:import/talos.qcow2"),
    ("ide0", "local-lvm:cloudinit,media=cdrom"),
    ("net0", "virtio=bc:24:11:00:00:01,bridge=vmbr0"),
    ("ipconfig0", "ip=127.9.8.7/24,gw=127.9.8.1"),
];

#[tokio::test]
async fn a_vm_made_from_an_image_boots_it_with_the_address_of_its_cloud_init_drive() {
    let world = World::start(Settings::default()).with_image().await;
    assert_eq!(world.post("/nodes/pve1/qemu", &VM).await.0, StatusCode::OK);
    assert_eq!(world.exit(), "OK");
    let form = [("disk", "scsi0"), ("size", "20G")];
    world.send(Method::PUT, "/nodes/pve1/qemu/100/resize", &form).await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    let machine = world.guests.on.lock().unwrap()[UUID].clone();
    assert_eq!(machine.image.map(|image| image.version).as_deref(), Some("v1.13.9"));
    assert_eq!((machine.macs, machine.disk_size), (vec!["BC:24:11:00:00:01".to_owned()], 20 << 30));
    assert!(matches!(machine.network[..], [NicConfig::Static { prefix: 24, .. }]));
}

#[tokio::test]
async fn the_call_claims_the_id_and_a_failed_task_gives_it_back() {
    let world = World::start(Settings::default()).with_image().await;
    world.pve.fail_create("cp-1", "can't lock file '/var/lock/x' - got timeout", 1);
    assert_eq!(world.post("/nodes/pve1/qemu", &VM).await.0, StatusCode::OK);
    assert_eq!(world.exit(), "unable to create VM 100 - can't lock file '/var/lock/x' - got timeout");
    assert_eq!(world.pve.vms(), []);
    assert!(world.pve.volumes("pve1", "local-lvm").is_empty());
    world.post("/nodes/pve1/qemu", &VM).await;
    let (status, body) = world.post("/nodes/pve1/qemu", &VM).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body["message"], "unable to create VM 100 - VM 100 already exists on node 'pve1'\n");
}

#[tokio::test]
async fn a_running_vm_cannot_be_removed_and_a_removed_one_leaves_nothing() {
    let world = World::start(Settings::default()).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    let (_, body) = world.send(Method::DELETE, "/nodes/pve1/qemu/100?purge=1", &[]).await;
    assert_eq!(body["message"], "VM 100 is running - destroy failed\n");
    world.post("/nodes/pve1/qemu/100/status/stop", &[]).await;
    world.send(Method::DELETE, "/nodes/pve1/qemu/100?purge=1", &[]).await;
    assert_eq!((world.exit().as_str(), world.pve.vms().len()), ("OK", 0));
    assert_eq!(world.guests.removed.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn memory_of_a_running_vm_changes_at_its_next_start_and_a_stale_digest_is_refused() {
    let world = World::start(Settings::default()).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    world.post("/nodes/pve1/qemu/100/status/start", &[]).await;
    let digest = world.get("/nodes/pve1/qemu/100/config").await.1["data"]["digest"].clone();
    let config = "/nodes/pve1/qemu/100/config";
    assert_eq!(world.send(Method::PUT, config, &[("memory", "8192")]).await.0, StatusCode::OK);
    assert_eq!(world.get(&format!("{config}?current=1")).await.1["data"]["memory"], "4096");
    assert_eq!(world.get(config).await.1["data"]["memory"], "8192");
    world.send(Method::PUT, config, &[("description", "x")]).await;
    let stale = [("cores", "2"), ("digest", digest.as_str().unwrap())];
    let (_, body) = world.send(Method::PUT, config, &stale).await;
    assert_eq!(body["message"], "checksum mismatch (file change by other user?)\n");
}

#[tokio::test]
async fn a_card_that_is_set_without_its_address_gets_a_new_one() {
    let world = World::start(Settings::default()).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    world.send(Method::PUT, "/nodes/pve1/qemu/100/config", &[("net0", "virtio,bridge=vmbr0")]).await;
    let card = world.pve.vm(100).unwrap().config["net0"].clone();
    assert!(card.starts_with("virtio=BC:24:11:") && !card.contains("00:00:01"), "{card}");
}

#[tokio::test]
async fn without_rights_lists_are_empty_and_calls_name_the_privilege() {
    let world = World::start(Settings::default()).with_image().await;
    world.post("/nodes/pve1/qemu", &VM).await;
    world.pve.add_token("ichor@pve!lab", "00000000-1111-4222-8333-444444444444", &[]);
    assert_eq!(world.get("/cluster/resources?type=vm").await.1["data"], Value::Array(Vec::new()));
    let (status, body) = world.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["message"], "Permission check failed (/vms/100, VM.Audit)\n");
}

#[tokio::test]
async fn a_wrong_token_is_held_back_and_gets_no_body() {
    let settings =
        Settings { delays: Delays { tarpit: Duration::from_millis(50), ..Delays::ZERO }, ..Settings::default() };
    let world = World::start(settings);
    let started = std::time::Instant::now();
    let url = format!("{}/api2/json/version", world.pve.endpoint());
    let reply = world.client.get(url).header("authorization", "PVEAPIToken=a@b!cc=d").send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(reply.text().await.unwrap(), "");
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn an_upload_is_read_as_it_streams_and_checked() {
    let world = World::start(Settings::default());
    let image = Image {
        schematic: "ab".repeat(32),
        version: "v1.13.9".to_owned(),
        platform: "nocloud".to_owned(),
        extensions: Vec::new(),
    };
    let bytes = disk_image::make(Format::Qcow2, &image);
    let file = reqwest::multipart::Part::bytes(bytes).file_name("up.qcow2");
    let form = reqwest::multipart::Form::new().text("content", "import").part("filename", file);
    let url = format!("{}/api2/json/nodes/pve1/storage/local/upload", world.pve.endpoint());
    let token = format!("PVEAPIToken={}", world.pve.token());
    let reply = world.client.post(url).header("authorization", token).multipart(form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK, "{}", reply.text().await.unwrap());
    assert_eq!(world.pve.volumes("pve1", "local"), ["local:import/up.qcow2"]);
}

#[tokio::test]
async fn an_existing_file_is_taken_only_with_its_own_checksum() {
    let world = World::start(Settings::default()).with_image().await;
    let path = "/nodes/pve1/storage/local/download-url";
    let form = [("url", "http://127.0.0.1:1/x"), ("content", "import"), ("filename", "talos.qcow2")];
    world.post(path, &form).await;
    assert_eq!(world.exit(), "refusing to override existing file '/var/lib/vz/import/talos.qcow2'");
    let wrong = "0".repeat(64);
    let mut form = form.to_vec();
    form.extend([("checksum", wrong.as_str()), ("checksum-algorithm", "sha256")]);
    world.post(path, &form).await;
    assert!(world.exit().ends_with(", aborting"), "{}", world.exit());
}

#[tokio::test]
async fn a_storage_that_takes_no_images_to_import_says_so() {
    let storages = vec![Storage::new("local", super::StorageKind::Dir, &["iso"])];
    let world = World::start(Settings { storages, ..Settings::default() });
    let form = [("url", "http://127.0.0.1:1/x"), ("content", "import"), ("filename", "talos.qcow2")];
    let (_, body) = world.post("/nodes/pve1/storage/local/download-url", &form).await;
    assert_eq!(body["message"], "storage 'local' is not configured for content-type 'import'\n");
}

#[tokio::test]
async fn a_task_of_a_held_vm_ends_when_it_is_released() {
    let world = World::start(Settings::default()).with_image().await;
    world.pve.hold("cp-1");
    world.post("/nodes/pve1/qemu", &VM).await;
    assert_eq!((world.exit().as_str(), world.pve.vms()[0].name.as_str()), ("", "cp-1"));
    world.pve.release("cp-1");
    let done = world.pve.until(|pve| pve.tasks().iter().all(|task| task.exit.is_some()));
    tokio::time::timeout(Duration::from_secs(10), done).await.unwrap();
    assert_eq!(world.exit(), "OK");
}

#[tokio::test]
async fn a_lost_reply_has_acted_and_a_refused_request_has_not() {
    let world = World::start(Settings::default()).with_image().await;
    world.pve.fault(
        "POST",
        "/qemu",
        Fault::Fail { status: 500, message: "got no worker upid - start worker failed".to_owned() },
    );
    assert_eq!(world.post("/nodes/pve1/qemu", &VM).await.1["message"], "got no worker upid - start worker failed\n");
    assert_eq!(world.pve.vms().len(), 0);
    world.pve.fault("POST", "/qemu", Fault::LoseReply);
    let url = format!("{}/api2/json/nodes/pve1/qemu", world.pve.endpoint());
    let token = format!("PVEAPIToken={}", world.pve.token());
    assert!(world.client.post(url).header("authorization", token).form(&VM).send().await.is_err());
    assert_eq!(world.pve.vms().len(), 1);
}
