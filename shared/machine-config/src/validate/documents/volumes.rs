//! Volumes: what they are called, where they lie, how they are encrypted and mounted.

use std::collections::HashSet;

use super::{name, required};
use crate::cel::Environment;
use crate::validate::words::{bytes, expression, nanoseconds, quoted};
use crate::validate::{Report, View};

/// Volumes of the system that a document may be about.
const SYSTEM: [&str; 7] = ["STATE", "EPHEMERAL", "IMAGECACHE", "ETCD", "CRI", "KUBELET", "LOG"];

pub(super) fn system(fields: View<'_>, report: &mut Report) {
    let name = name(fields);
    if !SYSTEM.contains(&name) {
        report.error(format!("only {} volumes are supported", quoted(SYSTEM)));
        return;
    }
    constraints(name, fields, report);
    provisioning(fields, false, true, report);
    encryption(fields, report);
    upkeep(fields, report);
}

fn constraints(name: &str, fields: View<'_>, report: &mut Report) {
    let (provisioning, mount) = (fields.at("provisioning"), fields.at("mount"));
    if matches!(name, "STATE" | "IMAGECACHE") && !mount.is_zero() {
        report.error(format!("mount config is not allowed for the {name:?} volume"));
    }
    match name {
        "STATE" => {
            if !provisioning.is_zero() {
                report.error(format!("provisioning config is not allowed for the {name:?} volume"));
            }
            for _ in fields.at("encryption.keys").items().filter(|key| key.at("lockToState").is_on()) {
                report.error(format!("state-locked key is not allowed for the {name:?} volume"));
            }
        }
        "IMAGECACHE" if !fields.at("filesystem").is_zero() => {
            report.error(format!("filesystem config is not allowed for the {name:?} volume"));
        }
        "ETCD" | "CRI" | "KUBELET" | "LOG" if !mount.is_zero() && provisioning.is_zero() => {
            let when = "is only supported when it is provisioned onto a dedicated partition";
            report.error(format!("mount config for the {name:?} volume {when}"));
        }
        _ => {}
    }
}

fn provisioning(fields: View<'_>, needed: bool, sized: bool, report: &mut Report) {
    let section = fields.at("provisioning");
    if needed {
        required(section, "diskSelector.match", "disk selector is required", report);
    }
    expression(section.at("diskSelector.match"), Environment::Disk, "disk selector is invalid", report);
    let (least, most) = (section.at("minSize").text(), section.at("maxSize").text());
    if !sized {
        if !least.is_empty() || !most.is_empty() || section.at("grow").is_set() {
            report.error("min size, max size and grow are not supported");
        }
        return;
    }
    match (bytes(least), bytes(most)) {
        (Some(least), Some(most)) if least > most => report.error("min size is greater than max size"),
        _ if needed && least.is_empty() && most.is_empty() => report.error("min size or max size is required"),
        _ => {}
    }
    if least.starts_with('-') {
        report.error("min size cannot be negative");
    }
}

fn encryption(fields: View<'_>, report: &mut Report) {
    let section = fields.at("encryption");
    if section.is_zero() {
        return;
    }
    let provider = section.at("provider").text();
    if provider != "luks2" {
        let provider = if provider.is_empty() { "none" } else { provider };
        report.error(format!("unsupported encryption provider: {provider}"));
    }
    let keys = section.at("keys").items();
    if keys.len() == 0 {
        report.error("encryption keys are required");
    }
    let mut seen = HashSet::new();
    for key in keys {
        let slot = key.at("slot").number();
        if !seen.insert(slot) {
            report.error(format!("duplicate key slot {slot}"));
        }
        if ["static", "nodeID", "kms", "tpm"].iter().all(|method| !key.at(method).is_set()) {
            report.error(format!("at least one encryption key type must be specified for slot {slot}"));
        }
        for pcr in key.at("tpm.options.pcrs").items().map(View::number).filter(|pcr| !(0..=23).contains(pcr)) {
            report.error(format!("TPM PCR {pcr} is out of range (0-23)"));
        }
    }
}

/// Ten seconds, in nanoseconds.
const TEN_SECONDS: i128 = 10_000_000_000;

