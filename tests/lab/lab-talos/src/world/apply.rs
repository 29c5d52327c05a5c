//! Applying a machine config.

use std::sync::Arc;
use std::time::Duration;

use serde_yaml::Value;
use tonic::{Code, Status};

use super::power::Down;
use super::{Due, Id, World};
use crate::config::{self, Config, Document, Loaded, Refusal};
use crate::node::Api;

/// How a config is to take effect; the numbers are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Reboot = 0,
    Auto = 1,
    NoReboot = 2,
    Staged = 3,
    Try = 4,
}

impl Mode {
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        [Self::Reboot, Self::Auto, Self::NoReboot, Self::Staged, Self::Try].into_iter().find(|m| *m as i32 == number)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Auto => "auto",
            Self::NoReboot => "no-reboot",
            Self::Staged => "staged",
            Self::Try => "try",
        }
    }
}

/// A call of ApplyConfiguration.
pub(crate) struct Apply {
    pub(crate) data: Vec<u8>,
    pub(crate) mode: Mode,
    pub(crate) dry_run: bool,
    pub(crate) try_timeout: Option<Duration>,
    /// Whether the caller may do everything.
    pub(crate) admin: bool,
}

/// The reply to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) mode: Mode,
    pub(crate) details: String,
    pub(crate) warnings: Vec<String>,
}

const NEEDS_REBOOT: &str = "this config change can't be applied in immediate mode";
const NO_CONFIG: &str = "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?";
const TRY: Duration = Duration::from_secs(60);

impl World {
    pub(crate) fn apply(&mut self, id: Id, apply: &Apply) -> Result<Applied, Status> {
        let text = String::from_utf8_lossy(&apply.data).into_owned();
        match (self.nodes[id].api, self.nodes[id].version().unified_maintenance()) {
            (Api::Maintenance, false) => self.apply_limited(id, apply, &text),
            (Api::Maintenance, true) => self.apply_first(id, apply, &text),
            _ => self.apply_again(id, apply, &text),
        }
    }

    /// The maintenance service of releases up to 1.12.
    fn apply_limited(&mut self, id: Id, apply: &Apply, text: &str) -> Result<Applied, Status> {
        if matches!(apply.mode, Mode::NoReboot | Mode::Staged) {
            let mode = apply.mode.name();
            let text = format!("apply configuration --mode='{mode}' is not supported in maintenance mode");
            return Err(Status::unimplemented(text));
        }
        let refused = |refusal: Refusal| match refusal {
            Refusal::Parse(why) => Status::unknown(format!("failed to parse config: {why}")),
            Refusal::Invalid(why) => Status::unknown(format!("configuration validation failed: {why}")),
        };
        let loaded = config::load(text, self.nodes[id].version()).map_err(refused)?;
        let details = match apply.dry_run {
            true => "Dry run summary:\nNode is running in maintenance mode and does not have a config yet.",
            false => "",
        };
        if !apply.dry_run {
            self.accept_first(id, text, loaded.config);
        }
        Ok(Applied { mode: Mode::Reboot, details: details.to_owned(), warnings: loaded.warnings })
    }

    fn apply_first(&mut self, id: Id, apply: &Apply, text: &str) -> Result<Applied, Status> {
        let loaded = self.load(id, text)?;
        let mode = match apply.mode {
            Mode::Reboot | Mode::Auto => Mode::NoReboot,
            other => other,
        };
        let details = details(mode, apply, None);
        if apply.dry_run {
            return Ok(Applied { mode, details: dry_run(&details, "", text), warnings: Vec::new() });
        }
        match mode {
            Mode::Staged => self.disk_mut(id).config = Some(text.to_owned()),
            _ => self.accept_first(id, text, loaded.config),
        }
        Ok(Applied { mode, details, warnings: loaded.warnings })
    }

    fn accept_first(&mut self, id: Id, text: &str, config: Option<Config>) {
        self.count(id, true);
        let Some(config) = config else { return };
        self.disk_mut(id).config = Some(text.to_owned());
        self.leave_maintenance(id, Arc::new(config));
    }

    fn count(&mut self, id: Id, changed: bool) {
        let counts = &mut self.nodes[id].counts;
        counts.applied += 1;
        counts.changed += u32::from(changed);
    }

    fn load(&self, id: Id, text: &str) -> Result<Loaded, Status> {
        config::load(text, self.nodes[id].version()).map_err(|refusal| Status::invalid_argument(refusal.to_string()))
    }

    /// A node that has a config already.
    fn apply_again(&mut self, id: Id, apply: &Apply, text: &str) -> Result<Applied, Status> {
        if !apply.admin {
            return Err(Status::permission_denied("not authorized"));
        }
        // Whatever comes of it; up to 1.13 a dry run does that, too (1.13.9, `ApplyConfiguration`).
        if apply.mode != Mode::Try && (!apply.dry_run || self.nodes[id].version().minor <= 13) {
            self.end_try(id);
        }
        let loaded = self.load(id, text)?;
        let Some(config) = loaded.config else { return Err(Status::invalid_argument(NO_CONFIG)) };
        let (mode, why) = self.effective_mode(id, apply.mode, &config)?;
        // A dry run doesn't say why.
        let details = details(mode, apply, why.as_deref().filter(|_| !apply.dry_run));
        if apply.dry_run {
            let current = self.nodes[id].config.as_ref().map(|c| c.text.clone()).unwrap_or_default();
            return Ok(Applied { mode, details: dry_run(&details, &current, text), warnings: Vec::new() });
        }
        let words = match apply.mode {
            Mode::Auto => format!("auto({})", mode.name()),
            asked => asked.name().to_owned(),
        };
        self.print(id, &format!("apply config request: mode {}", words.replace('-', "_")));
        self.take_effect(id, mode, apply, config);
        Ok(Applied { mode, details, warnings: loaded.warnings })
    }

