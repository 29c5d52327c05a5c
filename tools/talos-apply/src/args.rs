//! Command-line arguments.

use std::time::Duration;

use talos_access::{InsecureFlags, TalosFlags};

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) parallel: step::ParallelFlag,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,

    #[command(flatten)]
    pub(crate) insecure: InsecureFlags,

    /// Patches for the machine config that -f names: YAML or JSON, or `@file`.
    #[arg(short = 'p', long = "config-patch", value_name = "PATCH", help_heading = "Alone, without a stream")]
    pub(crate) patches: Vec<String>,

    /// How a changed config takes effect on a configured node.
    #[arg(short, long, value_enum, default_value = "auto")]
    pub(crate) mode: Mode,

    /// With `--mode try`: revert the config after this time.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,

    /// Allow changes that reboot a running node.
    #[arg(long)]
    pub(crate) reboot: bool,
}

/// How a changed config takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// The node decides.
    Auto,
    /// Immediately, never with a reboot.
    NoReboot,
    /// With a reboot; Talos 1.13 and earlier.
    Reboot,
    /// At the next boot.
    Staged,
    /// Immediately; reverted after `--timeout`.
    Try,
}

impl Args {
    /// The mode in the Talos API.
    pub(crate) fn api_mode(&self) -> talos_client::Mode {
        match self.mode {
            Mode::Auto => talos_client::Mode::Auto,
            Mode::NoReboot => talos_client::Mode::NoReboot,
            Mode::Reboot => talos_client::Mode::Reboot,
            Mode::Staged => talos_client::Mode::Staged,
            Mode::Try => talos_client::Mode::Try(self.timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn short_flags_are_those_of_talosctl() {
        let args = Args::parse_from([
            "talos-apply",
            "-n",
            "10.0.0.11,10.0.0.12",
            "-i",
            "-f",
            "worker.yaml",
            "-m",
            "no-reboot",
            "-p",
            "@p.yaml",
            "--dry-run",
        ]);

        assert_eq!(args.talos.nodes, ["10.0.0.11", "10.0.0.12"]);
        assert!(args.insecure.insecure && args.stream.dry_run);
        assert_eq!(args.stream.file.as_deref(), Some("worker.yaml"));
        assert_eq!(args.api_mode(), talos_client::Mode::NoReboot);
        assert_eq!(args.patches, ["@p.yaml"]);
    }
}
