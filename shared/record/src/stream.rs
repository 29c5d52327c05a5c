//! Reads a stream of records and checks that it keeps the contract.

use std::sync::Arc;

use serde::Deserialize;

use crate::status::Only;
use crate::table::Row;
use crate::{API_VERSION, Cluster, Code, Map, Node, Role, Roster, Unusable};

/// What a step receives from its input.
#[derive(Debug)]
pub enum Item {
    /// The Cluster: the first line, or a later one whose status has grown.
    Cluster(Box<Cluster>),
    /// A node.
    Node(Box<Node>),
    /// The last line.
    End(Box<Cluster>),
    /// The whole stream of a step that failed before its first line: the only record of its input.
    Failed(Box<Cluster>),
}

/// The state machine of one input: Cluster first, each listed node once, Cluster with `end` last.
///
/// Before a record is returned, the fields that the reading step drops (see [`Row::stale`]) are removed from its
/// `status`, so that nothing left over from an earlier run counts. Nodes that the step doesn't act on keep theirs.
///
/// `--only` travels: the first step that has it writes `Cluster.status.only`, and a later step's `--only` can only
/// narrow it.
#[derive(Debug)]
pub struct Stream {
    row: &'static Row,
    /// The nodes that the step acts on; empty means all.
    only: Vec<String>,
    /// Whether the step adds nodes to the list, which `--only` may name.
    adds: bool,
    name: Option<String>,
    roster: Arc<Roster>,
    seen: Vec<bool>,
    ended: bool,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
}

impl Stream {
    /// A stream that `row`'s step reads, acting on the nodes `only` (all, if empty).
    #[must_use]
    pub fn new(row: &'static Row, only: Vec<String>) -> Self {
        Self { row, only, adds: false, name: None, roster: Arc::default(), seen: Vec::new(), ended: false }
    }

    /// The same for a step that adds nodes to the list: who adds them checks the names of `--only`.
    #[must_use]
    pub fn adding(self) -> Self {
        Self { adds: true, ..self }
    }

