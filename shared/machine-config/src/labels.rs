//! Labels, annotations and taints: what Kubernetes accepts, and what it lets a worker set on itself.

use go_yaml::Map;

use crate::config::{Config, MachineType};

/// Why a label, annotation or taint is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key that Kubernetes doesn't accept.
    #[error("{what} key {key:?} is invalid: {why}")]
    Key {
        /// Label, annotation or taint.
        what: &'static str,
        /// The key.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// A value that Kubernetes doesn't accept.
    #[error("{what} {key:?} has the invalid value {value:?}: {why}")]
    Value {
        /// Label or taint.
        what: &'static str,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Why.
        why: &'static str,
    },
    /// A label that the NodeRestriction admission plugin refuses from a kubelet.
    #[error("label {key:?} can't be set by a worker: Kubernetes's NodeRestriction refuses it")]
    Restricted {
        /// The key.
        key: String,
    },
    /// A taint: that plugin refuses all of them once the node is registered.
    #[error("taint {key:?} can't be set by a worker: Kubernetes's NodeRestriction refuses it")]
    RestrictedTaint {
        /// The key.
        key: String,
    },
}

impl Error {
    /// What to do instead, for a hint.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Restricted { .. } => {
                Some("set it with kubectl once the node is there, or use a label of your own domain")
            }
            Self::RestrictedTaint { .. } => {
                Some("a kubelet may bring taints when it registers: patch registerWithTaints into its config")
            }
            Self::Key { .. } | Self::Value { .. } => None,
        }
    }
}

/// Checks a node's label.
pub fn label(key: &str, value: &str, machine: MachineType) -> Result<(), Error> {
    qualified("label", key)?;
    label_value("label", key, value)?;
    if machine == MachineType::Worker && is_restricted(key) {
        return Err(Error::Restricted { key: key.to_owned() });
    }
    Ok(())
}

/// Checks a node's annotation; any value is allowed.
pub fn annotation(key: &str) -> Result<(), Error> {
    qualified("annotation", key)
}

/// Checks a node's taint, which is written as `Effect` or `value:Effect`.
pub fn taint(key: &str, text: &str, machine: MachineType) -> Result<(), Error> {
    qualified("taint", key)?;
    let (value, effect) = text.rsplit_once(':').unwrap_or(("", text));
    label_value("taint", key, value)?;
    if matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        return match machine {
            MachineType::ControlPlane => Ok(()),
            MachineType::Worker => Err(Error::RestrictedTaint { key: key.to_owned() }),
        };
    }
    let why = "the effect must be NoSchedule, PreferNoSchedule or NoExecute";
    Err(Error::Value { what: "taint", key: key.to_owned(), value: text.to_owned(), why })
}

/// Checks the labels, annotations and taints that a config gives its node, wherever they come from.
pub fn of_config(config: &Config, machine: MachineType) -> Result<(), Error> {
    let set = |legacy: &str, new: &str| {
        let old = config.legacy(&["machine", legacy]);
        let sets = [old, config.find("KubeNodeConfig").and_then(|fields| fields.get(new))];
        let pairs = sets.into_iter().flatten().filter_map(|set| set.as_map()).flat_map(Map::iter);
        pairs.map(|(key, value)| (key, value.as_text().unwrap_or_default())).collect::<Vec<_>>()
    };
    set("nodeLabels", "labels").into_iter().try_for_each(|(key, value)| label(key, value, machine))?;
    set("nodeAnnotations", "annotations").into_iter().try_for_each(|(key, _)| annotation(key))?;
    set("nodeTaints", "taints").into_iter().try_for_each(|(key, value)| taint(key, value, machine))
}

/// `[prefix/]name`.
fn qualified(what: &'static str, key: &str) -> Result<(), Error> {
    let error = |why| Err(Error::Key { what, key: key.to_owned(), why });
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return error("what stands before the slash must be a DNS name");
    }
    if name.is_empty() || !is_word(name) {
        return error(
            "a name has 1 to 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit",
        );
    }
    Ok(())
}

fn label_value(what: &'static str, key: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() || is_word(value) {
        return Ok(());
    }
    let why = "a value has at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit";
    Err(Error::Value { what, key: key.to_owned(), value: value.to_owned(), why })
}

fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
}

fn is_subdomain(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| part.starts_with(ends) && part.ends_with(ends) && part.chars().all(|c| ends(c) || c == '-');
    text.len() <= 253 && text.split('.').all(part)
}

/// Whether Kubernetes forbids kubelets to set a label: those of its own domains, except the ones listed here.
fn is_restricted(key: &str) -> bool {
    const OPEN: [&str; 12] = [
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
    ];
    let Some((prefix, _)) = key.split_once('/') else { return false };
    let within = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
    if within("node-restriction.kubernetes.io") {
        return true;
    }
    let open = within("node.kubernetes.io") || within("kubelet.kubernetes.io") || OPEN.contains(&key);
    (within("kubernetes.io") || within("k8s.io")) && !open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_cannot_give_itself_a_role() {
        let role = "node-role.kubernetes.io/worker";
        assert!(matches!(label(role, "", MachineType::Worker), Err(Error::Restricted { .. })));
        assert_eq!(label(role, "", MachineType::ControlPlane), Ok(()));
        for open in ["topology.kubernetes.io/zone", "node.kubernetes.io/instance-type", "rack", "a.example/b"] {
            assert_eq!(label(open, "x", MachineType::Worker), Ok(()));
        }
        assert!(label("node-restriction.kubernetes.io/a", "x", MachineType::Worker).is_err());
    }

    #[test]
    fn malformed_keys_values_and_effects_are_refused() {
        for key in ["", "-a", "a b", "UPPER.example/a", "a/b/c", "/a"] {
            assert!(annotation(key).is_err(), "{key}");
        }
        assert!(label("a", "x y", MachineType::Worker).is_err());
        assert!(label("a", &"x".repeat(64), MachineType::Worker).is_err());
        let control_plane = MachineType::ControlPlane;
        assert_eq!(taint("a", "NoSchedule", control_plane), Ok(()));
        assert_eq!(taint("a", "v:NoExecute", control_plane), Ok(()));
        assert!(taint("a", "v:Never", control_plane).is_err());
    }

    #[test]
    fn a_worker_cannot_taint_itself_once_it_is_registered() {
        let refused = taint("a", "NoSchedule", MachineType::Worker).unwrap_err();
        assert!(refused.hint().unwrap().contains("registerWithTaints"));
    }
}
