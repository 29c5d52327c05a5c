//! What a node knows and does, as COSI resources.
//!
//! Resources are computed from the world whenever somebody asks; their version is the number of changes of the node.

mod block;
mod cluster;
mod kubernetes;
mod machine;
mod network;
mod spec;

use prost::Message;
use talos_proto::cosi::resource::meta::{
    NamespaceSpec, ResourceDefinitionSpec,
    resource_definition_spec::{PrintColumn, Sensitivity},
};
use talos_proto::cosi::resource::{Metadata, Resource, Spec};

use super::version::Version;
use super::world::{Id, World};
use spec::Item;

/// A type of resource.
pub(crate) struct Definition {
    /// `MachineStatuses.runtime.talos.dev`
    kind: &'static str,
    /// `MachineStatus`
    display: &'static str,
    namespace: &'static str,
    aliases: &'static [&'static str],
    columns: &'static [(&'static str, &'static str)],
    /// Whether only administrators may read it.
    pub(crate) sensitive: bool,
    /// Minor release that brought it.
    since: u32,
    items: fn(&World, Id) -> Vec<Item>,
}

pub(crate) const NAMESPACES: &[&str] = &[
    "cluster",
    "config",
    "controlplane",
    "etcd",
    "files",
    "hardware",
    "k8s",
    "meta",
    "network",
    "perf",
    "runtime",
    "secrets",
];

/// The type of that name (or lower-case name), if a release knows it.
pub(crate) fn definition(kind: &str, release: Version) -> Option<&'static Definition> {
    definitions(release).find(|definition| definition.kind == kind)
}

fn definitions(release: Version) -> impl Iterator<Item = &'static Definition> {
    let all = META.iter().chain(machine::DEFINITIONS).chain(block::DEFINITIONS).chain(network::DEFINITIONS);
    let all = all.chain(cluster::DEFINITIONS).chain(kubernetes::DEFINITIONS);
    all.filter(move |definition| definition.since <= release.minor)
}

/// Resources of one type in one namespace, all or one.
pub(crate) struct Selection {
    definition: &'static Definition,
    namespace: String,
    id: Option<String>,
}

impl Selection {
    pub(crate) fn new(definition: &'static Definition, namespace: &str, id: Option<&str>) -> Self {
        Self { definition, namespace: namespace.to_owned(), id: id.map(str::to_owned) }
    }

    /// What there is at the moment.
    pub(crate) fn resources(&self, world: &World, node: Id) -> Vec<Resource> {
        if self.namespace != self.definition.namespace {
            return Vec::new();
        }
        let items = (self.definition.items)(world, node).into_iter();
        let wanted = items.filter(|item| self.id.as_ref().is_none_or(|id| item.id == *id));
        wanted.map(|item| self.resource(world, node, item)).collect()
    }

    fn resource(&self, world: &World, node: Id, item: Item) -> Resource {
        let at = world.timestamp();
        let metadata = Metadata {
            namespace: self.namespace.clone(),
            r#type: self.definition.kind.to_owned(),
            id: item.id,
            version: world.nodes[node].revision.max(1).to_string(),
            owner: format!("{}Controller", self.definition.display),
            phase: "running".to_owned(),
            created: Some(at),
            updated: Some(at),
            ..Metadata::default()
        };
        Resource { metadata: Some(metadata), spec: Some(Spec { proto_spec: item.proto, yaml_spec: item.yaml }) }
    }
}

const META: &[Definition] = &[
    Definition {
        kind: "ResourceDefinitions.meta.cosi.dev",
        display: "ResourceDefinition",
        namespace: "meta",
        aliases: &["api-resources"],
        columns: &[("Aliases", "{.aliases[:]}")],
        sensitive: false,
        since: 0,
        items: |world, id| definitions(world.nodes[id].version()).map(describe).collect(),
    },
    Definition {
        kind: "Namespaces.meta.cosi.dev",
        display: "Namespace",
        namespace: "meta",
        aliases: &["ns"],
        columns: &[],
        sensitive: false,
        since: 0,
        items: |_, _| NAMESPACES.iter().map(|name| namespace(name)).collect(),
    },
];

fn namespace(name: &str) -> Item {
    let spec = NamespaceSpec { description: format!("Resources of {name}.") };
    Item::new(name, &spec, &serde_json::json!({"description": spec.description}))
}

/// Aliases of a type: its own ones, its name, and its initials with their plural.
///
/// The rule is that of `ResourceDefinitionSpec.Fill` in cosi-project/runtime, pkg/resource/meta.
fn aliases(definition: &Definition) -> Vec<String> {
    let mut aliases: Vec<String> = definition.aliases.iter().map(|alias| (*alias).to_owned()).collect();
    aliases.push(definition.display.to_lowercase());
    let initials: String = definition.display.chars().filter(char::is_ascii_uppercase).collect();
    let initials = initials.to_lowercase();
    if initials.len() > 1 {
        aliases.push(initials.clone());
        if !initials.ends_with('s') {
            aliases.push(format!("{initials}s"));
        }
    }
    aliases
}

/// Aliases as a user may type them: singular, plural, with and without the group.
fn describe(definition: &Definition) -> Item {
    let lower = definition.kind.to_lowercase();
    let aliases = aliases(definition);
    let parts: Vec<&str> = lower.split('.').collect();
    let all: Vec<String> =
        (1..parts.len()).map(|count| parts[..count].join(".")).chain(aliases.iter().cloned()).collect();
    let columns = definition
        .columns
        .iter()
        .map(|(name, path)| PrintColumn { name: (*name).to_owned(), json_path: (*path).to_owned() });
    let columns: Vec<PrintColumn> = columns.collect();
    let printed: Vec<_> =
        columns.iter().map(|c| serde_json::json!({"name": c.name, "jsonPath": c.json_path})).collect();
    let sensitivity = if definition.sensitive { Sensitivity::Sensitive } else { Sensitivity::NonSensitive };
    let yaml = serde_json::json!({
        "type": definition.kind,
        "displayType": definition.display,
        "aliases": aliases,
        "allAliases": all,
        "printColumns": printed,
        "defaultNamespace": definition.namespace,
        "sensitivity": if definition.sensitive { "sensitive" } else { "" },
    });
    let spec = ResourceDefinitionSpec {
        resource_type: definition.kind.to_owned(),
        display_type: definition.display.to_owned(),
        default_namespace: definition.namespace.to_owned(),
        aliases,
        all_aliases: all,
        print_columns: columns,
        sensitivity: sensitivity as i32,
    };
    Item { id: lower, proto: spec.encode_to_vec(), yaml: spec::yaml(&yaml) }
}
