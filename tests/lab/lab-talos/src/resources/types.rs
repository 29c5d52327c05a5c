//! The types of resources, as releases of Talos register them.

use std::sync::LazyLock;

use serde_json::json;
use talos_proto::cosi::resource::meta::{
    NamespaceSpec, ResourceDefinitionSpec,
    resource_definition_spec::{PrintColumn, Sensitivity},
};

use super::Items;
use super::spec::Item;
use crate::version::Version;

/// A type of resource.
pub(crate) struct Definition {
    /// `MachineStatuses.runtime.talos.dev`
    pub(super) kind: &'static str,
    pub(super) namespace: &'static str,
    aliases: Vec<&'static str>,
    /// Whether it has those aliases only, and none made from its name.
    unaliased: bool,
    /// Name and path.
    columns: Vec<(String, &'static str)>,
    /// Whether only administrators may read it.
    pub(crate) sensitive: bool,
    /// The controller that makes its resources.
    pub(super) owner: &'static str,
    /// The minor releases that know it: first and last.
    since: u32,
    until: u32,
    /// None for types of which a node of the lab has no resource.
    pub(super) items: Option<Items>,
}

/// Namespaces: the name, the minor release that brought it, and what it is for.
const NAMESPACES: &[(&str, u32, &str)] = &[
    ("cluster", 0, "Cluster configuration and discovery resources."),
    ("cluster-raw", 0, "Cluster unmerged raw resources."),
    ("config", 0, "Talos node configuration."),
    ("containers", 14, "Talos-managed container resources."),
    ("controlplane", 0, "Kubernetes control plane resources."),
    ("cri", 0, "CRI Seccomp resources."),
    ("etcd", 0, "etcd resources."),
    ("files", 0, "Files and file-like resources."),
    ("hardware", 0, "Hardware resources."),
    ("k8s", 0, "Kubernetes all node types resources."),
    ("kubespan", 0, "KubeSpan resources."),
    ("meta", 0, "Metadata namespace which contains resource and namespace definitions."),
    ("network", 0, "Networking resources."),
    ("network-config", 0, "Networking configuration resources."),
    ("perf", 0, "Stats resources."),
    ("runtime", 0, "Talos v1alpha1 subsystems glue resources."),
    ("secrets", 0, "Resources with secret material."),
    ("security", 13, "Security resources."),
    ("storage", 14, "Storage resources."),
];

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let lines = include_str!("types.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

/// Reads a line of the table.
fn read(line: &'static str) -> Option<Definition> {
    let mut fields = line.split(" | ");
    let mut head = fields.next()?.split(' ');
    let (kind, namespace) = (head.next()?, head.next()?);
    let columns = fields.filter_map(|field| field.split_once(' ')).map(|(name, path)| (name.replace('_', " "), path));
    let items = super::SOURCES.iter().flat_map(|source| source.iter()).find(|(name, _)| *name == kind);
    let mut definition = Definition {
        kind,
        namespace,
        aliases: Vec::new(),
        unaliased: false,
        columns: columns.collect(),
        sensitive: false,
        owner: "",
        since: 0,
        until: u32::MAX,
        items: items.map(|(_, items)| *items),
    };
    for word in head {
        match word.split_once('=') {
            Some(("since", minor)) => definition.since = minor.parse().ok()?,
            Some(("until", minor)) => definition.until = minor.parse().ok()?,
            Some(("by", owner)) => definition.owner = owner,
            Some((_, aliases)) => definition.aliases = aliases.split(',').collect(),
            None if word == "unaliased" => definition.unaliased = true,
            None => definition.sensitive = true,
        }
    }
    Some(definition)
}

/// The type of that name, if a release knows it.
pub(crate) fn definition(kind: &str, release: Version) -> Option<&'static Definition> {
    known(release).find(|definition| definition.kind == kind)
}

/// Whether a release has a namespace.
pub(crate) fn has_namespace(namespace: &str, release: Version) -> bool {
    NAMESPACES.iter().any(|(name, since, _)| *name == namespace && *since <= release.minor)
}

fn known(release: Version) -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.iter().filter(move |definition| (definition.since..=definition.until).contains(&release.minor))
}

/// The resource of each type.
pub(super) fn definitions(release: Version) -> Vec<Item> {
    known(release).map(Definition::describe).collect()
}