fn scrub_interval(section: View<'_>, report: &mut Report) {
    let interval = nanoseconds(section.at("interval"));
    if interval != 0 && interval < TEN_SECONDS {
        report.error("scrub interval: minimum value is 10s");
    }
}

fn upkeep(fields: View<'_>, report: &mut Report) {
    if nanoseconds(fields.at("trim.interval")) < 0 {
        report.error("trim interval cannot be negative");
    }
    scrub_interval(fields.at("scrub"), report);
}

pub(super) fn scrub(fields: View<'_>, report: &mut Report) {
    scrub_interval(fields, report);
}

pub(super) fn trim(fields: View<'_>, report: &mut Report) {
    if nanoseconds(fields.at("interval")) < 0 {
        report.error("interval cannot be negative");
    }
}

/// A volume's name becomes, with a letter and a dash before it, a partition's label of at most 36 characters.
const LONGEST: usize = 34;

fn letters(fields: View<'_>, report: &mut Report) {
    required(fields, "name", "name is required", report);
    if !name(fields).chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        report.error("name can only contain lowercase and uppercase ASCII letters, digits, and hyphens");
    }
}

fn label(fields: View<'_>, report: &mut Report) {
    if name(fields).is_empty() || name(fields).len() > LONGEST {
        report.error(format!("name must be between 1 and {LONGEST} characters long"));
    }
    letters(fields, report);
}

pub(super) fn raw(fields: View<'_>, report: &mut Report) {
    label(fields, report);
    provisioning(fields, true, true, report);
    encryption(fields, report);
}

pub(super) fn swap(fields: View<'_>, report: &mut Report) {
    raw(fields, report);
}

pub(super) fn existing(fields: View<'_>, report: &mut Report) {
    letters(fields, report);
    required(fields, "discovery.volumeSelector.match", "volume selector is required", report);
    expression(fields.at("discovery.volumeSelector.match"), Environment::Volume, "volume selector is invalid", report);
    upkeep(fields, report);
}

pub(super) fn external(fields: View<'_>, report: &mut Report) {
    label(fields, report);
    let kind = fields.at("filesystemType").text();
    if kind != "virtiofs" {
        let kind = if kind.is_empty() { "none" } else { kind };
        report.error(format!("invalid filesystem type: {kind}"));
    } else if !fields.at("mount.virtiofs").is_set() {
        report.error("virtiofs mount spec is required");
    } else {
        required(fields, "mount.virtiofs.tag", "virtiofs tag is required", report);
    }
}

pub(super) fn user(fields: View<'_>, report: &mut Report) {
    label(fields, report);
    match fields.at("volumeType").text() {
        "directory" => directory(fields, report),
        kind => {
            provisioning(fields, true, kind != "disk", report);
            filesystem(fields.at("filesystem"), report);
            encryption(fields, report);
        }
    }
    upkeep(fields, report);
}

fn directory(fields: View<'_>, report: &mut Report) {
    for section in ["provisioning", "encryption", "filesystem"] {
        if !fields.at(section).is_zero() {
            report.error(format!("{section} spec is invalid for volumeType directory"));
        }
    }
    if fields.at("mount.disableAccessTime").is_set() {
        report.error("mount.disableAccessTime is invalid for volumeType directory");
    }
}

fn filesystem(section: View<'_>, report: &mut Report) {
    let kind = section.at("type").text();
    let other = !matches!(kind, "" | "none" | "xfs");
    if !matches!(kind, "" | "none" | "xfs" | "ext4" | "btrfs") {
        report.error(format!("unsupported filesystem type: {kind}"));
    } else if other && section.at("projectQuotaSupport").is_on() {
        report.error("project quota support is only available for xfs filesystem");
    } else if other && section.at("xfs").is_set() {
        report.error("xfs options are only available for xfs filesystem");
    }
}

pub(super) fn zswap(fields: View<'_>, report: &mut Report) {
    if !(0..=100).contains(&fields.at("maxPoolPercent").number()) {
        report.error("maxPoolPercent must be between 0 and 100");
    }
}
