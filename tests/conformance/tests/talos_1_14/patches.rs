//! What our patches make of a config against what the real module makes of it.

use config_rules::{Mode, validate};
use go_yaml::Dialect;
use judges::vectors;
use machine_config::{Contract, load, patch};
use serde_json::Value;

use crate::{Differences, FOLDER, assert_only, rows, text};

/// Where ours differs, and why.
const OTHERS: [(&str, &str); 6] = [
    ("json/v1-replace-missing", PLACE),
    ("json/v1-test-fail", PLACE),
    ("json/v1-add", JSON),
    ("json/v1-remove", JSON),
    ("json/v1-test-ok", JSON),
    ("json/v1-badtype", "theirs prints a config that it can't read again; ours refuses the patch that makes it so"),
];

const PLACE: &str = "ours names the operation, and what exists of its path";
const JSON: &str =
    "theirs prints what a JSON patch leaves, with sorted keys; ours prints a config, as for other patches";

/// Ours, as `talosctl machineconfig patch` would print it.
fn ours(base: &str, patches: &[&str]) -> Result<machine_config::Config, String> {
    let patches = patches.iter().map(|text| patch::parse(text)).collect::<Result<Vec<_>, _>>();
    let base = load(base).map_err(|error| error.to_string())?;
    patch::apply(&base, &patches.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

fn differs(base: &str, row: &Value) -> Option<String> {
    let texts: Vec<&str> = row["patches"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let theirs = &row["v1_14_1"];
    let refused = theirs.get("error").or(theirs.get("load_error"));
    match (ours(base, &texts), refused) {
        (Err(error), Some(wanted)) if theirs.get("error").is_some() && error != wanted.as_str().unwrap() => {
            Some(format!("other words:\n theirs {wanted}\n ours {error:?}"))
        }
        (Err(_), Some(_)) => None,
        (Err(error), None) => Some(format!("ours refuses it: {error}")),
        (Ok(_), Some(error)) => Some(format!("theirs refuses it: {error}")),
        (Ok(config), None) => {
            let (text, wanted) = (config.text(Dialect::V4), theirs["result"].as_str().unwrap());
            if text != wanted {
                return Some(first_difference(&text, wanted));
            }
            let valid = validate(&config, Mode::Metal, Contract::parse("v1.14").unwrap()).errors;
            let wanted = theirs["metal_ok"].as_bool().unwrap();
            (valid.is_empty() != wanted).then(|| format!("theirs {theirs}, ours {valid:?}"))
        }
    }
}

fn first_difference(ours: &str, theirs: &str) -> String {
    let mut lines = ours.lines().zip(theirs.lines()).enumerate();
    let found = lines.find(|(_, (ours, theirs))| ours != theirs);
    found.map_or_else(
        || format!("ours has {} lines, theirs {}", ours.lines().count(), theirs.lines().count()),
        |(at, (ours, theirs))| format!("line {}:\n ours   {ours}\n theirs {theirs}", at + 1),
    )
}

#[test]
fn every_patch_gives_the_bytes_of_machinery_1_14_1_and_is_refused_where_it_refuses() {
    let Some(folder) = vectors(FOLDER) else { return };
    let bases: Value = serde_json::from_str(&text(&folder.join("patch-bases.json"))).unwrap();
    let mut found = Differences::new();
    for row in rows(&folder, "patch.jsonl") {
        let id = row["id"].as_str().unwrap();
        let base = bases[row["base"].as_str().unwrap()].as_str().unwrap();
        found.extend(differs(base, &row).map(|what| (id.to_owned(), what)));
    }
    assert_only(&found, &OTHERS);
}
