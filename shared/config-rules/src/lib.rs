//! What Talos itself refuses in a config that decodes: rules as tables, with Talos's own messages.
//!
//! [`machine_config`] defines the kinds and fields; the rules here build on it, in tables by kind, by place in the
//! legacy document and for the config as a whole. Selectors are expressions (CEL), which are checked as Talos does.
//! The crate is pure: it reads no file, clock, environment or randomness.

mod cel;
mod checks;
mod cross_document;
mod document;
mod documents;
mod kubernetes;
mod legacy;
mod lookup;
mod losses;
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
use rule::Input;

/// Validates a config by the rules of a Talos minor, in the order in which Talos does.
///
/// First the legacy document, then each other document, then conflicts between them, then the config as a whole.
pub fn validate(config: &Config, mode: Mode, contract: Contract) -> Report {
    let input = Input { config, mode, contract };
    let mut report = Report::default();
    if config.find(LEGACY.name).is_some() {
        legacy::check(input, &mut report);
    }
    report.legacy_warnings = report.warnings.len();
    report.errors.extend(machine_config::unknown_to(config, contract));
    refused_later(input, &mut report);
    let known = |document: &&Document| !document.kind.is_legacy() && document.kind.since <= contract.minor();
    config.documents().iter().filter(known).for_each(|document| {
        document::check(input, document, &mut report);
    });
    report.errors.extend(superseded::found(config));
    cross_document::check(input, &mut report);
    report
}

/// What Talos accepts and loses without a word; no warning of its own.
pub fn losses(config: &Config, mode: Mode, contract: Contract) -> Vec<String> {
    losses::found(Input { config, mode, contract })
}

/// Reports texts that Talos reads as dates, and items that are null.
fn refused_later(input: Input<'_>, report: &mut Report) {
    let newer = input.contract.has(Gate::NewerYaml);
    for document in input.config.documents().iter().filter(|_| newer) {
        if let Some(why) = document.refused_later() {
            report.error(format!("{}: {why}", document.identity()));
        }
    }
}

#[cfg(test)]
mod tests;
