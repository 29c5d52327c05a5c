//! What was typed.

use std::path::PathBuf;

use talos_access::TalosFlags;

use crate::plan::Condition;

/// Wait until a condition holds.
#[derive(Debug, clap::Parser)]
#[command(about = "Wait until a condition holds")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) flags: step::Flags,

    /// What to wait for.
    #[arg(long = "for", value_enum, value_name = "CONDITION", default_value = "ready")]
    pub(crate) condition: Condition,

    /// Kubeconfig to ask the Kubernetes API itself with, where the records name none.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,
}
