//! The Talos minor that a config is made for.

use std::fmt;

use go_yaml::Dialect;
use talos_releases::{Gate, RELEASES, Release, Version};

/// A version contract: the Talos minor that a config is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contract {
    minor: u32,
}

/// Why a contract is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form `v1.12` or `v1.12.3`.
    #[error("error parsing version {0:?}")]
    Unreadable(String),
    /// A version that this program doesn't know.
    #[error("Talos {asked} isn't known here; {} to {} are", RELEASES[0], RELEASES[RELEASES.len() - 1])]
    Unknown {
        /// What was asked for.
        asked: String,
    },
}

impl Contract {
    /// The newest stable contract.
    pub const STABLE: Self = Self { minor: talos_releases::newest_stable() };

    /// Parses `v1.12`, `1.12` or `v1.12.3`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (major, minor) = Version::minor_of(text).ok_or_else(|| Error::Unreadable(text.to_owned()))?;
        if major == 1 && talos_releases::find(minor).is_some() {
            Ok(Self { minor })
        } else {
            Err(Error::Unknown { asked: text.to_owned() })
        }
    }

    /// Every contract, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        RELEASES.iter().map(|release| Self { minor: release.minor })
    }

    /// The minor of Talos 1.x.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// Whether a change is in effect.
    pub fn has(self, gate: Gate) -> bool {
        self.minor >= gate.since()
    }

    /// The last default Kubernetes version of this Talos, without `v`.
    pub fn kubernetes(self) -> &'static str {
        self.release().kubernetes.trim_start_matches('v')
    }

    /// The minors of Kubernetes 1.x that this Talos supports, first and last.
    pub fn kubernetes_window(self) -> (u32, u32) {
        self.release().kubernetes_window()
    }

    /// Whether this Talos supports a Kubernetes version such as `v1.36.3`.
    pub fn supports_kubernetes(self, version: &str) -> bool {
        self.release().runs(version)
    }

    fn release(self) -> &'static Release {
        talos_releases::find(self.minor).expect("a contract is made of a release only")
    }

    /// The quotes and blocks of this Talos's own tools.
    pub fn dialect(self) -> Dialect {
        match self {
            _ if self.has(Gate::NewerYaml) => Dialect::V4,
            _ if self.has(Gate::EarlyYaml) => Dialect::V4Early,
            _ => Dialect::V3,
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}", self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_read_with_and_without_patch_level() {
        for text in ["v1.12", "1.12", "v1.12.3", "v1.12.0-rc.1"] {
            assert_eq!(Contract::parse(text).unwrap().to_string(), "v1.12");
        }
        assert!(Contract::parse("1").is_err());
        assert!(Contract::parse("v2.0").is_err());
        assert!(Contract::parse("v1.99").is_err());
    }
}