    /// Whether the step acts on this node.
    #[must_use]
    pub fn is_selected(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|selected| selected == name)
    }

    /// Whether the last line has arrived.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Takes the next record of the input.
    ///
    /// # Errors
    /// A record that cannot be read, or that breaks the contract.
    pub fn accept(&mut self, json: &[u8], line: u64) -> Result<Item, Unusable> {
        self.accept_inner(json).map_err(|mut error| {
            error.message = format!("line {line}: {}", error.message);
            error
        })
    }

    fn accept_inner(&mut self, json: &[u8]) -> Result<Item, Unusable> {
        let text = std::str::from_utf8(json).map_err(|error| {
            Unusable::new(format!("invalid UTF-8 at byte {} of the record", error.valid_up_to() + 1))
        })?;
        if self.ended {
            return Err(Unusable::new("a second stream follows the end of the first")
                .hint("a stream holds one run of one cluster: pipe each saved stream separately"));
        }
        if text.starts_with(r#"{"apiVersion":"ichor/v1","kind":"Node","#) {
            return self.node(text);
        }
        let head: Head = serde_json::from_str(text).map_err(|error| Unusable::new(format!("not JSON: {error}")))?;
        match (head.api_version.as_deref(), head.kind.as_deref()) {
            (Some(API_VERSION), Some("Cluster")) => self.cluster(json),
            (Some(API_VERSION), Some("Node")) => self.node(text),
            (version, kind) => Err(foreign(version, kind)),
        }
    }

    fn cluster(&mut self, json: &[u8]) -> Result<Item, Unusable> {
        let mut cluster = Cluster::from_json(json)?;
        match &self.name {
            None if cluster.is_failed() => {
                self.ended = true;
                return Ok(Item::Failed(Box::new(cluster)));
            }
            None if cluster.is_end() => {
                return Err(Unusable::new("the stream begins with its last line"));
            }
            None => self.begin(&cluster)?,
            Some(name) if name != cluster.name() => {
                return Err(Unusable::new(format!("two clusters in one input: {name} and {}", cluster.name())));
            }
            Some(_) => self.go_on(&cluster)?,
        }
        cluster.set_roster(Arc::clone(&self.roster));
        cluster.drop_stale(self.row);
        if !self.only.is_empty() {
            cluster.set(&Only(self.only.clone()));
        }
        self.ended = cluster.is_end();
        Ok(if self.ended { Item::End(Box::new(cluster)) } else { Item::Cluster(Box::new(cluster)) })
    }

    fn begin(&mut self, cluster: &Cluster) -> Result<(), Unusable> {
        let roster = cluster.roster().ok_or_else(|| {
            Unusable::new("the first Cluster record lists no nodes (`status.nodes`)")
                .hint("the step that reads the cluster file writes `status.nodes`")
        })?;
        if !self.adds {
            check_selection(&self.only, roster, cluster.name())?;
        }
        self.narrow(cluster.only())?;
        self.name = Some(cluster.name().to_owned());
        self.seen = vec![false; roster.len()];
        self.roster = Arc::clone(roster);
        Ok(())
    }

    /// Applies the limit that an earlier step set for this pass.
    fn narrow(&mut self, earlier: Vec<String>) -> Result<(), Unusable> {
        if earlier.is_empty() {
            return Ok(());
        }
        if let Some(name) = self.only.iter().find(|name| !earlier.contains(name)) {
            let message = format!("--only {name}: an earlier step limits this run to {}", earlier.join(", "));
            return Err(Unusable::new(message).code(Code::NotSelected));
        }
        if self.only.is_empty() {
            self.only = earlier;
        }
        Ok(())
    }

    /// A later Cluster record may remove nodes from the list, but not add any.
    fn go_on(&mut self, cluster: &Cluster) -> Result<(), Unusable> {
        let Some(roster) = cluster.roster().filter(|roster| **roster != self.roster) else {
            return Ok(());
        };
        let mut seen = Vec::with_capacity(roster.len());
        for entry in roster.iter() {
            let Some(at) = self.roster.position(&entry.name) else {
                return Err(Unusable::new(format!(
                    "node {} is added to the list in the middle of the stream",
                    entry.name
                ))
                .hint("two streams may have been mixed"));
            };
            seen.push(self.seen[at]);
        }
        (self.roster, self.seen) = (Arc::clone(roster), seen);
        Ok(())
    }

    fn node(&mut self, text: &str) -> Result<Item, Unusable> {
        let fields: Map = serde_json::from_str(text).map_err(|error| Unusable::new(format!("not JSON: {error}")))?;
        let mut node = Node::from_fields(fields)?;
        let Some(name) = &self.name else {
            return Err(Unusable::new(format!("node {} comes before its Cluster record", node.name()))
                .hint("the first line of a stream is the Cluster record"));
        };
        if node.cluster() != name {
            let message =
                format!("node {} belongs to cluster {}, the stream to cluster {name}", node.name(), node.cluster());
            return Err(Unusable::new(message));
        }
        let Some(at) = self.roster.position(node.name()) else {
            return Err(Unusable::new(format!("node {} is not in the Cluster record's list", node.name())));
        };
        if (self.roster.at(at).role == Role::ControlPlane) != node.is_control_plane() {
            let (name, listed) = (node.name(), self.roster.at(at).role);
            return Err(Unusable::new(format!("node {name} is listed as a {listed}, but its spec.role differs"))
                .hint("the list and `spec.role` come from the cluster file: edit it there"));
        }
        if std::mem::replace(&mut self.seen[at], true) {
            return Err(Unusable::new(format!("node {} comes twice", node.name())));
        }
        if self.is_selected(node.name()) {
            node.drop_stale(self.row);
        }
        Ok(Item::Node(Box::new(node)))
    }

    /// Ends the input; returns the names of listed nodes that are missing from it.
    ///
    /// # Errors
    /// An empty input, or one without its last line.
    pub fn finish(&self) -> Result<Vec<String>, Unusable> {
        if self.name.is_none() && !self.ended {
            return Err(Unusable::new("no input: the previous command in the pipe wrote nothing")
                .code(Code::NoInput)
                .hint("the command was not found, or was killed before its first line; see its own message"));
        }
        if !self.ended {
            return Err(Unusable::new("the input was cut: its last line (\"end\":true) is missing")
                .code(Code::Cut)
                .hint("an earlier step was stopped: run the pipe again from the cluster file, nothing is lost"));
        }
        Ok(self.missing())
    }

    /// Names of listed nodes that have not arrived.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let entries = self.roster.iter().zip(&self.seen);
        entries.filter(|(_, seen)| !**seen).map(|(entry, _)| entry.name.to_string()).collect()
    }
}

/// Refuses names of `--only` that no node has.
///
/// # Errors
/// The first of them.
pub fn check_selection(only: &[String], roster: &Roster, cluster: &str) -> Result<(), Unusable> {
    match only.iter().find(|name| roster.position(name).is_none()) {
        Some(name) => Err(Unusable::new(format!("--only {name}: no such node in cluster {cluster}"))
            .hint("it takes nodes of the cluster file; `pve-vm list --orphans` adds VMs of nodes that left the file")),
        None => Ok(()),
    }
}

/// Names what was given instead of a record.
pub(crate) fn foreign(version: Option<&str>, kind: Option<&str>) -> Unusable {
    let hint = "the input is a stream of records, or a cluster file (apiVersion: ichor/v1, kind: Cluster)";
    let message = match (version, kind) {
        (Some("v1"), Some("Config")) => "this is a kubeconfig, not a record".to_owned(),
        (Some("v1alpha1"), Some(kind)) => {
            format!("this is a Talos machine config document ({kind}), not a record")
        }
        (Some(API_VERSION), Some(kind)) => {
            format!("unknown kind {kind:?}: a record is a Cluster or a Node")
        }
        (Some(API_VERSION), None) => "a record without `kind`".to_owned(),
        (Some(version), Some(kind)) => {
            format!("apiVersion {version:?}, kind {kind:?} is not a record of ichor/v1")
        }
        (Some(version), None) => format!("apiVersion {version:?} is not ichor/v1"),
        (None, _) => "a JSON object without `apiVersion` is not a record".to_owned(),
    };
    Unusable::new(message).hint(hint)
}

#[cfg(test)]
mod tests;
