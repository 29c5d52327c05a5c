//! Rules: what they check, and which Talos minors have them.

use machine_config::kinds::LEGACY;
use machine_config::{Config, Contract, Gate, MachineType};

use crate::lookup::Lookup;
use crate::report::{Mode, Report};

/// What a rule checks.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) config: &'a Config,
    pub(crate) mode: Mode,
    pub(crate) contract: Contract,
}

impl<'a> Input<'a> {
    /// The legacy document, at a path.
    pub(crate) fn legacy(self, path: &str) -> Lookup<'a> {
        self.config.find(LEGACY.name).map_or(Lookup::Nothing, Lookup::Fields).at(path)
    }

    /// A document of a kind without name.
    pub(crate) fn document(self, kind: &str) -> Lookup<'a> {
        self.config.find(kind).map_or(Lookup::Nothing, Lookup::Fields)
    }

    /// Whether the machine is a control plane.
    pub(crate) fn is_control_plane(self) -> bool {
        self.config.machine_type() == Some(MachineType::ControlPlane)
    }

    /// Whether the rules are those before Talos 1.14, which treated the legacy document as the whole config.
    pub(crate) fn is_older(self) -> bool {
        !self.contract.has(Gate::Documents)
    }
}

/// A rule, and the Talos minors that have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<Check = fn(Lookup<'_>, &mut Report)> {
    /// Checks a document or config, and reports what is wrong.
    pub(crate) check: Check,
    /// The first minor that has it.
    since: u32,
    /// The first minor that no longer has it.
    before: u32,
}

/// A rule for a whole config.
pub(crate) type ConfigRule = Rule<fn(Input<'_>, &mut Report)>;

impl Rule {
    /// A rule for documents that every Talos has.
    pub(crate) const fn new(check: fn(Lookup<'_>, &mut Report)) -> Self {
        Self { check, since: 0, before: u32::MAX }
    }
}

impl ConfigRule {
    /// A rule for configs that every Talos has.
    pub(crate) const fn of(check: fn(Input<'_>, &mut Report)) -> Self {
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
    pub(crate) fn holds(self, contract: Contract) -> bool {
        (self.since..self.before).contains(&contract.minor())
    }
}
