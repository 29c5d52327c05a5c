//! The wanted config of a node, and whether it may be applied.

use go_yaml::{Dialect, Map, Value};
use machine_config::{Config, MachineType};
use record::Role;
use talos_releases::Version;

use crate::error::Error;

/// The config that a node is to run.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) text: String,
    pub(crate) config: Config,
    pub(crate) role: Role,
}

/// The versions in the cluster file that a running node is compared with; empty if not set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    pub(crate) talos: String,
    pub(crate) kubernetes: String,
}

impl Wanted {
    /// Reads the config of a node with this role; without one, the config's role is used.
    pub(crate) fn read(text: String, role: Option<Role>) -> Result<Self, Error> {
        let config = machine_config::load(&text)?;
        let found = role_of(&config)?;
        match role {
            Some(role) if role != found => Err(Error::OtherRole { config: found.to_string(), node: role.to_string() }),
            _ => Ok(Self { text, config, role: found }),
        }
    }

    /// Whether the node already runs this config: the same bytes, or the same values.
    pub(crate) fn is_run_by(&self, running: &str) -> bool {
        running == self.text || machine_config::load(running).is_ok_and(|running| is_same(&running, &self.config))
    }
}

fn role_of(config: &Config) -> Result<Role, Error> {
    match config.machine_type() {
        Some(MachineType::ControlPlane) => Ok(Role::ControlPlane),
        Some(MachineType::Worker) => Ok(Role::Worker),
        None => {
            let word = config.legacy(&["machine", "type"]).and_then(Value::as_text).unwrap_or_default();
            Err(Error::MachineType(word.to_owned()))
        }
    }
}

fn is_same(a: &Config, b: &Config) -> bool {
    a.text(Dialect::V3) == b.text(Dialect::V3)
}

/// Refuses to turn a running node into something else: another role, another cluster, another version.
pub(crate) fn may_change(
    wanted: &Wanted,
    running: &Config,
    versions: &Versions,
    running_talos: Option<&str>,
) -> Result<(), Error> {
    let role = role_of(running)?;
    if role != wanted.role {
        return Err(Error::RoleChange { running: role.to_string(), wanted: wanted.role.to_string() });
    }
    if let (Some(running), Some(wanted)) = (running.cluster_name(), wanted.config.cluster_name())
        && running != wanted
    {
        return Err(Error::OtherCluster { running: running.to_owned(), wanted: wanted.to_owned() });
    }
    same_identity(wanted, running)?;
    same_versions(wanted, running, versions, running_talos)
}

/// What identifies a cluster. If it changed, the node would leave its cluster, and our credentials would be refused.
const IDENTITY: [(&str, &[&str]); 3] = [
    ("machine.ca.crt", &["machine", "ca", "crt"]),
    ("cluster.id", &["cluster", "id"]),
    ("cluster.ca.crt", &["cluster", "ca", "crt"]),
];

fn same_identity(wanted: &Wanted, running: &Config) -> Result<(), Error> {
    for (name, path) in IDENTITY {
        let of = |config: &Config| config.legacy(path).and_then(Value::as_text).map(str::to_owned);
        if let (Some(running), Some(wanted)) = (of(running), of(&wanted.config))
            && running != wanted
        {
            return Err(Error::OtherIdentity(name));
        }
    }
    Ok(())
}

/// The file's versions must be those that run: a config with another one would upgrade by accident, or be wrong.
fn same_versions(
    wanted: &Wanted,
    running: &Config,
    versions: &Versions,
    running_talos: Option<&str>,
) -> Result<(), Error> {
    if let Some(talos) =
        running_talos.filter(|talos| !versions.talos.is_empty() && !Version::same(talos, &versions.talos))
    {
        return Err(Error::TalosVersion { running: talos.to_owned(), wanted: versions.talos.clone() });
    }
    let wanted = wanted.config.kubernetes_version().unwrap_or(&versions.kubernetes);
    match running.kubernetes_version() {
        Some(running) if !versions.talos.is_empty() && !wanted.is_empty() && running != wanted => {
            Err(Error::KubernetesVersion { running: running.to_owned(), wanted: wanted.to_owned() })
        }
        _ => Ok(()),
    }
}

/// A place at which the wanted config differs from the running one. Values are never named, because many are secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Only the wanted config has it.
    Added(String),
    /// Both have it, with other values.
    Changed(String),
    /// Only the running config has it.
    Removed(String),
}

impl Difference {
    /// Where: `machine.sysctls`, `HostnameConfig`, `LinkConfig/eth0 mtu`.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Added(place) | Self::Changed(place) | Self::Removed(place) => place,
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = match self {
            Self::Added(_) => '+',
            Self::Changed(_) => '~',
            Self::Removed(_) => '-',
        };
        write!(f, "{sign} {}", self.place())
    }
}

