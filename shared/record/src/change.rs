//! What a step did to one thing, and what it would do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a step did about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It did something.
    Changed,
    /// Everything was already as it should be.
    Unchanged,
    /// It would do something, were this not a dry run.
    Pending,
}

/// One entry of `changes`: what was changed, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The thing, in the words of the system that holds it: `VM 102: cores`, `machine.sysctls`, `etcd`.
    pub what: String,
    /// What it was; absent for something that is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it becomes; absent for something that is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// What it costs.
    pub impact: Impact,
    /// The flag that allows it, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

/// What a change costs, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nobody notices.
    Live,
    /// A service restarts.
    Restart,
    /// The guest reboots.
    Reboot,
    /// The VM is switched off and on.
    PowerCycle,
    /// The installed release is replaced.
    Upgrade,
    /// The machine is replaced by a new one.
    Recreate,
    /// Data is lost.
    DataLoss,
}

/// The placeholder for a secret value.
const REDACTED: &str = "(redacted)";

impl Change {
    /// A change that nobody notices, without values yet.
    #[must_use]
    pub fn live(what: impl Into<String>) -> Self {
        Self::new(what, Impact::Live)
    }

    /// A change with this impact, without values yet.
    #[must_use]
    pub fn new(what: impl Into<String>, impact: Impact) -> Self {
        Self { what: what.into(), from: None, to: None, impact, needs: None }
    }

    /// The same with what it was.
    #[must_use]
    pub fn from(mut self, value: impl Into<Value>) -> Self {
        self.from = Some(value.into());
        self
    }

    /// The same with what it becomes.
    #[must_use]
    pub fn to(mut self, value: impl Into<Value>) -> Self {
        self.to = Some(value.into());
        self
    }

    /// The same with the flag that allows it.
    #[must_use]
    pub fn needs(mut self, flag: &str) -> Self {
        self.needs = Some(flag.to_owned());
        self
    }

    /// The same with redacted values, as they may be secret: only whether there was one, and whether there will be one.
    #[must_use]
    pub fn redacted(mut self, was: bool, becomes: bool) -> Self {
        self.from = was.then(|| REDACTED.into());
        self.to = becomes.then(|| REDACTED.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_has_no_from_and_what_needs_no_flag_names_none() {
        let added = Change::live("VM").to("VM 100 on pve1");
        let text = serde_json::to_string(&added).unwrap();
        assert_eq!(text, r#"{"what":"VM","to":"VM 100 on pve1","impact":"live"}"#);
        let guarded = Change::new("cores", Impact::PowerCycle).from(2).to(4).needs("--reboot");
        let text = serde_json::to_string(&guarded).unwrap();
        assert_eq!(text, r#"{"what":"cores","from":2,"to":4,"impact":"power-cycle","needs":"--reboot"}"#);
    }

    #[test]
    fn a_redacted_change_still_says_whether_something_is_added_or_removed() {
        let change = Change::live("machine.token").to("abc").redacted(false, true);
        assert_eq!((change.from, change.to), (None, Some("(redacted)".into())));
    }
}
