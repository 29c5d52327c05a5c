//! Versions of Talos and Kubernetes that go together.

use serde_json::Value;
use talos_releases::{Release, Stage, Version};

use crate::{Map, Unusable};

/// A release that the pipe runs.
fn release(talos: &str) -> Option<&'static Release> {
    talos_releases::of_version(talos).filter(|release| release.stage == Stage::Piped)
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
        return Err(Unusable::new(format!("spec.talos.version: {talos} is not supported")).hint(supported(&talos)));
    };
    let Some(kubernetes) = version(spec, "kubernetes")? else {
        let default = release.kubernetes;
        warnings.push(format!("spec.kubernetes.version is not set; defaults to {default} (Talos {talos})"));
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

/// The releases that the pipe runs, in a hint about one that it doesn't run.
fn supported(talos: &str) -> String {
    let known: Vec<_> = talos_releases::piped().map(ToString::to_string).collect();
    let known = format!("supported releases: {}", known.join(", "));
    match Version::minor_of(talos) {
        Some(minor) if minor > (1, talos_releases::newest_stable()) => {
            format!("{known}; it was not released yet when this program was made: look for a newer one")
        }
        _ => known,
    }
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
                .hint(format!("write the full version: v{number}.0 (YAML reads 1.10 as 1.1)")));
        }
        other => return Err(Unusable::new(format!("{place}: {other} is not a version"))),
    };
    let Ok(version) = text.parse::<Version>() else {
        return Err(Unusable::new(format!("{place}: {text} is not a full version"))
            .hint(format!("write major, minor and patch: {}", example(&text))));
    };
    let full = version.to_string();
    *found = full.clone().into();
    Ok(Some(full))
}

/// What was most likely meant: the first patch of a minor that is written alone.
fn example(text: &str) -> String {
    let first = format!("{text}.0").parse::<Version>();
    first.map_or_else(|_| "v1.13.9".to_owned(), |version| version.to_string())
}
