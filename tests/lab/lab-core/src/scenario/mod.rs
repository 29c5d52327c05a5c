//! What goes wrong in a lab, from a file: which calls get which fault, and which states are wrong when.
//!
//! Of the faults of calls, the first that matches a call, and whose turn it is, decides; chance is drawn from the
//! file's seed and the number of the call, so the same calls get the same faults in every run. What happened can be
//! recorded, and a recording can be replayed instead of a scenario.

mod builtin;
mod chooser;
mod entry;

use std::time::Duration;

use anyhow::Context;

use crate::fault::{Fault, State};

pub use builtin::{BUILTIN, Builtin};
pub use chooser::{Call, Chooser, Side};

/// One rule of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    side: Side,
    node: Option<String>,
    call: String,
    fault: Fault,
    chance: f64,
    after: u64,
    times: u64,
}

/// A state that a scenario brings about.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// What is wrong.
    pub state: State,
    /// Name of the host, VM, storage or node.
    pub target: String,
    /// When it begins, counted from when the lab is up.
    pub after: Duration,
    /// How long it lasts; to the end of the lab if `None`.
    pub lasts: Option<Duration>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// States that become wrong by themselves.
    pub troubles: Vec<Trouble>,
    seed: u64,
    rules: Vec<Rule>,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        entry::scenario(text)
    }

    /// The scenario of this name, or in this file.
    ///
    /// # Errors
    ///
    /// When there is neither, or the file is wrong.
    pub fn load(name: &str) -> anyhow::Result<Self> {
        if let Some(builtin) = BUILTIN.iter().find(|builtin| builtin.name == name) {
            return Self::parse(builtin.text);
        }
        let text = std::fs::read_to_string(name)
            .with_context(|| format!("no scenario or file `{name}`; `ichor-lab scenario list` shows the scenarios"))?;
        Self::parse(&text).with_context(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{NodeState, ProxmoxState};

    #[test]
    fn every_scenario_that_is_listed_can_be_loaded() {
        for builtin in BUILTIN {
            let scenario = Scenario::load(builtin.name).unwrap();
            assert_eq!(scenario.name, builtin.name);
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_named_with_its_place() {
        let head = "apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nfaults:\n";
        let wrong = |entry: &str| format!("{:#}", Scenario::parse(&format!("{head}{entry}")).unwrap_err());
        for (entry, message) in [
            (
                "{on: pve, do: hag}",
                "fault 1: `do: hag` is unknown, did you mean `hang`? (fail, hang, lose-reply, slow, garbage)",
            ),
            ("{on: pve, do: hang, chance: 2}", "`chance` must be between 0 and 1"),
            ("{on: pve, do: hang, chanc: 1}", "`chanc` is unknown, did you mean `chance`?"),
            ("{on: talo, do: hang}", "`on: talo` is unknown, did you mean `talos`? (pve, factory, talos, kubernetes)"),
            ("{on: pve}", "`do` or `state` must say what goes wrong"),
            ("{do: hang}", "`do: hang` needs `on`"),
            ("{on: pve, do: hang, status: 5}", "`status` belongs to `do: fail`"),
            ("{on: pve, do: hang, by: 5s}", "`by` belongs to `do: slow`"),
            ("{on: pve, do: hang, after: 5s}", "`after`"),
            (
                "{state: host-offlin, host: pve1}",
                "`state: host-offlin` is unknown, did you mean `host-offline`? (host-",
            ),
            ("{state: host-offline}", "`state: host-offline` needs `host`"),
            ("{state: host-offline, hots: pve1}", "`hots` is unknown, did you mean `host`? (state, host, after, for)"),
            ("{state: host-offline, host: pve1, after: 3}", "`after` must be a time such as 3s"),
            ("{state: reboot, node: cp-1, for: 3s}", "`for` has no meaning for `reboot`"),
            ("{state: silent, do: hang, node: x}", "`do` and `state` exclude each other"),
        ] {
            let found = wrong(&format!("  - {entry}"));
            assert!(found.contains(message), "{entry}: {found}");
        }
        assert!(Scenario::load("/nowhere").unwrap_err().to_string().contains("no scenario or file `/nowhere`"));
    }

    #[test]
    fn a_state_has_a_target_a_beginning_and_an_end() {
        let text = "apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nfaults:\n\
                    - {state: host-offline, host: pve2, after: 3s, for: 1m}\n- {on: pve, do: hang}\n\
                    - {state: reboot, node: cp-1}\n";
        let scenario = Scenario::parse(text).unwrap();
        let trouble = |state, target: &str, after, lasts| Trouble { state, target: target.to_owned(), after, lasts };
        let offline = State::Proxmox(ProxmoxState::HostOffline);
        let minute = Some(Duration::from_secs(60));
        let first = trouble(offline, "pve2", Duration::from_secs(3), minute);
        let second = trouble(State::Node(NodeState::Reboot), "cp-1", Duration::ZERO, None);
        assert_eq!((scenario.troubles, scenario.rules.len()), (vec![first, second], 1));
    }

    #[test]
    fn every_word_of_the_language_is_in_the_readme() {
        let readme = include_str!("../../../README.md");
        for word in entry::words() {
            assert!(readme.contains(&format!("`{word}`")), "`{word}` is missing");
        }
    }
}
