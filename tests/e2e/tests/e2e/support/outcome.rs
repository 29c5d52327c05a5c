//! The outcome of a command.

use serde_json::Value;

/// Exit status, stdout and stderr of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit status; 128 + N for a process that signal N ended, as in a shell.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Asserts the exit status; shows everything if it differs.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Asserts that stderr contains this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr does not say {text:?}\n{self}");
        self
    }

    /// Asserts that stderr does not contain this.
    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "stderr says {text:?}\n{self}");
        self
    }

    /// The records on stdout.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        let record = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{self}"));
        self.stdout.lines().map(record).collect()
    }

    /// The Node records on stdout, in the order in which they came.
    #[track_caller]
    pub(crate) fn nodes(&self) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["kind"] == "Node").collect()
    }

    /// Names of the nodes on stdout, in the order in which they came.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        self.nodes().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The record of one node.
    #[track_caller]
    pub(crate) fn node(&self, name: &str) -> Value {
        let found = self.nodes().into_iter().find(|node| node["name"] == name);
        found.unwrap_or_else(|| panic!("no node {name}\n{self}"))
    }

    /// The last line.
    #[track_caller]
    pub(crate) fn end(&self) -> Value {
        let last = self.records().pop().unwrap_or_else(|| panic!("no records\n{self}"));
        assert_eq!(last["end"], true, "the last line is not the end\n{self}");
        last
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cut = |text: &str| text.chars().take(6000).collect::<String>();
        let (out, err) = (cut(&self.stdout), cut(&self.stderr));
        write!(f, "exit status {}\n--- stdout\n{out}\n--- stderr\n{err}", self.status)
    }
}
