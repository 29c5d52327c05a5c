//! What a running node can't change: a node that would reboot, or refuses, doesn't say which change it is about. Pure.

use talos_client::Mode;

use crate::plan::Difference;

/// What a node of Talos up to 1.13 changes in `machine` while it runs; later ones change all of it. Beside `debug` and
/// `cluster`, and every document of another kind (1.13.9, internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_runtime.go
/// `CanApplyImmediate`; 1.12.0 has the same list).
const MACHINE: [&str; 18] = [
    "acceptedCAs",
    "ca",
    "certSANs",
    "controlPlane",
    "install",
    "kernel",
    "kubelet",
    "logging",
    "network",
    "nodeAnnotations",
    "nodeLabels",
    "nodeTaints",
    "pods",
    "registries",
    "seccompProfiles",
    "sysctls",
    "sysfs",
    "time",
];
/// The same in `machine.features`, where both configs have such a section.
const FEATURES: [&str; 5] =
    ["hostDNS", "imageCache", "kubePrism", "kubernetesTalosAPIAccess", "nodeAddressSortAlgorithm"];

/// What only Kubernetes hears of, from the node: neither etcd nor its machine or network knows of it.
const TOLD: [&str; 6] = [
    "machine.nodeAnnotations",
    "machine.nodeLabels",
    "machine.nodeTaints",
    "KubeNodeConfig annotations",
    "KubeNodeConfig labels",
    "KubeNodeConfig taints",
];

/// How many places are named.
const NAMED: usize = 8;

/// Whether a change at this place takes effect only with a boot, up to Talos 1.13.
fn needs_boot(place: &str) -> bool {
    let mut path = place.split('.');
    match (path.next(), path.next(), path.next()) {
        (Some("version" | "persist"), ..) | (Some("machine"), None, _) => true,
        (Some("machine"), Some("features"), Some(feature)) => !FEATURES.contains(&feature),
        (Some("machine"), Some(section), _) => !MACHINE.contains(&section),
        _ => false,
    }
}

/// Whether a change may take etcd on the node away for a while: whatever isn't known to be harmless may.
pub(crate) fn disturbs(differences: &[Difference], reboots: bool, mode: Mode) -> bool {
    let within =
        |place: &str, told: &str| place.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let may = |difference: &Difference| !TOLD.iter().any(|told| within(difference.place(), told));
    // What is staged changes nothing that runs.
    reboots || (mode != Mode::Staged && differences.iter().any(may))
}

/// The places that take effect only with a boot, in a sentence; `None` if none of them does.
pub(crate) fn held(differences: &[Difference]) -> Option<String> {
    let held: Vec<_> = differences.iter().map(Difference::place).filter(|place| needs_boot(place)).collect();
    (!held.is_empty()).then(|| format!("{} can't change while the node runs", named(&held)))
}

/// Why a change in this mode reboots a node.
pub(crate) fn why(differences: &[Difference], mode: Mode) -> String {
    let all = || named(&differences.iter().map(Difference::place).collect::<Vec<_>>());
    match held(differences) {
        Some(held) => held,
        None if mode == Mode::Reboot => "--mode reboot asks for it".to_owned(),
        None => format!("the configs differ at {}", all()),
    }
}

fn named(places: &[&str]) -> String {
    let named = places[..places.len().min(NAMED)].join(", ");
    match places.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more places"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(places: &[&str]) -> Vec<Difference> {
        places.iter().map(|place| Difference::Changed((*place).to_owned())).collect()
    }

    /// 1.13.9, v1alpha1_runtime.go `CanApplyImmediate`: what isn't in its list takes a boot.
    #[test]
    fn what_can_apply_immediate_does_not_list_takes_a_boot() {
        for place in [
            "machine.token",
            "machine.env",
            "machine.type",
            "machine.files",
            "machine.udev.rules",
            "machine.systemDiskEncryption.state",
            "machine.features",
            "machine.features.rbac",
            "machine.features.diskQuotaSupport",
            "persist",
            "version",
            "machine",
        ] {
            assert!(needs_boot(place), "{place}");
        }
        for place in [
            "debug",
            "cluster.network.podSubnets",
            "machine.kubelet.extraArgs.v",
            "machine.sysctls.vm.max_map_count",
            "machine.network",
            "machine.features.hostDNS.enabled",
            "machine.nodeLabels",
            "HostnameConfig hostname",
            "LinkConfig/eth0 mtu",
            "UserVolumeConfig/machine provisioning",
        ] {
            assert!(!needs_boot(place), "{place}");
        }
    }

    #[test]
    fn only_what_kubernetes_alone_hears_of_leaves_etcd_alone() {
        let disturbing = |places: &[&str]| disturbs(&at(places), false, Mode::Auto);
        assert!(!disturbing(&["machine.nodeLabels.zone", "machine.nodeTaints", "KubeNodeConfig labels.a.b/c"]));
        for place in [
            "machine.sysctls.x",
            "machine.network",
            "machine.kubelet.nodeIP",
            "machine.nodeLabelsX",
            "cluster.etcd.extraArgs",
            "cluster.apiServer",
            "KubeNodeConfig nodeIP",
            "KubeNodeConfig",
            "LinkConfig/labels mtu",
        ] {
            assert!(disturbing(&["machine.nodeLabels", place]), "{place}");
            assert!(!disturbs(&at(&[place]), false, Mode::Staged), "{place}");
        }
        assert!(disturbs(&at(&["machine.nodeLabels"]), true, Mode::Auto), "it reboots");
        assert!(disturbs(&[Difference::Reverted], false, Mode::Auto));
    }

    #[test]
    fn a_reboot_is_explained_by_the_places_that_need_it_and_by_no_others() {
        let mixed = at(&["machine.nodeLabels", "machine.env", "machine.token"]);
        assert_eq!(why(&mixed, Mode::Auto), "machine.env, machine.token can't change while the node runs");
        assert_eq!(why(&at(&["machine.nodeLabels"]), Mode::Reboot), "--mode reboot asks for it");
        assert_eq!(why(&at(&["machine.nodeLabels"]), Mode::Auto), "the configs differ at machine.nodeLabels");
        let many: Vec<_> = (0..10).map(|n| format!("machine.x{n}")).collect();
        let many = at(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(why(&many, Mode::Auto).contains("machine.x7 and 2 more places"));
        assert_eq!(held(&at(&["cluster.id"])), None);
    }
}
