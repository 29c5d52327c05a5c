//! Images, as the factory names them.

use std::{fmt, str::FromStr};

use talos_releases::Version;

/// A kind of file: `qcow2`, `iso`, `raw.xz`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(String);

/// Text that is not a kind of image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an image format: iso, or raw, qcow2, vhd, ova, each perhaps with .xz, .zst, .gz or .tar.gz")]
pub struct BadFormat(pub String);

impl Format {
    /// The format that Proxmox VE imports.
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

    /// The name of its file on a storage: one name, one content.
    pub fn stored_file(&self) -> String {
        format!("talos-{}-{}-{}", self.version, self.schematic, self.file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            version: "1.13.9".parse().unwrap(),
            platform: "nocloud".into(),
            arch: "amd64".into(),
            format: Format::qcow2(),
            secureboot,
        };
        assert_eq!(image(false).path(), "/image/ce4c/v1.13.9/nocloud-amd64.qcow2");
        assert_eq!(image(true).file(), "nocloud-amd64-secureboot.qcow2");
        assert_eq!(image(false).stored_file(), "talos-v1.13.9-ce4c-nocloud-amd64.qcow2");
    }
}
