//! What makes a node refuse a config that it can read.
//!
//! Texts are Talos's own; several errors come as one list, grouped by document.

use std::net::IpAddr;

use serde_yaml::Value;

use super::document::Document;
use super::fields::{Parts, at, text};
use super::network::{interfaces, legacy_shared};
use super::{Refusal, kinds};
use crate::version::Version;

/// Checks all documents together.
pub(super) fn check(documents: &[Document], version: Version, warnings: &mut Vec<String>) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    if let Some(parts) = Parts::of(documents) {
        // A list within the list, as Talos 1.13.9 writes it.
        let found = body(&parts, version, warnings);
        errors.extend((!found.is_empty()).then(|| format!("v1alpha1.Config: {}", multierror(&found))));
        errors.extend(conflicts(&parts));
        errors.extend(misplaced(&parts));
    }
    for document in documents {
        let found = named(document);
        errors.extend(found.iter().map(|error| format!("{}: {error}", document.title())));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(multierror(&errors))),
    }
}

/// Formats a list of errors as Talos does.
fn multierror(errors: &[String]) -> String {
    let lines: String = errors.iter().map(|error| format!("\t* {error}\n")).collect();
    match errors.len() {
        1 => format!("1 error occurred:\n{lines}\n"),
        count => format!("{count} errors occurred:\n{lines}\n"),
    }
}

fn body(parts: &Parts<'_>, version: Version, warnings: &mut Vec<String>) -> Vec<String> {
    let mut errors = Vec::new();
    if parts.at("machine").is_none() {
        errors.push("machine instructions are required".to_owned());
    }
    if parts.at("cluster").is_none() {
        errors.push("cluster instructions are required".to_owned());
    }
    if parts.at("persist").is_some_and(|v| text(v) == "false") {
        errors.push(".persist should be enabled".to_owned());
    }
    errors.extend(machine(parts, warnings));
    errors.extend(endpoint(parts));
    errors.extend(images(parts, version));
    errors
}

fn machine(parts: &Parts<'_>, warnings: &mut Vec<String>) -> Vec<String> {
    let kind = parts.text("machine.type");
    match kind.as_str() {
        "controlplane" | "init" => control_plane(parts),
        "worker" | "join" | "" => {
            if kind == "join" {
                warnings.push("use \"worker\" instead of \"join\" for machine type".to_owned());
            }
            worker(parts)
        }
        other => vec![format!("unknown machine type \"{other}\"")],
    }
}

fn control_plane(parts: &Parts<'_>) -> Vec<String> {
    let mut errors = Vec::new();
    if parts.text("machine.ca.crt").is_empty() {
        errors.push("issuing CA is required (.machine.ca)".to_owned());
    } else if parts.text("machine.ca.key").is_empty() {
        let text = "issuing CA key is required for controlplane nodes (.machine.ca.key)";
        errors.push(text.to_owned());
    }
    let etcd = parts.at("cluster.etcd");
    if etcd.is_some() && parts.text("cluster.etcd.ca.crt").is_empty() {
        errors.push("etcd CA is required (.cluster.etcd.ca)".to_owned());
    }
    errors
}

fn worker(parts: &Parts<'_>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut refuse = |refused: bool, text: &str| {
        if refused {
            errors.push(text.to_owned());
        }
    };
    refuse(parts.at("cluster.etcd").is_some(), "etcd config is only allowed on control plane machines");
    refuse(
        !parts.text("cluster.ca.key").is_empty(),
        "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)",
    );
    refuse(
        !parts.text("machine.ca.key").is_empty(),
        "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)",
    );
    refuse(
        parts.text("machine.ca.crt").is_empty() && parts.at("machine.acceptedCAs").is_none(),
        "trusted CA certificates are required on non-controlplane nodes (.machine.ca, .machine.acceptedCAs)",
    );
    refuse(
        interfaces(parts).any(|interface| !legacy_shared(interface).is_empty()),
        "virtual (shared) IP is not allowed on non-controlplane nodes",
    );
    errors
}

fn endpoint(parts: &Parts<'_>) -> Option<String> {
    parts.at("cluster.controlPlane")?;
    let endpoint = parts.text("cluster.controlPlane.endpoint");
    if endpoint.is_empty() {
        return Some("cluster controlplane endpoint is required".to_owned());
    }
    let good = endpoint.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some());
    (!good).then(|| format!("invalid controlplane endpoint: \"{endpoint}\""))
}

fn images(parts: &Parts<'_>, version: Version) -> Vec<String> {
    let images = [
        ("kubelet image", "KubeletConfig", "machine.kubelet.image"),
        ("api server image", "KubeAPIServerConfig", "cluster.apiServer.image"),
        ("controller manager image", "KubeControllerManagerConfig", "cluster.controllerManager.image"),
        ("scheduler image", "KubeSchedulerConfig", "cluster.scheduler.image"),
    ];
    let check = |(what, kind, path)| {
        let image = parts.either(kind, "image", path);
        unsupported(&image, version).map(|why| format!("{what} is not valid: {why}"))
    };
    images.into_iter().filter_map(check).collect()
}

