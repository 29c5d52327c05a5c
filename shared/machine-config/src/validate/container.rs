//! Rules for the documents, and for the config as a whole.

use std::net::IpAddr;

use super::{Mode, Report, Rule, is_set};
use crate::config::{Config, MachineType};
use crate::value::Value;

pub(super) const RULES: &[Rule] =
    &[hostname, virtual_ips, links, install, control_plane_only, discovery, kubespan, encryption];

fn hostname(config: &Config, _: Mode, report: &mut Report) {
    let Some(fields) = config.find("HostnameConfig") else { return };
    let text = |key| fields.get(key).and_then(Value::as_text).unwrap_or_default();
    let (auto, name) = (text("auto"), text("hostname"));
    if auto.is_empty() && name.is_empty() {
        report.error("HostnameConfig: either 'auto' or 'hostname' must be set");
    }
    if !name.is_empty() && !matches!(auto, "" | "off") {
        report.error("HostnameConfig: 'auto' and 'hostname' cannot be set at the same time");
    }
    let first = name.split('.').next().unwrap_or_default();
    if !name.is_empty() && (name.len() > 253 || first.is_empty() || first.len() > 63) {
        report.error(format!("HostnameConfig: invalid hostname {name:?}"));
    }
}

fn virtual_ips(config: &Config, _: Mode, report: &mut Report) {
    for fields in config.all("Layer2VIPConfig") {
        let name = fields.get("name").and_then(Value::as_text).unwrap_or_default();
        if name.parse::<IpAddr>().is_err() {
            report.error(format!("Layer2VIPConfig/{name}: name must be a valid IP address"));
        }
        if fields.get("link").and_then(Value::as_text).unwrap_or_default().is_empty() {
            report.error(format!("Layer2VIPConfig/{name}: link must be specified"));
        }
    }
}

fn links(config: &Config, _: Mode, report: &mut Report) {
    for fields in config.all("VLANConfig") {
        let name = fields.get("name").and_then(Value::as_text).unwrap_or_default();
        let id = match fields.get("vlanID") {
            Some(Value::Number(text)) => text.parse().unwrap_or(0),
            _ => 0,
        };
        if !(1..=4094).contains(&id) {
            report.error(format!("VLANConfig/{name}: vlanID must be between 1 and 4094"));
        }
        if fields.get("parent").and_then(Value::as_text).unwrap_or_default().is_empty() {
            report.error(format!("VLANConfig/{name}: parent must be specified"));
        }
    }
}

fn install(config: &Config, _: Mode, report: &mut Report) {
    let Some(fields) = config.find("UnattendedInstallConfig") else { return };
    let text = |path: &[&str]| fields.get(path[0]).and_then(|value| value.text_at(&path[1..])).unwrap_or_default();
    if text(&["provisioning", "diskSelector", "match"]).is_empty() {
        report.error("UnattendedInstallConfig: provisioning.volumeSelector.match is required");
    }
    if text(&["installer", "image"]).is_empty() {
        let what = "installer.image is not set, if Talos is not booted from asset built by Image Factory, installation will fail";
        report.warnings.push(format!("UnattendedInstallConfig: {what}"));
    }
}

fn control_plane_only(config: &Config, _: Mode, report: &mut Report) {
    if config.machine_type() != Some(MachineType::Worker) {
        return;
    }
    let closed = config.documents().iter().filter(|document| document.kind.control_plane);
    let mut kinds: Vec<&str> = closed.map(|document| document.kind.name).collect();
    kinds.dedup();
    if !kinds.is_empty() {
        let kinds = kinds.join(" ");
        report.error(format!("the following document kinds are only allowed on control plane machines: [{kinds}]"));
    }
}

fn discovers(config: &Config) -> bool {
    let enabled = config.legacy(&["cluster", "discovery", "enabled"]) == Some(&Value::Bool(true));
    let disabled = config.legacy(&["cluster", "discovery", "registries", "service", "disabled"]);
    (enabled && disabled != Some(&Value::Bool(true))) || config.find("DiscoveryServiceConfig").is_some()
}

fn discovery(config: &Config, _: Mode, report: &mut Report) {
    if !discovers(config) || config.find("DiscoveryIdentityConfig").is_some() {
        return;
    }
    for part in ["id", "secret"] {
        if !is_set(config, &["cluster", part]) {
            report.error(format!("cluster {part} should be set when cluster discovery is enabled"));
        }
    }
}

fn kubespan(config: &Config, _: Mode, report: &mut Report) {
    let legacy = config.legacy(&["machine", "network", "kubespan", "enabled"]);
    let newer = config.find("KubeSpanConfig").and_then(|fields| fields.get("enabled"));
    if legacy.or(newer) == Some(&Value::Bool(true)) && !discovers(config) {
        report.error("KubeSpan requires cluster discovery to be enabled");
    }
}

fn encryption(config: &Config, _: Mode, report: &mut Report) {
    if config.machine_type() != Some(MachineType::ControlPlane) {
        return;
    }
    let authority = is_set(config, &["cluster", "ca"]) || config.find("KubeAPIServerCAConfig").is_some();
    let legacy = ["secretboxEncryptionSecret", "aescbcEncryptionSecret"];
    let encrypted = legacy.iter().any(|key| is_set(config, &["cluster", key]));
    if authority && !encrypted && config.find("KubeEtcdEncryptionConfig").is_none() {
        report.error("etcd encryption config is required for control plane machines running kube-apiserver");
    }
}
