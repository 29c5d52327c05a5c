//! Who needs and who writes what: the table of the steps, as data.
//!
//! A row is a program, or a verb of one. The rows of [`PIPE`] are the pipe: on reading, each drops from `status` what
//! it and the rows after it write, so that nothing left over from an earlier run counts. The rows of [`BESIDE`] can be
//! anywhere after what they need, even twice; each drops only its own fields, and no error. `--help`, the README and
//! the JSON Schema are made from this table.

use schemars::{Schema, SchemaGenerator};

use crate::status::{
    Access, Addresses, Adopted, Applied, Bootstrap, ClusterWaited, Config, Destroyed, Dir, Doctor, DryRun, Etcd, Field,
    Image, Kubeconfig, Only, RunId, Seed, Vm, Waited,
};

pub use crate::status::Scope;

/// A field of `status`, as a value.
#[derive(Debug, Clone, Copy)]
pub struct FieldRow {
    /// The record that it belongs to.
    pub scope: Scope,
    /// Its name in `status`.
    pub name: &'static str,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// What a step reads.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A field of `status`.
    Field(FieldRow),
    /// One key of a field of `status`.
    Key(FieldRow, &'static str),
    /// `spec`, or a part of it.
    Spec(Scope, &'static str),
    /// An address of the node: see [`crate::Node::address`].
    Address,
}

/// Something that a step needs, or uses if it is set.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// What it reads.
    pub source: Source,
    /// Whether the step works without it.
    pub optional: bool,
}

/// The place of a row.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// It reads the cluster file.
    First,
    /// In the pipe.
    Pipe,
    /// Beside the pipe, anywhere after one of these; after the cluster file itself, if none is named.
    After(&'static [&'static Row]),
}

/// A step: a program, or a verb of one.
#[derive(Debug)]
pub struct Row {
    /// Program and verb, as errors are signed: `talos-apply`, `pve-vm list`.
    pub name: &'static str,
    /// What it does, in a few words: the first line of its help.
    pub summary: &'static str,
    /// Its place.
    pub place: Place,
    /// What it needs.
    pub needs: &'static [Need],
    /// What it writes.
    pub writes: &'static [FieldRow],
    /// Whether it destroys: in a pipe it does nothing without `--only` or `--all`.
    pub destroys: bool,
}

const fn field<F: Field>() -> FieldRow {
    FieldRow { scope: F::SCOPE, name: F::NAME, schema: F::json_schema }
}

const fn need<F: Field>() -> Need {
    Need { source: Source::Field(field::<F>()), optional: false }
}

const fn uses<F: Field>() -> Need {
    Need { source: Source::Field(field::<F>()), optional: true }
}

const fn uses_key<F: Field>(key: &'static str) -> Need {
    Need { source: Source::Key(field::<F>(), key), optional: true }
}

const fn spec(scope: Scope, part: &'static str) -> Need {
    Need { source: Source::Spec(scope, part), optional: false }
}

const fn uses_spec(scope: Scope, part: &'static str) -> Need {
    Need { source: Source::Spec(scope, part), optional: true }
}

const ADDRESS: Need = Need { source: Source::Address, optional: false };

/// Fields that the engine of any step writes, beside `error`.
pub const ENGINE: [FieldRow; 2] = [field::<DryRun>(), field::<Only>()];

/// The reader of the cluster file. `status.nodes`, which it writes as well, is a [`crate::Roster`].
pub static EXPLODE: Row = Row {
    name: "ichor explode",
    summary: "turn a cluster file into records",
    place: Place::First,
    needs: &[],
    writes: &[field::<Dir>(), field::<RunId>()],
    destroys: false,
};

/// `talos-image`.
pub static TALOS_IMAGE: Row = Row {
    name: "talos-image",
    summary: "put the Talos image onto Proxmox VE storage",
    place: Place::Pipe,
    needs: &[spec(Scope::Cluster, ".talos"), uses_spec(Scope::Cluster, ".proxmox")],
    writes: &[field::<Image>()],
    destroys: false,
};

/// `pve-vm`.
pub static PVE_VM: Row = Row {
    name: "pve-vm",
    summary: "create and update the VMs on Proxmox VE",
    place: Place::Pipe,
    needs: &[need::<Image>(), spec(Scope::Node, "")],
    writes: &[field::<Vm>(), field::<Addresses>()],
    destroys: false,
};

