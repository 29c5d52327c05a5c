//! Every rule, with a config that breaks it and one that doesn't.

mod cross_document;
mod devices;
mod documents;
mod kubernetes;
mod legacy;
mod system;

use machine_config::Contract;

use crate::report::{Mode, Report};
use crate::validate;

fn report(text: &str, mode: Mode, contract: &str) -> Report {
    let config = machine_config::load(text)
        .unwrap_or_else(|error| panic!("{error} {:?}\n{text}", std::error::Error::source(&error)));
    validate(&config, mode, Contract::parse(contract).unwrap())
}

fn errors(text: &str, mode: Mode, contract: &str) -> Vec<String> {
    report(text, mode, contract).errors
}

/// A rule's row in a table: what breaks it, the message, and what differs little and is accepted.
struct Row<'a> {
    broken: &'a str,
    message: &'a str,
    good: &'a str,
}

/// Checks rows as `make` puts them into whole configs.
fn check(rows: &[Row<'_>], mode: Mode, contract: &str, make: &dyn Fn(&str) -> String) {
    for row in rows {
        let (broken, good) = (make(row.broken), make(row.good));
        let found = report(&broken, mode, contract);
        let all: Vec<&String> = found.errors.iter().chain(&found.warnings).collect();
        assert!(all.iter().any(|text| *text == row.message), "{broken}\nwanted: {}\nfound: {all:#?}", row.message);
        let found = report(&good, mode, contract);
        let all: Vec<&String> = found.errors.iter().chain(&found.warnings).collect();
        assert!(!all.iter().any(|text| *text == row.message), "{good}\nis said to break: {}", row.message);
        assert!(found.errors.is_empty(), "{good}\nthe good one has errors: {:#?}", found.errors);
    }
}
