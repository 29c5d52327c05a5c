//! Volumes: names, places, encryption and mounts.

use std::collections::HashSet;

use crate::cel::Environment;
use crate::checks::{bytes, expression, quoted};
use crate::checks::{name, required};
use crate::lookup::Lookup;
use crate::report::Report;

/// Volumes of the system that a document may be about.
const SYSTEM: [&str; 7] = ["STATE", "EPHEMERAL", "IMAGECACHE", "ETCD", "CRI", "KUBELET", "LOG"];

pub(crate) fn system(fields: Lookup<'_>, report: &mut Report) {
    of_system(&SYSTEM, fields, report);
    constraints(name(fields), fields, report);
}

/// The same up to 1.13, when there were three of them.
pub(crate) fn older_system(fields: Lookup<'_>, report: &mut Report) {
    of_system(&SYSTEM[..3], fields, report);
}

fn of_system(known: &[&str], fields: Lookup<'_>, report: &mut Report) {
    if !known.contains(&name(fields)) {
        report.error(format!("only {} volumes are supported", quoted(known.iter().copied())));
        return;
    }
    if name(fields) == "STATE" {
        state(fields, report);
    }
    provisioning(fields, false, true, report);
    encryption(fields, report);
}

/// The volume that holds the config itself, and so can't be configured as freely as others.
fn state(fields: Lookup<'_>, report: &mut Report) {
    if !fields.at("provisioning").is_zero() {
        report.error("provisioning config is not allowed for the \"STATE\" volume");
    }
    for _ in fields.at("encryption.keys").items().filter(|key| key.at("lockToState").is_on()) {
        report.error("state-locked key is not allowed for the \"STATE\" volume");
    }
}

fn constraints(name: &str, fields: Lookup<'_>, report: &mut Report) {
    let (provisioning, mount) = (fields.at("provisioning"), fields.at("mount"));
    if matches!(name, "STATE" | "IMAGECACHE") && !mount.is_zero() {
        report.error(format!("mount config is not allowed for the {name:?} volume"));
    }
    match name {
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

fn provisioning(fields: Lookup<'_>, needed: bool, sized: bool, report: &mut Report) {
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

fn encryption(fields: Lookup<'_>, report: &mut Report) {
    let section = fields.at("encryption");
    let (provider, keys) = (section.at("provider").text(), section.at("keys").items());
    if keys.len() == 0 && matches!(provider, "" | "none") {
        return;
    }
    if provider != "luks2" {
        let provider = if provider.is_empty() { "none" } else { provider };
        report.error(format!("unsupported encryption provider: {provider}"));
    }
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
        for pcr in key.at("tpm.options.pcrs").items().map(Lookup::number).filter(|pcr| !(0..=23).contains(pcr)) {
            report.error(format!("TPM PCR {pcr} is out of range (0-23)"));
        }
    }
}

/// A volume's name becomes, with a letter and a dash before it, a partition's label of at most 36 characters.
const LONGEST: usize = 34;

fn letters(fields: Lookup<'_>, report: &mut Report) {
    if !name(fields).chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        report.error("name can only contain lowercase and uppercase ASCII letters, digits, and hyphens");
    }
}

fn label(fields: Lookup<'_>, report: &mut Report) {
    if name(fields).is_empty() || name(fields).len() > LONGEST {
        report.error(format!("name must be between 1 and {LONGEST} characters long"));
    }
    letters(fields, report);
}

pub(crate) fn raw(fields: Lookup<'_>, report: &mut Report) {
    label(fields, report);
    provisioning(fields, true, true, report);
    encryption(fields, report);
}

pub(crate) fn existing(fields: Lookup<'_>, report: &mut Report) {
    letters(fields, report);
    expression(fields.at("discovery.volumeSelector.match"), Environment::Volume, "volume selector is invalid", report);
}

pub(crate) fn external(fields: Lookup<'_>, report: &mut Report) {
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

pub(crate) fn user(fields: Lookup<'_>, report: &mut Report) {
    label(fields, report);
    match fields.at("volumeType").text() {
        "directory" => directory(fields, report),
        kind => {
            provisioning(fields, true, kind != "disk", report);
            filesystem(fields.at("filesystem"), report);
            encryption(fields, report);
        }
    }
}

fn directory(fields: Lookup<'_>, report: &mut Report) {
    for section in ["provisioning", "encryption", "filesystem"] {
        if !fields.at(section).is_zero() {
            report.error(format!("{section} spec is invalid for volumeType directory"));
        }
    }
}

fn is_directory(fields: Lookup<'_>) -> bool {
    fields.at("volumeType").text() == "directory"
}

/// Up to 1.13 a folder has no mount of its own.
pub(crate) fn unmounted_directory(fields: Lookup<'_>, report: &mut Report) {
    if is_directory(fields) && !fields.at("mount").is_zero() {
        report.error("mount spec is invalid for volumeType directory");
    }
}

/// From 1.14 on, just its access times can't be set.
pub(crate) fn directory_access_time(fields: Lookup<'_>, report: &mut Report) {
    if is_directory(fields) && fields.at("mount.disableAccessTime").is_set() {
        report.error("mount.disableAccessTime is invalid for volumeType directory");
    }
}

/// Up to 1.13 there is no Btrfs.
pub(crate) fn no_btrfs(fields: Lookup<'_>, report: &mut Report) {
    if !is_directory(fields) && fields.at("filesystem.type").text() == "btrfs" {
        report.error("unsupported filesystem type: btrfs");
    }
}

fn filesystem(section: Lookup<'_>, report: &mut Report) {
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
