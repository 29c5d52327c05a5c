//! Columns of what leads to pods, and of what they keep their data on.

use serde_json::{Value, json};

use super::{Column, age, column, joined, labels, name, text, wide};

/// Where a service is reached from outside.
fn external(service: &Value) -> Value {
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
    let addresses =
        ingress.into_iter().flatten().filter_map(|entry| entry["ip"].as_str().or(entry["hostname"].as_str()));
    match (service["spec"]["type"].as_str(), joined(addresses.map(str::to_owned))) {
        (Some("LoadBalancer"), none) if none == "<none>" => json!("<pending>"),
        (Some("ExternalName"), _) => service["spec"]["externalName"].clone(),
        (_, addresses) => addresses,
    }
}

pub(super) const SERVICE: &[Column] = &[
    column("Name", name),
    column("Type", |object, _| object["spec"]["type"].clone()),
    column("Cluster-IP", |object, _| text(&object["spec"]["clusterIP"])),
    column("External-IP", |object, _| external(object)),
    column("Port(s)", |object, _| {
        let port = |port: &Value| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match port["nodePort"].as_u64() {
                Some(node) => format!("{}:{node}/{protocol}", port["port"]),
                None => format!("{}/{protocol}", port["port"]),
            }
        };
        joined(object["spec"]["ports"].as_array().into_iter().flatten().map(port))
    }),
    column("Age", age),
];

pub(super) const CLAIM: &[Column] = &[
    column("Name", name),
    column("Status", |object, _| match object["metadata"]["deletionTimestamp"].is_null() {
        true => object["status"]["phase"].clone(),
        false => json!("Terminating"),
    }),
    column("Volume", |object, _| object["spec"]["volumeName"].clone()),
    column("Capacity", |object, _| object["status"]["capacity"]["storage"].clone()),
    column("Access Modes", |object, _| modes(&object["status"]["accessModes"])),
    column("StorageClass", |object, _| object["spec"]["storageClassName"].clone()),
    column("VolumeAttributesClass", |_, _| json!("<unset>")),
    column("Age", age),
    wide("VolumeMode", |object, _| object["spec"]["volumeMode"].clone()),
];

/// Access modes in short.
fn modes(list: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        _ => "RWOP",
    };
    json!(list.as_array().into_iter().flatten().map(short).collect::<Vec<_>>().join(","))
}

pub(super) const VOLUME: &[Column] = &[
    column("Name", name),
    column("Capacity", |object, _| object["spec"]["capacity"]["storage"].clone()),
    column("Access Modes", |object, _| modes(&object["spec"]["accessModes"])),
    column("Reclaim Policy", |object, _| object["spec"]["persistentVolumeReclaimPolicy"].clone()),
    column("Status", |object, _| object["status"]["phase"].clone()),
    column("Claim", |object, _| {
        let of = &object["spec"]["claimRef"];
        let part = |key: &str| of[key].as_str().unwrap_or_default();
        if of.is_null() { json!("") } else { json!(format!("{}/{}", part("namespace"), part("name"))) }
    }),
    column("StorageClass", |object, _| object["spec"]["storageClassName"].clone()),
    column("Age", age),
];

pub(super) const STORAGE_CLASS: &[Column] = &[
    column("Name", |object, _| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let marked = object["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
        json!(if marked { format!("{name} (default)") } else { name.to_owned() })
    }),
    column("Provisioner", |object, _| object["provisioner"].clone()),
    column("ReclaimPolicy", |object, _| object["reclaimPolicy"].clone()),
    column("VolumeBindingMode", |object, _| object["volumeBindingMode"].clone()),
    column("AllowVolumeExpansion", |object, _| json!(object["allowVolumeExpansion"] == json!(true))),
    column("Age", age),
];

pub(super) const INGRESS: &[Column] = &[
    column("Name", name),
    column("Class", |object, _| text(&object["spec"]["ingressClassName"])),
    column("Hosts", |object, _| {
        let hosts = object["spec"]["rules"].as_array().into_iter().flatten().filter_map(|rule| rule["host"].as_str());
        match joined(hosts.map(str::to_owned)) {
            none if none == "<none>" => json!("*"),
            hosts => hosts,
        }
    }),
    column("Address", |object, _| {
        let entries = object["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
        let places = entries.filter_map(|entry| entry["ip"].as_str().or(entry["hostname"].as_str()));
        json!(places.collect::<Vec<_>>().join(","))
    }),
    column("Ports", |object, _| json!(if object["spec"]["tls"].is_array() { "80, 443" } else { "80" })),
    column("Age", age),
];

pub(super) const INGRESS_CLASS: &[Column] = &[
    column("Name", name),
    column("Controller", |object, _| object["spec"]["controller"].clone()),
    column("Parameters", |_, _| json!("<none>")),
    column("Age", age),
];

pub(super) const NETWORK_POLICY: &[Column] = &[
    column("Name", name),
    column("Pod-Selector", |object, _| labels(&object["spec"]["podSelector"]["matchLabels"])),
    column("Age", age),
];

pub(super) const ENDPOINTS: &[Column] = &[
    column("Name", name),
    column("Endpoints", |object, _| {
        let subset = &object["subsets"][0];
        let addresses = subset["addresses"].as_array().into_iter().flatten();
        let port = &subset["ports"][0]["port"];
        joined(addresses.map(|address| format!("{}:{port}", address["ip"].as_str().unwrap_or_default())))
    }),
    column("Age", age),
];

pub(super) const SLICE: &[Column] = &[
    column("Name", name),
    column("AddressType", |object, _| object["addressType"].clone()),
    column("Ports", |object, _| {
        joined(object["ports"].as_array().into_iter().flatten().map(|port| port["port"].to_string()))
    }),
    column("Endpoints", |object, _| {
        let endpoints = object["endpoints"].as_array().into_iter().flatten();
        joined(endpoints.filter_map(|endpoint| endpoint["addresses"][0].as_str().map(str::to_owned)))
    }),
    column("Age", age),
];
