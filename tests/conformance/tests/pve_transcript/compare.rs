//! What must be equal in a recorded answer and the lab's.

use serde_json::Value;

use super::stage::{Answer, Stage};

/// Texts that come from the place where the transcripts were recorded, not from Proxmox VE.
const ARTEFACTS: &[&str] = &[
    "Not an ARRAY reference",
    "qemu-img",
    "machine-versions-x86_64.json",
    "timedatectl",
    "Temporary failure in name resolution",
];

/// Whether a record holds such a text.
pub(crate) fn artefact(record: &Value) -> bool {
    let text = record["body"].to_string();
    ARTEFACTS.iter().any(|artefact| text.contains(artefact))
}

/// What differs, if anything does.
pub(crate) fn difference(stage: &Stage, record: &Value, answer: &Answer) -> Option<String> {
    let recorded = &record["body"];
    if record["status"] != answer.status {
        return Some(format!("status {} instead of {}: {}", answer.status, record["status"], answer.body));
    }
    if record["reason"].as_str() != Some(&answer.reason) {
        return Some(format!("reason {:?} instead of {}", answer.reason, record["reason"]));
    }
    if recorded.is_string() && recorded != &answer.body {
        return Some(format!("body {} instead of {recorded}", answer.body));
    }
    for key in ["errors", "message"] {
        if recorded[key] != answer.body[key] {
            return Some(format!("{key} {} instead of {}", answer.body[key], recorded[key]));
        }
    }
    let path = record["path"].as_str().unwrap_or_default();
    if answer.status == 200 { data(stage, path, &recorded["data"], &answer.body["data"]) } else { None }
}

fn data(stage: &Stage, path: &str, recorded: &Value, own: &Value) -> Option<String> {
    if path.contains("/tasks/") && path.ends_with("/status") {
        return ["exitstatus", "status", "type", "id", "user", "tokenid"]
            .iter()
            .find(|key| recorded[**key] != own[**key])
            .map(|key| format!("{key} {} instead of {}", own[*key], recorded[*key]));
    }
    if path.contains("/tasks/") && path.ends_with("/log") {
        return log(recorded, own);
    }
    if path.ends_with("/config") && recorded.is_object() {
        return config(stage, recorded, own);
    }
    let kind = |value: &Value| match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::Null => "null",
        _ => "scalar",
    };
    (kind(recorded) != kind(own)).then(|| format!("data {own} instead of {recorded}"))
}

fn log(recorded: &Value, own: &Value) -> Option<String> {
    // Whether a lock had to be waited for is a matter of luck.
    let lines = |log: &Value| -> Vec<String> {
        let lines = log.as_array().into_iter().flatten().filter_map(|line| line["t"].as_str());
        let luck = |line: &&str| *line == "trying to acquire lock..." || *line == " OK";
        let mut lines: Vec<String> = lines.filter(|line| !luck(line)).map(str::to_owned).collect();
        // Builds of the program that copies differ in how often they say that they are done.
        lines.dedup_by(|line, before| line == before && line.starts_with("transferred"));
        lines
    };
    (lines(recorded) != lines(own)).then(|| format!("log {:?} instead of {:?}", lines(own), lines(recorded)))
}

/// Options that are made up for each VM or change with each request.
const RANDOM: &[&str] = &["digest", "meta", "vmgenid", "smbios1"];

fn config(stage: &Stage, recorded: &Value, own: &Value) -> Option<String> {
    let (recorded, own) = (recorded.as_object()?, own.as_object()?);
    let masked = |key: &str, value: &Value| match (key, value.as_str()) {
        (key, _) if RANDOM.contains(&key) => Value::Null,
        (key, Some(nic)) if key.starts_with("net") => Value::String(without_mac(nic)),
        _ => value.clone(),
    };
    let _known = stage;
    let keys = recorded.keys().chain(own.keys());
    keys.map(|key| (key, recorded.get(key), own.get(key)))
        .find(|(key, recorded, own)| recorded.map(|v| masked(key, v)) != own.map(|v| masked(key, v)))
        .map(|(key, recorded, own)| format!("{key} is {own:?} instead of {recorded:?}"))
}

fn without_mac(nic: &str) -> String {
    nic.split(',').map(|part| part.split('=').next().unwrap_or_default()).collect::<Vec<_>>().join(",")
}
