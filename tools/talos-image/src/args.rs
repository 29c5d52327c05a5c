//! Command-line arguments.

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) raw: step::RawFlag,

    #[command(flatten)]
    pub(crate) token: pve_access::TokenFlag,

    #[command(flatten)]
    pub(crate) kind: Kind,

    #[command(flatten)]
    pub(crate) alone: Alone,
}

/// Which image of a schematic and a version.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Image")]
pub(crate) struct Kind {
    /// Platform: nocloud for Proxmox VE, metal, aws, …
    #[arg(long, default_value = "nocloud")]
    pub(crate) platform: String,

    /// Architecture: amd64 or arm64.
    #[arg(long, default_value = "amd64", value_parser = ["amd64", "arm64"])]
    pub(crate) arch: String,

    /// File format: iso, or raw, qcow2, vhd, ova, optionally compressed (.xz, .zst, .gz, .tar.gz). Defaults to qcow2; to iso
    /// where the cluster file says `via: iso`.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) image_format: Option<String>,

    /// Use the image that is signed for secure boot, and its installer.
    #[arg(long)]
    pub(crate) secureboot: bool,
}

/// What to use instead of a cluster file.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Alone, without a stream")]
pub(crate) struct Alone {
    /// Talos version; with it, no input is read.
    #[arg(long, value_name = "VERSION")]
    pub(crate) talos_version: Option<String>,

    /// Schematic: a YAML or JSON file, or an ID of 64 hexadecimal digits.
    #[arg(long, value_name = "FILE|ID", requires = "talos_version")]
    pub(crate) schematic: Option<String>,

    /// Official extension, instead of a schematic file; may be repeated.
    #[arg(long = "extension", value_name = "NAME", requires = "talos_version", conflicts_with = "schematic")]
    pub(crate) extensions: Vec<String>,

    /// URL of the Image Factory.
    #[arg(long, value_name = "URL", requires = "talos_version")]
    pub(crate) factory: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_flags_fit_together() {
        Args::command().debug_assert();
        assert!(Args::try_parse_from(["talos-image", "--schematic", "x"]).is_err(), "alone needs a version");
        let args = Args::parse_from(["talos-image", "--talos-version", "v1.13.9", "--raw"]);
        assert_eq!(args.kind.image_format, None);
    }
}
