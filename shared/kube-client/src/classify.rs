//! What errors of the Kubernetes API mean to a script.

use verdict::{Classify, Code, Exit, Facts};

use crate::Error;

impl Classify for Error {
    fn facts(&self) -> Facts {
        match self {
            Self::Credentials { .. } => Facts::new(Exit::Unusable, Code::Kubeconfig),
            Self::Refused { status: 401 | 403, .. } => Facts::new(Exit::NotAllowed, Code::NotAllowed),
            Self::Unreachable { .. } | Self::Refused { .. } => Facts::new(Exit::Unreachable, Code::Unreachable),
        }
    }
}
