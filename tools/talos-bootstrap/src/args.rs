//! What was typed.

use talos_access::TalosFlags;

/// Start etcd once.
#[derive(Debug, clap::Parser)]
#[command(about = "Start etcd once")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) flags: step::Flags,

    /// Without a stream, -n must name every control plane: the first one is bootstrapped, if none has etcd data.
    #[command(flatten)]
    pub(crate) talos: TalosFlags,

    /// Go on without hearing from these control planes. They must be gone for good: etcd data on them would be lost.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub(crate) without: Vec<String>,
}
