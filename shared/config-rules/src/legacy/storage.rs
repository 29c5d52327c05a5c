//! Disks of the legacy document: what is installed to, partitioned, encrypted.

use std::collections::HashSet;

use crate::lookup::Lookup;
use crate::report::{Mode, Report};
use crate::rule::Input;

pub(crate) fn install_missing(input: Input<'_>, report: &mut Report) {
    if input.mode == Mode::Metal && !input.legacy("machine.install").is_set() {
        report.error(format!("install instructions are required in {:?} mode", input.mode.as_str()));
    }
}

pub(crate) fn install(input: Input<'_>, report: &mut Report) {
    let install = input.legacy("machine.install");
    if input.mode != Mode::Metal || !install.is_set() {
        return;
    }
    let selector = install.at("diskSelector");
    let wrong = disk_selector(selector);
    if install.at("disk").text().is_empty() && (wrong.is_some() || !selector.is_set()) {
        report.error("either install disk or diskSelector should be defined");
    }
    if let Some(why) = wrong {
        report.error(format!("install disk selector is invalid: {why}"));
    }
    if install.at("extraKernelArgs").items().len() > 0 && install.at("grubUseUKICmdline").is_on() {
        report.error("install.extraKernelArgs and install.grubUseUKICmdline can't be used together");
    }
}

fn disk_selector(selector: Lookup<'_>) -> Option<String> {
    let kind = selector.at("type").text();
    if !selector.at("name").text().is_empty() {
        return Some("selector on name is not supported".to_owned());
    }
    (!matches!(kind, "" | "ssd" | "hdd" | "nvme" | "sd")).then(|| format!("unsupported disk type {kind:?}"))
}

pub(crate) fn disks(input: Input<'_>, report: &mut Report) {
    for (index, disk) in input.legacy("machine.disks").items().enumerate() {
        if !disk.is_set() {
            // From 1.14 on it can't even be read.
            if input.is_older() {
                report.error(format!("machine.disks[{index}] is null"));
            }
            continue;
        }
        let partitions = disk.at("partitions").items();
        let last = partitions.len().saturating_sub(1);
        for _ in partitions.take(last).filter(|partition| is_rest(partition.at("size").text())) {
            let why = "is set to occupy full disk, but it's not the last partition in the list";
            report.error(format!("partition for disk {:?} {why}", disk.at("device").text()));
        }
    }
}

/// Whether a partition takes the remaining space.
fn is_rest(size: &str) -> bool {
    size.is_empty() || size == "0 B"
}

pub(crate) fn encryption(input: Input<'_>, report: &mut Report) {
    for (key, label) in [("ephemeral", "EPHEMERAL"), ("state", "STATE")] {
        let config = input.legacy("machine.systemDiskEncryption").at(key);
        if !config.is_set() {
            continue;
        }
        let keys = config.at("keys").items();
        if keys.len() == 0 {
            report.error(format!("partition {label:?}: no encryption keys provided"));
        }
        let mut seen = HashSet::new();
        for key in keys {
            let slot = key.at("slot").number();
            if !seen.insert(slot) {
                report.error(format!("partition {label:?}: encryption key slot {slot} is already in use"));
            }
            if ["nodeID", "static", "kms", "tpm"].iter().all(|method| !key.at(method).is_set()) {
                let why = "doesn't have the configuration parameters";
                report.error(format!("partition {label:?}: encryption key at slot {slot} {why}"));
            }
        }
    }
}

pub(crate) fn extensions(input: Input<'_>, report: &mut Report) {
    let images = input.legacy("machine.install.extensions").items().map(|extension| extension.at("image").text());
    let mut seen = HashSet::new();
    for image in images {
        if !seen.insert(image) {
            report.error(format!("duplicate system extension {image:?}"));
        }
    }
    if !seen.is_empty() {
        let page = "https://docs.siderolabs.com/talos/latest/platform-specific-installations/boot-assets";
        report.warn(format!(".machine.install.extensions is deprecated, please see {page}"));
    }
}
