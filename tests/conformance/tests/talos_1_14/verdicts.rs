//! What we find in a config against what the real module finds in it.

use config_rules::{Mode, Report, validate};
use judges::vectors;
use machine_config::{Config, Contract, kinds, load};
use serde_json::Value;

use crate::{Differences, FOLDER, assert_only, rows};

const MODES: [&str; 4] = ["cloud", "container", "metal", "metal-agent"];

/// Where our verdict is another one, and why.
const OTHER_VERDICTS: [(&str, &str); 0] = [];

/// Where our words are others, and why.
const OTHER_WORDS: [(&str, &str); 2] = [
    ("doc/discoid-badsecret", "theirs repeats the secret"),
    ("doc2/existing-volumeid", "theirs draws the expression with its place on further lines; ours names the place"),
];

/// The messages of one item: theirs holds all of a document below its name, ours repeats the name for each.
fn leaves(item: &str) -> Vec<String> {
    let name = item.split_once(": ").map(|(name, _)| name).filter(|name| is_document(name));
    let mut before = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let mut found = Vec::new();
    for line in item.lines().map(|line| line.trim().trim_start_matches("* ")).filter(|line| !line.is_empty()) {
        let count = line.strip_suffix(" errors occurred:").or_else(|| line.strip_suffix(" error occurred:"));
        match count.map(|head| head.trim_end_matches(|c: char| c.is_ascii_digit())) {
            Some("v1alpha1.Config: ") => {}
            Some(head) => head.clone_into(&mut before),
            None if line.starts_with(&before) => found.push(line.to_owned()),
            None => found.push(format!("{before}{line}")),
        }
    }
    found
}

/// Whether it is `Kind` or `Kind/name`, but for the legacy document, whose messages have no name in ours.
fn is_document(name: &str) -> bool {
    kinds::kind(name.split('/').next().unwrap_or(name)).is_some()
}

/// A warning without the document's name, which only ours has.
fn bare(warning: &str) -> &str {
    warning.split_once(": ").filter(|(name, _)| is_document(name)).map_or(warning, |(_, text)| text)
}

/// All messages, in order.
fn words<'a>(items: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = items.flat_map(leaves).collect();
    all.sort();
    all
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|text| text.as_str().unwrap())
}

fn ours(config: &Config, mode: &str, contract: Contract) -> Report {
    validate(config, Mode::parse(mode).unwrap(), contract)
}

/// Whether the verdict on a case differs in a mode.
fn verdict(theirs: &Value, report: &Report) -> Option<String> {
    let strict = report.clone().strict().errors.is_empty();
    let wanted = (theirs["ok"].as_bool().unwrap(), theirs["strict_ok"].as_bool().unwrap());
    let found = (report.errors.is_empty(), strict);
    (wanted != found).then(|| {
        format!("(ok, strict): theirs {wanted:?}, ours {found:?}\n theirs {}\n ours {report:?}", theirs["errors"])
    })
}

fn other_words(theirs: &Value, report: &Report) -> Option<String> {
    let warnings: Vec<String> = report.warnings.iter().map(|warning| bare(warning).to_owned()).collect();
    let pairs = [("errors", &report.errors), ("warnings", &warnings)];
    let differs = |(key, own): &(&str, &Vec<String>)| {
        let (theirs, ours) = (words(texts(&theirs[*key])), words(own.iter().map(String::as_str)));
        (theirs != ours).then(|| format!("{key}:\n theirs {theirs:#?}\n ours {ours:#?}"))
    };
    let found: Vec<String> = pairs.iter().filter_map(differs).collect();
    (!found.is_empty()).then(|| found.join("\n"))
}

/// The cases that a release of the module decides otherwise than we do under a contract.
fn compare(release: &str, contract: &str, differs: impl Fn(&Value, &Report) -> Option<String>) -> Option<Differences> {
    let folder = vectors(FOLDER)?;
    let contract = Contract::parse(contract).unwrap();
    let (mut found, mut compared) = (Differences::new(), 0);
    for row in rows(&folder, "validate.jsonl") {
        let (id, theirs) = (row["id"].as_str().unwrap(), &row[release]);
        let loaded = load(row["config"].as_str().unwrap());
        let mut differ = |what: String| found.push((id.to_owned(), what));
        if let Some(error) = theirs.get("load_error") {
            compared += 1;
            // What one kind can't read, our rules may refuse instead.
            if loaded.is_ok_and(|config| ours(&config, "cloud", contract).errors.is_empty()) {
                differ(format!("only theirs refuses to load it: {error}"));
            }
            continue;
        }
        // Where the module panics there is no verdict.
        for mode in MODES.iter().filter(|mode| theirs[**mode]["ok"].is_boolean()) {
            compared += 1;
            match &loaded {
                Ok(config) => {
                    let what = differs(&theirs[mode], &ours(config, mode, contract));
                    what.map(|what| format!("{mode}: {what}")).into_iter().for_each(&mut differ);
                }
                // Refused sooner is refused.
                Err(_) if theirs[mode]["ok"] == false => {}
                Err(error) => differ(format!("only ours refuses to load it: {error}")),
            }
        }
    }
    assert!(compared > 300, "only {compared} were compared");
    Some(found)
}

#[test]
fn every_config_gets_the_verdict_of_machinery_1_14_1_in_every_mode() {
    let Some(found) = compare("v1_14_1", "v1.14", verdict) else { return };
    assert_only(&found, &OTHER_VERDICTS);
}

#[test]
fn every_config_gets_the_words_of_machinery_1_14_1_in_every_mode() {
    let Some(found) = compare("v1_14_1", "v1.14", other_words) else { return };
    assert_only(&found, &OTHER_WORDS);
}

#[test]
fn every_config_gets_the_verdict_of_machinery_1_13_9_under_its_contract() {
    let Some(found) = compare("v1_13_9", "v1.13", verdict) else { return };
    assert_only(&found, &[]);
}
