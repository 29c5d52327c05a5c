//! Reads a stream of records and checks that it keeps the contract.

use std::sync::Arc;

use serde::Deserialize;

use crate::status::Only;
use crate::table::Row;
use crate::{API_VERSION, Cluster, Code, Map, Node, Role, Roster, Unusable};

/// What a step gets to see of its input.
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
/// Before a record is handed out, what the reading step drops (see [`Row::stale`]) is gone from its `status`, so that
/// nothing is taken for true that an earlier run left over. Nodes that the step doesn't act on keep theirs.
///
/// `--only` travels: the first step that has it writes `Cluster.status.only`, and what a later step adds can only
/// narrow it.
#[derive(Debug)]
pub struct Stream {
    row: &'static Row,
    /// The nodes that the step acts on; none named means all.
    only: Vec<String>,
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
        Self { row, only, name: None, roster: Arc::default(), seen: Vec::new(), ended: false }
    }

    /// Whether the step acts on this node.
    #[must_use]
    pub fn is_selected(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|selected| selected == name)
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
        if let Some(name) = self.only.iter().find(|name| roster.position(name).is_none()) {
            return Err(Unusable::new(format!("--only {name}: no such node in cluster {}", cluster.name())));
        }
        self.narrow(cluster.only())?;
        self.name = Some(cluster.name().to_owned());
        self.seen = vec![false; roster.len()];
        self.roster = Arc::clone(roster);
        Ok(())
    }

    /// Takes over what an earlier step limits this pass to.
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

    /// A later Cluster record may leave nodes out of the list, but bring no new ones.
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

    /// Says that the input has ended; gives the names of listed nodes that never came.
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

    /// Names of listed nodes that have not come.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let entries = self.roster.iter().zip(&self.seen);
        entries.filter(|(_, seen)| !**seen).map(|(entry, _)| entry.name.to_string()).collect()
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
mod tests {
    use super::*;
    use crate::table::{PVE_VM_LIST, TALOS_GEN};

    const HEAD: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","spec":{},"status":{"nodes":[{"name":"cp-1","role":"controlplane"},{"name":"w-1","role":"worker"}]}}"#;
    const END: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","end":true}"#;

    fn node(name: &str) -> String {
        let role = if name.starts_with("cp") { "controlplane" } else { "worker" };
        format!(
            r#"{{"apiVersion":"ichor/v1","kind":"Node","name":"{name}","cluster":"lab","spec":{{"role":"{role}"}},"status":{{"vm":{{"id":1}},"applied":{{"address":"10.0.0.1"}}}}}}"#
        )
    }

    fn run(lines: &[&str]) -> Result<Vec<String>, Unusable> {
        let mut stream = Stream::new(&TALOS_GEN, Vec::new());
        for (at, line) in lines.iter().enumerate() {
            stream.accept(line.as_bytes(), at as u64 + 1)?;
        }
        stream.finish()
    }

    fn refusal(lines: &[&str]) -> String {
        run(lines).unwrap_err().message
    }

    #[test]
    fn a_complete_stream_is_accepted_in_any_order_of_nodes() {
        assert_eq!(run(&[HEAD, &node("w-1"), &node("cp-1"), END]), Ok(vec![]));
    }

    #[test]
    fn what_a_later_step_wrote_is_dropped_on_reading() {
        let mut stream = Stream::new(&TALOS_GEN, Vec::new());
        stream.accept(HEAD.as_bytes(), 1).unwrap();
        let Item::Node(node) = stream.accept(node("w-1").as_bytes(), 2).unwrap() else { panic!("not a node") };
        assert_eq!(node.status().keys().collect::<Vec<_>>(), ["vm"]);
    }

    #[test]
    fn a_node_that_is_not_selected_keeps_what_it_had() {
        let mut stream = Stream::new(&TALOS_GEN, vec!["cp-1".into()]);
        stream.accept(HEAD.as_bytes(), 1).unwrap();
        let Item::Node(node) = stream.accept(node("w-1").as_bytes(), 2).unwrap() else { panic!("not a node") };
        assert_eq!(node.status().keys().collect::<Vec<_>>(), ["vm", "applied"]);
    }

