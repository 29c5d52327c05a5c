//! Talos releases, as far as behaviour depends on them.

use std::fmt;
use std::str::FromStr;

/// A release of Talos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) patch: u32,
}

impl Version {
    /// Whether maintenance mode is served by the same API server as everything else (from 1.13).
    pub(crate) fn unified_maintenance(self) -> bool {
        self.minor >= 13
    }

    /// Whether the mode REBOOT of ApplyConfiguration is gone, and AUTO never reboots (from 1.14).
    pub(crate) fn applies_without_reboot(self) -> bool {
        self.minor >= 14
    }

    /// Whether containers of its own and volumes of their own partitions have phases on the way down (from 1.14).
    pub(crate) fn has_promotable_volumes(self) -> bool {
        self.minor >= 14
    }

    /// The image of etcd that it runs unless its config names another.
    pub(crate) fn etcd_image(self) -> String {
        let repository = if self.minor >= 12 { "registry.k8s.io/etcd" } else { "gcr.io/etcd-development/etcd" };
        format!("{repository}:v{}", self.etcd())
    }

    /// The version of etcd in that image.
    pub(crate) fn etcd(self) -> &'static str {
        match self.minor {
            ..=9 => "3.5.21",
            10 => "3.5.26",
            11 => "3.6.5",
            12 => "3.6.11",
            13 => "3.6.12",
            _ => "3.7.1",
        }
    }

    /// `3.6`, and `3.5` one minor release below.
    pub(crate) fn etcd_minor(self, below: u32) -> String {
        let (major, rest) = self.etcd().split_once('.').unwrap_or_default();
        let minor: u32 = rest.split('.').next().and_then(|minor| minor.parse().ok()).unwrap_or_default();
        format!("{major}.{}", minor.saturating_sub(below))
    }

    /// The Kubernetes minor releases that this Talos runs: oldest and newest.
    pub(crate) fn kubernetes(self) -> (u32, u32) {
        (self.minor + 18, self.minor + 23)
    }
}

/// The kernel of a release of Talos.
pub(crate) fn kernel(talos: &str) -> &'static str {
    match talos.split('.').nth(1) {
        Some("12") => "6.18.1-talos",
        Some("13") => "6.18.29-talos",
        _ => "6.18.51-talos",
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text isn't a version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version")]
pub(crate) struct NotAVersion(String);

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `v1.13.9`; what follows a `-` is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || NotAVersion(text.to_owned());
        let plain = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
        let mut parts = plain.split('.').map(str::parse);
        let mut part = || parts.next().and_then(Result::ok);
        Ok(Self { major: part().ok_or_else(bad)?, minor: part().ok_or_else(bad)?, patch: part().ok_or_else(bad)? })
    }
}
