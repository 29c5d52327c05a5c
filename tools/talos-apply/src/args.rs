//! Command-line arguments.

use std::time::Duration;

use record::{Code, Exit, Failure};
use talos_access::{InsecureFlags, TalosFlags};

/// The default of `--timeout`.
const TRY: Duration = Duration::from_secs(60);

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

    /// With `--mode try`: revert the config after this time [default: 1m].
    #[arg(long, value_name = "DURATION", value_parser = step::duration)]
    pub(crate) timeout: Option<Duration>,

    /// Send the first config only to machines whose certificate is known: from the VM's console, the file's `fingerprint`, or
    /// --cert-fingerprint.
    #[arg(long)]
    pub(crate) require_fingerprint: bool,

    /// Allow a config that names another machine: another host name than the node's, or NICs that it doesn't have.
    #[arg(long)]
    pub(crate) other_machine: bool,

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
    /// Refuses flags that would be ignored.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.talos.check_dir(&self.stream)?;
        if self.timeout.is_some() && self.mode != Mode::Try {
            let failure = Failure::new(Exit::Usage, Code::Usage, "--timeout needs --mode try");
            return Err(failure.hint("--wait-timeout limits how long a node is waited for"));
        }
        Ok(())
    }

    /// The mode in the Talos API.
    pub(crate) fn api_mode(&self) -> talos_client::Mode {
        match self.mode {
            Mode::Auto => talos_client::Mode::Auto,
            Mode::NoReboot => talos_client::Mode::NoReboot,
            Mode::Reboot => talos_client::Mode::Reboot,
            Mode::Staged => talos_client::Mode::Staged,
            Mode::Try => talos_client::Mode::Try(self.timeout.unwrap_or(TRY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_flag_that_would_be_ignored_is_refused() {
        let checked = |words: &[&str]| Args::parse_from([&["talos-apply"], words].concat()).check();
        for words in [&["--mode", "try"][..], &["--mode", "try", "--timeout", "5m"], &["-f", "x", "--dir", "y"]] {
            assert!(checked(words).is_ok(), "{words:?}");
        }
        for words in
            [&["--timeout", "5m"][..], &["--mode", "staged", "--timeout", "1m"], &["-n", "10.0.0.1", "--dir", "y"]]
        {
            assert_eq!(checked(words).map_err(|failure| failure.exit), Err(Exit::Usage), "{words:?}");
        }
    }

    #[test]
    fn a_try_that_ends_at_once_is_refused() {
        let refused = Args::try_parse_from(["talos-apply", "--mode", "try", "--timeout", "0s"]).unwrap_err();
        assert!(refused.to_string().contains("it must be longer than 0"), "{refused}");
    }

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
