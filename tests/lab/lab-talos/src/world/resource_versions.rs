//! How often resources have changed, as far as anybody has seen.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use prost_types::Timestamp;
use talos_proto::cosi::resource::Spec;

use super::{Id, World};

/// A resource as it was last seen.
pub(super) struct ResourceVersion {
    boot_id: String,
    content: u64,
    version: u64,
    updated: Timestamp,
}

/// By node, type and name.
pub(super) type ResourceVersions = RefCell<HashMap<(Id, &'static str, String), ResourceVersion>>;

impl World {
    /// The version of a resource and when it came; another boot starts over.
    pub(crate) fn resource_version(&self, node: Id, kind: &'static str, id: &str, spec: &Spec) -> (u64, Timestamp) {
        let mut hasher = DefaultHasher::new();
        (&spec.proto_spec, &spec.yaml_spec).hash(&mut hasher);
        let (content, boot_id) = (hasher.finish(), &self.nodes[node].boot_id);
        let mut resource_versions = self.resource_versions.borrow_mut();
        let first = || ResourceVersion { boot_id: boot_id.clone(), content, version: 1, updated: self.booted_at(node) };
        let seen = resource_versions.entry((node, kind, id.to_owned())).or_insert_with(first);
        if seen.boot_id != *boot_id {
            *seen = first();
        }
        if seen.content != content {
            seen.content = content;
            seen.version += 1;
            seen.updated = self.timestamp();
        }
        (seen.version, seen.updated)
    }
}
