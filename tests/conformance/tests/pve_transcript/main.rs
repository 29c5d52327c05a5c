//! The lab's Proxmox VE against exchanges recorded with the real request handlers.
//!
//! Every recorded request is sent as it was; what is compared is what a client can build on: status, reason phrase, the
//! names and texts of refused parameters, messages, how tasks end, and what configurations hold. Between the requests
//! the person who recorded them did a few things by hand (removed VMs, held locks); [`Stage`] does them as well.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compare;
mod probes;
mod stage;

use conformance::text;
use judges::vectors;
use serde_json::Value;

use stage::Stage;

/// The records of a transcript by section, each with its line.
fn records(file: &str) -> Option<Vec<(String, usize, Value)>> {
    let text = text(&vectors("pve")?.join(file));
    let mut section = String::new();
    let mut found = Vec::new();
    for (line, record) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(record).unwrap();
        match record["section"].as_str() {
            Some(name) if record["path"].is_null() => section = name.to_owned(),
            _ => found.push((section.clone(), line + 1, record)),
        }
    }
    Some(found)
}

async fn replay(file: &str, wanted: impl Fn(&str, &Value) -> bool, at_least: usize) {
    let Some(records) = records(file) else { return };
    let mut stage = Stage::start();
    let (mut equal, mut wrong) = (0, Vec::new());
    for (section, line, record) in records {
        if !wanted(&section, &record) {
            continue;
        }
        stage.prepare(file, line, &record).await;
        let answer = stage.send(&record).await;
        if compare::artefact(&record) {
            stage.undo(&record);
            continue;
        }
        match compare::difference(&stage, &record, &answer) {
            None => equal += 1,
            Some(text) => wrong.push(format!("{file}:{line} {section} {}: {text}", record["note"])),
        }
    }
    assert!(wrong.is_empty(), "{equal} equal, {} not:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal >= at_least, "only {equal} records were compared");
}

#[tokio::test]
async fn every_refused_creation_is_refused_with_the_same_words() {
    let refused = |section: &str, record: &Value| {
        section == "create-validation" && (record["status"] == 400 || record["status"] == 403)
    };
    replay("transcript-9.2.jsonl", refused, 168).await;
}

#[tokio::test]
async fn the_recorded_scenario_gives_the_recorded_answers() {
    replay("transcript-9.2.jsonl", |_, _| true, 498).await;
}

#[tokio::test]
async fn imports_and_held_locks_give_the_recorded_answers() {
    replay("transcript-9.2-import-locks.jsonl", |_, _| true, 64).await;
}

async fn probe(file: &str, release: lab::pve::Release, skipped: probes::Skipped, at_least: usize) {
    let Some(folder) = vectors("pve") else { return };
    let (equal, wrong) = probes::replay(&text(&folder.join("real").join(file)), release, skipped).await;
    assert!(wrong.is_empty(), "{equal} equal, {} not:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal >= at_least, "only {equal} records were compared");
}

#[tokio::test]
async fn changes_of_a_running_vm_are_live_or_wait_as_on_real_hosts() {
    let skipped = &[106, 107, 112, 113];
    probe("probe-real-vs-lab-9.2-live-changes.jsonl", lab::pve::Release::V9_2, skipped, 121).await;
}

#[tokio::test]
async fn the_calls_of_a_real_older_host_get_its_answers() {
    probe("probe-real-vs-lab-8.4.jsonl", lab::pve::Release::V8_4, &[106, 107, 125], 137).await;
}
