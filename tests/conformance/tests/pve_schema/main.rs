//! The lab's parameters against Proxmox VE's published API schema, of 9.x and of 8.4.
//!
//! For every method that the lab serves, each parameter of the schema is sent with values that the schema forbids, all
//! in one request; the lab must refuse each in the words that Proxmox VE has for it. So a wrong request fails on the
//! lab as it would fail on the real thing. Likewise each parameter, and each key inside one, is sent with a value that
//! the schema allows ([`walk`]), together with those that only the other release knows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use conformance::text;
use judges::vectors;
use lab::machine::{Interface, Machine, Machines};
use lab::pve::{Pve, Release, Settings};
use serde_json::Value;

struct Nobody;

impl Machines for Nobody {
    fn power_on(&self, _machine: Machine) {}
    fn power_off(&self, _uuid: &str) {}
    fn is_on(&self, _uuid: &str) -> bool {
        false
    }
    fn disk_removed(&self, _disk: &str) {}
    fn agent(&self, _uuid: &str) -> Option<Vec<Interface>> {
        None
    }
}

/// The beginning of the refusal of a value that a named format does not allow.
const FORMAT: &str = "invalid format - ";

/// A value that the schema forbids, and the text that it is refused with.
fn forbidden(schema: &Value) -> Option<(String, String)> {
    let at_least = |bound: f64| format!("value must have a minimum value of {bound}");
    let words = schema["enum"].as_array();
    if let Some(words) = words {
        let list: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let text = format!("value 'zz' does not have a value in the enumeration '{}'", list.join(", "));
        return Some(("zz".to_owned(), text));
    }
    // A named format is checked before a bound.
    let minimum = schema["minimum"].as_f64().filter(|_| schema["format"].is_null());
    match (schema["type"].as_str()?, minimum, schema["maxLength"].as_u64()) {
        (kind @ ("boolean" | "integer" | "number"), None, _) => {
            Some(("zz".to_owned(), format!("type check ('{kind}') failed - got 'zz'")))
        }
        ("integer" | "number", Some(bound), _) => Some(((bound - 1.0).to_string(), at_least(bound))),
        ("string", ..) if schema["format"].is_null() && schema["pattern"].is_string() => {
            Some(("\u{e9} ".to_owned(), "value does not match the regex pattern".to_owned()))
        }
        ("string", ..) if schema["format"].is_string() => Some(("\u{e9} ".to_owned(), FORMAT.to_owned())),
        ("string", _, Some(length)) if schema["format"].is_null() && schema["pattern"].is_null() => {
            let long = "x".repeat(usize::try_from(length).unwrap() + 1);
            Some((long, format!("value may only be {length} characters long")))
        }
        _ => None,
    }
}

/// Every method of the schema with its path.
fn methods<'a>(nodes: &'a Value, found: &mut Vec<(&'a str, &'a str, &'a Value)>) {
    for node in nodes.as_array().into_iter().flatten() {
        let path = node["path"].as_str().unwrap_or_default();
        for (method, info) in node["info"].as_object().into_iter().flatten() {
            found.push((method, path, info));
        }
        methods(&node["children"], found);
    }
}

/// Parameters by name, indexed ones with the index 0; without those of the path.
fn parameters(info: &Value, path: &str) -> BTreeMap<String, Value> {
    let properties = info["parameters"]["properties"].as_object().cloned().unwrap_or_default();
    let own = properties.into_iter().filter(|(name, _)| !path.contains(&format!("{{{name}}}")));
    own.map(|(name, schema)| (name.replace("[n]", "0"), schema)).collect()
}

async fn compare(file: &str, release: Release, at_least: usize) {
    let Some(folder) = vectors("pve") else { return };
    let schema: Value = serde_json::from_str(&text(&folder.join(file))).unwrap();
    let pve = Pve::start(Settings { release, ..Settings::default() }, Arc::new(Nobody)).unwrap();
    pve.grant_everything();
    pve.add_vm(100, "pve1", &[("name", "x")]);
    let client = client(&pve);
    let mut all = Vec::new();
    methods(&schema, &mut all);
    let (mut compared, mut wrong) = (0, Vec::new());
    for (method, path, info) in all {
        let at = placed(path);
        if at.contains('{') || at.ends_with("/upload") {
            continue;
        }
        let parameters = parameters(info, path);
        let sent: Vec<(&str, String)> = parameters
            .iter()
            .map(|(name, schema)| (name.as_str(), forbidden(schema).map_or_else(String::new, |(value, _)| value)))
            .chain([("zz_probe", "1".to_owned())])
            .collect();
        let request = client.request(method.parse().unwrap(), format!("{}/api2/json{at}", pve.endpoint()));
        let request = request.header("authorization", format!("PVEAPIToken={}", pve.token()));
        let request = match method {
            "GET" | "DELETE" => request.query(&sent),
            _ => request.form(&sent),
        };
        let reply = request.send().await.unwrap();
        if reply.status() != 400 {
            assert!(matches!(reply.status().as_u16(), 501 | 401), "{method} {path}: {}", reply.text().await.unwrap());
            continue;
        }
        let body: Value = reply.json().await.unwrap();
        for (name, schema) in &parameters {
            let refused = body["errors"][name].as_str();
            let unknown = refused.is_some_and(|text| text.starts_with("property is not defined"));
            let wanted = forbidden(schema).map(|(_, text)| text);
            let fits = |wanted: &str| match wanted {
                FORMAT => refused.is_some_and(|text| text.starts_with(FORMAT)),
                wanted => refused == Some(wanted),
            };
            if unknown || wanted.as_deref().is_some_and(|wanted| !fits(wanted)) {
                wrong.push(format!("{method} {path} {name}: {refused:?} instead of {wanted:?}"));
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{compared} compared, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= at_least, "only {compared} parameters were compared");
}

/// A path with something in the place of each name in braces.
fn placed(path: &str) -> String {
    let names = [("node", "pve1"), ("vmid", "100"), ("storage", "local"), ("poolid", "p"), ("sid", "vm:100")];
    let more = [("upid", UPID), ("volume", "x"), ("snapname", "one"), ("rule", "r"), ("userid", "u@pve")];
    let names =
        names.iter().chain(&more).chain(&[("roleid", "R"), ("groupid", "g"), ("tokenid", "tt"), ("realm", "pve")]);
    names.fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
}

/// A task that doesn't exist.
const UPID: &str = "UPID:pve1:00000001:00000001:00000001:qmcreate:1:root@pam:";

fn client(pve: &Pve) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem::parse(pve.ca_pem()).unwrap().into_contents().into()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}

#[tokio::test]
async fn parameters_of_9_are_checked_as_the_schema_of_9_says() {
    compare("apidata-9.1.json", Release::V9_2, 300).await;
}

#[tokio::test]
async fn parameters_of_8_are_checked_as_the_schema_of_8_says() {
    compare("apidata-8.4.json", Release::V8_4, 300).await;
}
