//! Command-line arguments.

use talos_access::TalosFlags;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    /// Without a stream, -n must name every control plane: the first one is bootstrapped, if none has etcd data.
    #[command(flatten)]
    pub(crate) talos: TalosFlags,

    /// Bootstrap even though these control planes can't be reached. Only if they are gone for good: etcd data on them
    /// would be lost.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub(crate) without: Vec<String>,

    /// Reboot a control plane whose etcd was stopped for good while it was starting: nothing else starts it again.
    #[arg(long)]
    pub(crate) reboot_stuck: bool,

    /// Give up the etcd that ichor.lock remembers: start a new, empty one if no control plane has etcd data (all
    /// Kubernetes objects are lost), or accept another one that runs.
    #[arg(long)]
    pub(crate) fresh: bool,
}
