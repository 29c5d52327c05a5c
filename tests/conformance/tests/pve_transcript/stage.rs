//! A hypervisor as it stood when the transcripts were recorded, and what was done to it by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use lab::delays::Delays;
use lab::machine::{Interface, Machine, Machines};
use lab::pve::{Pve, Release, Settings, Storage, StorageKind};
use reqwest::{Client, Method};
use serde_json::Value;

/// Privileges of the token `talos@pve!cli` in the recording.
const TALOS: &[&str] = &[
    "Datastore.AllocateSpace",
    "Datastore.Audit",
    "Pool.Audit",
    "SDN.Use",
    "Sys.Audit",
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.GuestAgent.Audit",
    "VM.PowerMgmt",
];
const SECRET: &str = "11111111-1111-4111-8111-111111111111";

/// Guests that run until they are switched off; their agents answer when a test says so.
#[derive(Default)]
pub(crate) struct Guests {
    on: Mutex<BTreeSet<String>>,
    agent: Mutex<bool>,
}

impl Machines for Guests {
    fn power_on(&self, machine: Machine) {
        self.on.lock().unwrap().insert(machine.uuid);
    }

    fn power_off(&self, uuid: &str) {
        self.on.lock().unwrap().remove(uuid);
    }

    fn is_on(&self, uuid: &str) -> bool {
        self.on.lock().unwrap().contains(uuid)
    }

    fn disk_removed(&self, _disk: &str) {}

    fn agent(&self, _uuid: &str) -> Option<Vec<Interface>> {
        self.agent.lock().unwrap().then(Vec::new)
    }
}

/// An answer: status, reason phrase and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) body: Value,
}

/// The hypervisor with its clients.
pub(crate) struct Stage {
    pub(crate) pve: Pve,
    guests: Arc<Guests>,
    client: Client,
    /// Identifiers of recorded tasks, and of the lab's that stand for them.
    upids: BTreeMap<String, String>,
    /// Digests likewise.
    digests: BTreeMap<String, String>,
}

impl Stage {
    pub(crate) fn start() -> Self {
        let content = ["images", "import", "vztmpl", "snippets", "iso", "backup"];
        let settings = Settings {
            storages: vec![Storage::new("local", StorageKind::Dir, &content)],
            token: "root@pam!full".to_owned(),
            secret: SECRET.to_owned(),
            resources_lag: std::time::Duration::from_secs(3600),
            delays: Delays::ZERO,
            ..Settings::default()
        };
        let guests = Arc::new(Guests::default());
        let pve = Pve::start(settings, Arc::clone(&guests) as _).unwrap();
        pve.add_token("talos@pve!cli", SECRET, &[("/", TALOS)]);
        pve.add_token("root@pam!full", SECRET, &[("/", &[TALOS, &["VM.Clone"]].concat())]);
        pve.add_token("nobody@pve!xx", SECRET, &[]);
        pve.add_pool("talos");
        pve.add_vm(110, "pve1", &[("name", "j1"), ("tags", "a;b")]);
        pve.add_vm(111, "pve1", &[("name", "j2")]);
        pve.add_image("pve1", "local", "iso", "talos.iso", 1 << 20);
        let client = client(&pve);
        Self { pve, guests, client, upids: BTreeMap::new(), digests: BTreeMap::new() }
    }

    /// Two hosts with two cores each, on which calls were made one by one.
    pub(crate) fn of_probes(release: Release) -> Self {
        let content = ["images", "import", "backup", "vztmpl", "iso"];
        let settings = Settings {
            nodes: vec!["pve1".to_owned(), "pve2".to_owned()],
            cores: 2,
            storages: vec![
                Storage::new("local", StorageKind::Dir, &content),
                Storage::new("noimport", StorageKind::Dir, &["iso", "images"]),
            ],
            token: "root@pam!full".to_owned(),
            secret: SECRET.to_owned(),
            release,
            delays: Delays::ZERO,
            ..Settings::default()
        };
        let guests = Arc::new(Guests::default());
        let pve = Pve::start(settings, Arc::clone(&guests) as _).unwrap();
        let agent = if release == Release::V8_4 { "VM.Monitor" } else { "VM.GuestAgent.Audit" };
        let own: Vec<&str> = TALOS.iter().map(|name| if name.starts_with("VM.Guest") { agent } else { name }).collect();
        pve.add_token("talos@pve!cli", SECRET, &[("/", &own)]);
        pve.grant_everything();
        let card = "virtio=BC:24:11:00:00:01,bridge=vmbr0";
        let smbios = "uuid=11111111-2222-4333-8444-000000000100";
        let other = [("name", "other"), ("tags", "a"), ("serial0", "socket"), ("net0", card), ("smbios1", smbios)];
        pve.add_vm(100, "pve1", &other);
        pve.call("POST", "/nodes/pve1/qemu/100/status/start", &[]).unwrap();
        pve.add_image("pve1", "local", "import", "other.qcow2", 1 << 20);
        let client = client(&pve);
        Self { pve, guests, client, upids: BTreeMap::new(), digests: BTreeMap::new() }
    }

    /// Lets the agents of guests answer, or not.
    pub(crate) fn answer_as_agent(&self, answers: bool) {
        *self.guests.agent.lock().unwrap() = answers;
    }