/// The resource of each namespace.
pub(super) fn namespaces(release: Version) -> Vec<Item> {
    let item = |(name, _, description): &(&str, u32, &str)| {
        let spec = NamespaceSpec { description: (*description).to_owned() };
        Item::new(name, &spec, &json!({"description": description}))
    };
    NAMESPACES.iter().filter(|(_, since, _)| *since <= release.minor).map(item).collect()
}

impl Definition {
    /// `MachineStatuses`
    fn plural(&self) -> &'static str {
        self.kind.split('.').next().unwrap_or_default()
    }

    /// `MachineStatus`
    pub(super) fn display(&self) -> String {
        let plural = self.plural();
        let cut = |count: usize| plural[..plural.len() - count].to_owned();
        match plural {
            name if name.ends_with("ies") => cut(3) + "y",
            name if ["uses", "sses", "shes", "ches"].iter().any(|end| name.ends_with(end)) => cut(2),
            _ => cut(1),
        }
    }

    /// Aliases: its own ones, its name, and its initials with their plural.
    ///
    /// The rule is that of `ResourceDefinitionSpec.Fill` in cosi-project/runtime, pkg/resource/meta/spec.
    fn aliases(&self) -> Vec<String> {
        let mut aliases: Vec<String> = self.aliases.iter().map(|alias| (*alias).to_owned()).collect();
        if self.unaliased {
            return aliases;
        }
        aliases.push(self.display().to_lowercase());
        let initials: String = self.plural().chars().filter(char::is_ascii_uppercase).collect();
        let initials = initials.to_lowercase();
        if initials.len() > 1 {
            aliases.push(initials.clone());
            if !initials.ends_with('s') {
                aliases.push(format!("{initials}s"));
            }
        }
        aliases
    }

    /// The type as a resource, with its aliases as a user may type them: singular, plural, with and without the group.
    fn describe(&self) -> Item {
        let lower = self.kind.to_lowercase();
        let aliases = self.aliases();
        let parts: Vec<&str> = lower.split('.').collect();
        let count = if self.unaliased { 1 } else { parts.len() };
        let grouped = (1..count).map(|count| parts[..count].join("."));
        let all_aliases: Vec<String> = grouped.chain(aliases.iter().cloned()).collect();
        let columns = self.columns.iter();
        let columns = columns.map(|(name, path)| PrintColumn { name: name.clone(), json_path: (*path).to_owned() });
        let columns: Vec<PrintColumn> = columns.collect();
        let printed: Vec<_> = columns.iter().map(|c| json!({"name": c.name, "jsonPath": c.json_path})).collect();
        let mut yaml = json!({
            "type": self.kind, "displayType": self.display(), "defaultNamespace": self.namespace, "aliases": aliases,
            "allAliases": all_aliases, "printColumns": printed,
        });
        if self.sensitive {
            yaml["sensitivity"] = json!("sensitive");
        }
        let sensitivity = if self.sensitive { Sensitivity::Sensitive } else { Sensitivity::NonSensitive };
        let spec = ResourceDefinitionSpec {
            resource_type: self.kind.to_owned(),
            display_type: self.display(),
            default_namespace: self.namespace.to_owned(),
            aliases,
            all_aliases,
            print_columns: columns,
            sensitivity: sensitivity as i32,
        };
        Item::new(&lower, &spec, &yaml)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::testing::{Secrets, machine};
    use crate::world::{Apply, Mode, World};
    use lab_core::delays::Delays;

    #[test]
    fn every_line_of_the_table_is_a_type_and_every_source_has_one() {
        let lines = include_str!("types.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(DEFINITIONS.len(), lines);
        for (kind, _) in super::super::SOURCES.iter().flat_map(|source| source.iter()) {
            assert!(DEFINITIONS.iter().any(|definition| definition.kind == *kind), "{kind}");
        }
        for definition in DEFINITIONS.iter() {
            assert!(NAMESPACES.iter().any(|(name, ..)| *name == definition.namespace), "{}", definition.kind);
        }
    }

    #[test]
    fn names_are_made_singular_as_talos_does() {
        let display = |kind: &str| DEFINITIONS.iter().find(|d| d.plural() == kind).unwrap().display();
        let pairs = [
            ("Identities", "Identity"),
            ("NodeAddresses", "NodeAddress"),
            ("MachineStatuses", "MachineStatus"),
            ("LinkRefreshes", "LinkRefresh"),
            ("DNSResolveCaches", "DNSResolveCach"),
            ("PCIDevices", "PCIDevice"),
            ("ServicePIDs", "ServicePID"),
        ];
        for (plural, singular) in pairs {
            assert_eq!(display(plural), singular);
        }
    }

    #[test]
    fn each_release_has_as_many_types_as_it_registers() {
        let count = |minor| known(Version { major: 1, minor, patch: 0 }).count();
        // Two of COSI, and those of v1alpha2_state.go at v1.9.6 to v1.14.1.
        assert_eq!([9, 10, 11, 12, 13, 14].map(count), [139, 150, 157, 161, 167, 202]);
    }

    /// A control plane and a worker that run.
    fn running(release: Version) -> World {
        const BASE: &str = "127.84.9";
        let subnet = format!("{BASE}.0/24").parse().unwrap();
        let mut world =
            World::new(Delays::ZERO, subnet, 7, time::OffsetDateTime::UNIX_EPOCH, std::sync::Arc::new(lab_kube::Kube));
        let secrets = Secrets::new();
        let endpoint = format!("https://{BASE}.11:6443");
        let texts = [secrets.control_plane("cp-1", &endpoint), secrets.worker("w-1", &endpoint)];
        for (name, address) in [("cp-1", 11), ("w-1", 12)] {
            let mut machine = machine(name, &format!("{BASE}.{address}"), &format!("v1.{}.0", release.minor));
            machine.nameservers = vec!["192.0.2.53".parse().unwrap()];
            world.power_on(machine);
        }
        world.advance(Duration::from_secs(1));
        let kubernetes = format!("v1.{}.1", release.minor + 22);
        for (id, text) in texts.iter().enumerate() {
            // Older releases don't know the second document.
            let known = if release.minor < 12 { text.split("\n---\n").next().unwrap() } else { text };
            let data = known.replace("v1.36.3", &kubernetes).into_bytes();
            let apply = Apply { data, mode: Mode::Auto, dry_run: false, try_timeout: None, admin: true };
            world.apply(id, &apply).unwrap();
        }
        world.advance(Duration::from_secs(2));
        world.bootstrap(0).unwrap();
        world.advance(Duration::from_secs(60));
        world
    }

    /// Whether nothing of a spec is on the wire of protobuf, because all of it is zero.
    fn is_zero(yaml: &serde_yaml::Value) -> bool {
        use serde_yaml::Value;
        match yaml {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Sequence(items) => items.is_empty(),
            Value::Mapping(fields) => fields.values().all(is_zero),
            _ => false,
        }
    }

    #[test]
    fn every_spec_of_every_release_is_there_as_protobuf_and_as_yaml() {
        for minor in 9..=14 {
            let release = Version { major: 1, minor, patch: 0 };
            let world = running(release);
            for (id, wanted) in [(0, 50), (1, 35)] {
                let store = world.kubernetes_of(id).map(|etcd| &world.etcds[etcd].store);
                assert!(store.is_some_and(|store| store.is_ready(&world.nodename(id))), "1.{minor} {id}");
                let types = known(release).filter_map(|definition| Some((definition.kind, definition.items?)));
                let served: Vec<(&str, Item)> = types
                    .flat_map(|(kind, items)| items(&world, id).into_iter().map(move |item| (kind, item)))
                    .collect();
                for (kind, item) in &served {
                    let yaml: serde_yaml::Value = serde_yaml::from_str(&item.yaml).unwrap();
                    assert!(!yaml.is_null(), "1.{minor} {kind} {}", item.id);
                    // The first way of sorting is a zero, too, and YAML has its name.
                    let is_empty_set = *kind == "NodeAddresses.net.talos.dev" && is_zero(&yaml["addresses"]);
                    let without = is_zero(&yaml) || is_empty_set || *kind == "DNSUpstreams.net.talos.dev";
                    assert_eq!(item.proto.is_empty(), without, "1.{minor} {kind} {}", item.id);
                }
                let kinds: BTreeSet<&str> = served.iter().map(|(kind, _)| *kind).collect();
                assert!(kinds.len() >= wanted, "1.{minor} {id} has instances of {} types", kinds.len());
            }
        }
    }
}
