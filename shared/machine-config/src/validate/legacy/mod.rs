//! Rules for the legacy document, in the order in which Talos goes through them.

mod bond;
mod cluster;
mod devices;
mod machine;
mod storage;

pub(super) use cluster::resources;
pub(super) use machine::{KUBELET_OWN, ROLES};

use super::{Case, Report, Rule};
use crate::config::MachineType;

/// Rules for a document that has a machine section.
const RULES: &[Rule] = &[
    machine::deprecated,
    cluster::cluster,
    storage::install,
    machine::container_mode,
    machine::host_dns,
    machine::spelling,
    machine::authority,
    machine::role,
    devices::devices,
    devices::kubespan,
    storage::disks,
    machine::kubelet,
    storage::encryption,
    machine::kubespan_needs,
    machine::logging,
    storage::extensions,
    machine::node,
    machine::api_access,
    machine::address_sort,
    machine::persist,
    machine::registries,
];

pub(super) fn check(case: Case<'_>, report: &mut Report) {
    if !case.legacy("machine").is_set() {
        report.error("machine instructions are required");
        return;
    }
    RULES.iter().for_each(|rule| rule(case, report));
}

fn is_control_plane(case: Case<'_>) -> bool {
    case.config.machine_type() == Some(MachineType::ControlPlane)
}