    /// Does what was done by hand before a request.
    pub(crate) async fn prepare(&self, file: &str, line: usize, record: &Value) {
        let creates = record["method"] == "POST" && record["path"] == "/api2/json/nodes/pve1/qemu";
        let claimed = record["body"]["message"].as_str().is_some_and(|text| text.contains("already exists"));
        if creates && !claimed && !record["note"].as_str().is_some_and(|note| note.starts_with("parallel")) {
            let vmid = &record["form"]["vmid"];
            let vmid = vmid.as_u64().or_else(|| vmid.as_str().and_then(|text| text.parse().ok()));
            vmid.and_then(|vmid| u32::try_from(vmid).ok()).into_iter().for_each(|vmid| self.pve.remove_vm(vmid));
        }
        *self.guests.agent.lock().unwrap() =
            record["path"].as_str().is_some_and(|path| path.contains("/agent/")) && record["note"] != "agent down";
        match (file, line) {
            ("transcript-9.2.jsonl", 444) => self.pve.set_option(200, "lock", Some("create")),
            ("transcript-9.2.jsonl", 457) => self.pve.set_option(200, "lock", None),
            ("transcript-9.2-import-locks.jsonl", 50) => self.pve.set_option(801, "lock", Some("create")),
            ("transcript-9.2-import-locks.jsonl", 66) => {
                self.pve.set_option(801, "lock", None);
                self.pve.lock_vm(801, 1);
            }
            ("transcript-9.2-import-locks.jsonl", 68) => self.pve.lock_storage("local", 1),
            _ => {}
        }
        match record["note"].as_str() {
            // The guest of the recording ignored ACPI until it was made to listen.
            Some(note) if note.starts_with("task:") => {}
            _ if record["form"]["timeout"] == 3 => self.pve.ignore_shutdown(200, true),
            _ => self.pve.ignore_shutdown(200, false),
        }
    }

    /// Takes back what failed where the transcript was recorded, for reasons of that place.
    pub(crate) fn undo(&self, record: &Value) {
        let id = match record["note"].as_str() {
            Some("task:full clone") => Some(210),
            _ => record["body"]["data"]["id"].as_str().and_then(|id| id.parse().ok()),
        };
        id.into_iter().for_each(|vmid| self.pve.remove_vm(vmid));
    }

    /// Sends a recorded request.
    pub(crate) async fn send(&mut self, record: &Value) -> Answer {
        let path = self.translated(record["path"].as_str().unwrap());
        let method: Method = record["method"].as_str().unwrap().parse().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.pve.endpoint()));
        if let Some(header) = authorization(record) {
            request = request.header("authorization", header);
        }
        if let Some(form) = record["form"].as_object().filter(|_| record["method"] != "GET") {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            request = match record["enc"].as_str() {
                Some("json") => request.json(form),
                _ => {
                    let pairs: Vec<(&str, String)> =
                        form.iter().map(|(key, value)| (key.as_str(), self.translated(&text(value)))).collect();
                    request.form(&pairs)
                }
            };
        }
        if let Some(raw) = raw_body(record) {
            request = request.body(raw.1).header("content-type", raw.0);
        }
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let phrase = reply.extensions().get::<hyper::ext::ReasonPhrase>();
        let phrase = phrase.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let reason = phrase.unwrap_or_else(|| reply.status().canonical_reason().unwrap_or_default().to_owned());
        let text = reply.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        self.learn(record, &body);
        Answer { status, reason, body }
    }

    fn learn(&mut self, record: &Value, body: &Value) {
        let text = |body: &Value, key: &str| body.pointer(key).and_then(Value::as_str).map(str::to_owned);
        for (key, known) in [("/data", &mut self.upids), ("/data/digest", &mut self.digests)] {
            if let (Some(recorded), Some(own)) = (text(&record["body"], key), text(body, key)) {
                known.insert(recorded, own);
            }
        }
    }

    /// A text with the lab's own identifiers in the place of recorded ones.
    pub(crate) fn translated(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, own) in self.upids.iter().chain(&self.digests) {
            text = text.replace(recorded, own).replace(&encoded(recorded), &encoded(own));
        }
        text
    }
}

fn encoded(upid: &str) -> String {
    upid.replace(':', "%3A").replace('@', "%40").replace('!', "%21")
}

/// The header of a record; those about wrong ones keep it in their note.
fn authorization(record: &Value) -> Option<String> {
    match (record["auth"].as_str(), record["note"].as_str()) {
        (Some("talos"), _) => Some(format!("PVEAPIToken=talos@pve!cli={SECRET}")),
        (Some("nobody"), _) => Some(format!("PVEAPIToken=nobody@pve!xx={SECRET}")),
        (Some("root"), _) => Some(format!("PVEAPIToken=root@pam!full={SECRET}")),
        (_, Some(note)) if note.contains("PVEAPIToken talos@pve!cli=11111111-1111-") => {
            Some(format!("PVEAPIToken talos@pve!cli={SECRET}"))
        }
        (_, Some(note)) => note.strip_prefix("bad auth ").map(str::to_owned),
        _ => None,
    }
}

/// Bodies that are no forms and that the records therefore don't hold.
fn raw_body(record: &Value) -> Option<(&'static str, &'static str)> {
    match (record["method"].as_str(), record["note"].as_str(), record["form"].is_null()) {
        (Some("DELETE"), Some("DELETE with body"), _) => Some(("application/x-www-form-urlencoded", "purge=1")),
        (Some("POST"), None, true) if record["enc"] == "form" => Some(("application/json", "{bad")),
        _ => None,
    }
}

fn client(pve: &Pve) -> Client {
    let ca = pem::parse(pve.ca_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.into_contents().into()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}
