//! The last part of an image's path: platform, architecture and form.

use lab_core::disk_image::Format;

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// `nocloud`, `metal` …
    pub(crate) platform: String,
    /// Whether the image boots with Secure Boot.
    pub(crate) secure_boot: bool,
    /// The disk or the ISO.
    pub(crate) format: Format,
    /// How it is packed.
    pub(crate) packing: Packing,
}

/// Compression around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// None.
    Plain,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

impl Profile {
    /// Reads `nocloud-amd64.qcow2` and the like; other files of the factory are not played.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let (stem, ending) = path.split_once('.')?;
        let (form, packing) = match ending.split_once('.') {
            None => (ending, Packing::Plain),
            Some((form, "gz")) => (form, Packing::Gzip),
            Some((form, "xz")) => (form, Packing::Xz),
            Some((form, "zst")) => (form, Packing::Zstd),
            Some(_) => return None,
        };
        let format = match (form, packing) {
            ("qcow2", _) => Format::Qcow2,
            ("raw", _) => Format::Raw,
            ("iso", Packing::Plain) => Format::Iso,
            _ => return None,
        };
        let (stem, secure_boot) = match stem.strip_suffix("-secureboot") {
            Some(stem) => (stem, true),
            None => (stem, false),
        };
        let (platform, arch) = stem.rsplit_once('-')?;
        let known = matches!(arch, "amd64" | "arm64" | "x86_64" | "i386");
        let platform_fits = !platform.is_empty() && (!platform.contains('-') || platform == "digital-ocean");
        (known && platform_fits).then(|| Self { platform: platform.to_owned(), secure_boot, format, packing })
    }

    /// `Content-Type` of the file.
    pub(crate) fn content_type(&self) -> &'static str {
        match (self.packing, self.format) {
            (Packing::Gzip, _) => "application/gzip",
            (Packing::Xz, _) => "application/x-xz",
            (Packing::Zstd, _) => "application/zstd",
            (Packing::Plain, Format::Qcow2) => "application/x-qemu-disk",
            (Packing::Plain, Format::Iso) => "application/x-iso9660-image",
            (Packing::Plain, Format::Raw) => "application/octet-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_factory_reads_them() {
        let profile = Profile::parse("nocloud-amd64-secureboot.raw.xz").expect("a path");
        assert_eq!((profile.platform.as_str(), profile.secure_boot), ("nocloud", true));
        assert_eq!((profile.format, profile.packing), (Format::Raw, Packing::Xz));
        for wrong in ["metal-amd64.ssd", "nocloud.qcow2", "nocloud-sparc.qcow2", "-amd64.iso", "metal-amd64.iso.gz"] {
            assert_eq!(Profile::parse(wrong), None, "{wrong}");
        }
    }
}
