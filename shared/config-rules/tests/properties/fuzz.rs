//! Broken texts: every input gives a config or an error, and what was loaded is written so that it reads back the same.
//! `just fuzz` runs without end.

use config_rules::{Mode, validate};
use go_yaml::Dialect;
use machine_config::{Config, contract_of, load, patch};

use crate::cases::{Chance, config, document, kind};

/// Pieces that break things.
const PIECES: [&str; 24] = [
    "---\n",
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "$patch: delete",
    "[{op: remove, path: /machine}]",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "\u{feff}",
    "\0",
    "null",
    "apiVersion: v1alpha1\nkind: LinkConfig\nname: b\n",
];

/// A good text with some changes.
fn broken(seed: u64, chance: &mut Chance) -> String {
    let mut text = config(document(kind(seed), chance)).text(Dialect::V4);
    for _ in 0..=chance.below(4) {
        let mut places = text.char_indices().map(|(index, _)| index).collect::<Vec<_>>();
        places.push(text.len());
        let (a, b) = (*chance.pick(&places), *chance.pick(&places));
        let (from, to) =
            (a.min(b), a.max(b).min(places.iter().copied().find(|i| *i >= a.min(b) + 8).unwrap_or(text.len())));
        match chance.below(3) {
            0 => text.insert_str(from, chance.pick::<&str>(&PIECES)),
            1 => text.replace_range(from..to, ""),
            _ => {
                let copy = text[from..to].to_owned();
                text.insert_str(from, &copy);
            }
        }
    }
    text
}

/// One case; a failure panics.
fn case(seed: u64) {
    let chance = &mut Chance::new(seed);
    let text = broken(seed, chance);
    if let Ok(config) = load(&text) {
        stands(&config, seed);
        let _ = validate(&config, Mode::Metal, contract_of(&config));
    }
    let base = config(document(kind(seed), chance));
    if let Ok(patch) = patch::parse(&text)
        && let Ok(patched) = patch::apply(&base, &[patch])
    {
        stands(&patched, seed);
    }
}

/// What is written for a config reads back the same.
fn stands(config: &Config, seed: u64) {
    let text = config.text(Dialect::V4);
    // A patch may delete the only document. No word stands for no protocol: Talos can't write such a rule either.
    if config.documents().is_empty() || text.contains("protocol: \"\"\n") {
        return;
    }
    let again = load(&text).unwrap_or_else(|error| panic!("seed {seed}: {error:?}\n{text}"));
    assert_eq!(again.text(Dialect::V4), text, "seed {seed}");
}

#[test]
fn broken_texts_are_a_config_or_an_error() {
    (0..2_000).for_each(case);
}

#[test]
#[ignore = "runs without end: see `just fuzz`"]
fn broken_texts_without_end() {
    let begin = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let begin = begin << 32;
    for count in 0_u64.. {
        case(begin.wrapping_add(count));
        if count % 100_000 == 99_999 {
            eprintln!("{} cases are good, the last one was seed {}", count + 1, begin.wrapping_add(count));
        }
    }
}
