//! Why a control plane is left as it is.

use record::{Classify, Code, Exit, Facts};

use crate::quorum::Loss;

/// A control plane that may not be taken down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// etcd can't do without it.
    #[error("{0}")]
    Loss(#[from] Loss),
    /// Nobody said whether etcd can do without it.
    #[error("nobody reports whether etcd can do without this node{}", listed(.0))]
    NoAnswer(Vec<String>),
    /// There are two.
    #[error("{0} and {1} are members of two etcd clusters that have no member in common")]
    Split(String, String),
}

fn listed(why: &[String]) -> String {
    if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) }
}

impl Classify for Refused {
    fn facts(&self) -> Facts {
        let guard = |code| Facts::new(Exit::Guard, code);
        match self {
            Self::Loss(Loss::Everything) => guard(Code::OneAtATime).hint(
                "all objects would be lost: take a snapshot (`talosctl etcd snapshot FILE`); then --ignore-etcd allows it",
            ),
            Self::Loss(Loss::Quorum { .. }) => guard(Code::OneAtATime).hint(
                "run again when all other control planes are healthy members (`talos-wait --for etcd`); --ignore-etcd allows it, but etcd may be lost",
            ),
            Self::Split(..) => guard(Code::Split).hint("reset one of the two; its etcd data will be lost"),
            Self::NoAnswer(_) => guard(Code::NoAnswer).hint(
                "check that the control planes are up and that the cluster's folder has its talosconfig; --ignore-etcd allows it, but etcd may be lost",
            ),
        }
    }
}

/// A control plane that isn't healthy after its change, so that no other one is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not healthy after its change; the other control planes were not touched")]
pub struct Halted(pub String);

impl Classify for Halted {
    fn facts(&self) -> Facts {
        Facts::new(Exit::Unreachable, Code::Halted).hint("look at that node, then run again")
    }
}
