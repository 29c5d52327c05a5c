//! Our machine configs against what Talos's own module, `machinery` 1.14.1, made of the same input: written byte for
//! byte, and with the same verdict in every mode.
//!
//! Where ours differs on purpose, a list names the case and the reason; an entry that no longer differs fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

mod generated;
mod migrated;
mod patches;
mod verdicts;

/// The folder of the vectors.
const FOLDER: &str = "talos-1.14";

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The rows of one file of the vectors.
fn rows(folder: &Path, file: &str) -> Vec<Value> {
    let text = text(&folder.join(file));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Where ours differs: what a case is about, and how.
type Differences = Vec<(String, String)>;

/// Fails unless exactly the listed cases differ.
fn assert_only(found: &Differences, listed: &[(&str, &str)]) {
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<&str> = listed.iter().map(|(name, _)| *name).collect();
    assert_eq!(known.len(), listed.len(), "a case is listed twice");
    let new: Vec<_> = found.iter().filter(|(name, _)| !known.contains(name.as_str())).collect();
    let show: Vec<String> = new.iter().map(|(name, what)| format!("{name}:\n{what}\n")).collect();
    assert!(show.is_empty(), "{} differ:\n{}", show.len(), show.join("\n"));
    let gone: Vec<_> = known.difference(&names).collect();
    assert!(gone.is_empty(), "listed, but no longer different: {gone:?}");
}
