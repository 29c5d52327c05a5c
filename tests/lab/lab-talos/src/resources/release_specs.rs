//! The differences between a release's specs and those of 1.13, which the other files have.
//!
//! Facts: the `yaml` tags in `pkg/machinery/resources` of Talos at v1.9.6, v1.10.9, v1.11.6, v1.12.11, v1.13.9 and
//! v1.14.1. Protobuf needs nothing of the kind: a field that a release does not know is passed over there.

use serde_yaml::{Mapping, Value};

/// A difference in one field of a type; releases are minors of Talos 1.
enum Change {
    /// There from a release on.
    Since(u32, &'static str),
    /// There up to a release, with this value.
    Until(u32, &'static str, &'static str),
    /// There from a release on, with this value.
    Gained(u32, &'static str, &'static str),
    /// Left out from a release on when it is empty.
    Omitted(u32, &'static str),
    /// Called by another name up to a release.
    Called(u32, &'static str, &'static str),
}

use Change::{Called, Gained, Omitted, Since, Until};

/// Neither requests nor limits.
const NO_RESOURCES: &str = "{requests: {}, limits: {}}";

const CHANGES: &[(&str, &[Change])] = &[
    ("AddressStatuses.net.talos.dev", &[Since(10, "priority")]),
    ("DiscoveredVolumes.block.talos.dev", &[Called(9, "dev_path", "dev_dath"), Since(12, "offset")]),
    ("VolumeStatuses.block.talos.dev", &[Since(10, "type")]),
    ("PCIDevices.hardware.talos.dev", &[Since(10, "driver")]),
    ("Endpoints.kubernetes.talos.dev", &[Since(12, "hosts")]),
    ("NodeStatuses.kubernetes.talos.dev", &[Since(12, "podCIDRs")]),
    ("Versions.runtime.talos.dev", &[Since(13, "name")]),
    (
        "APIServerConfigs.kubernetes.talos.dev",
        &[
            Until(11, "podSecurityPolicyEnabled", "false"),
            Gained(14, "startupProbesEnabled", "false"),
            Gained(14, "useAuthenticationConfig", "false"),
        ],
    ),
    (
        "ControllerManagerConfigs.kubernetes.talos.dev",
        &[Omitted(14, "extraArgs"), Gained(14, "nodeCIDRMaskSizeIPv4", "0"), Gained(14, "nodeCIDRMaskSizeIPv6", "0")],
    ),
    ("SchedulerConfigs.kubernetes.talos.dev", &[Omitted(14, "extraArgs")]),
    (
        "BootstrapManifestsConfigs.kubernetes.talos.dev",
        &[
            Since(13, "cniName"),
            Since(13, "flannelKubeNetworkPoliciesEnabled"),
            Since(13, "flannelKubeNetworkPoliciesImage"),
            Gained(14, "proxyConfig", "{}"),
            Gained(14, "proxyConfigChecksum", "''"),
            Gained(14, "proxyResources", NO_RESOURCES),
            Gained(14, "flannelResources", NO_RESOURCES),
            Gained(14, "flannelBackendType", "''"),
            Gained(14, "flannelBackendPort", "0"),
            Gained(14, "flannelBackendMTU", "0"),
            Gained(14, "flannelBackendExtraConfig", "{}"),
        ],
    ),
    (
        "KubernetesRootSecrets.secrets.talos.dev",
        &[
            Gained(14, "acceptedAggregatorCAs", "[]"),
            Gained(14, "acceptedIssuers", "[]"),
            Gained(14, "apiAudiences", "[]"),
            Gained(14, "etcdEncryptionConfig", "{}"),
            Gained(14, "issuerURL", "''"),
            Gained(14, "serviceAccountAcceptedKeys", "[]"),
        ],
    ),
    ("TimeServerStatuses.net.talos.dev", &[Gained(14, "useNTS", "false")]),
    ("UnattendedInstallStatuses.runtime.talos.dev", &[Omitted(14, "error")]),
];

/// A spec as a release has it.
pub(super) fn of_release(kind: &str, minor: u32, yaml: String) -> String {
    let Some((_, changes)) = CHANGES.iter().find(|(changed, _)| *changed == kind) else { return yaml };
    let Ok(Value::Mapping(mut fields)) = serde_yaml::from_str(&yaml) else { return yaml };
    for change in *changes {
        apply(change, minor, &mut fields);
    }
    serde_yaml::to_string(&Value::Mapping(fields)).unwrap_or(yaml)
}

fn apply(change: &Change, minor: u32, fields: &mut Mapping) {
    match *change {
        Since(first, field) if minor < first => {
            fields.shift_remove(field);
        }
        Until(last, field, value) if minor <= last => {
            fields.insert(field.into(), parsed(value));
        }
        Gained(first, field, value) if minor >= first => {
            fields.insert(field.into(), parsed(value));
        }
        Omitted(first, field) if minor >= first && fields.get(field).is_some_and(is_empty) => {
            fields.shift_remove(field);
        }
        Called(last, field, name) if minor <= last => {
            let renamed = |(key, value): (Value, Value)| if key == field { (name.into(), value) } else { (key, value) };
            *fields = std::mem::take(fields).into_iter().map(renamed).collect();
        }
        _ => {}
    }
}

fn parsed(value: &str) -> Value {
    serde_yaml::from_str(value).unwrap_or_default()
}

fn is_empty(value: &Value) -> bool {
    value.as_mapping().is_some_and(Mapping::is_empty) || value.as_str() == Some("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    #[test]
    fn each_release_has_the_fields_that_it_knows_by_the_names_that_it_gives_them() {
        let volume = "dev_path: /dev/sda\ntype: disk\noffset: 0\n";
        let manager = "enabled: true\nextraArgs: {}\n";
        let cases = [
            ("DiscoveredVolumes.block.talos.dev", 9, volume, "dev_dath: /dev/sda\ntype: disk\n"),
            ("DiscoveredVolumes.block.talos.dev", 11, volume, "dev_path: /dev/sda\ntype: disk\n"),
            ("DiscoveredVolumes.block.talos.dev", 12, volume, volume),
            ("SchedulerConfigs.kubernetes.talos.dev", 13, manager, manager),
            ("SchedulerConfigs.kubernetes.talos.dev", 14, manager, "enabled: true\n"),
            ("SchedulerConfigs.kubernetes.talos.dev", 14, "extraArgs:\n  v: '2'\n", "extraArgs:\n  v: '2'\n"),
            ("TimeServerStatuses.net.talos.dev", 14, "timeServers: []\n", "timeServers: []\nuseNTS: false\n"),
            ("MachineConfigs.config.talos.dev", 9, "a: [1]\n", "a: [1]\n"),
        ];
        for (kind, minor, given, wanted) in cases {
            assert_eq!(of_release(kind, minor, given.to_owned()), wanted, "{kind} of 1.{minor}");
        }
        let server = of_release("APIServerConfigs.kubernetes.talos.dev", 11, "image: x\n".to_owned());
        assert_eq!(server, "image: x\npodSecurityPolicyEnabled: false\n");
    }

    #[test]
    fn every_value_and_every_type_of_the_table_is_one() {
        let known = |kind, minor| super::super::definition(kind, Version { major: 1, minor, patch: 0 }).is_some();
        for (kind, changes) in CHANGES {
            assert!((9..=14).any(|minor| known(kind, minor)), "{kind}");
            for change in *changes {
                if let Until(_, field, value) | Gained(_, field, value) = change {
                    assert!(!parsed(value).is_null(), "{kind} {field}");
                }
            }
        }
    }
}
