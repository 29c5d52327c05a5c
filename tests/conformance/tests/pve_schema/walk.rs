//! What a schema allows is accepted, and what only the other release's schema allows is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conformance::text;
use judges::vectors;
use lab::pve::{Pve, Release, Settings};
use serde_json::Value;

use super::{Nobody, client, methods, parameters, placed};

/// A parameter that no release knows: with it no request is carried out.
const PROBE: &str = "zz_probe";
const UNKNOWN: &str = "property is not defined in schema and the schema does not allow additional properties";

/// Values for named formats.
const FORMATS: &[(&str, &str)] = &[
    ("CIDR", "192.0.2.0/24"),
    ("address", "192.0.2.1"),
    ("address-list", "192.0.2.1"),
    ("backup-fleecing", "enabled=0"),
    ("backup-performance", "max-workers=1"),
    ("disk-size", "1G"),
    ("dns-name", "a.example"),
    ("email-opt", "a@example.com"),
    ("email-or-username-list", "root@pam"),
    ("mac-addr", "BC:24:11:00:00:01"),
    ("prune-backups", "keep-last=1"),
    ("pve-acl-path", "/vms"),
    ("pve-bridge-id", "vmbr0"),
    ("pve-configid", "ab"),
    ("pve-cpuset", "0-3"),
    ("pve-node-list", "pve1"),
    ("pve-qm-ide", "local:1"),
    ("string-list", "x"),
    ("ip", "192.0.2.1"),
    ("ip-list", "192.0.2.1"),
    ("ipv4", "192.0.2.1"),
    ("ipv6", "2001:db8::1"),
    ("pve-configid-list", "ab"),
    ("pve-groupid", "g"),
    ("pve-groupid-list", "g"),
    ("pve-ha-resource-id", "vm:100"),
    ("pve-ha-resource-id-list", "vm:100"),
    ("pve-ha-resource-or-vm-id", "vm:100"),
    ("pve-ha-node-list", "pve1"),
    ("pve-ha-group-node-list", "pve1"),
    ("pve-hotplug-features", "disk"),
    ("pve-node", "pve1"),
    ("pve-phys-bits", "40"),
    ("pve-poolid", "p"),
    ("pve-priv-list", "VM.Audit"),
    ("pve-qemu-sev-fmt", "std"),
    ("pve-qemu-tdx-fmt", "tdx,attestation=1"),
    ("pve-qm-boot", "order=net0"),
    ("pve-qm-bootdisk", "scsi0"),
    ("pve-qm-cicustom", "user=local:snippets/x"),
    ("pve-qm-hostpci", "mapping=ab"),
    ("pve-qm-ipconfig", "ip=dhcp"),
    ("pve-qm-rng", "/dev/urandom"),
    ("pve-qm-smbios1", "serial=x"),
    ("pve-qm-watchdog", "i6300esb"),
    ("pve-realm", "pve"),
    ("pve-roleid", "R"),
    ("pve-roleid-list", "R"),
    ("pve-startup-order", "order=1"),
    ("pve-storage-content", "images"),
    ("pve-storage-content-list", "images"),
    ("pve-storage-id", "local"),
    ("pve-storage-id-list", "local"),
    ("pve-storage-path", "/x"),
    ("pve-tag-list", "a"),
    ("pve-task-status-type-list", "ok"),
    ("pve-tokenid", "u@pve!tt"),
    ("pve-tokenid-list", "u@pve!tt"),
    ("pve-userid", "u@pve"),
    ("pve-userid-list", "u@pve"),
    ("pve-vm-cpu-conf", "host"),
    ("pve-vmid", "100"),
    ("pve-vmid-list", "100"),
    ("pve-volume-id", "local:iso/x.iso"),
    ("pve-volume-id-or-absolute-path", "local:import/x.raw"),
    ("pve-volume-id-or-qm-path", "local:1"),
    ("storage-pair-list", "local"),
    ("urlencoded", "x"),
];

/// Values for patterns, by a part of each.
const PATTERNS: &[(&str, &str)] = &[
    ("[a-f0-9]{2}:[a-f0-9]{2}", "0000:01:00.0"),
    ("[a-fA-F0-9]{8}(?:-", "11111111-2222-4333-8444-555555555555"),
    ("[Ss][Pp][Ii]", "spice"),
    ("0x[0-9a-fA-F]{4}", "0x8086"),
    ("(0x)[0-9a-fA-F]{16}", "0x5000c500a0000000"),
    ("\\d+(?:-\\d+)?", "0-3;5"),
    ("([+-])", "+aes"),
    ("now|", "2026-01-02T03:04:05"),
    ("second|minute", "5/second"),
    ("parport", "/dev/parport0"),
    ("socket", "socket"),
    ("https?://", "https://192.0.2.1/x"),
    ("\\+?\\d+(\\.\\d+)?[KMGT]?", "+1G"),
    ("net\\d+=\\d+", "net0=1500"),
    ("[acdn]{1,4}", "cdn"),
    ("pc-q35", "q35"),
    ("pve-\\S+", "pve-x"),
    ("\\@(?^:[A-Za-z]", "u@pve"),
];

