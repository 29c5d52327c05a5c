//! Which call gets which fault, and the record of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Rule, Scenario};
use crate::fault::Fault;

/// A part of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Proxmox VE.
    Pve,
    /// The Image Factory.
    Factory,
    /// The Talos API of a node.
    Talos,
    /// The Kubernetes API.
    Kubernetes,
}

/// A call: where, on which node if it is one's, and what (`POST /nodes/pve1/qemu`, `Bootstrap`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// The part of the lab that is called.
    pub side: Side,
    /// The host or node, if the call is to one.
    pub node: String,
    /// `POST /nodes/pve1/qemu`, `Bootstrap`.
    pub call: String,
}

/// A line of a recording: the n-th such call, and what happened to it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    call: Call,
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<Fault>,
}

/// How often a rule has fitted a call, and has acted.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    fitted: u64,
    acted: u64,
}

/// Decides for every call of a lab.
pub struct Chooser {
    seed: u64,
    rules: Vec<Rule>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Vec<Count>,
    seen: BTreeMap<Call, u64>,
    replayed: BTreeMap<(Call, u64), Fault>,
    record: Option<Box<dyn Write + Send>>,
}

impl Chooser {
    /// A chooser that acts on a scenario; without one nothing goes wrong.
    pub fn new(scenario: Option<Scenario>) -> Self {
        let (seed, rules) = scenario.map(|scenario| (scenario.seed, scenario.rules)).unwrap_or_default();
        let counts = vec![Count::default(); rules.len()];
        Self { seed, rules, state: Mutex::new(State { counts, ..State::default() }) }
    }

    /// Writes a line for every call from now on.
    pub fn record(&self, to: Box<dyn Write + Send>) {
        self.state().record = Some(to);
    }

    /// Repeats the faults of a recording, for the same calls counted by their kind.
    pub fn replay(&self, recording: &str) -> anyhow::Result<()> {
        let mut state = self.state();
        for text in recording.lines().filter(|text| !text.trim().is_empty()) {
            let line: Line = serde_json::from_str(text)?;
            if let Some(effect) = line.effect {
                state.replayed.insert((line.call, line.n), effect);
            }
        }
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to a call, if anything does.
    pub fn choose(&self, call: Call) -> Option<Fault> {
        let mut state = self.state();
        let seen = state.seen.entry(call.clone()).or_default();
        *seen += 1;
        let n = *seen;
        let effect = state.replayed.get(&(call.clone(), n)).cloned().or_else(|| self.by_rule(&mut state, &call));
        if let Some(record) = &mut state.record {
            let line = Line { call, n, effect: effect.clone() };
            // A recording that can't be written must not change what it records.
            let _written = serde_json::to_string(&line).map(|text| writeln!(record, "{text}"));
        }
        effect
    }

    fn by_rule(&self, state: &mut State, call: &Call) -> Option<Fault> {
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.fits(call)) {
            let count = &mut state.counts[index];
            count.fitted += 1;
            let due = count.fitted > rule.after && count.acted < rule.times;
            if due && self.draw(index, count.fitted) < rule.chance {
                count.acted += 1;
                return Some(rule.fault.clone());
            }
        }
        None
    }

    /// A number from 0 up to 1, which depends on the seed, the rule and the number of the call alone.
    fn draw(&self, rule: usize, fitted: u64) -> f64 {
        let digest = Sha256::digest([self.seed, rule as u64, fitted].map(u64::to_be_bytes).concat());
        let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Rule {
    fn fits(&self, call: &Call) -> bool {
        let node = self.node.as_ref().is_none_or(|node| matches(node, &call.node));
        self.side == call.side && node && matches(&self.call, &call.call)
    }
}

/// Whether a text fits a pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        match rest.find(part) {
            _ if last => return rest.ends_with(part),
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn call(text: &str) -> Call {
        Call { side: Side::Pve, node: "pve1".to_owned(), call: text.to_owned() }
    }

    fn chooser(faults: &str) -> Chooser {
        let text = format!("apiVersion: ichor-lab/v1\nkind: Scenario\nname: x\nseed: 9\nfaults:\n{faults}");
        Chooser::new(Some(Scenario::parse(&text).unwrap()))
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("POST *", "POST /nodes", true),
            ("POST /nodes/*/qemu", "POST /nodes/pve1/qemu", true),
            ("POST /nodes/*/qemu", "POST /nodes/pve1/qemu/100", false),
            ("Bootstrap", "Bootstrap", true),
            ("Boot", "Bootstrap", false),
            ("*a*b", "xaxbxb", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_begins_after_some_calls_and_ends_after_some() {
        let chooser = chooser("  - {on: pve, call: POST *, do: hang, after: 1, times: 2}\n");
        let fates: Vec<bool> = (0..5).map(|_| chooser.choose(call("POST /x")).is_some()).collect();
        assert_eq!(fates, [false, true, true, false, false]);
        assert_eq!(chooser.choose(call("GET /x")), None);
    }

    #[test]
    fn chance_is_the_same_in_every_run_and_about_as_often_as_was_said() {
        let fates = || {
            let chooser = chooser("  - {on: pve, do: garbage, chance: 0.3}\n");
            (0..1000).map(|_| chooser.choose(call("GET /x")).is_some()).collect::<Vec<_>>()
        };
        let first = fates();
        assert_eq!(first, fates());
        let count = first.iter().filter(|fate| **fate).count();
        assert!((250..350).contains(&count), "{count}");
    }

    /// Memory that a test can look into.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_recording_brings_the_same_fates_without_its_scenario() {
        let (recorded, memory) = (chooser("  - {on: pve, do: fail, message: no, chance: 0.5}\n"), Shared::default());
        recorded.record(Box::new(memory.clone()));
        let first: Vec<_> = (0..20).map(|_| recorded.choose(call("GET /x"))).collect();
        let replayed = Chooser::new(None);
        replayed.replay(&String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()).unwrap();
        let second: Vec<_> = (0..20).map(|_| replayed.choose(call("GET /x"))).collect();
        assert_eq!(first, second);
        assert!(first.iter().any(Option::is_some) && first.iter().any(Option::is_none));
    }
}
