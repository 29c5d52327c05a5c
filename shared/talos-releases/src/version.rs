//! The one reader of versions.

use std::{cmp::Ordering, fmt, str::FromStr};

/// A full version, of Talos or Kubernetes: `v1.13.9`, `v1.14.0-beta.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    numbers: (u32, u32, u32),
    /// `alpha`, `beta` or `rc`, and its number; releases have none.
    before: Option<(Stage, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alpha,
    Beta,
    Rc,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Rc => "rc",
        }
    }
}

/// Text that is not a full version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a full version like v1.13.9")]
pub struct BadVersion(pub String);

impl Version {
    /// Major and minor.
    pub fn minor(self) -> (u32, u32) {
        (self.numbers.0, self.numbers.1)
    }

    /// Major and minor of `v1.12`, `1.12` or any longer version, whatever follows.
    pub fn minor_of(text: &str) -> Option<(u32, u32)> {
        let mut parts = bare(text).splitn(3, '.');
        Some((number(parts.next()?)?, number(parts.next()?)?))
    }

    /// Whether two texts name the same version, with or without `v`; texts that aren't versions must be equal.
    pub fn same(one: &str, other: &str) -> bool {
        match (one.parse::<Self>(), other.parse::<Self>()) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        }
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    /// Reads a full version; the `v` may be missing.
    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.into());
        let plain = bare(text);
        let (numbers, before) = plain.split_once('-').map_or((plain, None), |(numbers, rest)| (numbers, Some(rest)));
        let parts: Vec<u32> = numbers.split('.').map(number).collect::<Option<_>>().ok_or_else(bad)?;
        let [major, minor, patch] = parts[..] else { return Err(bad()) };
        let before = before.map(|text| stage(text).ok_or_else(bad)).transpose()?;
        Ok(Self { numbers: (major, minor, patch), before })
    }
}

/// A version without its `v`.
fn bare(text: &str) -> &str {
    text.strip_prefix('v').unwrap_or(text)
}

/// A number without sign or leading zero.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    digits.then(|| text.parse().ok())?
}

fn stage(text: &str) -> Option<(Stage, u32)> {
    let (word, rest) = text.split_once('.')?;
    let stage = [Stage::Alpha, Stage::Beta, Stage::Rc].into_iter().find(|stage| stage.as_str() == word)?;
    Some((stage, number(rest)?))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release comes after everything that led to it.
        let before = |version: &Self| version.before.map_or((1, None), |stage| (0, Some(stage)));
        (self.numbers, before(self)).cmp(&(other.numbers, before(other)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.numbers;
        write!(f, "v{major}.{minor}.{patch}")?;
        match self.before {
            Some((stage, number)) => write!(f, "-{}.{number}", stage.as_str()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_read_with_and_without_v_and_ordered_as_they_were_released() {
        assert_eq!(version("1.9.0").to_string(), "v1.9.0");
        let order = ["v1.9.10", "v1.10.0-alpha.3", "v1.10.0-beta.0", "v1.10.0-rc.1", "v1.10.0", "v1.10.1"];
        assert!(order.map(version).is_sorted());
        for text in
            ["", "v1", "v1.13", "latest", "v1.13.9.1", "v1.13.x", "v01.1.1", "v1.13.9-", "v1.13.9-dev", "v1.1.+1"]
        {
            assert_eq!(text.parse::<Version>(), Err(BadVersion(text.into())));
        }
    }

    #[test]
    fn minors_are_read_with_and_without_patch() {
        assert_eq!(["v1.12", "1.12.3", "v1.12.0-rc.1", "v1.12.x"].map(Version::minor_of), [Some((1, 12)); 4]);
        assert_eq!(["1", "v1.x", "", "v1.+2", "v01.2"].map(Version::minor_of), [None; 5]);
        assert_eq!(version("v1.14.0-rc.1").minor(), (1, 14));
    }

    #[test]
    fn a_version_is_the_same_with_and_without_v() {
        assert!(Version::same("v1.13.9", "1.13.9") && Version::same("odd", "odd"));
        assert!(!Version::same("v1.13.9", "v1.13.9-rc.1") && !Version::same("v1.13.9", "odd"));
    }
}
