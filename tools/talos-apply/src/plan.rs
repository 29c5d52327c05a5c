//! The wanted config of a node, and whether it may be applied.

use go_yaml::{Dialect, Map, Value};
use machine_config::{Config, MachineType};
use record::Role;
use talos_client::Mode;
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
        if let Some(endpoint) = config.endpoint().filter(|endpoint| !is_url(endpoint)) {
            return Err(Error::Endpoint(endpoint.to_owned()));
        }
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

/// Whether it has a scheme and a host, and no path that looks like another host: a patch without a scheme becomes one. A
/// node takes either (seen on 1.13.9), and finds no control plane then.
fn is_url(endpoint: &str) -> bool {
    let Some((scheme, rest)) = endpoint.split_once("://") else { return false };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    !scheme.is_empty() && !host.is_empty() && !host.starts_with(':') && !path.contains('.')
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

/// The first release of Talos that changes everything while it runs, so that no mode asks for a reboot (1.14.1, refusal of
/// `ApplyConfiguration`).
const WITHOUT_REBOOT: (u32, u32) = (1, 14);

/// Refuses a mode that the node's release doesn't have.
pub(crate) fn is_known(mode: Mode, running_talos: Option<&str>) -> Result<(), Error> {
    match running_talos {
        Some(talos) if mode == Mode::Reboot && Version::minor_of(talos) >= Some(WITHOUT_REBOOT) => {
            Err(Error::ModeReboot(talos.to_owned()))
        }
        _ => Ok(()),
    }
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

/// What an installer's image would install and the node doesn't run: what, what runs, what is wanted. What isn't known
/// isn't compared.
pub(crate) fn not_installed<'a>(
    image: &'a str,
    talos: Option<&'a str>,
    schematic: Option<&'a str>,
) -> Vec<(&'static str, &'a str, &'a str)> {
    let (path, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, ""));
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let installs = path.split('/').find(is_id);
    let version = talos.filter(|talos| tag.starts_with('v') && !Version::same(tag, talos));
    let version = version.map(|talos| ("Talos", talos, tag));
    let schematic = schematic.zip(installs).filter(|(runs, installs)| runs != installs);
    version.into_iter().chain(schematic.map(|(runs, installs)| ("schematic", runs, installs))).collect()
}

/// A place at which the wanted config differs from the running one. Values are not named, because many are secret, but
/// for those that never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Only the wanted config has it.
    Added(String),
    /// Both have it, with other values.
    Changed(String),
    /// Both have it, with other values, which are no secret.
    Moved {
        /// Where.
        place: String,
        /// The running value.
        from: String,
        /// The wanted value.
        to: String,
    },
    /// Only the running config has it.
    Removed(String),
    /// The config runs and is kept, but is tried: the node goes back to the one that ran before.
    Reverted,
}

impl Difference {
    /// Where: `machine.sysctls`, `HostnameConfig`, `LinkConfig/eth0 mtu`.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Added(place) | Self::Changed(place) | Self::Removed(place) | Self::Moved { place, .. } => place,
            Self::Reverted => "machine config",
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = match self {
            Self::Added(_) => '+',
            Self::Changed(_) => '~',
            Self::Moved { place, from, to } => return write!(f, "~ {place}: {from} -> {to}"),
            Self::Removed(_) => '-',
            Self::Reverted => return f.write_str("it runs, but only as a try, which the node reverts"),
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

/// The places whose values are no secret: every client of the cluster knows them.
const OPEN: [&str; 2] = ["cluster.controlPlane.endpoint", "KubeClusterConfig endpoint"];

fn changed(place: String, from: &Value, to: &Value) -> Difference {
    match (from.as_text(), to.as_text()) {
        (Some(from), Some(to)) if OPEN.contains(&place.as_str()) => {
            Difference::Moved { place, from: from.to_owned(), to: to.to_owned() }
        }
        _ => Difference::Changed(place),
    }
}

fn places(running: &Map, wanted: &Map, prefix: &str, found: &mut Vec<Difference>) {
    for (key, value) in wanted.iter() {
        match (running.get(key), value) {
            (None, _) => found.push(Difference::Added(format!("{prefix}{key}"))),
            (Some(Value::Map(a)), Value::Map(b)) => places(a, b, &format!("{prefix}{key}."), found),
            (Some(a), b) if a != b => found.push(changed(format!("{prefix}{key}"), a, b)),
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
    fn an_endpoint_without_a_scheme_or_a_host_is_refused() {
        let with = |endpoint: &str| {
            Wanted::read(config("worker", "").replace("https://10.0.0.10:6443", endpoint), None).map(drop)
        };
        for endpoint in ["10.5.0.11", "https:///x", "cp.lan", "//cp.lan:6443", "https://10.5.0.11:6443/10.5.0.12"] {
            let refused = with(endpoint).expect_err(endpoint).to_string();
            assert!(refused.contains(&format!("`{endpoint}`")), "{refused}");
        }
        for endpoint in
            ["https://10.5.0.11:6443", "https://[fd00::1]:6443", "https://cp.lan", "https://proxy.lan/k8s/clusters/c-1"]
        {
            assert!(with(endpoint).is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn a_mode_that_the_nodes_release_does_not_have_is_refused_before_anything_is_sent() {
        for talos in ["v1.14.0", "v1.14.6", "v1.15.0-beta.1", "v2.0.0"] {
            let refused = is_known(Mode::Reboot, Some(talos)).expect_err(talos);
            assert_eq!(record::Classify::facts(&refused).exit, record::Exit::Usage);
            assert!(refused.to_string().contains(talos) && is_known(Mode::Auto, Some(talos)).is_ok());
        }
        for talos in [Some("v1.13.9"), Some("v1.12.4"), None] {
            assert!(is_known(Mode::Reboot, talos).is_ok(), "{talos:?}");
        }
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
    fn an_image_that_is_not_installed_is_told_by_version_and_schematic() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let image = format!("factory.talos.dev/nocloud-installer/{a}:v1.13.9");
        assert_eq!(not_installed(&image, Some("v1.13.9"), Some(&a)), []);
        assert_eq!(not_installed(&image, None, None), [], "what isn't known isn't compared");
        assert_eq!(not_installed(&image, Some("v1.13.8"), None), [("Talos", "v1.13.8", "v1.13.9")]);
        assert_eq!(not_installed(&image, Some("v1.13.9"), Some(&b)), [("schematic", b.as_str(), a.as_str())]);
        let official = "ghcr.io/siderolabs/installer:v1.13.9";
        assert_eq!(not_installed(official, Some("v1.13.9"), Some(&b)), []);
        assert_eq!(not_installed("reg:5000/installer", Some("v1.13.9"), Some(&b)), []);
    }

    #[test]
    fn differences_name_places_but_no_values_that_may_be_secret() {
        let running = machine_config::load(&config("worker", "")).expect("a machine config");
        let text = config("worker", "    nodeLabels:\n        zone: a\n").replace("token: abc", "token: secret");
        let text = text.replace("10.0.0.10", "10.0.0.9");
        let wanted = machine_config::load(&format!(
            "{text}---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\nhostname: w-1\n"
        ))
        .expect("a machine config");

        let lines: Vec<_> = differences(&running, &wanted).iter().map(ToString::to_string).collect();

        let endpoint = "~ cluster.controlPlane.endpoint: https://10.0.0.10:6443 -> https://10.0.0.9:6443";
        assert_eq!(lines, ["~ machine.token", "+ machine.nodeLabels", endpoint, "+ HostnameConfig"]);
    }
}