/// `talos-gen`.
pub static TALOS_GEN: Row = Row {
    name: "talos-gen",
    summary: "write the secrets, the machine configs and the talosconfig",
    place: Place::Pipe,
    needs: &[spec(Scope::Cluster, ""), spec(Scope::Node, ""), uses_key::<Vm>("macs"), uses_key::<Image>("installer")],
    writes: &[field::<Access>(), field::<Config>()],
    destroys: false,
};

/// `talos-seed`: optional; without it the first config goes over the network.
pub static TALOS_SEED: Row = Row {
    name: "talos-seed",
    summary: "start new VMs with their machine configs on a disc (optional; after `pve-vm --stopped`)",
    place: Place::Pipe,
    needs: &[need::<Config>(), need::<Vm>(), spec(Scope::Cluster, ".proxmox"), uses::<Access>()],
    writes: &[field::<Seed>()],
    destroys: false,
};

/// `talos-apply`.
pub static TALOS_APPLY: Row = Row {
    name: "talos-apply",
    summary: "apply each machine config to its node",
    place: Place::Pipe,
    needs: &[need::<Config>(), ADDRESS, need::<Access>(), uses::<Vm>(), uses::<Seed>()],
    writes: &[field::<Applied>()],
    destroys: false,
};

/// `talos-bootstrap`.
pub static TALOS_BOOTSTRAP: Row = Row {
    name: "talos-bootstrap",
    summary: "bootstrap etcd, exactly once",
    place: Place::Pipe,
    needs: &[need::<Applied>(), need::<Access>()],
    writes: &[field::<Etcd>(), field::<Bootstrap>()],
    destroys: false,
};

/// `kubeconfig-export`.
pub static KUBECONFIG_EXPORT: Row = Row {
    name: "kubeconfig-export",
    summary: "fetch the admin kubeconfig",
    place: Place::Pipe,
    needs: &[need::<Bootstrap>(), need::<Access>(), ADDRESS],
    writes: &[field::<Kubeconfig>()],
    destroys: false,
};

/// `talos-wait`.
pub static TALOS_WAIT: Row = Row {
    name: "talos-wait",
    summary: "wait until a condition holds",
    place: Place::Pipe,
    needs: &[ADDRESS, need::<Access>()],
    writes: &[field::<Waited>(), field::<ClusterWaited>()],
    destroys: false,
};

/// `pve-vm list`: the one second writer of `vm` and `addresses`.
pub static PVE_VM_LIST: Row = Row {
    name: "pve-vm list",
    summary: "report the VMs that exist",
    place: Place::After(&[]),
    needs: &[spec(Scope::Node, "")],
    writes: &[field::<Vm>(), field::<Addresses>()],
    destroys: false,
};

/// `pve-vm destroy`.
pub static PVE_VM_DESTROY: Row = Row {
    name: "pve-vm destroy",
    summary: "stop and destroy the VMs of these nodes",
    place: Place::After(&[]),
    needs: &[spec(Scope::Node, "")],
    writes: &[field::<Destroyed>()],
    destroys: true,
};

/// `pve-vm adopt`.
pub static PVE_VM_ADOPT: Row = Row {
    name: "pve-vm adopt",
    summary: "take existing VMs for nodes, as they are",
    place: Place::After(&[]),
    needs: &[spec(Scope::Node, "")],
    writes: &[field::<Adopted>()],
    destroys: false,
};

/// `pve-vm doctor`.
pub static PVE_VM_DOCTOR: Row = Row {
    name: "pve-vm doctor",
    summary: "check that Proxmox VE has everything that the VMs need",
    place: Place::After(&[]),
    needs: &[spec(Scope::Cluster, ".proxmox"), spec(Scope::Node, ""), uses::<Image>()],
    writes: &[field::<Doctor>()],
    destroys: false,
};

/// The pipe, in its order.
pub static PIPE: [&Row; 8] =
    [&TALOS_IMAGE, &PVE_VM, &TALOS_GEN, &TALOS_SEED, &TALOS_APPLY, &TALOS_BOOTSTRAP, &KUBECONFIG_EXPORT, &TALOS_WAIT];

/// The rows beside the pipe.
pub static BESIDE: [&Row; 4] = [&PVE_VM_LIST, &PVE_VM_DESTROY, &PVE_VM_ADOPT, &PVE_VM_DOCTOR];

