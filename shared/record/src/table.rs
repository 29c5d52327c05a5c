//! Who needs and who writes what: the table of the steps, as data.
//!
//! `--help`, the README and the JSON Schema are made from it, and on reading a step drops from `status` what it and
//! the steps after it write.

use Scope::{Cluster, Node};

/// Which kind of record a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The Cluster record.
    Cluster,
    /// A Node record.
    Node,
}

/// A field of `status` that a step writes.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The record that it belongs to.
    pub scope: Scope,
    /// Its name in `status`.
    pub name: &'static str,
    /// The keys inside it; empty for a field that is not an object.
    pub keys: &'static [&'static str],
}

/// A field that a step cannot do without, or that it uses if it is there.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// The record that it belongs to.
    pub scope: Scope,
    /// Its path, as in `status.image`.
    pub path: &'static str,
    /// Whether the step works without it.
    pub optional: bool,
}

/// A step: a row of the table.
#[derive(Debug)]
pub struct Row {
    /// The step's name, which is the program's name.
    pub step: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What it needs.
    pub needs: &'static [Need],
    /// What it writes.
    pub writes: &'static [Field],
}

const fn need(scope: Scope, path: &'static str) -> Need {
    Need { scope, path, optional: false }
}

const fn uses(scope: Scope, path: &'static str) -> Need {
    Need { scope, path, optional: true }
}

const fn field(scope: Scope, name: &'static str, keys: &'static [&'static str]) -> Field {
    Field { scope, name, keys }
}

/// What whoever reads the cluster file writes.
pub const EXPLODED: [Field; 2] = [field(Cluster, "nodes", &[]), field(Cluster, "dir", &[])];

/// The steps in the order of the pipe.
pub static TABLE: [Row; 7] = [
    Row {
        step: "talos-image",
        summary: "turn a schematic and a version into an image where the VMs can use it",
        needs: &[need(Cluster, "spec.talos"), uses(Cluster, "spec.proxmox")],
        writes: &[field(Cluster, "image", &["schematic", "version", "url", "installer", "sha256", "volumes"])],
    },
    Row {
        step: "pve-vm",
        summary: "make the VMs on Proxmox VE be as the spec says",
        needs: &[need(Cluster, "status.image"), need(Node, "spec")],
        writes: &[
            field(Node, "vm", &["id", "node", "uuid", "macs", "fingerprints", "zone", "region"]),
            field(Node, "addresses", &[]),
        ],
    },
    Row {
        step: "talos-gen",
        summary: "write the secrets, the machine configs and the talosconfig",
        needs: &[
            need(Cluster, "spec"),
            need(Node, "spec"),
            uses(Node, "status.vm.macs"),
            uses(Cluster, "status.image.installer"),
        ],
        writes: &[
            field(Cluster, "access", &["talosconfig", "ca256", "contract"]),
            field(Node, "config", &["file", "sha256"]),
        ],
    },
    Row {
        step: "talos-apply",
        summary: "deliver each machine config to its node",
        needs: &[
            need(Node, "status.config"),
            need(Node, "an address"),
            need(Cluster, "status.access"),
            uses(Node, "status.vm"),
        ],
        writes: &[field(Node, "applied", &["address", "fingerprint", "outcome", "verified"])],
    },
    Row {
        step: "talos-bootstrap",
        summary: "start etcd once",
        needs: &[need(Node, "status.applied"), need(Cluster, "status.access")],
        writes: &[field(Node, "etcd", &["member"]), field(Cluster, "bootstrap", &["node", "members"])],
    },
    Row {
        step: "kubeconfig-export",
        summary: "fetch the admin kubeconfig",
        needs: &[need(Cluster, "status.bootstrap"), need(Cluster, "status.access"), need(Node, "an address")],
        writes: &[field(Cluster, "kubeconfig", &["file", "context", "server", "sha256"])],
    },
    Row {
        step: "talos-wait",
        summary: "wait until a condition holds",
        needs: &[need(Node, "an address"), need(Cluster, "status.access")],
        writes: &[field(Node, "waited", &["for"]), field(Cluster, "waited", &["for"])],
    },
];

/// The table as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = "| step | does | needs | writes |\n|---|---|---|---|\n".to_owned();
    for row in &TABLE {
        let (needs, writes) = (row.needs_text(), row.writes_text());
        text.push_str(&format!("| `{}` | {} | {needs} | {writes} |\n", row.step, row.summary));
    }
    text
}

/// The row of this step.
#[must_use]
pub fn row(step: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.step == step)
}

/// The step that writes this field of `status`.
#[must_use]
pub fn writer(scope: Scope, name: &str) -> Option<&'static str> {
    TABLE.iter().find(|row| row.writes.iter().any(|f| f.scope == scope && f.name == name)).map(|row| row.step)
}

/// Whether a failure of `step` as a whole may be why nobody wrote this field of `status`.
#[must_use]
pub fn is_behind(step: &str, scope: Scope, name: &str) -> bool {
    writer(scope, name).is_some_and(|writer| row(step).is_some_and(|row| row.covers(writer)))
}

impl Row {
    /// This step and those after it.
    #[must_use]
    pub fn and_later(&self) -> &'static [Row] {
        let from = TABLE.iter().position(|row| row.step == self.step).unwrap_or(TABLE.len());
        &TABLE[from..]
    }

    /// Whether `step` is this step or one after it.
    #[must_use]
    pub fn covers(&self, step: &str) -> bool {
        self.and_later().iter().any(|row| row.step == step)
    }

    /// The fields of `status` that this step and those after it write.
    pub fn stale(&self, scope: Scope) -> impl Iterator<Item = &'static str> {
        let fields = self.and_later().iter().flat_map(|row| row.writes);
        fields.filter(move |field| field.scope == scope).map(|field| field.name)
    }

    /// The needs as a line of text: ``Cluster `status.image`, Node `spec` ``.
    #[must_use]
    pub fn needs_text(&self) -> String {
        let text = |need: &Need| {
            let path = if need.path.starts_with("an ") { need.path.to_owned() } else { format!("`{}`", need.path) };
            format!("{:?} {path}{}", need.scope, if need.optional { " if there" } else { "" })
        };
        self.needs.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// What it writes as a line of text: ``Cluster `status.image{schematic,version}` ``.
    #[must_use]
    pub fn writes_text(&self) -> String {
        let text = |field: &Field| {
            let keys = if field.keys.is_empty() { String::new() } else { format!("{{{}}}", field.keys.join(",")) };
            format!("{:?} `status.{}{keys}`", field.scope, field.name)
        };
        self.writes.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_one_writer() {
        let mut seen = std::collections::HashSet::new();
        for field in TABLE.iter().flat_map(|row| row.writes).chain(&EXPLODED) {
            assert!(seen.insert((field.scope, field.name)), "{:?} {} is written twice", field.scope, field.name);
        }
    }

    #[test]
    fn a_status_that_a_step_needs_is_written_by_a_step_before_it() {
        for (at, row) in TABLE.iter().enumerate() {
            for need in row.needs {
                let Some(name) = need.path.strip_prefix("status.") else {
                    continue;
                };
                let name = name.split('.').next().unwrap();
                let writer = writer(need.scope, name).unwrap_or_else(|| panic!("nobody writes {}", need.path));
                assert!(TABLE[..at].iter().any(|before| before.step == writer), "{} reads {}", row.step, need.path);
            }
        }
    }
}
