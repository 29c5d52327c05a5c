//! Disks: LVM, RAID, and what Talos installs itself to.

use crate::cel::Environment;
use crate::checks::name;
use crate::checks::{bytes, expression};
use crate::lookup::Lookup;
use crate::report::Report;

const SELECTOR: &str = "provisioning.volumeSelector.match";

pub(crate) fn install(fields: Lookup<'_>, report: &mut Report) {
    if fields.at("installer.image").text().is_empty() {
        let else_ = "if Talos is not booted from asset built by Image Factory, installation will fail";
        report.warn(format!("installer.image is not set, {else_}"));
    }
    let selector = "provisioning.diskSelector.match";
    expression(fields.at(selector), Environment::Disk, selector, report);
}

fn device_name(longest: usize, fields: Lookup<'_>, report: &mut Report) {
    let name = name(fields);
    if name.is_empty() || name.len() > longest {
        report.error(format!("name must be between 1 and {longest} characters long"));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        report.error("name can only contain ASCII letters, digits, hyphens and underscores");
    }
}

pub(crate) fn volume_group(fields: Lookup<'_>, report: &mut Report) {
    device_name(63, fields, report);
    expression(fields.at(SELECTOR), Environment::Member, SELECTOR, report);
}

pub(crate) fn raid(fields: Lookup<'_>, report: &mut Report) {
    device_name(32, fields, report);
    expression(fields.at(SELECTOR), Environment::Member, SELECTOR, report);
}

pub(crate) fn logical_volume(fields: Lookup<'_>, report: &mut Report) {
    device_name(63, fields, report);
    let kind = Some(fields.at("type").text()).filter(|kind| !kind.is_empty()).unwrap_or("linear");
    for (key, kinds, least) in [("mirrors", ["raid1", "raid10"], 1), ("stripes", ["raid0", "raid10"], 2)] {
        let count = fields.at(key);
        match count.is_set() {
            false => {}
            true if !kinds.contains(&kind) => {
                report.error(format!("{key} is only valid for {}, not {kind}", kinds.join("/")));
            }
            true if count.number() < least => report.error(format!("{key} must be at least {least}")),
            true => {}
        }
    }
    let (least, most) = (fields.at("provisioning.minSize").text(), fields.at("provisioning.maxSize").text());
    if most.starts_with('-') {
        report.error("provisioning.maxSize must not be negative");
    }
    // Talos ignores the sign of both, and reads no maximum as zero.
    let size = |text: &str| bytes(text.trim_start_matches('-')).unwrap_or(0);
    if !most.ends_with('%') && size(least) > size(most) {
        report.error("provisioning.minSize must not exceed provisioning.maxSize");
    }
}
