//! The stream's own flags, which every step has.

use std::path::PathBuf;
use std::time::Duration;

/// Flags of every step. They are long, so that letters keep the meaning that talosctl gives them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Stream")]
pub struct Flags {
    /// Cluster file or saved records; `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,

    /// Print records as JSON Lines, YAML or a table [default: a table on a terminal, else jsonl].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Act on these nodes only, and pass the others on untouched.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Listed nodes that never come are no error, and leave the list.
    #[arg(long)]
    pub allow_missing: bool,

    /// How many nodes are worked on at the same time; waiting does not count.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub parallel: usize,

    /// How long one wait for one node may take, as in 90s or 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub wait_timeout: Duration,

    /// Folder for the cluster's files; left out: `<name>/` beside the cluster file.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Print only the step's product.
    #[arg(long)]
    pub raw: bool,

    /// Put files into the records instead of their paths; refused on a terminal.
    #[arg(long)]
    pub inline: bool,

    /// Touch nothing; write what would be done as `pending`. It travels to the steps after this one.
    #[arg(long)]
    pub dry_run: bool,
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

/// A duration as Go and people write it: `90s`, `1h30m`, `1.5h`; a bare number is refused.
fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error} (write it as 90s or 10m)"))
}
