//! Rules for the legacy document, in the order in which Talos checks them.

mod bond;
mod cluster;
mod devices;
mod machine;
mod storage;

use crate::report::Report;
use crate::rule::{ConfigRule, Input};

/// Rules for a document that has a machine section.
pub(crate) const RULES: &[ConfigRule] = &[
    ConfigRule::of(machine::deprecated).since(14),
    ConfigRule::of(cluster::cluster),
    ConfigRule::of(storage::install_missing).before(14),
    ConfigRule::of(storage::install),
    ConfigRule::of(machine::container_mode).before(14),
    ConfigRule::of(machine::host_dns).since(13),
    ConfigRule::of(machine::spelling),
    ConfigRule::of(machine::authority),
    ConfigRule::of(machine::role),
    ConfigRule::of(devices::devices),
    ConfigRule::of(devices::kubespan),
    ConfigRule::of(storage::disks),
    ConfigRule::of(machine::kubelet),
    ConfigRule::of(storage::encryption),
    ConfigRule::of(machine::kubespan_needs).before(14),
    ConfigRule::of(machine::kubespan_filters),
    ConfigRule::of(machine::logging),
    ConfigRule::of(storage::extensions),
    ConfigRule::of(machine::node),
    ConfigRule::of(machine::api_access),
    ConfigRule::of(machine::address_sort),
    ConfigRule::of(machine::persist),
    ConfigRule::of(machine::base_runtime_spec),
    ConfigRule::of(machine::registries),
];

pub(crate) fn check(input: Input<'_>, report: &mut Report) {
    if !input.legacy("machine").is_set() {
        report.error("machine instructions are required");
        return;
    }
    RULES.iter().filter(|rule| rule.holds(input.contract)).for_each(|rule| (rule.check)(input, report));
}
