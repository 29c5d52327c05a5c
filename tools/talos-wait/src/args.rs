//! Command-line arguments.

use std::path::PathBuf;

use talos_access::TalosFlags;

use crate::condition::Condition;

/// Command-line arguments; the summary above them comes from the table of steps.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) stream: step::StreamFlags,

    #[command(flatten)]
    pub(crate) wait: step::WaitFlag,

    /// What to wait for: `reachable`, `maintenance`, `configured`, `etcd`, `etcd-healthy`, `kubernetes-api`, `kubernetes`,
    /// `ready`, `version=v1.13.9`, `stage=running`, `service=kubelet`.
    ///
    /// `reachable`: the Talos API responds. `maintenance`: the node waits for its config. `configured`: it runs a config of
    /// this cluster. `etcd`: etcd on it is a member of its cluster (workers have no etcd). `etcd-healthy`: that member votes,
    /// and sees a leader. `kubernetes-api`: the API server on it is ready (workers have none), and the Kubernetes API, if there
    /// is a kubeconfig. `kubernetes`: it is registered with Kubernetes. `ready`: Talos has finished booting, and Kubernetes
    /// reports the node Ready. `version=`, `stage=`, `service=`: it runs this release, is in this stage, or this service of it
    /// runs and is healthy. From `configured` to `ready`, each includes those that a node needs for it.
    #[arg(long = "for", value_name = "CONDITION", default_value = "ready")]
    pub(crate) condition: Condition,

    /// Kubeconfig to use for the Kubernetes API, if the records name none.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) talos: TalosFlags,
}