/// A value that the schema allows.
fn allowed(schema: &Value) -> String {
    if let Some(word) = schema["enum"].as_array().and_then(|words| words[0].as_str()) {
        return word.to_owned();
    }
    if let Some(format) = schema["format"].as_str() {
        let known = FORMATS.iter().find(|(name, _)| *name == format);
        return known.unwrap_or_else(|| panic!("no value for the format {format}")).1.to_owned();
    }
    if let Some(keys) = schema["format"].as_object() {
        let needed = keys.iter().filter(|(_, key)| key["optional"].is_null() && key["alias"].is_null());
        let needed: Vec<String> = needed.map(|(name, key)| format!("{name}={}", allowed(key))).collect();
        let first = || {
            keys.iter().find(|(_, key)| key["alias"].is_null()).map(|(name, key)| format!("{name}={}", allowed(key)))
        };
        return if needed.is_empty() { first().unwrap_or_default() } else { needed.join(",") };
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        let known = PATTERNS.iter().find(|(part, _)| pattern.contains(part));
        return known.map_or("x", |(_, value)| value).to_owned();
    }
    match schema["type"].as_str() {
        // The published schema omits a list that is computed: the ways to compress.
        _ if schema.get("enum").is_some_and(Value::is_null) => "zst".to_owned(),
        Some("boolean") => "1".to_owned(),
        Some("integer" | "number") => schema["minimum"].as_f64().unwrap_or(1.0).to_string(),
        _ => "x".to_owned(),
    }
}

/// The parameters of every method by release, and those of its calls that the lab serves.
struct Walk {
    pve: Pve,
    client: reqwest::Client,
    own: BTreeMap<(String, String), Value>,
    other: BTreeMap<(String, String), Value>,
    wrong: Vec<String>,
    compared: usize,
}

fn schema(file: &str) -> Option<BTreeMap<(String, String), Value>> {
    let schema: Value = serde_json::from_str(&text(&vectors("pve")?.join(file))).unwrap();
    let mut all = Vec::new();
    methods(&schema, &mut all);
    let key = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    Some(all.into_iter().map(|(method, path, info)| (key(method, path), info.clone())).collect())
}

impl Walk {
    fn start(own: &str, other: &str, release: Release) -> Option<Self> {
        let pve = Pve::start(Settings { release, ..Settings::default() }, Arc::new(Nobody)).unwrap();
        pve.grant_everything();
        pve.add_vm(100, "pve1", &[("name", "x")]);
        let client = client(&pve);
        Some(Self { client, pve, own: schema(own)?, other: schema(other)?, wrong: Vec::new(), compared: 0 })
    }

    /// Sends parameters with one that nobody knows; gives the texts by parameter, or nothing where the lab serves no
    /// such call.
    async fn refusals(&self, method: &str, path: &str, sent: &[(String, String)]) -> Option<Value> {
        let url = format!("{}/api2/json{}", self.pve.endpoint(), placed(path));
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request.header("authorization", format!("PVEAPIToken={}", self.pve.token()));
        let sent: Vec<(String, String)> = sent.iter().cloned().chain([(PROBE.to_owned(), "1".to_owned())]).collect();
        let request = match method {
            "GET" | "DELETE" => request.query(&sent),
            _ => request.form(&sent),
        };
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let body: Value = reply.json().await.unwrap_or_default();
        assert!(matches!(status, 400 | 401 | 403 | 501), "{method} {path}: {status} {body}");
        assert!(status != 400 || body["errors"][PROBE] == UNKNOWN, "{method} {path}: {body}");
        (status == 400).then(|| body["errors"].clone())
    }

