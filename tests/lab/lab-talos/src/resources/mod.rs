//! What a node knows and does, as COSI resources.
//!
//! Resources are computed from the world whenever somebody asks; their version grows
//! each time that they are asked for and differ from the last.

mod block;
mod cluster;
mod event_log;
mod inventory;
mod kubernetes;
mod machine;
mod network;
mod query;
#[cfg(test)]
mod real;
mod release_specs;
mod secrets;
mod spec;
#[cfg(test)]
mod tests;
mod types;

use talos_proto::cosi::resource::{Metadata, Resource, Spec};

use super::world::{Id, World};
pub(crate) use block::{devices, ephemeral, volumes_on_disk};
pub(crate) use event_log::{EventLog, EventLogs, ResourceEvent};
pub(crate) use inventory::pci_file;
pub(crate) use query::Query;
use spec::Item;
pub(crate) use types::{Definition, definition, has_namespace};

/// What a node has of a type.
type Items = fn(&World, Id) -> Vec<Item>;

/// Where the resources of a type come from.
type Source = (&'static str, Items);

const META: &[Source] = &[
    ("ResourceDefinitions.meta.cosi.dev", |world, id| types::definitions(world.nodes[id].version())),
    ("Namespaces.meta.cosi.dev", |world, id| types::namespaces(world.nodes[id].version())),
];

const SOURCES: &[&[Source]] = &[
    META,
    machine::SOURCES,
    block::SOURCES,
    network::SOURCES,
    cluster::SOURCES,
    kubernetes::SOURCES,
    secrets::SOURCES,
    inventory::SOURCES,
];

/// Resources of one type in one namespace, all or one.
pub(crate) struct Selection {
    definition: &'static Definition,
    namespace: String,
    id: Option<String>,
    query: Query,
}

impl Selection {
    pub(crate) fn new(definition: &'static Definition, namespace: &str, id: Option<&str>, query: Query) -> Self {
        Self { definition, namespace: namespace.to_owned(), id: id.map(str::to_owned), query }
    }

    /// What there is at the moment, by name.
    pub(crate) fn resources(&self, world: &World, node: Id) -> Vec<Resource> {
        let here = self.definition.items.filter(|_| self.namespace == self.definition.namespace);
        let items = here.map(|items| items(world, node)).unwrap_or_default().into_iter();
        let wanted = items.filter(|item| self.id.as_ref().is_none_or(|id| item.id == *id));
        let mut found: Vec<Resource> = wanted.filter_map(|item| self.resource(world, node, item)).collect();
        found.sort_by(|one, other| id_of(one).cmp(id_of(other)));
        found
    }

    /// Whether a resource of the type is among those selected.
    pub(crate) fn matches(&self, resource: &Resource) -> bool {
        let named = self.id.as_ref().is_none_or(|id| id_of(resource) == id);
        named && resource.metadata.as_ref().is_some_and(|metadata| self.query.matches(metadata))
    }

    fn resource(&self, world: &World, node: Id, item: Item) -> Option<Resource> {
        let minor = world.nodes[node].version().minor;
        let yaml_spec = release_specs::of_release(self.definition.kind, minor, item.yaml);
        let spec = Spec { proto_spec: item.proto, yaml_spec };
        let (version, updated) = world.resource_version(node, self.definition.kind, &item.id, &spec);
        let metadata = Metadata {
            namespace: self.namespace.clone(),
            r#type: self.definition.kind.to_owned(),
            id: item.id,
            version: version.to_string(),
            owner: item.owner.unwrap_or(self.definition.owner).to_owned(),
            phase: "running".to_owned(),
            created: Some(world.booted_at(node)),
            updated: Some(updated),
            labels: item.labels,
            annotations: item.annotations,
            ..Metadata::default()
        };
        self.query.matches(&metadata).then_some(Resource { metadata: Some(metadata), spec: Some(spec) })
    }
}

/// The version of the first resource of a type.
pub(crate) fn version(world: &World, node: Id, kind: &str) -> Option<String> {
    let definition = definition(kind, world.nodes[node].version())?;
    let all = Selection::new(definition, definition.namespace, None, Query::default()).resources(world, node);
    all.into_iter().next()?.metadata.map(|metadata| metadata.version)
}

/// The name of a resource.
pub(crate) fn id_of(resource: &Resource) -> &str {
    resource.metadata.as_ref().map_or("", |metadata| &metadata.id)
}
