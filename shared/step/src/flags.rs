//! The flags that steps share. Each program flattens those groups that mean something to it.

use std::path::PathBuf;
use std::time::Duration;

use record::{Code, Exit, Failure};

/// The default of `--parallel`.
const PARALLEL: usize = 16;
/// The default of `--wait-timeout`.
const WAIT: Duration = Duration::from_secs(600);

/// Flags of every step. They are long, so that letters keep the meaning that talosctl gives them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct StreamFlags {
    /// Cluster file or saved records; `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,

    /// Print records as JSON Lines, YAML or a table [default: a table on a terminal, else jsonl].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Act on these nodes only; pass the others on untouched. Later steps in the pipe inherit it.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Don't fail when a listed node is missing from the input; drop it from the list.
    #[arg(long)]
    pub allow_missing: bool,

    /// Folder for the cluster's files; defaults to `<name>/` beside the cluster file.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Change nothing; report what would change as `pending`. Later steps in the pipe inherit it.
    #[arg(long)]
    pub dry_run: bool,
}

/// For a step that works on several nodes at once.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct ParallelFlag {
    /// Maximum number of nodes worked on at once (waiting doesn't count).
    #[arg(long, value_name = "N", default_value_t = PARALLEL, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub parallel: usize,
}

/// For a step that waits.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct WaitFlag {
    /// Timeout of each wait, per node: 90s, 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub wait_timeout: Duration,
}

/// For a step with a single result.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct RawFlag {
    /// Print only the result (a URL, a kubeconfig), not records.
    #[arg(long)]
    pub raw: bool,
}

/// For a step that writes files.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct InlineFlag {
    /// Put files into the records instead of their paths; refused on a terminal.
    #[arg(long)]
    pub inline: bool,
}

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Flags {
    /// Cluster file or saved records.
    pub file: Option<String>,
    /// How records are printed.
    pub format: Option<Format>,
    /// The nodes to act on; empty means all.
    pub only: Vec<String>,
    /// Whether a step that destroys may act on all nodes of a stream.
    pub all: bool,
    /// Whether listed nodes may be missing.
    pub allow_missing: bool,
    /// How many nodes are worked on at once.
    pub parallel: usize,
    /// How long one wait may take.
    pub wait_timeout: Duration,
    /// Folder for the cluster's files.
    pub dir: Option<PathBuf>,
    /// Whether only the result is printed.
    pub raw: bool,
    /// Whether files go into the records.
    pub inline: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

impl From<StreamFlags> for Flags {
    fn from(flags: StreamFlags) -> Self {
        let StreamFlags { file, format, only, allow_missing, dir, dry_run } = flags;
        Self {
            file,
            format,
            only,
            all: false,
            allow_missing,
            parallel: PARALLEL,
            wait_timeout: WAIT,
            dir,
            raw: false,
            inline: false,
            dry_run,
        }
    }
}

impl Flags {
    /// Refuses flags of which one would be ignored.
    ///
    /// # Errors
    /// Wrong usage; it names both.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        exclusive(&[("--raw", self.raw), ("--format", self.format.is_some())])?;
        exclusive(&[("--raw", self.raw), ("--inline", self.inline)])
    }

    /// The same with `--parallel`.
    #[must_use]
    pub fn parallel(self, flag: ParallelFlag) -> Self {
        Self { parallel: flag.parallel, ..self }
    }

    /// The same with `--wait-timeout`.
    #[must_use]
    pub fn wait(self, flag: WaitFlag) -> Self {
        Self { wait_timeout: flag.wait_timeout, ..self }
    }

    /// The same with `--raw`.
    #[must_use]
    pub fn raw(self, flag: RawFlag) -> Self {
        Self { raw: flag.raw, ..self }
    }

    /// The same with `--inline`.
    #[must_use]
    pub fn inline(self, flag: InlineFlag) -> Self {
        Self { inline: flag.inline, ..self }
    }
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// YAML documents.
    Yaml,
    /// A table for people.
    Table,
}

/// Refuses flags that were given together although only one of them would count.
///
/// # Errors
/// Wrong usage; it names both.
pub fn exclusive(flags: &[(&str, bool)]) -> Result<(), Failure> {
    let mut given = flags.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag);
    match (given.next(), given.next()) {
        (Some(one), Some(other)) => {
            let message = format!("{one} and {other} can't be used together");
            Err(Failure::new(Exit::Usage, Code::Usage, message).hint(format!("drop {one} or {other}")))
        }
        _ => Ok(()),
    }
}

/// A duration as Go and people write it: `90s`, `1h30m`, `1.5h`; a bare number is refused.
///
/// # Errors
/// It is none, or no time at all.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than 0 (write it as 90s or 10m)".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error} (write it as 90s or 10m)")),
    }
}
