//! What goes wrong in a lab, told by a file: which calls fail, hang, lose their replies, take longer or get garbage.
//!
//! A [`Scenario`] is a list of rules. The first rule that fits a call, and whose turn it is, decides; chance is drawn
//! from the file's seed and the number of the call, so the same calls meet the same fate in every run. What happened
//! can be recorded, and a recording can be replayed in the place of a scenario.

mod builtin;
mod chooser;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::fault::Fault;

pub use builtin::{BUILTIN, Builtin};
pub use chooser::{Call, Chooser, Side};

/// One rule of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    side: Side,
    node: Option<String>,
    call: String,
    effect: Fault,
    chance: f64,
    after: u64,
    times: u64,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    seed: u64,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    name: String,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    faults: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    on: Side,
    #[serde(default)]
    node: Option<String>,
    #[serde(default = "any")]
    call: String,
    r#do: String,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default = "always")]
    chance: f64,
    #[serde(default)]
    after: u64,
    #[serde(default = "endless")]
    times: u64,
}

fn any() -> String {
    "*".to_owned()
}

fn always() -> f64 {
    1.0
}

fn endless() -> u64 {
    u64::MAX
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = serde_yaml::from_str(text).context("this is no scenario")?;
        ensure!(
            file.api_version == "ichor-lab/v1" && file.kind == "Scenario",
            "this is no scenario: apiVersion must be ichor-lab/v1 and kind Scenario"
        );
        let rules = file.faults.into_iter().enumerate();
        let rules = rules.map(|(index, entry)| entry.rule().with_context(|| format!("fault {}", index + 1)));
        Ok(Self { name: file.name, seed: file.seed, rules: rules.collect::<Result<_, _>>()? })
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
            .with_context(|| format!("`{name}` is no file and none of `ichor-lab scenario list`"))?;
        Self::parse(&text).with_context(|| name.to_owned())
    }
}

impl Entry {
    fn rule(self) -> anyhow::Result<Rule> {
        ensure!((0.0..=1.0).contains(&self.chance), "`chance` must be between 0 and 1");
        let effect = match self.r#do.as_str() {
            "fail" => Fault::Fail {
                status: self.status.unwrap_or(if self.on == Side::Talos { 14 } else { 500 }),
                message: self.message.unwrap_or_else(|| "injected by the scenario".to_owned()),
            },
            "hang" => Fault::Hang,
            "lose-reply" => Fault::LoseReply,
            "slow" => {
                Fault::Slow { by: self.by.as_deref().map(humantime::parse_duration).transpose().context("`by`")? }
            }
            "garbage" => Fault::Garbage,
            other => bail!("`do: {other}` is none of fail, hang, lose-reply, slow, garbage"),
        };
        let (side, node, call) = (self.on, self.node, self.call);
        Ok(Rule { side, node, call, effect, chance: self.chance, after: self.after, times: self.times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(wrong("  - {on: pve, do: explode}").contains("fault 1: `do: explode` is none of"));
        assert!(wrong("  - {on: pve, do: hang, chance: 2}").contains("`chance` must be between 0 and 1"));
        assert!(wrong("  - {on: moon, do: hang}").contains("moon"));
        assert!(Scenario::load("/nowhere").unwrap_err().to_string().contains("is no file and none of"));
    }
}
