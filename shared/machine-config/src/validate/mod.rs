//! What Talos itself would refuse of a config that reads well: rules as tables, with Talos's words where they are known.

mod conflicts;
mod container;
mod legacy;

use crate::config::Config;
use crate::value::{Map, Value};

/// How the machine boots, which decides what its config must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Installed by Talos itself.
    Metal,
    /// Booted from a disk image, nocloud on Proxmox VE among them.
    Cloud,
    /// In a container, for tests.
    Container,
}

impl Mode {
    /// The mode of talosctl's word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "metal" => Some(Self::Metal),
            "cloud" => Some(Self::Cloud),
            "container" => Some(Self::Container),
            _ => None,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What Talos refuses.
    pub errors: Vec<String>,
    /// What it takes, but not gladly.
    pub warnings: Vec<String>,
}

/// A rule: looks at the config, and says what is wrong.
type Rule = fn(&Config, Mode, &mut Report);

/// Validates a config.
pub fn validate(config: &Config, mode: Mode) -> Report {
    let mut report = Report::default();
    for rule in legacy::RULES.iter().chain(container::RULES) {
        rule(config, mode, &mut report);
    }
    report.errors.extend(conflicts::found(config));
    report
}

impl Report {
    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }
}

/// Whether something stands at a path of the legacy document.
fn is_set(config: &Config, path: &[&str]) -> bool {
    match config.legacy(path) {
        None | Some(Value::Null) => false,
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::List(items)) => !items.is_empty(),
        Some(Value::Map(_) | Value::Bool(_) | Value::Number(_)) => true,
    }
}

/// The texts of a list in the legacy document.
fn texts<'a>(config: &'a Config, path: &[&str]) -> Vec<&'a str> {
    let items = config.legacy(path).and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_text).collect()
}

/// The pairs of a map of texts in the legacy document.
fn pairs<'a>(config: &'a Config, path: &[&str]) -> Vec<(&'a str, &'a str)> {
    let map = config.legacy(path).and_then(Value::as_map);
    map.into_iter().flat_map(Map::iter).filter_map(|(key, value)| Some((key, value.as_text()?))).collect()
}

#[cfg(test)]
mod tests;
