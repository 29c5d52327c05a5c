//! Command-line arguments.

use std::path::PathBuf;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) parallel: step::ParallelFlag,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    /// File with the API token, instead of PROXMOX_VE_API_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}
