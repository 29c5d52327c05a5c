//! Names of tasks: work that goes on after the reply.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};

/// The name of a task: `UPID:node:pid:pstart:starttime:type:id:user:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upid {
    text: String,
    node: String,
    kind: String,
    id: String,
}

impl Upid {
    /// Reads a task's name, the colon at its end included.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let ["UPID", node, pid, pstart, start, kind, id, user, ""] = fields[..] else { return None };
        let hex = |field: &str, most| (8..=most).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_hexdigit());
        let whole = hex(pid, 8) && hex(pstart, 9) && hex(start, 8);
        let named = !node.is_empty() && !kind.is_empty() && !user.is_empty();
        let word = |field: &str| !field.contains(['/', ' ', '\t', '\n']);
        (whole && named && [node, kind, id, user].iter().all(|field| word(field))).then(|| Self {
            text: text.into(),
            node: node.into(),
            kind: kind.into(),
            id: id.into(),
        })
    }

    /// The host that runs the task, and that is to be asked about it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What is done: `qmcreate`, `qmstart`, `download`, …
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What it is done to: a VM ID for VMs, else free text.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who began it: `USER@REALM!TOKENID`.
    pub fn user(&self) -> &str {
        self.text.trim_end_matches(':').rsplit(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Upid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("{text:?} is not the name of a task")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tasks_name_tells_where_what_and_on_what() {
        let text = "UPID:pve1:000073B7:0002752E:6B044D6D:qmcreate:100:talos@pve!cli:";
        let upid = Upid::parse(text).unwrap();

        assert_eq!((upid.node(), upid.kind(), upid.id()), ("pve1", "qmcreate", "100"));
        assert_eq!(upid.user(), "talos@pve!cli");
        assert_eq!(upid.to_string(), text);
    }

    #[test]
    fn a_long_uptime_and_a_missing_id_are_read_too() {
        assert!(Upid::parse("UPID:pve1:000073B7:10002752E:6B044D6D:vncproxy::root@pam:").is_some());
    }

    #[test]
    fn what_is_no_tasks_name_is_refused() {
        for text in [
            "",
            "UPID:pve1:000073B7:0002752E:6B044D6D:qmcreate:100:talos@pve!cli",
            "UPID:pve1:73B7:0002752E:6B044D6D:qmcreate:100:talos@pve!cli:",
            "UPID::000073B7:0002752E:6B044D6D:qmcreate:100:talos@pve!cli:",
            "UPID:a/b:000073B7:0002752E:6B044D6D:qmcreate:100:talos@pve!cli:",
        ] {
            assert_eq!(Upid::parse(text), None, "{text}");
        }
    }
}
