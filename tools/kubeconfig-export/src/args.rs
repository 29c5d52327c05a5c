//! What was typed.

use std::path::PathBuf;

use talos_access::TalosFlags;

/// Fetch the admin kubeconfig.
#[derive(Debug, clap::Parser)]
#[command(about = "Fetch the admin kubeconfig")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) flags: step::Flags,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,

    /// File to write [default: kubeconfig in the cluster's folder; with --merge $KUBECONFIG, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,

    /// Merge into the file instead of replacing it.
    #[arg(short, long)]
    pub(crate) merge: bool,

    /// Overwrite a file, or entries of the same names, that are another cluster's.
    #[arg(long)]
    pub(crate) force: bool,

    /// Name of the context.
    #[arg(long, value_name = "NAME")]
    pub(crate) force_context_name: Option<String>,

    /// URL of the Kubernetes API to write [default: the cluster's endpoint].
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
}
