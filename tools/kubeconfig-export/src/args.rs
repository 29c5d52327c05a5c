//! Command-line arguments.

use std::path::PathBuf;

use talos_access::TalosFlags;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    #[command(flatten)]
    pub(crate) raw: step::RawFlag,

    #[command(flatten)]
    pub(crate) inline: step::InlineFlag,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,

    /// File to write [default: kubeconfig in the cluster's folder; with --merge $KUBECONFIG, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,

    /// Merge into the file instead of replacing it.
    #[arg(short, long)]
    pub(crate) merge: bool,

    /// Overwrite a file or entries that belong to another cluster.
    #[arg(long)]
    pub(crate) force: bool,

    /// Name of the context.
    #[arg(long, value_name = "NAME")]
    pub(crate) force_context_name: Option<String>,

    /// URL of the Kubernetes API to write [default: the cluster's endpoint].
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
}
