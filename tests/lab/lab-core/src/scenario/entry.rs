//! Reading a scenario file: strict, and with the nearest word for one that is unknown.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

use super::{Rule, Scenario, Side, Trouble};
use crate::fault::{Fault, State};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    name: String,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    faults: Vec<Mapping>,
}

/// The words of `on`.
const SIDES: [(&str, Side); 4] =
    [("pve", Side::Pve), ("factory", Side::Factory), ("talos", Side::Talos), ("kubernetes", Side::Kubernetes)];

type Make = fn(&Entry, Side) -> anyhow::Result<Fault>;

/// The words of `do`.
const FAULTS: [(&str, Make); 5] = [
    ("fail", |entry, side| {
        let usual = if side == Side::Talos { 14 } else { 500 };
        let message = entry.get("message")?.unwrap_or_else(|| "injected by the scenario".to_owned());
        Ok(Fault::Fail { status: entry.get("status")?.unwrap_or(usual), message })
    }),
    ("hang", |_, _| Ok(Fault::Hang)),
    ("lose-reply", |_, _| Ok(Fault::LoseReply)),
    ("slow", |entry, _| Ok(Fault::Slow { by: entry.time("by")? })),
    ("garbage", |_, _| Ok(Fault::Garbage)),
];

/// The keys of a fault of calls, each with the word of `do` that it belongs to, if it belongs to one.
const KEYS: [(&str, &str); 10] = [
    ("on", ""),
    ("node", ""),
    ("call", ""),
    ("do", ""),
    ("status", "fail"),
    ("message", "fail"),
    ("by", "slow"),
    ("chance", ""),
    ("after", ""),
    ("times", ""),
];

/// Every word for what goes wrong.
#[cfg(test)]
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(word, _)| *word).chain(State::ALL.iter().map(|(word, ..)| *word))
}

/// Reads a scenario file.
pub(super) fn scenario(text: &str) -> anyhow::Result<Scenario> {
    let file: File = serde_yaml::from_str(text).context("this is no scenario")?;
    ensure!(
        file.api_version == "ichor-lab/v1" && file.kind == "Scenario",
        "this is no scenario: apiVersion must be ichor-lab/v1 and kind Scenario"
    );
    let mut scenario = Scenario { name: file.name, seed: file.seed, rules: Vec::new(), troubles: Vec::new() };
    for (index, entry) in file.faults.into_iter().enumerate() {
        Entry(entry).add(&mut scenario).with_context(|| format!("fault {}", index + 1))?;
    }
    Ok(scenario)
}

/// The entry of a list that a word means; `shown` is the word with its key.
fn known<T: Copy>(word: &str, shown: &str, list: &[(&'static str, T)]) -> anyhow::Result<T> {
    if let Some((_, found)) = list.iter().find(|(other, _)| *other == word) {
        return Ok(*found);
    }
    let words: Vec<&str> = list.iter().map(|(word, _)| *word).collect();
    let nearest = words.iter().min_by_key(|other| strsim::damerau_levenshtein(word, other)).copied();
    let (nearest, all) = (nearest.unwrap_or_default(), words.join(", "));
    Err(anyhow!("`{shown}` is unknown, did you mean `{nearest}`? ({all})"))
}

/// One entry of `faults`.
struct Entry(Mapping);

impl Entry {
    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> anyhow::Result<Option<T>> {
        let value = self.0.get(key).cloned();
        value.map(serde_yaml::from_value).transpose().with_context(|| format!("`{key}`"))
    }

    fn need(&self, key: &str, of: &str) -> anyhow::Result<String> {
        self.get(key)?.with_context(|| format!("`{of}` needs `{key}`"))
    }

    fn time(&self, key: &str) -> anyhow::Result<Option<Duration>> {
        let read = |value: &Value| humantime::parse_duration(value.as_str()?).ok();
        let time = |value| read(value).with_context(|| format!("`{key}` must be a time such as 3s"));
        self.0.get(key).map(time).transpose()
    }

    /// Refuses keys that are not in a list.
    fn check(&self, keys: &[&'static str]) -> anyhow::Result<()> {
        let list: Vec<(&str, ())> = keys.iter().map(|key| (*key, ())).collect();
        self.0.keys().try_for_each(|key| {
            let key = key.as_str().context("a key must be a word")?;
            known(key, key, &list)
        })
    }

    fn add(&self, scenario: &mut Scenario) -> anyhow::Result<()> {
        let (call, state) = (self.get::<String>("do")?, self.get::<String>("state")?);
        match (call, state) {
            (Some(word), None) => scenario.rules.push(self.rule(&word)?),
            (None, Some(word)) => scenario.troubles.push(self.trouble(&word)?),
            (None, None) => bail!("`do` or `state` must say what goes wrong"),
            (Some(_), Some(_)) => bail!("`do` and `state` exclude each other"),
        }
        Ok(())
    }

    fn rule(&self, word: &str) -> anyhow::Result<Rule> {
        self.check(&KEYS.map(|(key, _)| key))?;
        let shown = format!("do: {word}");
        let make = known(word, &shown, &FAULTS)?;
        if let Some((key, of)) = KEYS.iter().find(|(key, of)| self.has(key) && !of.is_empty() && *of != word) {
            bail!("`{key}` belongs to `do: {of}`");
        }
        let on = self.need("on", &shown)?;
        let side = known(&on, &format!("on: {on}"), &SIDES)?;
        let chance = self.get("chance")?.unwrap_or(1.0);
        ensure!((0.0..=1.0).contains(&chance), "`chance` must be between 0 and 1");
        Ok(Rule {
            side,
            node: self.get("node")?,
            call: self.get("call")?.unwrap_or_else(|| "*".to_owned()),
            fault: make(self, side)?,
            chance,
            after: self.get("after")?.unwrap_or_default(),
            times: self.get("times")?.unwrap_or(u64::MAX),
        })
    }

    fn trouble(&self, word: &str) -> anyhow::Result<Trouble> {
        let shown = format!("state: {word}");
        let (key, state) = known(word, &shown, &State::ALL.map(|(word, key, state)| (word, (key, state))))?;
        self.check(&["state", key, "after", "for"])?;
        ensure!(!state.is_moment() || !self.has("for"), "`for` has no meaning for `{word}`, which happens once");
        let (after, lasts) = (self.time("after")?.unwrap_or_default(), self.time("for")?);
        Ok(Trouble { state, target: self.need(key, &shown)?, after, lasts })
    }
}