    async fn method(&mut self, method: &str, path: &str) {
        if self.refusals(method, path, &[]).await.is_none() {
            return;
        }
        let key = (method.to_owned(), path.to_owned());
        let own = self.own.get(&key).map(|info| parameters(info, path)).unwrap_or_default();
        let other = self.other.get(&key).map(|info| parameters(info, path)).unwrap_or_default();
        let sent: Vec<(String, String)> = own.iter().map(|(name, schema)| (name.clone(), allowed(schema))).collect();
        let strange = other.keys().filter(|name| !own.contains_key(*name));
        let strange: Vec<(String, String)> = strange.map(|name| (name.clone(), "1".to_owned())).collect();
        let sent = [sent, strange.clone()].concat();
        let Some(errors) = self.refusals(method, path, &sent).await else { return };
        for (name, value) in &sent {
            let known = own.contains_key(name);
            let fits = if known { errors[name].is_null() } else { errors[name] == UNKNOWN };
            self.note(fits, || format!("{method} {path} {name}={value}: {}", errors[name]));
        }
        self.keys(method, path, &own, &other).await;
    }

    fn note(&mut self, fits: bool, text: impl Fn() -> String) {
        self.compared += 1;
        if !fits {
            self.wrong.push(text());
        }
    }

    /// Each key inside the parameters: the first of each in one request, then the second of each, and so on.
    async fn keys(&mut self, method: &str, path: &str, own: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) {
        let names = |name: &String| -> Vec<String> {
            let of =
                |all: &BTreeMap<String, Value>| all.get(name).and_then(|schema| schema["format"].as_object().cloned());
            let keys: BTreeSet<String> = [of(own), of(other)]
                .into_iter()
                .flatten()
                .flat_map(|keys| keys.into_iter().map(|(key, _)| key))
                .collect();
            keys.into_iter().collect()
        };
        let listed: BTreeMap<&String, Vec<String>> = own.keys().map(|name| (name, names(name))).collect();
        for index in 0..listed.values().map(Vec::len).max().unwrap_or(0) {
            let chosen = listed.iter().filter_map(|(name, keys)| Some(((*name).clone(), keys.get(index)?.clone())));
            let chosen: Vec<(String, String)> = chosen.collect();
            let sent: Vec<(String, String)> =
                chosen.iter().map(|(name, key)| (name.clone(), with_key(&own[name], &other[name], key))).collect();
            let Some(errors) = self.refusals(method, path, &sent).await else { return };
            for ((name, key), (_, value)) in chosen.iter().zip(&sent) {
                let error = errors[name].as_str().unwrap_or_default();
                let known = !own[name]["format"][key].is_null();
                let unknown = error.contains(&format!("{name}.{key}: {UNKNOWN}"));
                let fits = if known { error.is_empty() } else { unknown };
                self.note(fits, || format!("{method} {path} {name}={value}: {error:?}"));
            }
        }
    }
}

/// A value with this key, and with those that the schema requires.
fn with_key(own: &Value, other: &Value, key: &str) -> String {
    let (Some(keys), of_other) = (own["format"].as_object(), &other["format"][key]) else { return String::new() };
    let given = if keys.contains_key(key) { &keys[key] } else { of_other };
    let target = given["alias"].as_str();
    let schema = target.map_or(given, |target| if keys.contains_key(target) { &keys[target] } else { given });
    let needed = keys.iter().filter(|(name, schema)| {
        let required = schema["optional"].is_null() && schema["alias"].is_null();
        let wanted = given["requires"].as_str() == Some(name.as_str());
        (required || wanted)
            && *name != key
            && target != Some(name.as_str())
            && given["keyAlias"].as_str() != Some(name.as_str())
    });
    let needed = needed.map(|(name, schema)| format!("{name}={}", allowed(schema)));
    needed.chain([format!("{key}={}", allowed(schema))]).collect::<Vec<_>>().join(",")
}

async fn walk(own: &str, other: &str, release: Release, at_least: usize) {
    let Some(mut walk) = Walk::start(own, other, release) else { return };
    let all: BTreeSet<(String, String)> = walk.own.keys().chain(walk.other.keys()).cloned().collect();
    for (method, path) in all {
        if placed(&path).contains('{') || path.ends_with("/upload") {
            continue;
        }
        walk.method(&method, &path).await;
    }
    let Walk { wrong, compared, .. } = walk;
    assert!(wrong.is_empty(), "{compared} compared, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= at_least, "only {compared} parameters and keys were compared");
}

#[tokio::test]
async fn what_9_allows_is_accepted_and_what_only_8_allows_is_not() {
    walk("apidata-9.1.json", "apidata-8.4.json", Release::V9_2, 1000).await;
}

#[tokio::test]
async fn what_8_allows_is_accepted_and_what_only_9_allows_is_not() {
    walk("apidata-8.4.json", "apidata-9.1.json", Release::V8_4, 1000).await;
}