/// Why a node of that release won't run the Kubernetes of an image.
fn unsupported(image: &str, version: Version) -> Option<String> {
    let tag = image.split('@').next()?.rsplit_once(':')?.1;
    let kubernetes: Version = tag.parse().ok()?;
    let (oldest, newest) = version.kubernetes();
    let plain = tag.trim_start_matches('v');
    let age = match kubernetes.minor {
        minor if minor < oldest => "old",
        minor if minor > newest => "new",
        _ => return None,
    };
    Some(format!(
        "version of Kubernetes {plain} is too {age} to be used with Talos {}",
        version.to_string().trim_start_matches('v')
    ))
}

/// Fields that a document and the v1alpha1 config both set.
fn conflicts(parts: &Parts<'_>) -> Vec<String> {
    const TABLE: &[(&str, &str, &str)] = &[
        ("HostnameConfig", "machine.network.hostname", "static hostname is already set in v1alpha1 config"),
        ("ResolverConfig", "machine.network.nameservers", "static nameservers are already set in v1alpha1 config"),
        ("TimeSyncConfig", "machine.time", "time sync is already configured in v1alpha1 config"),
        ("KubeletConfig", "machine.kubelet", "kubelet is already configured in v1alpha1 config"),
        ("KubeClusterConfig", "cluster.controlPlane.endpoint", "cluster endpoint is already set in v1alpha1 config"),
        ("KubeAPIServerConfig", "cluster.apiServer", "API server is already configured in v1alpha1 config"),
        ("KubeAPIServerCAConfig", "cluster.ca", "API server CA is already configured in v1alpha1 config"),
        ("KubeNodeConfig", "machine.nodeLabels", "node labels are already set in v1alpha1 config"),
        ("UnattendedInstallConfig", "machine.install", "incompatible with v1alpha1 config (.machine.install)"),
        ("DiscoveryIdentityConfig", "cluster.id", "cluster ID is already set in v1alpha1 config"),
    ];
    let hit = |(kind, path, why): &(&'static str, &str, &str)| {
        let both = parts.kind(kind).next().is_some() && parts.at(path).is_some();
        both.then(|| format!("{kind}: {why}"))
    };
    let mut found: Vec<String> = TABLE.iter().filter_map(hit).collect();
    let stable = parts.text("machine.features.stableHostname") == "true";
    if stable && parts.kind("HostnameConfig").next().is_some() {
        found.push("HostnameConfig: stable hostname is already set in v1alpha1 config".to_owned());
    }
    found
}

/// Kinds for control planes in the config of a worker.
fn misplaced(parts: &Parts<'_>) -> Option<String> {
    if matches!(parts.text("machine.type").as_str(), "controlplane" | "init") {
        return None;
    }
    let only = |d: &&Document| kinds::known(&d.kind, u32::MAX).is_some_and(|k| k.control_plane_only);
    let kinds: Vec<&str> = parts.documents.iter().filter(only).map(|d| d.kind.as_str()).collect();
    (!kinds.is_empty()).then(|| {
        format!("the following document kinds are only allowed on control plane machines: [{}]", kinds.join(" "))
    })
}

/// Rules of a document on its own.
fn named(document: &Document) -> Vec<String> {
    match document.kind.as_str() {
        "HostnameConfig" => hostname(&document.value),
        "Layer2VIPConfig" => shared(document),
        "LinkConfig" => link(document),
        "VLANConfig" if document.value.get("parent").is_none() => vec!["parent must be specified".to_owned()],
        _ => Vec::new(),
    }
}

fn hostname(value: &Value) -> Vec<String> {
    let auto = value.get("auto").map(text).unwrap_or_default();
    let name = value.get("hostname").map(text).unwrap_or_default();
    let mut errors = Vec::new();
    if auto.is_empty() && name.is_empty() {
        errors.push("either 'auto' or 'hostname' must be set".to_owned());
    }
    if !name.is_empty() && !auto.is_empty() && auto != "off" && auto != "false" {
        errors.push("'auto' and 'hostname' cannot be set at the same time".to_owned());
    }
    if !matches!(auto.as_str(), "" | "off" | "stable") {
        errors.push(format!("{auto} is not a valid AutoHostnameKind"));
    }
    let first = name.split('.').next().unwrap_or_default();
    if !name.is_empty() && (first.is_empty() || first.len() > 63 || name.len() > 253) {
        errors.push(format!("invalid hostname \"{name}\""));
    }
    errors
}

fn shared(document: &Document) -> Vec<String> {
    let mut errors = Vec::new();
    if document.name.parse::<IpAddr>().is_err() {
        errors.push("name must be a valid IP address".to_owned());
    }
    if document.value.get("link").is_none_or(|link| text(link).is_empty()) {
        errors.push("link must be specified".to_owned());
    }
    errors
}

fn link(document: &Document) -> Vec<String> {
    let mut errors = Vec::new();
    if document.name.is_empty() {
        errors.push("name must be specified".to_owned());
    }
    let entries = at(&document.value, "addresses").and_then(Value::as_sequence);
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        let address = entry.get("address").map(text).unwrap_or_default();
        if address.parse::<ipnet::IpNet>().is_err() || !address.contains('/') {
            errors.push(format!("address {index} must be a valid prefix with a length: \"{address}\""));
        }
    }
    errors
}