    /// The mode that a call ends up with, and why it needs a reboot if it does: with a diff in which nothing is hidden.
    fn effective_mode(&self, id: Id, asked: Mode, config: &Config) -> Result<(Mode, Option<String>), Status> {
        let always_immediate = self.nodes[id].version().applies_without_reboot();
        let current = self.nodes[id].config.as_ref();
        let needed = current.filter(|current| !always_immediate && needs_reboot(current, config));
        let why = needed.map(|current| format!("{NEEDS_REBOOT}\ndiff:\n{}", diff(&current.text, &config.text)));
        match (asked, why) {
            (Mode::Reboot, _) if always_immediate => Err(Status::unimplemented(
                "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead",
            )),
            (Mode::Reboot, _) => Ok((Mode::Reboot, None)),
            (Mode::Auto, Some(why)) => Ok((Mode::Reboot, Some(why))),
            (Mode::Auto, None) => Ok((Mode::NoReboot, None)),
            (Mode::NoReboot | Mode::Try, Some(why)) => Err(Status::new(Code::InvalidArgument, why)),
            (other, _) => Ok((other, None)),
        }
    }

    fn take_effect(&mut self, id: Id, mode: Mode, apply: &Apply, config: Config) {
        let before = self.nodes[id].config.clone();
        self.count(id, before.as_ref().is_none_or(|before| before.text != config.text));
        let text = config.text.clone();
        match mode {
            Mode::Try => {
                // What is tried already isn't kept for a second try: that goes back to the first one (1.13.9,
                // `RollbackToConfigAfter`).
                self.end_try(id);
                self.tried.extend(before.map(|before| (id, before)));
                self.activate(id, Arc::new(config));
                self.plan(id, apply.try_timeout.unwrap_or(TRY), Due::TryEnds);
                return;
            }
            Mode::Staged => {}
            Mode::NoReboot | Mode::Auto | Mode::Reboot => {
                self.activate(id, Arc::new(config));
            }
        }
        self.disk_mut(id).config = Some(text);
        if mode == Mode::Reboot {
            self.go_down(id, Down::Reboot);
        }
    }

    /// What is tried goes on running, and is not taken back.
    fn end_try(&mut self, id: Id) {
        self.tried.remove(&id);
        self.timers.retain(|_, timer| timer.node != id || timer.due != Due::TryEnds);
    }

    /// Nobody made the tried config permanent: the one before comes back.
    pub(super) fn try_ends(&mut self, id: Id) {
        if let Some(config) = self.tried.remove(&id) {
            self.print(id, "rolling back the configuration");
            self.activate(id, config);
        }
    }
}

fn details(mode: Mode, apply: &Apply, why: Option<&str>) -> String {
    match (mode, why) {
        (Mode::Reboot, Some(why)) => format!("Applied configuration with a reboot: {why}"),
        (Mode::Reboot, None) => "Applied configuration with a reboot".to_owned(),
        (Mode::Staged, _) => "Staged configuration to be applied after the next reboot".to_owned(),
        (Mode::Try, _) => {
            let timeout = go_duration(apply.try_timeout.unwrap_or(TRY));
            format!(
                "Applied configuration without a reboot\nThe config is applied in 'try' mode and will be automatically reverted back in {timeout}"
            )
        }
        (Mode::NoReboot | Mode::Auto, _) => "Applied configuration without a reboot".to_owned(),
    }
}

/// `1m0s`, as Go prints durations of whole seconds.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

fn dry_run(details: &str, before: &str, after: &str) -> String {
    let diff = match before == after {
        true => "No changes.".to_owned(),
        false => diff(before, after),
    };
    format!("Dry run summary:\n{details} (skipped in dry-run).\nConfig diff:\n\n{diff}")
}

fn diff(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after).unified_diff().header("a", "b").to_string()
}

/// What a running node of a release up to 1.13 can change in `machine` without a reboot, beside `.debug` and `.cluster`
/// (1.13.9, internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_runtime.go `CanApplyImmediate`).
const IMMEDIATE: &[&str] = &[
    "ca",
    "acceptedCAs",
    "certSANs",
    "controlPlane",
    "install",
    "kernel",
    "kubelet",
    "logging",
    "network",
    "nodeAnnotations",
    "nodeLabels",
    "nodeTaints",
    "pods",
    "registries",
    "seccompProfiles",
    "sysctls",
    "sysfs",
    "time",
];
/// The same in `machine.features`, if both configs have such a section.
const IMMEDIATE_FEATURES: &[&str] =
    &["hostDNS", "imageCache", "kubePrism", "kubernetesTalosAPIAccess", "nodeAddressSortAlgorithm"];

fn needs_reboot(before: &Config, after: &Config) -> bool {
    lasting(&before.documents) != lasting(&after.documents)
}

/// The part of the v1alpha1 config that only a boot puts into effect.
fn lasting(documents: &[Document]) -> Option<Value> {
    let mut whole = documents.iter().find(|d| d.is_v1alpha1())?.value.clone();
    let map = whole.as_mapping_mut()?;
    map.remove("debug");
    map.remove("cluster");
    let machine = map.get_mut("machine").and_then(Value::as_mapping_mut)?;
    for key in IMMEDIATE {
        machine.remove(*key);
    }
    if let Some(features) = machine.get_mut("features").and_then(Value::as_mapping_mut) {
        for key in IMMEDIATE_FEATURES {
            features.remove(*key);
        }
    }
    Some(whole)
}
