//! Versions of Talos and Kubernetes that go together.

use serde_json::Value;
use talos_releases::{RELEASES, Release, Stage};

use crate::{Map, Unusable};

/// A release that the pipe runs.
fn release(talos: &str) -> Option<&'static Release> {
    talos_releases::find(talos_releases::minor(talos)?).filter(|release| release.stage == Stage::Piped)
}

/// The Kubernetes version that a Talos version defaults to.
#[must_use]
pub fn default_kubernetes(talos: &str) -> Option<&'static str> {
    release(talos).map(|found| found.kubernetes)
}

/// The oldest and the newest Kubernetes minor that a Talos version runs: `(31, 36)` for 1.31 to 1.36.
#[must_use]
pub fn kubernetes_window(talos: &str) -> Option<(u32, u32)> {
    release(talos).map(Release::kubernetes_window)
}

/// Checks both versions and fills in the one of Kubernetes.
pub(super) fn settle(spec: &mut Map, warnings: &mut Vec<String>) -> Result<(), Unusable> {
    let talos = version(spec, "talos")?
        .ok_or_else(|| Unusable::new("spec.talos.version is missing").hint("for example: talos: {version: v1.13.9}"))?;
    let Some(release) = release(&talos) else {
        let piped = RELEASES.iter().filter(|release| release.stage == Stage::Piped);
        let known: Vec<_> = piped.map(ToString::to_string).collect();
        return Err(Unusable::new(format!("spec.talos.version: {talos} is not supported"))
            .hint(format!("supported releases: {}", known.join(", "))));
    };
    let Some(kubernetes) = version(spec, "kubernetes")? else {
        let default = release.kubernetes;
        warnings.push(format!("spec.kubernetes.version is left out: {default}, the default of Talos {talos}"));
        let part = spec.entry("kubernetes").or_insert_with(|| Map::new().into());
        if part.is_null() {
            *part = Map::new().into();
        }
        part.as_object_mut().expect("a map or absent: checked above").insert("version".into(), default.into());
        return Ok(());
    };
    if release.runs(&kubernetes) {
        return Ok(());
    }
    let (oldest, newest) = release.kubernetes_window();
    Err(Unusable::new(format!("spec.kubernetes.version: Talos {talos} does not run Kubernetes {kubernetes}"))
        .hint(format!("Talos {talos} runs Kubernetes 1.{oldest} to 1.{newest}")))
}

/// The version of `part`, complete and with its `v`; written back in that form.
fn version(spec: &mut Map, part: &str) -> Result<Option<String>, Unusable> {
    let place = format!("spec.{part}.version");
    let found = match spec.get_mut(part) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map.get_mut("version"),
        Some(other) => {
            return Err(Unusable::new(format!("spec.{part} is {other}, not a map with `version`")));
        }
    };
    let found = match found {
        None | Some(Value::Null) => return Ok(None),
        Some(found) => found,
    };
    let text = match &*found {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            return Err(Unusable::new(format!("{place}: {number} is a number, not a version"))
                .hint(format!("write the whole version: v{number}.0 (YAML reads 1.10 as 1.1)")));
        }
        other => return Err(Unusable::new(format!("{place}: {other} is not a version"))),
    };
    let number = text.strip_prefix('v').unwrap_or(&text);
    if !is_full(number) {
        return Err(Unusable::new(format!("{place}: {text} is not a full version"))
            .hint(format!("write major, minor and patch: {}", example(number))));
    }
    let full = format!("v{number}");
    *found = full.clone().into();
    Ok(Some(full))
}

fn example(number: &str) -> String {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_minor = number.split('.').count() == 2 && number.split('.').all(digits);
    if is_minor { format!("v{number}.0") } else { "v1.13.9".to_owned() }
}

/// `1.13.9`, or with a pre-release: `1.14.0-rc.1`.
fn is_full(number: &str) -> bool {
    let (core, pre) = number.split_once('-').map_or((number, None), |(core, pre)| (core, Some(pre)));
    let parts: Vec<_> = core.split('.').collect();
    let is_number = |part: &&str| {
        (1..=5).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let pre_ok = pre.is_none_or(|pre| !pre.is_empty() && pre.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'));
    parts.len() == 3 && parts.iter().all(is_number) && pre_ok
}