/// The differences, place by place.
pub(crate) fn differences(running: &Config, wanted: &Config) -> Vec<Difference> {
    let find = |config: &Config, identity| {
        config
            .documents()
            .iter()
            .find(|document| document.identity() == identity)
            .map(|document| document.fields.clone())
    };
    let mut found = Vec::new();
    for document in wanted.documents() {
        let identity = document.identity();
        match find(running, identity.clone()) {
            None => found.push(Difference::Added(identity.to_string())),
            Some(fields) => {
                let prefix = if document.kind.is_legacy() { String::new() } else { format!("{identity} ") };
                places(&fields, &document.fields, &prefix, &mut found);
            }
        }
    }
    let gone = running.documents().iter().map(machine_config::Document::identity);
    let gone = gone.filter(|identity| find(wanted, identity.clone()).is_none());
    found.extend(gone.map(|gone| Difference::Removed(gone.to_string())));
    found
}

fn places(running: &Map, wanted: &Map, prefix: &str, found: &mut Vec<Difference>) {
    for (key, value) in wanted.iter() {
        match (running.get(key), value) {
            (None, _) => found.push(Difference::Added(format!("{prefix}{key}"))),
            (Some(Value::Map(a)), Value::Map(b)) => places(a, b, &format!("{prefix}{key}."), found),
            (Some(a), b) if a != b => found.push(Difference::Changed(format!("{prefix}{key}"))),
            _ => {}
        }
    }
    let gone = running.iter().filter(|(key, _)| wanted.get(key).is_none());
    found.extend(gone.map(|(key, _)| Difference::Removed(format!("{prefix}{key}"))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(kind: &str, extra: &str) -> String {
        format!(
            "version: v1alpha1\nmachine:\n    type: {kind}\n    token: abc\n    kubelet:\n        image: ghcr.io/siderolabs/kubelet:v1.36.3\n{extra}cluster:\n    clusterName: lab\n    controlPlane:\n        endpoint: https://10.0.0.10:6443\n"
        )
    }

    fn wanted(text: String) -> Wanted {
        Wanted::read(text, None).expect("a machine config")
    }

    fn check(running: &str, wanted: &Wanted, talos: &str) -> Result<(), String> {
        let running = machine_config::load(running).expect("a machine config");
        let versions = Versions { talos: "v1.13.9".to_owned(), kubernetes: String::new() };
        may_change(wanted, &running, &versions, Some(talos)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_config_for_another_role_is_refused() {
        let error = Wanted::read(config("worker", ""), Some(Role::ControlPlane)).expect_err("the wrong role");

        assert_eq!(error.to_string(), "the machine config is for a worker, but the node is a controlplane");
    }

    #[test]
    fn the_same_config_in_other_words_is_the_same() {
        let text = config("worker", "");
        let commented = format!("# written by hand\n{}", text.replace("token: abc", "token: \"abc\""));

        assert!(wanted(text).is_run_by(&commented));
    }

    #[test]
    fn a_running_node_keeps_its_role_cluster_and_versions() {
        let wanted = wanted(config("controlplane", ""));
        let running = config("controlplane", "");

        assert_eq!(check(&running, &wanted, "v1.13.9"), Ok(()));
        let worker = check(&config("worker", ""), &wanted, "v1.13.9");
        assert_eq!(worker, Err("the node runs as a worker, but the machine config is for a controlplane".to_owned()));
        let other = check(&running.replace("clusterName: lab", "clusterName: prod"), &wanted, "v1.13.9");
        assert_eq!(other, Err("the node belongs to cluster `prod`, but the machine config is for `lab`".to_owned()));
        let talos = check(&running, &wanted, "v1.13.8");
        assert_eq!(talos, Err("the node runs Talos v1.13.8, but the file says v1.13.9".to_owned()));
        let kubernetes = check(&running.replace("v1.36.3", "v1.36.2"), &wanted, "v1.13.9");
        assert_eq!(kubernetes, Err("the node runs Kubernetes v1.36.2, but the file says v1.36.3".to_owned()));
    }

    #[test]
    fn differences_name_places_but_never_values() {
        let running = machine_config::load(&config("worker", "")).expect("a machine config");
        let text = config("worker", "    nodeLabels:\n        zone: a\n").replace("token: abc", "token: secret");
        let wanted = machine_config::load(&format!(
            "{text}---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\nhostname: w-1\n"
        ))
        .expect("a machine config");

        let lines: Vec<_> = differences(&running, &wanted).iter().map(ToString::to_string).collect();

        assert_eq!(lines, ["~ machine.token", "+ machine.nodeLabels", "+ HostnameConfig"]);
    }
}
