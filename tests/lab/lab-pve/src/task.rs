//! Tasks: their identifiers, their states and their logs.

use serde_json::{Value, json};

use super::access::Token;

/// What a task will do when its time has come.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// `UPID:node:pid:pstart:starttime:type:id:user:`.
    pub(crate) upid: String,
    /// The host that works on it.
    pub(crate) node: String,
    /// `qmcreate`, `qmstart` …
    pub(crate) kind: &'static str,
    /// What it works on: a VM ID or a file name.
    pub(crate) id: String,
    user: String,
    token: String,
    pid: u32,
    pstart: u32,
    /// Seconds since 1970.
    start: u64,
    end: Option<u64>,
    exit: Option<String>,
    log: Vec<String>,
    warnings: usize,
}

impl Task {
    /// Adds a line to the log.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.log.push(line.into());
    }

    /// Adds a warning to the log; a task with warnings does not end with `OK`.
    pub(crate) fn warn(&mut self, text: &str) {
        self.warnings += 1;
        self.note(format!("WARN: {text}"));
    }

    /// Whether it is still working.
    pub(crate) fn is_running(&self) -> bool {
        self.exit.is_none()
    }

    /// How it ended: `OK` or the text of the error.
    pub(crate) fn exit(&self) -> Option<&str> {
        self.exit.as_deref()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> &[String] {
        &self.log
    }

    /// Whether it belongs to the token's user.
    pub(crate) fn is_of(&self, token: &Token) -> bool {
        token.parts().0 == self.user
    }

    /// Ends it.
    pub(crate) fn end(&mut self, outcome: Result<(), String>, now: u64) {
        self.end = Some(now);
        let (line, exit) = match (outcome, self.warnings) {
            (Ok(()), 0) => ("TASK OK".to_owned(), "OK".to_owned()),
            (Ok(()), count) => (format!("TASK WARNINGS: {count}"), format!("WARNINGS: {count}")),
            (Err(text), _) => {
                let text = text.replace('\n', " ");
                (format!("TASK ERROR: {text}"), text)
            }
        };
        self.log.push(line);
        self.exit = Some(exit);
    }

    /// The reply to a question for its status.
    pub(crate) fn status(&self) -> Value {
        let mut row = self.common();
        row["status"] = match self.exit {
            Some(_) => "stopped".into(),
            None => "running".into(),
        };
        if let Some(exit) = &self.exit {
            row["exitstatus"] = exit.as_str().into();
        }
        row
    }

    /// Its row in the list of the cluster: once it has ended, its process is of no interest.
    pub(crate) fn cluster_row(&self) -> Value {
        let mut row = self.row();
        if let Some(row) = row.as_object_mut().filter(|_| !self.is_running()) {
            row.remove("pid");
            row.remove("pstart");
            row.insert("saved".to_owned(), "1".into());
        }
        row
    }

    /// Its row in a list.
    pub(crate) fn row(&self) -> Value {
        let mut row = self.common();
        if let (Some(end), Some(exit)) = (self.end, &self.exit) {
            row["endtime"] = end.into();
            row["status"] = exit.as_str().into();
        }
        row
    }

    fn common(&self) -> Value {
        json!({
            "id": self.id, "node": self.node, "pid": self.pid, "pstart": self.pstart, "starttime": self.start,
            "tokenid": self.token, "type": self.kind, "upid": self.upid, "user": self.user,
        })
    }
}

/// Every task since the start.
#[derive(Default)]
pub(crate) struct Tasks {
    list: Vec<Task>,
}

impl Tasks {
    /// Starts a task.
    pub(crate) fn begin(&mut self, node: &str, kind: &'static str, id: &str, token: &Token, now: u64) -> &mut Task {
        let count = u32::try_from(self.list.len()).expect("a lab has fewer tasks than 2^32");
        let (pid, pstart) = (1000 + count, 100_000 + 10 * count);
        let (user, name) = token.parts();
        let upid = format!("UPID:{node}:{pid:08X}:{pstart:08X}:{now:08X}:{kind}:{id}:{}:", token.name);
        self.list.push(Task {
            upid,
            node: node.to_owned(),
            kind,
            id: id.to_owned(),
            user: user.to_owned(),
            token: name.to_owned(),
            pid,
            pstart,
            start: now,
            end: None,
            exit: None,
            log: Vec::new(),
            warnings: 0,
        });
        self.list.last_mut().expect("a task was just added")
    }

    /// How many there have been.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// The task with this identifier.
    pub(crate) fn get(&self, upid: &str) -> Option<&Task> {
        self.list.iter().rfind(|task| task.upid == upid)
    }

    /// The task with this identifier.
    pub(crate) fn get_mut(&mut self, upid: &str) -> Option<&mut Task> {
        self.list.iter_mut().rfind(|task| task.upid == upid)
    }

    /// All tasks, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Task> {
        self.list.iter().rev()
    }
}

/// Whether the text has the shape of an identifier.
pub(crate) fn is_upid(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let hex = |part: &str| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.len() == 9 && parts[0] == "UPID" && parts[2..5].iter().all(|part| hex(part)) && parts[8].is_empty()
}
