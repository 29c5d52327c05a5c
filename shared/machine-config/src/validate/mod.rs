//! What Talos itself would refuse of a config that reads well: rules as tables, in Talos's own words.

mod age;
mod conflicts;
pub(crate) mod documents;
mod legacy;
mod pem;
mod reference;
mod runtime_spec;
mod view;
mod whole;
mod words;

use view::View;
pub use words::endpoint;

use crate::config::{Config, Document};
use crate::contract::{Contract, Gate};
use crate::kinds::LEGACY;

/// How the machine boots, which decides what its config must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Installed by Talos itself.
    Metal,
    /// Booted from a disk image, nocloud on Proxmox VE among them.
    Cloud,
    /// In a container, for tests.
    Container,
    /// In memory, under Omni's bare-metal provider.
    MetalAgent,
}

impl Mode {
    /// The mode of talosctl's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Metal, Self::Cloud, Self::Container, Self::MetalAgent].into_iter().find(|mode| mode.as_str() == word)
    }

    /// talosctl's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metal => "metal",
            Self::Cloud => "cloud",
            Self::Container => "container",
            Self::MetalAgent => "metal-agent",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What Talos refuses.
    pub errors: Vec<String>,
    /// What it takes, but not gladly.
    pub warnings: Vec<String>,
    /// How many of the warnings are about the legacy document: those that `--strict` turns into errors.
    legacy_warnings: usize,
    /// The minor of Talos 1.x by whose rules it is made.
    minor: u32,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
struct Case<'a> {
    config: &'a Config,
    mode: Mode,
    contract: Contract,
}

/// A rule, and the Talos minors that have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<Check = fn(View<'_>, &mut Report)> {
    /// Looks at a document or config, and says what is wrong.
    check: Check,
    /// The first minor that has it.
    since: u32,
    /// The first minor that no longer has it.
    before: u32,
}

/// A rule for a whole config.
type CaseRule = Rule<fn(Case<'_>, &mut Report)>;

impl Rule {
    /// A rule for documents that every Talos has.
    pub(crate) const fn new(check: fn(View<'_>, &mut Report)) -> Self {
        Self { check, since: 0, before: u32::MAX }
    }
}

impl CaseRule {
    /// A rule for configs that every Talos has.
    const fn of(check: fn(Case<'_>, &mut Report)) -> Self {
        Self { check, since: 0, before: u32::MAX }
    }
}

impl<Check: Copy> Rule<Check> {
    /// A rule that Talos has from a minor on.
    pub(crate) const fn since(mut self, minor: u32) -> Self {
        self.since = minor;
        self
    }

    /// A rule that Talos has before a minor only.
    pub(crate) const fn before(mut self, minor: u32) -> Self {
        self.before = minor;
        self
    }

    /// Whether the Talos of a contract has it.
    fn holds(self, contract: Contract) -> bool {
        (self.since..self.before).contains(&contract.minor())
    }
}

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
    report.errors.extend(age::unknown(config, contract));
    dates(case, &mut report);
    let known = |document: &&Document| !document.kind.is_legacy() && document.kind.since <= contract.minor();
    config.documents().iter().filter(known).for_each(|document| {
        documents::check(case, document, &mut report);
    });
    report.errors.extend(conflicts::found(config));
    whole::check(case, &mut report);
    report
}

/// The oldest Talos minor, from the newest stable one on, that knows all that stands in a config.
pub fn contract_of(config: &Config) -> Contract {
    let knows = |contract: &Contract| age::unknown(config, *contract).next().is_none();
    Contract::all().filter(|contract| *contract >= Contract::STABLE).find(knows).unwrap_or(Contract::STABLE)
}

/// Texts that a Talos takes for dates.
fn dates(case: Case<'_>, report: &mut Report) {
    let newer = case.contract.has(Gate::NewerYaml);
    for document in case.config.documents().iter().filter(|_| newer) {
        if let Some(date) = &document.date {
            report.error(format!("{}: {date}", document.identity()));
        }
    }
}

impl Report {
    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// Takes the legacy document's warnings for errors, as talosctl's `--strict` does.
    pub fn strict(mut self) -> Self {
        let warnings = self.warnings.drain(..self.legacy_warnings);
        self.errors.extend(warnings.map(|warning| format!("warning: {warning}")));
        self.legacy_warnings = 0;
        self
    }
}

impl<'a> Case<'a> {
    /// The legacy document, at a path.
    fn legacy(self, path: &str) -> View<'a> {
        self.config.find(LEGACY.name).map_or(View::Nothing, View::Fields).at(path)
    }

    /// A document of a kind without name.
    fn document(self, kind: &str) -> View<'a> {
        self.config.find(kind).map_or(View::Nothing, View::Fields)
    }

    /// Whether the rules are those before Talos 1.14, which still took the legacy document for the whole.
    fn is_older(self) -> bool {
        !self.contract.has(Gate::Documents)
    }
}

/// A document as rules see it.
fn view(document: &Document) -> View<'_> {
    View::Fields(&document.fields)
}

#[cfg(test)]
mod tests;
