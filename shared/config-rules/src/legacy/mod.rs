//! Rules for the legacy document, in the order in which Talos goes through them.

mod bond;
mod cluster;
mod devices;
mod machine;
mod storage;

use crate::report::Report;
use crate::rule::{Case, CaseRule};

/// Rules for a document that has a machine section.
pub(crate) const RULES: &[CaseRule] = &[
    CaseRule::of(machine::deprecated).since(14),
    CaseRule::of(cluster::cluster),
    CaseRule::of(storage::install_missing).before(14),
    CaseRule::of(storage::install),
    CaseRule::of(machine::container_mode).before(14),
    CaseRule::of(machine::host_dns).since(13),
    CaseRule::of(machine::spelling),
    CaseRule::of(machine::authority),
    CaseRule::of(machine::role),
    CaseRule::of(devices::devices),
    CaseRule::of(devices::kubespan),
    CaseRule::of(storage::disks),
    CaseRule::of(machine::kubelet),
    CaseRule::of(storage::encryption),
    CaseRule::of(machine::kubespan_needs).before(14),
    CaseRule::of(machine::kubespan_filters),
    CaseRule::of(machine::logging),
    CaseRule::of(storage::extensions),
    CaseRule::of(machine::node),
    CaseRule::of(machine::api_access),
    CaseRule::of(machine::address_sort),
    CaseRule::of(machine::persist),
    CaseRule::of(machine::base_runtime_spec),
    CaseRule::of(machine::registries),
];

pub(crate) fn check(case: Case<'_>, report: &mut Report) {
    if !case.legacy("machine").is_set() {
        report.error("machine instructions are required");
        return;
    }
    RULES.iter().filter(|rule| rule.holds(case.contract)).for_each(|rule| (rule.check)(case, report));
}
