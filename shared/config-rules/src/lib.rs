//! What Talos itself would refuse of a config that reads well: rules as tables, in Talos's own words.
//!
//! [`machine_config`] says what kinds and fields there are; the rules here stand on top of it, in tables by kind, by
//! place in the legacy document and for the config as a whole. Selectors are expressions (CEL), which are checked as
//! Talos does. The crate is pure: it reads no file, clock, environment or randomness.

mod cel;
mod checks;
mod cross_document;
mod document;
mod documents;
mod kubernetes;
mod legacy;
mod lookup;
mod pem;
mod reference;
mod report;
mod rule;
mod runtime_spec;
mod superseded;
mod table;

use machine_config::kinds::LEGACY;
use machine_config::{Config, Contract, Document, Gate};

pub use checks::endpoint;
pub use report::{Mode, Report};
use rule::Case;

/// Validates a config by the rules of a Talos minor, in the order in which Talos does.
///
/// The legacy document comes first, then each other document, then what stands in both, then the config as a whole.
pub fn validate(config: &Config, mode: Mode, contract: Contract) -> Report {
    let case = Case { config, mode, contract };
    let mut report = Report::default();
    if config.find(LEGACY.name).is_some() {
        legacy::check(case, &mut report);
    }
    report.legacy_warnings = report.warnings.len();
    report.errors.extend(machine_config::unknown_to(config, contract));
    dates(case, &mut report);
    let known = |document: &&Document| !document.kind.is_legacy() && document.kind.since <= contract.minor();
    config.documents().iter().filter(known).for_each(|document| {
        document::check(case, document, &mut report);
    });
    report.errors.extend(superseded::found(config));
    cross_document::check(case, &mut report);
    report
}

/// Texts that a Talos takes for dates.
fn dates(case: Case<'_>, report: &mut Report) {
    let newer = case.contract.has(Gate::NewerYaml);
    for document in case.config.documents().iter().filter(|_| newer) {
        if let Some(date) = document.date() {
            report.error(format!("{}: {date}", document.identity()));
        }
    }
}

#[cfg(test)]
mod tests;