/// Every row: the reader of the cluster file, the pipe, and the rows beside it.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    std::iter::once(&EXPLODE).chain(PIPE).chain(BESIDE)
}

/// The table as Markdown: the pipe first, then the rows beside it.
#[must_use]
pub fn markdown() -> String {
    let head = |third: &str| format!("| step | does | {third} | writes |\n|---|---|---|---|\n");
    let row =
        |row: &&Row| format!("| `{}` | {} | {} | {} |\n", row.name, row.summary, row.needs_text(), row.writes_text());
    let lines = |rows: &[&Row]| rows.iter().map(row).collect::<String>();
    format!(
        "{}{}\nBeside the pipe, anywhere behind what they need:\n\n{}{}",
        head("needs"),
        lines(&PIPE),
        head("needs"),
        lines(&BESIDE)
    )
}

/// The step of the pipe that writes this field of `status`.
#[must_use]
pub fn writer(scope: Scope, name: &str) -> Option<&'static Row> {
    PIPE.into_iter().find(|row| row.writes.iter().any(|field| field.scope == scope && field.name == name))
}

/// Whether a failure of `step` as a whole may be the reason why this field of `status` is missing.
#[must_use]
pub fn is_behind(step: &str, scope: Scope, name: &str) -> bool {
    let position = |wanted: &str| PIPE.iter().position(|row| row.name == wanted);
    let writer = writer(scope, name).and_then(|row| position(row.name));
    matches!((position(step), writer), (Some(failed), Some(writer)) if failed <= writer)
}

impl FieldRow {
    /// The keys inside it, in order; none for a field that is not an object.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let schema = (self.schema)(&mut SchemaGenerator::default());
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
    }

    fn text(&self) -> String {
        let keys = self.keys();
        let keys = if keys.is_empty() { String::new() } else { format!("{{{}}}", keys.join(",")) };
        format!("{:?} `status.{}{keys}`", self.scope, self.name)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(field) => write!(f, "{:?} `status.{}`", field.scope, field.name),
            Self::Key(field, key) => write!(f, "{:?} `status.{}.{key}`", field.scope, field.name),
            Self::Spec(scope, part) => write!(f, "{scope:?} `spec{part}`"),
            Self::Address => f.write_str("Node an address"),
        }
    }
}

impl Row {
    /// The program: the first word of its name.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.name.split(' ').next().unwrap_or(self.name)
    }

    /// Whether it is part of the pipe.
    #[must_use]
    pub fn is_in_pipe(&self) -> bool {
        matches!(self.place, Place::Pipe)
    }

    /// Whether it makes nodes what their specs say. A node that the cluster file doesn't list has none.
    #[must_use]
    pub fn makes_nodes(&self) -> bool {
        let is_spec = |need: &Need| matches!(need.source, Source::Spec(Scope::Node, _));
        self.is_in_pipe() && self.needs.iter().any(is_spec)
    }

    /// This row and the later ones of the pipe; only this row, if it is beside the pipe.
    fn and_later(&self) -> impl Iterator<Item = &Row> {
        let later = PIPE.into_iter().skip_while(|row| row.name != self.name).skip(1);
        std::iter::once(self).chain(later.filter(|_| self.is_in_pipe()))
    }

    /// The fields of `status` that this step drops on reading. What the reader of the cluster file writes is never
    /// stale: it comes with the records that are read.
    pub fn stale(&self, scope: Scope) -> impl Iterator<Item = &'static str> {
        let rows = self.and_later().filter(|_| !matches!(self.place, Place::First));
        rows.flat_map(|row| row.writes).filter(move |field| field.scope == scope).map(|field| field.name)
    }

    /// Whether this step drops an error that `step` signed: a row of the pipe drops those of itself and of the later
    /// rows of the pipe, a row beside the pipe drops none. What failed earlier in this pass is never tried again.
    #[must_use]
    pub fn drops_error_of(&self, step: &str) -> bool {
        self.is_in_pipe() && self.and_later().any(|row| row.name == step)
    }

    /// The needs as a line of text: ``Cluster `status.image`, Node `spec` ``.
    #[must_use]
    pub fn needs_text(&self) -> String {
        let text = |need: &Need| format!("{}{}", need.source, if need.optional { " if there" } else { "" });
        self.needs.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// What it writes as a line of text: ``Cluster `status.image{schematic,version}` ``.
    #[must_use]
    pub fn writes_text(&self) -> String {
        self.writes.iter().map(FieldRow::text).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