    #[test]
    fn a_row_beside_the_pipe_drops_only_its_own_fields() {
        let mut stream = Stream::new(&PVE_VM_LIST, Vec::new());
        stream.accept(HEAD.as_bytes(), 1).unwrap();
        let error = r#""error":{"step":"talos-apply","code":"x","message":"m","exit":5},"vm":"#;
        let text = node("w-1").replace(r#""vm":"#, error);
        let Item::Node(node) = stream.accept(text.as_bytes(), 2).unwrap() else { panic!("not a node") };
        assert_eq!(node.status().keys().collect::<Vec<_>>(), ["error", "applied"]);
    }

    #[test]
    fn only_travels_and_a_later_step_can_only_narrow_it() {
        let head = HEAD.replace(r#""status":{"#, r#""status":{"only":["cp-1","w-1"],"#);
        let begin = |only: &[&str]| {
            let mut stream = Stream::new(&TALOS_GEN, only.iter().map(|name| (*name).to_owned()).collect());
            match stream.accept(head.as_bytes(), 1) {
                Ok(Item::Cluster(cluster)) => Ok((cluster.only(), stream.is_selected("w-1"))),
                Ok(_) => panic!("not a Cluster"),
                Err(error) => Err(error),
            }
        };
        assert_eq!(begin(&[]), Ok((vec!["cp-1".to_owned(), "w-1".to_owned()], true)));
        assert_eq!(begin(&["cp-1"]), Ok((vec!["cp-1".to_owned()], false)));
        let head_of_one = HEAD.replace(r#""status":{"#, r#""status":{"only":["cp-1"],"#);
        let mut wider = Stream::new(&TALOS_GEN, vec!["w-1".to_owned()]);
        let error = wider.accept(head_of_one.as_bytes(), 1).unwrap_err();
        assert_eq!(error.message, "line 1: --only w-1: an earlier step limits this run to cp-1");
    }

    #[test]
    fn an_only_that_is_not_a_list_of_names_is_refused() {
        for wrong in [r#""w-1""#, "[1]", "true"] {
            let text = HEAD.replace(r#""status":{"#, &format!(r#""status":{{"only":{wrong},"#));
            assert!(refusal(&[&text]).contains("status.only is"), "{wrong}");
        }
    }

    #[test]
    fn the_stream_of_a_step_that_failed_before_its_first_line_is_one_record() {
        const FAILED: &str = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"","status":{"error":{"step":"talos-image","code":"usage","message":"m","exit":2}},"end":true}"#;
        let mut stream = Stream::new(&TALOS_GEN, vec!["w-9".to_owned()]);
        assert!(matches!(stream.accept(FAILED.as_bytes(), 1), Ok(Item::Failed(_))), "no flag is checked against it");
        assert_eq!(stream.finish(), Ok(vec![]));
        assert!(refusal(&[FAILED, HEAD]).contains("a second stream"));
        assert!(refusal(&[HEAD, FAILED]).contains("two clusters"));
        for other in [FAILED.replace(r#","end":true"#, ""), FAILED.replace("error", "mistake")] {
            assert!(refusal(&[&other]).contains("is not a valid name"), "{other}");
        }
    }

    #[test]
    fn a_node_of_another_cluster_is_refused() {
        let text = node("w-1").replace(r#""cluster":"lab""#, r#""cluster":"prod""#);
        assert_eq!(refusal(&[HEAD, &text]), "line 2: node w-1 belongs to cluster prod, the stream to cluster lab");
    }

    #[test]
    fn a_stream_without_its_last_line_was_cut_and_one_without_a_line_is_no_input() {
        assert_eq!(run(&[HEAD, &node("w-1")]).unwrap_err().code, Code::Cut);
        assert_eq!(run(&[]).unwrap_err().code, Code::NoInput);
    }

    #[test]
    fn a_second_stream_in_the_same_input_is_refused() {
        assert!(refusal(&[HEAD, &node("w-1"), &node("cp-1"), END, HEAD]).contains("line 5: a second stream"));
    }

    #[test]
    fn nodes_that_do_not_belong_are_named() {
        assert_eq!(refusal(&[HEAD, &node("w-1"), &node("w-1")]), "line 3: node w-1 comes twice");
        assert!(refusal(&[HEAD, &node("w-9")]).contains("node w-9 is not in the Cluster record's list"));
        assert!(refusal(&[&node("w-1")]).contains("comes before its Cluster record"));
    }

    #[test]
    fn a_name_that_could_leave_the_clusters_folder_is_refused_in_records_too() {
        for name in ["../../evil", "a/b", "..", "a\\u001b[2J", ""] {
            let text = node("w-1").replace("w-1", name);
            assert!(refusal(&[HEAD, &text]).contains("is not a valid name"), "{name}");
            assert!(refusal(&[&HEAD.replace("w-1", name)]).contains("is not a valid name"), "{name}");
            assert!(refusal(&[&HEAD.replace("lab", name)]).contains("is not a valid name"), "{name}");
        }
        for name in ["10.0.0.11", "fe80::1%eth0", "[fd00::1]:50000", "node.lan"] {
            assert_eq!(run(&[&HEAD.replace("w-1", name), &node(name), &node("cp-1"), END]), Ok(vec![]), "{name}");
        }
    }

    #[test]
    fn a_record_of_another_role_than_the_list_says_is_refused() {
        let text = node("w-1").replace("worker", "controlplane");
        assert!(refusal(&[HEAD, &text]).contains("node w-1 is listed as a worker"));
    }

    #[test]
    fn a_dry_run_that_is_neither_true_nor_false_is_refused() {
        let text = HEAD.replace(r#""status":{"#, r#""status":{"dryRun":"yes","#);
        assert!(refusal(&[&text]).contains(r#"status.dryRun is "yes""#));
    }

    #[test]
    fn listed_nodes_that_never_came_are_told() {
        assert_eq!(run(&[HEAD, &node("w-1"), END]), Ok(vec!["cp-1".to_owned()]));
    }

    #[test]
    fn a_kubeconfig_is_called_by_its_name() {
        assert!(refusal(&[r#"{"apiVersion":"v1","kind":"Config"}"#]).contains("this is a kubeconfig"));
    }

    #[test]
    fn invalid_utf8_is_placed() {
        let mut stream = Stream::new(&TALOS_GEN, Vec::new());
        let error = stream.accept(b"{\"a\":\"\xff\"}", 7).unwrap_err();
        assert_eq!(error.message, "line 7: invalid UTF-8 at byte 7 of the record");
    }

    #[test]
    fn a_list_may_shrink_but_not_grow() {
        let fewer = r#"{"apiVersion":"ichor/v1","kind":"Cluster","name":"lab","status":{"nodes":[{"name":"w-1","role":"worker"}]},"end":true}"#;
        assert_eq!(run(&[HEAD, &node("w-1"), fewer]), Ok(vec![]));
        let more = HEAD.replace("\"w-1\"", "\"w-2\"");
        assert!(refusal(&[HEAD, &more]).contains("node w-2 is added to the list in the middle of the stream"));
    }
}
