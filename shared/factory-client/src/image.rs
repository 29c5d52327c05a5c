//! Images, as the factory names them.

use std::{cmp::Ordering, fmt, str::FromStr};

/// A Talos version: `v1.13.9`, `v1.14.0-beta.1`.
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

/// Text that is no full Talos version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a full Talos version like v1.13.9")]
pub struct BadVersion(pub String);

impl Version {
    /// Major and minor.
    pub fn minor(self) -> (u32, u32) {
        (self.numbers.0, self.numbers.1)
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    /// Reads a full version; the `v` may be missing. The factory answers anything else with an error of its own.
    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.into());
        let plain = text.strip_prefix('v').unwrap_or(text);
        let (numbers, before) = plain.split_once('-').map_or((plain, None), |(numbers, rest)| (numbers, Some(rest)));
        let parts: Vec<u32> = numbers.split('.').map(number).collect::<Option<_>>().ok_or_else(bad)?;
        let [major, minor, patch] = parts[..] else { return Err(bad()) };
        let before = before.map(|text| stage(text).ok_or_else(bad)).transpose()?;
        Ok(Self { numbers: (major, minor, patch), before })
    }
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

/// A kind of file: `qcow2`, `iso`, `raw.xz`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(String);

/// Text that is no kind of image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an image format: iso, or raw, qcow2, vhd, ova, each perhaps with .xz, .zst, .gz or .tar.gz")]
pub struct BadFormat(pub String);

impl Format {
    /// What Proxmox VE imports.
    pub fn qcow2() -> Self {
        Self("qcow2".into())
    }
}

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        let (disk, packed) = text.split_once('.').map_or((text, None), |(disk, packed)| (disk, Some(packed)));
        let known = match packed {
            None => ["iso", "raw", "qcow2", "vhd", "ova"].contains(&disk),
            Some(packed) => {
                ["raw", "qcow2", "vhd", "ova"].contains(&disk) && ["xz", "zst", "gz", "tar.gz"].contains(&packed)
            }
        };
        if known { Ok(Self(text.into())) } else { Err(BadFormat(text.into())) }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image that the factory can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Schematic ID.
    pub schematic: String,
    /// Talos version.
    pub version: Version,
    /// `nocloud` for VMs on Proxmox VE, `metal`, …
    pub platform: String,
    /// `amd64` or `arm64`.
    pub arch: String,
    /// Kind of file.
    pub format: Format,
    /// Whether it is signed for secure boot.
    pub secureboot: bool,
}

impl Image {
    /// The last part of its URL: `nocloud-amd64.qcow2`.
    pub fn file(&self) -> String {
        let secure = if self.secureboot { "-secureboot" } else { "" };
        format!("{}-{}{secure}.{}", self.platform, self.arch, self.format)
    }

    /// Its path below the base.
    pub fn path(&self) -> String {
        format!("/image/{}/{}/{}", self.schematic, self.version, self.file())
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
    fn formats_are_those_that_the_factory_makes() {
        for text in ["iso", "qcow2", "raw", "raw.xz", "raw.zst", "qcow2.tar.gz", "ova"] {
            assert_eq!(text.parse::<Format>().unwrap().to_string(), text);
        }
        for text in ["", "vmdk", "iso.xz", "raw.bz2", "ssd"] {
            assert!(text.parse::<Format>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_has_a_path() {
        let image = |secureboot| Image {
            schematic: "ce4c".into(),
            version: version("1.13.9"),
            platform: "nocloud".into(),
            arch: "amd64".into(),
            format: Format::qcow2(),
            secureboot,
        };
        assert_eq!(image(false).path(), "/image/ce4c/v1.13.9/nocloud-amd64.qcow2");
        assert_eq!(image(true).file(), "nocloud-amd64-secureboot.qcow2");
    }
}
