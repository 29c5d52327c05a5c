//! What to wait for.

use std::{fmt, str::FromStr};

use talos_client::Stage;

/// What to wait for. From `reachable` to `ready` each one includes those before it, except maintenance mode, which ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The Talos API responds.
    Reachable,
    /// The node waits for its configuration.
    Maintenance,
    /// The node runs a configuration of this cluster.
    Configured,
    /// etcd on the node is a member of its cluster (workers have no etcd).
    Etcd,
    /// That member votes, and sees a leader.
    EtcdHealthy,
    /// The API server on the node is ready (workers have none), and the Kubernetes API, if there is a kubeconfig.
    KubernetesApi,
    /// The node is registered with Kubernetes.
    Kubernetes,
    /// Talos has finished booting, and Kubernetes reports the node Ready.
    Ready,
    /// The node runs this release of Talos.
    Version(String),
    /// The node is in this stage.
    Stage(Stage),
    /// This service runs, and is healthy.
    Service(String),
}

/// The conditions without a value, with what they mean.
pub(crate) const PLAIN: [(&str, Condition); 8] = [
    ("reachable", Condition::Reachable),
    ("maintenance", Condition::Maintenance),
    ("configured", Condition::Configured),
    ("etcd", Condition::Etcd),
    ("etcd-healthy", Condition::EtcdHealthy),
    ("kubernetes-api", Condition::KubernetesApi),
    ("kubernetes", Condition::Kubernetes),
    ("ready", Condition::Ready),
];
/// The conditions with a value.
const VALUED: [&str; 3] = ["version", "stage", "service"];

const STAGES: [Stage; 8] = [
    Stage::Booting,
    Stage::Installing,
    Stage::Maintenance,
    Stage::Running,
    Stage::Rebooting,
    Stage::ShuttingDown,
    Stage::Resetting,
    Stage::Upgrading,
];

/// The services that every Talos has; extensions bring more of their own, `ext-…`.
pub(crate) const SERVICES: [&str; 11] =
    ["apid", "auditd", "containerd", "cri", "dashboard", "etcd", "kubelet", "machined", "syslogd", "trustd", "udevd"];

impl Condition {
    /// Whether it can only hold after etcd was started.
    pub(crate) fn needs_etcd(&self) -> bool {
        self.asks_etcd() || self.asks_kubernetes()
    }

    /// Whether the node's etcd is asked.
    pub(crate) fn asks_etcd(&self) -> bool {
        matches!(self, Self::Etcd | Self::EtcdHealthy | Self::Kubernetes | Self::Ready)
    }

    /// Whether it is about Kubernetes, so that its API is asked, too.
    pub(crate) fn asks_kubernetes(&self) -> bool {
        matches!(self, Self::KubernetesApi | Self::Kubernetes | Self::Ready)
    }

    /// Whether the node must be registered with Kubernetes.
    pub(crate) fn asks_registration(&self) -> bool {
        matches!(self, Self::Kubernetes | Self::Ready)
    }

    /// Whether asking the node always needs credentials; a node in maintenance also tells version and stage without any.
    pub(crate) fn needs_credentials(&self) -> bool {
        !matches!(self, Self::Reachable | Self::Maintenance | Self::Version(_) | Self::Stage(_))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version={version}"),
            Self::Stage(stage) => write!(f, "stage={}", word(*stage)),
            Self::Service(service) => write!(f, "service={service}"),
            plain => f.write_str(PLAIN.iter().find(|(_, known)| known == plain).map_or("", |(name, _)| name)),
        }
    }
}

/// A stage in one word.
fn word(stage: Stage) -> String {
    stage.to_string().replace(' ', "-")
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            let plain = PLAIN.iter().find(|(known, _)| *known == text);
            return plain.map(|(_, condition)| condition.clone()).ok_or_else(|| unknown(text));
        };
        match (name, value) {
            ("version" | "stage" | "service", "") => Err(format!("`{name}=` needs a value")),
            ("version", value) => version(value),
            ("stage", value) => {
                let found = STAGES.into_iter().find(|stage| word(*stage) == value);
                let words = STAGES.map(word);
                found
                    .map(Self::Stage)
                    .ok_or_else(|| format!("no stage `{value}`{}", meant(value, words.iter().map(String::as_str))))
            }
            ("service", value) => service(value),
            (name, _) if PLAIN.iter().any(|(known, _)| *known == name) => Err(format!("`{name}` takes no value")),
            (name, _) => Err(unknown(name)),
        }
    }
}

fn unknown(name: &str) -> String {
    if VALUED.contains(&name) {
        return format!("`{name}` needs a value: `{name}=…`");
    }
    format!("no such condition{}", meant(name, PLAIN.iter().map(|(name, _)| *name).chain(VALUED)))
}

/// A release, with or without its `v`.
fn version(text: &str) -> Result<Condition, String> {
    let numbers = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = numbers.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.len() == 3 && parts.iter().all(is_number) {
        true => Ok(Condition::Version(format!("v{}", text.trim_start_matches('v')))),
        false => Err(format!("`{text}` is not a release of Talos, such as v1.13.9")),
    }
}

/// A service: one of those that every Talos has, or an extension's.
fn service(name: &str) -> Result<Condition, String> {
    match SERVICES.contains(&name) || name.starts_with("ext-") {
        true => Ok(Condition::Service(name.to_owned())),
        false => Err(format!("no service `{name}`{}", meant(name, SERVICES))),
    }
}

/// The nearest name, else all of them.
fn meant<'a>(word: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match record::nearest(word, names.clone()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; there are {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Condition>().expect_err(text)
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for (name, condition) in &PLAIN {
            assert_eq!((name.parse().as_ref(), condition.to_string().as_str()), (Ok(condition), *name));
        }
        for text in [
            "version=v1.13.9",
            "version=v1.14.0-rc.1",
            "stage=shutting-down",
            "stage=running",
            "service=kubelet",
            "service=ext-x",
        ] {
            assert_eq!(text.parse::<Condition>().map(|condition| condition.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("version=1.13.9".parse::<Condition>(), Ok(Condition::Version("v1.13.9".to_owned())));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_nearest_name() {
        assert!(refused("etcd-helthy").contains("did you mean `etcd-healthy`?"));
        assert!(refused("raedy").contains("did you mean `ready`?"));
        assert!(refused("stages=running").contains("did you mean `stage`?"));
        assert!(refused("stage=runing").contains("did you mean `running`?"));
        assert!(refused("stage=ready").contains("there are booting, installing"));
        assert!(refused("service=kublet").contains("did you mean `kubelet`?"));
        assert!(refused("stage").contains("needs a value") && refused("version=").contains("needs a value"));
        assert!(refused("ready=yes").contains("takes no value"));
        for text in ["version=1.13", "version=latest", "version=v1.13.x", "Ready", "", "=", "ready "] {
            refused(text);
        }
    }

    #[test]
    fn only_what_a_node_tells_everybody_needs_no_credentials() {
        let free: Vec<_> =
            PLAIN.iter().filter(|(_, condition)| !condition.needs_credentials()).map(|(name, _)| *name).collect();
        assert_eq!(free, ["reachable", "maintenance"]);
        assert!(!Condition::Stage(Stage::Booting).needs_credentials());
        assert!(Condition::Service("etcd".to_owned()).needs_credentials());
    }
}
