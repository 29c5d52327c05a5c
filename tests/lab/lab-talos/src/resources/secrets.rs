//! The authorities of a cluster, which only administrators may read.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use talos_proto::common::{PemEncodedCertificate, PemEncodedCertificateAndKey, Url};
use talos_proto::definitions as proto;

use super::Source;
use super::spec::{Item, ip};
use crate::config::Authority;
use crate::world::{Id, World};

pub(super) const SOURCES: &[Source] =
    &[("OSRootSecrets.secrets.talos.dev", machine), ("KubernetesRootSecrets.secrets.talos.dev", kubernetes)];

fn pair(authority: &Authority) -> Option<PemEncodedCertificateAndKey> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Some(PemEncodedCertificateAndKey { crt: bytes(&authority.certificate), key: bytes(&authority.key) })
}

fn accepted(certificates: &[String]) -> Vec<PemEncodedCertificate> {
    certificates.iter().map(|text| PemEncodedCertificate { crt: text.as_bytes().to_vec() }).collect()
}

fn yaml(authority: &Authority, accepted: &[String]) -> (Value, Value) {
    let certificates: Vec<Value> = accepted.iter().map(|text| json!({"crt": STANDARD.encode(text)})).collect();
    let own = json!({"crt": STANDARD.encode(&authority.certificate), "key": STANDARD.encode(&authority.key)});
    (own, json!(certificates))
}

/// Every certificate that is accepted: the authority's own first.
fn with_own(authority: &Authority, others: &[String]) -> Vec<String> {
    let own = std::iter::once(authority.certificate.clone());
    own.chain(others.iter().filter(|other| **other != authority.certificate).cloned()).collect()
}

fn machine(world: &World, id: Id) -> Vec<Item> {
    let Some(config) = &world.nodes[id].config else { return Vec::new() };
    let certificates = with_own(&config.authority, &config.accepted);
    let addresses = config.certificate_names.iter().filter_map(|name| name.parse::<IpAddr>().ok());
    let names: Vec<String> =
        config.certificate_names.iter().filter(|name| name.parse::<IpAddr>().is_err()).cloned().collect();
    let addresses: Vec<IpAddr> = addresses.collect();
    let (authority, others) = yaml(&config.authority, &certificates);
    let yaml = json!({
        "issuingCA": authority, "acceptedCAs": others, "certSANIPs": addresses, "certSANDNSNames": names,
        "token": config.token,
    });
    let spec = proto::OsRootSpec {
        issuing_ca: pair(&config.authority),
        cert_sani_ps: addresses.into_iter().map(ip).collect(),
        cert_sandns_names: names,
        token: config.token.clone(),
        accepted_c_as: accepted(&certificates),
    };
    vec![Item::new("os", &spec, &yaml)]
}

/// The address of the API within the cluster.
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// A URL as YAML has it in Talos: what Go keeps of one, name by name.
fn parts(url: &str) -> Value {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    json!({
        "scheme": scheme, "opaque": "", "user": null, "host": host, "path": path, "rawpath": "", "rawquery": "",
        "fragment": "", "rawfragment": "", "forcequery": false, "omithost": false,
    })
}

fn kubernetes(world: &World, id: Id) -> Vec<Item> {
    let node = &world.nodes[id];
    let Some(config) = node.config.as_ref().filter(|_| node.is_control_plane()) else { return Vec::new() };
    let certificates = with_own(&config.kubernetes, &[]);
    let local = format!("https://127.0.0.1:{}", config.server_port);
    let url = |text: &str| Some(Url { full_path: text.to_owned() });
    let (authority, others) = yaml(&config.kubernetes, &certificates);
    let yaml = json!({
        "name": config.cluster_name, "endpoint": parts(&config.endpoint), "local_endpoint": parts(&local),
        "certSANs": config.server_names, "apiServerIPs": [SERVICE], "dnsDomain": "cluster.local",
        "issuingCA": authority, "acceptedCAs": others, "serviceAccount": null, "aggregatorCA": null,
        "aesCBCEncryptionSecret": "", "bootstrapTokenID": "", "bootstrapTokenSecret": "",
        "secretboxEncryptionSecret": "",
    });
    let spec = proto::KubernetesRootSpec {
        name: config.cluster_name.clone(),
        endpoint: url(&config.endpoint),
        local_endpoint: url(&local),
        cert_sa_ns: config.server_names.clone(),
        dns_domain: "cluster.local".to_owned(),
        issuing_ca: pair(&config.kubernetes),
        api_server_ips: vec![ip(IpAddr::V4(SERVICE))],
        accepted_c_as: accepted(&certificates),
    };
    vec![Item::new("k8s", &spec, &yaml)]
}
