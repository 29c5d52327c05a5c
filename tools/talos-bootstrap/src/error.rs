//! Errors of `talos-bootstrap`.

use record::{Classify, Code, Exit, Facts};

/// One variant for each problem that users solve differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("--without {0}: the cluster has no such control plane")]
    Without(String),
    #[error("--fresh can't be used with -n: only the ichor.lock of a cluster's folder remembers an etcd")]
    FreshAlone,
    #[error("etcd would be bootstrapped on {0}, which --only excludes")]
    NotSelected(String),
    #[error("{0} and {1} are members of two etcd clusters that have no member in common")]
    Split(String, String),
    #[error(
        "etcd on {node} was stopped for good by a second bootstrap while it was starting, and {node} has data of it"
    )]
    Stuck { node: String },
    #[error("ichor.lock says that etcd was bootstrapped, but no control plane has any etcd data")]
    Lost { address: String },
    #[error(
        "the etcd that {node} reports has the members {seen}, and ichor.lock remembers {remembered}: it is another one"
    )]
    Other { node: String, seen: String, remembered: String },
}

impl Classify for Error {
    fn facts(&self) -> Facts {
        let guard = |code| Facts::new(Exit::Guard, code);
        match self {
            Self::Without(_) => Facts::new(Exit::Usage, Code::Usage),
            Self::FreshAlone => Facts::new(Exit::Usage, Code::Usage).hint("remove --fresh"),
            Self::NotSelected(_) => guard(Code::NotSelected)
                .hint("run without --only: etcd is bootstrapped once for the whole cluster"),
            Self::Split(..) => guard(Code::Split).hint("reset one of the two; its etcd data will be lost"),
            Self::Stuck { .. } => guard(Code::EtcdStuck)
                .hint("only a reboot of the node starts it again: --reboot-stuck allows it; no data is lost"),
            Self::Lost { address } => guard(Code::EtcdLost).hint(format!(
                "restore a snapshot: `talosctl bootstrap --recover-from=FILE -n {address}`; or start a new, empty etcd, in which all Kubernetes objects are lost: `talos-bootstrap --fresh`"
            )),
            Self::Other { .. } => guard(Code::OtherEtcd).hint(
                "if it was restored from a snapshot, or all its members were replaced, `talos-bootstrap --fresh` remembers it instead and starts nothing; else find out who started it",
            ),
        }
    }
}
