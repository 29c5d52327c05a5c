//! Configs of the old form and the documents that take their place.

use judges::vectors;
use machine_config::{Contract, load};

use super::{Differences, FOLDER, assert_only, rows};
use config_rules::{Mode, validate};

/// Both forms of each case are valid for us where they are for the module, as for a machine with a disk.
#[test]
fn every_config_that_moves_to_documents_gets_the_verdict_of_machinery_1_14_1_before_and_after() {
    let Some(folder) = vectors(FOLDER) else { return };
    let contract = Contract::parse("v1.14").unwrap();
    let mut found = Differences::new();
    let rows = rows(&folder, "migrate.jsonl");
    assert!(rows.len() > 40, "only {} were compared", rows.len());
    for row in rows {
        for form in ["legacy", "migrated"] {
            let theirs = row[format!("{form}_valid")].as_bool().unwrap();
            let report = load(row[format!("{form}_config")].as_str().unwrap())
                .map(|config| validate(&config, Mode::Metal, contract).errors);
            if report.as_ref().is_ok_and(Vec::is_empty) != theirs {
                found.push((
                    format!("{}/{form}", row["id"].as_str().unwrap()),
                    format!("theirs {theirs}, ours {report:?} {}", row["migrated_errors"]),
                ));
            }
        }
    }
    assert_only(&found, &[]);
}
