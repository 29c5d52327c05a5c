//! Command-line arguments.

use std::path::PathBuf;

use talos_access::TalosFlags;

use crate::plan::Condition;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    /// What to wait for.
    #[arg(long = "for", value_enum, value_name = "CONDITION", default_value = "ready")]
    pub(crate) condition: Condition,

    /// Kubeconfig to use for the Kubernetes API, if the records name none.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,
}
